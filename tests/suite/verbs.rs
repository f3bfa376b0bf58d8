//! The verbs that ask a running instance.

use crate::harness::{Instance, Setup, binary, http, page_view};
use serde_json::value::RawValue;
use serde_json::{Value, json};
use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

fn verb(instance: &Instance, args: &[&str]) -> Command {
    let mut command = Command::new(binary());
    command.args(args).arg("--url").arg(format!("http://{}", instance.serving));
    command
}

#[test]
fn sql_status_and_audit_print_what_the_instance_knows() {
    let dir = tempfile::tempdir().unwrap();
    let instance = Instance::start(dir.path(), &Setup::default());
    let (id, event) = page_view("shop", &[]);
    assert_eq!(instance.post(&[event]), 200);
    instance.caught_up();
    for (args, word) in [
        (vec!["sql", "SELECT app_id, count(*) FROM events GROUP BY 1"], "shop"),
        (vec!["status"], "1 enriched"),
        (vec!["audit", &id], id.as_str()),
    ] {
        let out = verb(&instance, &args).output().unwrap();
        let text = String::from_utf8_lossy(&out.stdout);
        assert!(out.status.success(), "{args:?}: {}", String::from_utf8_lossy(&out.stderr));
        assert!(text.contains(word), "{args:?}: {text}");
    }
    let wrong = verb(&instance, &["sql", "SELECT nonsense FROM events"]).output().unwrap();
    assert_eq!(wrong.status.code(), Some(1));
}

/// More than a double holds.
const INTEGER: &str = "9223372036854775807";
const DECIMAL: &str = "12345678901234567890.1234567890";

fn put_ledger(instance: &Instance) {
    let number = |kind: &str| json!({"type": kind, "description": "n"});
    let schema = json!({
        "$schema": "http://iglucentral.com/schemas/com.snowplowanalytics.self-desc/schema/jsonschema/1-0-0#",
        "description": "Sums", "self": {"vendor": "com.acme", "name": "ledger", "format": "jsonschema", "version": "1-0-0"},
        "type": "object", "properties": {"entry": number("integer"), "amount": number("number")},
        "required": ["entry"], "additionalProperties": false,
    });
    let headers = ["content-type: application/json"];
    let path = "/iglu/schemas/com.acme/ledger/jsonschema/1-0-0";
    let (status, reply) = http(instance.serving, "PUT", path, &headers, schema.to_string().as_bytes()).unwrap();
    assert_eq!(status, 201, "{}", String::from_utf8_lossy(&reply));
}

/// An event with these members in a self-describing datum, as text.
fn ledger(members: &str) -> (String, Value) {
    let datum = format!(
        "{{\"schema\":\"iglu:com.snowplowanalytics.snowplow/unstruct_event/jsonschema/1-0-0\",\
         \"data\":{{\"schema\":\"iglu:com.acme/ledger/jsonschema/1-0-0\",\"data\":{{{members}}}}}}}"
    );
    page_view("shop", &[("e", "ue"), ("ue_pr", &datum)])
}

#[test]
fn numbers_beyond_doubles_show_digit_for_digit() {
    let dir = tempfile::tempdir().unwrap();
    let mut instance = Instance::start(dir.path(), &Setup::default().set("batch.max_age", "1h"));
    put_ledger(&instance);
    let (good, event) = ledger(&format!("\"entry\":{INTEGER},\"amount\":{DECIMAL}"));
    let (bad, failing) = ledger(&format!("\"entry\":{DECIMAL},\"amount\":{INTEGER}"));
    assert_eq!(instance.post(&[event, failing]), 200);
    instance.caught_up();
    for place in ["in memory", "committed"] {
        for id in [&good, &bad] {
            let (status, reply) = http(instance.serving, "GET", &format!("/v1/events/{id}"), &[], b"").unwrap();
            let reply = String::from_utf8(reply).unwrap();
            assert_eq!(status, 200, "{place}: {reply}");
            let out = verb(&instance, &["audit", id]).output().unwrap();
            let printed = String::from_utf8(out.stdout).unwrap();
            for reply in [&reply, &printed] {
                shows_digits(place, reply, *id == good);
            }
        }
        let failed = http(instance.serving, "GET", "/v1/failed?examples=1", &[], b"").unwrap().1;
        let failed = String::from_utf8(failed).unwrap();
        assert!(failed.contains(DECIMAL) && failed.contains(INTEGER), "{place}: {failed}");
        let column = "SELECT unstruct_event_com_acme_ledger_1 AS sums FROM events";
        for format in ["table", "csv", "json"] {
            let out = verb(&instance, &["sql", column, "--format", format]).output().unwrap();
            let text = String::from_utf8_lossy(&out.stdout);
            // DuckDB's VARIANT makes a double of a decimal; whole numbers stay whole.
            assert!(text.contains(INTEGER), "{place}: {format}: {text}");
        }
        instance.kill();
        instance = Instance::start(dir.path(), &Setup::default().set("batch.max_age", "500ms"));
        instance.settle();
    }
}

/// Looks for the numbers where an audit tells them: in the outcome, and in the stored row.
fn shows_digits(place: &str, reply: &str, good: bool) {
    let audit: Audit<'_> = serde_json::from_str(reply).unwrap_or_else(|e| panic!("{place}: {e}: {reply}"));
    let outcome = audit.occurrences[0].outcome.get().replace('\\', "");
    // A failed event has no column of its own datum; its bad row has the text that was sent.
    let (entry, amount) = if good { (INTEGER, DECIMAL) } else { (DECIMAL, INTEGER) };
    for member in [format!("\"entry\":{entry}"), format!("\"amount\":{amount}")] {
        assert!(outcome.contains(&member), "{place}: {member}: {outcome}");
    }
    if good {
        let row = audit.rows[0].row.get();
        assert!(row.contains(&format!("\"entry\":{INTEGER}")), "{place}: {row}");
    }
}

#[derive(serde::Deserialize)]
struct Audit<'a> {
    #[serde(borrow)]
    occurrences: Vec<Occurrence<'a>>,
    #[serde(borrow)]
    rows: Vec<Row<'a>>,
}

#[derive(serde::Deserialize)]
struct Occurrence<'a> {
    #[serde(borrow)]
    outcome: &'a RawValue,
}

#[derive(serde::Deserialize)]
struct Row<'a> {
    #[serde(borrow)]
    row: &'a RawValue,
}

#[test]
fn tail_follows_good_and_failed_events_as_they_are_enriched() {
    let dir = tempfile::tempdir().unwrap();
    let instance = Instance::start(dir.path(), &Setup::default());
    for (flag, more) in [(None, vec![]), (Some("--failed"), vec![("vid", "first")])] {
        let mut command = verb(&instance, &["tail"]);
        let mut child = command.args(flag).stdout(Stdio::piped()).spawn().unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let (tx, rx) = std::sync::mpsc::channel();
        std::thread::spawn(move || lines.map_while(Result::ok).try_for_each(|line| tx.send(line)));
        // Sent until one is seen: the tail shows only what comes after it has connected.
        let end = Instant::now() + Duration::from_secs(20);
        let seen = loop {
            assert!(Instant::now() < end, "tail {flag:?} shows nothing");
            assert_eq!(instance.post(&[page_view("tailed", &more).1]), 200);
            if let Ok(line) = rx.recv_timeout(Duration::from_millis(500)) {
                break line;
            }
        };
        let _ = child.kill();
        let _ = child.wait();
        let row: Value = serde_json::from_str(&seen).unwrap_or_else(|e| panic!("{e}: {seen}"));
        assert!(row.is_object() && seen.contains("tailed"), "{seen}");
    }
}
