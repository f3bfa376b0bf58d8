//! What a hostile sender can make the core do: look-ups, time and memory stay bounded, and other events come through.

use super::stage::{registry_config, start, view};
use super::*;
use crate::enrich::fuzz;
use crate::journal::Record;
use crate::platform::testing::PATIENCE;
use crate::schema::tests::server::Server;
use std::sync::Arc;
use std::time::{Duration, Instant};

fn resolver_at(server: &Server) -> Arc<Resolver> {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let iglu =
        schema::Config { registries: vec![registry_config(server.address.clone())], ..schema::Config::default() };
    schema::build(&iglu, None, &Metrics::new()).unwrap()
}

fn core(resolver: Arc<Resolver>) -> Enricher {
    // Rows that tell of thousands of schemas are longer than a stream takes.
    let config = Config { max_record_bytes: crate::platform::units::ByteSize(64 << 20), ..Config::default() };
    Enricher::new(&config, Steps::always_on(), resolver, uuid::Uuid::nil()).unwrap()
}

fn named(name: &str) -> String {
    format!(r#"{{"schema":"iglu:com.far/{name}/jsonschema/1-0-0","data":{{}}}}"#)
}

/// One event whose contexts name as many schemas.
fn naming(names: impl Iterator<Item = String>) -> Payload {
    let items: Vec<String> = names.map(|n| named(&n)).collect();
    let co = quoted(&contexts(&items.join(",")));
    let mut p = request(TP2, "");
    p.content_type = Some(Bytes::from_static(b"application/json"));
    p.body = Some(payload_data(&format!(r#"{{"e":"pv","p":"web","tv":"t","co":{co}}}"#)).into());
    p
}

fn quoted(text: &str) -> String {
    let mut out = String::new();
    crate::event::json::write_string(text, &mut out);
    out
}

fn invented(record: usize, count: usize) -> Payload {
    naming((0..count).map(move |i| format!("n{record}_{i}")))
}

#[test]
fn thousands_of_invented_schemas_ask_the_registry_little_and_hold_nobody_up() {
    let server = Server::start();
    server.state.lock().delay = Duration::from_millis(50);
    let run = start(resolver_at(&server), 2, 64);
    let started = Instant::now();
    // What anybody can send in a second; then a visitor.
    let records = 20;
    for i in 0..records {
        run.append(vec![Record { kind: RecordKind::Payload, body: super::record(&invented(i, 2000)) }]);
    }
    run.append(vec![view(1)]);
    let (mut failed, mut good) = (0, 0);
    while good == 0 {
        for item in run.next().items {
            match item.outcome {
                Outcome::Failed(f) => {
                    // A row with 2000 look-ups in it is over the limit of the streams.
                    assert!(["ResolutionError", "size"].contains(&f.cause.failure.as_str()), "{}", f.cause.failure);
                    failed += 1;
                }
                Outcome::Enriched(_) => good += 1,
                other => panic!("{other:?}"),
            }
        }
    }
    let (took, asked) = (started.elapsed(), server.asked());
    println!("{asked} look-ups for {} names, the visitor's event after {took:?}", records * 2000);
    assert_eq!(failed, records, "every event has its outcome");
    assert!((1..700).contains(&asked), "{asked} look-ups");
    assert!(took < Duration::from_secs(30), "{took:?}");
    run.stop();
}

#[test]
fn one_record_asks_for_a_bounded_number_of_names_that_nobody_has() {
    let server = Server::start();
    let core = core(resolver_at(&server));
    let record = super::record(&invented(0, 3000));
    let items = core.process(Offset(0), RecordKind::Payload, &record, ETL).unwrap().items;
    assert!((64..=128).contains(&server.asked()), "{}", server.asked());
    let failure = super::failed(items);
    let row = json(&failure);
    let messages = row["data"]["failure"]["messages"].as_array().unwrap();
    assert_eq!(messages.len(), 3000, "every item is told");
    let said = |m: &Value| m["error"]["lookupHistory"][1]["errors"][0]["error"].as_str().unwrap().to_owned();
    let refused = messages.iter().filter(|m| said(m) == "ClientFailure").count();
    assert_eq!(refused, 3000 - server.asked(), "whoever was not asked is named as such");
}

#[test]
fn schemas_that_exist_are_found_however_many_there_are_and_whatever_was_invented_before() {
    let server = Server::start();
    for i in 0..300 {
        server.says(&format!("com.far/real{i}/jsonschema/1-0-0"), 200, r#"{"type":"object"}"#);
    }
    let core = core(resolver_at(&server));
    let record = super::record(&naming((0..300).map(|i| format!("real{i}"))));
    let items = core.process_arriving(Offset(0), RecordKind::Payload, &record, ETL).unwrap().items;
    assert_eq!(enriched(items)[0].contexts.len(), 300);
    // The account for inventions is used up; what is in memory or built in is not touched by that.
    for i in 0..12 {
        let record = super::record(&invented(i, 300));
        core.process_arriving(Offset(1), RecordKind::Payload, &record, ETL).unwrap();
    }
    let asked = server.asked();
    assert!(asked < 300 + 900, "{asked}");
    let items = core.process_arriving(Offset(2), RecordKind::Payload, &record, ETL).unwrap().items;
    assert_eq!(enriched(items)[0].contexts.len(), 300);
    // A schema that was refused a look-up is not remembered as missing: a little later it is found.
    server.says("com.far/new/jsonschema/1-0-0", 200, r#"{"type":"object"}"#);
    let record = super::record(&naming(std::iter::once("new".to_owned())));
    let end = Instant::now() + PATIENCE;
    loop {
        let items = core.process_arriving(Offset(3), RecordKind::Payload, &record, ETL).unwrap().items;
        if matches!(items[0].outcome, Outcome::Enriched(_)) {
            break;
        }
        assert!(Instant::now() < end, "never found: {items:?}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

#[test]
fn a_record_with_more_schemas_than_memory_holds_comes_to_an_end() {
    let folder = tempfile::tempdir().unwrap();
    let count = 1500;
    for i in 0..count {
        let file = folder.path().join(format!("com.far/s{i}/jsonschema/1-0-0"));
        std::fs::create_dir_all(file.parent().unwrap()).unwrap();
        std::fs::write(file, r#"{"type":"object"}"#).unwrap();
    }
    let iglu = schema::Config { path: vec![folder.path().to_owned()], cache_size: 1024, ..schema::Config::default() };
    let core = core(schema::build(&iglu, None, &Metrics::new()).unwrap());
    let record = super::record(&naming((0..count).map(|i| format!("s{i}"))));
    let items = core.process_arriving(Offset(0), RecordKind::Payload, &record, ETL).unwrap().items;
    assert_eq!(enriched(items)[0].contexts.len(), count);
}

/// Requests that grow with `n` and would be slow if anything were quadratic.
fn hostile(n: usize) -> Vec<(&'static str, Payload)> {
    let get = |q: String| request("/i", &q);
    let event = |members: String| {
        let mut p = request(TP2, "");
        p.content_type = Some(Bytes::from_static(b"application/json"));
        p.body = Some(payload_data(&format!(r#"{{"e":"pv","p":"web","tv":"t",{members}}}"#)).into());
        p
    };
    let with = |name: &str, value: &str| event(format!("\"{name}\":{}", quoted(value)));
    let headers = |lines: Vec<Bytes>| Payload { headers: lines, ..request("/i", "e=pv") };
    let repeat = |s: &str| s.repeat(n / s.len() + 1);
    let numbered = |each: &dyn Fn(usize) -> String| (0..n / 20).map(each).collect::<Vec<_>>();
    vec![
        ("many names", get(format!("e=pv&{}", numbered(&|i| format!("name{i:07}=value")).join("&")))),
        ("one name again and again", get(format!("e=pv&{}", repeat("a=b&")))),
        ("nothing but separators", get(format!("e=pv{}", repeat("&;")))),
        ("escapes", get(format!("e=pv&page={}", repeat("%C3%BC%01")))),
        ("a long URL", with("url", &format!("http://a.test/{}", repeat("|a b%")))),
        ("a long query of a URL", with("url", &format!("http://a.test/?{}", repeat("utm_source=x&")))),
        ("a host of many labels", with("refr", &format!("http://{}test/x", repeat("a.")))),
        ("a page of many labels", with("url", &format!("http://{}test/x", repeat("a.")))),
        ("a referrer of many segments", with("refr", &format!("http://a.test/{}?{}", repeat("x/"), repeat("q=%41&")))),
        ("a host that is none", with("refr", &format!("http://{}/", repeat("a.b-c_")))),
        ("a long _sp", with("url", &format!("http://a.test/?_sp={}", repeat("a.b")))),
        ("a long number", with("se_va", &repeat("12"))),
        ("a long fraction", with("se_va", &format!("0.{}", repeat("0")))),
        ("an address", with("ip", &repeat("1:"))),
        ("keys", event(numbered(&|i| format!(r#""k{i:09}":"v""#)).join(","))),
        ("escapes in a string", event(format!(r#""page":"{}""#, repeat(r#"\"\\\n\u00fc"#)))),
        ("nesting", Payload { body: Some(repeat("[").into()), ..with("page", "x") }),
        ("good contexts", with("co", &contexts(&numbered(&|_| click(r#"{"id":1}"#)).join(",")))),
        ("bad contexts", with("co", &contexts(&numbered(&|_| click(r#"{"id":"x","y":1}"#)).join(",")))),
        (
            "an item of many keys",
            with("co", &contexts(&click(&format!("{{{}}}", numbered(&|i| format!(r#""k{i}":{i}"#)).join(","))))),
        ),
        ("base64 that is none", with("cx", &repeat("e y.J"))),
        ("a forwarded address", headers(vec![Bytes::from(format!("X-Forwarded-For: {}", repeat("1:")))])),
        ("headers", headers((0..n / 20).map(|_| Bytes::from_static(b"Forwarded: for=1.2.3.4")).collect())),
        ("a cookie of separators", headers(vec![Bytes::from(format!("Cookie: {}", repeat(";")))])),
        ("a cookie of quotes", headers(vec![Bytes::from(format!("Cookie: {}", repeat("a=\";")))])),
    ]
}

/// Time that this thread has run: other work on the machine does not count.
fn on_cpu() -> Duration {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    Duration::from_nanos(text.split(' ').next().and_then(|n| n.parse().ok()).unwrap_or(0))
}

#[test]
fn time_per_byte_stays_flat() {
    // The same outcomes in both sizes: no row is over the limit.
    let config = Config { max_record_bytes: crate::platform::units::ByteSize(1 << 30), ..Config::default() };
    let kit = kit_with(config, fuzz::steps());
    // CPU time is counted in ticks: one measure takes many of them.
    let measure = |p: &Payload, times: u32| {
        let record = super::record(p);
        let started = on_cpu();
        for _ in 0..times {
            kit.record(RecordKind::Payload, &record);
        }
        let time = on_cpu().saturating_sub(started) / times;
        time.as_nanos() as f64 / record.len() as f64
    };
    // Small payloads pay fixed costs per byte; from 40 kB on only the bytes count.
    let sizes = [1, 2, 4, 8].map(|factor| (hostile(40_000 * factor), 8 / factor as u32));
    for (i, (name, _)) in sizes[0].0.iter().enumerate() {
        let cost = sizes.each_ref().map(|(shapes, times)| measure(&shapes[i].1, *times));
        println!("{name}: {:.0} ns a byte at 40 kB, {:.0}, {:.0}, {:.0} at 320 kB", cost[0], cost[1], cost[2], cost[3]);
        assert!(cost[3] < cost[0] * 4.0 + 20.0, "{name}: {cost:?} ns a byte");
    }
}
