//! The ids of sealed micro-batches on disk: sorted, checksummed, put in place atomically.
//!
//! ```text
//! "SNOWIDS2"   8 bytes
//! blocks       64 entries of 53 bytes (the last block may have fewer), then crc32c of the block, 4 bytes
//!   entry      id 16, fingerprint 16, offset 8, index 4, time 8, flags 1 (bit 0: goes on under an id of its own,
//!               bit 1: came by a replay)
//! starts       for each block, the upper 8 bytes of the first id in it
//! filter       words of 8 bytes
//! footer       entries 8, filter words 8, from 8, to 8, first time 8, last time 8, level 4, crc32c of starts and filter 4,
//!              crc32c of the footer so far 4
//! ```
//!
//! Entries are sorted by id, fingerprint and address, and big-endian, so that bytes compare like numbers; everything else is
//! big-endian as well. In memory stay the filter and the starts, about 1.6 bytes an entry; a look-up that passes the filter
//! reads one block. A start of the program reads no entries: each block is verified when it is read.

use super::filter::{Filter, Probe};
use crate::event::{EventAddr, Offset, OffsetRange};
use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

const MAGIC: &[u8; 8] = b"SNOWIDS2";
const ENTRY: usize = 53;
const PER_BLOCK: usize = 64;
const BLOCK: usize = PER_BLOCK * ENTRY + 4;
const FOOTER: usize = 60;

/// One event that was let through.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct IdEntry {
    /// `event_id` as sent.
    pub id: u128,
    /// Our fingerprint of the content.
    pub fingerprint: u128,
    /// Where it stands.
    pub addr: EventAddr,
    /// Arrival time, milliseconds; never less than that of an event before it.
    pub time_ms: i64,
    /// Its id was taken: it goes on under one of its own.
    pub renamed: bool,
    /// It came by a replay: its payload stands elsewhere.
    pub replayed: bool,
}

const RENAMED: u8 = 1;
const REPLAYED: u8 = 2;

impl IdEntry {
    fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.id.to_be_bytes());
        out.extend_from_slice(&self.fingerprint.to_be_bytes());
        out.extend_from_slice(&self.addr.offset.0.to_be_bytes());
        out.extend_from_slice(&self.addr.index.to_be_bytes());
        out.extend_from_slice(&self.time_ms.to_be_bytes());
        out.push((u8::from(self.renamed) * RENAMED) | (u8::from(self.replayed) * REPLAYED));
    }

    fn decode(mut bytes: &[u8]) -> Option<IdEntry> {
        let flags = *bytes.get(ENTRY - 1)?;
        Some(IdEntry {
            id: u128::from_be_bytes(take(&mut bytes)?),
            fingerprint: u128::from_be_bytes(take(&mut bytes)?),
            addr: EventAddr {
                offset: Offset(u64::from_be_bytes(take(&mut bytes)?)),
                index: u32::from_be_bytes(take(&mut bytes)?),
            },
            time_ms: i64::from_be_bytes(take(&mut bytes)?),
            renamed: flags & RENAMED != 0,
            replayed: flags & REPLAYED != 0,
        })
    }
}

fn take<const N: usize>(bytes: &mut &[u8]) -> Option<[u8; N]> {
    let (head, rest) = bytes.split_first_chunk::<N>()?;
    *bytes = rest;
    Some(*head)
}

