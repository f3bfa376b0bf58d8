//! The segment file that lies ready before it is needed, its blocks written.
//!
//! A sync of a file that grows has to wait for the file system's own log, and there for the data of every other file that
//! grows: Parquet files and the warehouse's log among them. A sync of blocks that are there already waits for itself only.
//! So a file of zeros is written in the background while the open segment fills up, at a pace that leaves the disk to
//! others, and becomes the next segment by a rename. When none is ready the next segment is an ordinary new file: nothing
//! depends on this but time.

use crate::platform::fs::{File, Fs};
use crate::platform::priority::give_way;
use parking_lot::{Condvar, Mutex};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// Name of the file while it is no segment. One that a crash left behind is removed at the start.
pub(super) const NAME: &str = "spare.tmp";

/// Bytes that are written and synced at once: the writer's own sync may have to wait for that long.
const PIECE: usize = 1 << 20;
/// Of the time that a piece took, how many times over the disk is left to others before the next.
const REST: u32 = 3;
/// Above this many bytes a second of journal the disk has no time to spare, and filling waits.
const BUSY: u64 = 64 << 20;
/// How long it then waits before it looks again.
const LOOK_AGAIN: Duration = Duration::from_millis(if cfg!(test) { 10 } else { 200 });
/// How many segments must fit into the free room, so that a small disk is not filled with zeros.
const ROOM: u64 = 4;
/// After a failure nothing is tried for this long.
const PAUSE: Duration = Duration::from_secs(60);

#[derive(Debug, Default)]
enum State {
    #[default]
    None,
    Wanted,
    Ready(Arc<dyn File>),
    Closed,
}

/// What the writer and the thread that fills the file share.
#[derive(Debug, Default)]
pub(super) struct Spare {
    state: Mutex<State>,
    changed: Condvar,
    /// Bytes of journal that were written since the start.
    written: AtomicU64,
}

impl Spare {
    /// Asks for one, unless there is one or is going to be.
    pub(super) fn want(&self) {
        let mut state = self.state.lock();
        if matches!(*state, State::None) {
            *state = State::Wanted;
            self.changed.notify_all();
        }
    }

    /// Whether one is ready.
    pub(super) fn is_ready(&self) -> bool {
        matches!(*self.state.lock(), State::Ready(_))
    }

    /// The file [`NAME`], if it is ready: whoever takes it renames or removes it.
    pub(super) fn take(&self) -> Option<Arc<dyn File>> {
        let mut state = self.state.lock();
        match std::mem::take(&mut *state) {
            State::Ready(file) => Some(file),
            other => {
                *state = other;
                None
            }
        }
    }

    /// The journal has grown by so much.
    pub(super) fn wrote(&self, bytes: u64) {
        self.written.fetch_add(bytes, Ordering::Relaxed);
    }

    /// Ends the thread that fills it.
    pub(super) fn close(&self) {
        *self.state.lock() = State::Closed;
        self.changed.notify_all();
    }

    /// Sleeps; whether the journal is still open then.
    fn rest(&self, time: Duration) -> bool {
        let until = Instant::now() + time;
        let mut state = self.state.lock();
        while !matches!(*state, State::Closed) {
            if self.changed.wait_until(&mut state, until).timed_out() {
                return true;
            }
        }
        false
    }

    /// Waits until one is wanted; `false` when the journal closes.
    fn wanted(&self) -> bool {
        let mut state = self.state.lock();
        loop {
            match *state {
                State::Wanted => return true,
                State::Closed => return false,
                State::None | State::Ready(_) => self.changed.wait(&mut state),
            }
        }
    }

    /// Sets what came of it, unless the journal was closed meanwhile.
    fn set(&self, new: State) {
        let mut state = self.state.lock();
        if !matches!(*state, State::Closed) {
            *state = new;
        }
    }
}

/// The thread that fills the file.
#[derive(Debug)]
pub(super) struct Preparer {
    pub(super) spare: Arc<Spare>,
    pub(super) fs: Arc<dyn Fs>,
    pub(super) dir: PathBuf,
    /// Length of the file.
    pub(super) bytes: u64,
}

impl Preparer {
    /// Runs until [`Spare::close`], and takes a file that nobody wants any more away.
    pub(super) fn run(self) {
        give_way();
        while self.spare.wanted() {
            match self.fill() {
                Ok(Some(file)) => self.spare.set(State::Ready(file)),
                Ok(None) => break,
                Err(error) => {
                    // What is wrong with the disk, if anything is, the journal's own writes will say.
                    tracing::debug!(%error, "no journal segment could be prepared");
                    let _ = self.fs.remove(&self.path());
                    if !self.spare.rest(PAUSE) {
                        break;
                    }
                    self.spare.set(State::None);
                }
            }
        }
        let _ = self.fs.remove(&self.path());
    }

    /// The file, filled and durable but for its name; `None` when the journal closes.
    fn fill(&self) -> io::Result<Option<Arc<dyn File>>> {
        let space = self.fs.space(&self.dir)?;
        if space.total.saturating_sub(space.used) < self.bytes.saturating_mul(ROOM) {
            return Err(io::ErrorKind::StorageFull.into());
        }
        match self.fs.remove(&self.path()) {
            Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(e),
            _ => {}
        }
        let file = self.fs.create_new(&self.path())?;
        let zeros = vec![0; PIECE.min(usize::try_from(self.bytes).unwrap_or(PIECE))];
        let mut at = 0;
        while at < self.bytes {
            let (begun, before) = (Instant::now(), self.spare.written.load(Ordering::Relaxed));
            let piece = zeros.len().min(usize::try_from(self.bytes - at).unwrap_or(zeros.len()));
            file.write_all_at(&zeros[..piece], at)?;
            file.sync_data()?;
            at += piece as u64;
            if !self.spare.rest(begun.elapsed() * REST) || !self.until_calm(begun, before) {
                return Ok(None);
            }
        }
        Ok(Some(file))
    }

    /// Waits for as long as the journal needs the disk for itself; `false` when it closes.
    fn until_calm(&self, mut since: Instant, mut before: u64) -> bool {
        loop {
            let now = self.spare.written.load(Ordering::Relaxed);
            let grown = now.saturating_sub(before) as f64;
            if grown <= BUSY as f64 * since.elapsed().as_secs_f64().max(0.05) {
                return true;
            }
            (since, before) = (Instant::now(), now);
            if !self.spare.rest(LOOK_AGAIN) {
                return false;
            }
        }
    }

    fn path(&self) -> PathBuf {
        path(&self.dir)
    }
}

/// Where the file lies while it is no segment.
pub(super) fn path(dir: &Path) -> PathBuf {
    dir.join(NAME)
}
