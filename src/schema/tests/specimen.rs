//! Makes data from a schema: one value that passes, and values that each break one rule.

use serde_json::{Map, Value, json};

/// Texts that match the patterns of the built-in schemas.
const MATCHING: &[&str] = &[
    "iglu:com.acme/cart/jsonschema/1-0-0",
    "5a7f2e0c-9d1b-4c3e-8f60-2b7d1e9a4c55",
    "$.a",
    "1.2.3-rc1",
    "1-0-0",
    "100x200",
    "100/200",
    "sp_ABCDEFGHIJKLMNOPQRSTUVWXYZ",
    "word",
];

fn formatted(name: &str) -> Option<&'static str> {
    Some(match name {
        "date-time" => "2026-03-09T10:20:31Z",
        "date" => "2026-03-09",
        "uuid" => "5a7f2e0c-9d1b-4c3e-8f60-2b7d1e9a4c55",
        "uri" => "https://example.com/",
        "ipv4" => "203.0.113.7",
        "ipv6" => "2001:db8::7",
        "email" => "ann@example.com",
        _ => return None,
    })
}

/// The schema with its local references replaced by what they point to; no built-in schema refers to itself.
pub fn inlined(root: &Value, at: &Value) -> Value {
    match at {
        Value::Object(members) => match members.get("$ref").and_then(Value::as_str).and_then(|r| r.strip_prefix('#')) {
            Some(pointer) => inlined(root, root.pointer(pointer).unwrap()),
            None => members.iter().map(|(k, v)| (k.clone(), inlined(root, v))).collect(),
        },
        Value::Array(items) => items.iter().map(|v| inlined(root, v)).collect(),
        other => other.clone(),
    }
}

/// A value that passes `schema`; `full` fills in what is optional. None for a schema that takes anything or nothing.
pub fn passing(schema: &Value, full: bool) -> Value {
    let branch = ["oneOf", "anyOf"].iter().find_map(|k| schema.get(*k)?.get(0));
    if let Some(all) = schema.get("allOf").and_then(Value::as_array) {
        return all.iter().map(|s| passing(s, full)).find(|v| !v.is_null()).unwrap_or(Value::Null);
    }
    if let Some(first) = schema.get("enum").and_then(|e| e.get(0)) {
        return first.clone();
    }
    let kind = match schema.get("type") {
        Some(Value::String(t)) => t.as_str(),
        Some(Value::Array(ts)) => ts.iter().filter_map(Value::as_str).find(|t| *t != "null").unwrap_or("null"),
        _ if schema.get("properties").is_some() => "object",
        _ if schema.get("pattern").is_some() => "string",
        _ => {
            return match branch {
                Some(branch) => passing(branch, full),
                None => json!("anything"),
            };
        }
    };
    match kind {
        "object" => object(schema, branch, full),
        "array" => {
            let item = match schema.get("items") {
                Some(Value::Array(tuple)) => return tuple.iter().map(|s| passing(s, full)).collect(),
                Some(one) => passing(one, full),
                None => json!("item"),
            };
            let count = schema.get("minItems").and_then(Value::as_u64).unwrap_or(u64::from(full)) as usize;
            Value::Array(vec![item; count])
        }
        "string" => string(schema, branch),
        "integer" | "number" => schema.get("minimum").cloned().unwrap_or(json!(1)),
        "boolean" => json!(true),
        _ => Value::Null,
    }
}

fn string(schema: &Value, branch: Option<&Value>) -> Value {
    if let Some(text) = schema.get("format").and_then(Value::as_str).and_then(formatted) {
        return json!(text);
    }
    if let Some(pattern) = schema.get("pattern").or_else(|| branch?.get("pattern")).and_then(Value::as_str) {
        let regex = fancy_regex::Regex::new(pattern).unwrap();
        let text = MATCHING.iter().find(|t| regex.is_match(t).unwrap());
        return json!(text.unwrap_or_else(|| panic!("no text for {pattern}")));
    }
    let min = schema.get("minLength").and_then(Value::as_u64).unwrap_or(1) as usize;
    json!("x".repeat(min))
}

