//! Where every micro-batch stands, for the status page and the board.

use crate::event::{BatchId, Boundary};
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

    pub(super) fn add(&self, state: BatchState) {
        self.0.lock().batches.push_back(state);
    }

    /// Changes the entry of a micro-batch and gives a copy of it.
    pub(super) fn change(&self, id: BatchId, change: impl FnOnce(&mut BatchState)) -> Option<BatchState> {
        let mut inner = self.0.lock();
        let state = inner.batches.iter_mut().find(|b| b.id == id)?;
        change(state);
        Some(state.clone())
    }

    pub(super) fn committed(&self, boundary: Boundary) {
        let mut inner = self.0.lock();
        inner.boundary = boundary;
        let done = inner.batches.iter().filter(|b| b.phase == Phase::Committed).count();
        for _ in REMEMBERED..done {
            inner.batches.pop_front();
        }
    }

    pub(super) fn stop(&self, why: String) {
        self.0.lock().stopped = Some(why);
    }
}
