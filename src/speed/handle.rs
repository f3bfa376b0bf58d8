//! The handle by which everybody else reads and tells the speed layer.

use super::batch::{BatchInfo, Files, Prepared, State};
use super::config::Config;
use super::error::SpeedError;
use super::lease::{Lease, Leases};
use super::live::Live;
use super::metrics::Metrics;
use super::spill::{self, Spilled};
use super::state::Inner;
use super::windows::Windows;
use crate::event::{BatchId, Boundary, Chunk, Flow, Offset};
use crate::pipeline::bound::Level;
use crate::platform::clock::{Clock, Millis};
use crate::telemetry::Metrics as Registry;
use crate::view::{Fold, Reading, View, ViewError};
use parking_lot::{Mutex, RwLock};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;
use tokio::sync::watch;

/// What the speed layer is given.
#[derive(Debug)]
pub struct Deps {
    /// The compiled views, built-in ones included.
    pub views: Vec<Arc<View>>,
    /// Where the warehouse is complete at the start. Chunks below it are history: they fill windows and rates only.
    pub start: Boundary,
    /// Folder for aggregates that do not fit into memory; what is in it is deleted.
    pub state_dir: PathBuf,
    /// The time.
    pub clock: Clock,
    /// The registry of metrics.
    pub metrics: Registry,
}

/// How far the speed layer is; what [`Speed::subscribe`] announces.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Progress {
    /// First offset that is not in the answers.
    pub applied: Offset,
    /// The newest boundary that was announced.
    pub boundary: Boundary,
}

/// The half in memory. Clones are handles of the same.
#[derive(Clone)]
pub struct Speed(pub(super) Arc<Shared>);

pub(super) struct Shared {
    pub(super) config: Config,
    pub(super) clock: Clock,
    pub(super) metrics: Metrics,
    pub(super) views: Vec<Arc<View>>,
    /// Chunks below this are history.
    pub(super) start: Offset,
    pub(super) inner: RwLock<Inner>,
    /// One per view; `None` for a view without windows.
    pub(super) windows: Vec<Option<Mutex<Windows>>>,
    pub(super) live: Mutex<Live>,
    pub(super) leases: Arc<Leases>,
    progress: watch::Sender<Progress>,
    state_dir: PathBuf,
    /// Bytes of the aggregates in memory.
    pub(super) state_bytes: Level,
    /// Whether the last attempt to write aggregates to files failed, so that it is logged once.
    spill_failed: AtomicBool,
}

impl std::fmt::Debug for Speed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Speed(applied {})", self.applied())
    }
}

impl Speed {
    /// An empty speed layer that begins at `deps.start`.
    ///
    /// # Errors
    /// When what an earlier process left in `deps.state_dir` cannot be removed.
    pub fn new(config: Config, deps: Deps) -> std::io::Result<Speed> {
        spill::clear(&deps.state_dir)?;
        let now = deps.clock.now_ms();
        let windows = deps.views.iter().map(|v| Windows::of(v, config.window_groups, now).map(Mutex::new)).collect();
        let progress = Progress { applied: deps.start.offset, boundary: deps.start };
        Ok(Speed(Arc::new(Shared {
            metrics: Metrics::new(&deps.metrics),
            inner: RwLock::new(Inner::new(deps.views.clone(), deps.start)),
            views: deps.views,
            start: deps.start.offset,
            windows,
            live: Mutex::new(Live::new(&config)),
            leases: Arc::default(),
            progress: watch::Sender::new(progress),
            state_dir: deps.state_dir,
            state_bytes: Level::default(),
            spill_failed: AtomicBool::new(false),
            clock: deps.clock,
            config,
        })))
    }

    /// Takes one message of the flow in. Called by the stage, in order, by one thread.
    ///
    /// # Errors
    /// [`SpeedError::Gap`] or [`SpeedError::WrongSeal`] when the flow is not what was promised; the answers would be wrong.
    pub fn apply(&self, flow: &Flow) -> Result<(), SpeedError> {
        match flow {
            Flow::Chunk(chunk) => self.apply_chunk(chunk)?,
            Flow::Seal(id) => {
                let next = self.0.leases.next();
                self.0.inner.write().seal(*id, self.0.clock.now_ms(), next)?;
            }
        }
        self.announce();
        Ok(())
    }

    fn apply_chunk(&self, chunk: &Arc<Chunk>) -> Result<(), SpeedError> {
        let shared = &self.0;
        let began = Instant::now();
        let mut prepared = Prepared::of(chunk, &shared.views, shared.config.max_failures);
        for (view, reading) in shared.views.iter().zip(&prepared.readings) {
            if let Err(problem) = reading {
                tracing::error!(view = view.name(), %problem, "a chunk could not be folded; the view is down");
            }
        }
        let now = shared.clock.now_ms();
        shared.inner.write().apply(chunk, &mut prepared, now, &shared.config)?;
        let now = shared.clock.now_ms();
        self.add_to_windows(&prepared.readings, now);
        let history = chunk.batch_from < shared.start;
        let gone = shared.live.lock().apply(chunk, now, history);
        drop(gone);
        shared.metrics.apply_seconds.observe(began.elapsed().as_secs_f64());
        if chunk.received_ms.1 > 0 && !history {
            shared.metrics.visible_seconds.observe((now - chunk.received_ms.1).max(0) as f64 / 1000.0);
        }
        Ok(())
    }

