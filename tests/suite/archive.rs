//! The journal's archive: segments leave local disk only when the lake has them, and what left can be replayed.

use crate::harness::{Instance, Setup, binary, page_view};
use crate::replay::{check, described, equation, put_schema, send, summary};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

/// Segments that are closed after a second, and removed as soon as that is allowed.
fn short() -> Setup {
    Setup::default()
        .set("batch.max_age", "500ms")
        .set("journal.segment_age", "1s")
        .set("journal.retention", "0ms")
        .set("journal.tail_bytes", "0")
}

fn wait(what: &str, instance: &Instance, ready: impl Fn() -> bool) {
    let end = Instant::now() + Duration::from_secs(90);
    while !ready() {
        assert!(Instant::now() < end, "{what}: {}\n{}", instance.status(), instance.log.lock().unwrap());
        std::thread::sleep(Duration::from_millis(100));
    }
}

/// Waits until the journal no longer holds any of the first `n` records; retention begins half a minute after the start.
fn wait_gone(instance: &Instance, n: u64) {
    wait("the records leave the journal", instance, || instance.status()["journal_first"].as_u64() >= Some(n));
}

fn sink(instance: &Instance) -> Option<Value> {
    instance.status()["sinks"].as_array().unwrap().iter().find(|s| s["name"] == "archive").cloned()
}

/// The folder of archived segments.
fn archive(data: &Path) -> PathBuf {
    let mut folders = std::fs::read_dir(data.join("lake/journal")).unwrap().map(|e| e.unwrap().path());
    let folder = folders.next().expect("an archive");
    assert!(folders.next().is_none(), "one journal");
    folder
}

/// Offsets that `journal cat` finds in these places.
fn offsets(args: &[&Path]) -> Vec<u64> {
    let out = Command::new(binary()).args(["journal", "cat"]).args(args).output().unwrap();
    assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
    let lines = String::from_utf8(out.stdout).unwrap();
    lines.lines().map(|l| serde_json::from_str::<Value>(l).unwrap()["offset"].as_u64().unwrap()).collect()
}

#[test]
fn a_failure_whose_record_is_only_in_the_archive_is_repaired_and_counted_once() {
    let dir = tempfile::tempdir().unwrap();
    let instance = Instance::start(dir.path(), &short());
    let sent = send(&instance);
    assert_eq!(equation(&instance.settle()), [5, 1, 4, 0, 0, 0]);
    wait_gone(&instance, 4);
    assert_eq!(sink(&instance).unwrap()["state"], "ok");
    assert_eq!(offsets(&[&archive(dir.path())])[..4], [0, 1, 2, 3]);
    let dry = summary(&instance, &["--dry-run"]);
    assert_eq!((&dry["still_failing"], &dry["gone"]), (&json!(4), &json!(0)), "{dry}");
    put_schema(&instance, "late");

    // The lake is away: nothing is said to be gone, and nothing changes.
    let (lake, away) = (dir.path().join("lake"), dir.path().join("away"));
    std::fs::rename(&lake, &away).unwrap();
    std::fs::write(&lake, b"in the way").unwrap();
    let out = crate::replay::replay(&instance, &["--json"]);
    assert!(!out.status.success(), "{out:?}");
    assert!(String::from_utf8_lossy(&out.stderr).contains("archive cannot be read"), "{out:?}");
    std::fs::remove_file(&lake).unwrap();
    std::fs::rename(&away, &lake).unwrap();

    let done = summary(&instance, &[]);
    assert_eq!((&done["repaired"], &done["gone"]), (&json!(3), &json!(0)), "{done}");
    let expected = [5, 3, 1, 1, 0, 3];
    check(&instance, &sent, expected, "in memory");
    instance.settle();
    check(&instance, &sent, expected, "committed");
    let again = summary(&instance, &[]);
    assert_eq!((&again["looked_at"], &again["repaired"]), (&json!(1), &json!(0)), "{again}");
    check(&instance, &sent, expected, "after a second replay");
    let mut instance = instance;
    instance.kill();
    let instance = Instance::start(dir.path(), &short());
    instance.settle();
    // The window of the last hour is filled from the journal, so it is the warehouse that is asked.
    assert_eq!(equation(&instance.caught_up()), expected, "after kill -9");
    assert_eq!(instance.count("SELECT count(*) FROM events"), 3);
    let failed = instance.get("/v1/failed?from=2020-01-01T00:00:00Z");
    assert_eq!((&failed["total"], failed["failed"].as_array().map(Vec::len)), (&json!(1), Some(1)), "{failed}");
    assert_eq!(summary(&instance, &[])["repaired"], 0);
}

