//! A segment file: its name, its header, and how one comes into being.
//!
//! The name is the number of its first record, twenty digits, so that the order of names is the order of records. The
//! header is [`HEADER`] bytes, little-endian:
//!
//! | at | bytes | what |
//! |--:|--:|---|
//! | 0 | 8 | `SNOWJRNL` |
//! | 8 | 2 | format version |
//! | 10 | 2 | length of this header |
//! | 12 | 4 | mark: what every frame of it begins with, not 0 |
//! | 16 | 16 | id of the journal |
//! | 32 | 8 | number of the first record |
//! | 40 | 8 | where the segment before it ends |
//! | 48 | 8 | when it was made, milliseconds since 1970, UTC |
//! | 56 | 4 | salt: the checksums of its frames begin with it |
//! | 60 | 4 | crc32c of bytes 0–59 |

use super::FORMAT;
use super::frame::Seal;
use super::spare;
use crate::event::Offset;
use crate::platform::fs::{File, Fs};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use uuid::Uuid;

/// Length of a segment's header; the first frame stands behind it.
pub(super) const HEADER: u64 = 64;

const MAGIC: &[u8; 8] = b"SNOWJRNL";

/// What the header of a segment says.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Header {
    /// The journal that it belongs to.
    pub(super) journal: Uuid,
    /// Number of the first record.
    pub(super) first: Offset,
    /// Where the segment before it ends. Frames of that segment from here on are void: their sync failed. Less than
    /// `first` where an operator gave records up.
    pub(super) previous_end: Offset,
    /// When it was made.
    pub(super) created_ms: i64,
    /// What its frames and their checksums begin with.
    pub(super) seal: Seal,
}

/// Why bytes are no header.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum BadHeader {
    /// Not what was written.
    Damaged(&'static str),
    /// Written by a newer program.
    Newer(u16),
}

impl Header {
    pub(super) fn encode(&self) -> [u8; HEADER as usize] {
        let mut h = [0u8; HEADER as usize];
        h[0..8].copy_from_slice(MAGIC);
        h[8..10].copy_from_slice(&FORMAT.to_le_bytes());
        h[10..12].copy_from_slice(&(HEADER as u16).to_le_bytes());
        h[12..16].copy_from_slice(&self.seal.mark.to_le_bytes());
        h[16..32].copy_from_slice(self.journal.as_bytes());
        h[32..40].copy_from_slice(&self.first.0.to_le_bytes());
        h[40..48].copy_from_slice(&self.previous_end.0.to_le_bytes());
        h[48..56].copy_from_slice(&self.created_ms.to_le_bytes());
        h[56..60].copy_from_slice(&self.seal.salt.to_le_bytes());
        let crc = crc32c::crc32c(&h[..60]);
        h[60..64].copy_from_slice(&crc.to_le_bytes());
        h
    }

    pub(super) fn decode(bytes: &[u8]) -> Result<Header, BadHeader> {
        let h: &[u8; HEADER as usize] = bytes.first_chunk().ok_or(BadHeader::Damaged("the header is cut short"))?;
        let u16_at = |at: usize| u16::from_le_bytes([h[at], h[at + 1]]);
        let u32_at = |at: usize| u32::from_le_bytes([h[at], h[at + 1], h[at + 2], h[at + 3]]);
        let u64_at = |at: usize| u64::from(u32_at(at)) | u64::from(u32_at(at + 4)) << 32;
        if &h[0..8] != MAGIC {
            return Err(BadHeader::Damaged("this is no journal segment"));
        }
        if crc32c::crc32c(&h[..60]) != u32_at(60) {
            return Err(BadHeader::Damaged("the header does not match its checksum"));
        }
        if u16_at(8) != FORMAT || u64::from(u16_at(10)) != HEADER {
            return Err(BadHeader::Newer(u16_at(8)));
        }
        let mut id = [0u8; 16];
        id.copy_from_slice(&h[16..32]);
        Ok(Header {
            journal: Uuid::from_bytes(id),
            first: Offset(u64_at(32)),
            previous_end: Offset(u64_at(40)),
            created_ms: u64_at(48) as i64,
            seal: Seal { mark: u32_at(12), salt: u32_at(56) },
        })
    }
}

