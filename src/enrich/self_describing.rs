//! The self-describing columns: envelopes taken apart, every item checked against its schema.
//!
//! The first error of an envelope stops it; items of a contexts envelope are judged one by one, and the good ones are kept.
//! What passes is written again under the envelope versions 1-0-0 (event) and 1-0-1 (contexts), whatever came.

use super::failure::{Problem, Source, Violation};
use super::schemas::{Passed, Schemas, code};
use crate::event::json::{self, Json};
use crate::event::{SchemaKey, SelfDescribing};
use crate::schema::Lookup;
use std::sync::LazyLock;

const UNSTRUCT_CRITERION: &str = "iglu:com.snowplowanalytics.snowplow/unstruct_event/jsonschema/1-0-*";
const CONTEXTS_CRITERION: &str = "iglu:com.snowplowanalytics.snowplow/contexts/jsonschema/1-0-*";
/// Envelopes whose schemas are known by heart: well-formed ones need no validator.
const PLAIN_UNSTRUCT: &str = "iglu:com.snowplowanalytics.snowplow/unstruct_event/jsonschema/1-0-0";
const PLAIN_CONTEXTS: [&str; 2] = [
    "iglu:com.snowplowanalytics.snowplow/contexts/jsonschema/1-0-0",
    "iglu:com.snowplowanalytics.snowplow/contexts/jsonschema/1-0-1",
];

static VALIDATION_INFO: LazyLock<SchemaKey> =
    LazyLock::new(|| SchemaKey::new("com.snowplowanalytics.iglu", "validation_info", "jsonschema", (1, 0, 0)));

/// Takes apart and checks the self-describing data of one event.
pub(super) struct Inspector<'s, 'r> {
    schemas: &'s Schemas<'r>,
    max_depth: usize,
    /// (schema named, schema applied) of superseded ones, each pair once.
    superseded: Vec<(SchemaKey, SchemaKey)>,
    text: String,
}

impl<'s, 'r> Inspector<'s, 'r> {
    pub fn new(schemas: &'s Schemas<'r>, max_depth: usize) -> Self {
        Inspector { schemas, max_depth, superseded: Vec::new(), text: String::new() }
    }

    /// The contexts that tell which schemas were superseded.
    pub fn validation_infos(&self) -> Vec<SelfDescribing> {
        let info = |(original, applied): &(SchemaKey, SchemaKey)| SelfDescribing {
            schema: VALIDATION_INFO.clone(),
            data: format!("{{\"originalSchema\":\"{original}\",\"validatedWith\":\"{}\"}}", applied.version_text())
                .into(),
        };
        self.superseded.iter().map(info).collect()
    }

    /// Reads a self-describing event.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn unstruct(&mut self, text: &str) -> Result<SelfDescribing, Violation> {
        let at = Source::Unstruct;
        let (uri, data) = self.open(text, at)?;
        let criterion = Criterion { text: UNSTRUCT_CRITERION, name: "unstruct_event" };
        self.envelope(&uri, &data, criterion, uri == PLAIN_UNSTRUCT && is_plain_item(&data), at)?;
        self.item(data, at)
    }

    /// Reads contexts: the good ones are appended to `good`, what is wrong to `bad`.
    pub fn contexts(&mut self, text: &str, good: &mut Vec<SelfDescribing>, bad: &mut Vec<Violation>) {
        let at = Source::Contexts;
        let checked = self.open(text, at).and_then(|(uri, data)| {
            let criterion = Criterion { text: CONTEXTS_CRITERION, name: "contexts" };
            let items = data.as_array().unwrap_or_default();
            let plain = match PLAIN_CONTEXTS.iter().position(|p| *p == uri) {
                Some(0) => !items.is_empty() && items.iter().all(is_plain_item),
                Some(_) => matches!(data, Json::Array(_)) && items.iter().all(is_plain_item),
                None => false,
            };
            self.envelope(&uri, &data, criterion, plain, at)?;
            Ok(data)
        });
        match checked {
            Ok(Json::Array(items)) => {
                good.reserve(items.len());
                for item in items {
                    match self.item(item, at) {
                        Ok(datum) => good.push(datum),
                        Err(violation) => bad.push(violation),
                    }
                }
            }
            Ok(other) => bad.push(not_iglu(&other, "INVALID_DATA_PAYLOAD", at)),
            Err(violation) => bad.push(violation),
        }
    }

    /// Checks what enrichments added; what does not pass is dropped and told.
    pub fn derived(&mut self, added: Vec<SelfDescribing>, bad: &mut Vec<Violation>) -> Vec<SelfDescribing> {
        let at = Source::Derived;
        let mut good = Vec::with_capacity(added.len() + 1);
        for datum in added {
            match json::parse(&datum.data, self.max_depth) {
                Err(e) => bad.push(not_json(&datum.data, &e, at)),
                Ok(data) => match self.schemas.check_key(&datum.schema, &data) {
                    Ok(passed) => {
                        self.text.clear();
                        data.write(&mut self.text);
                        let text = if self.text == *datum.data { datum.data } else { self.text.as_str().into() };
                        let schema = self.note(passed);
                        good.push(SelfDescribing { schema, data: text });
                    }
                    Err(problem) => bad.push(Violation { problem, source: at, data: Some(data.to_text()) }),
                },
            }
        }
        good
    }

    /// Parses an envelope and gives its schema and data.
    fn open<'t>(&self, text: &'t str, at: Source) -> Result<(String, Json<'t>), Violation> {
        let json = json::parse(text, self.max_depth).map_err(|e| not_json(text, &e, at))?;
        match split(json) {
            Ok((uri, data)) => Ok((uri.into_owned(), data)),
            Err(json) => Err(not_iglu(&json, "INVALID_DATA_PAYLOAD", at)),
        }
    }

    fn envelope(
        &mut self,
        uri: &str,
        data: &Json<'_>,
        criterion: Criterion,
        plain: bool,
        at: Source,
    ) -> Result<(), Violation> {
        if plain {
            return Ok(());
        }
        let whole = || {
            let mut out = String::from("{\"schema\":");
            json::write_string(uri, &mut out);
            out.push_str(",\"data\":");
            data.write(&mut out);
            out.push('}');
            out
        };
        let (key, lookup) = self.schemas.look_up(uri).map_err(|e| Violation {
            problem: Problem::NotIglu { json: whole(), error: code(e) },
            source: at,
            data: None,
        })?;
        if !criterion.admits(&key) {
            let problem = Problem::Criterion { key, criterion: criterion.text };
            return Err(Violation { problem, source: at, data: Some(data.to_text()) });
        }
        match self.schemas.check(key, lookup, data) {
            // An envelope never changes its version, whatever supersedes its schema.
            Ok(_) => Ok(()),
            Err(problem) => Err(Violation { problem, source: at, data: Some(data.to_text()) }),
        }
    }

    /// One self-describing item: its data checked and written compactly.
    fn item(&mut self, item: Json<'_>, at: Source) -> Result<SelfDescribing, Violation> {
        let (uri, data) = split(item).map_err(|json| not_iglu(&json, "INVALID_DATA_PAYLOAD", at))?;
        let (key, lookup): (SchemaKey, Lookup) = match self.schemas.look_up(&uri) {
            Ok(found) => found,
            Err(e) => {
                let whole = Json::Object(vec![("schema".into(), Json::String(uri)), ("data".into(), data)]);
                return Err(not_iglu(&whole, code(e), at));
            }
        };
        match self.schemas.check(key, lookup, &data) {
            Ok(passed) => {
                self.text.clear();
                data.write(&mut self.text);
                let schema = self.note(passed);
                Ok(SelfDescribing { schema, data: self.text.as_str().into() })
            }
            Err(problem) => Err(Violation { problem, source: at, data: Some(data.to_text()) }),
        }
    }

    fn note(&mut self, passed: Passed) -> SchemaKey {
        if let Some(original) = passed.original {
            let pair = (original, passed.schema.clone());
            if !self.superseded.contains(&pair) {
                self.superseded.push(pair);
            }
        }
        passed.schema
    }
}

