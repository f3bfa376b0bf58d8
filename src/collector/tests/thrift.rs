//! The record against the Apache Thrift library of Python, in both directions: field by field and byte by byte.

use super::harness::Core;
use crate::event::payload::Payload;
use crate::event::thrift;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::{Bytes, BytesMut};
use serde_json::{Map, Value, json};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

fn script() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/components/thrift_check.py")
}

/// A Python that has the library, if there is one.
fn python() -> Option<PathBuf> {
    let folder = std::env::var_os("SNOWSHED_COMPONENTS").map(PathBuf::from);
    let candidates = folder.map(|f| f.join("venv/bin/python")).into_iter().chain([PathBuf::from("python3")]);
    let has_library = |python: &PathBuf| {
        let mut command = Command::new(python);
        command.args(["-c", "import thrift"]).stdout(Stdio::null()).stderr(Stdio::null());
        command.status().is_ok_and(|status| status.success())
    };
    let found = candidates.into_iter().find(has_library);
    if found.is_none() {
        let why = "no Python with the thrift library (make components, SNOWSHED_COMPONENTS)";
        assert!(std::env::var("CI").as_deref() != Ok("true"), "CI skips nothing: {why}");
        let _ = std::io::Write::write_all(&mut std::io::stderr(), format!("skip: {why}\n").as_bytes());
    }
    found
}

fn ask(python: &Path, mode: &str, lines: &[String]) -> Vec<String> {
    let mut child =
        Command::new(python).arg(script()).arg(mode).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let mut input = child.stdin.take().unwrap();
    let text = lines.join("\n") + "\n";
    let writing = std::thread::spawn(move || input.write_all(text.as_bytes()).unwrap());
    let output = child.wait_with_output().unwrap();
    writing.join().unwrap();
    assert!(output.status.success());
    String::from_utf8(output.stdout).unwrap().lines().map(str::to_owned).collect()
}

fn to_json(p: &Payload) -> Value {
    let mut fields = Map::new();
    let mut put = |number: i16, value: Option<&Bytes>| {
        if let Some(value) = value {
            fields.insert(number.to_string(), json!(STANDARD.encode(value)));
        }
    };
    put(100, Some(&p.ip));
    put(210, Some(&p.encoding));
    put(220, Some(&p.collector));
    put(300, p.user_agent.as_ref());
    put(310, p.referer.as_ref());
    put(320, p.path.as_ref());
    put(330, p.querystring.as_ref());
    put(340, p.body.as_ref());
    put(360, p.content_type.as_ref());
    put(400, p.hostname.as_ref());
    put(410, p.network_user_id.as_ref());
    put(31337, Some(&p.schema));
    fields.insert("200".to_owned(), json!(p.timestamp_ms));
    if !p.headers.is_empty() {
        fields.insert("350".to_owned(), p.headers.iter().map(|h| STANDARD.encode(h)).collect());
    }
    Value::Object(fields)
}

/// Records as the collector makes them, and some at the edges.
fn payloads() -> Vec<Payload> {
    let mut core = Core::new("");
    let mut all = vec![
        core.ask("GET /i?e=pv&page={x}%FF HTTP/1.1\nUser-Agent: UA\nReferer: https://r.example/").payload().clone(),
        core.post("POST /a/b HTTP/1.1\nContent-Type: application/json; charset=UTF-8\nCookie: a=b; c=d", b"\xff\x00{}")
            .payload()
            .clone(),
        core.ask("HEAD /i HTTP/1.1\nSP-Anonymous: *\nX-Latin: caf\u{e9}").payload().clone(),
        core.raw(b"GET /i HTTP/1.0\r\n\r\n", b"").payload().clone(),
    ];
    all.push(Payload { timestamp_ms: i64::MIN, ip: Bytes::new(), ..all[0].clone() });
    all.push(Payload { body: Some(vec![b'x'; 300_000].into()), headers: vec![Bytes::new(); 500], ..all[1].clone() });
    all
}

#[test]
fn an_independent_library_reads_and_writes_the_same_bytes() {
    let Some(python) = python() else { return };
    let payloads = payloads();
    let ours: Vec<String> = payloads
        .iter()
        .map(|p| {
            let mut out = BytesMut::new();
            thrift::encode(p, &mut out);
            STANDARD.encode(&out)
        })
        .collect();
    let wanted: Vec<Value> = payloads.iter().map(to_json).collect();
    let theirs = ask(&python, "encode", &wanted.iter().map(Value::to_string).collect::<Vec<_>>());
    assert_eq!(ours, theirs, "bytes that they write");
    let read: Vec<Value> = ask(&python, "decode", &ours).iter().map(|l| serde_json::from_str(l).unwrap()).collect();
    assert_eq!(read, wanted, "fields that they read");
    for (text, payload) in theirs.iter().zip(&payloads) {
        let bytes = Bytes::from(STANDARD.decode(text).unwrap());
        assert_eq!(&thrift::decode(&bytes).unwrap(), payload, "fields that we read");
    }
}
