//! Enrichment on one thread, and the whole path from request to committed row.

use super::http::{free_port, wait_for};
use super::{Figure, figure};
use crate::cli::filter::enricher;
use crate::cli::traffic::load::{Bodies, Load, drive};
use crate::config::Loaded;
use crate::event::{Offset, Outcome, Payload};
use crate::journal::RecordKind;
use bytes::Bytes;
use std::net::SocketAddr;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// The pure core on one thread, on requests of ten events each.
pub(super) fn enrich(loaded: &Loaded, seconds: u64) -> Result<Vec<Figure>, String> {
    let enricher = enricher(&loaded.config)?;
    let bodies = Bodies::render(500, 10, 5, 1_764_000_000_000);
    let records: Vec<Bytes> = bodies.texts().map(record).collect();
    let mut events = 0u64;
    let mut failed = 0u64;
    let mut run = |time: Duration| {
        let start = Instant::now();
        events = 0;
        'all: loop {
            for (i, record) in records.iter().enumerate() {
                let out = enricher.process(Offset(i as u64), RecordKind::Payload, record, 1_764_000_000_000);
                let items = out.map_err(|e| e.to_string())?.items;
                failed += items.iter().filter(|p| !matches!(p.outcome, Outcome::Enriched(_))).count() as u64;
                events += items.len() as u64;
            }
            if start.elapsed() >= time {
                break 'all;
            }
        }
        Ok::<f64, String>(events as f64 / start.elapsed().as_secs_f64())
    };
    run(Duration::from_secs(1))?;
    let rate = run(Duration::from_secs(seconds))?;
    if failed > 0 {
        return Err(format!("{failed} of the generated events fail"));
    }
    Ok(vec![
        figure("enrichment, one thread (floor 60 000, aim 150 000)", rate, "events/s"),
        figure("  mean size of an event", bodies.mean_bytes() as f64 / 10.0, "bytes"),
    ])
}

fn record(body: &str) -> Bytes {
    let text = |s: &str| Some(Bytes::copy_from_slice(s.as_bytes()));
    let payload = Payload {
        ip: Bytes::from_static(b"203.0.113.7"),
        timestamp_ms: 1_764_000_000_500,
        encoding: Bytes::from_static(b"UTF-8"),
        collector: Bytes::from_static(b"snowshed-bench"),
        user_agent: text("Mozilla/5.0 (X11; Linux x86_64; rv:143.0) Gecko/20100101 Firefox/143.0"),
        path: text("/com.snowplowanalytics.snowplow/tp2"),
        body: text(body),
        content_type: text("application/json; charset=utf-8"),
        network_user_id: text("3f1d0a4e-7f2b-4c7e-9b0e-5d3f6c2a1b00"),
        schema: Bytes::from_static(crate::event::payload::SCHEMA.as_bytes()),
        ..Payload::default()
    };
    let mut out = bytes::BytesMut::new();
    crate::event::thrift::encode(&payload, &mut out);
    out.freeze()
}

/// The whole path at a steady rate: accept latency, freshness, commit, memory.
pub(super) fn measure(rate: u32, seconds: u64) -> Result<Vec<Figure>, String> {
    let work = std::env::temp_dir().join(format!("snowshed-path-{}", std::process::id()));
    let (collector, serving) = (free_port()?, free_port()?);
    let program = std::env::current_exe().map_err(|e| e.to_string())?;
    let mut child = Command::new(program)
        .arg("run")
        .env("SNOWSHED__DATA_DIR", &work)
        .env("SNOWSHED__COLLECTOR__LISTEN", format!("127.0.0.1:{collector}"))
        .env("SNOWSHED__SERVING__LISTEN", format!("127.0.0.1:{serving}"))
        .env("SNOWSHED__TELEMETRY__LOG", "warn")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .spawn()
        .map_err(|e| e.to_string())?;
    let result = wait_for(collector).and_then(|()| wait_for(serving)).and_then(|()| {
        std::thread::sleep(Duration::from_secs(2));
        let idle = resident_mb(child.id());
        steady(collector, serving, rate, seconds.max(20), child.id(), idle)
    });
    let _ = child.kill();
    let _ = child.wait();
    let _ = std::fs::remove_dir_all(&work);
    result
}