    pub(super) fn add_to_windows(&self, readings: &[Result<Reading<'_>, ViewError>], now: Millis) {
        for (windows, reading) in self.0.windows.iter().zip(readings) {
            if let (Some(windows), Ok(reading)) = (windows, reading) {
                let mut windows = windows.lock();
                let gone = windows.advance(now);
                windows.add(reading, now);
                drop(windows);
                drop(gone);
            }
        }
    }

    /// Drops what is committed and no longer leased, ends leases that are too old, and moves aggregates to files when they
    /// are too many. Called by the stage a few times a second.
    pub fn tidy(&self) {
        let shared = &self.0;
        let (expired, left) = shared.leases.expire(shared.config.max_lease.to_duration());
        if expired > 0 {
            shared.metrics.expired.inc_by(expired as u64);
            tracing::warn!(expired, max = %shared.config.max_lease, "readers held state for too long and lost it");
        }
        self.free();
        self.shed();
        self.weigh();
        match self.spill() {
            Ok(()) => shared.spill_failed.store(false, Ordering::Relaxed),
            Err(problem) if !shared.spill_failed.swap(true, Ordering::Relaxed) => {
                tracing::warn!(%problem, "aggregates stay in memory until they can be written");
            }
            Err(_) => {}
        }
        self.weigh();
        let now = shared.clock.now_ms();
        for windows in shared.windows.iter().flatten() {
            let mut windows = windows.lock();
            let gone = windows.advance(now);
            windows.tidy();
            drop(windows);
            drop(gone);
        }
        let inner = shared.inner.read();
        let m = &shared.metrics;
        m.applied.set(inner.applied().0 as i64);
        m.batches.set(inner.batches.len() as i64);
        m.tail_bytes.set(inner.tail_bytes as i64);
        m.state_bytes.set(shared.state_bytes.now() as i64);
        m.leases.set(left as i64);
    }

    fn weigh(&self) {
        let bytes: usize = self.0.inner.read().batches.iter().map(|b| b.state_bytes).sum();
        self.0.state_bytes.set(bytes as u64);
    }

    fn free(&self) {
        let oldest = self.0.leases.oldest();
        let freed = self.0.inner.write().free(oldest);
        // The lock is given back: what was freed is large.
        drop(freed);
    }

    fn spill(&self) -> Result<(), SpeedError> {
        let shared = &self.0;
        loop {
            let candidate = shared.inner.read().to_spill(shared.config.max_state_bytes.as_usize());
            let Some((id, folds)) = candidate else { return Ok(()) };
            let write = |f: Option<Arc<Fold>>| f.map(|f| Spilled::write(&shared.state_dir, id.from, &f)).transpose();
            let files = folds.into_iter().map(write).collect::<Result<Vec<_>, _>>()?;
            let replaced = shared.inner.write().spilled(id, files);
            drop(replaced);
            shared.metrics.spilled.inc();
        }
    }

    /// Has rows that are in files leave memory while the tail is above its bound.
    fn shed(&self) {
        let max = self.0.config.max_tail_bytes.as_usize();
        if self.0.inner.read().tail_bytes > max {
            let shed = self.0.inner.write().shed_rows(max);
            // The lock is given back: what was shed is large.
            drop(shed);
        }
    }

    /// Whether the stage must wait before it takes more: the tail is at twice its bound and the batch layer is about to write
    /// rows to files. Rows of the open micro-batch are no reason: its seal comes the same way as what would wait.
    pub(super) fn is_full(&self) -> bool {
        let inner = self.0.inner.read();
        inner.tail_bytes > 2 * self.0.config.max_tail_bytes.as_usize() && inner.is_being_staged()
    }

    fn announce(&self) {
        let inner = self.0.inner.read();
        let progress = Progress { applied: inner.applied(), boundary: inner.boundary };
        drop(inner);
        self.0.progress.send_replace(progress);
    }

    /// Takes a lease: from now on nothing that is held is dropped. Take it **before** the warehouse snapshot.
    pub fn lease(&self) -> Lease {
        Lease::new(self.clone())
    }

    /// Tells that the warehouse is complete up to here. Call it after the commit.
    pub fn boundary_moved(&self, boundary: Boundary) {
        let next = self.0.leases.next();
        self.0.inner.write().boundary_moved(boundary, next);
        self.free();
        self.announce();
    }

    /// Tells that a micro-batch is a step further; an earlier step than the known one is passed over.
    pub fn note_state(&self, id: BatchId, state: State) {
        let now = self.0.clock.now_ms();
        if let Some(batch) = self.0.inner.write().batch_mut(id) {
            batch.advance(state, now);
        }
    }

    /// Tells that the rows of a micro-batch can be read from files on this machine, until it is committed and no lease is
    /// left. Its rows in memory are given up when the tail is above `speed.max_tail_bytes`.
    pub fn staged(&self, id: BatchId, files: Files) {
        let now = self.0.clock.now_ms();
        self.0.inner.write().staged(id, files, now);
        self.shed();
    }

    /// First offset that is not in the answers.
    pub fn applied(&self) -> Offset {
        self.0.inner.read().applied()
    }

    /// The newest boundary that was announced.
    pub fn boundary(&self) -> Boundary {
        self.0.inner.read().boundary
    }

    /// Wakes whoever waits for progress.
    pub fn subscribe(&self) -> watch::Receiver<Progress> {
        self.0.progress.subscribe()
    }

    /// The micro-batches that are not committed, oldest first.
    pub fn batches(&self) -> Vec<BatchInfo> {
        let inner = self.0.inner.read();
        inner.batches.iter().filter(|b| b.state < State::Committed).map(|b| b.info()).collect()
    }
}
