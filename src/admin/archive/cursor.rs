//! How far segments are archived, on disk.
//!
//! A list of the lake alone does not do: after a power cut an object may be listed whose bytes never got to the disk. What
//! is noted here was in the lake in full, durably.

use crate::event::Offset;
use crate::platform::fs::{RealFs, replace_durably};
use std::fs;
use std::io;
use std::path::PathBuf;
use uuid::Uuid;

/// A small file with one offset and its checksum, replaced atomically.
#[derive(Debug)]
pub(super) struct Cursor {
    path: PathBuf,
    journal: Uuid,
    at: Offset,
}

impl Cursor {
    /// Opens the cursor of this journal. Without one, or with one that cannot be read, nothing counts as archived: it is
    /// archived again, which changes nothing.
    pub(super) fn open(path: PathBuf, journal: Uuid) -> Self {
        let at = match fs::read_to_string(&path) {
            Ok(text) => parse(&text, journal).unwrap_or_else(|| {
                tracing::warn!(path = %path.display(), "this is no cursor of this journal's archive; segments are archived again");
                Offset::ZERO
            }),
            Err(e) if e.kind() == io::ErrorKind::NotFound => Offset::ZERO,
            Err(e) => {
                tracing::warn!(path = %path.display(), error = %e, "cannot read how far the archive is; segments are archived again");
                Offset::ZERO
            }
        };
        Cursor { path, journal, at }
    }

    /// Everything in the journal below it was archived, except what was removed from the lake since.
    pub(super) fn at(&self) -> Offset {
        self.at
    }

    /// Stores a new position durably.
    ///
    /// # Errors
    /// When it cannot be made durable.
    pub(super) fn store(&mut self, at: Offset) -> io::Result<()> {
        replace_durably(&RealFs, &self.path, render(self.journal, at).as_bytes())?;
        self.at = at;
        Ok(())
    }

    pub(super) fn path(&self) -> &std::path::Path {
        &self.path
    }
}

fn render(journal: Uuid, at: Offset) -> String {
    let text = format!("{journal} {at}");
    format!("{text} {:08x}\n", crc32c::crc32c(text.as_bytes()))
}

fn parse(text: &str, journal: Uuid) -> Option<Offset> {
    let at = Offset(text.split(' ').nth(1)?.parse().ok()?);
    (render(journal, at) == text).then_some(at)
}
