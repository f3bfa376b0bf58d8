//! The verbs that ask a running instance.

use crate::harness::{Instance, Setup, binary, page_view};
use serde_json::Value;
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
