//! Why the box could not be built, or stopped.

use crate::event::Offset;
use crate::journal::ReadError;

/// Why [`super::build`] or [`super::Enricher::new`] failed.
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    /// `enrich.atomic_limits` names columns that do not exist.
    #[error("enrich.atomic_limits: no text column is called {}", .0.join(", "))]
    Limits(Vec<String>),
    /// A thread cannot be started.
    #[error("cannot start an enrichment thread: {0}")]
    Thread(std::io::Error),
}

/// Why the stage stopped before it was told to.
#[derive(Debug, thiserror::Error)]
pub enum StageError {
    /// The journal cannot be read.
    #[error("enrichment stopped at record {at}: {source}")]
    Read {
        /// First record that was not read.
        at: Offset,
        /// Why.
        source: ReadError,
    },
    /// A thread of the stage ended by an internal error.
    #[error("an enrichment thread ended by an internal error")]
    Thread,
}
