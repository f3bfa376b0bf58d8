//! The handle that the program holds: opening, the ends of the log, health, retention, closing.

use super::append::Appender;
use super::config::Config;
use super::error::{AppendError, OpenError, ReadError};
use super::keeper::Keeper;
use super::metrics::JournalMetrics;
use super::queue::Queue;
use super::read_only::ReadOnly;
use super::reader::Reader;
use super::recover::{Recovered, Recovery, recover};
use super::segment;
use super::spare::{Preparer, Spare};
use super::stage::Writer;
use super::view::{SegmentView, View};
use crate::event::{Offset, OffsetRange};
use crate::platform::clock::{Clock, Millis};
use crate::platform::fs::{FileLock, Fs, read_file};
use crate::telemetry::Metrics;
use parking_lot::Mutex;
use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Instant;
use uuid::Uuid;

const LOCK: &str = "LOCK";

/// An open journal. Clones are handles of the same one; it closes when [`Journal::close`] is called or the last goes.
#[derive(Clone, Debug)]
pub struct Journal(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    id: Uuid,
    appender: Appender,
    keeper: Arc<Keeper>,
    threads: Mutex<Vec<JoinHandle<()>>>,
    /// Held until the threads have ended.
    lock: Mutex<Option<Box<dyn FileLock>>>,
}

/// A segment as others see it, for the archive.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SegmentInfo {
    /// Its records, as far as they are durable.
    pub range: OffsetRange,
    /// Its file.
    pub path: PathBuf,
    /// Length of the durable part.
    pub bytes: u64,
    /// When it was made.
    pub created_ms: Millis,
    /// When it was closed; `None` for the open one.
    pub closed_ms: Option<Millis>,
}

impl Journal {
    /// Opens the journal in `dir`, or makes one: takes the lock, puts right what a crash left behind, and starts the
    /// writer. What was found is in the [`Recovery`].
    ///
    /// # Errors
    /// See [`OpenError`]: in use, damaged, newer, or the machine refuses.
    pub fn open(
        config: &Config,
        dir: &Path,
        fs: Arc<dyn Fs>,
        clock: Clock,
        metrics: &Metrics,
    ) -> Result<(Journal, Recovery), OpenError> {
        fs.create_dir_all(dir).map_err(OpenError::io("cannot create", dir))?;
        let lock = take_lock(fs.as_ref(), dir)?;
        let Recovered { id, segments, open, end, report } = recover(config, fs.as_ref(), dir)?;
        let metrics = JournalMetrics::register(metrics);
        metrics.healthy.set(1);
        metrics.end.set(end.0 as i64);
        let stalled = config.stalled_after.to_duration();
        let queue = Arc::new(Queue::new(config.queue_bytes.0, u64::from(config.queue_requests), stalled));
        let view = Arc::new(View::new(segments, end, config.tail_bytes.as_usize()));
        let spare = Arc::new(Spare::default());
        let preparer =
            Preparer { spare: spare.clone(), fs: fs.clone(), dir: dir.to_owned(), bytes: config.segment_bytes.0 };
        let mut writer = Writer {
            config: config.clone(),
            fs: fs.clone(),
            dir: dir.to_owned(),
            id,
            clock: clock.clone(),
            metrics: metrics.clone(),
            queue: queue.clone(),
            view: view.clone(),
            spare: spare.clone(),
            open,
            end,
            failing: false,
            last_commit: Instant::now(),
            complained: None,
            buffer: Vec::new(),
        };
        writer.begin().map_err(OpenError::io("cannot make a segment in", dir))?;
        let keeper = Arc::new(Keeper {
            config: config.clone(),
            fs,
            dir: dir.to_owned(),
            clock,
            metrics: metrics.clone(),
            queue: queue.clone(),
            view,
            consumers: Mutex::new(BTreeMap::new()),
            idle_trouble: Mutex::default(),
            stop: Mutex::new(false),
            stopped: parking_lot::Condvar::new(),
        });
        let appender = Appender { queue, max_record: config.max_record_bytes.0, metrics };
        let round = keeper.clone();
        let mut threads = vec![
            spawn("journal-writer", dir, move || writer.run())?,
            spawn("journal-keeper", dir, move || round.run())?,
        ];
        if config.prepares() {
            threads.push(spawn("journal-spare", dir, move || preparer.run())?);
        }
        let inner = Inner { id, appender, keeper, threads: Mutex::new(threads), lock: Mutex::new(Some(lock)) };
        Ok((Journal(Arc::new(inner)), report))
    }

    /// Opens the journal in `dir` for reading only: at rest, or while another process writes it.
    ///
    /// # Errors
    /// See [`OpenError`]; never [`OpenError::Locked`].
    pub fn read_only(dir: &Path, fs: Arc<dyn Fs>) -> Result<ReadOnly, OpenError> {
        ReadOnly::open(dir, fs)
    }

    /// For whoever appends.
    pub fn appender(&self) -> Appender {
        self.0.appender.clone()
    }

