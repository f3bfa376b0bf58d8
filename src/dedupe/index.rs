//! What is known of past events, and the verdict on a new one.

use super::config::Config;
use super::file::{self, IdEntry, IdFile};
use super::filter::Filter;
use super::mark;
use super::open_set::OpenSet;
use crate::event::{EventAddr, Offset, OffsetRange, Outcome, Processed, columns};
use parking_lot::RwLock;
use std::collections::VecDeque;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use uuid::Uuid;

/// Names the offset below which ids were given up on purpose, so that a lost file is told from an old one.
const FLOOR: &str = "floor";
/// Keys of one epoch: the unit in which old filters are given up.
const EPOCH_KEYS: usize = 1 << 20;

/// What a new event is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Verdict {
    /// Not seen inside the window.
    First,
    /// The same id and content stand at this address.
    Duplicate(EventAddr),
    /// The id was seen, but with another content.
    TakenId,
}

/// Why the index cannot be loaded.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// The folder or a file cannot be read or written.
    #[error("dedupe: {path}: {source}")]
    Io {
        /// Where.
        path: String,
        /// Why.
        source: io::Error,
    },
    /// A stretch of committed events is known to nobody any more.
    #[error("dedupe: the ids of {range} are missing and cannot be read again: {source}")]
    Rebuild {
        /// The stretch.
        range: OffsetRange,
        /// Why.
        source: io::Error,
    },
}

/// Enriches a stretch of the journal again, for ids that are missing on disk: called with a position and an end
/// (exclusive), gives the next part; `None` when the journal no longer has it.
pub type Refeed<'a> = dyn FnMut(Offset, Offset) -> io::Result<Option<(OffsetRange, Vec<Processed>)>> + 'a;

/// Shared by the stage, which writes, and by whoever asks about old events.
#[derive(Clone, Debug)]
pub struct Index(Arc<RwLock<Known>>);

#[derive(Debug)]
struct Known {
    dir: PathBuf,
    window_ms: i64,
    max_bytes: usize,
    open: OpenSet,
    epochs: VecDeque<Epoch>,
    newest_ms: i64,
    forgotten: u64,
}

#[derive(Debug)]
struct Epoch {
    filter: Filter,
    files: VecDeque<(Filter, IdFile)>,
}

impl Index {
    /// Loads what stands on disk for offsets below `boundary`. Files above it are of micro-batches that will be cut again,
    /// and are removed. Stretches without a file are read again through `refeed`.
    ///
    /// # Errors
    /// [`LoadError`].
    pub fn load(config: &Config, dir: &Path, boundary: Offset, refeed: &mut Refeed<'_>) -> Result<Self, LoadError> {
        let io_error = |path: &Path| {
            let path = path.display().to_string();
            move |source| LoadError::Io { path, source }
        };
        fs::create_dir_all(dir).map_err(io_error(dir))?;
        let mut names: Vec<(OffsetRange, PathBuf)> = Vec::new();
        for entry in fs::read_dir(dir).map_err(io_error(dir))? {
            let path = entry.map_err(io_error(dir))?.path();
            let range = path.file_name().and_then(|n| n.to_str()).and_then(file::range_of);
            match range {
                Some(range) if range.to <= boundary => names.push((range, path)),
                None if path.ends_with(FLOOR) => {}
                _ => fs::remove_file(&path).map_err(io_error(&path))?,
            }
        }
        names.sort();
        let mut known = Known {
            dir: dir.to_owned(),
            window_ms: config.window.as_millis(),
            max_bytes: config.max_filter_bytes.as_usize(),
            open: OpenSet::default(),
            epochs: VecDeque::new(),
            newest_ms: i64::MIN,
            forgotten: 0,
        };
        let mut at = known.floor();
        for (range, path) in names {
            if range.from < at {
                // A file that an interrupted run left beside the one that replaced it.
                fs::remove_file(&path).map_err(io_error(&path))?;
                continue;
            }
            known.fill_gap(at, range.from, refeed)?;
            match file::open(&path, range) {
                Ok((opened, ids)) => known.keep(opened, ids.into_iter()),
                Err(e) if e.kind() == io::ErrorKind::InvalidData => {
                    tracing::warn!("dedupe: {e}; reading these events again from the journal");
                    fs::remove_file(&path).map_err(io_error(&path))?;
                    known.fill_gap(range.from, range.to, refeed)?;
                }
                Err(e) => return Err(io_error(&path)(e)),
            }
            at = range.to;
        }
        known.fill_gap(at, boundary, refeed)?;
        Ok(Index(Arc::new(RwLock::new(known))))
    }

    /// Judges an event and remembers it, unless it is a duplicate. `alias` is the id under which an event with a taken id
    /// goes on.
    ///
    /// # Errors
    /// When a file cannot be read; nothing was decided.
    pub fn judge(&self, entry: IdEntry, alias: impl FnOnce() -> Uuid) -> io::Result<Verdict> {
        let mut known = self.0.write();
        let verdict = known.verdict(&entry)?;
        match verdict {
            Verdict::Duplicate(_) => {}
            Verdict::First => known.remember(entry),
            Verdict::TakenId => {
                known.remember(entry);
                // So that an audit finds it under the id that it has now.
                known.remember(IdEntry { id: alias().as_u128(), ..entry });
            }
        }
        Ok(verdict)
    }

