//! The journal: the raw truth, and the promise that 200 means durable.
//!
//! An append-only log of records on local disk, numbered densely from 0. One thread writes; all appends that wait share
//! one write and one sync; only then do they get their [`Receipt`]. Readers see what is durable and nothing else. The
//! byte format, the recovery rules and the limits are in `docs/JOURNAL.md`.
//!
//! What is absent: no record is ever changed, moved or removed one by one, and nothing here knows what a record means.

mod append;
mod config;
mod error;
mod frame;
mod handle;
mod herald;
mod index;
mod keeper;
mod metrics;
mod queue;
mod read_only;
mod reader;
mod record;
mod recover;
mod scan;
mod segment;
mod spare;
mod stage;
mod stream;
mod view;
mod walk;

#[cfg(test)]
mod tests;

pub use append::{Append, Appender};
pub use config::Config;
pub use error::{AppendError, Damage, Full, OpenError, ReadError, SegmentError};
pub use handle::{Journal, SegmentInfo};
pub use read_only::ReadOnly;
pub use reader::Reader;
pub use record::{Entry, JournalBatch, Receipt, Record, RecordKind};
pub use recover::Recovery;
pub use scan::Torn;
pub use stream::SegmentStream;

/// Format version of the files that we write. A journal of a newer one is refused.
pub const FORMAT: u16 = 1;
