//! The merged read: both halves as of one moment, each event in exactly one of them.
//!
//! The order is what makes it exact. First a lease on the speed layer, so that nothing it holds now is dropped; then a
//! warehouse snapshot and the boundary inside it; then what the speed layer holds at and above that boundary. A commit in
//! between only means that the snapshot shows it or does not, and the boundary says which.

use super::api::Api;
use super::error::{ApiError, ApiResult};
use super::question::Planned;
use crate::batch::warehouse::{ReadError, Snapshot};
use crate::event::{Boundary, Offset, Tally};
use crate::speed::Lease;
use crate::view::{Half, Reducer};

/// Both halves under one lease and one snapshot.
pub struct Seam {
    /// Keeps what the speed layer holds.
    pub lease: Lease,
    /// The warehouse as of one moment.
    pub snapshot: Box<dyn Snapshot>,
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
        let snapshot = api.deps.warehouse.snapshot()?;
        let boundary = snapshot.boundary()?;
        Ok(Seam { lease, snapshot, boundary })
    }

    /// The committed half of an answer.
    ///
    /// # Errors
    /// 503 when the warehouse does not answer, 400 when the answer is too large.
    pub fn batch(&self, planned: &Planned) -> ApiResult<Half> {
        let mut reducer = Reducer::new(&planned.view, planned.plan.clone());
        for rows in self.snapshot.view_groups(&planned.view, &planned.plan)? {
            reducer.add_stored(&rows)?;
        }
        Ok(reducer.finish())
    }

    /// Counts of everything below the boundary.
    ///
    /// # Errors
    /// 503 when the warehouse does not answer.
    pub fn committed(&self) -> ApiResult<Tally> {
        Ok(self.snapshot.tally()?)
    }
}

/// What is in memory of some questions, as of one moment.
#[derive(Debug)]
pub struct Memory {
    /// One half per question.
    pub halves: Vec<Half>,
    /// First offset that is not in them.
    pub applied: Offset,
    /// Counts of everything from the boundary up to `applied`.
    pub tally: Tally,
}

#[derive(Debug)]
pub struct Tail {
    pub applied: Offset,
}
pub fn memory(lease: &Lease, above: Offset, questions: &[&Planned]) -> ApiResult<Memory> {
    let _ = (lease, above, questions);
    Err(ApiError::internal("x"))
}
pub fn tail(lease: &Lease, above: Offset) -> Tail {
    let _ = lease;
    Tail { applied: above }
}
pub fn sql_tail(_t: &Tail) -> crate::batch::warehouse::SqlTail {
    crate::batch::warehouse::SqlTail
}
pub fn memory_and_tail(lease: &Lease, above: Offset, planned: &Planned) -> ApiResult<(Memory, Tail)> {
    Ok((memory(lease, above, &[planned])?, tail(lease, above)))
}

impl From<ReadError> for ApiError {
    fn from(e: ReadError) -> Self {
        ApiError::unavailable(e.to_string())
    }
}

/// The whole count: committed and in memory.
pub fn equation(committed: &Tally, memory: &Tally) -> Tally {
    let mut all = *committed;
    all.add(memory);
    all
}
