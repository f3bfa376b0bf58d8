//! The verbs that ask a running instance.

use crate::harness::{Instance, Setup, binary, free_ports, http, page_view};
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

/// What a command printed, what it said, and its exit code.
fn told(command: &mut Command) -> (String, String, Option<i32>) {
    let out = command.output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (text(out.stdout), text(out.stderr), out.status.code())
}

#[test]
fn sql_prints_numbers_as_json_numbers_with_every_digit() {
    let dir = tempfile::tempdir().unwrap();
    let instance = Instance::start(dir.path(), &Setup::default());
    let query = format!("SELECT count(*) + 1164 AS n, 1.5::DECIMAL(5,2) AS d, {INTEGER} AS big FROM events");
    let (json, said, code) = told(&mut verb(&instance, &["sql", "--json", &query]));
    assert_eq!(code, Some(0), "{said}");
    assert!(json.contains(&format!("\"rows\":[[1164,1.50,{INTEGER}]]")), "{json}");
    let (lines, ..) = told(&mut verb(&instance, &["sql", "--format", "ndjson", &query]));
    assert_eq!(lines, format!("{{\"n\":1164,\"d\":1.50,\"big\":{INTEGER}}}\n"));
    let (csv, ..) = told(&mut verb(&instance, &["sql", "--format", "csv", &query]));
    assert_eq!(csv, format!("n,d,big\n1164,1.50,{INTEGER}\n"));
    let (table, ..) = told(&mut verb(&instance, &["sql", &query]));
    assert!(table.contains(&format!("1164  1.50  {INTEGER}\n")), "{table}");
}

#[test]
fn sql_says_when_rows_were_cut_and_by_which_limit() {
    let dir = tempfile::tempdir().unwrap();
    let setup = Setup::default().set("serving.sql_max_rows", "50").set("serving.sql_stream_max_rows", "3000");
    let instance = Instance::start(dir.path(), &setup);
    let rows = |n: u32| format!("SELECT i, 'x' || chr(10) || 'y' AS t FROM range({n}) r(i)");
    let (table, _, code) = told(&mut verb(&instance, &["sql", &rows(51)]));
    assert!(table.ends_with("(first 50 rows; more were cut: serving.sql_max_rows)\n"), "{table}");
    assert_eq!(code, Some(0));
    let (table, ..) = told(&mut verb(&instance, &["sql", &rows(50)]));
    assert!(table.ends_with("(50 rows)\n"), "{table}");
    for format in ["ndjson", "csv"] {
        let (whole, said, code) = told(&mut verb(&instance, &["sql", "--format", format, &rows(3000)]));
        assert_eq!(code, Some(0), "{format}: {said}");
        let (part, said, code) = told(&mut verb(&instance, &["sql", "--format", format, &rows(20_000)]));
        assert_eq!(code, Some(1), "{format}: {said}");
        assert!(said.contains("more than 3000 rows") && said.contains("serving.sql_stream_max_rows"), "{said}");
        assert_eq!(part, whole, "{format}: the rows up to the limit are printed");
    }
}

#[test]
fn a_wrong_question_is_told_from_a_failure_and_from_an_instance_that_refuses() {
    let dir = tempfile::tempdir().unwrap();
    let instance = Instance::start(dir.path(), &Setup::default().set("serving.tokens", "[\"a-token-of-the-list\"]"));
    for (args, expected, word) in [
        (vec!["replay", "--failed", "--schema", "nonsense"], 2, "nonsense"),
        (vec!["replay", "--failed", "--since", "yesterday"], 2, "yesterday"),
        (vec!["audit", "nonsense"], 2, "nonsense"),
        (vec!["sql", "SELECT nonsense FROM events"], 1, "nonsense"),
        (vec!["sql", "SELEC 1"], 1, "SELEC"),
    ] {
        let (_, said, code) = told(verb(&instance, &args).env("SNOWSHED_TOKEN", "a-token-of-the-list"));
        assert_eq!(code, Some(expected), "{args:?}: {said}");
        assert!(said.contains(word), "{args:?}: {said}");
    }
    for token in [None, Some("another-long-token")] {
        let (_, said, code) = told(verb(&instance, &["status"]).envs(token.map(|t| ("SNOWSHED_TOKEN", t))));
        assert_eq!(code, Some(4), "{said}");
        assert!(said.contains("Bearer") && said.contains("#token=") && said.contains("SNOWSHED_TOKEN"), "{said}");
    }
}

#[test]
fn a_verb_finds_the_instance_that_the_configuration_describes() {
    let dir = tempfile::tempdir().unwrap();
    let tokens = dir.path().join("tokens");
    std::fs::write(&tokens, "first-token-of-the-file\nsecond-token-of-the-file\n").unwrap();
    let (collector, serving) = free_ports();
    let at = format!("127.0.0.2:{serving}");
    let setup = Setup::default().set("serving.listen", &at).set("serving.token_file", &tokens.display().to_string());
    let mut instance = Instance::spawn(&dir.path().join("data"), collector, serving, &setup);
    instance.serving = at.parse().unwrap();
    instance.wait_ready(Duration::from_secs(60));
    let configured = || {
        let mut command = Command::new(binary());
        command.envs(setup.env.iter().map(|(k, v)| (k, v)));
        command
    };
    let (text, said, code) = told(configured().arg("status"));
    assert_eq!(code, Some(0), "{said}");
    assert!(text.contains("visible p99") && !text.contains("null"), "{text}");
    assert!(instance.stop());
    let log = instance.log.lock().unwrap().clone();
    assert!(log.contains(&format!("http://{at}/, which asks for a token")), "{log}");
    assert!(!log.contains("token-of-the-file"), "a log file holds no token: {log}");
    assert!(!log.contains('\x1b'), "a log file holds no colours: {log:?}");
}
