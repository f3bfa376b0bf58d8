//! Bad configuration, bad data, bad machines: a clear message or a failed event, never a crash or a loss.

use crate::harness::{Instance, Setup, TP2, command, envelope, free_ports, http, page_view, skip};
use serde_json::{Value, json};
use std::io::Read;
use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

/// Runs until it ends by itself; exit code and what it said.
fn refused(data: &Path, collector: u16, serving: u16, setup: &Setup) -> (i32, String) {
    let mut child =
        command(data, collector, serving, setup).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    let end = Instant::now() + Duration::from_secs(20);
    let code = loop {
        if let Some(status) = child.try_wait().unwrap() {
            break status.code().unwrap_or(-1);
        }
        if Instant::now() > end {
            let _ = child.kill();
            panic!("it started although it should not: {:?}", setup.config.as_ref().map(std::fs::read_to_string));
        }
        std::thread::sleep(Duration::from_millis(20));
    };
    let mut said = String::new();
    child.stderr.take().unwrap().read_to_string(&mut said).unwrap();
    (code, said)
}

#[test]
fn a_wrong_configuration_says_what_where_and_what_is_allowed() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("bad.toml");
    for (text, words) in [
        ("[batch]\nmax_age = \"soon\"\n", vec!["line 2", "soon", "max_age"]),
        ("[dedupe]\nwindow = \"9999d\"\n", vec!["line 2", "dedupe.window", "9999d"]),
        ("[colector]\n", vec!["colector", "line 1"]),
        (
            "[[views]]\nname = \"v\"\ngrain = \"1m\"\ntime = \"derived_tstamp\"\ndimensions = [\"no_such_column\"]\n[views.measures]\nn = \"count\"\n",
            vec!["no_such_column"],
        ),
        ("[enrich]\natomic_limits = { no_such = 5 }\n", vec!["no_such"]),
        ("[warehouse]\nkind = \"oracle\"\n", vec!["oracle", "duckdb"]),
        ("[telemetry]\nlog = \"loud\"\n", vec!["line 2", "telemetry.log", "loud", "debug"]),
    ] {
        std::fs::write(&file, text).unwrap();
        let (a, b) = free_ports();
        let setup = Setup { config: Some(file.clone()), env: vec![] };
        let (code, said) = refused(&dir.path().join("data"), a, b, &setup);
        assert_eq!(code, 2, "{text}: {said}");
        for word in words {
            assert!(said.contains(word), "{text}: no \"{word}\" in: {said}");
        }
        assert!(!said.contains("panicked"), "{said}");
    }
}

#[test]
fn a_taken_port_and_a_locked_folder_are_named() {
    let dir = tempfile::tempdir().unwrap();
    let running = Instance::start(dir.path(), &Setup::default());
    let (a, b) = free_ports();
    let other = tempfile::tempdir().unwrap();
    let (code, said) = refused(other.path(), running.collector.port(), b, &Setup::default());
    assert_eq!(code, 3, "{said}");
    assert!(said.contains("collector.listen") && said.contains(&running.collector.port().to_string()), "{said}");
    let (code, said) = refused(other.path(), a, running.serving.port(), &Setup::default());
    assert_eq!(code, 3, "{said}");
    assert!(said.contains("serving.listen"), "{said}");
    let (code, said) = refused(dir.path(), a, b, &Setup::default());
    assert_eq!(code, 3, "{said}");
    assert!(said.contains("in use by process") && said.contains("data_dir"), "{said}");
}

#[test]
fn a_private_port_for_everybody_needs_a_token_or_the_owners_word() {
    let dir = tempfile::tempdir().unwrap();
    let (a, b) = free_ports();
    let open = Setup::default().set("serving.listen", &format!("0.0.0.0:{b}"));
    let (code, said) = refused(dir.path(), a, b, &open);
    assert!(code == 2 || code == 3, "{code}: {said}");
    assert!(said.contains("allow_anonymous") && said.contains("token"), "{said}");
    let instance = Instance::start_at(dir.path(), a, b, &open.set("serving.allow_anonymous", "true"));
    assert!(instance.status()["journal_end"].is_u64());
}

/// Raises the format version in the header of the last segment, with a right checksum (docs/JOURNAL.md).
fn stamp_newer_format(journal: &Path) {
    let mut segments: Vec<_> = std::fs::read_dir(journal)
        .unwrap()
        .map(|e| e.unwrap().path())
        .filter(|p| p.extension().is_some_and(|e| e == "seg"))
        .collect();
    segments.sort();
    let path = segments.pop().unwrap();
    let mut bytes = std::fs::read(&path).unwrap();
    bytes[8] = 99;
    let sum = crc32c::crc32c(&bytes[..60]);
    bytes[60..64].copy_from_slice(&sum.to_le_bytes());
    std::fs::write(&path, bytes).unwrap();
}

#[test]
fn a_data_directory_of_a_newer_format_is_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    let mut instance = Instance::start(dir.path(), &Setup::default());
    assert_eq!(instance.post(&[page_view("shop", &[]).1]), 200);
    instance.settle();
    assert!(instance.stop());
    drop(instance);
    stamp_newer_format(&dir.path().join("journal"));
    let (a, b) = free_ports();
    let (code, said) = refused(dir.path(), a, b, &Setup::default());
    assert_eq!(code, 3, "{said}");
    assert!(said.contains("newer") || said.contains("version"), "{said}");
}

