//! Reading the folder of enrichment configurations: Snowplow's own files, as they are.
//!
//! All files are read and checked before anything starts, and all problems are told at once. The schemas of the
//! configurations are built in, so a start needs no network.

use super::StepConfig;
use crate::event::SchemaKey;
use crate::schema::{Lookup, Resolver};
use serde_json::Value;
use std::path::{Path, PathBuf};

/// Levels of nesting in a configuration.
const MAX_DEPTH: usize = 40;
/// The envelope that holds several configurations in one file.
const ENVELOPE: &str = "enrichments";

/// What a folder holds.
#[derive(Debug, Default)]
pub struct Folder {
    /// The configurations that can be read and pass their schema, in the order of their file names.
    pub configs: Vec<StepConfig>,
    /// Every problem of every file, each beginning with the file's path.
    pub problems: Vec<String>,
}

/// All configurations of a folder: direct children ending in `.json` or `.hocon`, JSON with comments (`#`, `//`), `${NAME}`
/// in texts replaced by the environment variable. The good ones are given beside the problems, so that whoever builds the
/// steps can tell what is wrong with those too.
pub fn read_folder(folder: &Path, resolver: &Resolver, env: &dyn Fn(&str) -> Option<String>) -> Folder {
    let mut out = Folder::default();
    let entries = match std::fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(e) => {
            let what = format!("enrich.enrichments = \"{}\": the folder cannot be read: {e}", folder.display());
            out.problems.push(what);
            return out;
        }
    };
    let mut files: Vec<PathBuf> = entries
        .flatten()
        .map(|entry| entry.path())
        .filter(|path| path.is_file() && path.extension().is_some_and(|e| e == "json" || e == "hocon"))
        .collect();
    files.sort();
    for file in files {
        let say = |what: String| format!("{}: {what}", file.display());
        let text = match std::fs::read_to_string(&file) {
            Ok(text) => text,
            Err(e) => {
                out.problems.push(say(e.to_string()));
                continue;
            }
        };
        let value: Value = match serde_json::from_str(&without_comments(&text)) {
            Ok(value) => value,
            Err(e) => {
                out.problems.push(say(format!("no JSON (comments are allowed): {e}")));
                continue;
            }
        };
        let mut problems = Vec::new();
        read(&file, value, resolver, env, &mut out.configs, &mut problems);
        out.problems.extend(problems.into_iter().map(say));
    }
    out
}

fn read(
    file: &Path,
    mut value: Value,
    resolver: &Resolver,
    env: &dyn Fn(&str) -> Option<String>,
    configs: &mut Vec<StepConfig>,
    problems: &mut Vec<String>,
) {
    if let Err(e) = substitute(&mut value, env) {
        problems.push(e);
        return;
    }
    let schema = value.get("schema").and_then(Value::as_str).and_then(|s| SchemaKey::parse(s).ok());
    let data = value.get_mut("data").map(Value::take);
    let (Some(schema), Some(data)) = (schema, data) else {
        problems.push("no self-describing JSON: {\"schema\": \"iglu:…\", \"data\": {…}}".to_owned());
        return;
    };
    if schema.name() == ENVELOPE {
        let Value::Array(items) = data else {
            problems.push("data of an enrichments envelope is a list".to_owned());
            return;
        };
        for item in items {
            read(file, item, resolver, env, configs, problems);
        }
        return;
    }
    let found = validate(&schema, &data, resolver);
    let disabled = data.get("enabled") == Some(&Value::Bool(false));
    if disabled {
        for problem in found {
            tracing::warn!("{}: {problem} (it is not enabled)", file.display());
        }
    } else if !found.is_empty() {
        problems.extend(found);
        return;
    }
    configs.push(StepConfig { file: file.to_owned(), schema, data });
}

fn validate(schema: &SchemaKey, data: &Value, resolver: &Resolver) -> Vec<String> {
    if matches!(resolver.get(schema), Lookup::NotYet)
        && let Err(outage) = resolver.fetch(std::slice::from_ref(schema))
    {
        return vec![format!("{schema} cannot be looked up: {outage}")];
    }
    let found = match resolver.get(schema) {
        Lookup::Found(compiled) => Some(compiled),
        _ => None,
    };
    // Keys of an addition that this program does not know would be ignored in silence.
    let known = resolver.list(&format!("{}/{}/{}", schema.vendor(), schema.name(), schema.format()));
    let Some(compiled) = found.filter(|_| known.is_empty() || known.contains(schema)) else {
        let known: Vec<String> = known.iter().map(SchemaKey::version_text).collect();
        return vec![match known.is_empty() {
            true => format!("{schema} is the configuration of no known enrichment"),
            false => format!("{schema} is a version that is not known here; known are {}", known.join(", ")),
        }];
    };
    let text = data.to_string();
    match crate::event::json::parse(&text, MAX_DEPTH) {
        // The message names the place already.
        Ok(json) => compiled.validate(&json).into_iter().map(|report| report.message).collect(),
        Err(e) => vec![e.to_string()],
    }
}

/// Replaces `${NAME}` in every text by the environment variable of that name.
fn substitute(value: &mut Value, env: &dyn Fn(&str) -> Option<String>) -> Result<(), String> {
    match value {
        Value::String(text) => {
            let mut out = String::with_capacity(text.len());
            let mut rest = text.as_str();
            while let Some((before, after)) = rest.split_once("${") {
                let Some((name, after)) = after.split_once('}') else { break };
                let name = name.trim_start_matches('?');
                out.push_str(before);
                out.push_str(&env(name).ok_or_else(|| format!("${{{name}}}: there is no such environment variable"))?);
                rest = after;
            }
            out.push_str(rest);
            *text = out;
            Ok(())
        }
        Value::Array(items) => items.iter_mut().try_for_each(|v| substitute(v, env)),
        Value::Object(members) => members.values_mut().try_for_each(|v| substitute(v, env)),
        _ => Ok(()),
    }
}

/// Takes `#` and `//` comments out, but not inside texts.
fn without_comments(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut chars = text.chars().peekable();
    let (mut quoted, mut escaped) = (false, false);
    while let Some(c) = chars.next() {
        if quoted {
            quoted = escaped || c != '"';
            escaped = !escaped && c == '\\';
            out.push(c);
            continue;
        }
        if c == '#' || (c == '/' && chars.peek() == Some(&'/')) {
            while chars.next_if(|c| *c != '\n').is_some() {}
            continue;
        }
        quoted = c == '"';
        out.push(c);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_go_and_texts_stay() {
        let text = "{ # one\n \"a\": \"x//y # z\\\"\", // two\n \"b\": 1 }";
        let value: Value = serde_json::from_str(&without_comments(text)).unwrap();
        assert_eq!(value, serde_json::json!({"a": "x//y # z\"", "b": 1}));
    }

    #[test]
    fn environment_variables_stand_in_texts() {
        let mut value = serde_json::json!({"key": "k-${TOKEN}", "list": ["${TOKEN}"]});
        substitute(&mut value, &|name| (name == "TOKEN").then(|| "secret".to_owned())).unwrap();
        assert_eq!(value, serde_json::json!({"key": "k-secret", "list": ["secret"]}));
        assert!(substitute(&mut serde_json::json!("${NO}"), &|_| None).is_err());
    }
}
