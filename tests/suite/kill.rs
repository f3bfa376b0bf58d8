//! kill -9 at any moment loses nothing and counts nothing twice.
//!
//! The client records the id of every event whose request was answered 200; requests that got no answer may or may not be
//! in, but never twice. `SNOWSHED_KILL_ROUNDS` sets the number of rounds (default 6; CI runs 50).

use crate::harness::{Instance, Setup, free_ports, parquet_files};
use snowshed::cli::traffic::load::{Bodies, Load, LoadReport, drive};
use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};
use uuid::Uuid;

const RATE: u32 = 3000;

fn rounds() -> usize {
    std::env::var("SNOWSHED_KILL_ROUNDS").ok().and_then(|n| n.parse().ok()).unwrap_or(6)
}

/// Sends at `RATE` for `time`; runs in a thread of its own.
fn client(to: std::net::SocketAddr, seed: u64, time: Duration) -> std::thread::JoinHandle<LoadReport> {
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let bodies = Arc::new(Bodies::render(200, 10, seed, 1_764_000_000_000));
        let load = Load { rate: RATE, batch: 10, connections: 16, time, seed };
        runtime.block_on(drive(to, &load, bodies, true)).unwrap_or_default()
    })
}

/// Every acknowledged id once, every unanswered one at most once, nothing else.
fn check(found: &HashMap<Uuid, u32>, acked: &[Uuid], unknown: &[Uuid], place: &str) {
    let lost: Vec<_> = acked.iter().filter(|id| !found.contains_key(id)).collect();
    let double: Vec<_> = found.iter().filter(|(_, n)| **n != 1).collect();
    assert!(
        lost.is_empty(),
        "{place}: {} acknowledged events are lost, {:?} …",
        lost.len(),
        &lost[..lost.len().min(3)]
    );
    assert!(
        double.is_empty(),
        "{place}: {} events are there twice, {:?} …",
        double.len(),
        &double[..double.len().min(3)]
    );
    assert!(
        found.len() <= acked.len() + unknown.len(),
        "{place}: {} events, but only {} were sent",
        found.len(),
        acked.len() + unknown.len()
    );
}

fn ids(instance: &Instance, sql: &str) -> HashMap<Uuid, u32> {
    let mut out = HashMap::new();
    for row in instance.sql(sql) {
        let id = row[0].as_str().and_then(|s| Uuid::parse_str(s).ok()).expect("an event id");
        *out.entry(id).or_default() += row[1].as_u64().map_or(1, |n| n as u32);
    }
    out
}

/// Ids in the Parquet files that the manifest names.
fn ids_in_lake(lake: &Path) -> HashMap<Uuid, u32> {
    use arrow::array::{Array, StringArray};
    use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
    let mut out = HashMap::new();
    for file in parquet_files(&lake.join("events")) {
        let reader =
            ParquetRecordBatchReaderBuilder::try_new(std::fs::File::open(&file).unwrap()).unwrap().build().unwrap();
        for batch in reader {
            let batch = batch.unwrap();
            let column = batch.column_by_name("event_id").unwrap().as_any().downcast_ref::<StringArray>().unwrap();
            for i in 0..column.len() {
                *out.entry(Uuid::parse_str(column.value(i)).unwrap()).or_default() += 1;
            }
        }
    }
    out
}

#[test]
fn kill_9_under_load_loses_nothing_and_counts_nothing_twice() {
    let dir = tempfile::tempdir().unwrap();
    let setup = Setup::default().set("batch.max_age", "700ms").set("serving.sql_max_rows", "1000000");
    let (mut acked, mut unknown) = (Vec::new(), Vec::new());
    let rounds = rounds();
    for round in 0..rounds {
        let (collector, serving) = free_ports();
        let mut instance = Instance::start_at(dir.path(), collector, serving, &setup);
        let client = client(instance.collector, round as u64, Duration::from_millis(2500));
        // Another moment each round: between 0.2 and 2.2 s into the load.
        std::thread::sleep(Duration::from_millis(200 + (round as u64 * 379) % 2000));
        instance.kill();
        drop(instance);
        let report = client.join().unwrap();
        acked.extend(report.acked_ids);
        unknown.extend(report.unknown_ids);
    }
    assert!(acked.len() > rounds * 300, "only {} events were acknowledged in {rounds} rounds", acked.len());
    let instance = Instance::start(dir.path(), &setup);
    instance.caught_up();
    check(
        &ids(&instance, "SELECT event_id, count(*) FROM events GROUP BY 1"),
        &acked,
        &unknown,
        "SQL over both layers",
    );
    let status = instance.settle();
    let committed = ids(&instance, "SELECT event_id, count(*) FROM atomic.events GROUP BY 1");
    check(&committed, &acked, &unknown, "warehouse");
    check(&ids_in_lake(&dir.path().join("lake")), &acked, &unknown, "Parquet");
    let total = committed.len() as u64;
    assert_eq!(status["equation"]["enriched"].as_u64(), Some(total));
    let sum = |layer: &str| -> u64 {
        let reply = instance.get(&format!("/v1/views/traffic?layer={layer}&from=2020-01-01T00:00:00Z"));
        reply["rows"].as_array().unwrap().iter().map(|r| r["events"].as_u64().unwrap()).sum()
    };
    assert_eq!(sum("merged"), total, "the view counts every event once");
    println!(
        "{rounds} rounds: {} acknowledged, {} unanswered, {total} committed, 0 lost, 0 double",
        acked.len(),
        unknown.len()
    );
}

#[test]
fn a_crash_between_any_two_steps_of_a_commit_loses_nothing_and_counts_nothing_twice() {
    for point in snowshed::batch::FAIL_POINTS {
        let dir = tempfile::tempdir().unwrap();
        let calm = Setup::default().set("batch.max_age", "300ms").set("serving.sql_max_rows", "1000000");
        let armed = calm.clone().env("SNOWSHED_FAIL_POINT", &format!("{point}:2"));
        let (collector, serving) = free_ports();
        // Not waited for: some points lie on the way to being ready.
        let mut instance = Instance::spawn(dir.path(), collector, serving, &armed);
        instance.wait_listening(Duration::from_secs(20));
        let client = client(instance.collector, 1, Duration::from_secs(4));
        let end = Instant::now() + Duration::from_secs(20);
        while instance.child.try_wait().unwrap().is_none() {
            assert!(Instant::now() < end, "{point}: the process never came by");
            std::thread::sleep(Duration::from_millis(20));
        }
        drop(instance);
        let report = client.join().unwrap();
        let instance = Instance::start(dir.path(), &calm);
        instance.settle();
        let committed = ids(&instance, "SELECT event_id, count(*) FROM atomic.events GROUP BY 1");
        check(&committed, &report.acked_ids, &report.unknown_ids, point);
        check(&ids_in_lake(&dir.path().join("lake")), &report.acked_ids, &report.unknown_ids, point);
        let reply = instance.get("/v1/views/traffic?layer=merged&from=2020-01-01T00:00:00Z");
        let sum: u64 = reply["rows"].as_array().unwrap().iter().map(|r| r["events"].as_u64().unwrap()).sum();
        assert_eq!(sum, committed.len() as u64, "{point}: the view");
    }
}
