//! Reading frames out of a segment file, in large blocks, with every checksum compared.
//!
//! Recovery, verification and readers that are behind the tail all read files through [`Walker`]. Bodies are slices of
//! the block that they stand in.

use super::frame::{self, Seal};
use crate::platform::fs::{File, read_exact_at};
use bytes::Bytes;
use std::io;
use std::sync::Arc;

/// Bytes that are read from a file at once.
const BLOCK: usize = 1 << 20;

/// What stands at a place in a segment.
#[derive(Debug)]
pub(super) enum Step {
    /// A frame that is what was written.
    Frame {
        /// Its header.
        header: frame::Header,
        /// Its body, as it stands there.
        body: Bytes,
        /// Where it begins.
        at: u64,
    },
    /// The end, exactly behind a frame.
    End,
    /// Something else.
    Bad {
        /// Where it begins.
        at: u64,
        /// What it looks like.
        what: &'static str,
        /// Whether a write that a crash cut short can look so.
        torn: bool,
    },
    /// A frame that is intact but of a newer format.
    Newer {
        /// The version it has.
        version: u8,
    },
}

/// A position in a segment file.
#[derive(Debug)]
pub(super) struct Walker {
    file: Arc<dyn File>,
    seal: Seal,
    at: u64,
    limit: u64,
    block: Bytes,
    block_at: u64,
}

impl Walker {
    /// Starts at byte `at`; bytes from `limit` on do not exist for it.
    pub(super) fn new(file: Arc<dyn File>, seal: Seal, at: u64, limit: u64) -> Self {
        Walker { file, seal, at, limit, block: Bytes::new(), block_at: at }
    }

    /// Where the next frame begins.
    pub(super) fn at(&self) -> u64 {
        self.at
    }

    /// Lets the walker see more of a file that grew.
    pub(super) fn set_limit(&mut self, limit: u64) {
        self.limit = self.limit.max(limit);
    }

    /// The next frame, whose record must be number `offset`. After anything but a frame the position stays.
    ///
    /// # Errors
    /// As the file gives them.
    pub(super) fn next(&mut self, offset: u64) -> io::Result<Step> {
        let left = self.limit.saturating_sub(self.at);
        if left == 0 {
            return Ok(Step::End);
        }
        let bad = |at, what| Ok(Step::Bad { at, what, torn: true });
        if left < frame::HEADER as u64 {
            return bad(self.at, "a frame is cut short");
        }
        let head = self.view(frame::HEADER)?;
        let Some(header) = frame::Header::read(&head) else {
            return bad(self.at, "a frame is cut short");
        };
        if header.frame_len() > left {
            return bad(self.at, "a frame is longer than the file");
        }
        let mut whole = self.view(frame::HEADER + header.len as usize)?;
        if !header.passes(self.seal, &whole) {
            return bad(self.at, "a frame does not match its checksum");
        }
        if !header.is_known() {
            return Ok(Step::Newer { version: header.version });
        }
        if header.offset != offset {
            let what = "a frame has the number of another record";
            return Ok(Step::Bad { at: self.at, what, torn: false });
        }
        let at = self.at;
        self.at += header.frame_len();
        Ok(Step::Frame { header, body: whole.split_off(frame::HEADER), at })
    }

    /// The next `len` bytes, which the caller knows to be below the limit.
    fn view(&mut self, len: usize) -> io::Result<Bytes> {
        let from = usize::try_from(self.at - self.block_at).unwrap_or(usize::MAX);
        match from.checked_add(len) {
            Some(to) if to <= self.block.len() => Ok(self.block.slice(from..to)),
            _ => {
                let left = usize::try_from(self.limit - self.at).unwrap_or(usize::MAX);
                let mut block = vec![0; len.max(BLOCK).min(left)];
                read_exact_at(self.file.as_ref(), &mut block, self.at)?;
                self.block = Bytes::from(block);
                self.block_at = self.at;
                Ok(self.block.slice(..len))
            }
        }
    }
}

/// Whether all bytes in `[from, limit)` are zero, as behind the last frame of a prepared segment.
///
/// # Errors
/// As the file gives them.
pub(super) fn blank(file: &dyn File, from: u64, limit: u64) -> io::Result<bool> {
    let mut at = from;
    while at < limit {
        let mut block = vec![0; usize::try_from(limit - at).unwrap_or(usize::MAX).min(BLOCK)];
        read_exact_at(file, &mut block, at)?;
        if block.iter().any(|byte| *byte != 0) {
            return Ok(false);
        }
        at += block.len() as u64;
    }
    Ok(true)
}

/// Looks in bytes `[from, limit)` of a segment for the first frame of a group, at any byte position. One that is found
/// proves that everything before it was synced, so that what is bad before it was not torn by a crash.
///
/// # Errors
/// As the file gives them.
pub(super) fn find_group(file: &dyn File, seal: Seal, from: u64, limit: u64) -> io::Result<Option<u64>> {
    let mark = seal.mark.to_le_bytes();
    let finder = memchr::memmem::Finder::new(&mark);
    let mut at = from;
    while limit.saturating_sub(at) >= frame::HEADER as u64 {
        let mut block = vec![0; usize::try_from(limit - at).unwrap_or(usize::MAX).min(BLOCK)];
        read_exact_at(file, &mut block, at)?;
        for i in finder.find_iter(&block) {
            let here = at + i as u64;
            let mut head = [0; frame::HEADER];
            if limit - here < frame::HEADER as u64 {
                break;
            }
            read_exact_at(file, &mut head, here)?;
            let Some(header) = frame::Header::read(&head) else { continue };
            if !header.group_start || header.frame_len() > limit - here {
                continue;
            }
            let mut whole = vec![0; frame::HEADER + header.len as usize];
            read_exact_at(file, &mut whole, here)?;
            if header.passes(seal, &whole) {
                return Ok(Some(here));
            }
        }
        // Blocks overlap by the mark less one byte, so that none is missed.
        at += (block.len() - (mark.len() - 1)) as u64;
    }
    Ok(None)
}
