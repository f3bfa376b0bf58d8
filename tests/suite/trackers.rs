//! Real trackers, unmodified: what they send comes out enriched, once. Browser and Node trackers: `tests/browser`.

use crate::harness::{Instance, Setup, components, skip};
use std::process::Command;

#[test]
fn every_event_of_the_python_tracker_comes_out_enriched_once() {
    let Some(python) = components().map(|c| c.join("venv/bin/python")).filter(|p| p.exists()) else {
        skip("no Python tracker: make components");
        return;
    };
    let dir = tempfile::tempdir().unwrap();
    let instance = Instance::start(dir.path(), &Setup::default());
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/components/python_tracker.py");
    for method in ["post", "get"] {
        let out = Command::new(&python)
            .args([script, &instance.collector.ip().to_string(), &instance.collector.port().to_string(), method])
            .output()
            .unwrap();
        assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
        let sent: u64 = String::from_utf8_lossy(&out.stdout).trim().parse().unwrap();
        assert!(sent >= 30);
        instance.caught_up();
        let app = format!("python-{method}");
        let found = instance.count(&format!("SELECT count(*) FROM events WHERE app_id = '{app}'"));
        let distinct = instance.count(&format!("SELECT count(DISTINCT event_id) FROM events WHERE app_id = '{app}'"));
        assert_eq!((found, distinct), (sent, sent), "{method}: {}", instance.get("/v1/failed"));
    }
    assert_eq!(instance.status()["equation"]["failed"], 0, "{}", instance.get("/v1/failed"));
}
