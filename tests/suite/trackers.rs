//! Real clients, unmodified: what they send comes out enriched, once. Browser and Node trackers: `tests/browser`.

use crate::harness::{Instance, Setup, TP2, binary, components, envelope, page_view, skip};
use std::io::Write as _;
use std::process::{Command, Output, Stdio};

/// The number that a tracker program printed, if it ended well.
fn sent(out: &Output) -> u64 {
    assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
    String::from_utf8_lossy(&out.stdout).trim().parse().unwrap()
}

/// `count` events of `app` are there, each once, all of the user that the trackers name and with an id of the collector's.
fn arrived(instance: &Instance, app: &str, count: u64) {
    instance.caught_up();
    let row = &instance.sql(&format!(
        "SELECT count(*), count(DISTINCT event_id), count(*) FILTER (WHERE user_id = 'grüße'), \
         count(*) FILTER (WHERE regexp_full_match(network_userid, '[0-9a-f-]{{36}}')) FROM events WHERE app_id = '{app}'"
    ))[0];
    let numbers: Vec<u64> = row.iter().filter_map(|n| n.as_u64()).collect();
    assert_eq!(numbers, [count; 4], "{app}: {}", instance.get("/v1/failed"));
}

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
        let count = sent(&out);
        assert!(count >= 30);
        arrived(&instance, &format!("python-{method}"), count);
    }
    assert_eq!(instance.status()["equation"]["failed"], 0, "{}", instance.get("/v1/failed"));
}

#[test]
fn every_event_of_the_rust_tracker_comes_out_enriched_once() {
    let Some(program) = components().map(|c| c.join("rust-tracker/release/rust-tracker")).filter(|p| p.exists()) else {
        skip("no Rust tracker: make components");
        return;
    };
    let dir = tempfile::tempdir().unwrap();
    let instance = Instance::start(dir.path(), &Setup::default());
    let out = Command::new(program).arg(format!("http://{}", instance.collector)).output().unwrap();
    let count = sent(&out);
    assert!(count >= 30);
    arrived(&instance, "rust-post", count);
    assert_eq!(instance.status()["equation"]["failed"], 0, "{}", instance.get("/v1/failed"));
}

/// Runs curl with `input`; head and body of the reply.
fn curl(input: &[u8], args: &[&str]) -> (String, Vec<u8>) {
    let mut child = Command::new("curl")
        .args(["-sS", "--max-time", "30", "-D", "-"])
        .args(args)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(input).unwrap();
    let out = child.wait_with_output().unwrap();
    assert!(out.status.success(), "{args:?}: {}", String::from_utf8_lossy(&out.stderr));
    // An interim reply (100) has a head of its own.
    let mut from = 0;
    loop {
        let end = from + out.stdout[from..].windows(4).position(|w| w == b"\r\n\r\n").unwrap();
        let head = String::from_utf8_lossy(&out.stdout[from..end]).to_ascii_lowercase();
        from = end + 4;
        if !head.contains(" 100") {
            return (head, out.stdout[from..].to_vec());
        }
    }
}

#[test]
fn what_curl_sends_comes_out_enriched_once_with_one_identity() {
    if Command::new("curl").arg("--version").output().is_err() {
        skip("no curl");
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let setup = Setup::default()
        .set("collector.redirects.enabled", "true")
        .set("collector.redirects.allowed_hosts", "[\"shop.example\"]");
    let instance = Instance::start(&dir.path().join("data"), &setup);
    let base = format!("http://{}", instance.collector);
    let jar = dir.path().join("jar").display().to_string();
    let with_jar = ["-b", jar.as_str(), "-c", jar.as_str()];
    let mut ids = Vec::new();
    let mut event = || {
        let (id, event) = page_view("curl", &[("uid", "grüße")]);
        ids.push(id);
        event
    };
    let query = |event: &serde_json::Value| -> String {
        let fields = event.as_object().unwrap().iter().map(|(k, v)| (k.as_str(), v.as_str().unwrap()));
        url::form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish()
    };

    let (head, gif) = curl(b"", &[&with_jar[..], &[&format!("{base}/i?{}", query(&event()))]].concat());
    assert!(head.starts_with("http/1.1 200") && head.contains("content-type: image/gif"), "{head}");
    assert!(gif.len() == 43 && gif.starts_with(b"GIF89a"));

    // A browser that knows the private port sends its cookie here too.
    let cookie = "Cookie: a=b; snowshed_session=secret";
    let json = "Content-Type: application/json";
    let post = format!("{base}{TP2}");
    let (head, body) = curl(
        envelope(&[event(), event()]).as_bytes(),
        &[&with_jar[..], &["-H", cookie, "-H", json, "--data-binary", "@-", &post]].concat(),
    );
    assert!(head.starts_with("http/1.1 200") && body == b"ok", "{head}");

    let mut zip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    zip.write_all(envelope(&[event()]).as_bytes()).unwrap();
    let zip = zip.finish().unwrap();
    let gzip = ["-H", "Content-Encoding: gzip", "-H", "Expect: 100-continue", "-H", json, "--data-binary", "@-", &post];
    assert!(curl(&zip, &[&with_jar[..], &gzip].concat()).0.starts_with("http/1.1 200"));
    let chunked = ["-H", "Transfer-Encoding: chunked", "-H", json, "--data-binary", "@-", &post];
    let body = envelope(&[event()]);
    assert!(curl(body.as_bytes(), &[&with_jar[..], &chunked].concat()).0.starts_with("http/1.1 200"));
    let http2 = ["--http2-prior-knowledge", "-H", json, "--data-binary", "@-", &post];
    let body = envelope(&[event()]);
    assert!(curl(body.as_bytes(), &[&with_jar[..], &http2].concat()).0.starts_with("http/2 200"));

    let redirect = format!("{base}/r/tp2?{}&u=https%3A%2F%2Fshop.example%2Fa%3Fb%3Dc", query(&event()));
    let (head, _) = curl(b"", &[&with_jar[..], &[&redirect]].concat());
    assert!(head.starts_with("http/1.1 302") && head.contains("location: https://shop.example/a?b=c"), "{head}");
    let evil = format!("{base}/r/tp2?{}&u=https%3A%2F%2Fevil.example", query(&event()));
    assert!(curl(b"", &[&with_jar[..], &[&evil]].concat()).0.starts_with("http/1.1 400"));

    arrived(&instance, "curl", ids.len() as u64);
    let users = instance.count("SELECT count(DISTINCT network_userid) FROM events WHERE app_id = 'curl'");
    assert_eq!(users, 1, "curl kept the cookie");
    assert_eq!(instance.status()["equation"]["failed"], 0, "{}", instance.get("/v1/failed"));
    let raw = Command::new(binary()).args(["journal", "cat", "--data"]).arg(dir.path().join("data")).output().unwrap();
    let raw = String::from_utf8_lossy(&raw.stdout);
    assert!(raw.contains("Cookie: a=b") && !raw.contains("snowshed_session") && !raw.contains("secret"), "{raw}");
}
