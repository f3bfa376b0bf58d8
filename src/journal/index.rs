//! The sparse index: where in a segment every so many bytes a record begins.
//!
//! It lets a reader start in the middle of a large segment. The open segment has it in memory; when a segment is closed it
//! is written beside it as `<first record>.idx`. That file is derived: missing, torn or wrong, it is made again by reading
//! the segment, so it is never synced. Numbers are little-endian:
//!
//! | at | bytes | what |
//! |--:|--:|---|
//! | 0 | 8 | `SNOWJIDX` |
//! | 8 | 8 | salt and mark of the segment, so that no other segment's index passes |
//! | 16 | 8 | number of the first record |
//! | 24 | 8 | number after the last record |
//! | 32 | 8 | length of the segment's valid part in bytes |
//! | 40 | 16 each | number of a record, and where its frame begins |
//! | end | 4 | crc32c of all before |

use super::frame::Seal;
use crate::event::Offset;
use crate::platform::fs::{Fs, read_file};
use std::io;
use std::path::{Path, PathBuf};

/// Bytes of a segment between two entries.
const EVERY: u64 = 256 << 10;

const MAGIC: &[u8; 8] = b"SNOWJIDX";

/// Where a record begins.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Place {
    /// The record.
    pub(super) offset: Offset,
    /// Byte in the segment.
    pub(super) at: u64,
}

/// The places, in order.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(super) struct Index {
    places: Vec<Place>,
}

impl Index {
    /// Notes a record if the last one noted is far enough behind.
    pub(super) fn note(&mut self, offset: Offset, at: u64) {
        if self.places.last().is_none_or(|last| at >= last.at + EVERY) {
            self.places.push(Place { offset, at });
        }
    }

    /// The last place at or before `offset`.
    pub(super) fn before(&self, offset: Offset) -> Option<Place> {
        let after = self.places.partition_point(|place| place.offset <= offset);
        after.checked_sub(1).and_then(|i| self.places.get(i)).copied()
    }
}

/// An index with the facts about its segment.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Summary {
    /// Number of the first record.
    pub(super) first: Offset,
    /// Number after the last one.
    pub(super) end: Offset,
    /// Length of the valid part of the segment.
    pub(super) bytes: u64,
    /// The places.
    pub(super) index: Index,
}

impl Summary {
    fn encode(&self, seal: Seal) -> Vec<u8> {
        let mut out = Vec::with_capacity(44 + 16 * self.index.places.len());
        out.extend_from_slice(MAGIC);
        out.extend_from_slice(&seal.salt.to_le_bytes());
        out.extend_from_slice(&seal.mark.to_le_bytes());
        for number in [self.first.0, self.end.0, self.bytes] {
            out.extend_from_slice(&number.to_le_bytes());
        }
        for place in &self.index.places {
            out.extend_from_slice(&place.offset.0.to_le_bytes());
            out.extend_from_slice(&place.at.to_le_bytes());
        }
        let crc = crc32c::crc32c(&out);
        out.extend_from_slice(&crc.to_le_bytes());
        out
    }

    fn decode(bytes: &[u8], seal: Seal) -> Option<Summary> {
        let (body, crc) = bytes.split_last_chunk::<4>()?;
        let (magic, rest) = body.split_first_chunk::<8>()?;
        let (salt, rest) = rest.split_first_chunk::<4>()?;
        let (mark, rest) = rest.split_first_chunk::<4>()?;
        if magic != MAGIC
            || crc32c::crc32c(body) != u32::from_le_bytes(*crc)
            || (Seal { mark: u32::from_le_bytes(*mark), salt: u32::from_le_bytes(*salt) }) != seal
        {
            return None;
        }
        let (numbers, rest) = rest.as_chunks::<8>();
        let mut numbers = numbers.iter().map(|n| u64::from_le_bytes(*n));
        let (first, end, len) = (numbers.next()?, numbers.next()?, numbers.next()?);
        let mut places = Vec::with_capacity(numbers.len() / 2);
        while let (Some(offset), Some(at)) = (numbers.next(), numbers.next()) {
            places.push(Place { offset: Offset(offset), at });
        }
        rest.is_empty().then_some(Summary {
            first: Offset(first),
            end: Offset(end),
            bytes: len,
            index: Index { places },
        })
    }
}

/// `<first record, 20 digits>.idx`.
pub(super) fn path(dir: &Path, first: Offset) -> PathBuf {
    dir.join(format!("{:020}.idx", first.0))
}

/// Writes the index of a closed segment, in place of an older one.
///
/// # Errors
/// As the machine gives them; nothing depends on the file.
pub(super) fn write(fs: &dyn Fs, dir: &Path, seal: Seal, summary: &Summary) -> io::Result<()> {
    let path = path(dir, summary.first);
    let file = match fs.create_new(&path) {
        Err(e) if e.kind() == io::ErrorKind::AlreadyExists => {
            fs.remove(&path)?;
            fs.create_new(&path)?
        }
        other => other?,
    };
    file.write_all_at(&summary.encode(seal), 0)
}

/// The index of a closed segment; `None` when it is missing or is not the one of this segment.
pub(super) fn read(fs: &dyn Fs, dir: &Path, first: Offset, seal: Seal) -> Option<Summary> {
    let bytes = read_file(fs, &path(dir, first)).ok()?;
    Summary::decode(&bytes, seal).filter(|summary| summary.first == first)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_index_reads_back_and_damage_makes_it_none() {
        let seal = Seal { mark: 3, salt: 4 };
        let mut index = Index::default();
        for i in 0..100 {
            index.note(Offset(10 + i), 64 + i * 100_000);
        }
        let summary = Summary { first: Offset(10), end: Offset(110), bytes: 10_000_064, index };
        let bytes = summary.encode(seal);
        assert_eq!(Summary::decode(&bytes, seal).as_ref(), Some(&summary));
        assert_eq!(Summary::decode(&bytes, Seal { mark: 3, salt: 5 }), None);
        for at in 0..bytes.len() {
            let mut bad = bytes.clone();
            bad[at] ^= 0x40;
            assert_eq!(Summary::decode(&bad, seal), None, "byte {at}");
            assert_eq!(Summary::decode(&bytes[..at], seal), None, "cut at {at}");
        }
        let place = summary.index.before(Offset(50)).unwrap();
        assert!(place.offset <= Offset(50) && summary.index.before(Offset(9)).is_none());
    }
}
