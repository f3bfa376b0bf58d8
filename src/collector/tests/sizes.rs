//! Sizes and splitting (specification §6.2, §6.3).

use super::harness::{Asked, Core};
use std::collections::BTreeSet;

const LIMITS: &str =
    "limits = { record_max_bytes = 10000, payload_max_bytes = 60000, request_line_max = 1024, headers_max = 1024 }";
const HEAD: &str = "POST /com.snowplowanalytics.snowplow/tp2 HTTP/1.1\nContent-Type: application/json";

fn post(body: &str) -> Asked {
    Core::new(LIMITS).post(HEAD, body.as_bytes())
}

fn envelope(events: &[String]) -> String {
    format!(
        r#"{{"schema":"iglu:com.snowplowanalytics.snowplow/payload_data/jsonschema/1-0-4","data":[{}]}}"#,
        events.join(",")
    )
}

fn event(n: usize, size: usize) -> String {
    let plain = format!(r#"{{"n":"{n:05}","x":""}}"#).len();
    format!(r#"{{"n":"{n:05}","x":"{}"}}"#, "x".repeat(size - plain))
}

fn violation(asked: &Asked, at: usize) -> (u64, u64) {
    let row = &asked.rows[at];
    assert_eq!(row["schema"], "iglu:com.snowplowanalytics.snowplow.badrows/size_violation/jsonschema/1-0-0");
    let failure = &row["data"]["failure"];
    assert!(failure["expectation"].as_str().unwrap().chars().count() <= 256);
    (failure["maximumAllowedSizeBytes"].as_u64().unwrap(), failure["actualSizeBytes"].as_u64().unwrap())
}

/// What the record of an empty body takes.
fn base() -> usize {
    post("").sizes[0]
}

#[test]
fn below_the_limit_nothing_is_touched() {
    let body = "x".repeat(10_000 - base() - 1);
    let asked = post(&body);
    assert_eq!(asked.sizes, [9_999]);
    assert_eq!(asked.payload().body.as_deref(), Some(body.as_bytes()));
    let at_limit = post(&format!("{body}x"));
    assert_eq!((at_limit.status, at_limit.payloads.len()), (200, 0));
    assert_eq!(violation(&at_limit, 0), (10_000, 10_000));
    assert!(at_limit.rows[0]["data"]["payload"].as_str().unwrap().chars().count() <= 1_000);
}

#[test]
fn a_batch_is_cut_and_every_event_is_in_exactly_one_part() {
    let events: Vec<String> = (0..60).map(|n| event(n, 700)).collect();
    let asked = post(&envelope(&events));
    assert!(asked.rows.is_empty() && asked.payloads.len() > 4);
    assert!(asked.sizes.iter().all(|&s| s <= 10_001), "{:?}", asked.sizes);
    let mut seen = Vec::new();
    for p in &asked.payloads {
        let body: serde_json::Value = serde_json::from_slice(p.body.as_deref().unwrap()).unwrap();
        assert_eq!(body["schema"], "iglu:com.snowplowanalytics.snowplow/payload_data/jsonschema/1-0-4");
        assert_eq!(body.as_object().unwrap().len(), 2);
        seen.extend(body["data"].as_array().unwrap().iter().map(|e| e["n"].as_str().unwrap().to_owned()));
        let rest = |p: &crate::event::payload::Payload| crate::event::payload::Payload { body: None, ..p.clone() };
        assert_eq!(rest(p), rest(&asked.payloads[0]), "all other fields are the same");
    }
    let wanted: Vec<String> = (0..60).map(|n| format!("{n:05}")).collect();
    assert_eq!(seen, wanted);
}

#[test]
fn the_cut_is_where_the_reference_cuts() {
    // S − D is the envelope without the array; L is what the events may take, a comma counted for each.
    let probe = envelope(&[]);
    let rest = base() + probe.len() - 2;
    let room = 10_000 - rest;
    let fits = event(1, room - 1);
    let asked = post(&envelope(&[fits.clone(), event(2, 5_000)]));
    assert_eq!((asked.payloads.len(), asked.rows.len()), (2, 0));
    assert_eq!(asked.sizes[0], 10_001, "a comma is counted for each event, and no brackets");
    let too_large = event(1, room);
    let asked = post(&envelope(&[too_large, event(2, 5_000)]));
    assert_eq!((asked.payloads.len(), asked.rows.len()), (1, 1));
    assert_eq!(violation(&asked, 0), (10_000, room as u64));
}

#[test]
fn what_cannot_be_cut_is_one_row() {
    let filler = "y".repeat(12_000);
    for body in [
        filler.clone(),
        format!("\"{filler}\""),
        format!(r#"{{"data":["{filler}"]}}"#),
        format!(r#"{{"schema":"iglu:nonsense","data":["{filler}"]}}"#),
        format!(r#"{{"schema":"iglu:a/b/jsonschema/1-0-0","data":{{"x":"{filler}"}}}}"#),
        format!(r#"{{"schema":"iglu:a/b/jsonschema/1-0-0","x":"{filler}","data":[1]}}"#),
        format!(r#"{{"schema":"iglu:a/b/jsonschema/1-0-0","x":"{filler}"}}"#),
        "[".repeat(12_000),
    ] {
        let asked = post(&body);
        assert_eq!((asked.status, asked.payloads.len(), asked.rows.len()), (200, 0, 1), "{}", &body[..40]);
        assert_eq!(violation(&asked, 0), (10_000, (base() + body.len()) as u64));
    }
    // Nothing to cut, and just at the limit: S - D is below it.
    let plain = r#"{"schema":"iglu:a/b/jsonschema/1-0-0","data":[],"x":""}"#;
    let body = plain.replace("\"x\":\"", &format!("\"x\":\"{}", "y".repeat(10_000 - base() - plain.len())));
    let asked = post(&body);
    assert_eq!((asked.payloads.len(), violation(&asked, 0)), (0, (10_000, 10_000)));
}

#[test]
fn odd_bytes_and_deep_events_do_not_spoil_a_batch() {
    let events: Vec<String> = (0..20).map(|n| event(n, 700)).collect();
    let deep = format!("{}1{}", "[".repeat(500), "]".repeat(500));
    for odd in [&b"\"caf\xe9\""[..], b"\"\xff\xff\xff\xff\"", deep.as_bytes()] {
        let (before, after) = events.split_at(10);
        let body = [
            envelope(before).strip_suffix("]}").unwrap().as_bytes(),
            b",",
            odd,
            b",",
            after.join(",").as_bytes(),
            b"]}",
        ]
        .concat();
        let asked = Core::new(LIMITS).post(HEAD, &body);
        assert!(asked.rows.is_empty() && asked.payloads.len() > 1, "{:?}", asked.rows);
        assert!(asked.sizes.iter().all(|&s| s <= 10_001), "{:?}", asked.sizes);
        let all: Vec<u8> = asked.payloads.iter().flat_map(|p| p.body.as_deref().unwrap()).copied().collect();
        let text = String::from_utf8(all).unwrap();
        assert!(
            (0..20).all(|n| text.matches(&format!("\"{n:05}\"")).count() == 1),
            "every event is in exactly one part"
        );
        assert!(text.contains(&*String::from_utf8_lossy(odd)), "the odd one too");
    }
}

#[test]
fn a_record_limit_below_every_head_makes_rows_of_requests_without_a_body() {
    let mut core = Core::new("limits = { record_max_bytes = 300 }");
    assert_eq!(core.ask("GET /i?e=pv HTTP/1.1").payloads.len(), 1);
    let asked = core.ask(&format!("GET /i?e=pv&x={} HTTP/1.1", "x".repeat(300)));
    assert_eq!((asked.status, asked.payloads.len(), violation(&asked, 0).0), (200, 0, 300));
}

#[test]
fn over_the_payload_limit_nothing_is_cut() {
    let events: Vec<String> = (0..100).map(|n| event(n, 700)).collect();
    let body = envelope(&events);
    let asked = post(&body);
    assert_eq!((asked.payloads.len(), asked.rows.len()), (0, 1));
    assert_eq!(violation(&asked, 0), (60_000, (base() + body.len()) as u64));
}

#[test]
fn events_too_large_by_themselves_are_rows_beside_the_rest() {
    let events = [event(1, 700), event(2, 12_000), event(3, 700), event(4, 15_000), event(5, 700)];
    let asked = post(&envelope(&events));
    assert_eq!((asked.payloads.len(), asked.rows.len()), (1, 2));
    let actual: BTreeSet<u64> = (0..2).map(|i| violation(&asked, i).1).collect();
    assert_eq!(actual, BTreeSet::from([12_000, 15_000]));
}