#[test]
fn bad_payloads_become_failed_events_and_oversize_ones_too() {
    let dir = tempfile::tempdir().unwrap();
    let setup = Setup::default().set("collector.limits.request_body_max_bytes", "2097152");
    let instance = Instance::start(dir.path(), &setup);
    let json = ["content-type: application/json"];
    let post = |body: &[u8]| http(instance.collector, "POST", TP2, &json, body).unwrap().0;
    assert_eq!(post(b"{"), 200);
    assert_eq!(post(b"\xff\xfe\x00"), 200);
    assert_eq!(post(b"{\"schema\":\"iglu:com.acme/x/jsonschema/1-0-0\",\"data\":{}}"), 200);
    assert_eq!(post("[".repeat(100_000).as_bytes()), 200);
    assert_eq!(http(instance.collector, "GET", "/i?e=pv&p=web&page=%zz", &[], b"").unwrap().0, 200);
    assert_eq!(http(instance.collector, "GET", "/com.unknown/v9?x=1", &[], b"").unwrap().0, 200);
    // One event alone over the limit of a record: a size violation. A body over the hard cap: 413, nothing stored.
    let (_, big) = page_view("shop", &[("page", &"x".repeat(1_200_000))]);
    assert_eq!(post(envelope(&[big]).as_bytes()), 200);
    assert_eq!(post(&vec![b' '; 2_097_152]), 413);
    let status = instance.settle();
    let e = &status["equation"];
    assert_eq!(e["failed"], 7, "{e}");
    assert_eq!(e["payload_events"], 7, "{e}");
    let kinds = instance.sql("SELECT kind, count(*) FROM atomic.bad_rows GROUP BY 1 ORDER BY 1");
    assert!(kinds.iter().any(|r| r[0] == "size_violation"), "{kinds:?}");
    // The next good event passes as if nothing had been.
    assert_eq!(instance.post(&[page_view("shop", &[]).1]), 200);
    instance.caught_up();
    assert_eq!(instance.count("SELECT count(*) FROM events"), 1);
}

/// A folder on a file system of its own, unmounted at the end.
struct SmallDisk(tempfile::TempDir);

impl SmallDisk {
    fn new(megabytes: u32) -> Option<Self> {
        let dir = tempfile::tempdir().unwrap();
        let ok = std::process::Command::new("mount")
            .args(["-t", "tmpfs", "-o", &format!("size={megabytes}m"), "tmpfs"])
            .arg(dir.path())
            .stderr(Stdio::null())
            .status()
            .is_ok_and(|s| s.success());
        ok.then_some(SmallDisk(dir))
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = std::process::Command::new("umount").arg("-l").arg(self.0.path()).status();
    }
}

#[test]
fn a_full_disk_is_a_503_and_the_process_recovers_when_space_returns() {
    let Some(disk) = SmallDisk::new(48) else {
        skip("a small tmpfs can be mounted by root only");
        return;
    };
    let data = disk.0.path().join("data");
    let ballast = disk.0.path().join("ballast");
    let instance = Instance::start(&data, &Setup::default().set("journal.segment_bytes", "1 MiB"));
    assert_eq!(instance.post(&[page_view("shop", &[]).1]), 200);
    instance.settle();
    std::fs::write(&ballast, vec![1u8; 64 << 20]).unwrap_err();
    let mut acked = 1;
    let mut refused = false;
    for _ in 0..200 {
        let events: Vec<_> = (0..100).map(|_| page_view("shop", &[("page", &"x".repeat(1500))]).1).collect();
        match instance.post(&events) {
            200 => acked += 100,
            503 => {
                refused = true;
                break;
            }
            other => panic!("{other} on a full disk: {}", instance.log.lock().unwrap()),
        }
    }
    assert!(refused, "no 503 although the disk is full");
    assert_eq!(http(instance.collector, "GET", "/sink-health", &[], b"").unwrap().0, 503);
    assert_eq!(http(instance.collector, "GET", "/health", &[], b"").unwrap().0, 200);
    std::fs::remove_file(&ballast).unwrap();
    let end = Instant::now() + Duration::from_secs(20);
    while instance.post(&[page_view("shop", &[]).1]) != 200 {
        assert!(Instant::now() < end, "it does not recover: {}", instance.log.lock().unwrap());
        std::thread::sleep(Duration::from_millis(100));
    }
    acked += 1;
    instance.settle();
    let count = instance.count("SELECT count(*) FROM events");
    assert!(count >= acked, "{count} events of {acked} acknowledged");
}

#[test]
fn a_failure_shows_what_came_what_is_wanted_and_whose_it_was() {
    let dir = tempfile::tempdir().unwrap();
    let instance = Instance::start(dir.path(), &Setup::default());
    let long = "0".repeat(20);
    for query in ["vid=x", &format!("cd={long}"), "x=|", "ue_pr=%7B%2C"] {
        let path = format!("/i?e=pv&p=web&aid=shop&{query}");
        assert_eq!(http(instance.collector, "GET", &path, &[], b"").unwrap().0, 200, "{query}");
    }
    instance.caught_up();
    let failed = instance.get("/v1/failed");
    for (title, got, want) in [
        ("vid cannot be read", "x", "a 32-bit integer"),
        ("br_colordepth is too long", &format!("{long} (20 characters)"), "at most 12 characters"),
        ("querystring cannot be read", "e=pv&p=web&aid=shop&x=|", "a query string of legal characters"),
        ("unstruct is not JSON", "…{,…", "valid JSON"),
    ] {
        let listed = failed["failed"].as_array().unwrap();
        let cause = listed.iter().find(|c| c["title"] == title).unwrap_or_else(|| panic!("{title}: {failed:#}"));
        assert_eq!((&cause["got"], &cause["want"]), (&json!(got), &json!(want)), "{cause:#}");
        let example = &cause["examples"][0];
        assert!(example["time"].is_string(), "{example:#}");
        // The collector's record of a request that cannot be read is not taken apart.
        let of_an_event = cause["kind"] == "schema_violations";
        assert_eq!(example["app_id"], if of_an_event { json!("shop") } else { Value::Null }, "{example:#}");
    }
}
