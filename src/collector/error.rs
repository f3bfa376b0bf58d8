//! Why the collector cannot start, or did not go on.

use crate::net::BindError;
use crate::net::tls::TlsError;
use std::io;

/// Why the collector cannot start. Nothing was served.
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    /// A value of the configuration cannot be used.
    #[error("collector.{key} {problem}")]
    Config {
        /// The key, below `[collector]`.
        key: String,
        /// What is wrong, and what is allowed.
        problem: String,
    },
    /// A port cannot be opened.
    #[error(transparent)]
    Bind(#[from] BindError),
    /// The certificate cannot be used.
    #[error("collector.tls: {0}")]
    Tls(#[from] TlsError),
}

/// Why the collector stopped by itself.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// A thread or its runtime cannot be started.
    #[error("cannot start a thread of the collector: {0}")]
    Thread(#[from] io::Error),
    /// A thread ended by a defect; nobody is served any more.
    #[error("a thread of the collector ended by itself")]
    Ended,
}
