//! Failed events are repaired: a schema comes, they are replayed, and everybody counts them once.

use crate::harness::{Instance, Setup, binary, http, page_view};
use serde_json::{Value, json};
use std::path::Path;
use std::process::{Command, Output};

/// Micro-batches that end within a second, and such that stay open.
fn quick() -> Setup {
    Setup::default().set("batch.max_age", "500ms")
}

fn slow() -> Setup {
    Setup::default().set("batch.max_age", "1h")
}

/// An event with a self-describing datum of this name.
fn described(name: &str) -> (String, Value) {
    let datum = json!({"schema": "iglu:com.snowplowanalytics.snowplow/unstruct_event/jsonschema/1-0-0",
        "data": {"schema": format!("iglu:com.acme/{name}/jsonschema/1-0-0"), "data": {"n": 1}}});
    page_view("shop", &[("e", "ue"), ("ue_pr", &datum.to_string())])
}

/// Two of these come with a schema that is not there yet, one of them twice; one comes with a schema that never is.
struct Sent {
    good: String,
    late: [String; 2],
    never: String,
}

fn send(instance: &Instance) -> Sent {
    let (good, event) = page_view("shop", &[]);
    let (first, late) = described("late");
    let (second, later) = described("late");
    let (never, lost) = described("never");
    for events in [vec![event, late.clone()], vec![late], vec![later], vec![lost]] {
        assert_eq!(instance.post(&events), 200);
    }
    Sent { good, late: [first, second], never }
}

fn put_schema(instance: &Instance, name: &str) {
    let schema = json!({
        "$schema": "http://iglucentral.com/schemas/com.snowplowanalytics.self-desc/schema/jsonschema/1-0-0#",
        "description": "What comes late", "self": {"vendor": "com.acme", "name": name, "format": "jsonschema", "version": "1-0-0"},
        "type": "object", "properties": {"n": {"type": "integer", "minimum": 0, "maximum": 10, "description": "n"}},
        "required": ["n"], "additionalProperties": false,
    });
    let path = format!("/iglu/schemas/com.acme/{name}/jsonschema/1-0-0");
    let headers = ["content-type: application/json"];
    let (status, reply) = http(instance.serving, "PUT", &path, &headers, schema.to_string().as_bytes()).unwrap();
    assert_eq!(status, 201, "{}", String::from_utf8_lossy(&reply));
}

fn replay(instance: &Instance, more: &[&str]) -> Output {
    let url = format!("http://{}", instance.serving);
    Command::new(binary()).args(["replay", "--failed", "--url", &url]).args(more).output().unwrap()
}

fn summary(instance: &Instance, more: &[&str]) -> Value {
    let out = replay(instance, &[&["--json"], more].concat());
    let said = String::from_utf8_lossy(&out.stderr).into_owned();
    assert!(out.status.success(), "{more:?}: {said}\n{}", instance.log.lock().unwrap());
    serde_json::from_slice(&out.stdout).unwrap()
}

fn equation(status: &Value) -> [u64; 6] {
    assert_eq!(status["difference"], 0, "{status}");
    ["payload_events", "enriched", "failed", "duplicates", "dropped", "repaired"]
        .map(|name| status["equation"][name].as_u64().unwrap())
}

/// All answers: SQL, the view, the list of failures and the equation.
fn check(instance: &Instance, sent: &Sent, expected: [u64; 6], place: &str) {
    let status = instance.caught_up();
    assert_eq!(equation(&status), expected, "{place}: {status}");
    for id in sent.late.iter().chain([&sent.good]) {
        let n = instance.count(&format!("SELECT count(*) FROM events WHERE event_id = '{id}'"));
        assert_eq!(n, 1, "{place}: event {id}");
    }
    assert_eq!(instance.count(&format!("SELECT count(*) FROM events WHERE event_id = '{}'", sent.never)), 0, "{place}");
    assert_eq!(instance.count("SELECT count(*) FROM events"), expected[1], "{place}");
    let view = instance.get("/v1/views/traffic?layer=merged&from=2020-01-01T00:00:00Z");
    let sum: u64 = view["rows"].as_array().unwrap().iter().map(|r| r["events"].as_u64().unwrap()).sum();
    assert_eq!(sum, expected[1], "{place}: the view");
    for path in ["/v1/failed?from=-1h", "/v1/failed?from=2020-01-01T00:00:00Z"] {
        let failed = instance.get(path);
        let list = failed["failed"].as_array().unwrap();
        let schemas: Vec<&str> = list.iter().filter_map(|f| f["schema"].as_str()).collect();
        assert_eq!(
            (failed["total"].as_u64(), schemas),
            (Some(1), vec!["iglu:com.acme/never/jsonschema/1-0-0"]),
            "{place}: {path}: {failed}"
        );
    }
}

fn restart(mut instance: Instance, data: &Path, setup: &Setup) -> Instance {
    instance.kill();
    drop(instance);
    Instance::start(data, setup)
}

