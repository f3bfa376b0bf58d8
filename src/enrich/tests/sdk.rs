//! §7 and §1.2 with outside readers: the analytics SDKs of Snowplow for Python and JavaScript read our lines.

use super::*;
use crate::event::sdk_json::{self, Form};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

fn components() -> Option<PathBuf> {
    let found = std::env::var_os("SNOWSHED_COMPONENTS").map(PathBuf::from).filter(|p| p.is_dir());
    if found.is_none() {
        let why = "no analytics SDKs (make components, SNOWSHED_COMPONENTS)";
        assert!(std::env::var("CI").as_deref() != Ok("true"), "CI skips nothing: {why}");
        let _ = writeln!(std::io::stderr(), "skip: {why}");
    }
    found
}

/// Events that between them fill every kind of cell.
fn events(kit: &Kit) -> Vec<Event> {
    let co = contexts(&[click(r#"{"id":1,"t":"a\tb","x":{"deep":[1.10,null,"ü"]}}"#), click(r#"{"id":2}"#)].join(","));
    let ue = unstruct(&click(r#"{"id":3}"#));
    let mut out: Vec<Event> = [
        format!("e=se&p=web&tv=js&aid=shop&eid={EID}&tid=5&se_ca=c%09d&se_va=1.50&dtm=1000&stm=2000&ttm=3000&res=1x2&cookie=1&f_pdf=0&vid=3&sid={EID}&url={}&refr={}&co={}", enc("https://a.test:8443/x?y=1&_sp=d.1700000000000#z"), enc("http://b.test/q?w=ü"), enc(&co)),
        format!("e=ue&p=mob&tv=js&eid={EID}&ue_pr={}", enc(&ue)),
        format!("e=tr&p=srv&tv=js&eid={EID}&tr_id=o%5C1&tr_tt=12.50&tr_tx=.5&tr_sh=1e3&tr_cu=EUR"),
        format!("e=ti&p=srv&tv=js&eid={EID}&ti_id=o1&ti_sk=%22s%22&ti_pr=0.10&ti_qu=-3"),
        format!("e=pp&p=web&tv=js&eid={EID}&pp_mix=0&pp_max=1&pp_miy=2&pp_may=3&page=%F0%9D%84%9E"),
    ]
    .iter()
    .map(|q| kit.event(q))
    .collect();
    out[0].set(crate::event::columns::GEO_LATITUDE, crate::event::Cell::Float(37.443604));
    out[0].set(crate::event::columns::GEO_LONGITUDE, crate::event::Cell::Float(-122.0));
    out
}

fn ask(mut command: Command, lines: &[String]) -> Vec<Value> {
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let mut input = child.stdin.take().unwrap();
    let text = lines.join("\n") + "\n";
    let writing = std::thread::spawn(move || input.write_all(text.as_bytes()).unwrap());
    let output = child.wait_with_output().unwrap();
    writing.join().unwrap();
    assert!(output.status.success(), "{command:?}");
    String::from_utf8(output.stdout).unwrap().lines().map(|l| serde_json::from_str(l).unwrap()).collect()
}

/// Our JSON in the words of those SDKs: no nulls, no `_schema_version`, the other name of one column, and `se_value` as text.
fn in_their_words(event: &Event) -> Value {
    let mut json: Value = serde_json::from_str(&sdk_json::text(event, Form::Lossy)).unwrap();
    let object = json.as_object_mut().unwrap();
    object.retain(|_, v| !v.is_null());
    if let Some(time) = object.remove("refr_dvce_tstamp") {
        object.insert("refr_device_tstamp".to_owned(), time);
    }
    if let Some(value) = event.text(crate::event::columns::SE_VALUE) {
        object.insert("se_value".to_owned(), value.into());
    }
    for (key, value) in object.iter_mut().filter(|(key, _)| key.starts_with("contexts_")) {
        for item in value.as_array_mut().unwrap_or_else(|| panic!("{key} is a list")) {
            item.as_object_mut().unwrap().remove("_schema_version");
        }
    }
    json
}

/// Numbers by value: JavaScript has no `-122.0`.
fn same(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Number(a), Value::Number(b)) => a.as_f64() == b.as_f64(),
        (Value::Array(a), Value::Array(b)) => a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same(a, b)),
        (Value::Object(a), Value::Object(b)) => {
            a.len() == b.len() && a.iter().all(|(k, v)| b.get(k).is_some_and(|w| same(v, w)))
        }
        (a, b) => a == b,
    }
}

fn check(command: Command) {
    let kit = kit();
    let events = events(&kit);
    let mut lines: Vec<String> = events.iter().map(tsv::line).collect();
    lines.push("no\tevent".to_owned());
    let read = ask(command, &lines);
    assert_eq!(read.len(), lines.len());
    for (event, read) in events.iter().zip(&read) {
        let ours = in_their_words(event);
        assert!(same(&ours, read), "ours  {ours}\ntheirs {read}");
    }
    assert!(read[events.len()]["error"].is_array() || read[events.len()]["error"].is_string());
}

fn script(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/components").join(name)
}

#[test]
fn the_python_sdk_reads_our_lines_as_we_print_them() {
    let Some(folder) = components() else { return };
    let mut command = Command::new(folder.join("venv/bin/python"));
    command.arg(script("sdk_check.py"));
    check(command);
}

#[test]
fn the_javascript_sdk_reads_our_lines_as_we_print_them() {
    let Some(folder) = components() else { return };
    let mut command = Command::new("node");
    command.arg(script("sdk_check.mjs")).env("SNOWSHED_COMPONENTS", folder);
    check(command);
}
