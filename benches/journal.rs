//! Appends per second and their latency, against what the disk itself does in the same run.
//!
//! `cargo bench --bench journal -- [--dir DIR] [--seconds N] [--bytes N]`
//!
//! The writers are tasks of one single-threaded runtime, as in a collector with one core; each appends one record, waits
//! until it is durable, and appends the next. `raw` is one thread that writes a record and calls `fdatasync`, over and
//! over: the most that is possible without sharing a sync. CPU is the time that the whole process used per append.

use bytes::Bytes;
use snowshed::journal::{Config, Journal, Record, RecordKind};
use snowshed::platform::clock::Clock;
use snowshed::platform::fs::RealFs;
use snowshed::platform::units::Span;
use snowshed::telemetry::Metrics;
use std::fs::{self, OpenOptions};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

struct Options {
    dir: PathBuf,
    time: Duration,
    bytes: usize,
}

fn options() -> Options {
    let mut out =
        Options { dir: std::env::temp_dir().join("snowshed-bench"), time: Duration::from_secs(3), bytes: 1200 };
    let mut args = std::env::args().skip(1);
    while let Some(arg) = args.next() {
        let mut value = || args.next().unwrap_or_else(|| panic!("{arg} needs a value"));
        match arg.as_str() {
            "--dir" => out.dir = value().into(),
            "--seconds" => out.time = Duration::from_secs_f64(value().parse().expect("a number of seconds")),
            "--bytes" => out.bytes = value().parse().expect("a number of bytes"),
            // Given by cargo.
            "--bench" => {}
            other => panic!("unknown option {other}; known are --dir, --seconds, --bytes"),
        }
    }
    out
}

fn main() {
    let options = options();
    fs::create_dir_all(&options.dir).expect("a folder to write in");
    println!("records of {} bytes, {:?} each, in {}", options.bytes, options.time, options.dir.display());
    println!(
        "{:>24} {:>12} {:>10} {:>10} {:>10} {:>10} {:>8}",
        "", "records/s", "p50 µs", "p99 µs", "CPU µs", "group", "× raw"
    );
    let raw = raw(&options);
    print("raw fdatasync", &raw, &raw);
    for writers in [1, 8, 64, 256] {
        print(&format!("{writers} writers"), &journal(&options, writers, 1), &raw);
    }
    print("64 writers × 10", &journal(&options, 64, 10), &raw);
    for interval in [0, 1, 2, 5] {
        print(&format!("15000/s, interval {interval} ms"), &paced(&options, 15_000, interval), &raw);
    }
}

struct Outcome {
    per_second: f64,
    latencies: Vec<Duration>,
    cpu_us: f64,
    group: f64,
}

fn print(name: &str, it: &Outcome, raw: &Outcome) {
    let at = |q: f64| {
        let i = ((it.latencies.len() as f64 * q) as usize).min(it.latencies.len().saturating_sub(1));
        it.latencies.get(i).map_or(0.0, |d| d.as_secs_f64() * 1e6)
    };
    println!(
        "{name:>24} {:>12.0} {:>10.0} {:>10.0} {:>10.2} {:>10.1} {:>8.2}",
        it.per_second,
        at(0.5),
        at(0.99),
        it.cpu_us,
        it.group,
        it.per_second / raw.per_second
    );
}

/// CPU time of this process, user and system.
fn cpu() -> Duration {
    let text = fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let fields: Vec<&str> = text.rsplit(')').next().unwrap_or("").split_whitespace().collect();
    let ticks = |i: usize| fields.get(i).and_then(|f| f.parse::<u64>().ok()).unwrap_or(0);
    Duration::from_millis((ticks(11) + ticks(12)) * 10)
}

fn raw(options: &Options) -> Outcome {
    let path = options.dir.join("raw.bin");
    let file = OpenOptions::new().create(true).truncate(true).write(true).open(&path).expect("a file");
    let buffer = vec![7u8; options.bytes];
    let mut latencies = Vec::new();
    let (begun, used) = (Instant::now(), cpu());
    while begun.elapsed() < options.time {
        let one = Instant::now();
        file.write_all_at(&buffer, (latencies.len() * buffer.len()) as u64).expect("a write");
        file.sync_data().expect("a sync");
        latencies.push(one.elapsed());
    }
    let _ = fs::remove_file(path);
    finish(latencies, 1, begun.elapsed(), cpu() - used, 1.0)
}

