//! One record on disk.
//!
//! A frame is a header of [`HEADER`] bytes and the body. All numbers are little-endian:
//!
//! | at | bytes | what |
//! |--:|--:|---|
//! | 0 | 4 | the segment's mark |
//! | 4 | 4 | length of the body |
//! | 8 | 8 | number of the record |
//! | 16 | 1 | kind |
//! | 17 | 1 | format version |
//! | 18 | 1 | flags; bit 0: first frame of a group |
//! | 19 | 1 | 0 |
//! | 20 | 4 | crc32c, begun with the segment's salt, over bytes 0–19 and the body |
//!
//! The number makes every frame say where it belongs, so that a frame in the wrong place is no frame. Mark and salt are
//! random per segment: a client cannot send a body that looks like a frame, a block that the disk kept from another file
//! does not pass, and frames behind a damaged place can be found again. In all format versions the first 18 bytes and the
//! checksum keep their place and meaning, so that an old program tells "newer" from "damaged".

use bytes::Bytes;

/// Length of a frame's header.
pub(super) const HEADER: usize = 24;

/// Format version of the frames that we write.
pub(super) const VERSION: u8 = 1;

/// Kind of the frame that an orderly close writes. It carries no record, its number is that of the next one; what stands
/// before it is known to have been synced.
pub(super) const CLOSE: u8 = 255;

const GROUP_START: u8 = 1;

/// What is random per segment and known to its header.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Seal {
    /// What every frame begins with; never 0.
    pub(super) mark: u32,
    /// What every checksum begins with.
    pub(super) salt: u32,
}

impl Seal {
    /// A new one.
    pub(super) fn random() -> Seal {
        Seal { mark: rand::random_range(1..=u32::MAX), salt: rand::random() }
    }
}

/// A header as read, checksum not yet compared.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Header {
    mark: u32,
    /// Length of the body.
    pub(super) len: u32,
    /// Number of the record; for a close, of the next one.
    pub(super) offset: u64,
    /// Kind as a number.
    pub(super) kind: u8,
    /// Format version.
    pub(super) version: u8,
    /// Whether it is the first frame of a group, that is, of one write and one sync.
    pub(super) group_start: bool,
    crc: u32,
}

impl Header {
    /// Reads a header; `None` when there are too few bytes.
    pub(super) fn read(bytes: &[u8]) -> Option<Header> {
        let h: &[u8; HEADER] = bytes.first_chunk()?;
        let u32_at = |at: usize| u32::from_le_bytes([h[at], h[at + 1], h[at + 2], h[at + 3]]);
        Some(Header {
            mark: u32_at(0),
            len: u32_at(4),
            offset: u64::from(u32_at(8)) | u64::from(u32_at(12)) << 32,
            kind: h[16],
            version: h[17],
            group_start: h[18] & GROUP_START != 0,
            crc: u32_at(20),
        })
    }

    /// Length of the whole frame.
    pub(super) fn frame_len(&self) -> u64 {
        HEADER as u64 + u64::from(self.len)
    }

    /// Whether `frame`, which begins with this header and has [`Header::frame_len`] bytes, is what was written.
    pub(super) fn passes(&self, seal: Seal, frame: &[u8]) -> bool {
        match (frame.get(..HEADER - 4), frame.get(HEADER..)) {
            (Some(head), Some(body)) => self.mark == seal.mark && checksum(seal, head, body) == self.crc,
            _ => false,
        }
    }
}

fn checksum(seal: Seal, head: &[u8], body: &[u8]) -> u32 {
    crc32c::crc32c_append(crc32c::crc32c_append(seal.salt, head), body)
}

/// Appends one frame to `out`. A body of 4 GiB or more is the caller's error; it is bounded by the configuration.
pub(super) fn write(out: &mut Vec<u8>, seal: Seal, offset: u64, kind: u8, group_start: bool, body: &[u8]) {
    let mut head = [0u8; HEADER];
    head[0..4].copy_from_slice(&seal.mark.to_le_bytes());
    head[4..8].copy_from_slice(&(body.len() as u32).to_le_bytes());
    head[8..16].copy_from_slice(&offset.to_le_bytes());
    head[16] = kind;
    head[17] = VERSION;
    head[18] = if group_start { GROUP_START } else { 0 };
    let crc = checksum(seal, &head[..HEADER - 4], body);
    head[HEADER - 4..].copy_from_slice(&crc.to_le_bytes());
    out.extend_from_slice(&head);
    out.extend_from_slice(body);
}

/// Walks the frames of a group that is in memory and known to be whole, from record `from` on.
pub(super) struct Frames {
    bytes: Bytes,
    at: usize,
    from: u64,
}

impl Frames {
    pub(super) fn new(bytes: Bytes, from: u64) -> Self {
        Frames { bytes, at: 0, from }
    }
}

impl Iterator for Frames {
    type Item = (Header, Bytes);

    fn next(&mut self) -> Option<(Header, Bytes)> {
        loop {
            let header = Header::read(self.bytes.get(self.at..)?)?;
            let body = self.at + HEADER;
            let end = body.checked_add(header.len as usize).filter(|end| *end <= self.bytes.len())?;
            self.at = end;
            if header.offset >= self.from {
                return Some((header, self.bytes.slice(body..end)));
            }
        }
    }
}
