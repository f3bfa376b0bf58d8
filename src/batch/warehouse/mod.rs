//! The warehouse: where micro-batches become tables, and where the batch half of every answer is read.
//!
//! Promises of whoever implements [`Warehouse`]: a micro-batch is committed as a whole or not at all, rows, view deltas,
//! boundary and audit row together; committing the same range again changes nothing; a range that does not begin at the
//! boundary is refused. Promises of a [`Snapshot`]: everything read from it is one moment, that of its boundary.

pub mod duckdb;

use super::error::{CommitError, ReadError};
use super::fields::FieldId;
use super::lake::LakeFile;
use crate::event::rows::Rows;
use crate::event::{BatchId, Boundary, EventAddr, Repair, Tally};
use crate::platform::clock::Millis;
use crate::platform::owned::OwnedFile;
use crate::view::{View, ViewQuery};
use arrow::array::RecordBatch;
use serde::Serialize;
use std::sync::Arc;
use std::time::Duration;

/// A file on local disk that holds rows of one table.
#[derive(Clone, Debug)]
pub struct LocalFile {
    /// Where it is. It goes when nobody has it any more: not the batch layer, nor a reader of its rows.
    pub path: Arc<OwnedFile>,
    /// What it is in the lake.
    pub lake: LakeFile,
    /// Its self-describing columns.
    pub columns: Vec<FieldId>,
}

/// What a view gained by a micro-batch: rows of its storage schema, in a file beside the rows of its events. A micro-batch
/// may wait for hours, and hundreds of them at once.
#[derive(Clone, Debug)]
pub struct Delta {
    /// The view.
    pub view: Arc<View>,
    /// Where they are; it goes when nobody has it any more. [`crate::platform::arrow_file`] reads it.
    pub file: Arc<OwnedFile>,
}

/// When the steps of a micro-batch were done, milliseconds since the epoch.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Steps {
    /// Its range was complete.
    pub sealed_ms: Millis,
    /// Its files were on local disk.
    pub staged_ms: Millis,
    /// Its files were in the lake.
    pub uploaded_ms: Millis,
}

/// A micro-batch as the warehouse takes it.
#[derive(Clone, Debug)]
pub struct Load {
    /// Its range.
    pub id: BatchId,
    /// Its load time.
    pub load_ms: Millis,
    /// Counts of its outcomes.
    pub tally: Tally,
    /// Bytes of journal that it spans.
    pub journal_bytes: u64,
    /// Receive time of its first and last payload, 0 when it has none.
    pub received_ms: (Millis, Millis),
    /// Values that the columns could not hold.
    pub unfit: u64,
    /// Its files, at most one a table; none for a table without rows.
    pub files: Vec<LocalFile>,
    /// What each view gained; none for a view that gained nothing.
    pub deltas: Vec<Delta>,
    /// The failures, here or in an earlier micro-batch, that it repairs, each with the place of the replay.
    pub repairs: Vec<(EventAddr, Repair)>,
    /// When its steps were done.
    pub steps: Steps,
}

/// What a commit came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CommitOutcome {
    /// The boundary after it.
    pub boundary: Boundary,
    /// False when the warehouse had the micro-batch already.
    pub was_new: bool,
}

/// The writing side. One owner, one thread.
pub trait Warehouse: Send {
    /// Commits a micro-batch.
    ///
    /// # Errors
    /// [`CommitError::Gap`] when it does not begin at the boundary; [`CommitError::Failed`] when nothing was committed and
    /// it may be tried again.
    fn commit(&mut self, load: &Load) -> Result<CommitOutcome, CommitError>;

    /// Does some of the work that keeps reads fast, if there is any. True when there is more.
    ///
    /// # Errors
    /// When it failed; nothing was changed.
    fn maintain(&mut self) -> Result<bool, CommitError>;
}

/// The reading side. Cheap to clone as an [`Arc`]; used by many threads.
pub trait Reader: Send + Sync {
    /// A snapshot of this moment, waiting at most `wait` for a free connection. It is given back when dropped, or taken back
    /// after `warehouse.max_snapshot`.
    ///
    /// # Errors
    /// [`ReadError::Busy`] or [`ReadError::Failed`].
    fn snapshot(&self, wait: Duration) -> Result<Box<dyn Snapshot>, ReadError>;
}

