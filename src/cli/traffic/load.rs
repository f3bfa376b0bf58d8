//! An open-loop load generator: requests leave when they are due, whether or not earlier ones were answered.
//!
//! Latency counts from the moment a request was due, so a stall of the server is seen by every request that should have
//! gone out during it. Bodies are rendered once; only the event ids change, so that the generator stays cheap beside the
//! program that it measures on the same machine.

use super::{Shape, Sites, event};
use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};
use serde_json::{Value, json};
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::Instant;
use uuid::Uuid;

/// What is sent.
#[derive(Clone, Debug)]
pub struct Load {
    /// Events a second.
    pub rate: u32,
    /// Events in one request.
    pub batch: usize,
    /// Keep-alive connections.
    pub connections: usize,
    /// How long.
    pub time: Duration,
    /// Different visitors for different seeds.
    pub seed: u64,
}

/// What came back.
#[derive(Clone, Debug, Default)]
pub struct LoadReport {
    /// Events in requests that were answered 200.
    pub acked: u64,
    /// Events in requests that were answered otherwise or not at all.
    pub refused: u64,
    /// Microseconds from due to answered, sorted, one a request that was answered 200.
    pub latency_us: Vec<u32>,
    /// Ids of acknowledged events, when they were asked for.
    pub acked_ids: Vec<Uuid>,
    /// Ids of events in requests without a clear answer: they may or may not be in.
    pub unknown_ids: Vec<Uuid>,
}

impl LoadReport {
    /// Latency below which the share `q` of the requests lies, milliseconds.
    pub fn quantile_ms(&self, q: f64) -> f64 {
        if self.latency_us.is_empty() {
            return f64::NAN;
        }
        let at = ((self.latency_us.len() - 1) as f64 * q).round() as usize;
        f64::from(self.latency_us[at]) / 1000.0
    }
}

/// Bodies rendered beforehand, with the places of their event ids.
#[derive(Debug)]
pub struct Bodies(Vec<(String, Vec<usize>)>);

/// Length of a UUID as text.
const ID: usize = 36;

impl Bodies {
    /// `count` requests of `batch` good events each.
    pub fn render(count: usize, batch: usize, seed: u64, now_ms: i64) -> Self {
        let shape = Shape { failing: 0.0, repeated: 0.0, seed, ..Shape::default() };
        let mut sites = Sites::new(shape.sites, seed);
        let mut rng = SmallRng::seed_from_u64(seed);
        let render = |_| {
            let site = sites.pick(&mut rng);
            let events: Vec<Value> =
                (0..batch).map(|_| Value::Object(event::next(site, &shape, now_ms, &mut rng))).collect();
            let body = json!({"schema": event::ENVELOPE, "data": events}).to_string();
            let places = body.match_indices("\"eid\":\"").map(|(at, mark)| at + mark.len()).collect();
            (body, places)
        };
        Bodies((0..count).map(render).collect())
    }

    /// The bodies as they were rendered.
    pub fn texts(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|(body, _)| body.as_str())
    }

    /// A script that makes wrk send the body whose length is nearest to `bytes`, and that length.
    pub fn wrk_script(&self, bytes: usize) -> (String, usize) {
        let body = self.texts().min_by_key(|body| body.len().abs_diff(bytes)).unwrap_or_default();
        let script = format!(
            "wrk.method = \"POST\"\nwrk.headers[\"Content-Type\"] = \"application/json; charset=UTF-8\"\nwrk.body = [==[{body}]==]\n"
        );
        (script, body.len())
    }

    /// Average size of a body in bytes.
    pub fn mean_bytes(&self) -> usize {
        self.0.iter().map(|(b, _)| b.len()).sum::<usize>() / self.0.len().max(1)
    }

    /// Writes request number `n` with fresh ids into `out`; returns the ids.
    fn request(&self, n: usize, rng: &mut SmallRng, out: &mut Vec<u8>, ids: &mut Vec<Uuid>) {
        let (body, places) = &self.0[n % self.0.len()];
        out.clear();
        ids.clear();
        out.extend_from_slice(
            b"POST /com.snowplowanalytics.snowplow/tp2 HTTP/1.1\r\nHost: collector\r\nUser-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:143.0) Gecko/20100101 Firefox/143.0\r\nContent-Type: application/json; charset=UTF-8\r\nContent-Length: ",
        );
        out.extend_from_slice(body.len().to_string().as_bytes());
        out.extend_from_slice(b"\r\n\r\n");
        let start = out.len();
        out.extend_from_slice(body.as_bytes());
        for place in places {
            let id = uuid::Builder::from_random_bytes(rng.random()).into_uuid();
            id.hyphenated().encode_lower(&mut out[start + place..start + place + ID]);
            ids.push(id);
        }
    }
}

