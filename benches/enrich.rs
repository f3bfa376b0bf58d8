//! Events per second that the pure core of enrichment makes of journal records, without I/O.
//!
//! `cargo bench --bench enrich -- [--seconds N] [--threads N] [--only TEXT]`
//!
//! Rates are per second of CPU time, so that a busy machine does not spoil them; with `--threads` the wall clock counts too.
//! Each row is one form of traffic, once with the steps that are always on and
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
    let (mut seconds, mut threads, mut only) = (2.0, 1usize, String::new());
    let mut args = std::env::args().skip(1);
    while let Some(arg) = args.next() {
        let mut value = || args.next().unwrap_or_else(|| panic!("{arg} needs a value"));
        match arg.as_str() {
            "--seconds" => seconds = value().parse().expect("a number of seconds"),
            "--threads" => threads = value().parse().expect("a number of threads"),
            "--only" => only = value(),
            // Given by cargo.
            "--bench" => {}
            other => panic!("unknown option {other}; known are --seconds, --threads, --only"),
        }
    }
    let folder = std::env::temp_dir().join("snowshed-bench-enrich");
    std::fs::create_dir_all(&folder).expect("a folder for configuration files");
    println!("{:<42} {:>6} {:>14} {:>10} {:>14}", "", "bytes", "events/CPU s", "µs/event", "events/s");
    for (name, form) in [
        ("POST of 10, JSON contexts", Form::Json(10)),
        ("POST of 10, base64 contexts", Form::Base64(10)),
        ("POST of 1, JSON contexts", Form::Json(1)),
        ("GET, base64 contexts", Form::Get),
    ] {
        let (records, each) = traffic::records(form, 2000);
        let bytes = records.iter().map(Bytes::len).sum::<usize>() / records.len() / each;
        for usual in [false, true] {
            let name = format!("{name}{}", if usual { ", usual steps" } else { "" });
            if !name.contains(&only) {
                continue;
            }
            let enricher = traffic::enricher(&folder, usual);
            let (rate, wall) = run(&enricher, &records, each, Duration::from_secs_f64(seconds), threads);
            println!("{name:<42} {bytes:>6} {rate:>14.0} {:>10.2} {wall:>14.0}", 1e6 / rate);
        }
    }
}

/// Nanoseconds that this thread has run on a CPU.
fn cpu_ns() -> u64 {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    text.split(' ').next().and_then(|n| n.parse().ok()).unwrap_or(0)
}

/// Events per second of CPU time and per second of wall clock.
fn run(enricher: &Enricher, records: &[Bytes], each: usize, time: Duration, threads: usize) -> (f64, f64) {
    for (i, record) in records.iter().enumerate() {
        let done = enricher.process(Offset(i as u64), RecordKind::Payload, record, 0).expect("built-in schemas");
        assert!(done.items.iter().all(|p| matches!(p.outcome, Outcome::Enriched(_))), "{:?}", done.items);
    }
    let start = Instant::now();
    let one = |from: usize| {
        let (mut events, cpu) = (0, cpu_ns());
        for record in records.iter().cycle().skip(from) {
            events += each;
            std::hint::black_box(
                enricher.process(Offset(0), RecordKind::Payload, record, 0).expect("built-in schemas"),
            );
            if events % 1000 == 0 && start.elapsed() > time {
                break;
            }
        }
        (events as f64, (cpu_ns() - cpu) as f64 / 1e9)
    };
    let (events, cpu) = std::thread::scope(|scope| {
        let others: Vec<_> = (1..threads).map(|t| scope.spawn(move || one(t * 37))).collect();
        let first = one(0);
        others.into_iter().map(|t| t.join().expect("a worker")).fold(first, |a, b| (a.0 + b.0, a.1 + b.1))
    });
    (events / cpu, events / start.elapsed().as_secs_f64())
}
