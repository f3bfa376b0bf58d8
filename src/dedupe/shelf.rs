//! The id files of a window: looking into them, merging small ones, letting old ones go.
//!
//! A micro-batch of ten seconds makes 8 640 files a day, and one filter per file would cost as many looks an event. So
//! [`FAN`] neighbours of one level are merged into one of the next level, in the background; a day is then about sixty
//! files. What is merged does not change any verdict.

use super::file::{self, IdEntry, IdFile, Writer};
use super::filter::Probe;
use crate::event::{Offset, OffsetRange};
use crate::pipeline::bound::{Bound, Level};
use crate::platform::fs::{RealFs, replace_durably};
use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Names the offset below which ids were given up on purpose, so that a lost file is told from an old one.
pub(super) const FLOOR: &str = "floor";
/// Files that are merged into one.
const FAN: usize = 16;
/// No merged file spans more than this part of the window, so that what is too old can go in small pieces.
const WINDOW_PARTS: i64 = 8;

/// More files than this are merged whatever their levels: restarts leave odd ones behind.
const MAX_FILES: usize = 128;

/// Whether a look into the files goes on.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Look {
    /// With the next entry.
    On,
    /// With the next file.
    NextFile,
    /// Not at all.
    Done,
}

/// The files, oldest first, without overlap.
#[derive(Debug)]
pub(super) struct Shelf {
    pub(super) dir: PathBuf,
    files: VecDeque<Arc<IdFile>>,
    window_ms: i64,
    max_bytes: usize,
    /// The warehouse is complete up to here: nothing below is judged again, whatever happens.
    pub(super) boundary: Offset,
    forgotten: u64,
    memory: Level,
    merging: bool,
}

impl Shelf {
    pub(super) fn new(dir: &Path, window_ms: i64, max_bytes: usize, boundary: Offset) -> Self {
        Shelf {
            dir: dir.to_owned(),
            files: VecDeque::new(),
            window_ms,
            max_bytes,
            boundary,
            forgotten: 0,
            memory: Level::default(),
            merging: false,
        }
    }

    /// Adds the next file.
    pub(super) fn push(&mut self, file: IdFile) {
        self.files.push_back(Arc::new(file));
    }

    /// Arrival time of the latest event in the files.
    pub(super) fn last_ms(&self) -> Option<i64> {
        self.files.iter().map(|file| file.last_ms).max()
    }

    /// Calls `look` with the entries of `id` from the fingerprint `from` on, newest file first, of files that hold
    /// something not older than `since_ms`. Gives how many files had to be looked into.
    ///
    /// # Errors
    /// When a file cannot be read. A damaged one is removed: the next start makes it again from the journal.
    pub(super) fn visit(
        &self,
        id: u128,
        from: u128,
        since_ms: i64,
        look: &mut dyn FnMut(&IdEntry) -> Look,
    ) -> io::Result<usize> {
        let probe = Probe::of(id);
        let mut looked = 0;
        for file in self.files.iter().rev() {
            if file.last_ms < since_ms || !file.may_hold(probe) {
                continue;
            }
            looked += 1;
            let mut last = Look::On;
            let visited = file.visit(id, from, |entry| {
                last = look(entry);
                last == Look::On
            });
            visited.inspect_err(|e| condemn(file, e))?;
            if last == Look::Done {
                break;
            }
        }
        Ok(looked)
    }

    /// Whether everything is known of the events that stand at an offset.
    pub(super) fn covers(&self, offset: Offset) -> bool {
        let after = self.files.partition_point(|file| file.range.from <= offset);
        after.checked_sub(1).and_then(|at| self.files.get(at)).is_some_and(|file| file.range.contains(offset))
    }

    /// Memory of the filters, and events that were forgotten before the window was over.
    pub(super) fn usage(&self) -> (usize, u64) {
        (self.files.iter().map(|file| file.memory()).sum(), self.forgotten)
    }

    /// The same as a bound.
    pub(super) fn bound(&self) -> Bound {
        self.memory.set(self.usage().0 as u64);
        Bound { waits: self.forgotten, ..self.memory.bound("dedupe.max_filter_bytes", self.max_bytes as u64) }
    }

    /// Lets go what no event above the boundary can repeat, and the oldest files when memory is used up. Gives what is to be
    /// removed from disk.
    pub(super) fn expire(&mut self) -> Vec<Arc<IdFile>> {
        // Times never go back, so every event that is judged from now on, or again after a restart, is at least this late.
        let below = self.files.iter().take_while(|file| file.range.to <= self.boundary);
        self.memory.set(self.usage().0 as u64);
        let oldest = below.map(|file| file.last_ms).max().map_or(i64::MIN, |w| w.saturating_sub(self.window_ms));
        let mut out = Vec::new();
        while self.files.len() > 1
            && let Some(file) = self.files.front()
            && file.last_ms < oldest
        {
            out.extend(self.files.pop_front());
        }
        while self.files.len() > 1 && self.usage().0 > self.max_bytes {
            let Some(file) = self.files.pop_front() else { break };
            self.forgotten += file.entries as u64;
            tracing::warn!(
                "dedupe: {} events are forgotten inside the window; raise dedupe.max_filter_bytes",
                file.entries
            );
            out.push(file);
        }
        out
    }

