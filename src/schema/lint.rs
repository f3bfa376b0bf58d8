//! What is wrong with an uploaded schema, and what could be better.
//!
//! Refused is what would make every event fail or mean something else than its author thinks: no JSON, a wrong name, a broken
//! rule of draft-04 or of self-describing schemas, rules that no data can keep. The rest (no length limit for a warehouse, no
//! description, keywords that this draft does not know) is a warning.

use super::validator::{MAX_SCHEMA_DEPTH, Validator, is_draft04_keyword, is_known_format, number_above};
use crate::event::SchemaKey;
use crate::event::json::{Json, JsonError, parse};
use serde::Serialize;
use std::fmt;

/// Most findings of each kind.
const MAX_FINDINGS: usize = 100;
/// Address of the metaschema of self-describing schemas, without its empty fragment.
const SELF_DESCRIBING: &str = "iglucentral.com/schemas/com.snowplowanalytics.self-desc/schema/jsonschema/1-0-0";

/// One thing that the linter found.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Finding {
    /// Where in the document: `$.self.vendor`.
    pub path: String,
    /// What is wrong, and what is right.
    pub message: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.path, self.message)
    }
}

/// A schema that was stored.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Stored {
    /// False when the same document was there before.
    pub created: bool,
    /// What could be better.
    pub warnings: Vec<Finding>,
}

/// Checks the text of a schema that is to be published under `key`; gives the warnings.
///
/// # Errors
/// Everything that makes it unfit, in the order in which it was found.
pub fn lint(key: &SchemaKey, text: &str) -> Result<Vec<Finding>, Vec<Finding>> {
    let mut lint = Lint::default();
    match parse(text, MAX_SCHEMA_DEPTH) {
        Err(e) => lint.error("$", format!("is no JSON: {}", place_of(text, &e))),
        Ok(document) if document.as_object().is_none() => lint.error("$", "must be a JSON object".to_owned()),
        Ok(document) => {
            lint.envelope(key, &document);
            match Validator::compile(&document) {
                Err(issues) => {
                    for issue in issues {
                        let message =
                            issue.message.strip_prefix(&format!("{}: ", issue.path)).unwrap_or(&issue.message);
                        lint.error(&issue.path, message.to_owned());
                    }
                }
                Ok(_) => {
                    lint.schema("$", &document);
                    lint.root(&document);
                }
            }
        }
    }
    if lint.errors.is_empty() { Ok(lint.warnings) } else { Err(lint.errors) }
}

fn place_of(text: &str, e: &JsonError) -> String {
    let before = text.get(..e.at()).unwrap_or(text);
    let line = before.matches('\n').count() + 1;
    let column = before.chars().rev().take_while(|c| *c != '\n').count() + 1;
    format!("{e} (line {line}, column {column})")
}

#[derive(Default)]
struct Lint {
    errors: Vec<Finding>,
    warnings: Vec<Finding>,
}

impl Lint {
    fn error(&mut self, path: &str, message: String) {
        if self.errors.len() < MAX_FINDINGS {
            self.errors.push(Finding { path: path.to_owned(), message });
        }
    }

    fn warn(&mut self, path: &str, message: String) {
        if self.warnings.len() < MAX_FINDINGS {
            self.warnings.push(Finding { path: path.to_owned(), message });
        }
    }

    /// `$schema` and `self`.
    fn envelope(&mut self, key: &SchemaKey, document: &Json) {
        let address = document.get("$schema").and_then(Json::as_str).unwrap_or("");
        let bare = address.trim_start_matches("https://").trim_start_matches("http://");
        if bare.strip_suffix('#').unwrap_or(bare) != SELF_DESCRIBING {
            self.error("$.$schema", format!("is \"{address}\", must be \"http://{SELF_DESCRIBING}#\""));
        }
        let Some(own) = document.get("self").filter(|s| s.as_object().is_some()) else {
            self.error("$.self", "is missing; it must be an object with vendor, name, format and version".to_owned());
            return;
        };
        for (field, wanted) in [
            ("vendor", key.vendor().to_owned()),
            ("name", key.name().to_owned()),
            ("format", key.format().to_owned()),
            ("version", key.version_text()),
        ] {
            let path = format!("$.self.{field}");
            match own.get(field).and_then(Json::as_str) {
                None => self.error(&path, format!("is missing or no text; here it must be \"{wanted}\"")),
                Some(found) if found != wanted => {
                    self.error(&path, format!("is \"{found}\", but the schema is published as \"{wanted}\""));
                }
                Some(_) => {}
            }
        }
        for (extra, _) in own
            .as_object()
            .unwrap_or(&[])
            .iter()
            .filter(|(k, _)| !matches!(k.as_ref(), "vendor" | "name" | "format" | "version"))
        {
            self.error(&format!("$.self.{extra}"), "is no part of a schema's name".to_owned());
        }
        if key.format() != "jsonschema" {
            self.error("$.self.format", format!("is \"{}\"; only \"jsonschema\" is understood", key.format()));
        }
        self.superseding(key, document);
    }

    fn superseding(&mut self, key: &SchemaKey, document: &Json) {
        let read = |v: &Json| v.as_str().and_then(|v| crate::event::schema_key::parse_version(v).ok());
        if let Some(by) = document.get("$supersededBy")
            && read(by).is_none_or(|v| v <= key.version())
        {
            self.error("$.$supersededBy", "must be a version above the schema's own, such as \"1-0-3\"".to_owned());
        }
        if let Some(list) = document.get("$supersedes") {
            let good = list.as_array().is_some_and(|l| l.iter().all(|v| read(v).is_some_and(|v| v < key.version())));
            if !good {
                self.error("$.$supersedes", "must be a list of versions below the schema's own".to_owned());
            }
        }
    }

