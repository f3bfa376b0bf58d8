//! What is held of one micro-batch until it is committed: its aggregates and its rows.

use super::spill::Spilled;
use crate::event::rows::Rows;
use crate::event::{BatchId, Chunk, EventAddr, Failure, Offset, Outcome, Processed, Tally};
use crate::platform::clock::Millis;
use crate::platform::owned::OwnedFile;
use crate::view::{Fold, Reading, View, ViewError};
use serde::Serialize;
use std::sync::Arc;

/// How far a micro-batch is on its way into the warehouse.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// It grows.
    Open,
    /// Its range is decided.
    Sealed,
    /// Its files are written.
    Written,
    /// Its files are where the lake is.
    Uploaded,
    /// Its transaction runs.
    Committing,
    /// It is in the warehouse; held only for readers that came before.
    Committed,
}

/// When something happened to a micro-batch, milliseconds since the epoch; 0 if it has not.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize)]
pub struct Times {
    /// Its first payload was received.
    pub first: Millis,
    /// Its last payload was received.
    pub last: Millis,
    /// Its first chunk was applied.
    pub opened: Millis,
    /// It was sealed.
    pub sealed: Millis,
    /// Its files were written.
    pub written: Millis,
    /// Its files were uploaded.
    pub uploaded: Millis,
    /// Its transaction began.
    pub committing: Millis,
}

/// A micro-batch as the status shows it.
#[derive(Clone, Debug, Serialize)]
pub struct BatchInfo {
    /// First offset.
    pub from: Offset,
    /// First offset after it; of an open one the end so far.
    pub to: Offset,
    /// How far it is.
    pub state: State,
    /// Enriched events in it.
    pub rows: u64,
    /// Bytes of journal records in it.
    pub bytes: u64,
    /// Bytes of its rows in memory; 0 when they are read from files.
    pub tail_bytes: u64,
    /// Counts.
    #[serde(skip)]
    pub tally: Tally,
    /// When what happened.
    pub times: Times,
}

/// A failed event whose bad row is not committed yet.
#[derive(Clone, Debug)]
pub struct FailedEvent {
    /// Where it stands.
    pub addr: EventAddr,
    /// What it became; without the incomplete event, which is a row of its own.
    pub failure: Failure,
}

/// The Parquet files of a micro-batch on this machine, for reading its rows instead of holding them. They stay as long as
/// somebody has them, so what a lease saw can be read to the end.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Files {
    /// Enriched events.
    pub events: Option<Arc<OwnedFile>>,
    /// Incomplete events.
    pub failed: Option<Arc<OwnedFile>>,
    /// Bad rows.
    pub bad_rows: Option<Arc<OwnedFile>>,
    /// Self-describing columns of the enriched events.
    pub columns: Arc<[String]>,
}

/// Rows that were in memory; to be dropped outside the lock.
#[derive(Debug, Default)]
pub(super) struct Shed {
    rows: Vec<Arc<Rows>>,
    failures: Vec<Arc<FailedEvent>>,
}

/// Aggregates of one view.
#[derive(Debug)]
pub(super) enum Aggregates {
    /// In memory. Shared with readers for as long as they work on it; a chunk that comes meanwhile goes into a copy.
    Held(Arc<Fold>),
    /// In a file.
    Spilled(Arc<Spilled>),
    /// A chunk could not be folded; the text says why.
    Broken(String),
}

/// One micro-batch.
#[derive(Debug)]
pub(super) struct MicroBatch {
    pub(super) id: BatchId,
    pub(super) state: State,
    pub(super) views: Vec<Aggregates>,
    pub(super) rows: Vec<Arc<Rows>>,
    pub(super) failed_rows: Vec<Arc<Rows>>,
    pub(super) failures: Vec<Arc<FailedEvent>>,
    pub(super) failures_left_out: u64,
    /// Failures, here or below, that a replay in it repairs.
    pub(super) repaired: Vec<EventAddr>,
    pub(super) files: Option<Files>,
    pub(super) rows_dropped: bool,
    pub(super) tally: Tally,
    pub(super) times: Times,
    pub(super) bytes: u64,
    pub(super) tail_bytes: usize,
    pub(super) state_bytes: usize,
    /// Stamp of its last chunk, and of its seal (0 while it is open).
    pub(super) stamps: (u64, u64),
    /// Number of the first lease that was taken after the commit.
    pub(super) free_after: Option<u64>,
}

impl MicroBatch {
    pub(super) fn open(from: Offset, views: &[Arc<View>], now: Millis) -> MicroBatch {
        MicroBatch {
            id: BatchId::new(from, from),
            state: State::Open,
            views: views.iter().map(|v| Aggregates::Held(Arc::new(Fold::new(v.clone())))).collect(),
            rows: Vec::new(),
            failed_rows: Vec::new(),
            failures: Vec::new(),
            failures_left_out: 0,
            repaired: Vec::new(),
            files: None,
            rows_dropped: false,
            tally: Tally::default(),
            times: Times { opened: now, ..Times::default() },
            bytes: 0,
            tail_bytes: 0,
            state_bytes: 0,
            stamps: (0, 0),
            free_after: None,
        }
    }