fn upper(id: u128) -> u64 {
    (id >> 64) as u64
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

/// A file, open for look-ups.
#[derive(Debug)]
pub(super) struct IdFile {
    pub(super) path: PathBuf,
    pub(super) range: OffsetRange,
    /// How often files were merged to make it.
    pub(super) level: u32,
    pub(super) entries: usize,
    /// Least arrival time in it.
    pub(super) first_ms: i64,
    /// Greatest arrival time in it.
    pub(super) last_ms: i64,
    filter: Filter,
    starts: Vec<u64>,
    file: File,
}

impl IdFile {
    /// Opens a file.
    ///
    /// # Errors
    /// Of kind `InvalidData` when it is no whole file of this range.
    pub(super) fn open(path: &Path, range: OffsetRange) -> io::Result<IdFile> {
        let file = File::open(path)?;
        let bad = |what: &str| io::Error::new(io::ErrorKind::InvalidData, format!("{}: {what}", path.display()));
        let len = file.metadata()?.len();
        let footer_at = len.checked_sub(FOOTER as u64).ok_or_else(|| bad("no file of event ids"))?;
        let mut footer = [0; FOOTER];
        file.read_exact_at(&mut footer, footer_at)?;
        let mut magic = [0; 8];
        file.read_exact_at(&mut magic, 0)?;
        let (body, sum) = footer.split_at(FOOTER - 4);
        if &magic != MAGIC || crc32c::crc32c(body).to_be_bytes() != sum {
            return Err(bad("the footer does not match its checksum"));
        }
        let mut rest = body;
        let mut number = || take(&mut rest).map(u64::from_be_bytes).unwrap_or_default();
        let (entries, words, from, to) = (number(), number(), number(), number());
        let (first_ms, last_ms) = (number() as i64, number() as i64);
        let level = take(&mut rest).map(u32::from_be_bytes).unwrap_or_default();
        let sum = take(&mut rest).map(u32::from_be_bytes).unwrap_or_default();
        if range != OffsetRange::new(Offset(from), Offset(to)) {
            return Err(bad("it is of another range than its name says"));
        }
        let blocks = entries.div_ceil(PER_BLOCK as u64);
        let map_at = MAGIC.len() as u64 + entries * ENTRY as u64 + blocks * 4;
        if map_at + (blocks + words) * 8 != footer_at {
            return Err(bad("the length is wrong"));
        }
        let mut map = vec![0; ((blocks + words) * 8) as usize];
        file.read_exact_at(&mut map, map_at)?;
        if crc32c::crc32c(&map) != sum {
            return Err(bad("the filter does not match its checksum"));
        }
        let mut numbers: Vec<u64> = map.as_chunks::<8>().0.iter().map(|n| u64::from_be_bytes(*n)).collect();
        let words = numbers.split_off(blocks as usize);
        let filter = Filter::from_words(words).ok_or_else(|| bad("the filter is cut"))?;
        let (path, entries) = (path.to_owned(), entries as usize);
        Ok(IdFile { path, range, level, entries, first_ms, last_ms, filter, starts: numbers, file })
    }

    /// Memory that it takes.
    pub(super) fn memory(&self) -> usize {
        self.filter.bytes() + self.starts.len() * 8
    }

    pub(super) fn may_hold(&self, probe: Probe) -> bool {
        self.filter.may_hold(probe)
    }

    /// Calls `visit` with the entries of `id` from the fingerprint `from` on, in order, until it says that it has seen
    /// enough.
    ///
    /// # Errors
    /// Of kind `InvalidData` when a block is damaged.
    pub(super) fn visit(&self, id: u128, from: u128, mut visit: impl FnMut(&IdEntry) -> bool) -> io::Result<()> {
        // The wanted entry can stand in the last block that starts below its upper half, or in one that starts with it.
        let mut low = self.starts.partition_point(|start| *start < upper(id)).saturating_sub(1);
        let mut high = self.starts.partition_point(|start| *start <= upper(id));
        // More than two blocks only where many ids share their upper half, or one id has hundreds of contents.
        while high - low > 2 {
            let middle = low.midpoint(high);
            match self.block(middle)?.first() {
                Some(first) if (first.id, first.fingerprint) < (id, from) => low = middle,
                _ => high = middle + 1,
            }
        }
        for n in low..self.starts.len() {
            let block = self.block(n)?;
            let skip = block.partition_point(|e| (e.id, e.fingerprint) < (id, from));
            for entry in block.get(skip..).unwrap_or_default() {
                if entry.id != id || !visit(entry) {
                    return Ok(());
                }
            }
        }
        Ok(())
    }

    /// The entries of one block, verified.
    fn block(&self, n: usize) -> io::Result<Vec<IdEntry>> {
        let entries = (self.entries - n * PER_BLOCK).min(PER_BLOCK);
        let mut bytes = vec![0; entries * ENTRY + 4];
        self.file.read_exact_at(&mut bytes, (MAGIC.len() + n * BLOCK) as u64)?;
        let (body, sum) = bytes.split_at(entries * ENTRY);
        let decoded: Option<Vec<IdEntry>> = body.chunks_exact(ENTRY).map(IdEntry::decode).collect();
        match decoded {
            Some(block) if crc32c::crc32c(body).to_be_bytes() == sum => Ok(block),
            _ => {
                let what = format!("{}: block {n} does not match its checksum", self.path.display());
                Err(io::Error::new(io::ErrorKind::InvalidData, what))
            }
        }
    }

    /// All entries in order.
    pub(super) fn iter(&self) -> impl Iterator<Item = io::Result<IdEntry>> + '_ {
        (0..self.starts.len()).flat_map(|n| match self.block(n) {
            Ok(block) => block.into_iter().map(Ok).collect::<Vec<_>>(),
            Err(e) => vec![Err(e)],
        })
    }
}