    /// What was decided about an event that stands in the journal already.
    ///
    /// # Errors
    /// When a file cannot be read.
    pub fn decided(&self, entry: &IdEntry) -> io::Result<Verdict> {
        let known = self.0.read();
        let mut all = known.in_files(entry.id, Some(entry.fingerprint))?;
        all.extend(known.open.of_id(entry.id));
        let same = all.iter().filter(|e| e.fingerprint == entry.fingerprint);
        let earlier = same.map(|e| e.addr).filter(|a| *a < entry.addr).max();
        let itself = all.iter().any(|e| e.addr == entry.addr && e.fingerprint == entry.fingerprint);
        if let Some(first) = earlier.filter(|_| !itself) {
            return Ok(Verdict::Duplicate(first));
        }
        let taken =
            all.iter().any(|e| e.fingerprint != entry.fingerprint && e.addr < entry.addr && known.near(e, entry));
        Ok(if taken { Verdict::TakenId } else { Verdict::First })
    }

    /// Gives an outcome that was enriched again the verdict that it had when it first came by.
    ///
    /// # Errors
    /// When a file cannot be read.
    pub fn decide_again(&self, item: &mut Processed, journal: &Uuid) -> io::Result<()> {
        let Some(entry) = entry_of(item) else { return Ok(()) };
        match (self.decided(&entry)?, &mut item.outcome) {
            (Verdict::Duplicate(first), outcome) => *outcome = Outcome::Duplicate(first),
            (Verdict::TakenId, Outcome::Enriched(event)) => mark::rename(event, mark::own_id(journal, entry.addr)),
            _ => {}
        }
        Ok(())
    }

    /// Where events with this id stand, as far as the window reaches; newest first.
    ///
    /// # Errors
    /// When a file cannot be read.
    pub fn find(&self, event_id: &str) -> io::Result<Vec<EventAddr>> {
        let Ok(id) = Uuid::try_parse(event_id) else { return Ok(Vec::new()) };
        let known = self.0.read();
        let mut all = known.in_files(id.as_u128(), None)?;
        all.extend(known.open.of_id(id.as_u128()));
        let mut places: Vec<EventAddr> = all.iter().map(|e| e.addr).collect();
        places.sort_unstable_by(|a, b| b.cmp(a));
        places.dedup();
        Ok(places)
    }

    /// Closes the open micro-batch: its ids become a durable file.
    ///
    /// # Errors
    /// When the file cannot be made durable; the ids stay in memory and the call may be repeated.
    pub fn seal(&self, range: OffsetRange) -> io::Result<()> {
        let mut known = self.0.write();
        let entries = known.open.take();
        match file::write(&known.dir, range, entries.clone()) {
            Ok(file) => {
                known.keep(file, entries.iter().map(|e| e.id));
                known.expire();
                Ok(())
            }
            Err(e) => {
                entries.iter().for_each(|entry| known.open.add(entry));
                Err(e)
            }
        }
    }

    /// Bytes of the filters, and events that were forgotten before the window was over.
    pub fn usage(&self) -> (usize, u64) {
        let known = self.0.read();
        (known.filter_bytes(), known.forgotten)
    }
}

impl Known {
    fn verdict(&self, entry: &IdEntry) -> io::Result<Verdict> {
        let fits = |time_ms: i64| entry.time_ms.saturating_sub(time_ms) <= self.window_ms;
        if let Some((addr, time_ms)) = self.open.exact(entry.id, entry.fingerprint)
            && fits(time_ms)
        {
            return Ok(Verdict::Duplicate(addr));
        }
        let old = self.in_files(entry.id, Some(entry.fingerprint))?;
        let near: Vec<&IdEntry> = old.iter().filter(|e| fits(e.time_ms)).collect();
        if let Some(first) = near.iter().filter(|e| e.fingerprint == entry.fingerprint).map(|e| e.addr).min() {
            return Ok(Verdict::Duplicate(first));
        }
        if !near.is_empty() || self.open.has_id(entry.id) {
            return Ok(Verdict::TakenId);
        }
        Ok(Verdict::First)
    }

    fn near(&self, old: &IdEntry, new: &IdEntry) -> bool {
        new.time_ms.saturating_sub(old.time_ms) <= self.window_ms
    }

    fn remember(&mut self, entry: IdEntry) {
        self.newest_ms = self.newest_ms.max(entry.time_ms);
        self.open.add(&entry);
    }

    fn in_files(&self, id: u128, fingerprint: Option<u128>) -> io::Result<Vec<IdEntry>> {
        let mut out = Vec::new();
        for epoch in self.epochs.iter().filter(|e| e.filter.may_hold(id)) {
            for (_, file) in epoch.files.iter().filter(|(filter, _)| filter.may_hold(id)) {
                out.extend(file.find(id, fingerprint)?);
            }
        }
        Ok(out)
    }

