//! What flows between the stages: stretches of the journal with their outcomes, and the marks that close micro-batches.

use super::offset::{BatchId, EventAddr, Offset, OffsetRange};
use super::outcome::{Outcome, Processed, Repair};
use super::rows::Rows;
use crate::platform::clock::Millis;
use serde::{Deserialize, Serialize};
use std::io;
use std::sync::Arc;

/// Counts of outcomes. `payload_events + repaired = enriched + failed + duplicates + dropped` at every moment (promise P2):
/// a replayed event has a second outcome, which takes the place of its failure.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Tally {
    /// Events that arrived.
    pub payload_events: u64,
    /// Events in the answers.
    pub enriched: u64,
    /// Failed events (bad rows), those that were repaired later included.
    pub failed: u64,
    /// Repeated events.
    pub duplicates: u64,
    /// Events that the user's own script or filter dropped.
    pub dropped: u64,
    /// Failures that no longer stand. Counted where the replay stands, so that of one micro-batch it may exceed `failed`.
    #[serde(default)]
    pub repaired: u64,
}

impl Tally {
    /// Counts one outcome.
    pub fn count(&mut self, item: &Processed) {
        match item.repairs {
            None => self.payload_events += 1,
            Some(_) => self.repaired += 1,
        }
        match &item.outcome {
            Outcome::Enriched(_) => self.enriched += 1,
            Outcome::Failed(_) => self.failed += 1,
            Outcome::Duplicate(_) => self.duplicates += 1,
            Outcome::Dropped { .. } => self.dropped += 1,
        }
    }

    /// Adds another tally.
    pub fn add(&mut self, other: &Tally) {
        self.payload_events += other.payload_events;
        self.enriched += other.enriched;
        self.failed += other.failed;
        self.duplicates += other.duplicates;
        self.dropped += other.dropped;
        self.repaired += other.repaired;
    }

    /// Failures that still stand, of a tally that begins with the journal.
    pub const fn standing(&self) -> u64 {
        self.failed.saturating_sub(self.repaired)
    }
}

/// What enrichment made of one contiguous stretch of the journal, in offset order.
#[derive(Clone, Debug, Default)]
pub struct EnrichedBatch {
    /// The stretch. Consecutive batches have no gap.
    pub range: OffsetRange,
    /// Every outcome of every payload in it, in (offset, index) order. A payload may have none only if the journal record
    /// was no payload.
    pub items: Vec<Processed>,
    /// Receive time of the first and the last payload, milliseconds; 0 when the stretch has no payload.
    pub received_ms: (Millis, Millis),
    /// Bytes of the journal records in it.
    pub bytes: u64,
}

/// A stretch of the journal after deduplication, with its rows. Shared by both layers, never changed.
#[derive(Debug)]
pub struct Chunk {
    /// The stretch; never crosses the border of a micro-batch.
    pub range: OffsetRange,
    /// First offset of the micro-batch that it belongs to.
    pub batch_from: Offset,
    /// Outcomes in order, duplicates marked.
    pub items: Vec<Processed>,
    /// The enriched events as columns.
    pub rows: Arc<Rows>,
    /// Incomplete events as columns of the same shape (`atomic.events_failed`).
    pub failed_rows: Arc<Rows>,
    /// Counts.
    pub tally: Tally,
    /// Receive time of the first and the last payload, milliseconds; 0 when there is none.
    pub received_ms: (Millis, Millis),
    /// Bytes of the journal records in it.
    pub bytes: u64,
}

impl Chunk {
    /// The failures that end with this stretch, each with the place of its replay, in order.
    pub fn repairs(&self) -> impl Iterator<Item = (EventAddr, Repair)> {
        // Nearly every chunk has none, and then its items are not looked at.
        let items = if self.tally.repaired == 0 { &[] } else { self.items.as_slice() };
        items.iter().filter_map(|item| Some((item.addr, item.repairs?)))
    }
}

/// The stream that leaves deduplication: both layers and the stream sinks see the same sequence.
#[derive(Clone, Debug)]
pub enum Flow {
    /// More of the open micro-batch.
    Chunk(Arc<Chunk>),
    /// The open micro-batch is complete and has exactly this range. Its range has been recorded durably before.
    Seal(BatchId),
}

/// Decides where micro-batches end. Owned by the batch layer, asked by the stage before the fork, so that both layers cut
/// at the same offsets.
pub trait BatchPlanner: Send {
    /// First offset of the open micro-batch.
    fn open_from(&self) -> Offset;

    /// Where the open micro-batch must end, when that was decided before a restart.
    fn decided_end(&self) -> Option<Offset>;

    /// Tells that the open micro-batch grew up to `to` by so many rows and bytes. `now` is the wall clock.
    fn grew(&mut self, to: Offset, rows: u64, bytes: u64, now: Millis);

    /// Whether the open micro-batch is to be sealed now (age, rows, bytes, or the decided end is reached). Never true for
    /// an empty micro-batch.
    fn is_due(&self, now: Millis) -> bool;

    /// Decides, durably, that the open micro-batch ends where it stands, and opens the next one there.
    ///
    /// # Errors
    /// When the decision cannot be made durable; the micro-batch then stays open and the call may be repeated.
    fn seal(&mut self) -> io::Result<BatchId>;
}