    /// Removes files that [`Shelf::expire`] gave. The floor is noted first: a crash in between leaves files below it, which
    /// the next start removes.
    pub(super) fn remove(&self, files: &[Arc<IdFile>]) {
        let (Some(_), Some(first)) = (files.first(), self.files.front()) else { return };
        let path = self.dir.join(FLOOR);
        match replace_durably(&RealFs, &path, first.range.from.0.to_string().as_bytes()) {
            Ok(()) => files.iter().for_each(|file| remove(&file.path)),
            Err(e) => tracing::warn!("dedupe: {}: {e}", path.display()),
        }
    }

    /// Files that are to be merged now, if any; [`Shelf::merged`] must follow.
    pub(super) fn merge_due(&mut self) -> Option<Vec<Arc<IdFile>>> {
        if self.merging {
            return None;
        }
        let files: Vec<&Arc<IdFile>> = self.files.iter().collect();
        let span = |run: &[&Arc<IdFile>]| match (run.first(), run.last()) {
            (Some(first), Some(last)) => last.last_ms.saturating_sub(first.first_ms),
            _ => 0,
        };
        let narrow = || files.windows(FAN).filter(|run| span(run) <= self.window_ms / WINDOW_PARTS);
        let alike = |run: &&[&Arc<IdFile>]| run.iter().all(|file| run.first().is_some_and(|f| f.level == file.level));
        let small = || narrow().min_by_key(|run| run.iter().map(|file| file.entries).sum::<usize>());
        let due = match narrow().find(alike) {
            Some(run) => run,
            None if files.len() > MAX_FILES => small()?,
            None => return None,
        };
        let due = due.iter().map(|file| Arc::clone(file)).collect();
        self.merging = true;
        Some(due)
    }

    /// Puts the merged file in the place of its parts. Gives what is to be removed from disk: the parts, or the merged file
    /// when a part has gone meanwhile.
    pub(super) fn merged(&mut self, parts: Vec<Arc<IdFile>>, merged: io::Result<IdFile>) -> Vec<Arc<IdFile>> {
        self.merging = false;
        let merged = match merged {
            Ok(merged) => Arc::new(merged),
            Err(e) => {
                tracing::warn!("dedupe: files of event ids are not merged: {e}");
                return Vec::new();
            }
        };
        let at = self.files.iter().position(|file| parts.first().is_some_and(|part| Arc::ptr_eq(part, file)));
        match at {
            Some(at)
                if self.files.range(at..).zip(&parts).filter(|(a, b)| Arc::ptr_eq(a, b)).count() == parts.len() =>
            {
                self.files.drain(at..at + parts.len());
                self.files.insert(at, merged);
                parts
            }
            _ => vec![merged],
        }
    }
}

/// Makes one file of neighbours. Entries stay as they are.
pub(super) fn merge(dir: &Path, parts: &[Arc<IdFile>]) -> io::Result<IdFile> {
    let (Some(first), Some(last)) = (parts.first(), parts.last()) else {
        return Err(io::ErrorKind::InvalidInput.into());
    };
    let range = OffsetRange::new(first.range.from, last.range.to);
    let entries = parts.iter().map(|part| part.entries).sum();
    let level = parts.iter().map(|part| part.level).max().unwrap_or(0);
    let mut writer = Writer::new(dir, range, level + 1, entries)?;
    let mut sources: Vec<_> = parts.iter().map(|part| part.iter()).collect();
    let mut heap = BinaryHeap::with_capacity(sources.len());
    for (n, (source, part)) in sources.iter_mut().zip(parts).enumerate() {
        heap.extend(source.next().transpose().inspect_err(|e| condemn(part, e))?.map(|entry| Reverse((entry, n))));
    }
    while let Some(Reverse((entry, n))) = heap.pop() {
        writer.add(&entry)?;
        if let (Some(source), Some(part)) = (sources.get_mut(n), parts.get(n)) {
            heap.extend(source.next().transpose().inspect_err(|e| condemn(part, e))?.map(|entry| Reverse((entry, n))));
        }
    }
    writer.finish(parts.iter().map(|part| part.last_ms).max().unwrap_or(0))
}

/// A damaged file is removed: events are better read again from the journal than judged by guesswork.
fn condemn(file: &IdFile, e: &io::Error) {
    if e.kind() == io::ErrorKind::InvalidData {
        tracing::error!("dedupe: {e}; the file is removed and the next start makes it again from the journal");
        remove(&file.path);
    }
}

pub(super) fn remove(path: &Path) {
    if let Err(e) = fs::remove_file(path) {
        tracing::warn!("dedupe: {}: {e}", path.display());
    }
}

/// Writes a file from entries in order.
pub(super) fn write(dir: &Path, range: OffsetRange, entries: &[IdEntry], quiet_ms: i64) -> io::Result<IdFile> {
    let mut writer = file::Writer::new(dir, range, 0, entries.len())?;
    for entry in entries {
        writer.add(entry)?;
    }
    writer.finish(quiet_ms)
}