    /// Takes a chunk in. `stamp` marks the groups that it changes.
    pub(super) fn apply(&mut self, chunk: &Chunk, prepared: &mut Prepared<'_>, stamp: u64, max_failures: usize) {
        for (view, reading) in self.views.iter_mut().zip(&prepared.readings) {
            match (&mut *view, reading) {
                (Aggregates::Held(fold), Ok(reading)) => {
                    let fold = Arc::make_mut(fold);
                    fold.set_stamp(stamp);
                    fold.add_reading(reading);
                }
                (Aggregates::Held(_), Err(problem)) => *view = Aggregates::Broken(problem.to_string()),
                _ => {}
            }
        }
        if !chunk.rows.is_empty() {
            self.rows.push(chunk.rows.clone());
        }
        if !chunk.failed_rows.is_empty() {
            self.failed_rows.push(chunk.failed_rows.clone());
        }
        self.tail_bytes += prepared.bytes;
        for failed in prepared.failures.drain(..) {
            if self.failures.len() < max_failures {
                self.failures.push(failed);
            } else {
                self.failures_left_out += 1;
            }
        }
        self.repaired.extend(chunk.repairs().map(|(_, repair)| repair.of));
        self.id.to = chunk.range.to;
        self.stamps.0 = stamp;
        self.tally.add(&chunk.tally);
        self.bytes += chunk.bytes;
        if self.times.first == 0 {
            self.times.first = chunk.received_ms.0;
        }
        self.times.last = self.times.last.max(chunk.received_ms.1);
    }

    /// Gives the rows up that can be read from files into `shed`; how many bytes that frees.
    pub(super) fn drop_rows(&mut self, shed: &mut Shed) -> usize {
        if self.files.is_none() {
            return 0;
        }
        self.rows_dropped = true;
        shed.rows.append(&mut self.rows);
        shed.rows.append(&mut self.failed_rows);
        shed.failures.append(&mut self.failures);
        self.failures_left_out = 0;
        std::mem::take(&mut self.tail_bytes)
    }

    /// Measures the aggregates that are in memory.
    pub(super) fn weigh(&mut self) -> usize {
        let held = |a: &Aggregates| if let Aggregates::Held(f) = a { f.groups().weight() } else { 0 };
        self.state_bytes = self.views.iter().map(held).sum();
        self.state_bytes
    }

    pub(super) fn info(&self) -> BatchInfo {
        BatchInfo {
            from: self.id.from,
            to: self.id.to,
            state: self.state,
            rows: self.tally.enriched,
            bytes: self.bytes,
            tail_bytes: self.tail_bytes as u64,
            tally: self.tally,
            times: self.times,
        }
    }

    /// As a read sees it whose boundary lies below: that its commit was announced meanwhile is no part of that moment.
    pub(super) fn info_above(&self) -> BatchInfo {
        let info = self.info();
        BatchInfo { state: info.state.min(State::Committing), ..info }
    }

    /// Moves on to a later state; an earlier one is passed over.
    pub(super) fn advance(&mut self, state: State, now: Millis) {
        if state <= self.state {
            return;
        }
        self.state = state;
        match state {
            State::Sealed => self.times.sealed = now,
            State::Written => self.times.written = now,
            State::Uploaded => self.times.uploaded = now,
            State::Committing => self.times.committing = now,
            State::Open | State::Committed => {}
        }
    }
}

/// What is made of a chunk before the lock is taken.
pub(super) struct Prepared<'a> {
    bytes: usize,
    failures: Vec<Arc<FailedEvent>>,
    /// One per view.
    pub(super) readings: Vec<Result<Reading<'a>, ViewError>>,
}

impl<'a> Prepared<'a> {
    pub(super) fn of(chunk: &'a Chunk, views: &[Arc<View>], max_failures: usize) -> Prepared<'a> {
        let readings = views.iter().map(|v| Reading::of(v, &chunk.rows)).collect();
        let failed = |p: &Processed| match &p.outcome {
            Outcome::Failed(f) => Some(Arc::new(FailedEvent::of(p.addr, f))),
            _ => None,
        };
        let failures: Vec<Arc<FailedEvent>> =
            if chunk.tally.failed == 0 { Vec::new() } else { chunk.items.iter().filter_map(failed).collect() };
        let text: usize = failures.iter().take(max_failures).map(|f| f.failure.bad_row.len() + 200).sum();
        Prepared { bytes: chunk.rows.weight() + chunk.failed_rows.weight() + text, failures, readings }
    }
}

impl FailedEvent {
    fn of(addr: EventAddr, f: &Failure) -> FailedEvent {
        let failure = Failure {
            bad_row: f.bad_row.clone(),
            cause: f.cause.clone(),
            app_id: f.app_id.clone(),
            collector_ms: f.collector_ms,
            incomplete: None,
        };
        FailedEvent { addr, failure }
    }
}
