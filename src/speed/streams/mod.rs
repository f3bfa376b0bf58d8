//! Publishing: enriched events, failed events and aggregates to a stream of the user's choice.
//!
//! The sink has a durable cursor of its own and may be away for hours without holding anything else up: what does not fit
//! into its bounded buffer is dropped from memory and read again from the journal later, through the same enrichment and the
//! same duplicate decisions ([`Refeed`]). Nothing is skipped: the cursor moves only when the broker has acknowledged, and
//! the journal keeps what is above it. After a crash of this process the records since the last stored cursor are sent
//! again; each carries its address as header `snowshed-address`, by which a consumer can tell.

mod config;
mod cursor;
#[cfg(feature = "kafka")]
mod kafka;
mod render;
mod stage;
mod status;
mod stdout;
mod stretch;
#[cfg(test)]
mod tests;

pub use config::{Config, Format, Kind, Topics};
pub use stage::{Deps, Published, Refeed, Streams, build};
pub use status::{StreamState, StreamStatus};

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

/// One record for a stream.
#[derive(Debug)]
pub struct Message<'a> {
    /// Name of the topic.
    pub topic: &'a str,
    /// Partition key; records of one key stay in order. `None`: spread.
    pub key: Option<&'a str>,
    /// The record.
    pub value: &'a [u8],
    /// Where the event stands in the journal, as text; `None` for aggregates.
    pub address: Option<&'a str>,
}

/// Counts the records of one stretch that the broker has not acknowledged yet.
#[derive(Debug, Default)]
pub struct Pending {
    open: AtomicU32,
    refused: AtomicU64,
    /// Of all stretches together.
    acknowledged: Arc<AtomicU64>,
}

impl Pending {
    /// A stretch without records whose acknowledgements count into `acknowledged`.
    fn new(acknowledged: &Arc<AtomicU64>) -> Arc<Self> {
        Arc::new(Pending { acknowledged: acknowledged.clone(), ..Pending::default() })
    }
    /// A record is on its way.
    pub fn sent(&self) {
        self.open.fetch_add(1, Ordering::AcqRel);
    }
    /// It did not get on its way after all.
    pub fn taken_back(&self) {
        self.open.fetch_sub(1, Ordering::AcqRel);
    }
    /// The broker has it.
    pub fn acknowledged(&self) {
        self.acknowledged.fetch_add(1, Ordering::Relaxed);
        self.open.fetch_sub(1, Ordering::AcqRel);
    }
    /// The broker will never take it (too large for the topic, say).
    pub fn refused(&self) {
        self.refused.fetch_add(1, Ordering::AcqRel);
        self.open.fetch_sub(1, Ordering::AcqRel);
    }
    /// Nothing is on its way any more.
    pub fn is_done(&self) -> bool {
        self.open.load(Ordering::Acquire) == 0
    }
    /// Records that were refused for good.
    pub fn refusals(&self) -> u64 {
        self.refused.load(Ordering::Acquire)
    }
}

/// Where records go. One thread uses it; delivery is reported through [`Pending`].
pub trait StreamSink: Send {
    /// Hands a record over. False: no room now, call [`StreamSink::poll`] and try again.
    ///
    /// # Errors
    /// When the sink cannot go on and has to be made again.
    fn send(&mut self, message: &Message<'_>, pending: &Arc<Pending>) -> io::Result<bool>;

    /// Lets deliveries happen for at most `time`.
    fn poll(&mut self, time: Duration);

    /// What is wrong with the other side, if anything, for the status page.
    fn trouble(&self) -> Option<String>;

    /// Failed tries since this sink was made: connections refused or lost, requests without an answer.
    fn failures(&self) -> u64;
}
