//! Failed events are repaired: a schema comes, they are replayed, and everybody counts them once.

use crate::harness::{Instance, Setup, binary, http, page_view};
use serde_json::{Value, json};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// Micro-batches that end within a second, and such that stay open.
fn quick() -> Setup {
    Setup::default().set("batch.max_age", "500ms")
}

fn slow() -> Setup {
    Setup::default().set("batch.max_age", "1h")
}

/// An event with a self-describing datum of this name.
pub fn described(name: &str) -> (String, Value) {
    let datum = json!({"schema": "iglu:com.snowplowanalytics.snowplow/unstruct_event/jsonschema/1-0-0",
        "data": {"schema": format!("iglu:com.acme/{name}/jsonschema/1-0-0"), "data": {"n": 1}}});
    page_view("shop", &[("e", "ue"), ("ue_pr", &datum.to_string())])
}

/// Two of these come with a schema that is not there yet, one of them twice; one comes with a schema that never is.
pub struct Sent {
    pub good: String,
    pub late: [String; 2],
    pub never: String,
}

pub fn send(instance: &Instance) -> Sent {
    let (good, event) = page_view("shop", &[]);
    let (first, late) = described("late");
    let (second, later) = described("late");
    let (never, lost) = described("never");
    for events in [vec![event, late.clone()], vec![late], vec![later], vec![lost]] {
        assert_eq!(instance.post(&events), 200);
    }
    Sent { good, late: [first, second], never }
}

fn schema(name: &str) -> Value {
    json!({
        "$schema": "http://iglucentral.com/schemas/com.snowplowanalytics.self-desc/schema/jsonschema/1-0-0#",
        "description": "What comes late", "self": {"vendor": "com.acme", "name": name, "format": "jsonschema", "version": "1-0-0"},
        "type": "object", "properties": {"n": {"type": "integer", "minimum": 0, "maximum": 10, "description": "n"}},
        "required": ["n"], "additionalProperties": false,
    })
}

pub fn put_schema(instance: &Instance, name: &str) {
    let schema = schema(name);
    let path = format!("/iglu/schemas/com.acme/{name}/jsonschema/1-0-0");
    let headers = ["content-type: application/json"];
    let (status, reply) = http(instance.serving, "PUT", &path, &headers, schema.to_string().as_bytes()).unwrap();
    assert_eq!(status, 201, "{}", String::from_utf8_lossy(&reply));
}

pub fn replay(instance: &Instance, more: &[&str]) -> Output {
    let url = format!("http://{}", instance.serving);
    Command::new(binary()).args(["replay", "--failed", "--url", &url]).args(more).output().unwrap()
}

pub fn summary(instance: &Instance, more: &[&str]) -> Value {
    let out = replay(instance, &[&["--json"], more].concat());
    let said = String::from_utf8_lossy(&out.stderr).into_owned();
    assert!(out.status.success(), "{more:?}: {said}\n{}", instance.log.lock().unwrap());
    serde_json::from_slice(&out.stdout).unwrap()
}

pub fn equation(status: &Value) -> [u64; 6] {
    assert_eq!(status["difference"], 0, "{status}");
    ["payload_events", "enriched", "failed", "duplicates", "dropped", "repaired"]
        .map(|name| status["equation"][name].as_u64().unwrap())
}

/// All answers: SQL, the view, the list of failures and the equation.
pub fn check(instance: &Instance, sent: &Sent, expected: [u64; 6], place: &str) {
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
        assert_eq!(out.status.code(), Some(2));
        assert!(String::from_utf8_lossy(&out.stderr).contains(word), "{more:?}: {out:?}");
    }
    let out = replay(&instance, &[]);
    assert!(out.status.success() && String::from_utf8_lossy(&out.stdout).contains("looked at         0"), "{out:?}");
}

/// Sends `records` requests of `each` events that need schema `name`, from four threads.
fn send_many(instance: &Instance, name: &str, records: usize, each: usize) {
    std::thread::scope(|scope| {
        for part in 0..4 {
            scope.spawn(move || {
                for _ in (part..records).step_by(4) {
                    let events: Vec<Value> = (0..each).map(|_| described(name).1).collect();
                    assert_eq!(instance.post(&events), 200);
                }
            });
        }
    });
}