#[test]
fn a_replayed_event_is_counted_once_before_and_after_commit_and_kill_9() {
    let dir = tempfile::tempdir().unwrap();
    let instance = Instance::start(dir.path(), &quick());
    let sent = send(&instance);
    assert_eq!(equation(&instance.settle()), [5, 1, 4, 0, 0, 0]);
    let instance = restart(instance, dir.path(), &slow());
    let nothing = summary(&instance, &["--dry-run"]);
    assert_eq!((&nothing["passing"], &nothing["still_failing"]), (&json!(0), &json!(4)), "{nothing}");
    put_schema(&instance, "late");

    let before = instance.status()["journal_end"].clone();
    let dry = summary(&instance, &["--dry-run"]);
    assert_eq!(dry["dry_run"], true);
    assert_eq!((&dry["looked_at"], &dry["passing"], &dry["repaired"]), (&json!(4), &json!(3), &json!(0)), "{dry}");
    assert_eq!(dry["causes"][0]["schema"], "iglu:com.acme/never/jsonschema/1-0-0", "{dry}");
    let status = instance.caught_up();
    assert_eq!((&status["journal_end"], equation(&status)), (&before, [5, 1, 4, 0, 0, 0]), "a dry run changes nothing");
    let other = summary(&instance, &["--schema", "iglu:com.acme/other/jsonschema/*"]);
    assert_eq!(other["looked_at"], 0, "{other}");

    let done = summary(&instance, &["--schema", "iglu:com.acme/late/jsonschema/1-*-*", "--since", "1h"]);
    assert_eq!(
        (&done["looked_at"], &done["repaired"], &done["still_failing"]),
        (&json!(3), &json!(3), &json!(0)),
        "{done}"
    );
    let expected = [5, 3, 1, 1, 0, 3];
    check(&instance, &sent, expected, "in memory");
    let audit = instance.get(&format!("/v1/events/{}", sent.late[0]));
    assert_eq!(audit["occurrences"][0]["outcome"]["repairs"], "0.1", "{audit}");
    let instance = restart(instance, dir.path(), &slow());
    check(&instance, &sent, expected, "in memory, after kill -9");
    let again = summary(&instance, &[]);
    assert_eq!(
        (&again["looked_at"], &again["repaired"], &again["already_repaired"]),
        (&json!(1), &json!(0), &json!(3)),
        "{again}"
    );
    let instance = restart(instance, dir.path(), &quick());
    instance.settle();
    check(&instance, &sent, expected, "committed");
    let end = instance.status()["journal_end"].clone();
    let again = summary(&instance, &[]);
    assert_eq!(
        (&again["looked_at"], &again["repaired"], &again["already_repaired"]),
        (&json!(1), &json!(0), &json!(3)),
        "{again}"
    );
    assert_eq!(instance.caught_up()["journal_end"], end, "a second replay changes nothing");
    check(&instance, &sent, expected, "after a second replay");
    let instance = restart(instance, dir.path(), &quick());
    check(&instance, &sent, expected, "committed, after kill -9");

    assert_eq!(instance.count("SELECT count(*) FROM atomic.bad_rows WHERE repaired_at IS NOT NULL"), 3);
    assert_eq!(instance.count("SELECT count(*) FROM snowshed.repairs"), 3);
    let standing = instance
        .sql("SELECT event_id FROM atomic.events_failed ANTI JOIN snowshed.repairs USING (event_id, load_tstamp)");
    assert_eq!(standing, [[json!(sent.never)]], "the incomplete events of repaired failures can be told apart");
    let cat = Command::new(binary()).args(["journal", "cat", "--data"]).arg(dir.path()).output().unwrap();
    let lines = String::from_utf8(cat.stdout).unwrap();
    let replays: Vec<Value> =
        lines.lines().map(|l| serde_json::from_str::<Value>(l).unwrap()).filter(|l| l["replay"].is_object()).collect();
    assert_eq!(replays.len(), 3, "{lines}");
    assert_eq!((&replays[0]["replay"]["offset"], &replays[0]["replay"]["indexes"]), (&json!(0), &json!([1])));
    assert!(replays[0]["replay"]["payload"]["body"].as_str().unwrap().contains("payload_data"));
}

#[test]
fn a_failure_that_a_crash_took_back_is_not_repaired_a_second_time() {
    let dir = tempfile::tempdir().unwrap();
    let instance = Instance::start(dir.path(), &slow());
    let sent = send(&instance);
    assert_eq!(equation(&instance.caught_up()), [5, 1, 4, 0, 0, 0]);
    put_schema(&instance, "late");
    let done = summary(&instance, &[]);
    assert_eq!((&done["looked_at"], &done["repaired"]), (&json!(4), &json!(3)), "failures in memory: {done}");
    check(&instance, &sent, [5, 3, 1, 1, 0, 3], "in memory");
    // Nothing was committed: the events themselves are enriched again, and pass.
    let instance = restart(instance, dir.path(), &slow());
    check(&instance, &sent, [5, 3, 1, 1, 0, 0], "after kill -9");
    let again = summary(&instance, &[]);
    assert_eq!((&again["looked_at"], &again["repaired"]), (&json!(1), &json!(0)), "{again}");
    let instance = restart(instance, dir.path(), &quick());
    instance.settle();
    check(&instance, &sent, [5, 3, 1, 1, 0, 0], "committed");
}

#[test]
fn a_replay_without_an_instance_or_with_a_wrong_question_says_so() {
    let none = Command::new(binary()).args(["replay", "--failed", "--url", "http://127.0.0.1:9"]).output().unwrap();
    assert_eq!(none.status.code(), Some(4));
    assert!(String::from_utf8_lossy(&none.stderr).contains("no instance answers"));
    let dir = tempfile::tempdir().unwrap();
    let instance = Instance::start(dir.path(), &quick());
    for (more, word) in [(["--since", "yesterday"], "2h"), (["--schema", "cart"], "1-*-*")] {
        let out = replay(&instance, &more);
        assert_eq!(out.status.code(), Some(1));
        assert!(String::from_utf8_lossy(&out.stderr).contains(word), "{more:?}: {out:?}");
    }
    let out = replay(&instance, &[]);
    assert!(out.status.success() && String::from_utf8_lossy(&out.stdout).contains("looked at         0"), "{out:?}");
}
