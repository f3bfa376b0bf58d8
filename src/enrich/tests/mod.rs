//! The whole core against the facts sheet, section by section: requests in, outcomes out.

mod adapters;
mod attack;
mod enrichments;
mod failures;
mod fuzz;
mod loader;
mod output;
mod property;
mod replay;
mod sdk;
mod self_describing;
mod stage;
mod steps;

use super::*;
use crate::event::columns::COLUMNS;
use crate::event::outcome::{Failure, Outcome, Processed};
use crate::event::{BadRowKind, Event, Offset, Payload, payload, thrift, tsv};
use crate::journal::RecordKind;
use crate::schema;
use bytes::{Bytes, BytesMut};
use serde_json::Value;

pub(super) const ETL: i64 = 1_709_979_631_456;
pub(super) const RECEIVED: i64 = 1_709_979_630_000;
pub(super) const TP2: &str = "/com.snowplowanalytics.snowplow/tp2";
pub(super) const EID: &str = "c6ef3124-b53a-4b13-a233-0088f79dcbcb";

/// Schemas of the tests, beside those that are built in.
const OWN: &[(&str, &str)] = &[
    (
        "com.acme/click/jsonschema/1-0-0",
        r#"{"type":"object","properties":{"id":{"type":"integer"},"t":{"type":["string","null"],"maxLength":5},"x":{}},"required":["id"],"additionalProperties":false}"#,
    ),
    ("com.acme/any/jsonschema/1-0-0", r#"{"type":"object"}"#),
    ("com.acme/old/jsonschema/1-0-0", r#"{"$supersededBy":"1-0-2","type":"object","required":["never"]}"#),
    ("com.acme/old/jsonschema/1-0-2", r#"{"type":"object","properties":{"n":{"type":"integer"}}}"#),
    ("com.acme/faulty/jsonschema/1-0-0", r#"{"type":5}"#),
];

pub(super) struct Kit {
    pub enricher: Enricher,
    pub resolver: std::sync::Arc<Resolver>,
    _folder: tempfile::TempDir,
}

pub(super) fn kit() -> Kit {
    kit_with(Config::default(), Steps::always_on())
}

pub(super) fn kit_with(config: Config, steps: Steps) -> Kit {
    let folder = tempfile::tempdir().unwrap();
    for (path, body) in OWN {
        let file = folder.path().join(path);
        std::fs::create_dir_all(file.parent().unwrap()).unwrap();
        let mut parts = path.split('/');
        let (vendor, name, format, version) =
            (parts.next().unwrap(), parts.next().unwrap(), parts.next().unwrap(), parts.next().unwrap());
        let own = format!(
            "{{\"$schema\":\"http://iglucentral.com/schemas/com.snowplowanalytics.self-desc/schema/jsonschema/1-0-0#\",\"self\":{{\"vendor\":\"{vendor}\",\"name\":\"{name}\",\"format\":\"{format}\",\"version\":\"{version}\"}},{}",
            &body[1..]
        );
        std::fs::write(file, own).unwrap();
    }
    let iglu = schema::Config { path: vec![folder.path().to_owned()], ..schema::Config::default() };
    let resolver = schema::build(&iglu, None, &Metrics::new()).unwrap();
    let enricher = Enricher::new(&config, steps, resolver.clone(), uuid::Uuid::nil()).unwrap();
    Kit { enricher, resolver, _folder: folder }
}

pub(super) fn request(path: &str, query: &str) -> Payload {
    Payload {
        ip: Bytes::from_static(b"10.0.0.1"),
        timestamp_ms: RECEIVED,
        encoding: Bytes::from_static(b"UTF-8"),
        collector: Bytes::from_static(b"snowshed-0.1.0"),
        user_agent: Some(Bytes::from_static(b"Mozilla/5.0")),
        path: Some(Bytes::copy_from_slice(path.as_bytes())),
        querystring: Some(Bytes::copy_from_slice(query.as_bytes())),
        headers: vec![Bytes::from_static(b"Host: c.test"), Bytes::from_static(b"X-Forwarded-For: 1.2.3.4")],
        hostname: Some(Bytes::from_static(b"c.test")),
        network_user_id: Some(Bytes::from_static(b"11111111-1111-4111-8111-111111111111")),
        schema: Bytes::from_static(payload::SCHEMA.as_bytes()),
        ..Payload::default()
    }
}

pub(super) fn record(payload: &Payload) -> Bytes {
    let mut out = BytesMut::new();
    thrift::encode(payload, &mut out);
    out.freeze()
}

impl Kit {
    pub fn run(&self, payload: &Payload) -> Vec<Processed> {
        self.record(RecordKind::Payload, &record(payload))
    }

    pub fn record(&self, kind: RecordKind, body: &Bytes) -> Vec<Processed> {
        self.enricher.process(Offset(7), kind, body, ETL).unwrap().items
    }

    pub fn get(&self, query: &str) -> Vec<Processed> {
        self.run(&request("/i", query))
    }

    /// The one event of a GET that succeeds.
    pub fn event(&self, query: &str) -> Event {
        match self.get(query).remove(0).outcome {
            Outcome::Enriched(event) => *event,
            other => panic!("{query}: {other:?}"),
        }
    }

    /// The one failure of a GET that fails.
    pub fn failure(&self, query: &str) -> Failure {
        failed(self.get(query))
    }

    pub fn post(&self, path: &str, kind: Option<&str>, body: &str, query: &str) -> Vec<Processed> {
        let mut p = request(path, query);
        p.content_type = kind.map(|k| Bytes::copy_from_slice(k.as_bytes()));
        p.body = Some(Bytes::copy_from_slice(body.as_bytes()));
        self.run(&p)
    }

    /// Events given as JSON objects, in a payload_data envelope.
    pub fn tp2(&self, events: &str) -> Vec<Processed> {
        self.post(TP2, Some("application/json; charset=utf-8"), &payload_data(events), "")
    }
}

pub(super) fn payload_data(events: &str) -> String {
    format!(r#"{{"schema":"iglu:com.snowplowanalytics.snowplow/payload_data/jsonschema/1-0-4","data":[{events}]}}"#)
}

pub(super) fn failed(mut items: Vec<Processed>) -> Failure {
    assert_eq!(items.len(), 1, "{items:?}");
    match items.remove(0).outcome {
        Outcome::Failed(failure) => *failure,
        other => panic!("{other:?}"),
    }
}

pub(super) fn enriched(items: Vec<Processed>) -> Vec<Event> {
    items
        .into_iter()
        .map(|p| match p.outcome {
            Outcome::Enriched(event) => *event,
            other => panic!("{other:?}"),
        })
        .collect()
}

/// The cell of a column by its name, as TSV text.
pub(super) fn cell(event: &Event, name: &str) -> String {
    let mut out = String::new();
    tsv::write_cell(event, COLUMNS.iter().position(|c| c.name == name).unwrap(), &mut out);
    out
}

pub(super) fn json(failure: &Failure) -> Value {
    serde_json::from_str(&failure.bad_row).unwrap_or_else(|e| panic!("{e}: {}", failure.bad_row))
}

/// `field` of each message of a bad row.
pub(super) fn fields(failure: &Failure) -> Vec<String> {
    let row = json(failure);
    let messages = row["data"]["failure"]["messages"].as_array().unwrap().clone();
    messages.iter().map(|m| m["field"].as_str().unwrap_or("-").to_owned()).collect()
}

pub(super) fn kind(failure: &Failure) -> BadRowKind {
    failure.cause.kind
}

/// Percent-encodes everything but letters and digits.
pub(super) fn enc(text: &str) -> String {
    percent_encoding::utf8_percent_encode(text, percent_encoding::NON_ALPHANUMERIC).to_string()
}

pub(super) fn contexts(items: &str) -> String {
    format!(r#"{{"schema":"iglu:com.snowplowanalytics.snowplow/contexts/jsonschema/1-0-0","data":[{items}]}}"#)
}

pub(super) fn unstruct(item: &str) -> String {
    format!(r#"{{"schema":"iglu:com.snowplowanalytics.snowplow/unstruct_event/jsonschema/1-0-0","data":{item}}}"#)
}

pub(super) fn click(data: &str) -> String {
    format!(r#"{{"schema":"iglu:com.acme/click/jsonschema/1-0-0","data":{data}}}"#)
}
