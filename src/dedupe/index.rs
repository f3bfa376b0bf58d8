//! What is known of past events, and the verdict on a new one.
//!
//! A verdict depends on the events that stand before it in the journal and on nothing else: not on the wall clock, not on
//! restarts, not on how files were merged. Time is the arrival time of events, and it never goes back: an event that
//! claims to be earlier than one before it (the collector's clock was set) counts as arriving with that one.

use super::config::Config;
use super::file::{IdEntry, IdFile};
use super::load::{self, LoadError, Refeed};
use super::mark;
use super::open_set::OpenSet;
use super::shelf::{self, Look, Shelf};
use crate::event::{EventAddr, Offset, OffsetRange, Outcome, Processed, columns};
use crate::pipeline::bound::Bound;
use crate::platform::priority::give_way;
use parking_lot::RwLock;
use std::io;
use std::path::Path;
use std::sync::Arc;
use uuid::Uuid;

/// Places that [`Index::find`] gives at most.
const MAX_FOUND: usize = 1000;

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

/// Shared by the stage, which writes, and by whoever asks about old events.
#[derive(Clone, Debug)]
pub struct Index(Arc<RwLock<Known>>);

#[derive(Debug)]
pub(super) struct Known {
    window_ms: i64,
    open: OpenSet,
    shelf: Shelf,
    /// Arrival time of the latest event that was let through.
    latest_ms: i64,
}

impl Index {
    /// Loads what stands on disk for offsets below `boundary`. What is known above it belongs to micro-batches that will be
    /// fed again, and goes. Stretches without a file are read again through `refeed`.
    ///
    /// # Errors
    /// [`LoadError`].
    pub fn load(config: &Config, dir: &Path, boundary: Offset, refeed: &mut Refeed<'_>) -> Result<Self, LoadError> {
        Ok(Index(Arc::new(RwLock::new(load::load(config, dir, boundary, refeed)?))))
    }

    /// Judges an event and remembers it, unless it is a duplicate. `alias` is the id under which an event with a taken id
    /// goes on.
    ///
    /// # Errors
    /// When a file cannot be read; nothing was decided. Of kind `InvalidData` when it is damaged: the file is removed, and
    /// only a restart can make it again.
    pub fn judge(&self, entry: IdEntry, alias: impl FnOnce() -> Uuid) -> io::Result<Verdict> {
        self.0.write().judge(entry, || Some(alias()))
    }

    /// What was decided about an event that stands in the journal already: as long as the window still holds it.
    ///
    /// # Errors
    /// When a file cannot be read.
    pub fn decided(&self, entry: &IdEntry) -> io::Result<Verdict> {
        self.looked_up(entry).map(|found| found.0)
    }

    /// The verdict, and whether the event was let through at its own place.
    fn looked_up(&self, entry: &IdEntry) -> io::Result<(Verdict, bool)> {
        let mut own = None;
        let mut earlier: Option<EventAddr> = None;
        let mut replayed: Option<EventAddr> = None;
        self.0.read().visit(entry.id, Some(entry.fingerprint), &mut |e| {
            if e.addr == entry.addr {
                own = Some(e.renamed);
            } else if e.addr < entry.addr {
                earlier = earlier.max(Some(e.addr));
            } else if e.replayed {
                replayed = replayed.or(Some(e.addr));
            }
            Look::On
        })?;
        // An event that only a replay let through had failed where it stands: it is in the answers once, at the replay.
        let verdict = match (own, earlier.or(replayed)) {
            (Some(true), _) => Verdict::TakenId,
            (None, Some(first)) => Verdict::Duplicate(first),
            _ => Verdict::First,
        };
        Ok((verdict, own.is_some()))
    }

    /// Gives an outcome that was enriched again the verdict that it had when it first came by. False when the event had
    /// failed then, passes only today, and no replay has let it through: it is in no answer.
    ///
    /// # Errors
    /// When a file cannot be read.
    pub fn decide_again(&self, item: &mut Processed, journal: &Uuid) -> io::Result<bool> {
        let Some(entry) = entry_of(item) else { return Ok(true) };
        let (verdict, own) = self.looked_up(&entry)?;
        match (verdict, &mut item.outcome) {
            (Verdict::Duplicate(first), outcome) => *outcome = Outcome::Duplicate(first),
            (Verdict::TakenId, Outcome::Enriched(event)) => mark::rename(event, mark::own_id(journal, entry.addr)),
            _ => return Ok(own || !self.0.read().shelf.covers(entry.addr.offset)),
        }
        Ok(true)
    }

    /// Where events with this id stand, as far as the window reaches; newest first, at most a thousand.
    ///
    /// # Errors
    /// When a file cannot be read.
    pub fn find(&self, event_id: &str) -> io::Result<Vec<EventAddr>> {
        let Ok(id) = Uuid::try_parse(event_id) else { return Ok(Vec::new()) };
        let mut places: Vec<EventAddr> = Vec::new();
        self.0.read().visit(id.as_u128(), None, &mut |e| {
            places.push(e.addr);
            if places.len() < MAX_FOUND { Look::On } else { Look::Done }
        })?;
        places.sort_unstable_by(|a, b| b.cmp(a));
        places.dedup();
        Ok(places)
    }

    /// Closes the open micro-batch: its ids become a durable file.
    ///
    /// # Errors
    /// When the file cannot be made durable; the ids stay in memory and the call may be repeated.
    pub fn seal(&self, range: OffsetRange) -> io::Result<()> {
        self.0.write().write_open(range)?;
        self.tidy();
        Ok(())
    }

