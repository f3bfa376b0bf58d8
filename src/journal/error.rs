//! What can go wrong, one enum per operation.

use crate::event::Offset;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;

/// Why a journal cannot be opened. The start stops here: nothing was changed, unless the text says so.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Another process has the journal open.
    #[error("the journal in {} is in use{}: stop that process, or give this one another data_dir",
        dir.display(), pid.map_or(String::new(), |pid| format!(" by process {pid}")))]
    Locked {
        /// The journal's folder.
        dir: PathBuf,
        /// The process that has it, when it is known.
        pid: Option<u32>,
    },
    /// The machine refused something.
    #[error("{what} {}: {source}", path.display())]
    Io {
        /// What was attempted, as in "cannot read".
        what: &'static str,
        /// On what.
        path: PathBuf,
        /// How it failed.
        source: io::Error,
    },
    /// Something durable is damaged.
    #[error(transparent)]
    Damaged(#[from] Damage),
    /// A newer program wrote it.
    #[error("{} was written by a newer snowshed ({what}); this one knows format {}: start the newer program",
        path.display(), super::FORMAT)]
    Newer {
        /// The file.
        path: PathBuf,
        /// What is not known here.
        what: String,
    },
}

impl OpenError {
    pub(super) fn io(what: &'static str, path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> OpenError {
        let path = path.into();
        move |source| OpenError::Io { what, path, source }
    }
}

/// Where durable bytes are not what was written.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "the journal is damaged at record {offset}: {} at byte {position}: {what}. Put the file back from the archive or a \
     backup. Records from {offset} on are not readable until then; see docs/JOURNAL.md, \"Damage\"",
    path.display()
)]
pub struct Damage {
    /// The segment file.
    pub path: PathBuf,
    /// Where in the file the damage begins.
    pub position: u64,
    /// Number of the first record that cannot be read.
    pub offset: Offset,
    /// What was found.
    pub what: String,
}

/// Which bound of the journal has no room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Full {
    /// `journal.queue_bytes`
    Bytes,
    /// `journal.queue_requests`
    Requests,
    /// `journal.stalled_after`: the disk has not answered for so long.
    Stalled,
}

impl Full {
    /// The configuration key.
    pub const fn key(self) -> &'static str {
        match self {
            Full::Bytes => "journal.queue_bytes",
            Full::Requests => "journal.queue_requests",
            Full::Stalled => "journal.stalled_after",
        }
    }
}

impl std::fmt::Display for Full {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.key())
    }
}

/// Why records were not acknowledged.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AppendError {
    /// The queue is at a bound, or the disk is too slow: try again later (503 with Retry-After).
    #[error("the journal has no room for more now: {0}")]
    Full(Full),
    /// Records cannot be made durable now (disk full, read-only, I/O error): 503, readiness off. The journal goes on by
    /// itself when the cause is gone.
    #[error("the journal cannot be written: {reason}")]
    Unavailable {
        /// What the machine said.
        reason: Arc<str>,
    },
    /// A record is larger than `journal.max_record_bytes`, or one append is larger than the queue.
    #[error("a record of {bytes} bytes is more than the {limit} bytes that the journal takes")]
    TooLarge {
        /// Size of the record, or of the whole append.
        bytes: u64,
        /// The bound it broke.
        limit: u64,
    },
    /// The journal was closed.
    #[error("the journal is closed")]
    Closed,
}

/// Why a reader cannot go on.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The records are gone: retention removed them.
    #[error("record {wanted} is no longer in the journal; the first one is {first}")]
    Gone {
        /// What was asked for.
        wanted: Offset,
        /// What is still there.
        first: Offset,
    },
    /// The offset is beyond the end.
    #[error("record {wanted} is beyond the end of the journal, which is {end}")]
    Beyond {
        /// What was asked for.
        wanted: Offset,
        /// Next number to be written.
        end: Offset,
    },
    /// Something durable is damaged.
    #[error(transparent)]
    Damaged(#[from] Damage),
    /// A newer program wrote it.
    #[error("record {offset} in {} was written by a newer snowshed ({what})", path.display())]
    Newer {
        /// The file.
        path: PathBuf,
        /// The record.
        offset: Offset,
        /// What is not known here.
        what: String,
    },
    /// The machine refused to read.
    #[error("cannot read {}: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// How it failed.
        source: io::Error,
    },
    /// The journal was closed and everything in it has been read.
    #[error("the journal is closed")]
    Closed,
}

/// Why a segment that is read as a stream cannot be read on.
#[derive(Debug, thiserror::Error)]
pub enum SegmentError {
    /// It is not what was written, or it ends too early.
    #[error("the segment is damaged at record {offset}, byte {position}: {what}")]
    Damaged {
        /// Where in the segment.
        position: u64,
        /// The first record that cannot be read.
        offset: Offset,
        /// What was found.
        what: &'static str,
    },
    /// A newer program wrote it.
    #[error("the segment was written by a newer snowshed ({0}); this one knows format {format}", format = super::FORMAT)]
    Newer(String),
    /// Its source gave no more bytes.
    #[error("the segment cannot be read: {0}")]
    Io(io::Error),
}

impl From<ReadError> for io::Error {
    fn from(e: ReadError) -> io::Error {
        match e {
            ReadError::Io { ref source, .. } => io::Error::new(source.kind(), e),
            ReadError::Gone { .. } | ReadError::Beyond { .. } => io::Error::new(io::ErrorKind::NotFound, e),
            ReadError::Closed => io::Error::new(io::ErrorKind::BrokenPipe, e),
            ReadError::Damaged(_) | ReadError::Newer { .. } => io::Error::new(io::ErrorKind::InvalidData, e),
        }
    }
}