/// Writes a file from entries that come in order.
#[derive(Debug)]
pub(super) struct Writer {
    dir: PathBuf,
    temporary: PathBuf,
    out: BufWriter<File>,
    range: OffsetRange,
    level: u32,
    entries: usize,
    block: Vec<u8>,
    starts: Vec<u64>,
    filter: Filter,
    times: Option<(i64, i64)>,
}

impl Writer {
    /// For at most `capacity` entries.
    pub(super) fn new(dir: &Path, range: OffsetRange, level: u32, capacity: usize) -> io::Result<Writer> {
        let temporary = dir.join(file_name(range)).with_extension("new");
        let mut out = BufWriter::with_capacity(1 << 18, File::create(&temporary)?);
        out.write_all(MAGIC)?;
        Ok(Writer {
            dir: dir.to_owned(),
            temporary,
            out,
            range,
            level,
            entries: 0,
            block: Vec::with_capacity(BLOCK),
            starts: Vec::with_capacity(capacity / PER_BLOCK + 1),
            filter: Filter::new(capacity),
            times: None,
        })
    }

    /// Adds the next entry.
    pub(super) fn add(&mut self, entry: &IdEntry) -> io::Result<()> {
        if self.block.is_empty() {
            self.starts.push(upper(entry.id));
        }
        entry.encode(&mut self.block);
        self.filter.add(entry.id);
        self.entries += 1;
        let (first, last) = self.times.unwrap_or((entry.time_ms, entry.time_ms));
        self.times = Some((first.min(entry.time_ms), last.max(entry.time_ms)));
        if self.block.len() == PER_BLOCK * ENTRY { self.end_block() } else { Ok(()) }
    }

    fn end_block(&mut self) -> io::Result<()> {
        if self.block.is_empty() {
            return Ok(());
        }
        self.out.write_all(&self.block)?;
        self.out.write_all(&crc32c::crc32c(&self.block).to_be_bytes())?;
        self.block.clear();
        Ok(())
    }

