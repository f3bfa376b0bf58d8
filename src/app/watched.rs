//! What the status page asks of the boxes: where data leave to, and how near every bound is.

use crate::admin::archive::Archiver;
use crate::batch::{self, BatchState, Phase};
use crate::collector::Collector;
use crate::config::Config;
use crate::dedupe::Index;
use crate::pipeline::bound::{Bound, Level};
use crate::platform::fs::{Fs, RealFs};
use crate::serving::SinkState;
use crate::speed::Speed;
use crate::speed::streams::{StreamState, Streams};
use std::path::Path;

/// Asks one sink how it is.
pub(super) type SinkDoor = Box<dyn Fn() -> SinkState + Send + Sync>;

/// Asks for some bounds.
pub(super) type BoundDoor = Box<dyn Fn() -> Vec<Bound> + Send + Sync>;

/// Where data leave to, for the status page.
pub(super) fn sinks(
    config: &Config,
    batch: &batch::Status,
    archiver: Option<&Archiver>,
    streams: Option<&Streams>,
) -> Vec<SinkDoor> {
    let lake = match config.lake.url.split_once("://") {
        None | Some(("file", _)) => "file",
        Some((scheme, _)) => scheme,
    };
    let archive = archiver.map(|archiver| archive_sink(lake, archiver));
    let (lake, at_lake, at_warehouse) = (lake.to_owned(), batch.clone(), batch.clone());
    let kind = match config.warehouse.kind {
        batch::WarehouseKind::Duckdb => "duckdb",
        batch::WarehouseKind::Snowflake => "snowflake",
    };
    let mut sinks: Vec<SinkDoor> = vec![
        Box::new(move || {
            let tried = Tried::of(&at_lake.states().batches, &[Phase::Staged]);
            tried.sink("lake", lake.clone(), at_lake.uploaded_ms())
        }),
        Box::new(move || {
            let states = at_warehouse.states();
            // What cannot even be written to local disk does not come to the warehouse either.
            let tried = Tried::of(&states.batches, &[Phase::Sealed, Phase::Uploaded]);
            let time = states.boundary.time_ms;
            let sink = tried.sink("warehouse", kind.to_owned(), (time > 0).then_some(time));
            match states.stopped {
                Some(why) => SinkState { state: "off", error: Some(why), ..sink },
                None => sink,
            }
        }),
    ];
    sinks.extend(archive);
    if let Some(streams) = streams {
        let status = streams.status();
        sinks.push(Box::new(move || {
            let s = status.lock().clone();
            // A broker that does not answer is in trouble even while nothing waits for it.
            let state = match s.state {
                _ if s.trouble.is_some() => StreamState::Retrying.name(),
                StreamState::Live => "ok",
                other => other.name(),
            };
            SinkState {
                name: "streams".to_owned(),
                kind: s.kind,
                state,
                last_success_ms: s.acknowledged_ms,
                retries: s.retries,
                error: s.trouble,
            }
        }));
    }
    sinks
}

/// The journal's archive.
fn archive_sink(kind: &str, archiver: &Archiver) -> SinkDoor {
    let (kind, status) = (kind.to_owned(), archiver.status());
    Box::new(move || {
        let s = status.state();
        let state = match (s.ended, &s.error) {
            (true, _) => "off",
            (false, Some(_)) => "retrying",
            (false, None) => "ok",
        };
        SinkState {
            name: "archive".to_owned(),
            kind: kind.clone(),
            state,
            last_success_ms: s.last_success_ms,
            retries: s.retries,
            error: s.error,
        }
    })
}

/// The failed tries of micro-batches that are in some phase.
#[derive(Default)]
struct Tried {
    retries: u64,
    error: Option<String>,
}

impl Tried {
    fn of(batches: &[BatchState], phases: &[Phase]) -> Self {
        let mut tried = Tried::default();
        for batch in batches.iter().filter(|b| phases.contains(&b.phase)) {
            tried.retries += batch.retries;
            tried.error = tried.error.or_else(|| batch.error.clone());
        }
        tried
    }

    fn sink(self, name: &str, kind: String, last_success_ms: Option<i64>) -> SinkState {
        let state = if self.error.is_some() { "retrying" } else { "ok" };
        SinkState { name: name.to_owned(), kind, state, last_success_ms, retries: self.retries, error: self.error }
    }
}

/// The bounds behind the journal.
pub(super) fn bounds(config: &Config, speed: &Speed, index: &Index, batch: &batch::Status) -> Vec<BoundDoor> {
    let (speed, index, batch, waiting) = (speed.clone(), index.clone(), batch.clone(), config.batch.max_waiting);
    vec![
        Box::new(move || speed.bounds()),
        Box::new(move || vec![index.bound()]),
        Box::new(move || vec![batch.bound(waiting)]),
    ]
}

/// The bounds that the collector refuses for: its own, those of the journal's queue, and the disk.
pub(super) fn collector_bounds(collector: &Collector, data: &Path) -> Vec<BoundDoor> {
    let (bounds, data, used) = (collector.bounds(), data.to_owned(), Level::default());
    vec![Box::new(move || {
        let mut all = bounds.list();
        // A file system that does not say how large it is still shows what it refused.
        let space = RealFs.space(&data).unwrap_or_default();
        used.set(space.used);
        all.push(Bound { refused: bounds.refused_by_disk(), ..used.bound("disk of data_dir", space.total) });
        all
    })]
}
