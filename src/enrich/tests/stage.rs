//! The stage behind a real journal: order, gaplessness, latency, stops and outages.

use super::*;
use crate::event::{EnrichedBatch, OffsetRange};
use crate::journal::{self, Journal, Record};
use crate::pipeline::drain::Drain;
use crate::pipeline::link::{LinkReceiver, Received, link};
use crate::platform::clock::Clock;
use crate::platform::fs::RealFs;
use crate::platform::testing::PATIENCE;
use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

pub(super) struct Running {
    journal: Journal,
    stage: Enrich,
    drain: Drain,
    out: LinkReceiver<EnrichedBatch>,
    _folder: tempfile::TempDir,
}

pub(super) fn start(resolver: Arc<Resolver>, workers: usize, bound: usize) -> Running {
    let folder = tempfile::tempdir().unwrap();
    let of_journal = journal::Config::default();
    let (journal, _) =
        Journal::open(&of_journal, &folder.path().join("journal"), Arc::new(RealFs), Clock::System, &Metrics::new())
            .unwrap();
    let (tx, out) = link("enriched", bound);
    let drain = Drain::new();
    let config = Config { workers, ..Config::default() };
    let enricher = Enricher::new(&config, Steps::always_on(), resolver, journal.id()).unwrap();
    let deps = Deps {
        reader: journal.reader(Offset::ZERO).unwrap(),
        enricher: Arc::new(enricher),
        clock: Clock::fixed(ETL),
        metrics: Metrics::new(),
        drain: drain.clone(),
        out: tx,
    };
    let stage = build(&config, deps).unwrap();
    Running { journal, stage, drain, out, _folder: folder }
}

impl Running {
    pub(super) fn append(&self, records: Vec<Record>) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(self.journal.appender().append(records)).unwrap();
    }

    pub(super) fn next(&self) -> EnrichedBatch {
        match self.out.recv_timeout(PATIENCE) {
            Received::Message(batch) => batch,
            other => panic!("{other:?}"),
        }
    }

    pub(super) fn stop(self) {
        self.drain.raise();
        drop(self.out);
        self.stage.join().unwrap();
    }
}

pub(super) fn view(i: usize) -> Record {
    Record { kind: RecordKind::Payload, body: super::record(&request("/i", &format!("e=pv&aid=a{i}"))) }
}

#[test]
fn stretches_leave_in_offset_order_without_a_gap() {
    let run = start(kit().resolver, 3, 4);
    let count = 3000;
    for chunk in (0..count).collect::<Vec<_>>().chunks(170) {
        run.append(chunk.iter().map(|&i| view(i)).collect());
    }
    let (mut next, mut apps) = (Offset::ZERO, Vec::new());
    while next.0 < count as u64 {
        let batch = run.next();
        assert_eq!(batch.range.from, next);
        assert!(!batch.range.is_empty() && batch.bytes > 0);
        assert_eq!(batch.received_ms, (RECEIVED, RECEIVED));
        next = batch.range.to;
        for item in &batch.items {
            assert!(batch.range.contains(item.addr.offset));
            match &item.outcome {
                Outcome::Enriched(e) => {
                    assert_eq!(cell(e, "etl_tstamp"), "2024-03-09 10:20:31.456");
                    apps.push(cell(e, "app_id"));
                }
                other => panic!("{other:?}"),
            }
        }
    }
    assert_eq!(apps, (0..count).map(|i| format!("a{i}")).collect::<Vec<_>>());
    let deadline = Instant::now() + PATIENCE;
    while run.stage.enriched() < next && Instant::now() < deadline {
        std::thread::sleep(Duration::from_millis(1));
    }
    assert_eq!(run.stage.enriched(), next);
    run.stop();
}

#[test]
fn a_full_link_holds_the_stage_back_and_loses_nothing() {
    let run = start(kit().resolver, 2, 1);
    for i in 0..40 {
        run.append(vec![view(i)]);
        std::thread::sleep(Duration::from_millis(3));
    }
    let mut seen = 0;
    let mut next = Offset::ZERO;
    while next.0 < 40 {
        let batch = run.next();
        assert_eq!(batch.range.from, next);
        next = batch.range.to;
        seen += batch.items.len();
        std::thread::sleep(Duration::from_millis(5));
    }
    assert_eq!(seen, 40);
    run.stop();
}

#[test]
fn a_stop_ends_every_thread_even_when_nobody_takes_what_is_ready() {
    let run = start(kit().resolver, 2, 1);
    for i in 0..50 {
        run.append(vec![view(i)]);
    }
    std::thread::sleep(Duration::from_millis(50));
    let started = Instant::now();
    run.stop();
    assert!(started.elapsed() < PATIENCE / 2);
}

