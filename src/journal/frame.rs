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
//! | 17 | 1 | format version: 2 where the body is packed, else 1 |
//! | 18 | 1 | flags; bit 0: first frame of a group |
//! | 19 | 1 | 0 |
//! | 20 | 4 | crc32c, begun with the segment's salt, over bytes 0–19 and the body |
//!
//! The number makes every frame say where it belongs, so that a frame in the wrong place is no frame. Mark and salt are
//! random per segment: a client cannot send a body that looks like a frame, a block that the disk kept from another file
//! does not pass, and frames behind a damaged place can be found again. In all format versions the first 18 bytes and the
//! checksum keep their place and meaning, so that an old program tells "newer" from "damaged".
//!
//! A packed body is the length of the body (4 bytes) and an LZ4 block. Requests of trackers are text that repeats itself: a
//! batch of events takes a quarter of its length on the disk, and syncing that quarter costs less than packing. The checksum
//! covers what is on the disk, so that recovery and verification unpack nothing.

use bytes::Bytes;
use lz4::block::{CompressionMode, compress_to_buffer, decompress_to_buffer};

/// Length of a frame's header.
pub(super) const HEADER: usize = 24;

/// Format version of a frame whose body stands in it as it is.
const PLAIN: u8 = 1;
/// Format version of a frame whose body is packed.
const PACKED: u8 = 2;
/// Shorter bodies are not worth packing.
const LEAST_PACKED: usize = 1024;
/// How far LZ4 goes on after a place that does not repeat: speed for ratio.
const PACE: CompressionMode = CompressionMode::FAST(4);
/// Bytes of the length before a packed body.
const LENGTH: usize = 4;
/// A byte of an LZ4 block stands for 255 bytes at most: what claims more is no body.
const MOST_EXPANSION: usize = 255;

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

    /// Whether this program can read such a frame.
    pub(super) fn is_known(&self) -> bool {
        matches!(self.version, PLAIN | PACKED)
    }

    /// The record's body, out of that of the frame. `None` when it cannot be unpacked, which the checksum excludes for
    /// what a writer of ours has written.
    pub(super) fn unpack(&self, body: Bytes) -> Option<Bytes> {
        if self.version != PACKED {
            return Some(body);
        }
        let (length, block) = body.split_first_chunk::<LENGTH>()?;
        let length = u32::from_le_bytes(*length) as usize;
        let mut whole = vec![0; Some(length).filter(|length| *length <= block.len().saturating_mul(MOST_EXPANSION))?];
        let written = decompress_to_buffer(block, Some(i32::try_from(length).ok()?), &mut whole).ok()?;
        (written == length).then(|| Bytes::from(whole))
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
    let start = out.len();
    out.extend_from_slice(&[0; HEADER]);
    out.extend_from_slice(body);
    seal_frame(&mut out[start..], seal, offset, kind, PLAIN, group_start);
}

/// As [`write`], with the body packed where that takes at least an eighth off it.
pub(super) fn write_packed(out: &mut Vec<u8>, seal: Seal, offset: u64, kind: u8, group_start: bool, body: &[u8]) {
    let start = out.len();
    let most = body.len() - body.len() / 8;
    if body.len() >= LEAST_PACKED {
        out.resize(start + HEADER + most, 0);
        // LZ4 gives up as soon as the room is used up.
        if let Ok(packed) = compress_to_buffer(body, Some(PACE), true, &mut out[start + HEADER..]) {
            out.truncate(start + HEADER + packed);
            return seal_frame(&mut out[start..], seal, offset, kind, PACKED, group_start);
        }
        out.truncate(start);
    }
    write(out, seal, offset, kind, group_start, body);
}

/// Fills in the header of a frame whose body is there.
fn seal_frame(frame: &mut [u8], seal: Seal, offset: u64, kind: u8, version: u8, group_start: bool) {
    let Some((head, body)) = frame.split_first_chunk_mut::<HEADER>() else { return };
    head[0..4].copy_from_slice(&seal.mark.to_le_bytes());
    head[4..8].copy_from_slice(&(body.len() as u32).to_le_bytes());
    head[8..16].copy_from_slice(&offset.to_le_bytes());
    head[16] = kind;
    head[17] = version;
    head[18] = if group_start { GROUP_START } else { 0 };
    let crc = checksum(seal, &head[..HEADER - 4], body);
    head[HEADER - 4..].copy_from_slice(&crc.to_le_bytes());
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
