//! Events per second that the pure core of enrichment makes of journal records, without I/O.
//!
//! `cargo bench --bench enrich -- [--seconds N] [--threads N]`
//!
//! One thread unless `--threads` asks for more; each row is one form of traffic, once with the steps that are always on and
//! once with user agent, referer, campaign and fingerprint switched on. What an event allocates: `--bench enrich_allocations`.

#[path = "enrich/traffic.rs"]
mod traffic;

use bytes::Bytes;
use snowshed::enrich::Enricher;
use snowshed::event::{Offset, Outcome};
use snowshed::journal::RecordKind;
use std::time::{Duration, Instant};
use traffic::Form;

fn main() {
    let (mut seconds, mut threads) = (2.0, 1usize);
    let mut args = std::env::args().skip(1);
    while let Some(arg) = args.next() {
        let mut value = || args.next().and_then(|v| v.parse().ok()).unwrap_or_else(|| panic!("{arg} needs a number"));
        match arg.as_str() {
            "--seconds" => seconds = value(),
            "--threads" => threads = value() as usize,
            // Given by cargo.
            "--bench" => {}
            other => panic!("unknown option {other}; known are --seconds, --threads"),
        }
    }
    let folder = std::env::temp_dir().join("snowshed-bench-enrich");
    std::fs::create_dir_all(&folder).expect("a folder for configuration files");
    println!("{:<34} {:>8} {:>12} {:>10} {:>8}", "", "bytes", "events/s", "µs/event", "MB/s");
    for (name, form) in [
        ("POST of 10, JSON contexts", Form::Json(10)),
        ("POST of 10, base64 contexts", Form::Base64(10)),
        ("POST of 1, JSON contexts", Form::Json(1)),
        ("GET, base64 contexts", Form::Get),
    ] {
        let (records, each) = traffic::records(form, 2000);
        let bytes = records.iter().map(Bytes::len).sum::<usize>() / records.len() / each;
        for usual in [false, true] {
            let enricher = traffic::enricher(&folder, usual);
            let rate = run(&enricher, &records, each, Duration::from_secs_f64(seconds), threads);
            let name = format!("{name}{}", if usual { ", usual steps" } else { "" });
            println!("{name:<34} {bytes:>8} {rate:>12.0} {:>10.2} {:>8.0}", 1e6 / rate * threads as f64, rate * bytes as f64 / 1e6);
        }
    }
}

fn run(enricher: &Enricher, records: &[Bytes], each: usize, time: Duration, threads: usize) -> f64 {
    for (i, record) in records.iter().enumerate() {
        let done = enricher.process(Offset(i as u64), RecordKind::Payload, record, 0).expect("built-in schemas");
        assert!(done.items.iter().all(|p| matches!(p.outcome, Outcome::Enriched(_))), "{:?}", done.items);
    }
    let start = Instant::now();
    let events: usize = std::thread::scope(|scope| {
        let one = |from: usize| {
            let mut events = 0;
            for record in records.iter().cycle().skip(from) {
                events += each;
                std::hint::black_box(enricher.process(Offset(0), RecordKind::Payload, record, 0).expect("built-in schemas"));
                if events % 1000 == 0 && start.elapsed() > time {
                    break;
                }
            }
            events
        };
        let others: Vec<_> = (1..threads).map(|t| scope.spawn(move || one(t * 37))).collect();
        one(0) + others.into_iter().map(|t| t.join().expect("a worker")).sum::<usize>()
    });
    events as f64 / start.elapsed().as_secs_f64()
}
