//! The driver: three threads, so that intake, writing files and committing do not wait for each other.
//!
//! `batch-intake` gathers chunks into the open micro-batch; `batch-stage` writes the files of sealed ones, which frees their
//! rows; `batch-commit` uploads and commits, one after the other in journal order. Between them stand bounded queues: while
//! the lake or the warehouse is away, up to `batch.max_waiting` micro-batches wait on local disk, then the pipeline waits.

use super::callbacks::{Callbacks, OnStaged, OnState};
use super::config::{Config, LakeConfig};
use super::error::{CommitError, StageError, StartError};
use super::fields::Fields;
use super::lake::Lake;
use super::metrics::BatchMetrics;
use super::patience::Patience;
use super::planner::Plan;
use super::status::{BatchState, Phase, Status};
use super::warehouse::Warehouse;
use super::work::{Batch, Committed, Open, Sealed, StageTools, Staged, Uploaded};
use crate::event::{BatchId, Boundary, Flow, Offset};
use crate::pipeline::backoff::Backoff;
use crate::pipeline::drain::Drain;
use crate::pipeline::link::{LinkReceiver, LinkSender, NotSent, Received, link};
use crate::platform::clock::Clock;
use crate::platform::failpoint::fail_point;
use crate::platform::priority::give_way;
use crate::view::View;
use parking_lot::Mutex;
use std::path::PathBuf;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// Sealed micro-batches whose rows wait in memory for their files.
const IN_MEMORY: usize = 2;
const FIRST_PAUSE: Duration = Duration::from_millis(200);
const LONGEST_PAUSE: Duration = Duration::from_secs(15);
/// How long the commit thread waits for work before it looks whether something is to be tidied.
const IDLE: Duration = Duration::from_millis(500);

/// The stage before it runs.
pub struct BatchStage {
    pub(super) config: Config,
    pub(super) lake_config: LakeConfig,
    pub(super) plan: Plan,
    pub(super) fields: Fields,
    pub(super) lake: Lake,
    pub(super) warehouse: Box<dyn Warehouse>,
    pub(super) views: Vec<Arc<View>>,
    pub(super) staging: PathBuf,
    pub(super) boundary: Boundary,
    pub(super) clock: Clock,
    pub(super) metrics: BatchMetrics,
    pub(super) status: Status,
    pub(super) drain: Drain,
}

/// The stage while it runs.
#[derive(Debug)]
pub struct Running {
    threads: Vec<JoinHandle<()>>,
}

impl Running {
    /// Waits until all three threads have ended: after the link is closed, and at the latest `batch.drain` after the drain.
    pub fn join(self) {
        for thread in self.threads {
            if thread.join().is_err() {
                tracing::error!("a thread of the batch layer has panicked");
            }
        }
    }
}

impl BatchStage {
    /// Starts the threads.
    ///
    /// # Errors
    /// When a thread cannot be started.
    pub fn start(self, flow: LinkReceiver<Flow>, callbacks: Callbacks) -> Result<Running, StartError> {
        let (sealed_tx, sealed_rx) = link("batch-sealed", IN_MEMORY);
        let (staged_tx, staged_rx) = link("batch-staged", self.config.max_waiting);
        let shared = Shared {
            clock: self.clock,
            metrics: self.metrics,
            status: self.status,
            drain: self.drain,
            on_state: callbacks.on_state,
        };
        let fields = Arc::new(Mutex::new(self.fields));
        let intake = Intake {
            plan: self.plan.clone(),
            open: Batch::new(self.boundary.offset),
            fields: fields.clone(),
            shared: shared.clone(),
        };
        let stager = Stager {
            fields,
            views: self.views,
            folder: self.staging,
            zstd_level: self.lake_config.zstd_level,
            on_staged: callbacks.on_staged,
            shared: shared.clone(),
        };
        let committer = Committer {
            lake: self.lake,
            warehouse: self.warehouse,
            plan: self.plan,
            on_commit: callbacks.on_commit,
            patience: Patience::new(shared.drain.clone(), self.config.drain.to_duration()),
            shared,
        };
        let threads = vec![
            spawn("batch-intake", move || intake.run(&flow, &sealed_tx))?,
            spawn("batch-stage", move || {
                give_way();
                stager.run(&sealed_rx, &staged_tx);
            })?,
            spawn("batch-commit", move || {
                give_way();
                committer.run(&staged_rx);
            })?,
        ];
        Ok(Running { threads })
    }
}

fn spawn(name: &str, work: impl FnOnce() + Send + 'static) -> Result<JoinHandle<()>, StartError> {
    std::thread::Builder::new().name(name.to_owned()).spawn(work).map_err(StartError::Thread)
}

