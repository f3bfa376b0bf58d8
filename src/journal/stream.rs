//! Reading a segment as a stream of bytes: one that comes out of the archive, where nothing can be sought.
//!
//! Every frame is compared with its checksum before it is given out, and one record at a time is in memory.

use super::error::SegmentError;
use super::frame;
use super::record::{Entry, RecordKind};
use super::segment::{BadHeader, HEADER, Header};
use crate::event::{Offset, OffsetRange};
use bytes::Bytes;
use std::io::{self, Read};
use uuid::Uuid;

/// The largest body: what `journal.max_record_bytes` may be at most. A longer one is a length that was damaged.
const MAX_BODY: u32 = 256 << 20;
/// Room that a body gets before its bytes are there.
const FIRST_ROOM: usize = 1 << 20;

/// A segment, record by record, from its first byte on.
#[derive(Debug)]
pub struct SegmentStream<R> {
    source: R,
    header: Header,
    next: Offset,
    at: u64,
}

impl<R: Read> SegmentStream<R> {
    /// Reads the header.
    ///
    /// # Errors
    /// See [`SegmentError`].
    pub fn open(mut source: R) -> Result<Self, SegmentError> {
        let mut head = Vec::with_capacity(HEADER as usize);
        source.by_ref().take(HEADER).read_to_end(&mut head)?;
        match Header::decode(&head) {
            Ok(header) => Ok(SegmentStream { source, header, next: header.first, at: HEADER }),
            Err(BadHeader::Damaged(what)) => Err(SegmentError::Damaged { position: 0, offset: Offset::ZERO, what }),
            Err(BadHeader::Newer(version)) => Err(SegmentError::Newer(format!("format {version}"))),
        }
    }

    /// The journal that it belongs to.
    pub fn journal(&self) -> Uuid {
        self.header.journal
    }

    /// The records that were read so far. At the end: all that it holds.
    pub fn range(&self) -> OffsetRange {
        OffsetRange::new(self.header.first, self.next)
    }

    /// The next record; `None` at the end.
    ///
    /// # Errors
    /// See [`SegmentError`]. What came before it is whole.
    pub fn next_entry(&mut self) -> Result<Option<Entry>, SegmentError> {
        loop {
            let mut whole = Vec::with_capacity(frame::HEADER);
            self.source.by_ref().take(frame::HEADER as u64).read_to_end(&mut whole)?;
            if whole.is_empty() {
                return Ok(None);
            }
            let Some(header) = frame::Header::read(&whole) else {
                return Err(self.damage("a frame is cut short"));
            };
            if header.len > MAX_BODY {
                return Err(self.damage("a frame is longer than any record"));
            }
            whole.reserve((header.len as usize).min(FIRST_ROOM));
            self.source.by_ref().take(u64::from(header.len)).read_to_end(&mut whole)?;
            if (whole.len() as u64) < header.frame_len() {
                return Err(self.damage("a frame is cut short"));
            }
            if !header.passes(self.header.seal, &whole) {
                return Err(self.damage("a frame does not match its checksum"));
            }
            if !header.is_known() {
                return Err(SegmentError::Newer(format!("record {} has format {}", self.next, header.version)));
            }
            if header.offset != self.next.0 {
                return Err(self.damage("a frame has the number of another record"));
            }
            self.at += header.frame_len();
            if header.kind == frame::CLOSE {
                continue;
            }
            let Some(kind) = RecordKind::from_number(header.kind) else {
                return Err(SegmentError::Newer(format!("record {} is of kind {}", self.next, header.kind)));
            };
            let Some(body) = header.unpack(Bytes::from(whole).slice(frame::HEADER..)) else {
                return Err(self.damage("a body cannot be unpacked"));
            };
            let offset = self.next;
            self.next = offset.next();
            return Ok(Some(Entry { offset, kind, body }));
        }
    }

    fn damage(&self, what: &'static str) -> SegmentError {
        SegmentError::Damaged { position: self.at, offset: self.next, what }
    }
}

impl From<io::Error> for SegmentError {
    fn from(source: io::Error) -> Self {
        SegmentError::Io(source)
    }
}