    /// The warehouse is complete up to `boundary`: ids that no event above it can repeat may go.
    pub fn committed(&self, boundary: Offset) {
        let mut known = self.0.write();
        known.shelf.boundary = known.shelf.boundary.max(boundary);
        drop(known);
        self.tidy();
    }

    /// Memory of the filters as a bound; what it made the index forget counts as a wait.
    pub fn bound(&self) -> Bound {
        self.0.read().shelf.bound()
    }

    /// Bytes of the filters, and events that were forgotten before the window was over.
    pub fn usage(&self) -> (usize, u64) {
        self.0.read().shelf.usage()
    }

    /// Waits until no thread of this index is at work.
    #[cfg(test)]
    pub(super) fn wait_for_merges(&self) {
        while Arc::strong_count(&self.0) > 1 {
            std::thread::sleep(std::time::Duration::from_millis(1));
        }
    }

    /// Lets old files go and merges small ones, the latter on a thread of its own.
    fn tidy(&self) {
        let due = {
            let mut known = self.0.write();
            let old = known.shelf.expire();
            known.shelf.remove(&old);
            known.shelf.merge_due()
        };
        let Some(parts) = due else { return };
        let index = self.clone();
        let kept = parts.clone();
        let spawned = std::thread::Builder::new().name("dedupe-merge".into()).spawn(move || {
            give_way();
            index.merge(parts);
        });
        if let Err(e) = spawned {
            let nothing = self.0.write().shelf.merged(kept, Err(e));
            debug_assert!(nothing.is_empty());
        }
    }

    fn merge(&self, parts: Vec<Arc<IdFile>>) {
        let dir = self.0.read().shelf.dir.clone();
        let merged = shelf::merge(&dir, &parts);
        let failed = merged.is_err();
        let old = self.0.write().shelf.merged(parts, merged);
        load::remove_all(old.iter().map(|file| file.path.as_path()));
        if !failed {
            self.tidy();
        }
    }
}

impl Known {
    pub(super) fn new(dir: &Path, config: &Config, boundary: Offset) -> Self {
        let window_ms = config.window.as_millis();
        Known {
            window_ms,
            open: OpenSet::default(),
            shelf: Shelf::new(dir, window_ms, config.max_filter_bytes.as_usize(), boundary),
            latest_ms: i64::MIN,
        }
    }

    pub(super) fn push(&mut self, file: IdFile) {
        self.shelf.push(file);
        self.latest_ms = self.latest_ms.max(self.shelf.last_ms().unwrap_or(i64::MIN));
    }

    pub(super) fn open_len(&self) -> usize {
        self.open.len()
    }

    /// As [`Index::judge`]; without an alias the event cannot be found under its own id.
    pub(super) fn judge(&mut self, mut entry: IdEntry, alias: impl FnOnce() -> Option<Uuid>) -> io::Result<Verdict> {
        entry.time_ms = entry.time_ms.max(self.latest_ms);
        let verdict = self.verdict(&entry)?;
        if let Verdict::Duplicate(_) = verdict {
            return Ok(verdict);
        }
        entry.renamed = verdict == Verdict::TakenId;
        self.latest_ms = entry.time_ms;
        self.open.add(entry);
        if let Some(alias) = alias().filter(|_| entry.renamed) {
            // So that an audit finds it under the id that it has now.
            self.open.add(IdEntry { id: alias.as_u128(), ..entry });
        }
        Ok(verdict)
    }

    fn verdict(&self, entry: &IdEntry) -> io::Result<Verdict> {
        let since = entry.time_ms.saturating_sub(self.window_ms);
        // At most one event of this content lies inside the window, since times never go back.
        if let Some(same) = self.open.exact(entry.id, entry.fingerprint).filter(|e| e.time_ms >= since) {
            return Ok(Verdict::Duplicate(same.addr));
        }
        let mut same = None;
        let looked = self.shelf.visit(entry.id, entry.fingerprint, since, &mut |e| {
            if e.fingerprint != entry.fingerprint {
                return Look::NextFile;
            }
            same = (e.time_ms >= since).then_some(e.addr);
            if same.is_some() { Look::Done } else { Look::On }
        })?;
        if let Some(first) = same {
            return Ok(Verdict::Duplicate(first));
        }
        let mut taken = self.open.latest_ms(entry.id).is_some_and(|latest| latest >= since);
        if !taken && looked > 0 {
            self.shelf.visit(entry.id, 0, since, &mut |e| {
                taken = e.time_ms >= since;
                if taken { Look::Done } else { Look::On }
            })?;
        }
        Ok(if taken { Verdict::TakenId } else { Verdict::First })
    }

    /// All that is known of an id, or of an id and a content.
    fn visit(&self, id: u128, content: Option<u128>, look: &mut dyn FnMut(&IdEntry) -> Look) -> io::Result<()> {
        for entry in self.open.of(id, content) {
            if look(entry) == Look::Done {
                return Ok(());
            }
        }
        let mut wanted = |e: &IdEntry| match content {
            Some(content) if e.fingerprint != content => Look::NextFile,
            _ => look(e),
        };
        self.shelf.visit(id, content.unwrap_or(0), i64::MIN, &mut wanted).map(|_| ())
    }

    /// Makes a file of what is open.
    pub(super) fn write_open(&mut self, range: OffsetRange) -> io::Result<()> {
        let file = shelf::write(&self.shelf.dir, range, &self.open.sorted(), self.latest_ms)?;
        self.open.clear();
        self.push(file);
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
        renamed: false,
        replayed: item.repairs.is_some(),
    })
}