#[test]
fn a_recorded_bad_row_and_garbage_are_failed_outcomes() {
    let run = start(kit().resolver, 1, 8);
    run.append(vec![
        Record { kind: RecordKind::BadRow, body: Bytes::from_static(b"{}") },
        Record { kind: RecordKind::Payload, body: Bytes::from_static(b"garbage") },
        view(1),
    ]);
    let mut items = Vec::new();
    while items.len() < 3 {
        items.extend(run.next().items);
    }
    let kinds: Vec<&str> = items
        .iter()
        .map(|i| match &i.outcome {
            Outcome::Failed(f) => f.cause.kind.name(),
            Outcome::Enriched(_) => "enriched",
            _ => "other",
        })
        .collect();
    assert_eq!(kinds, ["generic_error", "collector_payload_format_violation", "enriched"]);
    run.stop();
}

/// A registry that answers 503 until it is told to answer 200.
fn registry(up: Arc<AtomicBool>) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let Ok(mut stream) = stream else { return };
            let mut request: Vec<u8> = Vec::new();
            let mut buffer = [0; 1024];
            while !request.windows(4).any(|w| w == b"\r\n\r\n") {
                match stream.read(&mut buffer) {
                    Ok(0) | Err(_) => break,
                    Ok(n) => request.extend(&buffer[..n]),
                }
            }
            let body = r#"{"$schema":"http://iglucentral.com/schemas/com.snowplowanalytics.self-desc/schema/jsonschema/1-0-0#","self":{"vendor":"com.far","name":"away","format":"jsonschema","version":"1-0-0"},"type":"object"}"#;
            let reply = if up.load(Ordering::SeqCst) {
                format!(
                    "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
                    body.len()
                )
            } else {
                "HTTP/1.1 503 Busy\r\nContent-Length: 0\r\nConnection: close\r\n\r\n".to_owned()
            };
            let _ = stream.write_all(reply.as_bytes());
        }
    });
    address
}

fn far_away() -> Record {
    let text = unstruct(r#"{"schema":"iglu:com.far/away/jsonschema/1-0-0","data":{}}"#);
    Record { kind: RecordKind::Payload, body: super::record(&request("/i", &format!("e=ue&ue_pr={}", enc(&text)))) }
}

fn resolver_at(uri: String) -> Arc<Resolver> {
    // The client is built without a default provider of TLS; a plain address still wants one.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let iglu = schema::Config { registries: vec![registry_config(uri)], ..schema::Config::default() };
    schema::build(&iglu, None, &Metrics::new()).unwrap()
}

pub(super) fn registry_config(uri: String) -> schema::RegistryConfig {
    schema::RegistryConfig {
        name: "far".to_owned(),
        uri,
        vendor_prefixes: Vec::new(),
        priority: 0,
        api_key: None,
        required: true,
    }
}

#[test]
fn a_registry_that_is_away_delays_events_and_fails_none() {
    let up = Arc::new(AtomicBool::new(false));
    let run = start(resolver_at(registry(up.clone())), 2, 8);
    run.append(vec![view(0)]);
    assert_eq!(run.next().range, OffsetRange::new(Offset(0), Offset(1)));
    run.append(vec![far_away(), view(1)]);
    let deadline = Instant::now() + PATIENCE;
    while run.stage.outage().is_none() && Instant::now() < deadline {
        std::thread::sleep(Duration::from_millis(5));
    }
    assert_eq!(run.stage.outage().unwrap().registry, "far");
    assert!(matches!(run.out.recv_timeout(Duration::from_millis(300)), Received::Nothing));
    assert_eq!(run.stage.enriched(), Offset(1));
    up.store(true, Ordering::SeqCst);
    let mut items = Vec::new();
    while items.len() < 2 {
        items.extend(run.next().items);
    }
    assert!(items.iter().all(|i| matches!(i.outcome, Outcome::Enriched(_))), "{items:?}");
    assert!(run.stage.outage().is_none());
    run.stop();
}

#[test]
fn a_stop_during_an_outage_leaves_the_payload_for_the_next_start() {
    let run = start(resolver_at(registry(Arc::new(AtomicBool::new(false)))), 1, 8);
    run.append(vec![far_away()]);
    let deadline = Instant::now() + PATIENCE;
    while run.stage.outage().is_none() && Instant::now() < deadline {
        std::thread::sleep(Duration::from_millis(5));
    }
    let started = Instant::now();
    run.drain.raise();
    assert!(matches!(run.out.recv_timeout(PATIENCE), Received::Closed));
    assert!(started.elapsed() < PATIENCE / 2);
    run.stage.join().unwrap();
}