#[test]
fn without_an_archive_a_replay_says_what_is_gone_and_the_failures_stand() {
    let dir = tempfile::tempdir().unwrap();
    let instance = Instance::start(dir.path(), &short().set("journal.archive", "false"));
    send(&instance);
    assert_eq!(equation(&instance.settle()), [5, 1, 4, 0, 0, 0]);
    wait_gone(&instance, 4);
    assert_eq!(sink(&instance), None);
    assert!(!dir.path().join("lake/journal").exists());
    put_schema(&instance, "late");
    // One more, which the journal still has.
    assert_eq!(instance.post(&[page_view("shop", &[("vid", "first")]).1]), 200);
    let (_, event) = described("later");
    assert_eq!(instance.post(&[event]), 200);
    instance.caught_up();
    put_schema(&instance, "later");
    let done = summary(&instance, &["--since", "1h"]);
    assert_eq!((&done["gone"], &done["repaired"], &done["still_failing"]), (&json!(4), &json!(1), &json!(1)), "{done}");
    let status = instance.caught_up();
    assert_eq!(equation(&status), [7, 2, 5, 0, 0, 1], "{status}");
}

#[cfg(feature = "fail-points")]
#[test]
fn kill_9_between_upload_and_removal_loses_nothing_and_keeps_nothing_twice() {
    for point in ["archive::packed", "archive::uploaded", "archive::noted"] {
        let dir = tempfile::tempdir().unwrap();
        let setup = short().set("journal.retention", "1d");
        let mut instance = Instance::start(dir.path(), &setup.clone().env("SNOWSHED_FAIL_POINT", point));
        let sent = send(&instance);
        let end = Instant::now() + Duration::from_secs(60);
        while instance.child.try_wait().unwrap().is_none() {
            assert!(Instant::now() < end, "{point} is not reached: {}", instance.log.lock().unwrap());
            std::thread::sleep(Duration::from_millis(20));
        }
        let instance = Instance::start(dir.path(), &setup);
        assert_eq!(equation(&instance.settle()), [5, 1, 4, 0, 0, 0], "{point}");
        let journal = dir.path().join("journal");
        let all = offsets(&[&journal]);
        assert!(all.len() >= 4 && all.iter().copied().eq(0..all.len() as u64), "{point}: {all:?}");
        wait("the segment is archived", &instance, || {
            let folder = dir.path().join("lake/journal");
            folder.exists() && offsets(&[&archive(dir.path())]).len() >= 4
        });
        assert_eq!(offsets(&[&archive(dir.path())])[..4], [0, 1, 2, 3], "{point}");
        assert_eq!(offsets(&[&journal, &archive(dir.path())]), all, "{point}: the same records");
        put_schema(&instance, "late");
        let done = summary(&instance, &[]);
        assert_eq!(done["repaired"], 3, "{point}: {done}");
        check(&instance, &sent, [5, 3, 1, 1, 0, 3], point);
    }
}

#[test]
fn an_archived_segment_is_the_very_segment_and_can_be_put_back() {
    let dir = tempfile::tempdir().unwrap();
    let setup = short().set("journal.retention", "1d");
    let mut instance = Instance::start(dir.path(), &setup);
    let sent = send(&instance);
    instance.settle();
    wait("the segment is archived", &instance, || dir.path().join("lake/journal").exists());
    wait("the archive is noted", &instance, || dir.path().join("state/archive/cursor").exists());
    assert_eq!(instance.post(&[page_view("shop", &[]).1]), 200);
    assert!(instance.stop());
    assert!(!instance.log.lock().unwrap().contains("panicked"), "{}", instance.log.lock().unwrap());
    let first = dir.path().join("journal/00000000000000000000.seg");
    let good = std::fs::read(&first).unwrap();
    let mut objects: Vec<PathBuf> =
        std::fs::read_dir(archive(dir.path())).unwrap().map(|e| e.unwrap().path()).collect();
    objects.sort();
    let object =
        objects.iter().find(|p| p.file_name().unwrap().to_str().unwrap().starts_with(&"0".repeat(20))).unwrap();
    assert_eq!(zstd::decode_all(std::fs::File::open(object).unwrap()).unwrap(), good);
    let mut bad = good.clone();
    bad[200] ^= 1;
    std::fs::write(&first, bad).unwrap();
    let mut broken = Instance::spawn(dir.path(), instance.collector.port(), instance.serving.port(), &setup);
    broken.wait_listening(Duration::from_secs(30));
    assert!(broken.child.try_wait().unwrap().is_some_and(|s| !s.success()), "damage stops the start");
    assert!(broken.log.lock().unwrap().contains("from the archive"), "{}", broken.log.lock().unwrap());
    std::fs::write(&first, zstd::decode_all(std::fs::File::open(object).unwrap()).unwrap()).unwrap();
    let instance = Instance::start(dir.path(), &setup);
    let status = instance.settle();
    assert_eq!(equation(&status), [6, 2, 4, 0, 0, 0], "{status}");
    assert_eq!(instance.count(&format!("SELECT count(*) FROM events WHERE event_id = '{}'", sent.good)), 1);
}
