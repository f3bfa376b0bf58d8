//! Reading back what is no longer in the journal: one segment at a time, fetched to local disk and read as a stream.

use super::error::ArchiveError;
use super::pack::{self, Packed, segment};
use super::vault::{self, Vault};
use crate::event::{Offset, OffsetRange};
use crate::journal::{Entry, Journal};
use crate::platform::owned::OwnedFile;
use std::path::PathBuf;
use std::sync::Arc;

/// What was archived. Clones are the same one.
#[derive(Clone)]
pub struct Archive {
    journal: Journal,
    vault: Arc<dyn Vault>,
    passing: PathBuf,
}

impl Archive {
    pub(super) fn new(journal: Journal, vault: Arc<dyn Vault>, passing: PathBuf) -> Self {
        Archive { journal, vault, passing }
    }

    /// A reader; cheap for who asks in ascending order. It holds at most one segment, on local disk, until it is dropped.
    pub fn reader(&self) -> ArchiveReader {
        ArchiveReader { archive: self.clone(), list: None, open: None, damaged: None }
    }
}

/// Reads records of the archive.
pub struct ArchiveReader {
    archive: Archive,
    list: Option<List>,
    open: Option<Open>,
    /// Records that cannot be read, of the segment that was tried last, and why.
    damaged: Option<(OffsetRange, String)>,
}

/// What there is: 16 bytes for each archived segment of the journal's whole life.
struct List {
    /// In order; where one contains another, it comes last.
    ranges: Vec<OffsetRange>,
    /// Everything below was gone from the journal before, so that this list has it if any has.
    complete_to: Offset,
}

struct Open {
    range: OffsetRange,
    name: String,
    stream: Packed,
    /// The record that was read last.
    last: Option<Entry>,
    _file: Arc<OwnedFile>,
}

impl ArchiveReader {
    /// The record at this offset; `None` when no archived segment has it.
    ///
    /// # Errors
    /// See [`ArchiveError`]; another record may be asked for after it.
    pub fn read(&mut self, at: Offset) -> Result<Option<Entry>, ArchiveError> {
        if let Some((_, what)) = self.damaged.as_ref().filter(|(range, _)| range.contains(at)) {
            return Err(ArchiveError::Damaged(what.clone()));
        }
        if !self.open.as_ref().is_some_and(|open| open.has_ahead(at)) {
            self.open = None;
            let Some(range) = self.find(at)? else { return Ok(None) };
            self.open = match self.fetch(range) {
                Err(e) if e.is_damage() => return Err(self.note_damage(OffsetRange::new(at, range.to), e)),
                fetched => fetched?,
            };
        }
        let Some(open) = &mut self.open else { return Ok(None) };
        match open.read(at) {
            Err(e) if e.is_damage() => {
                let rest = OffsetRange::new(open.stream.range().to, open.range.to);
                Err(self.note_damage(rest, e))
            }
            read => read.map(Some),
        }
    }

    /// Nobody has to fetch these records again to be told the same.
    fn note_damage(&mut self, range: OffsetRange, error: ArchiveError) -> ArchiveError {
        self.open = None;
        self.damaged = Some((range, error.to_string()));
        error
    }

    /// The archived segment that holds this record.
    fn find(&mut self, at: Offset) -> Result<Option<OffsetRange>, ArchiveError> {
        let mut fresh = false;
        loop {
            if let Some(list) = &self.list {
                let after = list.ranges.partition_point(|range| range.from <= at);
                let last = after.checked_sub(1).and_then(|i| list.ranges.get(i));
                if let Some(range) = last.filter(|range| range.contains(at)) {
                    return Ok(Some(*range));
                }
                if fresh || at < list.complete_to {
                    return Ok(None);
                }
            }
            // Before the list, so that what goes meanwhile is looked for again.
            let first = self.archive.journal.first();
            self.list = Some(self.all(first)?);
            fresh = true;
        }
    }

    fn all(&self, complete_to: Offset) -> Result<List, ArchiveError> {
        let mut ranges = Vec::new();
        self.archive.vault.list(&vault::folder(self.archive.journal.id()), "", &mut |name| {
            ranges.extend(vault::parse(name));
        })?;
        ranges.sort_unstable_by_key(|range| (range.from, range.to));
        Ok(List { ranges, complete_to })
    }

    fn fetch(&self, range: OffsetRange) -> Result<Option<Open>, ArchiveError> {
        let journal = self.archive.journal.id();
        let name = vault::name(journal, range);
        let path = self.archive.passing.join(format!("read-{}", vault::file_name(range)));
        let file = OwnedFile::new(path.clone());
        if !self.archive.vault.get(&name, &path)? {
            return Ok(None);
        }
        let stream = pack::open(&path, &name, journal, range)?;
        Ok(Some(Open { range, name, stream, last: None, _file: file }))
    }
}

impl Open {
    /// Whether the record is in this segment and not behind us.
    fn has_ahead(&self, at: Offset) -> bool {
        let was_last = self.last.as_ref().is_some_and(|last| last.offset == at);
        self.range.contains(at) && (was_last || at >= self.stream.range().to)
    }

    /// The record, which is ahead.
    fn read(&mut self, at: Offset) -> Result<Entry, ArchiveError> {
        if let Some(last) = self.last.as_ref().filter(|last| last.offset == at) {
            return Ok(last.clone());
        }
        while let Some(entry) = self.stream.next_entry().map_err(segment(&self.name))? {
            if entry.offset == at {
                self.last = Some(entry.clone());
                return Ok(entry);
            }
        }
        // It ends before its name says.
        let (name, found) = (self.name.clone(), self.stream.range());
        Err(ArchiveError::Other { name, found, journal: self.stream.journal() })
    }
}
