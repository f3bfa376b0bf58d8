//! The thread that archives: it sleeps until a segment is closed, and goes on trying while the lake is away.

use super::cursor::Cursor;
use super::error::{ArchiveError, StartError};
use super::metrics::ArchiveMetrics;
use super::status::Status;
use super::vault::{self, Vault};
use super::{Deps, pack};
use crate::event::{Offset, OffsetRange};
use crate::journal::{Journal, SegmentInfo};
use crate::pipeline::backoff::Backoff;
use crate::pipeline::drain::Drain;
use crate::platform::clock::Clock;
use crate::platform::failpoint::fail_point;
use crate::platform::priority::give_way;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// Name under which the journal knows the archive as a consumer.
const CONSUMER: &str = "archive";
const FIRST_PAUSE: Duration = Duration::from_millis(if cfg!(test) { 5 } else { 500 });
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// The running thread.
pub struct Archiver {
    thread: JoinHandle<()>,
    status: Status,
}

impl Archiver {
    /// How it is.
    pub fn status(&self) -> Status {
        self.status.clone()
    }

    /// Waits for the end of the thread, which comes when the journal is closed. One that is in the middle of an upload after
    /// `most` is left alone: the segment stays, and is archived again at the next start.
    pub fn join(self, most: Duration) {
        let end = Instant::now() + most;
        while !self.thread.is_finished() {
            if Instant::now() >= end {
                tracing::info!("a segment is left to be archived at the next start");
                return;
            }
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

/// Tells that the thread has ended, however it ended.
struct Ends(Status);

impl Drop for Ends {
    fn drop(&mut self) {
        self.0.change(|state| state.ended = true);
    }
}

pub(super) fn start(deps: Deps, passing: PathBuf) -> Result<Archiver, StartError> {
    // Before anything else: from now on no segment goes that is not archived.
    deps.journal.release(CONSUMER, deps.journal.first());
    let status = Status::default();
    let worker = Worker {
        cursor: Cursor::open(deps.state.join("cursor"), deps.journal.id()),
        journal: deps.journal,
        vault: deps.vault,
        passing,
        level: deps.zstd_level,
        clock: deps.clock,
        metrics: ArchiveMetrics::register(&deps.metrics),
        status: status.clone(),
        drain: deps.drain,
    };
    let ends = Ends(status.clone());
    let work = move || {
        let _ends = ends;
        worker.run();
    };
    let thread = std::thread::Builder::new().name("archive".into()).spawn(work).map_err(StartError::Thread)?;
    Ok(Archiver { thread, status })
}

struct Worker {
    journal: Journal,
    vault: Arc<dyn Vault>,
    cursor: Cursor,
    passing: PathBuf,
    level: i32,
    clock: Clock,
    metrics: ArchiveMetrics,
    status: Status,
    drain: Drain,
}

impl Worker {
    fn run(mut self) {
        give_way();
        let mut upto = self.journal.first();
        self.status.change(|state| state.upto = upto);
        let Some(there) = self.insist("list what is archived", |w| w.archived()) else { return };
        while let Some(segment) = self.journal.next_closed(upto) {
            if self.drain.is_raised() {
                return;
            }
            if !there.contains(&segment.range) && self.archive(&segment).is_none() {
                return;
            }
            upto = segment.range.to;
            self.journal.release(CONSUMER, upto);
            self.status.change(|state| state.upto = upto);
            self.metrics.upto.set(i64::try_from(upto.0).unwrap_or(i64::MAX));
        }
    }

    /// Segments of the journal that count as archived: they are in the lake, and it was noted that they got there in full.
    fn archived(&self) -> Result<BTreeSet<OffsetRange>, ArchiveError> {
        let mut there = BTreeSet::new();
        // Sorts before the names of the journal's first segment, and behind those of all segments before it.
        let after = format!("{:020}", self.journal.first().0);
        let noted = self.cursor.at();
        self.vault.list(&vault::folder(self.journal.id()), &after, &mut |name| {
            there.extend(vault::parse(name).filter(|range| range.to <= noted));
        })?;
        Ok(there)
    }

    /// Archives a segment, however long it takes; `None` when the program ends first.
    fn archive(&mut self, segment: &SegmentInfo) -> Option<()> {
        let journal = self.journal.id();
        let name = vault::name(journal, segment.range);
        let file = self.passing.join(vault::file_name(segment.range));
        let bytes = self.insist("compress", |w| pack::pack(segment, journal, &name, &file, w.level))?;
        fail_point("archive::packed");
        self.insist("upload", |w| w.upload(&file, &name, bytes))?;
        fail_point("archive::uploaded");
        self.insist("note", |w| w.note(segment.range.to))?;
        fail_point("archive::noted");
        pack::remove(&file);
        self.metrics.segments.inc();
        self.metrics.bytes.inc_by(bytes);
        let now = self.clock.now_ms();
        self.status.change(|state| {
            state.last_success_ms = Some(now);
            state.retries = 0;
        });
        Some(())
    }

    fn upload(&self, file: &Path, name: &str, bytes: u64) -> Result<(), ArchiveError> {
        self.vault.put(file, name, bytes)?;
        match self.vault.size(name)? {
            Some(found) if found == bytes => Ok(()),
            found => {
                Err(ArchiveError::Size { name: name.to_owned(), found: found.unwrap_or_default(), expected: bytes })
            }
        }
    }

    fn note(&mut self, upto: Offset) -> Result<(), ArchiveError> {
        let path = self.cursor.path().to_owned();
        self.cursor.store(upto).map_err(ArchiveError::io(&path))
    }

    /// Tries until it works. `None` when the program is to end first.
    fn insist<T>(&mut self, doing: &str, mut what: impl FnMut(&mut Self) -> Result<T, ArchiveError>) -> Option<T> {
        let mut backoff = Backoff::new(FIRST_PAUSE, LONGEST_PAUSE);
        loop {
            match what(self) {
                Ok(done) => {
                    self.status.change(|state| state.error = None);
                    return Some(done);
                }
                Err(e) => {
                    self.metrics.failures.inc();
                    tracing::warn!(error = %e, "cannot {doing} a journal segment for the archive; it will be tried again");
                    self.status.change(|state| {
                        state.retries += 1;
                        state.error = Some(format!("cannot {doing}: {e}"));
                    });
                }
            }
            if self.drain.sleep(backoff.pause()) {
                return None;
            }
        }
    }
}