#[test]
fn a_replay_that_is_cut_short_by_ctrl_c_leaves_whole_events_and_the_next_one_does_the_rest() {
    let dir = tempfile::tempdir().unwrap();
    let instance = Instance::start(dir.path(), &quick());
    let (records, each) = (1600, 3);
    let all = (records * each) as u64;
    send_many(&instance, "late", records, each);
    assert_eq!(equation(&instance.settle()), [all, 0, all, 0, 0, 0]);
    put_schema(&instance, "late");
    let url = format!("http://{}", instance.serving);
    let mut run = Command::new(binary())
        .args(["replay", "--failed", "--json", "--url", &url])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let repaired = || equation(&instance.status())[5];
    let end = Instant::now() + Duration::from_secs(60);
    while repaired() == 0 {
        assert!(Instant::now() < end, "the run does not begin");
    }
    let _ = Command::new("kill").args(["-INT", &run.id().to_string()]).status();
    assert!(!run.wait().unwrap().success());
    let end = Instant::now() + Duration::from_secs(60);
    let second = loop {
        let out = replay(&instance, &["--json"]);
        if out.status.success() {
            break serde_json::from_slice::<Value>(&out.stdout).unwrap();
        }
        assert!(Instant::now() < end && String::from_utf8_lossy(&out.stderr).contains("running"), "{out:?}");
    };
    let (now, before) = (second["repaired"].as_u64().unwrap(), second["already_repaired"].as_u64().unwrap());
    assert!(now > 0 && before > 0, "the first run was cut short in the middle: {second}");
    assert_eq!(now + before, all, "{second}");
    let expected = [all, all, 0, 0, 0, all];
    assert_eq!(equation(&instance.settle()), expected);
    assert_eq!(instance.count("SELECT count(DISTINCT event_id) FROM events"), all);
    assert_eq!(instance.count("SELECT count(*) FROM events"), all);
    let third = summary(&instance, &[]);
    assert_eq!((&third["looked_at"], &third["already_repaired"]), (&json!(0), &json!(all)), "{third}");
    assert!(instance.log.lock().unwrap().contains("whoever asked for it has left"));
}

/// A registry that gives 404 until it is told that it has the schema.
fn registry(schema: Value) -> (SocketAddr, Arc<AtomicBool>, Arc<AtomicU64>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let at = listener.local_addr().unwrap();
    let (has, asked) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
    let (told, counted) = (has.clone(), asked.clone());
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut head = Vec::new();
            let mut byte = [0];
            while !head.ends_with(b"\r\n\r\n") && stream.read(&mut byte).is_ok_and(|n| n == 1) {
                head.push(byte[0]);
            }
            let wanted = String::from_utf8_lossy(&head).contains("/com.acme/late/jsonschema/1-0-0");
            counted.fetch_add(u64::from(wanted), Ordering::SeqCst);
            let (status, body) = match wanted && told.load(Ordering::SeqCst) {
                true => ("200 OK", schema.to_string()),
                false => ("404 Not Found", String::new()),
            };
            let _ = write!(
                stream,
                "HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
                body.len()
            );
        }
    });
    (at, has, asked)
}

#[test]
fn a_schema_that_came_to_an_http_registry_after_it_was_asked_for_is_found_by_a_replay() {
    let dir = tempfile::tempdir().unwrap();
    let (at, has, asked) = registry(schema("late"));
    let config = dir.path().join("config.toml");
    let text = format!("[iglu]\nmissing_ttl = \"1h\"\nregistries = [{{ name = \"acme\", uri = \"http://{at}\" }}]\n");
    std::fs::write(&config, text).unwrap();
    let setup = Setup { config: Some(config), ..quick() };
    let instance = Instance::start(&dir.path().join("data"), &setup);
    let sent = send(&instance);
    assert_eq!(equation(&instance.settle()), [5, 1, 4, 0, 0, 0]);
    let before = asked.load(Ordering::SeqCst);
    assert!(before > 0);
    has.store(true, Ordering::SeqCst);
    // "Nobody has it" is believed for an hour: the pipeline itself does not ask again.
    let (_, event) = described("late");
    assert_eq!(instance.post(&[event]), 200);
    assert_eq!(equation(&instance.settle()), [6, 1, 5, 0, 0, 0]);
    assert_eq!(asked.load(Ordering::SeqCst), before);
    let done = summary(&instance, &[]);
    assert_eq!((&done["repaired"], &done["still_failing"]), (&json!(4), &json!(1)), "{done}");
    assert_eq!(asked.load(Ordering::SeqCst), before + 1, "once for all events");
    check(&instance, &sent, [6, 4, 1, 1, 0, 4], "after the replay");
    let (_, event) = described("late");
    assert_eq!(instance.post(&[event]), 200);
    assert_eq!(equation(&instance.settle())[1], 5, "the answer counts for the pipeline too");
}

