//! What happens while the lake or the room for requests is away: answers stay exact, memory stays bounded, and the status
//! says what is full.

use crate::harness::{Instance, Setup, http, page_view};
use serde_json::{Value, json};
use std::net::TcpStream;
use std::path::Path;
use std::time::{Duration, Instant};

/// Waits for something that the status is to show.
fn wait(instance: &Instance, what: &str, ready: impl Fn(&Value) -> bool) -> Value {
    let end = Instant::now() + Duration::from_secs(90);
    loop {
        let status = instance.status();
        if ready(&status) {
            return status;
        }
        assert!(Instant::now() < end, "{what}: {status}\n{}", instance.log.lock().unwrap());
        std::thread::sleep(Duration::from_millis(50));
    }
}

fn bound(status: &Value, name: &str) -> Value {
    let all = status["bounds"].as_array().unwrap();
    all.iter().find(|b| b["name"] == name).unwrap_or_else(|| panic!("no bound {name} in {all:?}")).clone()
}

fn sink(status: &Value, name: &str) -> Value {
    status["sinks"].as_array().unwrap().iter().find(|s| s["name"] == name).unwrap().clone()
}

fn staged(data: &Path) -> usize {
    std::fs::read_dir(data.join("state/staging")).unwrap().count()
}

/// Sends 100 good events of about 2 KB and a bad one; the ids of the good ones.
fn send(instance: &Instance, round: usize, ids: &mut Vec<String>) {
    let web_page = json!({"schema": "iglu:com.snowplowanalytics.snowplow/contexts/jsonschema/1-0-0", "data": [
        {"schema": "iglu:com.snowplowanalytics.snowplow/web_page/jsonschema/1-0-0",
         "data": {"id": format!("00000000-0000-4000-8000-{round:012}")}}]});
    let filler = "x".repeat(1500);
    let mut events = Vec::new();
    for _ in 0..100 {
        let (id, event) =
            page_view("shop", &[("co", &web_page.to_string()), ("refr", &format!("https://r.example/{filler}"))]);
        ids.push(id);
        events.push(event);
    }
    events.push(page_view("shop", &[("vid", "first")]).1);
    assert_eq!(instance.post(&events), 200);
}

const CONTEXT: &str = "contexts_com_snowplowanalytics_snowplow_web_page_1";

/// All answers that must not depend on where the rows are.
fn answers(instance: &Instance, ids: &[String]) -> Vec<Value> {
    let sql = |text: &str| json!(instance.sql(text));
    let range = "from=2020-01-01T00:00:00Z&to=2100-01-01T00:00:00Z";
    let failed = instance.get(&format!("/v1/failed?{range}"));
    let cause = &failed["failed"][0];
    let view = instance.get("/v1/views/traffic?grain=all&by=");
    let audit = instance.get(&format!("/v1/events/{}", ids[7]));
    vec![
        sql("SELECT count(*), count(DISTINCT event_id), count(DISTINCT refr_urlpath) FROM events"),
        sql(&format!(
            "SELECT {CONTEXT}[1].id::VARCHAR AS id, typeof({CONTEXT}), count(*) FROM events GROUP BY ALL ORDER BY id"
        )),
        sql(&format!(
            "SELECT {CONTEXT} AS c, * EXCLUDE (load_tstamp, {CONTEXT}) FROM events WHERE event_id = '{}'",
            ids[7]
        )),
        sql("SELECT count(*), min(collector_tstamp), max(collector_tstamp) FROM events_failed"),
        json!([failed["total"], cause["count"], cause["cause_id"], cause["first"], cause["last"]]),
        json!([view["rows"][0]["events"]]),
        json!([
            audit["rows"][0]["row"]["event_id"],
            audit["rows"][0]["row"][CONTEXT],
            audit["rows"].as_array().map(Vec::len)
        ]),
    ]
}