fn steady(collector: u16, serving: u16, rate: u32, seconds: u64, pid: u32, idle: f64) -> Result<Vec<Figure>, String> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(|e| e.to_string())?;
    let bodies = Arc::new(Bodies::render(2000, 10, 11, crate::platform::clock::Clock::System.now_ms()));
    let load = Load { rate, batch: 10, connections: 64, time: Duration::from_secs(seconds), seed: rand::random() };
    let to = SocketAddr::from(([127, 0, 0, 1], collector));
    let watch = std::thread::spawn(move || watch(serving, pid, Duration::from_secs(seconds)));
    let start = Instant::now();
    let report = runtime.block_on(drive(to, &load, bodies, false)).map_err(|e| e.to_string())?;
    let took = start.elapsed().as_secs_f64();
    let seen = watch.join().map_err(|_| "the watcher failed")?;
    let settle = Instant::now();
    loop {
        let s = status(serving)?;
        if s["journal_end"] == s["boundary"]["offset"] {
            break;
        }
        if settle.elapsed() > Duration::from_secs(120) {
            return Err(format!("the warehouse did not follow: {s}"));
        }
        std::thread::sleep(Duration::from_millis(100));
    }
    let settle = settle.elapsed().as_secs_f64();
    let s = status(serving)?;
    if s["equation"]["enriched"].as_u64() != Some(report.acked) {
        return Err(format!("{} acknowledged, but the equation says {}", report.acked, s["equation"]));
    }
    Ok(vec![
        figure(format!("whole path, offered {rate} events/s: accepted"), report.acked as f64 / took, "events/s"),
        figure("  refused or unanswered", report.refused as f64, "events"),
        figure("  accept latency p50", report.quantile_ms(0.5), "ms"),
        figure("  accept latency p99 (floor 10, aim 3)", report.quantile_ms(0.99), "ms"),
        figure("  accept latency p99.9", report.quantile_ms(0.999), "ms"),
        figure("  visible in a merged answer, p99 (floor 300, aim 100)", seen.visible_p99, "ms"),
        figure("  committed in the warehouse, worst lag seen (floor 60, aim 15)", seen.commit / 1000.0, "s"),
        figure("  warehouse complete after the last event", settle, "s"),
        figure("  resident memory idle (floor 150, aim 80)", idle, "MB"),
        figure("  resident memory under load, highest (floor 700, aim 500)", seen.resident, "MB"),
    ])
}

#[derive(Default)]
struct Seen {
    visible_p99: f64,
    commit: f64,
    resident: f64,
}

fn watch(serving: u16, pid: u32, time: Duration) -> Seen {
    let mut seen = Seen::default();
    let start = Instant::now();
    while start.elapsed() < time {
        std::thread::sleep(Duration::from_millis(500));
        seen.resident = seen.resident.max(resident_mb(pid));
        // The first seconds hold the start-up.
        if start.elapsed() < Duration::from_secs(5) {
            continue;
        }
        if let Ok(s) = status(serving) {
            seen.visible_p99 = seen.visible_p99.max(s["lag_ms"]["visible_p99"].as_f64().unwrap_or(0.0));
            seen.commit = seen.commit.max(s["lag_ms"]["commit"].as_f64().unwrap_or(0.0));
        }
    }
    seen
}

fn status(serving: u16) -> Result<serde_json::Value, String> {
    let text = reqwest::blocking::get(format!("http://127.0.0.1:{serving}/v1/status"))
        .and_then(reqwest::blocking::Response::text)
        .map_err(|e| e.to_string())?;
    serde_json::from_str(&text).map_err(|e| format!("{e}: {text}"))
}

fn resident_mb(pid: u32) -> f64 {
    let text = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let line = text.lines().find_map(|l| l.strip_prefix("VmRSS:"));
    line.and_then(|l| l.split_whitespace().next())
        .and_then(|n| n.parse::<f64>().ok())
        .map_or(f64::NAN, |kb| kb / 1024.0)
}
