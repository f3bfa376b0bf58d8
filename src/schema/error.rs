//! Why the resolver could not be built, or could not answer.

use std::path::PathBuf;

/// Why [`super::build`] failed.
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    /// A folder that the registry or the disk cache needs cannot be made.
    #[error("cannot make the folder {}: {source}", path.display())]
    Folder {
        /// Which folder.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The background thread cannot be started.
    #[error("cannot start the schema refresh thread: {0}")]
    Thread(std::io::Error),
}

/// A registry that may have the schema did not answer, so nobody knows whether the schema exists. The caller waits and asks
/// again; an outage never fails an event.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("schema {schema}: registry \"{registry}\" did not answer: {message}")]
pub struct Outage {
    /// First of the schemas concerned, as URI.
    pub schema: String,
    /// The registry that should have answered.
    pub registry: String,
    /// What it said instead.
    pub message: String,
    /// The resolver asks no registry about this schema again before this time has passed.
    pub retry_after: std::time::Duration,
}

/// Why a schema was not stored.
#[derive(Debug, thiserror::Error)]
pub enum PutProblem {
    /// This process has no place of its own for schemas (no data directory).
    #[error("there is no registry of its own here: no data directory is configured")]
    NoStore,
    /// The document is wrong; every problem that was found.
    #[error("the schema is refused: {}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))]
    Refused(Vec<super::Finding>),
    /// Another document is already published under this name. A published schema never changes.
    #[error("{0} is already published with another content; publish a new version instead")]
    Conflict(String),
    /// Writing failed.
    #[error("cannot write the schema: {0}")]
    Write(#[from] std::io::Error),
}
