//! From a segment file to its compressed form, and back; in blocks, so that memory does not grow with the segment.

use super::error::ArchiveError;
use crate::event::OffsetRange;
use crate::journal::{SegmentInfo, SegmentStream};
use std::fs::File;
use std::io::{self, BufReader, BufWriter, Read, Write};
use std::path::Path;
use uuid::Uuid;

/// Bytes that are read and written at once.
const BLOCK: usize = 256 << 10;

/// An archived segment, record by record.
pub(super) type Packed = SegmentStream<BufReader<zstd::Decoder<'static, BufReader<File>>>>;

/// Compresses the durable part of a segment into the file `to`, then reads that back and compares every frame with its
/// checksum. Gives the size.
pub(super) fn pack(
    segment: &SegmentInfo,
    journal: Uuid,
    name: &str,
    to: &Path,
    level: i32,
) -> Result<u64, ArchiveError> {
    let from = File::open(&segment.path).map_err(ArchiveError::io(&segment.path))?;
    let at = ArchiveError::io(to);
    let file = File::create(to).map_err(&at)?;
    let mut out = zstd::Encoder::new(BufWriter::with_capacity(BLOCK, file), level).map_err(&at)?;
    out.include_checksum(true).map_err(&at)?;
    let mut from = from.take(segment.bytes);
    let mut block = vec![0; BLOCK];
    loop {
        let n = from.read(&mut block).map_err(ArchiveError::io(&segment.path))?;
        if n == 0 {
            break;
        }
        out.write_all(block.get(..n).unwrap_or_default()).map_err(&at)?;
    }
    out.finish().and_then(|mut file| file.flush()).map_err(&at)?;
    check(to, name, journal, segment.range)?;
    Ok(to.metadata().map_err(&at)?.len())
}

/// Begins to read a compressed segment of this journal and range.
pub(super) fn open(path: &Path, name: &str, journal: Uuid, range: OffsetRange) -> Result<Packed, ArchiveError> {
    let file = File::open(path).map_err(ArchiveError::io(path))?;
    let decoder = zstd::Decoder::new(file).map_err(ArchiveError::io(path))?;
    let stream = SegmentStream::open(BufReader::with_capacity(BLOCK, decoder)).map_err(segment(name))?;
    match (stream.journal(), stream.range().from) {
        (of, from) if of == journal && from == range.from => Ok(stream),
        (of, _) => Err(ArchiveError::Other { name: name.to_owned(), found: stream.range(), journal: of }),
    }
}

fn check(path: &Path, name: &str, journal: Uuid, range: OffsetRange) -> Result<(), ArchiveError> {
    let mut stream = open(path, name, journal, range)?;
    while stream.next_entry().map_err(segment(name))?.is_some() {}
    if stream.range() != range {
        return Err(ArchiveError::Other { name: name.to_owned(), found: stream.range(), journal });
    }
    Ok(())
}

pub(super) fn segment(name: &str) -> impl Fn(crate::journal::SegmentError) -> ArchiveError {
    move |source| ArchiveError::Segment { name: name.to_owned(), source }
}

/// Removes a passing file; only room on the disk is lost when that fails, until the next start.
pub(super) fn remove(path: &Path) {
    match std::fs::remove_file(path) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => {
            tracing::warn!(path = %path.display(), error = %e, "a passing file cannot be removed");
        }
        _ => {}
    }
}
