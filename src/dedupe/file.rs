//! One sealed micro-batch's ids on disk: sorted, checksummed, replaced atomically.
//!
//! ```text
//! "SNOWIDS1"  8 bytes
//! entries     n × 52 bytes, sorted: id 16, fingerprint 16, offset 8, index 4, time 8 (all big-endian)
//! n           8 bytes
//! first, last 8 + 8 bytes: least and greatest time
//! crc32c      4 bytes over everything before it
//! ```
//!
//! A look-up is a binary search by `pread`; it happens only after a filter has said "perhaps".

use crate::event::{EventAddr, Offset, OffsetRange};
use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

const MAGIC: &[u8; 8] = b"SNOWIDS1";
const ENTRY: usize = 52;
const TAIL: usize = 28;
/// Entries of one id that a search looks at.
const MAX_RUN: usize = 64;

/// One event that was let through.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct IdEntry {
    /// `event_id` as sent.
    pub id: u128,
    /// Our fingerprint of the content.
    pub fingerprint: u128,
    /// Where it stands.
    pub addr: EventAddr,
    /// Arrival time, milliseconds.
    pub time_ms: i64,
}

/// A file, open for look-ups.
#[derive(Debug)]
pub(super) struct IdFile {
    pub(super) range: OffsetRange,
    pub(super) path: PathBuf,
    pub(super) entries: usize,
    /// Greatest arrival time in it.
    pub(super) last_ms: i64,
    file: File,
}

/// Name of the file of a range.
pub(super) fn file_name(range: OffsetRange) -> String {
    format!("{:020}-{:020}.ids", range.from.0, range.to.0)
}

/// The range in a file's name.
pub(super) fn range_of(name: &str) -> Option<OffsetRange> {
    let (from, to) = name.strip_suffix(".ids")?.split_once('-')?;
    Some(OffsetRange::new(Offset(from.parse().ok()?), Offset(to.parse().ok()?)))
}

/// Writes the file durably; an older one of the same range is replaced.
pub(super) fn write(dir: &Path, range: OffsetRange, mut entries: Vec<IdEntry>) -> io::Result<IdFile> {
    entries.sort_unstable();
    let mut bytes = Vec::with_capacity(MAGIC.len() + entries.len() * ENTRY + TAIL);
    bytes.extend_from_slice(MAGIC);
    for e in &entries {
        bytes.extend_from_slice(&e.id.to_be_bytes());
        bytes.extend_from_slice(&e.fingerprint.to_be_bytes());
        bytes.extend_from_slice(&e.addr.offset.0.to_be_bytes());
        bytes.extend_from_slice(&e.addr.index.to_be_bytes());
        bytes.extend_from_slice(&e.time_ms.to_be_bytes());
    }
    let times = || entries.iter().map(|e| e.time_ms);
    bytes.extend_from_slice(&(entries.len() as u64).to_be_bytes());
    bytes.extend_from_slice(&times().min().unwrap_or(0).to_be_bytes());
    bytes.extend_from_slice(&times().max().unwrap_or(0).to_be_bytes());
    let sum = crc32c::crc32c(&bytes);
    bytes.extend_from_slice(&sum.to_be_bytes());

    let path = dir.join(file_name(range));
    let temporary = path.with_extension("new");
    let mut file = File::create(&temporary)?;
    file.write_all(&bytes)?;
    file.sync_data()?;
    drop(file);
    fs::rename(&temporary, &path)?;
    File::open(dir)?.sync_all()?;
    let last_ms = times().max().unwrap_or(0);
    Ok(IdFile { range, file: File::open(&path)?, path, entries: entries.len(), last_ms })
}

