//! What is appended, what comes back, and the receipt that lets a caller say "durable".

use crate::event::{Offset, OffsetRange};
use bytes::Bytes;

/// What a record holds. The number stands in the frame and is for ever.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum RecordKind {
    /// A Thrift `CollectorPayload`.
    Payload = 1,
    /// A bad row that the collector itself recorded, compact JSON.
    BadRow = 2,
    /// An event to be processed again: see the admin box for its body.
    Replay = 3,
}

impl RecordKind {
    /// The number in the frame.
    pub const fn number(self) -> u8 {
        self as u8
    }

    /// The kind with this number; `None` for one that only a newer program knows.
    pub const fn from_number(number: u8) -> Option<Self> {
        match number {
            1 => Some(RecordKind::Payload),
            2 => Some(RecordKind::BadRow),
            3 => Some(RecordKind::Replay),
            _ => None,
        }
    }
}

/// A record to be appended.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Record {
    /// What the body is.
    pub kind: RecordKind,
    /// The body, opaque to the journal.
    pub body: Bytes,
}

/// A record with its number.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Entry {
    /// Its number.
    pub offset: Offset,
    /// What the body is.
    pub kind: RecordKind,
    /// The body: unpacked, or a slice of the block that was read or written.
    pub body: Bytes,
}

/// A stretch of the journal in order, all of it durable.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct JournalBatch {
    /// The stretch. The next batch of the same reader starts at `range.to`.
    pub range: OffsetRange,
    /// Every record of it. Fewer than `range.len()` only where records were given up by an operator ([`super::Journal::skip_to`]).
    pub records: Vec<Entry>,
    /// Bytes of the bodies.
    pub bytes: u64,
}

/// Proof that records are durable. Only the journal's writer makes one, after the sync that covers them.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Receipt {
    first: Offset,
    count: u32,
}

impl Receipt {
    pub(super) const fn new(first: Offset, count: u32) -> Self {
        Receipt { first, count }
    }

    /// Number of the first record of the append.
    pub const fn first(&self) -> Offset {
        self.first
    }

    /// How many records the append had; their numbers follow one another.
    pub const fn count(&self) -> u32 {
        self.count
    }

    /// The numbers as a range.
    pub const fn range(&self) -> OffsetRange {
        OffsetRange::new(self.first, Offset(self.first.0 + self.count as u64))
    }
}
