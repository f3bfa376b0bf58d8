//! Where the original records come from: the journal, and the archive for what is no longer in it.

use crate::admin::archive::{Archive, ArchiveReader};
use crate::event::Offset;
use crate::journal::{Entry, Journal, JournalBatch, ReadError};
use crate::pipeline::backoff::Backoff;
use crate::pipeline::drain::Drain;
use std::time::Duration;

/// Bytes of the journal that are read at once; failures often stand close together.
const BLOCK: u64 = 1 << 20;
/// How often a lake that does not answer is asked.
const TRIES: usize = 4;

/// What became of a record.
pub(super) enum Found {
    /// Here it is.
    Record(Entry),
    /// It is in neither.
    Gone,
    /// The archived segment that held it is damaged.
    Damaged(String),
}

/// Reads records, in ascending order at best.
pub(super) struct Source {
    journal: Journal,
    block: Option<JournalBatch>,
    archive: ArchiveReader,
    drain: Drain,
}

impl Source {
    pub(super) fn new(journal: &Journal, archive: &Archive, drain: &Drain) -> Self {
        Source { journal: journal.clone(), block: None, archive: archive.reader(), drain: drain.clone() }
    }

    /// The record at an offset.
    ///
    /// # Errors
    /// In words for people: the journal or the lake cannot be read.
    pub(super) fn read(&mut self, at: Offset) -> Result<Found, String> {
        if !self.block.as_ref().is_some_and(|b| b.range.contains(at)) {
            let read = self.journal.reader(at).and_then(|mut reader| reader.next(BLOCK, Duration::ZERO));
            self.block = match read {
                Ok(block) => block,
                Err(ReadError::Gone { .. }) => return self.read_archived(at),
                Err(ReadError::Beyond { .. }) => None,
                Err(e) => return Err(e.to_string()),
            };
        }
        let entries = self.block.as_ref().map_or(&[][..], |b| &b.records);
        let entry = entries.binary_search_by_key(&at, |e| e.offset).ok().and_then(|i| entries.get(i));
        Ok(entry.cloned().map_or(Found::Gone, Found::Record))
    }

    fn read_archived(&mut self, at: Offset) -> Result<Found, String> {
        self.block = None;
        let mut backoff = Backoff::new(Duration::from_millis(500), Duration::from_secs(5));
        for _ in 1..TRIES {
            match self.archive.read(at) {
                Err(e) if !e.is_damage() => {
                    tracing::warn!(error = %e, "the journal's archive cannot be read; it will be tried again");
                    if self.drain.sleep(backoff.pause()) {
                        break;
                    }
                }
                read => return found(read.map_err(|e| (e.is_damage(), e.to_string()))),
            }
        }
        found(self.archive.read(at).map_err(|e| (e.is_damage(), e.to_string())))
    }
}

fn found(read: Result<Option<Entry>, (bool, String)>) -> Result<Found, String> {
    match read {
        Ok(Some(entry)) => Ok(Found::Record(entry)),
        Ok(None) => Ok(Found::Gone),
        Err((true, what)) => Ok(Found::Damaged(what)),
        Err((false, what)) => Err(format!("the journal's archive cannot be read: {what}")),
    }
}
