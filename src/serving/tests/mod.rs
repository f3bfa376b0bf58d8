//! The private port as a whole: a real listener, a real speed layer, a real or a stand-in warehouse.

mod http;
mod live;
mod merged;
mod sql;

use super::deps::{Demo, Deps, JournalDoor, RawKind, RawRecord, Ui};
use super::{Config, Serving, build};
use crate::admin::replay;
use crate::batch::ReadError;
use crate::batch::testing::{self, Rig};
use crate::batch::warehouse::{Reader, Snapshot, Warehouse};
use crate::enrich::Asset;
use crate::event::{BatchId, Boundary, Chunk, EventAddr, Flow, Offset, Payload, Processed, thrift};
use crate::pipeline::drain::Drain;
use crate::platform::clock::Clock;
use crate::schema;
use crate::speed::{self, Speed};
use crate::telemetry::Metrics;
use crate::view::View;
use bytes::BytesMut;
use parking_lot::Mutex;
use serde_json::Value;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// All views of the tests: the built-in one and the defaults.
pub fn views() -> Vec<Arc<View>> {
    crate::view::builtin().iter().chain(&crate::view::defaults()).map(|d| d.compile().unwrap()).collect()
}

/// A speed layer that begins at offset 0, with leases that live for two seconds.
pub fn speed_of(dir: &std::path::Path, clock: &Clock) -> Speed {
    let deps = speed::Deps {
        views: views(),
        start: Boundary::default(),
        state_dir: dir.join("speed"),
        clock: clock.clone(),
        metrics: Metrics::new(),
    };
    let max_lease = crate::platform::units::Span::from_secs(2);
    Speed::new(speed::Config { max_lease, ..speed::Config::default() }, deps).unwrap()
}

/// What the port is given; the journal holds `end` records, each a plausible request.
pub fn deps_of(
    dir: &std::path::Path,
    clock: &Clock,
    speed: &Speed,
    reader: Arc<dyn Reader>,
    end: &Arc<AtomicU64>,
) -> Deps {
    let metrics = Metrics::new();
    let (journal_end, last) = (end.clone(), end.clone());
    Deps {
        speed: speed.clone(),
        warehouse: reader,
        views: views(),
        assets: vec![Asset { step: "ua-parser", name: "r.yaml".into(), checksum: "0badcafe".into(), bytes: 7 }],
        journal: JournalDoor {
            end: Box::new(move || Offset(journal_end.load(Ordering::SeqCst))),
            first: Box::new(|| Offset(0)),
            read_at: Box::new(move |at| Ok((at.0 < last.load(Ordering::SeqCst)).then(|| record(at)))),
        },
        find: Box::new(|id| {
            let n = u64::from_str_radix(id.rsplit('-').next().unwrap_or(""), 16).unwrap_or(u64::MAX);
            Ok(if n % 17 == 13 || n > 1 << 40 { Vec::new() } else { vec![EventAddr { offset: Offset(n), index: 0 }] })
        }),
        enrich: Box::new(|at, _| Ok(vec![Processed::new(EventAddr { offset: at, index: 0 }, testing::outcome(at.0))])),
        replay: Box::new(replays),
        registry: schema::build(&schema::Config::default(), Some(dir), &metrics).unwrap(),
        links: vec![crate::pipeline::link::link::<u8>("enriched", 8).0.gauge()],
        sinks: vec![],
        bounds: vec![],
        not_ready: Box::new(Vec::new),
        ui: Ui { mode: "run".into(), collector_url: "http://127.0.0.1:8080".into(), version: "0.1.0".into() },
        demo: Arc::new(|asked| {
            Box::pin(
                async move { if asked == Demo::Seconds(13) { Err("the collector is away".into()) } else { Ok(()) } },
            )
        }),
        clock: clock.clone(),
        metrics,
        drain: Drain::new(),
    }
}

/// Stands in for the box that replays: a run that ends at once, or one that is busy when asked about everything.
fn replays(ask: replay::Ask) -> Result<tokio::sync::mpsc::Receiver<replay::Update>, replay::StartError> {
    if ask.since.is_none() && ask.schema.is_none() {
        return Err(replay::StartError::Busy);
    }
    let (tx, rx) = tokio::sync::mpsc::channel(4);
    let cause = replay::StillFailing {
        count: 1,
        kind: "schema_violations".into(),
        failure: "ValidationError".into(),
        schema: None,
        path: Some("$.sku".into()),
        keyword: None,
        message: "missing".into(),
    };
    let summary = replay::Summary { dry_run: ask.dry_run, looked_at: 3, causes: vec![cause], ..Default::default() };
    for update in [replay::Update::Progress(replay::Progress::default()), replay::Update::Summary(summary)] {
        tx.try_send(update).unwrap();
    }
    Ok(rx)
}

fn record(at: Offset) -> RawRecord {
    let payload = Payload {
        ip: "192.0.2.7".into(),
        timestamp_ms: testing::EPOCH + at.0 as i64 * 7,
        encoding: "UTF-8".into(),
        collector: "snowshed".into(),
        path: Some("/com.snowplowanalytics.snowplow/tp2".into()),
        body: Some(format!("{{\"n\":{at}}}").into()),
        headers: vec!["Accept: */*".into()],
        schema: crate::event::payload::SCHEMA.into(),
        ..Payload::default()
    };
    let mut out = BytesMut::new();
    thrift::encode(&payload, &mut out);
    RawRecord { kind: RawKind::Payload, body: out.freeze() }
}

/// A configuration on a port that the system chooses.
pub fn config() -> Config {
    Config { listen: "127.0.0.1:0".into(), ..Config::default() }
}

