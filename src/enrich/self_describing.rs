//! The self-describing columns: envelopes taken apart, every item checked against its schema.
//!
//! The first error of an envelope stops it; items of a contexts envelope are judged one by one, and the good ones are kept.
//! What passes is written again under the envelope versions 1-0-0 (event) and 1-0-1 (contexts), whatever came.

use super::failure::{Problem, Source, Violation};
use super::passed;
use super::schemas::{Passed, Schemas, code};
use crate::event::json::{self, Json, Pull};
use crate::event::{SchemaKey, SelfDescribing};
use crate::schema::Lookup;
use std::borrow::Cow;
use std::sync::LazyLock;

const UNSTRUCT_CRITERION: &str = "iglu:com.snowplowanalytics.snowplow/unstruct_event/jsonschema/1-0-*";
const CONTEXTS_CRITERION: &str = "iglu:com.snowplowanalytics.snowplow/contexts/jsonschema/1-0-*";
/// Envelopes whose schemas are known by heart: well-formed ones are read without a tree and without the validator.
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
}

impl<'s, 'r> Inspector<'s, 'r> {
    pub fn new(schemas: &'s Schemas<'r>, max_depth: usize) -> Self {
        Inspector { schemas, max_depth, superseded: Vec::new() }
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
        if let Some(item) = quick_unstruct(text, self.max_depth) {
            return self.item(item, at);
        }
        let (uri, data) = self.open(text, at)?;
        let criterion = Criterion { text: UNSTRUCT_CRITERION, name: "unstruct_event" };
        self.envelope(&uri, &data, criterion, at)?;
        self.item(split_item(data, at)?, at)
    }