/// What all three threads use.
#[derive(Clone)]
struct Shared {
    clock: Clock,
    metrics: BatchMetrics,
    status: Status,
    drain: Drain,
    on_state: Option<OnState>,
}

impl Shared {
    fn tell(&self, id: BatchId, change: impl FnOnce(&mut BatchState)) {
        if let (Some(state), Some(tell)) = (self.status.change(id, change), &self.on_state) {
            tell(&state);
        }
    }

    fn enter(&self, id: BatchId, phase: Phase) {
        let now = self.clock.now_ms();
        self.tell(id, |state| {
            state.phase = phase;
            state.since_ms = now;
            state.retries = 0;
            state.error = None;
        });
    }

    fn trouble(&self, id: BatchId, doing: &str, error: &dyn std::fmt::Display) {
        self.metrics.retries.inc();
        tracing::warn!(batch = %id, %error, "cannot {doing} a micro-batch; it will be tried again");
        self.tell(id, |state| {
            state.retries += 1;
            state.error = Some(format!("cannot {doing}: {error}"));
        });
    }

    /// What cannot be put right by trying again.
    fn stop(&self, why: String) {
        tracing::error!(error = %why, "commits have stopped; what is accepted stays in the journal");
        self.metrics.stopped.set(1);
        self.status.stop(why);
    }
}

struct Intake {
    plan: Plan,
    open: Batch<Open>,
    fields: Arc<Mutex<Fields>>,
    shared: Shared,
}

impl Intake {
    fn run(mut self, flow: &LinkReceiver<Flow>, sealed: &LinkSender<Batch<Sealed>>) {
        while let Some(message) = flow.recv() {
            let done = match message {
                Flow::Chunk(chunk) => self.open.add(chunk, &mut self.fields.lock()),
                Flow::Seal(id) => match self.seal(id) {
                    Ok(batch) => match sealed.send(batch) {
                        Ok(()) => Ok(()),
                        Err(_) => return,
                    },
                    Err(e) => Err(e),
                },
            };
            if let Err(e) = done {
                // The stages disagree about offsets: anything committed from here on could be wrong.
                return self.shared.stop(e.to_string());
            }
        }
    }

    fn seal(&mut self, id: BatchId) -> Result<Batch<Sealed>, StageError> {
        let decision = self.plan.decision(id).ok_or(StageError::NotPlanned(id))?;
        let now = self.shared.clock.now_ms();
        let batch = std::mem::replace(&mut self.open, Batch::new(id.to)).seal(decision, now)?;
        self.shared.status.add(BatchState {
            id,
            phase: Phase::Sealed,
            rows: batch.rows(),
            bytes: 0,
            sealed_ms: now,
            since_ms: now,
            retries: 0,
            error: None,
        });
        self.shared.metrics.waiting.inc();
        self.shared.enter(id, Phase::Sealed);
        fail_point("batch::sealed");
        Ok(batch)
    }
}

struct Stager {
    fields: Arc<Mutex<Fields>>,
    views: Vec<Arc<View>>,
    folder: PathBuf,
    zstd_level: i32,
    on_staged: Option<OnStaged>,
    shared: Shared,
}

impl Stager {
    fn run(mut self, sealed: &LinkReceiver<Batch<Sealed>>, staged: &LinkSender<Batch<Staged>>) {
        while let Some(batch) = sealed.recv() {
            let Some(batch) = self.stage(batch) else { return };
            fail_point("batch::written");
            let sent = match staged.try_send(batch) {
                Err(NotSent::Full(batch)) => {
                    self.shared.status.waits();
                    staged.send(batch).is_ok()
                }
                sent => sent.is_ok(),
            };
            if !sent {
                return;
            }
        }
    }

    /// Tries until it works. `None` when the program is to end first.
    fn stage(&mut self, batch: Batch<Sealed>) -> Option<Batch<Staged>> {
        let mut backoff = Backoff::new(FIRST_PAUSE, LONGEST_PAUSE);
        loop {
            let start = Instant::now();
            let mut tools = StageTools {
                folder: &self.folder,
                fields: &self.fields,
                views: &self.views,
                zstd_level: self.zstd_level,
                clock: &self.shared.clock,
            };
            match batch.write(&mut tools) {
                Ok(proof) => {
                    let id = batch.id();
                    let batch = batch.staged(proof);
                    self.shared.metrics.stage_seconds.observe(start.elapsed().as_secs_f64());
                    let bytes = batch.load().files.iter().map(|f| f.lake.bytes).sum();
                    if let Some(tell) = &self.on_staged {
                        tell(id, &batch.load().files);
                    }
                    self.shared.tell(id, |state| state.bytes = bytes);
                    self.shared.enter(id, Phase::Staged);
                    return Some(batch);
                }
                Err(e) => self.shared.trouble(batch.id(), "write the files of", &e),
            }
            if self.shared.drain.sleep(backoff.pause()) {
                return None;
            }
        }
    }
}

