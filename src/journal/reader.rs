//! Reading the journal in order, from any record on.
//!
//! A reader at the tail takes the newest groups from memory; one that is behind reads the segment files in large blocks and
//! changes over when it has caught up. It sees only what is durable, and it sleeps until there is more.

use super::error::{Damage, ReadError};
use super::frame::{self, Frames};
use super::index;
use super::record::{Entry, JournalBatch, RecordKind};
use super::segment;
use super::view::{Found, SegmentView, View};
use super::walk::{Step, Walker};
use crate::event::{Offset, OffsetRange};
use crate::platform::fs::{Access, Fs};
use bytes::Bytes;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// What is the matter with a frame that matches its checksum and holds no body.
const CANNOT_UNPACK: &str = "a body cannot be unpacked";

/// Reads the journal in order. One per consumer; it blocks, so it belongs on a thread of its own.
#[derive(Debug)]
pub struct Reader {
    view: Arc<View>,
    fs: Arc<dyn Fs>,
    dir: PathBuf,
    next: Offset,
    at: Option<Place>,
    linger: Duration,
    served: Option<Instant>,
}

/// A position in a segment file.
#[derive(Debug)]
struct Place {
    segment: Offset,
    walker: Walker,
    next: Offset,
}

impl Reader {
    pub(super) fn open(view: Arc<View>, fs: Arc<dyn Fs>, dir: PathBuf, from: Offset) -> Result<Self, ReadError> {
        let (first, end) = (view.first(), view.end());
        if from < first {
            return Err(ReadError::Gone { wanted: from, first });
        }
        if from > end {
            return Err(ReadError::Beyond { wanted: from, end });
        }
        Ok(Reader { view, fs, dir, next: from, at: None, linger: Duration::ZERO, served: None })
    }

    /// The record that the next batch begins with.
    pub fn position(&self) -> Offset {
        self.next
    }

    /// At the tail, lets at least this much time pass between two batches, so that a busy journal wakes the reader a few
    /// hundred times a second and not once per group. What waits longer than that is never held back.
    #[must_use]
    pub fn with_linger(mut self, linger: Duration) -> Self {
        self.linger = linger;
        self
    }

    /// The next stretch: as much as is there up to about `max_bytes`, and at least one record. Waits at most `timeout`
    /// for one; `None` when none came.
    ///
    /// # Errors
    /// See [`ReadError`]. The position is unchanged, so that the call can be repeated.
    pub fn next(&mut self, max_bytes: u64, timeout: Duration) -> Result<Option<JournalBatch>, ReadError> {
        let deadline = Instant::now() + timeout;
        self.pace(deadline);
        loop {
            let batch = match self.view.find(self.next, max_bytes) {
                Found::Memory(groups) => self.gather_memory(groups, max_bytes)?,
                Found::File(segment) => match self.gather_file(&segment, max_bytes) {
                    Ok(batch) => batch,
                    Err(e) => {
                        self.at = None;
                        // Retention may have removed the file since it was found.
                        return match self.view.first() {
                            first if first > self.next => Err(ReadError::Gone { wanted: self.next, first }),
                            _ => Err(e),
                        };
                    }
                },
                Found::Skipped(next) => {
                    JournalBatch { range: OffsetRange::new(self.next, next), records: Vec::new(), bytes: 0 }
                }
                Found::Gone(first) => return Err(ReadError::Gone { wanted: self.next, first }),
                Found::Closed => return Err(ReadError::Closed),
                Found::Ahead => {
                    if !self.view.wait(self.next, deadline) {
                        return Ok(None);
                    }
                    self.pace(deadline);
                    continue;
                }
            };
            self.next = batch.range.to;
            self.served = Some(Instant::now());
            return Ok(Some(batch));
        }
    }

    /// Lets the linger time pass since the last batch, unless there is a backlog.
    fn pace(&self, deadline: Instant) {
        let Some(served) = self.served.filter(|_| !self.linger.is_zero() && self.at.is_none()) else { return };
        let until = (served + self.linger).min(deadline);
        let now = Instant::now();
        if until > now {
            std::thread::sleep(until - now);
        }
    }

