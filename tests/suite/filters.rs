//! The pipeline as Unix filters: `snowshed journal cat | snowshed enrich`.

use crate::harness::{Instance, Setup, binary, http, page_view};
use serde_json::{Value, json};
use std::io::Write;
use std::process::{Command, Stdio};

fn run(args: &[&str], input: &[u8]) -> (i32, Vec<Value>, String) {
    let mut child = Command::new(binary())
        .args(args)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let input = input.to_vec();
    let writer = std::thread::spawn(move || {
        let _ = stdin.write_all(&input);
    });
    let out = child.wait_with_output().unwrap();
    writer.join().unwrap();
    let text = String::from_utf8(out.stdout).unwrap();
    let lines = text.lines().map(|l| serde_json::from_str(l).unwrap_or_else(|e| panic!("{e}: {l}"))).collect();
    (out.status.code().unwrap_or(-1), lines, String::from_utf8_lossy(&out.stderr).into_owned())
}

#[test]
fn journal_cat_prints_the_raw_truth_of_a_running_and_of_a_resting_instance() {
    let dir = tempfile::tempdir().unwrap();
    let mut instance = Instance::start(dir.path(), &Setup::default());
    assert_eq!(instance.post(&[page_view("shop", &[]).1]), 200);
    let get = http(instance.collector, "GET", "/i?e=pv&p=web&aid=x%20y", &["User-Agent: curl/8"], b"").unwrap();
    assert_eq!(get.0, 200);
    let data = dir.path().to_str().unwrap();
    for state in ["running", "resting"] {
        let (code, lines, said) = run(&["journal", "cat", "--data", data], b"");
        assert_eq!(code, 0, "{state}: {said}");
        assert_eq!(lines.len(), 2, "{state}");
        assert_eq!(lines[0]["offset"], 0);
        assert_eq!(lines[0]["payload"]["path"], "/com.snowplowanalytics.snowplow/tp2");
        assert!(lines[0]["payload"]["body"].as_str().unwrap().contains("payload_data"));
        assert_eq!(lines[1]["payload"]["querystring"], "e=pv&p=web&aid=x%20y");
        assert_eq!(lines[1]["payload"]["user_agent"], "curl/8");
        assert!(lines[1]["payload"].get("body").is_none());
        let (_, second, _) = run(&["journal", "cat", "--data", data, "--from", "1"], b"");
        assert_eq!(second, lines[1..], "{state}");
        if state == "running" {
            assert!(instance.stop());
        }
    }
}

#[test]
fn enrich_reads_payload_lines_and_prints_one_outcome_an_event() {
    let good = page_view("shop", &[]).1;
    let body = crate::harness::envelope(&[good.clone(), page_view("shop", &[("vid", "x")]).1]);
    let line = json!({"offset": 7, "payload": {
        "schema": "iglu:com.snowplowanalytics.snowplow/CollectorPayload/thrift/1-0-0", "ip": "203.0.113.7",
        "timestamp_ms": 1764000000500i64, "encoding": "UTF-8", "collector": "c-1", "path": "/com.snowplowanalytics.snowplow/tp2",
        "body": body, "content_type": "application/json", "headers": ["Host: c"],
        "network_user_id": "00000000-0000-4000-a000-000000000000"}});
    let (code, out, said) = run(&["enrich", "--tsv"], format!("{line}\nnot json\n").as_bytes());
    assert_eq!(out.len(), 2, "{out:?} {said}");
    assert_eq!((&out[0]["offset"], &out[0]["index"], &out[0]["outcome"]), (&json!(7), &json!(0), &json!("enriched")));
    assert_eq!(out[0]["event"]["event_id"], good["eid"]);
    assert_eq!(out[0]["event"]["collector_tstamp"], "2025-11-24T16:00:00.500Z");
    assert_eq!(out[0]["tsv"].as_str().unwrap().split('\t').count(), 131);
    assert_eq!(out[1]["failed_tsv"].as_str().unwrap().split('\t').count(), 131);
    assert_eq!(out[1]["outcome"], "failed");
    assert!(out[1]["bad_row"]["schema"].as_str().unwrap().contains("schema_violations"));
    assert!(out[1]["failed_event"].is_object());
    // A line that cannot be read is told by its number; the rest goes on.
    assert!(said.contains("line 2"), "{said}");
    assert_eq!(code, 1, "{said}");
}