struct Committer {
    lake: Lake,
    warehouse: Box<dyn Warehouse>,
    plan: Plan,
    on_commit: Vec<Box<dyn Fn(Boundary) + Send>>,
    patience: Patience,
    shared: Shared,
}

impl Committer {
    fn run(mut self, staged: &LinkReceiver<Batch<Staged>>) {
        let mut tidy = true;
        while self.patience.lasts() {
            match staged.recv_timeout(if tidy { Duration::ZERO } else { IDLE }) {
                Received::Message(batch) => {
                    let Some(batch) = self.upload(batch) else { return };
                    let Some(batch) = self.commit(batch) else { return };
                    self.finish(batch);
                    tidy = true;
                }
                Received::Nothing => tidy = self.tidy(),
                Received::Closed => return,
            }
        }
        let left: Vec<Offset> = self.plan.open_decisions().iter().map(|d| d.id.from).collect();
        if let Some(first) = left.first() {
            tracing::info!(from = %first, micro_batches = left.len(), "left to the journal; they will be committed at the next start");
        }
    }

    fn upload(&mut self, batch: Batch<Staged>) -> Option<Batch<Uploaded>> {
        let id = batch.load().id;
        let mut backoff = Backoff::new(FIRST_PAUSE, LONGEST_PAUSE);
        let start = Instant::now();
        loop {
            match batch.put(&self.lake, &self.shared.clock) {
                Ok(proof) => {
                    self.shared.metrics.upload_seconds.observe(start.elapsed().as_secs_f64());
                    let bytes = batch.load().files.iter().map(|f| f.lake.bytes).sum();
                    self.shared.metrics.lake_bytes.inc_by(bytes);
                    self.shared.enter(id, Phase::Uploaded);
                    fail_point("batch::uploaded");
                    return Some(batch.uploaded(proof));
                }
                Err(e) => self.shared.trouble(id, "upload", &e),
            }
            if !self.patience.sleep(backoff.pause()) {
                return None;
            }
        }
    }

    fn commit(&mut self, batch: Batch<Uploaded>) -> Option<Batch<Committed>> {
        let id = batch.load().id;
        let mut backoff = Backoff::new(FIRST_PAUSE, LONGEST_PAUSE);
        let start = Instant::now();
        loop {
            fail_point("batch::before_commit");
            match batch.commit(&mut *self.warehouse) {
                Ok(outcome) => {
                    fail_point("batch::committed");
                    self.shared.metrics.commit_seconds.observe(start.elapsed().as_secs_f64());
                    return Some(batch.committed(outcome));
                }
                Err(e @ CommitError::Gap { .. }) => {
                    self.shared.stop(e.to_string());
                    return None;
                }
                Err(e) => self.shared.trouble(id, "commit", &e),
            }
            if !self.patience.sleep(backoff.pause()) {
                return None;
            }
        }
    }

    /// Tells everybody, then drops what is no longer needed.
    fn finish(&mut self, batch: Batch<Committed>) {
        let (load, boundary) = (batch.load(), batch.outcome().boundary);
        let metrics = &self.shared.metrics;
        metrics.committed.inc();
        metrics.rows.inc_by(load.tally.enriched);
        metrics.unfit.inc_by(load.unfit);
        metrics.boundary.set(i64::try_from(boundary.offset.0).unwrap_or(i64::MAX));
        metrics.waiting.dec();
        let lag = self.shared.clock.now_ms().saturating_sub(load.steps.sealed_ms).max(0);
        metrics.lag_seconds.observe(lag as f64 / 1000.0);
        self.shared.enter(load.id, Phase::Committed);
        self.shared.status.committed(boundary);
        for tell in &self.on_commit {
            tell(boundary);
        }
        fail_point("batch::notified");
        self.plan.committed(boundary.offset);
        batch.release_files();
        fail_point("batch::staging_removed");
    }

    /// True when there is more to tidy.
    fn tidy(&mut self) -> bool {
        match self.warehouse.maintain() {
            Ok(more) => {
                fail_point("batch::tidied");
                more
            }
            Err(e) => {
                tracing::warn!(error = %e, "cannot tidy the warehouse; it will be tried again after the next commit");
                false
            }
        }
    }
}