/// Sends the load to the collector at `to`.
///
/// # Errors
/// When no connection can be made at the start; later trouble is counted, not returned.
pub async fn drive(to: SocketAddr, load: &Load, bodies: Arc<Bodies>, keep_ids: bool) -> io::Result<LoadReport> {
    TcpStream::connect(to).await?;
    let next = Arc::new(AtomicU64::new(0));
    let start = Instant::now();
    let every = Duration::from_secs_f64(load.batch as f64 / f64::from(load.rate.max(1)));
    let total = (load.time.as_secs_f64() / every.as_secs_f64()) as u64;
    let mut tasks = tokio::task::JoinSet::new();
    for c in 0..load.connections.max(1) {
        let (next, bodies, seed) = (next.clone(), bodies.clone(), load.seed.wrapping_add(c as u64));
        tasks.spawn(async move { connection(to, next, total, start, every, bodies, seed, keep_ids).await });
    }
    let mut report = LoadReport::default();
    while let Some(part) = tasks.join_next().await {
        let Ok(part) = part else { continue };
        report.acked += part.acked;
        report.refused += part.refused;
        report.latency_us.extend(part.latency_us);
        report.acked_ids.extend(part.acked_ids);
        report.unknown_ids.extend(part.unknown_ids);
    }
    report.latency_us.sort_unstable();
    Ok(report)
}

#[allow(clippy::too_many_arguments)]
async fn connection(
    to: SocketAddr,
    next: Arc<AtomicU64>,
    total: u64,
    start: Instant,
    every: Duration,
    bodies: Arc<Bodies>,
    seed: u64,
    keep_ids: bool,
) -> LoadReport {
    let mut rng = SmallRng::seed_from_u64(seed ^ rand::random::<u64>());
    let mut report = LoadReport::default();
    let (mut request, mut ids, mut reply) = (Vec::new(), Vec::new(), Vec::with_capacity(4096));
    let mut stream: Option<TcpStream> = None;
    loop {
        let n = next.fetch_add(1, Ordering::Relaxed);
        if n >= total {
            return report;
        }
        let due = start + every.mul_f64(n as f64);
        tokio::time::sleep_until(due).await;
        bodies.request(n as usize, &mut rng, &mut request, &mut ids);
        let open = match stream.take() {
            Some(open) => Ok(open),
            None => TcpStream::connect(to).await,
        };
        let answer = match open {
            Ok(mut open) => {
                let _ = open.set_nodelay(true);
                match exchange(&mut open, &request, &mut reply).await {
                    Ok(status) => {
                        stream = Some(open);
                        Some(status)
                    }
                    Err(_) => None,
                }
            }
            Err(_) => {
                tokio::time::sleep(Duration::from_millis(20)).await;
                report.refused += ids.len() as u64;
                continue;
            }
        };
        match answer {
            Some(200) => {
                report.acked += ids.len() as u64;
                report.latency_us.push(u32::try_from(due.elapsed().as_micros()).unwrap_or(u32::MAX));
                if keep_ids {
                    report.acked_ids.extend_from_slice(&ids);
                }
            }
            other => {
                report.refused += ids.len() as u64;
                if keep_ids && other.is_none() {
                    report.unknown_ids.extend_from_slice(&ids);
                }
            }
        }
    }
}

/// One request and its whole reply; the status.
async fn exchange(stream: &mut TcpStream, request: &[u8], reply: &mut Vec<u8>) -> io::Result<u16> {
    stream.write_all(request).await?;
    reply.clear();
    loop {
        if stream.read_buf(reply).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let Some(end) = memchr::memmem::find(reply, b"\r\n\r\n") else { continue };
        let head = String::from_utf8_lossy(&reply[..end]).to_ascii_lowercase();
        let length: usize = head
            .lines()
            .find_map(|l| l.strip_prefix("content-length:"))
            .and_then(|v| v.trim().parse().ok())
            .unwrap_or(0);
        if reply.len() >= end + 4 + length {
            let status = head.split(' ').nth(1).and_then(|s| s.parse().ok());
            return status.ok_or_else(|| io::ErrorKind::InvalidData.into());
        }
    }
}