#[derive(Clone, Copy)]
struct Criterion {
    text: &'static str,
    name: &'static str,
}

impl Criterion {
    fn admits(self, key: &SchemaKey) -> bool {
        let (model, revision, _) = key.version();
        key.vendor() == "com.snowplowanalytics.snowplow"
            && key.name() == self.name
            && key.format() == "jsonschema"
            && (model, revision) == (1, 0)
    }
}

type Item<'t> = (std::borrow::Cow<'t, str>, Json<'t>);

/// Schema URI and data of a self-describing object; anything else comes back.
fn split(json: Json<'_>) -> Result<Item<'_>, Json<'_>> {
    let Json::Object(mut members) = json else { return Err(json) };
    let schema = members.iter().position(|(k, v)| k == "schema" && matches!(v, Json::String(_)));
    let data = members.iter().position(|(k, _)| k == "data");
    let (Some(schema), Some(data)) = (schema, data) else { return Err(Json::Object(members)) };
    let data = std::mem::replace(&mut members[data].1, Json::Null); // both are positions in `members`
    match std::mem::replace(&mut members[schema].1, Json::Null) {
        Json::String(uri) => Ok((uri, data)),
        _ => Err(Json::Object(members)),
    }
}

/// An object of exactly a schema URI and data: what the envelope schemas ask of each item.
fn is_plain_item(item: &Json<'_>) -> bool {
    let Json::Object(members) = item else { return false };
    members.len() == 2
        && members.iter().any(|(k, _)| k == "data")
        && members.iter().any(|(k, v)| k == "schema" && v.as_str().is_some_and(is_uri_shape))
}

/// `^iglu:[a-zA-Z0-9-_.]+/[a-zA-Z0-9-_]+/[a-zA-Z0-9-_]+/[0-9]+-[0-9]+-[0-9]+$`
fn is_uri_shape(uri: &str) -> bool {
    let Some(path) = uri.strip_prefix("iglu:") else { return false };
    let mut parts = path.split('/');
    let word = |part: Option<&str>, dots: bool| {
        part.is_some_and(|p| {
            !p.is_empty()
                && p.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_' || (dots && b == b'.'))
        })
    };
    let number = |p: &str| !p.is_empty() && p.bytes().all(|b| b.is_ascii_digit());
    word(parts.next(), true)
        && word(parts.next(), false)
        && word(parts.next(), false)
        && parts.next().is_some_and(|v| v.split('-').count() == 3 && v.split('-').all(number))
        && parts.next().is_none()
}

fn not_json(text: &str, error: &json::JsonError, at: Source) -> Violation {
    let problem = Problem::NotJson { field: at.name().into(), value: Some(text.to_owned()), error: error.to_string() };
    Violation { problem, source: at, data: None }
}

fn not_iglu(json: &Json<'_>, error: &'static str, at: Source) -> Violation {
    Violation { problem: Problem::NotIglu { json: json.to_text(), error }, source: at, data: None }
}
