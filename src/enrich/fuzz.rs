//! What must hold for every input: the bodies of the fuzz targets (`fuzz/`), which the unit tests run over the corpus too.
//!
//! Each takes bytes and panics when an invariant is broken. Compiled for tests and for `cargo fuzz` only.

use super::config::Config;
use super::enricher::Enricher;
use super::steps::{StepConfig, Steps};
use super::uri::Uri;
use crate::event::json::{self, Json};
use crate::event::{Event, Failure, Offset, Outcome, Payload, SchemaKey, payload, sdk_json, thrift, tsv};
use crate::journal::RecordKind;
use crate::schema::{self, CompiledSchema, Lookup, Resolver};
use crate::telemetry::Metrics;
use bytes::{Bytes, BytesMut};
use std::sync::{Arc, OnceLock};

/// Parts the pieces of an input; never a byte of UTF-8.
const BREAK: u8 = 0xFF;
const AT: i64 = 1_709_979_631_456;
const MAX_DEPTH: usize = 40;

/// What cannot fail, or must not: a failure is the finding.
fn must<T, E: std::fmt::Debug>(result: Result<T, E>, of: &str) -> T {
    match result {
        Ok(value) => value,
        Err(e) => broken(&format!("{e:?}: {of}")),
    }
}

fn broken(what: &str) -> ! {
    // The fuzzer takes a panic for a finding.
    panic!("{what}")
}

struct Core {
    enricher: Enricher,
    resolver: Arc<Resolver>,
    schemas: Vec<SchemaKey>,
}

