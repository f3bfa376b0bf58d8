//! One process, both layers, one exact answer.

use crate::harness::{Instance, Setup, http, page_view, parquet_files};
use serde_json::json;
use std::time::{Duration, Instant};

#[test]
fn an_event_is_in_a_merged_answer_within_a_second_and_in_the_warehouse_within_seconds() {
    let dir = tempfile::tempdir().unwrap();
    let instance = Instance::start(dir.path(), &Setup::default());
    let (id, event) = page_view("shop", &[]);
    let sent = Instant::now();
    assert_eq!(instance.post(&[event]), 200);
    while instance.count(&format!("SELECT count(*) FROM events WHERE event_id = '{id}'")) == 0 {
        assert!(sent.elapsed() < Duration::from_secs(1), "not visible after a second");
        std::thread::sleep(Duration::from_millis(5));
    }
    let status = instance.settle();
    assert!(sent.elapsed() < Duration::from_secs(15), "not committed after {:?}", sent.elapsed());
    assert_eq!(status["equation"]["enriched"], 1);
    assert_eq!(instance.count("SELECT count(*) FROM atomic.events"), 1);
    let files = parquet_files(&dir.path().join("lake").join("events"));
    assert_eq!(files.len(), 1, "{files:?}");
    let rows = instance.sql("SELECT app_id, event_name, page_urlhost, page_urlpath, page_urlquery FROM events");
    assert_eq!(
        rows,
        vec![vec![json!("shop"), json!("page_view"), json!("shop.example"), json!("/cars/1"), json!("x=1")]]
    );
}

#[test]
fn a_request_sent_twice_counts_once_and_is_seen_as_a_duplicate() {
    let dir = tempfile::tempdir().unwrap();
    let mut instance = Instance::start(dir.path(), &Setup::default());
    let (id, event) = page_view("shop", &[]);
    assert_eq!(instance.post(std::slice::from_ref(&event)), 200);
    assert_eq!(instance.post(std::slice::from_ref(&event)), 200);
    instance.settle();
    assert!(instance.stop(), "an orderly stop: {}", instance.log.lock().unwrap());
    drop(instance);
    // After a restart the first occurrence is only on disk.
    let instance = Instance::start(dir.path(), &Setup::default());
    let mut again = event;
    again["stm"] = json!("1764000009999");
    assert_eq!(instance.post(&[again]), 200);
    let status = instance.settle();
    let e = &status["equation"];
    assert_eq!(
        (e["payload_events"].as_u64(), e["enriched"].as_u64(), e["duplicates"].as_u64()),
        (Some(3), Some(1), Some(2))
    );
    assert_eq!(instance.count(&format!("SELECT count(*) FROM events WHERE event_id = '{id}'")), 1);
}

#[test]
fn every_event_has_one_outcome_and_a_bad_one_says_why() {
    let dir = tempfile::tempdir().unwrap();
    let instance = Instance::start(dir.path(), &Setup::default());
    let (_, good) = page_view("shop", &[]);
    let (_, bad) = page_view("shop", &[("vid", "first")]);
    let click = json!({"schema": "iglu:com.snowplowanalytics.snowplow/unstruct_event/jsonschema/1-0-0",
        "data": {"schema": "iglu:com.snowplowanalytics.snowplow/link_click/jsonschema/1-0-1", "data": {"elementId": "x"}}});
    let (_, invalid) = page_view("shop", &[("e", "ue"), ("ue_pr", &click.to_string())]);
    assert_eq!(instance.post(&[good, bad, invalid]), 200);
    // One unknown parameter costs its whole request: one failure.
    let (_, spoiled) = page_view("shop", &[("nonsense", "1")]);
    assert_eq!(instance.post(&[spoiled]), 200);
    let status = instance.settle();
    let e = &status["equation"];
    assert_eq!(e["payload_events"], 4, "{e}");
    assert_eq!(e["enriched"], 1, "{e}");
    assert_eq!(e["failed"], 3, "{e}");
    assert_eq!(instance.count("SELECT count(*) FROM atomic.bad_rows"), 3);
    let failed = instance.get("/v1/failed").to_string();
    assert!(failed.contains("targetUrl"), "{failed}");
}

