//! One thread that serves connections: what they share, and the two tasks that run beside them.
//!
//! Everything hot lies behind one lock that only this thread takes, so it is never waited for. Time-outs are not timers:
//! each connection leaves a deadline in its slot, and a sweep a few times a second wakes those that are over.

use super::gather::{Open, Slot};
use super::identity::Entropy;
use super::metrics::CollectorMetrics;
use super::settings::Settings;
use super::wall::Wall;
use crate::journal::Appender;
use crate::net::Budget;
use crate::net::http1::{Head, HeadLimits};
use crate::platform::clock::Clock;
use parking_lot::Mutex;
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::task::Poll;
use std::time::{Duration, Instant};

/// How often deadlines are looked at: the precision of every time-out.
pub const SWEEP: Duration = Duration::from_millis(100);

/// Bytes read at once. Requests that are complete in it are answered without being copied.
pub const SCRATCH: usize = 64 * 1024;

/// Whether the journal can be written and synced now. Called on a thread that serves connections: it must not block.
pub type Health = Arc<dyn Fn() -> Result<(), String> + Send + Sync>;

/// Limits of one connection, in units that the loops compare with.
#[derive(Clone, Debug)]
#[allow(missing_docs)]
pub struct ConnectionSettings {
    pub head: HeadLimits,
    pub body_max: usize,
    pub queue_bytes: usize,
    pub requests: u64,
    pub header_timeout: i64,
    pub body_timeout: i64,
    pub store_timeout: i64,
    pub write_timeout: i64,
    pub idle_timeout: i64,
    pub http2: Option<(u32, u32)>,
}

/// What all workers share.
#[derive(Clone)]
#[allow(missing_docs)]
pub struct Shared {
    pub settings: Arc<Settings>,
    pub limits: Arc<ConnectionSettings>,
    pub appender: Appender,
    pub health: Health,
    pub clock: Clock,
    pub metrics: CollectorMetrics,
    pub budget: Budget,
    /// Told to stop, still serving: replies say `Connection: close`.
    pub draining: Arc<AtomicBool>,
    /// No longer serving: resting connections are closed.
    pub stopping: Arc<AtomicBool>,
}

/// What only the worker's own thread touches.
#[allow(missing_docs)]
pub struct Hot {
    pub open: Open,
    pub wall: Wall,
    pub entropy: Entropy,
    pub head: Head,
    pub scratch: Box<[u8]>,
    pub out: Vec<u8>,
}

/// One worker.
pub struct Worker {
    /// What all workers share.
    pub shared: Shared,
    hot: Mutex<Hot>,
    slots: Mutex<HashMap<u64, Arc<Slot>, ahash::RandomState>>,
    next_slot: AtomicU64,
    started: Instant,
    coarse: AtomicI64,
}

impl Worker {
    /// A worker with no connection.
    pub fn new(shared: Shared) -> Arc<Self> {
        let hot = Hot {
            open: Open::default(),
            wall: Wall::new(shared.clock.now_ms(), shared.settings.cookie_age),
            entropy: Entropy::System,
            head: Head::default(),
            scratch: vec![0; SCRATCH].into(),
            out: Vec::with_capacity(SCRATCH),
        };
        Arc::new(Worker {
            shared,
            hot: Mutex::new(hot),
            slots: Mutex::default(),
            next_slot: AtomicU64::new(0),
            started: Instant::now(),
            coarse: AtomicI64::new(0),
        })
    }

    /// What only this thread touches. Never held across an await.
    pub fn hot(&self) -> parking_lot::MutexGuard<'_, Hot> {
        self.hot.lock()
    }

    /// Milliseconds since the worker started, as of the last sweep.
    pub fn coarse_ms(&self) -> i64 {
        self.coarse.load(Ordering::Relaxed)
    }

    /// Whether records of another request may be added.
    pub fn has_room(&self, open: &Open) -> bool {
        let limits = &self.shared.limits;
        open.has_room(limits.queue_bytes, self.coarse_ms().saturating_sub(limits.store_timeout))
    }

    /// Whether replies should say `Connection: close`.
    pub fn is_draining(&self) -> bool {
        self.shared.draining.load(Ordering::Relaxed)
    }

    /// Whether resting connections should close.
    pub fn is_stopping(&self) -> bool {
        self.shared.stopping.load(Ordering::Relaxed)
    }

    /// A slot that is swept until its ticket is dropped.
    pub fn new_slot(self: &Arc<Self>) -> SlotTicket {
        let slot = Arc::new(Slot::default());
        slot.set_deadline(i64::MAX);
        let number = self.next_slot.fetch_add(1, Ordering::Relaxed);
        self.slots.lock().insert(number, slot.clone());
        SlotTicket { slot, number, worker: self.clone() }
    }

    /// Wakes everybody whose deadline is over, for ever.
    pub async fn sweep(self: Arc<Self>) {
        let mut tick = tokio::time::interval(SWEEP);
        tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Skip);
        let mut stop_told = false;
        loop {
            tick.tick().await;
            let now = i64::try_from(self.started.elapsed().as_millis()).unwrap_or(i64::MAX);
            self.coarse.store(now, Ordering::Relaxed);
            // Told once: those that are resting then close, and the others look by themselves before they rest again.
            let all = self.is_stopping() && !std::mem::replace(&mut stop_told, true);
            for slot in self.slots.lock().values() {
                if all || slot.deadline() <= now {
                    slot.wake();
                }
            }
        }
    }

    /// Hands records to the journal, for ever.
    pub async fn flush(self: Arc<Self>) {
        loop {
            let batch = std::future::poll_fn(|cx| self.hot().open.poll_next(cx, self.coarse_ms())).await;
            let worker = self.clone();
            tokio::spawn(async move {
                let held = batch.bytes() as u64;
                worker.shared.metrics.in_flight.add(held);
                let key = batch.append(&worker.shared.appender, &worker.shared.metrics).await;
                worker.shared.metrics.in_flight.sub(held);
                worker.hot().open.finished(key);
            });
        }
    }

    /// Resolves when nothing waits for the journal any more.
    pub async fn settled(&self) {
        while !self.hot().open.is_idle() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
}

/// A slot in use.
pub struct SlotTicket {
    /// The slot.
    pub slot: Arc<Slot>,
    number: u64,
    worker: Arc<Worker>,
}

impl SlotTicket {
    /// Waits for what the journal says; `None` when `timeout` (milliseconds) is over first.
    pub async fn outcome(&self, timeout: i64) -> Option<super::gather::Outcome> {
        self.slot.set_deadline(self.worker.coarse_ms().saturating_add(timeout));
        std::future::poll_fn(|cx| {
            self.slot.set_waker(cx.waker());
            match self.slot.take() {
                Some(outcome) => Poll::Ready(Some(outcome)),
                None if self.slot.deadline() <= self.worker.coarse_ms() => Poll::Ready(None),
                None => Poll::Pending,
            }
        })
        .await
    }
}

impl Drop for SlotTicket {
    fn drop(&mut self) {
        self.worker.slots.lock().remove(&self.number);
    }
}