    /// Reads from record `from` on.
    ///
    /// # Errors
    /// When `from` was removed, or lies beyond the end.
    pub fn reader(&self, from: Offset) -> Result<Reader, ReadError> {
        let keeper = &self.0.keeper;
        Reader::open(keeper.view.clone(), keeper.fs.clone(), keeper.dir.clone(), from)
    }

    /// Next record to be written; all below are durable.
    pub fn durable_end(&self) -> Offset {
        self.0.keeper.view.end()
    }

    /// First record that is still there; the end if there is none.
    pub fn first(&self) -> Offset {
        self.0.keeper.view.first()
    }

    /// Random, made once per data directory. Names and ids that must be the same on every replay are derived from it.
    pub fn id(&self) -> Uuid {
        self.0.id
    }

    /// Whether records can be written and synced now.
    ///
    /// # Errors
    /// Why not, in words for an operator.
    pub fn health(&self) -> Result<(), String> {
        let keeper = &self.0.keeper;
        match keeper.queue.trouble().or_else(|| keeper.idle_trouble.lock().clone()) {
            Some(trouble) => Err(trouble),
            None => Ok(()),
        }
    }

    /// Registers a consumer, or tells that it will not ask for records below `upto` again. A segment goes only when every
    /// registered consumer is past it and `journal.retention` allows; with no consumer nothing goes. Register all within
    /// the first seconds after opening.
    pub fn release(&self, consumer: &str, upto: Offset) {
        let mut consumers = self.0.keeper.consumers.lock();
        match consumers.get_mut(consumer) {
            Some(at) => *at = upto.max(*at),
            None => {
                consumers.insert(consumer.to_owned(), upto);
            }
        }
    }

    /// Goes on with number `to`, if that is higher than the next one: the numbers between are given up for good, and
    /// readers pass over them. For an operator whose journal was lost while what was made of it (the warehouse, with its
    /// boundary) was not.
    ///
    /// # Errors
    /// See [`AppendError`].
    pub fn skip_to(&self, to: Offset) -> Result<(), AppendError> {
        self.0.appender.skip_to(to).map(|_| ())
    }

    /// The segments, oldest first; the last one may be open.
    pub fn segments(&self) -> Vec<SegmentInfo> {
        self.0.keeper.view.segments().into_iter().map(|s| self.info(&s)).collect()
    }

    /// The first closed segment that ends beyond `from`. Sleeps until there is one; `None` when the journal is closed
    /// before. Its file stays until every consumer is past it (see [`Journal::release`]).
    pub fn next_closed(&self, from: Offset) -> Option<SegmentInfo> {
        self.0.keeper.view.closed_beyond(from).map(|s| self.info(&s))
    }

    fn info(&self, s: &SegmentView) -> SegmentInfo {
        SegmentInfo {
            range: OffsetRange::new(s.first, s.end),
            path: segment::path(&self.0.keeper.dir, s.first),
            bytes: s.bytes,
            created_ms: s.created_ms,
            closed_ms: s.closed_ms,
        }
    }

    /// What the keeper does every few seconds, now.
    #[cfg(test)]
    pub(crate) fn sweep(&self) {
        let now = self.0.keeper.clock.now_ms();
        self.0.keeper.roll_by_age(now);
        self.0.keeper.sweep(now);
    }

    /// Refuses further appends, writes what is queued, and lets go of the folder. Readers get what is left and then
    /// [`ReadError::Closed`]. A second call does nothing.
    pub fn close(&self) {
        self.0.close();
    }
}

impl Inner {
    fn close(&self) {
        self.keeper.stop();
        self.appender.queue.close();
        for thread in self.threads.lock().drain(..) {
            // A thread that panicked has been answered for by its guard; the lock must go all the same.
            let _ = thread.join();
        }
        self.lock.lock().take();
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.close();
    }
}

fn take_lock(fs: &dyn Fs, dir: &Path) -> Result<Box<dyn FileLock>, OpenError> {
    let path = dir.join(LOCK);
    match fs.lock(&path) {
        Ok(mut lock) => {
            // Only for the message that another process gives; the lock itself is what counts.
            let _ = lock.note(format!("{}\n", std::process::id()).as_bytes());
            Ok(lock)
        }
        Err(e) if e.kind() == io::ErrorKind::WouldBlock => {
            let pid = read_file(fs, &path).ok().and_then(|text| String::from_utf8(text).ok()?.trim().parse().ok());
            Err(OpenError::Locked { dir: dir.to_owned(), pid })
        }
        Err(e) => Err(OpenError::io("cannot lock", path)(e)),
    }
}

fn spawn(name: &str, dir: &Path, run: impl FnOnce() + Send + 'static) -> Result<JoinHandle<()>, OpenError> {
    let builder = std::thread::Builder::new().name(name.to_owned());
    builder.spawn(run).map_err(OpenError::io("cannot start a thread for", dir))
}