/// One moment of the warehouse.
pub trait Snapshot: Send {
    /// How far it is complete.
    fn boundary(&self) -> Boundary;

    /// Counts of all outcomes below the boundary.
    ///
    /// # Errors
    /// [`ReadError::Expired`] or [`ReadError::Failed`].
    fn tally(&mut self) -> Result<Tally, ReadError>;

    /// The self-describing columns that `atomic.events` has.
    ///
    /// # Errors
    /// As [`Snapshot::tally`].
    fn dynamic_columns(&mut self) -> Result<Vec<String>, ReadError>;

    /// The stored rows that a question to a view needs, as [`View::stored_sql`] shapes them: for
    /// [`crate::view::Reducer::add_stored`].
    ///
    /// # Errors
    /// As [`Snapshot::tally`], or [`ReadError::Sql`] with the words of a wrong question.
    fn view_groups(&mut self, view: &Arc<View>, query: &ViewQuery) -> Result<Vec<RecordBatch>, ReadError>;

    /// Runs one SELECT of a user over table `events` (committed rows and `tail`), `events_failed`, `stored_bad_rows`
    /// (committed ones and those in staged files), and the schemas `atomic`, `derived` and `snowshed`. Rows go to `sink` as they come. After an error the snapshot can only be dropped.
    ///
    /// # Errors
    /// [`ReadError`].
    fn sql(&mut self, request: &SqlRequest, tail: &SqlTail, sink: &mut dyn SqlSink) -> Result<SqlDone, ReadError>;
}

/// The rows that are above the snapshot's boundary: in memory, and in staged files that memory has given up. No row is in
/// both.
#[derive(Clone, Debug, Default)]
pub struct SqlTail {
    /// Enriched events in memory.
    pub events: Vec<Arc<Rows>>,
    /// Incomplete events in memory.
    pub failed: Vec<Arc<Rows>>,
    /// Staged files of enriched events.
    pub event_files: Vec<Arc<OwnedFile>>,
    /// Staged files of incomplete events.
    pub failed_files: Vec<Arc<OwnedFile>>,
    /// Staged files of bad rows.
    pub bad_row_files: Vec<Arc<OwnedFile>>,
}

/// A value bound to `?` or `$1`.
#[derive(Clone, Debug, PartialEq)]
pub enum SqlParam {
    /// NULL
    Null,
    /// A flag.
    Bool(bool),
    /// A whole number.
    Int(i64),
    /// A whole number beyond those.
    Large(u64),
    /// A number.
    Float(f64),
    /// Text; what is compared with it decides its type.
    Text(String),
}

/// A user's question.
#[derive(Clone, Debug)]
pub struct SqlRequest {
    /// One SELECT (also `FROM …`, `VALUES`, `DESCRIBE`, `SUMMARIZE`, `SHOW TABLES`).
    pub sql: String,
    /// Values of its parameters, in order.
    pub params: Vec<SqlParam>,
    /// The answer is cut after so many rows.
    pub max_rows: u64,
    /// The answer is cut when its columns hold more bytes than this.
    pub max_bytes: u64,
    /// The longest that it may run, sending the answer included.
    pub timeout: Duration,
}

/// A column of an answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct SqlColumn {
    /// Its name.
    pub name: String,
    /// Its DuckDB type; semi-structured columns come as `JSON` text.
    #[serde(rename = "type")]
    pub kind: String,
}

/// Takes an answer. Each call may say that no more is wanted.
pub trait SqlSink {
    /// The columns; called once, before any rows.
    fn columns(&mut self, columns: &[SqlColumn]) -> bool;
    /// Some rows.
    fn rows(&mut self, rows: RecordBatch) -> bool;
}

/// How an answer ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct SqlDone {
    /// Rows sent.
    pub rows: u64,
    /// Whether a limit cut it.
    pub truncated: bool,
}

/// A warehouse that is open.
pub struct Opened {
    /// For the one who commits.
    pub writer: Box<dyn Warehouse>,
    /// For all who read.
    pub reader: Arc<dyn Reader>,
    /// How far it is complete.
    pub boundary: Boundary,
    /// Load time of its last micro-batch, 0 before the first.
    pub last_load_ms: Millis,
    /// Its self-describing columns.
    pub fields: Vec<FieldId>,
}