    fn gather_memory(&mut self, groups: Vec<Bytes>, max_bytes: u64) -> Result<JournalBatch, ReadError> {
        self.at = None;
        let mut batch = Gathered::new(self.next, max_bytes);
        let from = self.next.0;
        for (header, body) in groups.into_iter().flat_map(|group| Frames::new(group, from)) {
            // The writer writes no other kind than those it was given as `RecordKind`.
            let Some(kind) = RecordKind::from_number(header.kind) else { continue };
            let Some(body) = header.unpack(body) else {
                let (offset, what) = (Offset(header.offset), CANNOT_UNPACK.to_owned());
                return Err(Damage { path: "the newest records, in memory".into(), position: 0, offset, what }.into());
            };
            if !batch.take(kind, body) {
                break;
            }
        }
        Ok(batch.0)
    }

    fn gather_file(&mut self, segment: &SegmentView, max_bytes: u64) -> Result<JournalBatch, ReadError> {
        let path = segment::path(&self.dir, segment.first);
        let io = |source| ReadError::Io { path: path.clone(), source };
        let mut place = match self.at.take() {
            Some(place) if place.segment == segment.first && place.next == self.next => place,
            _ => self.seek(segment).map_err(io)?,
        };
        place.walker.set_limit(segment.bytes);
        let mut batch = Gathered::new(self.next, max_bytes);
        while place.next < segment.end {
            let (kind, body) = match place.step(&path) {
                Ok(Some(record)) => record,
                Ok(None) => continue,
                // What was read before is handed out; the next call seeks anew and meets the same.
                Err(_) if !batch.0.records.is_empty() => return Ok(batch.0),
                Err(e) => return Err(e),
            };
            let wanted = place.next >= self.next;
            place.next = place.next.next();
            if wanted && !batch.take(kind, body) {
                break;
            }
        }
        self.at = Some(place);
        Ok(batch.0)
    }

    /// Opens a segment near the wanted record.
    fn seek(&self, segment: &SegmentView) -> io::Result<Place> {
        let file = self.fs.open(&segment::path(&self.dir, segment.first), Access::Read)?;
        let start = match &segment.index {
            Some(index) => index.before(self.next),
            None => index::read(self.fs.as_ref(), &self.dir, segment.first, segment.seal)
                .and_then(|summary| summary.index.before(self.next)),
        };
        let (next, at) = start.map_or((segment.first, segment::HEADER), |place| (place.offset, place.at));
        let walker = Walker::new(file, segment.seal, at, segment.bytes);
        Ok(Place { segment: segment.first, walker, next })
    }
}

impl Place {
    /// The next record; `None` for a frame that holds none.
    fn step(&mut self, path: &Path) -> Result<Option<(RecordKind, Bytes)>, ReadError> {
        let damage = |position, what: &str| {
            let (path, what) = (path.to_owned(), what.to_owned());
            ReadError::from(Damage { path, position, offset: self.next, what })
        };
        let newer = |what| ReadError::Newer { path: path.to_owned(), offset: self.next, what };
        match self.walker.next(self.next.0) {
            Ok(Step::Frame { header, .. }) if header.kind == frame::CLOSE => Ok(None),
            Ok(Step::Frame { header, body, at }) => match RecordKind::from_number(header.kind) {
                Some(kind) => match header.unpack(body) {
                    Some(body) => Ok(Some((kind, body))),
                    None => Err(damage(at, CANNOT_UNPACK)),
                },
                None => Err(newer(format!("kind {}", header.kind))),
            },
            Ok(Step::End) => Err(damage(self.walker.at(), "the segment ends too early")),
            Ok(Step::Bad { at, what, .. }) => Err(damage(at, what)),
            Ok(Step::Newer { version }) => Err(newer(format!("format {version}"))),
            Err(e) if e.kind() == io::ErrorKind::UnexpectedEof => {
                Err(damage(self.walker.at(), "the segment ends too early"))
            }
            Err(source) => Err(ReadError::Io { path: path.to_owned(), source }),
        }
    }
}

/// A batch that grows up to a size.
struct Gathered(JournalBatch, u64);

impl Gathered {
    fn new(from: Offset, max_bytes: u64) -> Self {
        let range = OffsetRange::new(from, from);
        Gathered(JournalBatch { range, records: Vec::new(), bytes: 0 }, max_bytes)
    }

    /// Adds the next record; false when that is enough.
    fn take(&mut self, kind: RecordKind, body: Bytes) -> bool {
        let batch = &mut self.0;
        batch.bytes += body.len() as u64;
        batch.records.push(Entry { offset: batch.range.to, kind, body });
        batch.range.to = batch.range.to.next();
        batch.bytes < self.1
    }
}
