//! What the private port is given by whoever assembles the program.
//!
//! Stages do not know one another, so all that this port shows of them comes in here: handles of the two halves, and
//! closures for the few facts that it needs of everything else.

use crate::admin::replay::{Ask, StartError, Update};
use crate::batch::warehouse::Reader;
use crate::enrich::Asset;
use crate::event::{EventAddr, Offset, Processed};
use crate::pipeline::bound::Bound;
use crate::pipeline::drain::Drain;
use crate::pipeline::link::LinkGauge;
use crate::platform::clock::{Clock, Millis};
use crate::schema::Resolver;
use crate::speed::Speed;
use crate::telemetry::Metrics;
use crate::view::View;
use bytes::Bytes;
use futures_util::future::BoxFuture;
use serde::Serialize;
use std::io;
use std::sync::Arc;
use tokio::sync::mpsc::Receiver;

/// Finds the addresses of an event id.
pub type FindEvent = Box<dyn Fn(&str) -> io::Result<Vec<EventAddr>> + Send + Sync>;
/// Enriches a journal record again.
pub type EnrichAgain = Box<dyn Fn(Offset, &RawRecord) -> Result<Vec<Processed>, String> + Send + Sync>;
/// Starts a replay of failed events.
pub type StartReplay = Box<dyn Fn(Ask) -> Result<Receiver<Update>, StartError> + Send + Sync>;
/// Sends demo traffic.
pub type SendDemo = Arc<dyn Fn(Demo) -> BoxFuture<'static, Result<(), String>> + Send + Sync>;

/// Everything that the private port stands on.
pub struct Deps {
    /// The half in memory.
    pub speed: Speed,
    /// The half in the warehouse.
    pub warehouse: Arc<dyn Reader>,
    /// The compiled views, built-in ones included.
    pub views: Vec<Arc<View>>,
    /// The data files that enrichment was made from.
    pub assets: Vec<Asset>,
    /// Facts of the journal.
    pub journal: JournalDoor,
    /// Where events with an id stand, as far as the dedupe window reaches; newest first.
    pub find: FindEvent,
    /// What became of the events of one journal record, worked out again for an audit: with today's schemas, duplicates
    /// marked as far as the dedupe window reaches. An error says which registry does not answer.
    pub enrich: EnrichAgain,
    /// Processes failed events again.
    pub replay: StartReplay,
    /// The schema registry.
    pub registry: Arc<Resolver>,
    /// All links between stages, in flow order.
    pub links: Vec<LinkGauge>,
    /// Where data leave to: lake, warehouse, stream topics.
    pub sinks: Vec<Box<dyn Fn() -> SinkState + Send + Sync>>,
    /// Bounds of the other boxes (promise P7) that the status shows.
    pub bounds: Vec<Box<dyn Fn() -> Vec<Bound> + Send + Sync>>,
    /// Why the program is not ready to take events; empty when it is.
    pub not_ready: Box<dyn Fn() -> Vec<String> + Send + Sync>,
    /// What the dashboard is told.
    pub ui: Ui,
    /// Sends demo traffic through the public port; resolves when what was asked for is accepted or, for a duration, begun.
    pub demo: SendDemo,
    /// The time.
    pub clock: Clock,
    /// The registry of metrics.
    pub metrics: Metrics,
    /// The signal to stop.
    pub drain: Drain,
}

impl std::fmt::Debug for Deps {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Deps")
    }
}

/// Facts of the journal.
pub struct JournalDoor {
    /// Offset of the next record to be written; everything below is durable.
    pub end: Box<dyn Fn() -> Offset + Send + Sync>,
    /// Offset of the oldest record that is still on this machine.
    pub first: Box<dyn Fn() -> Offset + Send + Sync>,
    /// One record; `None` when it is no longer (or not yet) on this machine.
    pub read_at: Box<dyn Fn(Offset) -> io::Result<Option<RawRecord>> + Send + Sync>,
}

/// A journal record as it lies on disk.
#[derive(Clone, Debug)]
pub struct RawRecord {
    /// What it is.
    pub kind: RawKind,
    /// Its bytes.
    pub body: Bytes,
}

/// What a journal record is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum RawKind {
    /// A captured request, as Thrift.
    Payload,
    /// A bad row that the collector recorded, as JSON.
    BadRow,
    /// An order to process an earlier event again.
    Replay,
}

/// Where data leave to.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct SinkState {
    /// `lake`, `warehouse`, `archive`, or the name of a topic.
    pub name: String,
    /// What it is: `duckdb`, `file`, `kafka`, …
    pub kind: String,
    /// `ok`, `catching up`, `retrying`, `off`.
    pub state: &'static str,
    /// When it last took something.
    #[serde(skip)]
    pub last_success_ms: Option<Millis>,
    /// Failed tries since then.
    pub retries: u64,
    /// Its last error, while it stands.
    pub error: Option<String>,
}

/// What the dashboard is told about the program.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Ui {
    /// `run`, `demo`, `micro`.
    pub mode: String,
    /// Address to which trackers send.
    pub collector_url: String,
    /// Version of the program.
    pub version: String,
}

/// How much demo traffic.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Demo {
    /// So many events, now.
    Events(u32),
    /// A stream of them for so many seconds.
    Seconds(u32),
}