#[test]
fn merged_is_batch_plus_speed_at_every_moment_and_the_count_never_goes_back() {
    let dir = tempfile::tempdir().unwrap();
    let setup = Setup::default().set("batch.max_age", "400ms");
    let instance = Instance::start(dir.path(), &setup);
    let (collector, serving) = (instance.collector, instance.serving);
    let end = Instant::now() + Duration::from_secs(12);
    let sent = std::sync::Arc::new(std::sync::atomic::AtomicU64::new(0));
    let writer = {
        let sent = sent.clone();
        std::thread::spawn(move || {
            let mut n = 0u64;
            while Instant::now() < end {
                let events: Vec<_> =
                    (0..1 + n % 7).map(|_| page_view(["shop", "blog", "app"][(n % 3) as usize], &[]).1).collect();
                let body = crate::harness::envelope(&events);
                let reply =
                    http(collector, "POST", crate::harness::TP2, &["content-type: application/json"], body.as_bytes());
                assert_eq!(reply.unwrap().0, 200);
                sent.fetch_add(events.len() as u64, std::sync::atomic::Ordering::SeqCst);
                n += 1;
                std::thread::sleep(Duration::from_millis(n % 11));
            }
        })
    };
    let mut last = 0;
    let mut moments = 0;
    while Instant::now() < end {
        let (status, body) = http(serving, "GET", "/v1/views/traffic?layer=split", &[], b"").unwrap();
        assert_eq!(status, 200, "{}", String::from_utf8_lossy(&body));
        let reply: serde_json::Value = serde_json::from_slice(&body).unwrap();
        for row in reply["rows"].as_array().unwrap() {
            let part = |layer: &str| row["events"][layer].as_u64().unwrap_or(0);
            assert_eq!(part("batch") + part("speed"), part("merged"), "{row}");
        }
        let count = instance.count("SELECT count(*) FROM events");
        assert!(count >= last, "count went back from {last} to {count}");
        last = count;
        moments += 1;
    }
    writer.join().unwrap();
    assert!(moments > 20, "only {moments} moments were looked at");
    instance.caught_up();
    let sent = sent.load(std::sync::atomic::Ordering::SeqCst);
    assert_eq!(instance.count("SELECT count(*) FROM events"), sent);
    instance.settle();
    assert_eq!(instance.count("SELECT count(*) FROM events"), sent);
    let reply = instance.get("/v1/views/traffic?layer=merged");
    let sum: u64 = reply["rows"].as_array().unwrap().iter().map(|r| r["events"].as_u64().unwrap()).sum();
    assert_eq!(sum, sent);
    assert_eq!(reply["boundary"]["offset"], reply["enriched"]);
}

#[test]
fn a_new_kind_of_context_becomes_a_column_by_itself() {
    let dir = tempfile::tempdir().unwrap();
    let instance = Instance::start(dir.path(), &Setup::default());
    let web_page = |id: &str| {
        json!({"schema": "iglu:com.snowplowanalytics.snowplow/contexts/jsonschema/1-0-0", "data": [
            {"schema": "iglu:com.snowplowanalytics.snowplow/web_page/jsonschema/1-0-0", "data": {"id": id}}]})
        .to_string()
    };
    assert_eq!(instance.post(&[page_view("shop", &[]).1]), 200);
    instance.settle();
    let id = uuid::Uuid::new_v4().to_string();
    assert_eq!(instance.post(&[page_view("shop", &[("co", &web_page(&id))]).1]), 200);
    instance.settle();
    let column = "contexts_com_snowplowanalytics_snowplow_web_page_1";
    // One more, so that the committed half and the tail are both read.
    assert_eq!(instance.post(&[page_view("shop", &[("co", &web_page(&id))]).1]), 200);
    instance.caught_up();
    let rows = instance.sql(&format!("SELECT {column}[1].id::VARCHAR, {column}[1]._schema_version::VARCHAR, count(*) FROM events WHERE {column} IS NOT NULL GROUP BY ALL"));
    assert_eq!(rows, vec![vec![json!(id), json!("1-0-0"), json!(2)]]);
    assert_eq!(instance.count("SELECT count(*) FROM events"), 3);
}

#[test]
fn sql_reads_and_nothing_else() {
    let dir = tempfile::tempdir().unwrap();
    let instance = Instance::start(dir.path(), &Setup::default());
    assert_eq!(instance.post(&[page_view("shop", &[]).1]), 200);
    instance.settle();
    for statement in [
        "DELETE FROM atomic.events",
        "COPY atomic.events TO '/tmp/stolen.csv'",
        "ATTACH '/tmp/x.duckdb'",
        "SELECT * FROM read_text('/etc/passwd')",
        "SELECT * FROM '/etc/passwd'",
        "INSTALL httpfs",
        "SET memory_limit = '1GB'",
        "SELECT 1; DROP TABLE atomic.events",
    ] {
        let body = json!({"sql": statement}).to_string();
        let (status, reply) =
            http(instance.serving, "POST", "/v1/sql", &["content-type: application/json"], body.as_bytes()).unwrap();
        assert!((400..500).contains(&status), "{statement}: {status} {}", String::from_utf8_lossy(&reply));
        let reply: serde_json::Value = serde_json::from_slice(&reply).unwrap();
        assert!(reply["error"]["message"].is_string(), "{statement}: {reply}");
    }
    assert_eq!(instance.count("SELECT count(*) FROM events"), 1);
}
