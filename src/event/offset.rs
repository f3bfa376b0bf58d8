//! Addresses: where a payload stands in the journal, and which stretch of it is one micro-batch.

use serde::{Deserialize, Serialize};
use std::fmt;

/// The number of a record in the journal: dense, from 0, never reused.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Offset(pub u64);

impl Offset {
    /// The first record of a journal.
    pub const ZERO: Offset = Offset(0);

    /// The record after this one.
    pub const fn next(self) -> Offset {
        Offset(self.0 + 1)
    }
}

impl fmt::Display for Offset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A half-open stretch of the journal: `from` is in it, `to` is not.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default, Serialize, Deserialize)]
pub struct OffsetRange {
    /// First offset of the range.
    pub from: Offset,
    /// First offset after the range.
    pub to: Offset,
}

impl OffsetRange {
    /// `[from, to)`.
    pub const fn new(from: Offset, to: Offset) -> Self {
        OffsetRange { from, to }
    }
    /// How many records it spans.
    pub const fn len(self) -> u64 {
        self.to.0.saturating_sub(self.from.0)
    }
    /// True when it spans none.
    pub const fn is_empty(self) -> bool {
        self.to.0 <= self.from.0
    }
    /// Whether `offset` is in it.
    pub fn contains(self, offset: Offset) -> bool {
        self.from <= offset && offset < self.to
    }
}

impl fmt::Display for OffsetRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "[{}, {})", self.from, self.to)
    }
}

/// A micro-batch *is* its offset range: the same range is the same micro-batch on every retry.
pub type BatchId = OffsetRange;

/// One event: the payload it came in and its place among the outcomes of that payload.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default, Serialize, Deserialize)]
pub struct EventAddr {
    /// Offset of the payload.
    pub offset: Offset,
    /// 0-based index of the outcome within the payload.
    pub index: u32,
}

impl fmt::Display for EventAddr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.offset, self.index)
    }
}

/// How far the warehouse is complete.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Default, Serialize, Deserialize)]
pub struct Boundary {
    /// Every event of every payload below this offset is committed; none at or above it is.
    pub offset: Offset,
    /// When the micro-batch that ends here was committed, milliseconds since the epoch; 0 before the first commit.
    pub time_ms: i64,
}