/// `<first record, 20 digits>.seg`.
pub(super) fn path(dir: &Path, first: Offset) -> PathBuf {
    dir.join(format!("{:020}.seg", first.0))
}

/// The number in a segment's name; `None` for another file.
pub(super) fn parse_name(name: &str) -> Option<Offset> {
    let digits = name.strip_suffix(".seg")?;
    if digits.len() != 20 || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    digits.parse().ok().map(Offset)
}

/// Makes a segment, durably, header and directory entry. A file of that name can only be one whose creation or first
/// group failed, so nothing in it was ever acknowledged: it goes.
///
/// # Errors
/// As the machine gives them; no such segment is then in use.
pub(super) fn create(fs: &dyn Fs, dir: &Path, header: &Header) -> io::Result<Arc<dyn File>> {
    let path = path(dir, header.first);
    let file = match fs.create_new(&path) {
        Err(e) if e.kind() == io::ErrorKind::AlreadyExists => {
            fs.remove(&path)?;
            fs.create_new(&path)?
        }
        other => other?,
    };
    let written = file.write_all_at(&header.encode(), 0).and_then(|()| file.sync_all()).and_then(|()| fs.sync_dir(dir));
    match written {
        Ok(()) => Ok(file),
        Err(e) => {
            // Best effort: a half-made segment is recognised at the next start as well.
            let _ = fs.remove(&path);
            Err(e)
        }
    }
}

/// Makes a segment of the file that lies ready ([`spare`]), durably.
///
/// # Errors
/// As the machine gives them; the file is then gone, or a segment that holds nothing.
pub(super) fn adopt(fs: &dyn Fs, dir: &Path, file: &dyn File, header: &Header) -> io::Result<()> {
    let spare = spare::path(dir);
    let named = file
        .write_all_at(&header.encode(), 0)
        .and_then(|()| file.sync_all())
        .and_then(|()| fs.rename(&spare, &path(dir, header.first)));
    match named {
        Ok(()) => fs.sync_dir(dir),
        Err(e) => {
            let _ = fs.remove(&spare);
            Err(e)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header() -> Header {
        Header {
            journal: Uuid::from_u128(7),
            first: Offset(12),
            previous_end: Offset(11),
            created_ms: 1_700_000_000_123,
            seal: Seal { mark: 1, salt: 0xdead_beef },
        }
    }

    #[test]
    fn a_header_reads_back_and_every_flipped_bit_shows() {
        let bytes = header().encode();
        assert_eq!(Header::decode(&bytes), Ok(header()));
        for bit in 0..bytes.len() * 8 {
            let mut bad = bytes;
            bad[bit / 8] ^= 1 << (bit % 8);
            assert!(Header::decode(&bad).is_err(), "bit {bit}");
        }
        assert!(Header::decode(&bytes[..63]).is_err());
    }

    #[test]
    fn a_newer_header_says_so() {
        let mut bytes = header().encode();
        bytes[8..10].copy_from_slice(&9u16.to_le_bytes());
        let crc = crc32c::crc32c(&bytes[..60]);
        bytes[60..64].copy_from_slice(&crc.to_le_bytes());
        assert_eq!(Header::decode(&bytes), Err(BadHeader::Newer(9)));
    }

    #[test]
    fn names_are_twenty_digits() {
        assert_eq!(path(Path::new("j"), Offset(5)).to_str(), Some("j/00000000000000000005.seg"));
        assert_eq!(parse_name("00000000000000000005.seg"), Some(Offset(5)));
        assert_eq!(parse_name("5.seg"), None);
        assert_eq!(parse_name("00000000000000000005.idx"), None);
    }
}