fn object(schema: &Value, branch: Option<&Value>, full: bool) -> Value {
    let mut out = Map::new();
    let empty = Map::new();
    let properties = schema.get("properties").and_then(Value::as_object).unwrap_or(&empty);
    let is_required = |name: &str| {
        let lists = [Some(schema), branch];
        lists
            .iter()
            .flatten()
            .any(|s| s.get("required").and_then(Value::as_array).is_some_and(|r| r.contains(&json!(name))))
    };
    let most = schema.get("maxProperties").and_then(Value::as_u64).unwrap_or(u64::MAX) as usize;
    let least = schema.get("minProperties").and_then(Value::as_u64).unwrap_or(0) as usize;
    for (name, s) in properties.iter().filter(|(name, _)| is_required(name)) {
        out.insert(name.clone(), passing(s, full));
    }
    for (name, s) in properties {
        let room = out.len() < if full && branch.is_none() { most } else { least };
        if room && !out.contains_key(name) {
            out.insert(name.clone(), passing(s, full));
        }
    }
    if let Some(s) = branch.filter(|b| b.get("properties").is_some()) {
        for (name, s) in passing(s, full).as_object().unwrap_or(&empty) {
            out.insert(name.clone(), s.clone());
        }
    }
    if let Some(s) = schema.get("additionalProperties").filter(|s| s.is_object()) {
        out.insert("other".to_owned(), passing(s, full));
    }
    Value::Object(out)
}

/// Values that should not pass, each with the reason.
pub fn failing(schema: &Value, good: &Value) -> Vec<(String, Value)> {
    let mut out = Vec::new();
    mutate(schema, good, "$", &mut |reason, value| out.push((reason, value)));
    out
}

fn mutate(schema: &Value, good: &Value, path: &str, out: &mut dyn FnMut(String, Value)) {
    let plain = !["oneOf", "anyOf", "allOf"].iter().any(|k| schema.get(*k).is_some());
    if schema.get("type").is_some() {
        let takes = schema["type"].to_string();
        for (name, value) in [("\"object\"", json!({})), ("\"boolean\"", json!(false)), ("\"string\"", json!("\u{7}"))]
        {
            if !takes.contains(name) && plain {
                out(format!("{path}: not {takes}"), value);
                break;
            }
        }
    }
    match good {
        Value::Object(members) => {
            let empty = Map::new();
            let properties = schema.get("properties").and_then(Value::as_object).unwrap_or(&empty);
            for name in schema.get("required").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str)
            {
                let mut less = members.clone();
                less.remove(name);
                out(format!("{path}: without {name}"), Value::Object(less));
            }
            if schema.get("additionalProperties") == Some(&json!(false)) && schema.get("patternProperties").is_none() {
                let mut more = members.clone();
                more.insert("not in the schema".to_owned(), json!(1));
                out(format!("{path}: one more"), Value::Object(more));
            }
            for (name, s) in properties.iter().filter(|(name, _)| members.contains_key(*name)) {
                mutate(s, &members[name], &format!("{path}.{name}"), &mut |reason, value| {
                    let mut changed = members.clone();
                    changed.insert(name.clone(), value);
                    out(reason, Value::Object(changed));
                });
            }
        }
        Value::Array(items) if !items.is_empty() && schema.get("items").is_some_and(Value::is_object) => {
            mutate(&schema["items"], &items[0], &format!("{path}[0]"), &mut |reason, value| {
                let mut changed = items.clone();
                changed[0] = value;
                out(reason, Value::Array(changed));
            });
        }
        Value::String(_) => {
            if let Some(max) = schema.get("maxLength").and_then(Value::as_u64) {
                out(format!("{path}: too long"), json!("y".repeat(max as usize + 1)));
            }
            if schema.get("enum").is_some() {
                out(format!("{path}: not in the enum"), json!("\u{7}"));
            }
            if schema.get("format").and_then(Value::as_str).and_then(formatted).is_some() {
                out(format!("{path}: wrong form"), json!("\u{7}"));
            }
        }
        Value::Number(_) => {
            for (bound, beyond) in [("minimum", -1.0), ("maximum", 1.0)] {
                if let Some(n) = schema.get(bound).and_then(Value::as_f64).filter(|n| n.abs() < 1e12) {
                    let wrong = n + beyond;
                    let value = if wrong.fract() == 0.0 { json!(wrong as i64) } else { json!(wrong) };
                    out(format!("{path}: beyond {bound}"), value);
                }
            }
        }
        _ => {}
    }
}
