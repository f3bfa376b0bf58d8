//! The thread that stops queries and takes snapshots back when their time is up.

use super::reader::Held;
use duckdb::InterruptHandle;
use parking_lot::{Condvar, Mutex};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

/// How late a limit may take effect.
const TICK: Duration = Duration::from_millis(20);

/// The limits of one snapshot.
pub(super) struct Watched {
    interrupt: Arc<InterruptHandle>,
    limits: Mutex<Limits>,
    expired: AtomicBool,
}

#[derive(Default)]
struct Limits {
    snapshot: Option<Instant>,
    query: Option<Instant>,
    late: bool,
}

impl Watched {
    pub(super) fn new(interrupt: Arc<InterruptHandle>) -> Self {
        Watched { interrupt, limits: Mutex::default(), expired: AtomicBool::new(false) }
    }

    pub(super) fn expire_at(&self, at: Instant) {
        self.limits.lock().snapshot = Some(at);
    }

    pub(super) fn is_expired(&self) -> bool {
        self.expired.load(Ordering::SeqCst)
    }

    pub(super) fn start_query(&self, stop_at: Instant) {
        let mut limits = self.limits.lock();
        limits.query = Some(stop_at);
        limits.late = false;
    }

    /// Whether the query was stopped.
    pub(super) fn end_query(&self) -> bool {
        let mut limits = self.limits.lock();
        limits.query = None;
        limits.late
    }

    /// Stops what is over its time. True when the snapshot is to be given back.
    fn check(&self, now: Instant) -> bool {
        let mut limits = self.limits.lock();
        let expired = limits.snapshot.is_some_and(|at| at <= now);
        if expired {
            self.expired.store(true, Ordering::SeqCst);
        }
        if limits.query.is_some_and(|at| expired || at <= now) {
            limits.late = true;
            // Again at every tick: an interrupt that comes before the query has begun is forgotten.
            self.interrupt.interrupt();
        }
        expired
    }
}

struct List {
    held: Vec<Weak<Held>>,
    closed: bool,
}

/// The thread. It ends when this is dropped.
pub(super) struct Watch(Arc<(Mutex<List>, Condvar)>);

impl Watch {
    pub(super) fn start() -> std::io::Result<Self> {
        let shared = Arc::new((Mutex::new(List { held: Vec::new(), closed: false }), Condvar::new()));
        let list = shared.clone();
        std::thread::Builder::new().name("warehouse-watch".to_owned()).spawn(move || run(&list))?;
        Ok(Watch(shared))
    }

    pub(super) fn add(&self, held: &Arc<Held>) {
        self.0.0.lock().held.push(Arc::downgrade(held));
        self.0.1.notify_one();
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.0.0.lock().closed = true;
        self.0.1.notify_one();
    }
}

fn run((list, changed): &(Mutex<List>, Condvar)) {
    loop {
        let mut alive = Vec::new();
        {
            let mut list = list.lock();
            while list.held.is_empty() && !list.closed {
                changed.wait(&mut list);
            }
            if list.closed {
                return;
            }
            list.held.retain(|held| {
                let held = held.upgrade();
                let lives = held.is_some();
                alive.extend(held);
                lives
            });
        }
        // Outside the lock: giving back ends a transaction, and the last one to let go of the pool ends this thread.
        let now = Instant::now();
        for held in alive {
            if held.watched.check(now) {
                held.give_back();
            }
        }
        std::thread::sleep(TICK);
    }
}