    fn keep(&mut self, file: IdFile, ids: impl Iterator<Item = u128>) {
        self.newest_ms = self.newest_ms.max(file.last_ms);
        let mut filter = Filter::new(file.entries);
        if !self.epochs.back().is_some_and(|e| e.filter.has_room(file.entries)) {
            self.epochs.push_back(Epoch { filter: Filter::new(EPOCH_KEYS.max(file.entries)), files: VecDeque::new() });
        }
        if let Some(epoch) = self.epochs.back_mut() {
            for id in ids {
                filter.add(id);
                epoch.filter.add(id);
            }
            epoch.files.push_back((filter, file));
        }
    }

    /// Removes what the window has left behind, and the oldest epoch when memory is used up.
    fn expire(&mut self) {
        let before = self.first();
        self.drop_old();
        if let Some(floor) = self.first().filter(|now| before != Some(*now))
            && let Err(e) = fs::write(self.dir.join(FLOOR), floor.to_string())
        {
            // An older floor only makes a start read more than it needs.
            tracing::warn!("dedupe: {}: {e}", self.dir.join(FLOOR).display());
        }
    }

    fn first(&self) -> Option<Offset> {
        self.epochs.iter().find_map(|epoch| epoch.files.front()).map(|(_, file)| file.range.from)
    }

    fn floor(&self) -> Offset {
        let text = fs::read_to_string(self.dir.join(FLOOR)).unwrap_or_default();
        Offset(text.trim().parse().unwrap_or(0))
    }

    fn drop_old(&mut self) {
        let oldest = self.newest_ms.saturating_sub(self.window_ms);
        while let Some(epoch) = self.epochs.front_mut() {
            // The newest file stays: it is what the next floor is read from.
            while epoch.files.front().is_some_and(|(_, file)| file.last_ms < oldest) && epoch.files.len() > 1 {
                if let Some((_, file)) = epoch.files.pop_front() {
                    remove(&file.path);
                }
            }
            let gone = epoch.files.front().is_some_and(|(_, file)| file.last_ms < oldest);
            if !gone || self.epochs.len() == 1 {
                break;
            }
            if let Some(epoch) = self.epochs.pop_front() {
                epoch.files.iter().for_each(|(_, file)| remove(&file.path));
            }
        }
        while self.filter_bytes() > self.max_bytes && self.epochs.len() > 1 {
            let Some(epoch) = self.epochs.pop_front() else { break };
            let events: usize = epoch.files.iter().map(|(_, file)| file.entries).sum();
            self.forgotten += events as u64;
            tracing::warn!("dedupe: {events} events are forgotten inside the window; raise dedupe.max_filter_bytes");
            epoch.files.iter().for_each(|(_, file)| remove(&file.path));
        }
    }

    fn filter_bytes(&self) -> usize {
        let of = |e: &Epoch| e.filter.bytes() + e.files.iter().map(|(filter, _)| filter.bytes()).sum::<usize>();
        self.epochs.iter().map(of).sum()
    }

    fn fill_gap(&mut self, from: Offset, to: Offset, refeed: &mut Refeed<'_>) -> Result<(), LoadError> {
        let gap = OffsetRange::new(from, to);
        if gap.is_empty() {
            return Ok(());
        }
        let failed = |source| LoadError::Rebuild { range: gap, source };
        tracing::warn!("dedupe: the ids of {gap} are not on disk; reading them again from the journal");
        let mut at = from;
        while at < to {
            let Some((range, items)) = refeed(at, to).map_err(failed)? else {
                tracing::warn!(
                    "dedupe: the journal no longer holds [{at}, {to}); repetitions of these events are not recognised"
                );
                break;
            };
            for entry in items.iter().filter_map(entry_of) {
                if !matches!(self.verdict(&entry).map_err(failed)?, Verdict::Duplicate(_)) {
                    self.remember(entry);
                }
            }
            at = range.to;
        }
        let entries = self.open.take();
        let written = file::write(&self.dir, gap, entries.clone()).map_err(failed)?;
        self.keep(written, entries.iter().map(|e| e.id));
        Ok(())
    }
}

/// What the index keeps of an enriched event; `None` for other outcomes.
pub(super) fn entry_of(item: &Processed) -> Option<IdEntry> {
    let Outcome::Enriched(event) = &item.outcome else { return None };
    let id = Uuid::try_parse(event.text(columns::EVENT_ID)?).ok()?;
    Some(IdEntry {
        id: id.as_u128(),
        fingerprint: event.fingerprint,
        addr: item.addr,
        time_ms: event.time(columns::COLLECTOR_TSTAMP).unwrap_or(0),
    })
}

fn remove(path: &Path) {
    if let Err(e) = fs::remove_file(path) {
        tracing::warn!("dedupe: {}: {e}", path.display());
    }
}