    /// Completes the file and puts it in place, durably. `quiet_ms` is the time of a file without entries.
    pub(super) fn finish(mut self, quiet_ms: i64) -> io::Result<IdFile> {
        self.end_block()?;
        let mut map = Vec::with_capacity((self.starts.len() + self.filter.words().len()) * 8);
        for number in self.starts.iter().chain(self.filter.words()) {
            map.extend_from_slice(&number.to_be_bytes());
        }
        self.out.write_all(&map)?;
        let (first_ms, last_ms) = self.times.unwrap_or((quiet_ms, quiet_ms));
        let mut footer = Vec::with_capacity(FOOTER);
        let words = self.filter.words().len() as u64;
        for number in [self.entries as u64, words, self.range.from.0, self.range.to.0, first_ms as u64, last_ms as u64]
        {
            footer.extend_from_slice(&number.to_be_bytes());
        }
        footer.extend_from_slice(&self.level.to_be_bytes());
        footer.extend_from_slice(&crc32c::crc32c(&map).to_be_bytes());
        footer.extend_from_slice(&crc32c::crc32c(&footer).to_be_bytes());
        self.out.write_all(&footer)?;
        self.out.into_inner().map_err(io::IntoInnerError::into_error)?.sync_data()?;
        let path = self.dir.join(file_name(self.range));
        fs::rename(&self.temporary, &path)?;
        File::open(&self.dir)?.sync_all()?;
        Ok(IdFile {
            file: File::open(&path)?,
            path,
            range: self.range,
            level: self.level,
            entries: self.entries,
            first_ms,
            last_ms,
            filter: self.filter,
            starts: self.starts,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(n: u64) -> IdEntry {
        IdEntry {
            id: u128::from(n / 2) << 70,
            fingerprint: u128::from(n),
            addr: EventAddr { offset: Offset(n), index: 1 },
            time_ms: 1000 + n as i64,
            renamed: n % 2 == 1,
            replayed: n % 3 == 1,
        }
    }

    fn write(dir: &Path, entries: &[IdEntry]) -> IdFile {
        let range = OffsetRange::new(Offset(0), Offset(1_000_000));
        let mut writer = Writer::new(dir, range, 3, entries.len()).unwrap();
        entries.iter().for_each(|e| writer.add(e).unwrap());
        writer.finish(0).unwrap()
    }

    fn all_of(file: &IdFile, id: u128, from: u128) -> Vec<IdEntry> {
        let mut out = Vec::new();
        file.visit(id, from, |e| {
            out.push(*e);
            true
        })
        .unwrap();
        out
    }

    #[test]
    fn a_file_finds_what_was_written_also_after_it_was_closed() {
        let dir = tempfile::tempdir().unwrap();
        for count in [0u64, 1, 63, 64, 65, 1000] {
            let entries: Vec<IdEntry> = (0..count).map(entry).collect();
            let written = write(dir.path(), &entries);
            let opened = IdFile::open(&written.path, written.range).unwrap();
            for file in [&written, &opened] {
                for e in &entries {
                    assert!(file.may_hold(Probe::of(e.id)));
                    assert_eq!(all_of(file, e.id, e.fingerprint)[0], *e);
                }
                assert!(all_of(file, 77, 0).is_empty() && all_of(file, u128::MAX, 0).is_empty());
                assert_eq!(file.iter().collect::<io::Result<Vec<_>>>().unwrap(), entries);
                assert_eq!((file.entries as u64, file.level), (count, 3));
            }
            assert_eq!((opened.first_ms, opened.last_ms), (written.first_ms, written.last_ms));
            assert_eq!(range_of(&file_name(written.range)), Some(written.range));
        }
    }

    #[test]
    fn one_id_with_many_contents_is_found_without_reading_them_all() {
        let dir = tempfile::tempdir().unwrap();
        let mut entries: Vec<IdEntry> =
            (0..10_000).map(|n| IdEntry { id: 5 << 64, fingerprint: u128::from(n), ..entry(n) }).collect();
        entries.insert(0, IdEntry { id: 4 << 64, ..entry(0) });
        entries.push(IdEntry { id: 5 << 64 | 1, ..entry(0) });
        entries.push(IdEntry { id: 6 << 64, ..entry(0) });
        let file = write(dir.path(), &entries);
        for wanted in [0u128, 1, 62, 63, 64, 5000, 9998, 9999] {
            assert_eq!(all_of(&file, 5 << 64, wanted).len(), 10_000 - wanted as usize);
        }
        assert_eq!(all_of(&file, 5 << 64 | 1, 0).len(), 1);
        assert_eq!(all_of(&file, 4 << 64, 0).len(), 1);
        assert_eq!(all_of(&file, 6 << 64, 0).len(), 1);
    }

    #[test]
    fn damage_shows_at_the_latest_where_it_is_read() {
        let dir = tempfile::tempdir().unwrap();
        let entries: Vec<IdEntry> = (0..200).map(entry).collect();
        let file = write(dir.path(), &entries);
        let whole = fs::read(&file.path).unwrap();
        for at in (0..whole.len()).step_by(7) {
            let mut bad = whole.clone();
            bad[at] ^= 4;
            fs::write(&file.path, bad).unwrap();
            let read = IdFile::open(&file.path, file.range).and_then(|f| f.iter().collect::<io::Result<Vec<_>>>());
            assert_eq!(read.unwrap_err().kind(), io::ErrorKind::InvalidData, "byte {at}");
        }
        fs::write(&file.path, &whole[..whole.len() / 2]).unwrap();
        assert!(IdFile::open(&file.path, file.range).is_err());
    }
}
