//! What can go wrong, one type per operation.

use crate::event::{BatchId, Offset, OffsetRange};
use std::io;
use std::path::{Path, PathBuf};

/// The box cannot be built.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// A configuration value.
    #[error("{key}: {problem}")]
    Config {
        /// The key.
        key: String,
        /// What is wrong and what is allowed.
        problem: String,
    },
    /// A file or folder of the data directory.
    #[error("{path}: {source}")]
    Io {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A state file that this program did not write, or that is damaged before its end.
    #[error("{path}: {problem}")]
    State {
        /// Which.
        path: PathBuf,
        /// What is wrong and what to do.
        problem: String,
    },
    /// The plan and the warehouse do not belong together.
    #[error(
        "the warehouse is complete up to offset {boundary}, inside the decided micro-batch {decided}: the warehouse file and \
         the folder state/ are from different moments; restore both from one backup, or remove state/plan"
    )]
    PlanMismatch {
        /// The warehouse's boundary.
        boundary: Offset,
        /// The decided micro-batch that it cuts.
        decided: OffsetRange,
    },
    /// The lake's address.
    #[error("lake.url: {0}")]
    Lake(String),
    /// The warehouse.
    #[error("warehouse: {0}")]
    Warehouse(String),
    /// A view whose table was made for another definition.
    #[error("view \"{view}\": {problem}")]
    View {
        /// Its name.
        view: String,
        /// What is wrong and what to do.
        problem: String,
    },
    /// A thread could not be started.
    #[error("cannot start a thread: {0}")]
    Thread(io::Error),
}

impl StartError {
    pub(crate) fn io(path: impl Into<PathBuf>, source: io::Error) -> Self {
        StartError::Io { path: path.into(), source }
    }
}

/// The files of a micro-batch could not be written to local disk.
#[derive(Debug, thiserror::Error)]
pub enum StageError {
    /// A file.
    #[error("{path}: {source}")]
    Io {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The Parquet writer.
    #[error("parquet: {0}")]
    Parquet(#[from] parquet::errors::ParquetError),
    /// The file of what a view gained.
    #[error("{path}: {source}")]
    Delta {
        /// Which.
        path: PathBuf,
        /// Why.
        source: arrow::error::ArrowError,
    },
    /// Rows of an unexpected shape.
    #[error("arrow: {0}")]
    Arrow(#[from] arrow::error::ArrowError),
    /// A view's fold.
    #[error("view \"{view}\": {problem}")]
    View {
        /// Its name.
        view: String,
        /// Why.
        problem: String,
    },
    /// The micro-batch is not in the plan.
    #[error("micro-batch {0} was sealed without a decision in the plan")]
    NotPlanned(BatchId),
    /// The chunks of a micro-batch do not cover its range.
    #[error("micro-batch {id} is not covered by its chunks: they end at {at}")]
    NotCovered {
        /// The micro-batch.
        id: BatchId,
        /// Where they leave off.
        at: Offset,
    },
}

impl StageError {
    pub(crate) fn file(path: &Path, source: io::Error) -> Self {
        StageError::Io { path: path.to_owned(), source }
    }
}

/// A file could not be put into the lake.
#[derive(Debug, thiserror::Error)]
pub enum LakeError {
    /// The object store.
    #[error("{path}: {source}")]
    Store {
        /// The object.
        path: String,
        /// Why.
        source: object_store::Error,
    },
    /// The local side.
    #[error("{path}: {source}")]
    Io {
        /// Which file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// It took too long.
    #[error("{path}: no answer within {seconds} s")]
    Timeout {
        /// The object.
        path: String,
        /// How long was waited.
        seconds: u64,
    },
}

/// A micro-batch could not be committed.
#[derive(Debug, thiserror::Error)]
pub enum CommitError {
    /// The warehouse stands elsewhere than where this micro-batch begins. Trying again cannot help.
    #[error(
        "the warehouse is complete up to offset {stored}, but the micro-batch is {id}: something else has written to it"
    )]
    Gap {
        /// Its boundary.
        stored: Offset,
        /// The micro-batch.
        id: BatchId,
    },
    /// Anything else; nothing was committed and it may be tried again.
    #[error("{0}")]
    Failed(String),
}

/// A question to the warehouse was not answered.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ReadError {
    /// All read connections are in use.
    #[error("all {0} read connections of the warehouse are busy")]
    Busy(usize),
    /// The snapshot was held longer than `warehouse.max_snapshot`.
    #[error("the snapshot was held too long and has been given back")]
    Expired,
    /// The statement is not one that may be run here.
    #[error("{0}")]
    Refused(String),
    /// DuckDB did not like it: syntax, names, types, values.
    #[error("{0}")]
    Sql(String),
    /// It ran longer than its time limit.
    #[error("the query ran longer than {0} ms and was stopped")]
    Timeout(u64),
    /// The warehouse itself failed.
    #[error("the warehouse failed: {0}")]
    Failed(String),
}