/// Opens a file and reads its ids; what is no whole file is an error of kind `InvalidData`.
pub(super) fn open(path: &Path, range: OffsetRange) -> io::Result<(IdFile, Vec<u128>)> {
    let mut bytes = Vec::new();
    let mut file = File::open(path)?;
    file.read_to_end(&mut bytes)?;
    let bad = |what: &str| io::Error::new(io::ErrorKind::InvalidData, format!("{}: {what}", path.display()));
    if bytes.len() < MAGIC.len() + TAIL || !bytes.starts_with(MAGIC) {
        return Err(bad("no file of event ids"));
    }
    let (body, sum) = bytes.split_at(bytes.len() - 4);
    if crc32c::crc32c(body).to_be_bytes() != sum {
        return Err(bad("the checksum is wrong"));
    }
    let tail = &body[body.len() - (TAIL - 4)..];
    let entries = u64::from_be_bytes(word(tail)) as usize;
    if body.len() != MAGIC.len() + entries * ENTRY + TAIL - 4 {
        return Err(bad("the length is wrong"));
    }
    let last_ms = i64::from_be_bytes(word(&tail[16..]));
    let ids = body[MAGIC.len()..].chunks_exact(ENTRY).take(entries).map(|e| decode(e).id).collect();
    Ok((IdFile { range, path: path.to_owned(), entries, last_ms, file }, ids))
}

fn word<const N: usize>(bytes: &[u8]) -> [u8; N] {
    let mut out = [0; N];
    out.copy_from_slice(&bytes[..N]);
    out
}

fn decode(e: &[u8]) -> IdEntry {
    IdEntry {
        id: u128::from_be_bytes(word(e)),
        fingerprint: u128::from_be_bytes(word(&e[16..])),
        addr: EventAddr {
            offset: Offset(u64::from_be_bytes(word(&e[32..]))),
            index: u32::from_be_bytes(word(&e[40..])),
        },
        time_ms: i64::from_be_bytes(word(&e[44..])),
    }
}

impl IdFile {
    /// Entries of one id (at most [`MAX_RUN`], those of `fingerprint` among them).
    pub(super) fn find(&self, id: u128, fingerprint: Option<u128>) -> io::Result<Vec<IdEntry>> {
        let mut out = self.run(|e| e.id < id, |e| e.id == id)?;
        if let Some(fingerprint) = fingerprint
            && out.len() == MAX_RUN
        {
            out.extend(
                self.run(
                    |e| (e.id, e.fingerprint) < (id, fingerprint),
                    |e| (e.id, e.fingerprint) == (id, fingerprint),
                )?,
            );
        }
        Ok(out)
    }

    fn run(&self, before: impl Fn(&IdEntry) -> bool, within: impl Fn(&IdEntry) -> bool) -> io::Result<Vec<IdEntry>> {
        let (mut low, mut high) = (0, self.entries);
        while low < high {
            let middle = low.midpoint(high);
            if before(&self.entry(middle)?) {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        let mut out = Vec::new();
        while low < self.entries && out.len() < MAX_RUN {
            let entry = self.entry(low)?;
            if !within(&entry) {
                break;
            }
            out.push(entry);
            low += 1;
        }
        Ok(out)
    }

    fn entry(&self, n: usize) -> io::Result<IdEntry> {
        let mut bytes = [0; ENTRY];
        self.file.read_exact_at(&mut bytes, (MAGIC.len() + n * ENTRY) as u64)?;
        Ok(decode(&bytes))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_finds_what_was_written_and_damage_is_seen() {
        let dir = tempfile::tempdir().unwrap();
        let entry = |n: u64| IdEntry {
            id: u128::from(n / 2) << 70,
            fingerprint: u128::from(n),
            addr: EventAddr { offset: Offset(n), index: 1 },
            time_ms: 1000 + n as i64,
        };
        let range = OffsetRange::new(Offset(0), Offset(1000));
        let file = write(dir.path(), range, (0..1000).map(entry).collect()).unwrap();
        for n in (0..1000).step_by(2) {
            let found = file.find(entry(n).id, None).unwrap();
            assert_eq!(found, [entry(n), entry(n + 1)]);
        }
        assert!(file.find(77, None).unwrap().is_empty());
        let (again, ids) = open(&file.path, range).unwrap();
        assert_eq!((again.entries, again.last_ms, ids.len()), (1000, 1999, 1000));
        assert_eq!(range_of(&file_name(range)), Some(range));
        let mut bytes = fs::read(&file.path).unwrap();
        bytes[500] ^= 1;
        fs::write(&file.path, bytes).unwrap();
        assert!(open(&file.path, range).is_err());
    }
}
