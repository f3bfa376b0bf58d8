//! From many requests to one append: the records of all connections that woke up together go to the journal as one.
//!
//! A connection adds its records and leaves its [`Slot`]; the flusher, a task that runs after the connections that are
//! ready, hands everything to the journal and gives each slot the receipt. So a burst costs one queue entry, one wake-up
//! across threads and one share of a sync, however many requests it has. What may wait is bounded in bytes; beyond it
//! requests are refused at once.

use super::metrics::CollectorMetrics;
use super::record::Records;
use crate::journal::{AppendError, Appender, Receipt};
use parking_lot::Mutex;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::task::{Context, Poll, Waker};

/// How many appends of one worker may be under way. More than one, so that the journal always finds the next when a sync
/// has come back; few, so that appends grow when the disk is slow.
const MAX_APPENDS: usize = 4;

/// What the journal said.
pub type Outcome = Result<Receipt, AppendError>;

/// Where one connection (or one HTTP/2 request) waits: for the journal, or for the time it was given to run out.
#[derive(Debug, Default)]
pub struct Slot {
    state: Mutex<SlotState>,
    /// Coarse milliseconds at which its owner is to be woken.
    deadline: AtomicI64,
}

#[derive(Debug, Default)]
struct SlotState {
    waker: Option<Waker>,
    outcome: Option<Outcome>,
}

impl Slot {
    /// Tells whom to wake.
    pub fn set_waker(&self, waker: &Waker) {
        let mut state = self.state.lock();
        match &mut state.waker {
            Some(known) => known.clone_from(waker),
            none => *none = Some(waker.clone()),
        }
    }

    /// The outcome, once.
    pub fn take(&self) -> Option<Outcome> {
        self.state.lock().outcome.take()
    }

    fn finish(&self, outcome: Outcome) {
        let mut state = self.state.lock();
        state.outcome = Some(outcome);
        if let Some(waker) = &state.waker {
            waker.wake_by_ref();
        }
    }

    /// Wakes the owner.
    pub fn wake(&self) {
        if let Some(waker) = &self.state.lock().waker {
            waker.wake_by_ref();
        }
    }

    /// Sets when the owner is to be woken.
    pub fn set_deadline(&self, at: i64) {
        self.deadline.store(at, Ordering::Relaxed);
    }

    /// When the owner is to be woken.
    pub fn deadline(&self) -> i64 {
        self.deadline.load(Ordering::Relaxed)
    }
}

/// Records that wait for the flusher, and who waits for them.
#[derive(Debug, Default)]
pub struct Open {
    /// The records.
    pub records: Records,
    waiting: Vec<Arc<Slot>>,
    /// What was handed to the journal and not yet answered, oldest first: since when (coarse milliseconds), and its bytes.
    under_way: Vec<(i64, usize)>,
    flusher: Option<Waker>,
    flusher_woken: bool,
}

impl Open {
    /// Whether more records may be added: fewer than `limit` bytes wait, and nothing has waited since before `stalled`.
    /// Behind an append that does not come back a request would only wait for its own refusal.
    pub fn has_room(&self, limit: usize, stalled: i64) -> bool {
        let in_flight: usize = self.under_way.iter().map(|(_, bytes)| bytes).sum();
        self.records.bytes() + in_flight < limit && self.under_way.first().is_none_or(|(since, _)| *since >= stalled)
    }

    /// Registers the owner of records that were just added.
    pub fn submit(&mut self, slot: Arc<Slot>) {
        self.waiting.push(slot);
        self.wake_flusher();
    }

    fn wake_flusher(&mut self) {
        if !std::mem::replace(&mut self.flusher_woken, true)
            && let Some(flusher) = &self.flusher
        {
            flusher.wake_by_ref();
        }
    }

    /// Whether nothing waits and nothing is under way.
    pub fn is_idle(&self) -> bool {
        self.waiting.is_empty() && self.under_way.is_empty()
    }

    /// What the flusher is to append next; `now` in coarse milliseconds.
    pub fn poll_next(&mut self, cx: &Context<'_>, now: i64) -> Poll<Batch> {
        self.flusher_woken = false;
        if self.waiting.is_empty() || self.under_way.len() >= MAX_APPENDS {
            match &mut self.flusher {
                Some(known) => known.clone_from(cx.waker()),
                none => *none = Some(cx.waker().clone()),
            }
            return Poll::Pending;
        }
        let key = (now, self.records.bytes());
        self.under_way.push(key);
        Poll::Ready(Batch { key, records: self.records.take(), waiting: std::mem::take(&mut self.waiting) })
    }

    /// An append has been answered.
    pub fn finished(&mut self, key: (i64, usize)) {
        if let Some(at) = self.under_way.iter().position(|k| *k == key) {
            self.under_way.remove(at);
        }
        self.wake_flusher();
    }
}

/// One append.
#[derive(Debug)]
pub struct Batch {
    key: (i64, usize),
    records: Vec<crate::journal::Record>,
    waiting: Vec<Arc<Slot>>,
}

impl Batch {
    /// Bytes of its records.
    pub fn bytes(&self) -> usize {
        self.key.1
    }

    /// Appends, and tells everybody who waits, however long it takes: who waits has a time limit of its own. Returns the key
    /// for [`Open::finished`].
    pub async fn append(self, appender: &Appender, metrics: &CollectorMetrics) -> (i64, usize) {
        metrics.appends.inc();
        metrics.records.inc_by(self.records.len() as u64);
        let outcome = appender.append(self.records).await;
        match outcome {
            Ok(receipt) => self.waiting.iter().for_each(|slot| slot.finish(Ok(receipt))),
            Err(e) => self.waiting.iter().for_each(|slot| slot.finish(Err(e.clone()))),
        }
        self.key
    }
}
