//! How many events a second deduplication judges, with a window full of earlier events behind it.
//!
//! `cargo bench --bench dedupe -- [--dir DIR] [--events N] [--batch N]`
//!
//! Fills an index with micro-batches of distinct events, sealed one after the other as in a running program, and measures
//! the verdicts on one thread: while filling, then for new events only, and with one event in twenty a repetition of an old
//! one. Rates are given by the clock and by the CPU time of that thread, which a busy machine disturbs less.

use snowshed::dedupe::{Config, IdEntry, Index, Verdict};
use snowshed::event::{EventAddr, Offset, OffsetRange};
use snowshed::platform::units::ByteSize;
use std::path::PathBuf;
use std::time::{Duration, Instant};
use uuid::Uuid;

fn main() {
    let (mut dir, mut events, mut batch) = (std::env::temp_dir().join("snowshed-bench"), 10_000_000u64, 150_000u64);
    let mut args = std::env::args().skip(1);
    while let Some(arg) = args.next() {
        let mut value = || args.next().unwrap_or_else(|| panic!("{arg} needs a value"));
        match arg.as_str() {
            "--dir" => dir = PathBuf::from(value()),
            "--events" => events = value().parse().expect("a number of events"),
            "--batch" => batch = value().parse().expect("a number of events"),
            // Given by cargo.
            "--bench" => {}
            other => panic!("unknown option {other}; known are --dir, --events, --batch"),
        }
    }
    let dir = dir.join("dedupe");
    let _ = std::fs::remove_dir_all(&dir);
    let config = Config { max_filter_bytes: ByteSize::mib(4096), ..Config::default() };
    let index = Index::load(&config, &dir, Offset(0), &mut |_, _| Ok(None)).unwrap_or_else(|e| panic!("{e}"));
    println!("{events} events in micro-batches of {batch}");

    let (mut judging, mut sealing, mut longest) = (Spent::default(), Duration::ZERO, Duration::ZERO);
    let mut next = 0;
    while next < events {
        let from = next;
        let begun = Mark::now();
        while next < (from + batch).min(events) {
            let verdict = index.judge(entry(next, next), Uuid::nil).expect("a verdict");
            assert_eq!(verdict, Verdict::First);
            next += 1;
        }
        judging.add(begun.spent());
        let begun = Instant::now();
        index.seal(OffsetRange::new(Offset(from), Offset(next))).expect("a file");
        longest = longest.max(begun.elapsed());
        sealing += begun.elapsed();
    }
    rate("judging while filling", events, judging);
    println!("sealing: {:.1} ms each, at most {:.1} ms", ms(sealing) / events.div_ceil(batch) as f64, ms(longest));
    let (bytes, forgotten) = index.usage();
    println!("memory of the filters: {:.2} bytes an event, {forgotten} forgotten", bytes as f64 / events as f64);

    let sample = 300_000;
    for (name, every) in [("all new", u64::MAX), ("one in twenty repeated", 20)] {
        let begun = Mark::now();
        for n in 0..sample {
            let (id, repeated) = match n % every == every - 1 {
                true => (n * 7919 % events, true),
                false => (next, false),
            };
            next += u64::from(!repeated);
            let verdict = index.judge(entry(id, next + n), Uuid::nil).expect("a verdict");
            assert_eq!(matches!(verdict, Verdict::Duplicate(_)), repeated);
        }
        rate(name, sample, begun.spent());
    }
    drop(index);
    let begun = Instant::now();
    let index = Index::load(&config, &dir, Offset(events), &mut |_, _| Ok(None)).unwrap_or_else(|e| panic!("{e}"));
    println!("loading at start: {:.0} ms", ms(begun.elapsed()));
    assert!(index.usage().0 > 0);
    let _ = std::fs::remove_dir_all(dir);
}

/// A random-looking id, as trackers make them.
fn entry(n: u64, at: u64) -> IdEntry {
    let stir = |x: u64| {
        let x = (x ^ x >> 31).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        (x ^ x >> 27).wrapping_mul(0x94D0_49BB_1331_11EB)
    };
    let id = u128::from(stir(n + 1)) << 64 | u128::from(stir(!n));
    let addr = EventAddr { offset: Offset(at), index: 0 };
    IdEntry { id, fingerprint: u128::from(n), addr, time_ms: at as i64 / 15, renamed: false, replayed: false }
}

fn ms(time: Duration) -> f64 {
    time.as_secs_f64() * 1000.0
}

#[derive(Clone, Copy, Default)]
struct Spent {
    wall: Duration,
    cpu: Duration,
}

impl Spent {
    fn add(&mut self, other: Spent) {
        self.wall += other.wall;
        self.cpu += other.cpu;
    }
}

struct Mark(Instant, Duration);

impl Mark {
    fn now() -> Self {
        Mark(Instant::now(), thread_cpu())
    }

    fn spent(&self) -> Spent {
        Spent { wall: self.0.elapsed(), cpu: thread_cpu() - self.1 }
    }
}

/// CPU time of this thread; zero where the system does not tell.
fn thread_cpu() -> Duration {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    Duration::from_nanos(text.split(' ').next().and_then(|n| n.parse().ok()).unwrap_or(0))
}

fn rate(name: &str, events: u64, spent: Spent) {
    let per = |time: Duration| events as f64 / time.as_secs_f64();
    println!("{name}: {:.0} events/s by the clock, {:.0} events per CPU second", per(spent.wall), per(spent.cpu));
}