/// Every step that needs no outside data, switched on.
const STEPS: [(&str, &str); 7] = [
    (
        "com.snowplowanalytics.snowplow/event_fingerprint_config/jsonschema/1-0-1",
        r#"{"hashAlgorithm":"SHA256","excludeParameters":["eid","nuid","stm","cv"]}"#,
    ),
    ("com.snowplowanalytics.snowplow/cookie_extractor_config/jsonschema/1-0-0", r#"{"cookies":["sp","a",""]}"#),
    (
        "com.snowplowanalytics.snowplow.enrichments/http_header_extractor_config/jsonschema/1-0-0",
        r#"{"headersPattern":"(?!cookie).*"}"#,
    ),
    ("com.snowplowanalytics.snowplow/anon_ip/jsonschema/1-0-1", r#"{"anonOctets":2,"anonSegments":3}"#),
    (
        "com.snowplowanalytics.snowplow/campaign_attribution/jsonschema/1-0-1",
        r#"{"fields":{"mktMedium":["utm_medium"],"mktSource":["utm_source"],"mktTerm":["utm_term"],"mktContent":["utm_content"],"mktCampaign":["utm_campaign"]}}"#,
    ),
    (
        "com.snowplowanalytics.snowplow/referer_parser/jsonschema/2-0-0",
        r#"{"internalDomains":["a.test"],"database":"referers.json","uri":"embedded:"}"#,
    ),
    ("com.snowplowanalytics.snowplow.enrichments/cross_navigation_config/jsonschema/1-0-0", "null"),
];

pub(super) fn steps() -> Steps {
    let config = |(path, parameters): &(&str, &str)| {
        let schema = must(SchemaKey::parse_path(path), path);
        let parameters: serde_json::Value = serde_json::from_str(parameters).unwrap_or_default();
        let data = serde_json::json!({"vendor": schema.vendor(), "name": schema.name(), "enabled": true, "parameters": parameters});
        StepConfig { file: path.into(), schema, data }
    };
    let configs: Vec<StepConfig> = STEPS.iter().map(config).collect();
    must(Steps::from_configs(&configs), "the configurations above")
}

fn core() -> &'static Core {
    static CORE: OnceLock<Core> = OnceLock::new();
    CORE.get_or_init(|| {
        // No registry and no folder: every look-up ends in memory.
        let resolver = must(schema::build(&schema::Config::default(), None, &Metrics::new()), "without folders");
        let enricher = Enricher::new(&Config::default(), steps(), resolver.clone(), uuid::Uuid::nil());
        let schemas = resolver.list("");
        Core { enricher: must(enricher, "the default configuration"), resolver, schemas }
    })
}

/// A journal record, or a request in pieces: the first byte says which and by which path it came.
pub fn payload(data: &[u8]) {
    let Some((first, rest)) = data.split_first() else { return };
    let (kind, record) = match first % 8 {
        7 => (RecordKind::Payload, Bytes::copy_from_slice(rest)),
        6 => (RecordKind::BadRow, Bytes::copy_from_slice(rest)),
        path => (RecordKind::Payload, request(path, rest)),
    };
    let run = || must(core().enricher.process(Offset(7), kind, &record, AT), "no registry").items;
    let items = run();
    assert!(!items.is_empty(), "a record without an outcome");
    for (i, item) in items.iter().enumerate() {
        assert_eq!(item.addr.index as usize, i);
        match &item.outcome {
            Outcome::Enriched(event) => good(event),
            Outcome::Failed(failure) => bad(failure, kind),
            other => broken(&format!("{other:?}")),
        }
    }
    assert_eq!(items, run(), "the same record gave something else");
}

/// Query string, body, content type, user agent, referer, then headers.
fn request(path: u8, data: &[u8]) -> Bytes {
    let paths = [
        "/i",
        "/com.snowplowanalytics.snowplow/tp2",
        "/com.snowplowanalytics.snowplow/tp1",
        "/r/tp2",
        "/com.snowplowanalytics.iglu/v1",
        "/ice.png",
    ];
    let mut pieces = data.split(|b| *b == BREAK);
    let mut next = || pieces.next().map(Bytes::copy_from_slice).filter(|p| !p.is_empty());
    let (querystring, body, content_type, user_agent, referer) = (next(), next(), next(), next(), next());
    let payload = Payload {
        ip: Bytes::from_static(b"10.0.0.1"),
        timestamp_ms: AT - 1000,
        encoding: Bytes::from_static(b"UTF-8"),
        collector: Bytes::from_static(b"snowshed-0.1.0"),
        path: paths.get(usize::from(path)).map(|p| Bytes::from_static(p.as_bytes())),
        content_type: content_type.or_else(|| body.as_ref().map(|_| Bytes::from_static(b"application/json"))),
        querystring,
        body,
        user_agent,
        referer,
        headers: pieces.map(Bytes::copy_from_slice).collect(),
        schema: Bytes::from_static(payload::SCHEMA.as_bytes()),
        ..Payload::default()
    };
    let mut out = BytesMut::new();
    thrift::encode(&payload, &mut out);
    out.freeze()
}

/// A good event is a line of 131 cells that reads back the same, and a JSON object.
fn good(event: &Event) {
    let line = tsv::line(event);
    assert_eq!(line.split('\t').count(), 131, "{line}");
    assert!(!line.contains('\n') && line.len() <= tsv::longest(event), "{line}");
    let back = must(tsv::read(&line), &line);
    assert_eq!(tsv::line(&back), line);
    shown(event);
}

/// Numbers may be longer than a double: they stay as they were sent, and not every reader of JSON takes them.
fn shown(event: &Event) {
    let text = sdk_json::text(event, sdk_json::Form::Lossless);
    let json = must(json::parse(&text, 200), &text);
    assert!(json.as_object().is_some_and(|members| members.len() == 131), "{text}");
    let text = sdk_json::text(event, sdk_json::Form::Lossy);
    must(json::parse(&text, 200), &text);
}

/// A bad row passes its own schema; an incomplete event is a line like any other.
fn bad(failure: &Failure, kind: RecordKind) {
    if kind == RecordKind::Payload {
        assert_ne!(failure.cause.kind, crate::event::BadRowKind::GenericError, "{}", failure.bad_row);
        let row = must(json::parse(&failure.bad_row, 200), &failure.bad_row);
        let uri = row.get("schema").and_then(Json::as_str).unwrap_or_default();
        let key = must(SchemaKey::parse(uri), uri);
        let problems = compiled(&key).validate(row.get("data").unwrap_or(&Json::Null));
        assert!(problems.is_empty(), "{problems:?}: {}", failure.bad_row);
    }
    if let Some(event) = &failure.incomplete {
        assert_eq!(tsv::line(event).split('\t').count(), 131);
        shown(event);
    }
}

fn compiled(key: &SchemaKey) -> Arc<CompiledSchema> {
    let resolver = &core().resolver;
    if matches!(resolver.get(key), Lookup::NotYet) {
        must(resolver.fetch(std::slice::from_ref(key)), "no registry");
    }
    match resolver.get(key) {
        Lookup::Found(schema) => schema,
        other => broken(&format!("{key}: {other:?}")),
    }
}

/// JSON text: read and written it stays the same; as data of a built-in schema, both answers of the validator agree. A break
/// in it: a schema document, then data.
pub fn self_describing(data: &[u8]) {
    let Some((first, rest)) = data.split_first() else { return };
    let mut pieces = rest.splitn(2, |b| *b == BREAK);
    let (Some(Ok(text)), second) = (pieces.next().map(std::str::from_utf8), pieces.next()) else { return };
    let Ok(json) = json::parse(text, MAX_DEPTH) else {
        assert!(
            serde_json::from_str::<serde_json::Value>(text).is_err() || deep(text),
            "a reader of JSON differs: {text}"
        );
        return;
    };
    let once = json.to_text();
    let again = must(json::parse(&once, MAX_DEPTH), &once);
    assert_eq!(again.to_text(), once);
    match second {
        Some(data) => {
            let key = SchemaKey::new("com.acme", "x", "jsonschema", (1, 0, 0));
            let schema = CompiledSchema::compile(key, &json);
            if let Ok(data) = std::str::from_utf8(data)
                && let Ok(data) = json::parse(data, MAX_DEPTH)
            {
                agree(&schema, &data);
            }
        }
        None => {
            let schemas = &core().schemas;
            let wide = usize::from(*first) * 4 + once.len() % 4;
            if let Some(key) = schemas.get(wide % schemas.len().max(1)) {
                agree(&compiled(key), &json);
            }
            event_of(&once);
        }
    }
}

fn agree(schema: &CompiledSchema, data: &Json<'_>) {
    assert_eq!(schema.is_valid(data), schema.validate(data).is_empty(), "{}", data.to_text());
}

/// Whether a text may be refused for its depth alone, or for a number or an escape that the other reader takes.
fn deep(text: &str) -> bool {
    text.bytes().filter(|b| matches!(b, b'[' | b'{')).count() >= MAX_DEPTH - 1
}

/// The text as both self-describing parameters of one event.
fn event_of(text: &str) {
    let encode = |t: &str| percent_encoding::utf8_percent_encode(t, percent_encoding::NON_ALPHANUMERIC).to_string();
    let text = encode(text);
    payload(&[&[0], format!("e=ue&p=web&tv=t&ue_pr={text}&co={text}").as_bytes()].concat());
}

/// A URL: what was read reads the same again, in the same parts.
pub fn uri(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    if let Ok(uri) = Uri::parse(text) {
        let again = must(Uri::parse(uri.text()), text);
        assert_eq!(again, uri.clone().into_owned());
        assert!(!uri.text().contains([' ', '\t', '\n']), "{text:?}");
    }
}

/// A line: what can be read is written as a line of 131 cells that reads the same, and as JSON.
pub fn line(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    if let Ok(event) = tsv::read(text) {
        let line = tsv::line(&event);
        assert_eq!(line.split('\t').count(), 131);
        let again = must(tsv::read(&line), &line);
        assert_eq!(tsv::line(&again), line);
        shown(&event);
    }
}
