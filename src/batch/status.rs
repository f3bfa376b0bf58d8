//! Where every micro-batch stands, for the status page and the board.

use crate::event::{BatchId, Boundary};
use crate::pipeline::bound::{Bound, Level};
use crate::platform::clock::Millis;
use parking_lot::Mutex;
use serde::Serialize;
use std::collections::VecDeque;
use std::sync::Arc;

/// How far a micro-batch is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Phase {
    /// Its range is decided; its files are being written.
    Sealed,
    /// Its files are on local disk and go to the lake.
    Staged,
    /// Its files are in the lake; the warehouse takes it.
    Uploaded,
    /// The warehouse has it.
    Committed,
}

/// One micro-batch.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct BatchState {
    /// Its range.
    #[serde(flatten)]
    pub id: BatchId,
    /// How far it is.
    pub phase: Phase,
    /// Rows of enriched events.
    pub rows: u64,
    /// Bytes of its files, once they are written.
    pub bytes: u64,
    /// When it was sealed, milliseconds.
    pub sealed_ms: Millis,
    /// When it came into its phase, milliseconds.
    pub since_ms: Millis,
    /// Failed tries in its phase.
    pub retries: u64,
    /// Why it does not get further, while that lasts.
    pub error: Option<String>,
}

/// All that are on their way, and the last ones that arrived.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct BatchStates {
    /// Oldest first; the committed ones among them are the last few.
    pub batches: Vec<BatchState>,
    /// How far the warehouse is complete.
    pub boundary: Boundary,
    /// Why commits have stopped for good, if they have: an operator is needed.
    pub stopped: Option<String>,
}

/// Committed micro-batches that are remembered.
const REMEMBERED: usize = 30;

/// A view of the batch layer from outside. Clones share it.
#[derive(Clone, Debug, Default)]
pub struct Status(Arc<Mutex<Inner>>);

#[derive(Debug, Default)]
struct Inner {
    batches: VecDeque<BatchState>,
    boundary: Boundary,
    stopped: Option<String>,
    waiting: Level,
    waits: u64,
    /// When the lake last took the files of a micro-batch.
    uploaded_ms: Option<Millis>,
}

impl Status {
    pub(super) fn new(boundary: Boundary) -> Self {
        Status(Arc::new(Mutex::new(Inner { boundary, ..Inner::default() })))
    }

    /// Everything at this moment.
    pub fn states(&self) -> BatchStates {
        let inner = self.0.lock();
        BatchStates {
            batches: inner.batches.iter().cloned().collect(),
            boundary: inner.boundary,
            stopped: inner.stopped.clone(),
        }
    }

    /// When the lake last took the files of a micro-batch, since the start.
    pub fn uploaded_ms(&self) -> Option<Millis> {
        self.0.lock().uploaded_ms
    }

    /// How many micro-batches are not committed, as a bound; `limit` is `batch.max_waiting`.
    pub fn bound(&self, limit: usize) -> Bound {
        let inner = self.0.lock();
        Bound { waits: inner.waits, ..inner.waiting.bound("batch.max_waiting", limit as u64) }
    }

    pub(super) fn add(&self, state: BatchState) {
        let mut inner = self.0.lock();
        inner.waiting.add(1);
        inner.batches.push_back(state);
    }

    /// The pipeline waits because as many micro-batches wait as may.
    pub(super) fn waits(&self) {
        self.0.lock().waits += 1;
    }

    /// Changes the entry of a micro-batch and gives a copy of it.
    pub(super) fn change(&self, id: BatchId, change: impl FnOnce(&mut BatchState)) -> Option<BatchState> {
        let mut inner = self.0.lock();
        let state = inner.batches.iter_mut().find(|b| b.id == id)?;
        let before = state.phase;
        change(state);
        let state = state.clone();
        if before != state.phase && state.phase == Phase::Uploaded {
            inner.uploaded_ms = Some(state.since_ms);
        }
        Some(state)
    }

    pub(super) fn committed(&self, boundary: Boundary) {
        let mut inner = self.0.lock();
        inner.boundary = boundary;
        inner.waiting.sub(1);
        let done = inner.batches.iter().filter(|b| b.phase == Phase::Committed).count();
        for _ in REMEMBERED..done {
            inner.batches.pop_front();
        }
    }

    pub(super) fn stop(&self, why: String) {
        self.0.lock().stopped = Some(why);
    }
}