fn finish(mut latencies: Vec<Duration>, batch: usize, time: Duration, used: Duration, group: f64) -> Outcome {
    latencies.sort_unstable();
    let records = (latencies.len() * batch) as f64;
    Outcome {
        per_second: records / time.as_secs_f64(),
        cpu_us: used.as_secs_f64() * 1e6 / records.max(1.0),
        latencies,
        group,
    }
}

fn journal(options: &Options, writers: usize, batch: usize) -> Outcome {
    let dir = options.dir.join("journal");
    let _ = fs::remove_dir_all(&dir);
    let metrics = Metrics::new();
    let (journal, _) = Journal::open(&Config::default(), &dir, RealFs::shared(), Clock::System, &metrics)
        .unwrap_or_else(|e| panic!("{e}"));
    let body = Bytes::from(vec![7u8; options.bytes]);
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    let (begun, used, time) = (Instant::now(), cpu(), options.time);
    let latencies = runtime.block_on(async {
        let tasks: Vec<_> = (0..writers)
            .map(|_| {
                let (appender, body) = (journal.appender(), body.clone());
                tokio::spawn(async move {
                    let mut latencies = Vec::new();
                    while begun.elapsed() < time {
                        let records =
                            (0..batch).map(|_| Record { kind: RecordKind::Payload, body: body.clone() }).collect();
                        let one = Instant::now();
                        appender.append(records).await.expect("an append");
                        latencies.push(one.elapsed());
                    }
                    latencies
                })
            })
            .collect();
        let mut all = Vec::new();
        for task in tasks {
            all.extend(task.await.expect("a writer"));
        }
        all
    });
    let (time, used) = (begun.elapsed(), cpu() - used);
    let records = journal.durable_end().0 as f64;
    journal.close();
    let group = records / groups(&metrics);
    let _ = fs::remove_dir_all(Path::new(&dir));
    finish(latencies, batch, time, used, group)
}

/// Appends at a fixed rate, whatever the latency: what `journal.commit_interval` costs and saves under a usual load.
fn paced(options: &Options, rate: u64, interval_ms: i64) -> Outcome {
    let dir = options.dir.join("journal");
    let _ = fs::remove_dir_all(&dir);
    let metrics = Metrics::new();
    let config = Config { commit_interval: Span::from_millis(interval_ms), ..Config::default() };
    let (journal, _) =
        Journal::open(&config, &dir, RealFs::shared(), Clock::System, &metrics).unwrap_or_else(|e| panic!("{e}"));
    let body = Bytes::from(vec![7u8; options.bytes]);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime");
    let (begun, used, time) = (Instant::now(), cpu(), options.time);
    let latencies = runtime.block_on(async {
        let mut tasks = Vec::new();
        while begun.elapsed() < time {
            let due = (begun.elapsed().as_secs_f64() * rate as f64) as usize;
            for _ in tasks.len()..due {
                let record = Record { kind: RecordKind::Payload, body: body.clone() };
                let (one, append) = (Instant::now(), journal.appender().append(vec![record]));
                tasks.push(tokio::spawn(async move {
                    append.await.expect("an append");
                    one.elapsed()
                }));
            }
            tokio::time::sleep(Duration::from_micros(200)).await;
        }
        let mut all = Vec::new();
        for task in tasks {
            all.push(task.await.expect("a writer"));
        }
        all
    });
    let (time, used) = (begun.elapsed(), cpu() - used);
    let records = journal.durable_end().0 as f64;
    journal.close();
    let group = records / groups(&metrics);
    let _ = fs::remove_dir_all(&dir);
    finish(latencies, 1, time, used, group)
}

fn groups(metrics: &Metrics) -> f64 {
    let text = metrics.render().unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix("snowshed_journal_groups_total "));
    line.and_then(|n| n.parse().ok()).unwrap_or(f64::NAN)
}