#[test]
fn a_replay_that_the_journal_does_not_take_for_its_size_is_told_and_keeps_no_other_back() {
    let dir = tempfile::tempdir().unwrap();
    let wide = quick();
    let mut instance = Instance::start(dir.path(), &wide);
    let many: Vec<Value> = (0..200).map(|_| described("late").1).collect();
    assert_eq!(instance.post(&many), 200, "a large request");
    assert_eq!(instance.post(&[described("late").1]), 200);
    assert_eq!(equation(&instance.settle()), [201, 0, 201, 0, 0, 0]);
    put_schema(&instance, "late");
    instance.kill();
    let narrow = quick()
        .set("collector.limits.request_line_max", "4 KiB")
        .set("collector.limits.headers_max", "4 KiB")
        .set("collector.limits.record_max_bytes", "16 KiB")
        .set("collector.limits.payload_max_bytes", "16 KiB")
        .set("journal.max_record_bytes", "20 KiB");
    let mut instance = Instance::start(dir.path(), &narrow);
    let done = summary(&instance, &[]);
    assert_eq!(
        (&done["repaired"], &done["passing"], &done["still_failing"]),
        (&json!(1), &json!(1), &json!(200)),
        "{done}"
    );
    assert_eq!(done["causes"][0]["kind"], "not_replayable", "{done}");
    assert!(done["causes"][0]["message"].as_str().unwrap().contains("is more than the"), "{done}");
    assert_eq!(equation(&instance.settle()), [201, 1, 200, 0, 0, 1]);
    instance.kill();
    let instance = Instance::start(dir.path(), &wide);
    assert_eq!(summary(&instance, &[])["repaired"], 200, "it was not lost");
    assert_eq!(equation(&instance.settle()), [201, 201, 0, 0, 0, 201]);
}

#[test]
fn a_replay_waits_while_requests_fill_the_journals_queue() {
    let dir = tempfile::tempdir().unwrap();
    let setup = quick().set("journal.queue_requests", "1");
    let mut instance = Instance::start(dir.path(), &quick());
    send_many(&instance, "late", 300, 4);
    assert_eq!(equation(&instance.settle()), [1200, 0, 1200, 0, 0, 0]);
    put_schema(&instance, "late");
    instance.kill();
    let instance = Instance::start(dir.path(), &setup);
    let stop = AtomicBool::new(false);
    let accepted = AtomicU64::new(0);
    let refused = AtomicU64::new(0);
    let done = std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                while !stop.load(Ordering::SeqCst) {
                    let count = if instance.post(&[page_view("shop", &[]).1]) == 200 { &accepted } else { &refused };
                    count.fetch_add(1, Ordering::SeqCst);
                }
            });
        }
        while accepted.load(Ordering::SeqCst) < 50 {
            std::thread::sleep(Duration::from_millis(5));
        }
        let done = summary(&instance, &[]);
        stop.store(true, Ordering::SeqCst);
        done
    });
    assert_eq!(done["repaired"], 1200, "{done}");
    let good = accepted.load(Ordering::SeqCst);
    let now = equation(&instance.settle());
    assert_eq!((now[2], now[5]), (0, 1200), "{now:?}");
    assert!(now[1] >= good + 1200 && now[1] <= good + refused.load(Ordering::SeqCst) + 1200, "{now:?} {good}");
}

