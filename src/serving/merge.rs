//! The merged read: both halves as of one moment, each event in exactly one of them.
//!
//! The order is what makes it exact. First a lease on the speed layer, so that nothing it holds now is dropped; then a
//! warehouse snapshot and the boundary inside it; then what the speed layer holds at and above that boundary. A commit in
//! between only means that the snapshot shows it or does not, and the boundary says which.

use super::api::Api;
use super::error::{ApiError, ApiResult};
use super::question::Planned;
use crate::batch::ReadError;
use crate::batch::warehouse::{Snapshot, SqlDone, SqlRequest, SqlSink, SqlTail};
use crate::event::{Boundary, Offset, Tally};
use crate::speed::{Lease, Memory, SpeedError, Tail, Wanted};
use crate::view::{Half, Plan, Reducer};
use axum::http::StatusCode;
use std::collections::HashSet;
use std::sync::Arc;

/// Both halves under one lease and one snapshot.
pub struct Seam {
    /// Keeps what the speed layer holds.
    pub lease: Lease,
    snapshot: Box<dyn Snapshot>,
    /// Up to where the snapshot is complete.
    pub boundary: Boundary,
}

impl Seam {
    /// Opens both halves. Blocks.
    ///
    /// # Errors
    /// 503 when the warehouse does not answer.
    pub fn open(api: &Api) -> ApiResult<Seam> {
        let lease = api.deps.speed.lease();
        let snapshot = api.deps.warehouse.snapshot(api.config.queue_timeout.to_duration())?;
        let boundary = snapshot.boundary();
        Ok(Seam { lease, snapshot, boundary })
    }

    /// The committed half of an answer.
    ///
    /// # Errors
    /// 503 when the warehouse does not answer, 400 when the answer is too large.
    pub fn batch(&mut self, planned: &Planned) -> ApiResult<Half> {
        let mut reducer = Reducer::new(&planned.view, planned.plan.clone());
        for rows in self.snapshot.view_groups(&planned.view, &planned.query)? {
            reducer.add_stored(&rows)?;
        }
        Ok(reducer.finish())
    }

    /// The half in memory of some questions, all as of the same moment, and the rows if they are wanted.
    ///
    /// # Errors
    /// As [`memory`].
    pub fn memory(&self, questions: &[&Planned], rows: bool) -> ApiResult<Memory> {
        memory(&self.lease, self.boundary.offset, questions, rows)
    }

    /// Counts of everything below the boundary.
    ///
    /// # Errors
    /// 503 when the warehouse does not answer.
    pub fn committed(&mut self) -> ApiResult<Tally> {
        Ok(self.snapshot.tally()?)
    }

    /// The self-describing columns that table `events` has: committed ones and those in memory.
    ///
    /// # Errors
    /// 503 when the warehouse does not answer.
    pub fn dynamic_columns(&mut self, memory: &Memory) -> ApiResult<HashSet<String>> {
        let mut names: HashSet<String> = self.snapshot.dynamic_columns()?.into_iter().collect();
        if let Some(tail) = &memory.tail {
            names.extend(tail.rows.iter().flat_map(|r| r.dynamic()).map(|(name, _)| name.to_owned()));
            names.extend(tail.files.iter().flat_map(|f| f.columns.iter().cloned()));
        }
        Ok(names)
    }

    /// Runs one SELECT over both halves; `memory` is what was read with its rows.
    ///
    /// # Errors
    /// 400 for a wrong statement, 403 for a forbidden one, 503 and 504.
    pub fn sql(&mut self, request: &SqlRequest, memory: &Memory, sink: &mut dyn SqlSink) -> ApiResult<SqlDone> {
        let tail = memory.tail.as_ref().map(sql_tail).unwrap_or_default();
        Ok(self.snapshot.sql(request, &tail, sink)?)
    }

    /// Runs a SELECT of ours over committed tables.
    ///
    /// # Errors
    /// As [`Seam::sql`].
    pub fn committed_sql(&mut self, request: &SqlRequest, sink: &mut dyn SqlSink) -> ApiResult<SqlDone> {
        Ok(self.snapshot.sql(request, &SqlTail::default(), sink)?)
    }

    /// The lease alone; the snapshot goes back to its pool.
    pub fn into_lease(self) -> Lease {
        self.lease
    }
}

/// What is in memory at and above a boundary.
///
/// # Errors
/// 503 when the lease is too old, 400 when an answer is too large.
pub fn memory(lease: &Lease, above: Offset, questions: &[&Planned], rows: bool) -> ApiResult<Memory> {
    let views: Vec<(&str, Arc<Plan>)> = questions.iter().map(|p| (p.view.name(), p.plan.clone())).collect();
    Ok(lease.read(above, &Wanted { views: &views, tail: rows })?)
}

/// The rows in memory and in staged files as SQL takes them.
fn sql_tail(tail: &Tail) -> SqlTail {
    SqlTail {
        events: tail.rows.clone(),
        failed: tail.failed_rows.clone(),
        event_files: tail.files.iter().filter_map(|f| f.events.clone()).collect(),
        failed_files: tail.files.iter().filter_map(|f| f.failed.clone()).collect(),
        bad_row_files: tail.files.iter().filter_map(|f| f.bad_rows.clone()).collect(),
    }
}

/// The whole count: committed and in memory.
pub fn equation(committed: &Tally, memory: &Tally) -> Tally {
    let mut all = *committed;
    all.add(memory);
    all
}

impl From<ReadError> for ApiError {
    fn from(e: ReadError) -> Self {
        let text = e.to_string();
        match e {
            ReadError::Busy(_) => ApiError::busy(text, 1).hint("ask again, or raise warehouse.readers"),
            ReadError::Timeout(_) => ApiError::timeout(text).hint("ask for less, or raise serving.sql_timeout"),
            ReadError::Expired => ApiError::timeout(text).hint("ask for less, or raise warehouse.max_snapshot"),
            ReadError::Sql(_) => ApiError::new(StatusCode::BAD_REQUEST, "sql_error", text)
                .hint("DESCRIBE events lists the columns; GET /v1/views the views"),
            ReadError::Refused(_) => ApiError::new(StatusCode::FORBIDDEN, "sql_refused", text)
                .hint("one SELECT over events, events_failed, atomic.*, derived.* and snowshed.*"),
            ReadError::Failed(_) => ApiError::unavailable(text),
        }
    }
}

impl From<SpeedError> for ApiError {
    fn from(e: SpeedError) -> Self {
        match e {
            SpeedError::View(e) => e.into(),
            SpeedError::LeaseExpired => ApiError::timeout(e.to_string()).hint("ask for less"),
            SpeedError::NoSuchView(_) => ApiError::not_found(e.to_string()),
            SpeedError::BoundaryTooOld { .. } => ApiError::unavailable(e.to_string()),
            other => ApiError::internal(other.to_string()),
        }
    }
}
