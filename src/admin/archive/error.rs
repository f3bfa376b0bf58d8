//! What can go wrong, one type per operation.

use crate::batch::error::LakeError;
use crate::event::OffsetRange;
use crate::journal::SegmentError;
use std::io;
use std::path::{Path, PathBuf};

/// The box cannot be built.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// A file or folder of the data directory.
    #[error("{path}: {source}")]
    Io {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// No thread can be made.
    #[error("no thread for the archive: {0}")]
    Thread(io::Error),
}

/// A segment could not be archived, or not be read back.
#[derive(Debug, thiserror::Error)]
pub enum ArchiveError {
    /// The lake.
    #[error(transparent)]
    Lake(#[from] LakeError),
    /// A local file.
    #[error("{path}: {source}")]
    Io {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A segment, or its compressed form, is not whole.
    #[error("{name}: {source}")]
    Segment {
        /// The object.
        name: String,
        /// Why.
        source: SegmentError,
    },
    /// An object holds another segment than its name says.
    #[error("{name}: holds records {found} of journal {journal}")]
    Other {
        /// The object.
        name: String,
        /// What it holds.
        found: OffsetRange,
        /// Of which journal.
        journal: uuid::Uuid,
    },
    /// As one of these was told before, of the same segment.
    #[error("{0}")]
    Damaged(String),
    /// The lake took an object and has another number of bytes.
    #[error("{name}: the lake has {found} bytes of it, not {expected}")]
    Size {
        /// The object.
        name: String,
        /// What is there; 0 when nothing is.
        found: u64,
        /// What was sent.
        expected: u64,
    },
}

impl ArchiveError {
    pub(super) fn io(path: &Path) -> impl Fn(io::Error) -> ArchiveError {
        move |source| ArchiveError::Io { path: path.to_owned(), source }
    }

    /// Whether the object itself is at fault, so that asking again gives the same.
    pub fn is_damage(&self) -> bool {
        match self {
            ArchiveError::Segment { .. } | ArchiveError::Other { .. } | ArchiveError::Damaged(_) => true,
            ArchiveError::Lake(_) | ArchiveError::Io { .. } | ArchiveError::Size { .. } => false,
        }
    }
}