#[test]
fn a_question_for_a_schema_finds_failures_in_which_it_is_not_the_first_problem() {
    let dir = tempfile::tempdir().unwrap();
    let context = |name: &str| json!({"schema": format!("iglu:com.acme/{name}/jsonschema/1-0-0"), "data": {"n": 1}});
    let two = json!({"schema": "iglu:com.snowplowanalytics.snowplow/contexts/jsonschema/1-0-0",
        "data": [context("first"), context("second")]});
    let event = || page_view("shop", &[("co", &two.to_string()), ("page", "iglu:com.acme/third/jsonschema/1-0-0")]).1;
    let ask = |instance: &Instance, place: &str| {
        for (name, n) in [("first", 2), ("second", 2), ("third", 0)] {
            for version in ["1-0-0", "1-*-*", "*"] {
                let schema = format!("iglu:com.acme/{name}/jsonschema/{version}");
                let dry = summary(instance, &["--dry-run", "--schema", &schema]);
                assert_eq!(dry["looked_at"], n, "{place}: {schema}: {dry}");
            }
            let other = format!("iglu:com.acme/{name}/jsonschema/2-*-*");
            assert_eq!(summary(instance, &["--dry-run", "--schema", &other])["looked_at"], 0, "{place}: {other}");
        }
    };
    let mut instance = Instance::start(dir.path(), &slow());
    assert_eq!(instance.post(&[event(), event()]), 200);
    assert_eq!(equation(&instance.caught_up()), [2, 0, 2, 0, 0, 0]);
    ask(&instance, "in memory");
    instance.kill();
    let instance = Instance::start(dir.path(), &quick());
    instance.settle();
    ask(&instance, "committed");
    put_schema(&instance, "first");
    put_schema(&instance, "second");
    let done = summary(&instance, &["--schema", "iglu:com.acme/second/jsonschema/1-0-0"]);
    assert_eq!(done["repaired"], 2, "{done}");
}

/// Peak of resident memory since the start, in MiB.
fn peak_mib(instance: &Instance) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", instance.child.id())).unwrap();
    let line = status.lines().find_map(|l| l.strip_prefix("VmHWM:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() / 1024
}

/// Run alone, on a release build: `cargo test --release --test suite -- --ignored --nocapture throughput_of_a_replay`.
#[test]
#[ignore = "a measurement of minutes"]
fn throughput_of_a_replay() {
    for archived in [false, true] {
        let dir = tempfile::tempdir().unwrap();
        let setup = Setup::default().set("journal.segment_bytes", "8 MiB").set("journal.segment_age", "5s");
        let setup = if archived { setup.set("journal.retention", "0ms") } else { setup };
        let mut instance = Instance::start(dir.path(), &setup);
        let (records, each) = (6000, 10);
        let all = (records * each) as u64;
        send_many(&instance, "late", records, each);
        assert_eq!(equation(&instance.settle()), [all, 0, all, 0, 0, 0]);
        instance.kill();
        let instance = Instance::start(dir.path(), &setup);
        put_schema(&instance, "late");
        let end = Instant::now() + Duration::from_secs(120);
        while archived && instance.status()["journal_first"].as_u64() < Some(records as u64) {
            assert!(Instant::now() < end, "the records leave the journal: {}", instance.status());
            std::thread::sleep(Duration::from_millis(200));
        }
        for dry in [true, false] {
            let before = peak_mib(&instance);
            let begun = Instant::now();
            let done = summary(&instance, if dry { &["--dry-run"] } else { &[] });
            let time = begun.elapsed();
            assert_eq!((&done["passing"], &done["gone"]), (&json!(all), &json!(0)), "{done}");
            println!(
                "replay of {all} failures, from the {}{}: {:.1} s, {:.0} events/s; peak memory {before} MiB before, {} MiB after",
                if archived { "archive" } else { "journal" },
                if dry { ", dry run" } else { "" },
                time.as_secs_f64(),
                all as f64 / time.as_secs_f64(),
                peak_mib(&instance)
            );
        }
        assert_eq!(equation(&instance.settle()), [all, all, 0, 0, 0, all]);
    }
}
