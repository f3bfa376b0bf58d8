//! A stretch of outcomes on its way: handed to the sink piece by piece, then waiting for its acknowledgements.

use super::Pending;
use crate::event::{Chunk, Offset, Processed};
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

/// What was handed over as a whole.
pub(super) struct Stretch {
    pub(super) to: Offset,
    pub(super) records: u64,
    pub(super) pending: Arc<Pending>,
}

/// What is being handed over.
pub(super) struct Unsent {
    source: Source,
    /// The next one to hand over.
    pub(super) at: usize,
    pub(super) stretch: Stretch,
}

/// Where the outcomes are.
pub(super) enum Source {
    /// As they came by.
    Live(Arc<Chunk>),
    /// Read again.
    Journal(Vec<Processed>),
}

impl Unsent {
    pub(super) fn new(source: Source, at: usize, to: Offset, acknowledged: &Arc<AtomicU64>) -> Self {
        Unsent { source, at, stretch: Stretch { to, records: 0, pending: Pending::new(acknowledged) } }
    }

    /// The outcome to hand over next.
    pub(super) fn next(&self) -> Option<&Processed> {
        let items = match &self.source {
            Source::Live(chunk) => &chunk.items,
            Source::Journal(items) => items,
        };
        items.get(self.at)
    }
}