    /// Reads contexts: the good ones are appended to `good`, what is wrong to `bad`.
    pub fn contexts(&mut self, text: &str, good: &mut Vec<SelfDescribing>, bad: &mut Vec<Violation>) {
        let at = Source::Contexts;
        if let Some(items) = quick_contexts(text, self.max_depth) {
            good.reserve_exact(items.len());
            for item in items {
                match self.item(item, at) {
                    Ok(datum) => good.push(datum),
                    Err(violation) => bad.push(violation),
                }
            }
            return;
        }
        let checked = self.open(text, at).and_then(|(uri, data)| {
            let criterion = Criterion { text: CONTEXTS_CRITERION, name: "contexts" };
            self.envelope(&uri, &data, criterion, at)?;
            Ok(data)
        });
        match checked {
            Ok(Json::Array(items)) => {
                good.reserve(items.len());
                for item in items {
                    match split_item(item, at).and_then(|item| self.item(item, at)) {
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
            let lookup = self.schemas.get(&datum.schema);
            let schema = match &lookup {
                Lookup::Found(schema) if passed::knows(schema, &datum.data) => {
                    good.push(datum);
                    continue;
                }
                Lookup::Found(schema) => Some(schema.clone()),
                _ => None,
            };
            let value = match json::parse_value(&datum.data, self.max_depth) {
                Ok(value) => value,
                Err(e) => {
                    bad.push(not_json(&datum.data, &e, at));
                    continue;
                }
            };
            match self.schemas.check(datum.schema, lookup, &value.json) {
                Ok(passed) => {
                    let plain = value.compact && value.text.len() == datum.data.len();
                    if let Some(schema) = schema.filter(|_| plain && passed.original.is_none()) {
                        passed::remember(&schema, &datum.data);
                    }
                    let data = if plain { datum.data.clone() } else { value.json.to_text().into() };
                    good.push(SelfDescribing { schema: self.note(passed), data });
                }
                Err(problem) => bad.push(Violation { problem, source: at, data: Some(value.json.to_text()) }),
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

    fn envelope(&mut self, uri: &str, data: &Json<'_>, criterion: Criterion, at: Source) -> Result<(), Violation> {
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
    fn item(&mut self, item: Item<'_>, at: Source) -> Result<SelfDescribing, Violation> {
        let Item { uri, data, text } = item;
        let (key, lookup) = match self.schemas.look_up(&uri) {
            Ok(found) => found,
            Err(e) => {
                let whole = Json::Object(vec![("schema".into(), Json::String(uri)), ("data".into(), data)]);
                return Err(not_iglu(&whole, code(e), at));
            }
        };
        match self.schemas.check(key, lookup, &data) {
            Ok(passed) => Ok(SelfDescribing {
                schema: self.note(passed),
                data: text.map_or_else(|| data.to_text().into(), Into::into),
            }),
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

/// A self-describing item, not yet checked.
struct Item<'t> {
    uri: Cow<'t, str>,
    data: Json<'t>,
    /// The text of `data`, when it is compact as it stands.
    text: Option<&'t str>,
}

fn split_item(json: Json<'_>, at: Source) -> Result<Item<'_>, Violation> {
    match split(json) {
        Ok((uri, data)) => Ok(Item { uri, data, text: None }),
        Err(json) => Err(not_iglu(&json, "INVALID_DATA_PAYLOAD", at)),
    }
}

/// `"name":`
fn key(pull: &mut Pull<'_>, name: &str) -> bool {
    pull.string().is_some_and(|k| k == name) && pull.take(b':')
}

/// An object of exactly a schema URI and data, in this order.
fn quick_item<'t>(pull: &mut Pull<'t>, level: usize) -> Option<Item<'t>> {
    if !(pull.take(b'{') && key(pull, "schema")) {
        return None;
    }
    let uri = pull.string().filter(|uri| is_uri_shape(uri))?;
    if !(pull.take(b',') && key(pull, "data")) {
        return None;
    }
    let value = pull.value(level + 1)?;
    pull.take(b'}').then_some(Item { uri, data: value.json, text: value.compact.then_some(value.text) })
}

/// The item of a self-describing event whose envelope is as usual; anything else takes the general way.
fn quick_unstruct(text: &str, max_depth: usize) -> Option<Item<'_>> {
    let mut pull = Pull::new(text, max_depth);
    let opened = pull.take(b'{') && key(&mut pull, "schema") && pull.string()? == PLAIN_UNSTRUCT;
    if !(opened && pull.take(b',') && key(&mut pull, "data")) {
        return None;
    }
    let item = quick_item(&mut pull, 2)?;
    (pull.take(b'}') && pull.is_done()).then_some(item)
}

/// The items of contexts whose envelope is as usual; anything else takes the general way.
fn quick_contexts(text: &str, max_depth: usize) -> Option<Vec<Item<'_>>> {
    let mut pull = Pull::new(text, max_depth);
    let opened = pull.take(b'{') && key(&mut pull, "schema") && PLAIN_CONTEXTS.contains(&&*pull.string()?);
    if !(opened && pull.take(b',') && key(&mut pull, "data") && pull.take(b'[')) {
        return None;
    }
    let mut items = Vec::with_capacity(4);
    loop {
        items.push(quick_item(&mut pull, 3)?);
        if !pull.take(b',') {
            break;
        }
    }
    (pull.take(b']') && pull.take(b'}') && pull.is_done()).then_some(items)
}

/// Schema URI and data of a self-describing object; anything else comes back.
fn split(json: Json<'_>) -> Result<(Cow<'_, str>, Json<'_>), Json<'_>> {
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

/// `^iglu:[a-zA-Z0-9-_.]+/[a-zA-Z0-9-_]+/[a-zA-Z0-9-_]+/[0-9]+-[0-9]+-[0-9]+$`
fn is_uri_shape(uri: &str) -> bool {
    let Some(path) = uri.strip_prefix("iglu:") else { return false };
    let (mut part, mut length, mut dashes) = (0, 0, 0);
    for b in path.bytes() {
        match b {
            b'/' if part < 3 && length > 0 => {
                part += 1;
                length = 0;
                continue;
            }
            b'-' if part == 3 && length > 0 && dashes < 2 => {
                dashes += 1;
                length = 0;
                continue;
            }
            b'0'..=b'9' => {}
            b'.' if part == 0 => {}
            b'a'..=b'z' | b'A'..=b'Z' | b'-' | b'_' if part < 3 => {}
            _ => return false,
        }
        length += 1;
    }
    part == 3 && dashes == 2 && length > 0
}

fn not_json(text: &str, error: &json::JsonError, at: Source) -> Violation {
    let problem = Problem::NotJson { field: at.name().into(), value: Some(text.to_owned()), error: error.to_string() };
    Violation { problem, source: at, data: None }
}

fn not_iglu(json: &Json<'_>, error: &'static str, at: Source) -> Violation {
    Violation { problem: Problem::NotIglu { json: json.to_text(), error }, source: at, data: None }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_shape_of_a_uri_is_that_of_the_envelope_schemas() {
        let pattern =
            regex::Regex::new("^iglu:[a-zA-Z0-9_.-]+/[a-zA-Z0-9_-]+/[a-zA-Z0-9_-]+/[0-9]+-[0-9]+-[0-9]+$").unwrap();
        let parts = ["iglu:", "a", "com.acme-x_y", "/", "-", "1", "0", ".", "", "ü", "1-0-2", "-1"];
        let mut seed = 7u64;
        let mut hits = 0;
        for _ in 0..200_000 {
            let mut text = String::from("iglu:com.a/b/");
            for _ in 0..(seed >> 60) {
                seed = seed.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
                text.push_str(parts[(seed >> 33) as usize % parts.len()]);
            }
            seed = seed.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
            assert_eq!(is_uri_shape(&text), pattern.is_match(&text), "{text}");
            hits += usize::from(is_uri_shape(&text));
        }
        assert!(hits > 10);
        assert!(
            is_uri_shape("iglu:a.b/c/d/1-0-0")
                && !is_uri_shape("iglu:a/b.c/d/1-0-0")
                && !is_uri_shape("http:a/b/c/1-0-0")
        );
    }
}
