//! Reading a journal that is not ours: at rest, or while another process writes it.
//!
//! Nothing is locked, repaired or written. What is seen is the folder as it was when it was opened, up to the last whole
//! frame; of a journal in use that may include records whose sync has not come back.

use super::error::{OpenError, ReadError};
use super::index::{self, Index, Summary};
use super::reader::Reader;
use super::recover::{Found, find_segments, read_meta};
use super::scan::{Torn, scan};
use super::view::{SegmentView, View};
use crate::event::Offset;
use crate::platform::fs::{Access, Fs};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use uuid::Uuid;

/// A journal opened for reading only.
#[derive(Debug)]
pub struct ReadOnly {
    fs: Arc<dyn Fs>,
    dir: PathBuf,
    id: Option<Uuid>,
    view: Arc<View>,
    torn: Option<(PathBuf, Torn)>,
}

impl ReadOnly {
    pub(super) fn open(dir: &Path, fs: Arc<dyn Fs>) -> Result<ReadOnly, OpenError> {
        let mut attempts = 0;
        loop {
            attempts += 1;
            match Self::look(dir, fs.clone()) {
                // A segment that was removed between the listing and the look: the owner's retention is at work.
                Err(OpenError::Io { source, .. }) if source.kind() == io::ErrorKind::NotFound && attempts < 5 => {}
                result => return result,
            }
        }
    }

    fn look(dir: &Path, fs: Arc<dyn Fs>) -> Result<ReadOnly, OpenError> {
        let found = find_segments(fs.as_ref(), dir, None)?;
        let id = read_meta(fs.as_ref(), dir)?.or(found.first().map(|segment| segment.header.journal));
        let mut torn = None;
        let mut segments: Vec<SegmentView> = Vec::with_capacity(found.len());
        for (i, this) in found.iter().enumerate() {
            let until = found.get(i + 1).map(|next| next.header.previous_end);
            let (summary, cut) = summary(fs.as_ref(), dir, this, until)?;
            torn = cut.map(|cut| (this.path.clone(), cut));
            segments.push(SegmentView {
                first: this.header.first,
                end: summary.end,
                bytes: summary.bytes,
                created_ms: this.header.created_ms,
                closed_ms: None,
                seal: this.header.seal,
                index: Some(summary.index),
            });
        }
        let end = segments.last().map_or(Offset::ZERO, |last| last.end);
        let view = View::new(segments, end, 0);
        view.close();
        Ok(ReadOnly { fs, dir: dir.to_owned(), id, view: Arc::new(view), torn })
    }

    /// The journal's id; `None` for an empty folder.
    pub fn id(&self) -> Option<Uuid> {
        self.id
    }

    /// First record that is there.
    pub fn first(&self) -> Offset {
        self.view.first()
    }

    /// The record after the last one.
    pub fn end(&self) -> Offset {
        self.view.end()
    }

    /// Bytes behind the last whole frame, with their file: a torn write, or one under way.
    pub fn torn(&self) -> Option<&(PathBuf, Torn)> {
        self.torn.as_ref()
    }

    /// Reads from record `from` on. At the end, [`Reader::next`] gives [`ReadError::Closed`].
    ///
    /// # Errors
    /// When `from` is not in the journal.
    pub fn reader(&self, from: Offset) -> Result<Reader, ReadError> {
        Reader::open(self.view.clone(), self.fs.clone(), self.dir.clone(), from)
    }
}

fn summary(fs: &dyn Fs, dir: &Path, this: &Found, until: Option<Offset>) -> Result<(Summary, Option<Torn>), OpenError> {
    if let Some(end) = until {
        let known = index::read(fs, dir, this.header.first, this.header.seal);
        if let Some(known) = known.filter(|known| known.end == end && known.bytes <= this.size) {
            return Ok((known, None));
        }
    }
    let file = fs.open(&this.path, Access::Read).map_err(OpenError::io("cannot open", &this.path))?;
    match scan(&this.path, &file, &this.header, this.size, until) {
        Ok(scan) => Ok((scan.summary, scan.torn)),
        // What stands before the damage can be read; the reader that comes to it says so.
        Err(OpenError::Damaged(damage)) => {
            let end = until.unwrap_or(damage.offset.next()).max(damage.offset.next());
            let index = Index::default();
            Ok((Summary { first: this.header.first, end, bytes: this.size, index }, None))
        }
        Err(e) => Err(e),
    }
}