/// A warehouse that can be taken away.
struct Away {
    real: Arc<dyn Reader>,
    away: Arc<AtomicBool>,
}

impl Reader for Away {
    fn snapshot(&self, wait: std::time::Duration) -> Result<Box<dyn Snapshot>, ReadError> {
        if self.away.load(Ordering::SeqCst) {
            return Err(ReadError::Failed("the disk is gone".into()));
        }
        self.real.snapshot(wait)
    }
}

/// A running port over a real warehouse.
pub struct Bench {
    pub rig: Rig,
    pub clock: Clock,
    pub speed: Speed,
    pub reader: Arc<dyn Reader>,
    pub away: Arc<AtomicBool>,
    writer: Mutex<Box<dyn Warehouse>>,
    open: Mutex<Vec<Arc<Chunk>>>,
    sealed: Mutex<Vec<Vec<Arc<Chunk>>>>,
    pub end: Arc<AtomicU64>,
    pub address: SocketAddr,
    pub drain: Drain,
    pub client: reqwest::Client,
    pub task: tokio::task::JoinHandle<std::io::Result<()>>,
}

impl Bench {
    /// Starts with this configuration; must run inside a runtime.
    pub fn start(config: &Config) -> Bench {
        let mut rig = Rig::new();
        rig.views = views();
        let clock = Clock::fixed(testing::EPOCH);
        let speed = speed_of(rig.dir.path(), &clock);
        let opened = rig.open();
        let end = Arc::new(AtomicU64::new(0));
        let away: Arc<AtomicBool> = Arc::default();
        let reader: Arc<dyn Reader> = Arc::new(Away { real: opened.reader, away: away.clone() });
        let deps = deps_of(rig.dir.path(), &clock, &speed, reader.clone(), &end);
        let drain = deps.drain.clone();
        let serving: Serving = build(config, deps).unwrap();
        let address = serving.local_addr();
        let _ = rustls::crypto::ring::default_provider().install_default();
        let client = reqwest::Client::builder().no_proxy().build().unwrap();
        Bench {
            rig,
            clock,
            speed,
            reader,
            away,
            writer: Mutex::new(opened.writer),
            open: Mutex::default(),
            sealed: Mutex::default(),
            end,
            address,
            drain,
            client,
            task: tokio::spawn(serving.run()),
        }
    }

    /// Enriches `n` more records, one event each.
    pub fn grow(&self, n: u64) {
        let from = self.end.fetch_add(n, Ordering::SeqCst);
        let mut open = self.open.lock();
        let batch_from = open.first().map_or(from, |c| c.range.from.0);
        let chunk = testing::chunk(batch_from, from..from + n, 0);
        self.clock.set(testing::EPOCH + (from + n) as i64 * 7);
        self.speed.apply(&Flow::Chunk(chunk.clone())).unwrap();
        open.push(chunk);
    }

    /// Closes the open micro-batch.
    pub fn seal(&self) {
        let chunks = std::mem::take(&mut *self.open.lock());
        let (Some(first), Some(last)) = (chunks.first(), chunks.last()) else { return };
        self.speed.apply(&Flow::Seal(BatchId::new(first.range.from, last.range.to))).unwrap();
        self.sealed.lock().push(chunks);
    }

    /// Commits the oldest closed micro-batch, if there is one.
    pub fn commit(&self) -> bool {
        let mut sealed = self.sealed.lock();
        if sealed.is_empty() {
            return false;
        }
        let chunks = sealed.remove(0);
        drop(sealed);
        let outcome = self.writer.lock().commit(&self.rig.load(&chunks)).unwrap();
        self.speed.boundary_moved(outcome.boundary);
        self.speed.tidy();
        true
    }

    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    pub async fn get(&self, path: &str) -> (u16, Value) {
        let response = self.client.get(self.url(path)).send().await.unwrap();
        let status = response.status().as_u16();
        let text = response.text().await.unwrap();
        (status, serde_json::from_str(&text).unwrap_or(Value::String(text)))
    }

    /// The body of a success.
    pub async fn ok(&self, path: &str) -> Value {
        let (status, body) = self.get(path).await;
        assert_eq!(status, 200, "{path}: {body}");
        body
    }

    pub async fn post(&self, path: &str, body: &Value) -> (u16, Value) {
        let response = self.client.post(self.url(path)).json_body(body).send().await.unwrap();
        let status = response.status().as_u16();
        let text = response.text().await.unwrap();
        (status, serde_json::from_str(&text).unwrap_or(Value::String(text)))
    }
}

/// A JSON body; the client is compiled without its own support for it.
pub trait JsonBody {
    fn json_body(self, body: &Value) -> Self;
}

impl JsonBody for reqwest::RequestBuilder {
    fn json_body(self, body: &Value) -> Self {
        self.header("content-type", "application/json").body(body.to_string())
    }
}

/// Holds a reply to a schema of the API description.
pub fn conforms(name: &str, reply: &Value) {
    let document: Value = serde_json::from_str(super::OPENAPI).unwrap();
    let schema = serde_json::json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$ref": format!("#/components/schemas/{name}"),
        "components": document["components"],
    });
    let validator = jsonschema::validator_for(&schema).unwrap();
    let problems: Vec<String> = validator.iter_errors(reply).map(|e| format!("{}: {e}", e.instance_path)).collect();
    assert!(problems.is_empty(), "{name}: {problems:#?}\n{reply:#}");
}

/// How many of the outcomes below `end` are good, and how many failed.
pub fn expected(end: u64) -> (u64, u64) {
    let failed = (0..end).filter(|n| n % 17 == 13).count() as u64;
    (end - failed, failed)
}