#[test]
fn while_the_lake_is_away_rows_are_read_from_files_memory_is_bounded_and_answers_stay_exact() {
    let dir = tempfile::tempdir().unwrap();
    let limit = 1u64 << 20;
    let setup = Setup::default().set("speed.max_tail_bytes", "1 MiB").set("batch.max_age", "150ms");
    let mut instance = Instance::start(dir.path(), &setup);
    let mut ids = Vec::new();
    send(&instance, 0, &mut ids);
    instance.settle();
    let (lake, away) = (dir.path().join("lake"), dir.path().join("away"));
    std::fs::rename(&lake, &away).unwrap();
    std::fs::write(&lake, b"in the way").unwrap();

    for round in 1..=60 {
        send(&instance, round, &mut ids);
        let status = instance.caught_up();
        assert_eq!(instance.count("SELECT count(*) FROM events"), ids.len() as u64);
        let tail = bound(&status, "speed.max_tail_bytes");
        // What the files cannot take over yet: the open micro-batch and those that are being written, each of one round.
        assert!(tail["now"].as_u64().unwrap() < 3 * limit, "round {round}: {tail}");
        let sealed = |s: &Value| s["batches"].as_array().unwrap().iter().filter(|b| b["state"] == "written").count();
        wait(&instance, "each round is a micro-batch of its own", |s| sealed(s) >= round);
    }
    let status = wait(&instance, "the tail is below its bound", |s| {
        bound(s, "speed.max_tail_bytes")["now"].as_u64().unwrap() <= limit
    });
    assert!(bound(&status, "speed.max_tail_bytes")["highest"].as_u64().unwrap() < 3 * limit, "{}", status["bounds"]);
    let waiting = bound(&status, "batch.max_waiting");
    assert!(waiting["now"].as_u64().unwrap() >= 60 && waiting["limit"] == 360, "{waiting}");
    let told = sink(&status, "lake");
    assert_eq!((told["state"].as_str(), told["retries"].as_u64() > Some(0)), (Some("retrying"), true), "{told}");
    assert!(told["last_success"].is_string() && told["error"].is_string(), "{told}");
    assert_eq!(sink(&status, "warehouse")["state"], "ok");
    assert_eq!(status["committed"]["enriched"], 100);
    assert!(staged(dir.path()) >= 60 * 2);
    let from_files = answers(&instance, &ids);
    assert_eq!(from_files[0][0], json!([6100, 6100, 1]));
    assert_eq!(from_files[4][0], 61);

    std::fs::remove_file(&lake).unwrap();
    std::fs::rename(&away, &lake).unwrap();
    let status = instance.settle();
    assert_eq!((status["committed"]["enriched"].as_u64(), status["difference"].as_i64()), (Some(6100), Some(0)));
    assert_eq!(sink(&status, "lake")["state"], "ok");
    assert_eq!(answers(&instance, &ids), from_files, "from tables as from files");
    let end = Instant::now() + Duration::from_secs(10);
    while staged(dir.path()) > 0 {
        assert!(Instant::now() < end, "{} staged files are left", staged(dir.path()));
        std::thread::sleep(Duration::from_millis(50));
    }
    assert!(instance.stop());
}

#[test]
fn a_503_of_the_collector_is_on_the_status_with_the_bound_that_is_full() {
    let dir = tempfile::tempdir().unwrap();
    let setup = Setup::default().set("collector.limits.connections", "3");
    let instance = Instance::start(dir.path(), &setup);
    let before = bound(&instance.status(), "collector.limits.connections");
    assert_eq!((before["limit"].as_u64(), before["refused"].as_u64()), (Some(3), Some(0)));
    let held: Vec<TcpStream> = (0..3).map(|_| TcpStream::connect(instance.collector).unwrap()).collect();
    let end = Instant::now() + Duration::from_secs(10);
    while http(instance.collector, "GET", "/health", &[], b"").map_or(0, |r| r.0) != 503 {
        assert!(Instant::now() < end, "a fourth connection is let in");
    }
    let status = instance.status();
    let full = bound(&status, "collector.limits.connections");
    assert_eq!((full["now"].as_u64(), full["highest"].as_u64()), (Some(3), Some(3)), "{full}");
    assert!(full["refused"].as_u64() > Some(0), "{full}");
    drop(held);
    for name in [
        "journal.queue_bytes",
        "journal.queue_requests",
        "journal.stalled_after",
        "collector.limits.queue_bytes",
        "collector.limits.buffer_bytes",
        "collector.limits.connections_per_address",
        "disk of data_dir",
        "speed.max_tail_bytes",
        "speed.max_state_bytes",
        "dedupe.max_filter_bytes",
        "batch.max_waiting",
        "serving.live_max",
    ] {
        let bound = bound(&status, name);
        assert!(bound["limit"].as_u64() > Some(0) && bound["now"].is_u64() && bound["highest"].is_u64(), "{bound}");
    }
}
