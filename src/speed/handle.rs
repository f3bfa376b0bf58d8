//! The handle by which everybody else reads and tells the speed layer.

use super::batch::{BatchInfo, Files, Prepared, State};
use super::causes::CauseGroup;
use super::config::Config;
use super::error::SpeedError;
use super::latency::Visible;
use super::lease::{LeaseTicket, Leases};
use super::live::Live;
use super::metrics::Metrics;
use super::recent::{self, Item, Passed};
use super::spill;
use super::state::{Inner, Memory, Tail, Wanted};
use super::wall::{Rates, Site};
use crate::event::{BatchId, Boundary, Chunk, Flow, Offset, Processed, Tally};
use crate::platform::clock::Clock;
use crate::telemetry::Metrics as Registry;
use crate::view::{Half, View, ViewQuery};
use parking_lot::{Mutex, RwLock};
use std::path::PathBuf;
use std::sync::Arc;
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
    pub(super) inner: RwLock<Inner>,
    pub(super) live: Mutex<Live>,
    pub(super) leases: Arc<Leases>,
    progress: watch::Sender<Progress>,
    state_dir: PathBuf,
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
        let progress = Progress { applied: deps.start.offset, boundary: deps.start };
        Ok(Speed(Arc::new(Shared {
            metrics: Metrics::new(&deps.metrics),
            inner: RwLock::new(Inner::new(deps.views, deps.start)),
            live: Mutex::new(Live::new(&config)),
            leases: Arc::default(),
            progress: watch::Sender::new(progress),
            state_dir: deps.state_dir,
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
        let prepared = Prepared::of(chunk, shared.config.max_failures);
        let now = shared.clock.now_ms();
        shared.inner.write().apply(chunk, prepared, now, &shared.config)?;
        let now = shared.clock.now_ms();
        let gone = shared.live.lock().apply(chunk, now);
        drop(gone);
        shared.metrics.apply_seconds.observe(began.elapsed().as_secs_f64());
        if chunk.received_ms.1 > 0 {
            shared.metrics.visible_seconds.observe((now - chunk.received_ms.1).max(0) as f64 / 1000.0);
        }
        Ok(())
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
        if let Err(problem) = self.spill() {
            tracing::warn!(%problem, "aggregates stay in memory");
        }
        let inner = shared.inner.read();
        let m = &shared.metrics;
        m.applied.set(inner.applied().0 as i64);
        m.batches.set(inner.batches.len() as i64);
        m.tail_bytes.set(inner.tail_bytes as i64);
        m.state_bytes.set(inner.batches.iter().map(|b| b.state_bytes as i64).sum());
        m.leases.set(left as i64);
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
            let candidate = shared.inner.write().to_spill(shared.config.max_state_bytes.as_usize());
            let Some(id) = candidate else { return Ok(()) };
            let files = shared.inner.read().write_spill(id, &shared.state_dir)?;
            let replaced = shared.inner.write().spilled(id, files);
            drop(replaced);
            shared.metrics.spilled.inc();
        }
    }

    /// Whether the stage must wait before it takes more: the tail is at twice its bound and the batch layer has micro-batches
    /// to work off.
    pub(super) fn is_full(&self) -> bool {
        let inner = self.0.inner.read();
        let sealed = inner.batches.iter().any(|b| b.state > State::Open && b.state < State::Committed);
        sealed && inner.tail_bytes > 2 * self.0.config.max_tail_bytes.as_usize()
    }

    fn announce(&self) {
        let inner = self.0.inner.read();
        let progress = Progress { applied: inner.applied(), boundary: inner.boundary };
        drop(inner);
        self.0.progress.send_replace(progress);
    }

    /// Takes a lease: from now on nothing that is held is dropped. Take it **before** the warehouse snapshot.
    pub fn lease(&self) -> Lease {
        Lease { speed: self.clone(), ticket: self.0.leases.take() }
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
    pub fn uploaded(&self, id: BatchId, files: Files) {
        let now = self.0.clock.now_ms();
        self.0.inner.write().uploaded(id, files, now, self.0.config.max_tail_bytes.as_usize());
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

    /// Rates of everything together.
    pub fn rates(&self) -> Rates {
        self.0.live.lock().wall.rates(self.0.clock.now_ms())
    }

    /// The wall of sites, by name.
    pub fn sites(&self) -> Vec<Site> {
        self.0.live.lock().wall.sites(self.0.clock.now_ms())
    }

    /// From receipt to visibility, over the last minute.
    pub fn visible(&self) -> Visible {
        self.0.live.lock().latency.visible(self.0.clock.now_ms())
    }

    /// Causes of failure in the last `window_ms` (an hour at most), most frequent first.
    pub fn failed_causes(&self, window_ms: i64) -> Vec<CauseGroup> {
        self.0.live.lock().causes.list(self.0.clock.now_ms(), window_ms)
    }

    /// The newest `n` outcomes, oldest first, as far as they are kept.
    pub fn recent(&self, n: usize) -> Vec<Item> {
        self.0.live.lock().recent.newest(n)
    }

    /// The number of the next outcome: where a watcher that wants only new ones begins.
    pub fn recent_end(&self) -> u64 {
        self.0.live.lock().recent.next()
    }

    /// What went by from number `from` on: at most `most` of the outcomes that `wanted` lets through are shown.
    pub fn passed(&self, from: u64, most: usize, wanted: &dyn Fn(&Processed) -> bool) -> Passed {
        let (chunks, next) = {
            let live = self.0.live.lock();
            (live.recent.since(from), live.recent.next())
        };
        recent::passed(&chunks, from, next, most, wanted)
    }
}

/// What a reader holds: nothing that was in memory when it was taken is dropped while it lives (for `speed.max_lease`).
#[derive(Debug)]
pub struct Lease {
    speed: Speed,
    ticket: LeaseTicket,
}

/// One view's part of an answer.
#[derive(Clone, Debug)]
pub struct SpeedPart {
    /// The groups, folded under the plan of the question.
    pub half: Half,
    /// First offset that is not in it.
    pub applied: Offset,
    /// Counts of all outcomes from the boundary up to `applied`.
    pub tally: Tally,
}

impl Lease {
    /// Everything wanted at and above a boundary, as of one moment.
    ///
    /// # Errors
    /// The lease is too old, the offset is no boundary that memory reaches down to, or the question is wrong.
    pub fn read(&self, above: Offset, wanted: &Wanted<'_>) -> Result<Memory, SpeedError> {
        let pending = {
            let inner = self.speed.0.inner.read();
            if !self.ticket.is_live() {
                return Err(SpeedError::LeaseExpired);
            }
            inner.read(above, wanted)?
        };
        pending.finish()
    }

    /// One view's part of the answer to a question.
    ///
    /// # Errors
    /// As [`Lease::read`].
    pub fn view(&self, name: &str, above: Offset, query: &ViewQuery) -> Result<SpeedPart, SpeedError> {
        let view = self.speed.0.inner.read().views.iter().find(|v| v.name() == name).cloned();
        let view = view.ok_or_else(|| SpeedError::NoSuchView(name.to_owned()))?;
        let plan = Arc::new(view.plan(query)?);
        let mut memory = self.read(above, &Wanted { views: &[(name, plan.clone())], tail: false })?;
        let half = memory.halves.pop().unwrap_or_else(|| Half::empty(&view, &plan));
        Ok(SpeedPart { half, applied: memory.applied, tally: memory.tally })
    }

    /// The rows at and above a boundary.
    ///
    /// # Errors
    /// As [`Lease::read`].
    pub fn tail(&self, above: Offset) -> Result<(Tail, Offset), SpeedError> {
        let memory = self.read(above, &Wanted { views: &[], tail: true })?;
        Ok((memory.tail.unwrap_or_default(), memory.applied))
    }

    /// The micro-batches that are not committed, oldest first.
    pub fn batches(&self) -> Vec<BatchInfo> {
        self.speed.batches()
    }

    /// Whether reads under it still work.
    pub fn is_live(&self) -> bool {
        self.ticket.is_live()
    }
}