    fn root(&mut self, document: &Json) {
        if document.get("type").and_then(Json::as_str) != Some("object") {
            self.warn("$.type", "is not \"object\"; events and contexts are objects".to_owned());
        }
        if document.get("description").is_none() {
            self.warn("$.description", "is missing; it is what people see who use the schema".to_owned());
        }
        if document.get("additionalProperties") != Some(&Json::Bool(false)) {
            self.warn("$.additionalProperties", "is not false; misspelled properties will pass unseen".to_owned());
        }
    }

    /// One schema object and those inside it. The document's depth is bounded, so the recursion is.
    fn schema(&mut self, path: &str, schema: &Json) {
        let Some(members) = schema.as_object() else { return };
        for (keyword, _) in members {
            let envelope = path == "$" && matches!(keyword.as_ref(), "self" | "$supersedes" | "$supersededBy");
            if !envelope && !is_draft04_keyword(keyword) {
                self.warn(&format!("{path}.{keyword}"), "is no keyword of draft-04 and has no effect".to_owned());
            }
        }
        self.reference(path, schema);
        self.bounds(path, schema);
        self.types(path, schema);
        self.required(path, schema);
        for (keyword, value) in members {
            let at = format!("{path}.{keyword}");
            match (keyword.as_ref(), value) {
                ("properties" | "patternProperties" | "definitions" | "dependencies", Json::Object(inner)) => {
                    inner.iter().for_each(|(name, s)| self.schema(&format!("{at}.{name}"), s));
                }
                ("items" | "allOf" | "anyOf" | "oneOf", Json::Array(inner)) => {
                    inner.iter().enumerate().for_each(|(i, s)| self.schema(&format!("{at}[{i}]"), s));
                }
                ("items" | "additionalItems" | "additionalProperties" | "not", inner @ Json::Object(_)) => {
                    self.schema(&at, inner);
                }
                _ => {}
            }
        }
    }

    fn reference(&mut self, path: &str, schema: &Json) {
        if let Some(target) = schema.get("$ref").and_then(Json::as_str)
            && !target.starts_with('#')
        {
            self.warn(&format!("{path}.$ref"), format!("\"{target}\" is another document, which accepts everything"));
        }
        if let Some(format) = schema.get("format").and_then(Json::as_str)
            && !is_known_format(format)
        {
            self.warn(&format!("{path}.format"), format!("\"{format}\" is not checked"));
        }
    }

    /// Limits that no value can keep.
    fn bounds(&mut self, path: &str, schema: &Json) {
        for (low, high) in [
            ("minimum", "maximum"),
            ("minLength", "maxLength"),
            ("minItems", "maxItems"),
            ("minProperties", "maxProperties"),
        ] {
            if let (Some(Json::Number(a)), Some(Json::Number(b))) = (schema.get(low), schema.get(high))
                && number_above(a, b)
            {
                self.error(&format!("{path}.{low}"), format!("is {a}, above {high} {b}: no value can pass"));
            }
        }
    }

    fn types(&mut self, path: &str, schema: &Json) {
        let allows = |name: &str| match schema.get("type") {
            Some(Json::String(t)) => t == name,
            Some(Json::Array(list)) => list.iter().any(|t| t.as_str() == Some(name)),
            _ => false,
        };
        let has = |key: &str| schema.get(key).is_some();
        let typed = has("type");
        for (needs, keywords) in [
            ("string", &["minLength", "maxLength", "pattern", "format"][..]),
            ("array", &["items", "minItems", "maxItems", "uniqueItems"][..]),
            ("object", &["properties", "required", "additionalProperties", "minProperties", "maxProperties"][..]),
        ] {
            for keyword in keywords.iter().filter(|k| typed && has(k) && !allows(needs)) {
                self.warn(&format!("{path}.{keyword}"), format!("has no effect, because the type allows no {needs}"));
            }
        }
        if allows("string") && !has("maxLength") && !has("enum") && !has("format") {
            let what = "a warehouse with fixed column widths has to guess; add maxLength, enum or format";
            self.warn(&format!("{path}.maxLength"), format!("is missing: {what}"));
        }
        if allows("integer") && !has("enum") && !(has("minimum") && has("maximum")) {
            self.warn(
                &format!("{path}.maximum"),
                "minimum or maximum is missing: any size of integer passes".to_owned(),
            );
        }
        if !typed && !["enum", "$ref", "allOf", "anyOf", "oneOf", "not"].iter().any(|k| has(k)) && path != "$" {
            self.warn(&format!("{path}.type"), "is missing: every type passes".to_owned());
        }
    }

    fn required(&mut self, path: &str, schema: &Json) {
        let listed = schema.get("properties");
        let closed =
            schema.get("additionalProperties") == Some(&Json::Bool(false)) && schema.get("patternProperties").is_none();
        for name in schema.get("required").and_then(Json::as_array).unwrap_or(&[]).iter().filter_map(Json::as_str) {
            if listed.and_then(|p| p.get(name)).is_some() {
                continue;
            }
            let at = format!("{path}.required");
            if closed {
                self.error(
                    &at,
                    format!("asks for \"{name}\", which additionalProperties false forbids: no value can pass"),
                );
            } else {
                self.warn(&at, format!("asks for \"{name}\", which properties does not describe"));
            }
        }
    }
}
