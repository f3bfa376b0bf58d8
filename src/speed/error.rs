//! What can go wrong in the speed layer.

use crate::event::{BatchId, Offset, OffsetRange};
use crate::view::ViewError;

/// Why a reader gets no answer from memory, or the stage cannot go on.
#[derive(Debug, thiserror::Error)]
pub enum SpeedError {
    /// The lease is older than `speed.max_lease`: what it held may be gone. Take a new one and start over.
    #[error("the read took longer than speed.max_lease, so what it looked at may be gone; ask again")]
    LeaseExpired,
    /// State above this offset is no longer there as a whole: the boundary was read before the lease was taken.
    #[error(
        "memory holds micro-batches from offset {held}, asked for those from {asked}; take the lease before the snapshot"
    )]
    BoundaryTooOld {
        /// From where on it was asked for.
        asked: Offset,
        /// From where on there is state.
        held: Offset,
    },
    /// The offset is inside a micro-batch.
    #[error("offset {asked} is inside micro-batch {batch}, so it is no boundary")]
    NotABoundary {
        /// The offset.
        asked: Offset,
        /// The micro-batch.
        batch: BatchId,
    },
    /// No view of this name is computed here.
    #[error("there is no view \"{0}\"")]
    NoSuchView(String),
    /// A chunk of this view could not be folded, so its numbers are incomplete. A bug; the view is down until a restart.
    #[error("view \"{view}\" is incomplete: {problem}")]
    ViewBroken {
        /// Name of the view.
        view: String,
        /// What happened.
        problem: String,
    },
    /// The question cannot be answered.
    #[error(transparent)]
    View(#[from] ViewError),
    /// Aggregates that were written to a file cannot be read back.
    #[error("aggregates in {path}: {problem}")]
    Spill {
        /// The file.
        path: String,
        /// What happened.
        problem: String,
    },
    /// A chunk does not continue where the last one ended. A bug of the stage before: the answers would be wrong.
    #[error("a chunk of {got} came where offset {expected} had to follow")]
    Gap {
        /// What had to come.
        expected: Offset,
        /// What came.
        got: OffsetRange,
    },
    /// The mark that closes a micro-batch does not fit what was received of it.
    #[error("the seal of {got} came for the open micro-batch {open}")]
    WrongSeal {
        /// What was received.
        open: BatchId,
        /// What was sealed.
        got: BatchId,
    },
}
