//! The bounded queue between many appenders and the one writer, and the tickets that appenders wait on.
//!
//! The writer takes everything at once (one swap under one lock), so the cost of a wake-up is shared like the cost of a
//! sync. Bytes and requests count against the bounds until their sync has come back: the bound is on memory, not on the
//! length of a list.

use super::error::{AppendError, Full};
use super::herald::{Caller, Callers, Herald};
use super::record::{Receipt, Record};
use crate::event::Offset;
use crate::pipeline::bound::Bound;
use parking_lot::{Condvar, Mutex};
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

/// One append that waits.
#[derive(Debug)]
pub(super) struct Request {
    /// Its records.
    pub(super) records: Vec<Record>,
    /// What they count against the bound.
    pub(super) bytes: u64,
    /// Not records, but the wish to go on with this number.
    pub(super) skip_to: Option<Offset>,
    ticket: Arc<Ticket>,
    answered: bool,
}

impl Request {
    /// Answers whoever waits; `callers` wakes it.
    pub(super) fn finish(mut self, result: Result<Receipt, AppendError>, callers: &mut Callers) {
        self.answered = true;
        if let Some(caller) = self.ticket.finish(result) {
            callers.add(caller);
        }
    }
}

impl Drop for Request {
    fn drop(&mut self) {
        if !self.answered
            && let Some(caller) = self.ticket.finish(Err(AppendError::Closed))
        {
            caller.waker.wake();
        }
    }
}

/// The result of one append, as soon as there is one, and whom to wake.
#[derive(Debug, Default)]
pub(super) struct Ticket(Mutex<Slot>);

#[derive(Debug, Default)]
enum Slot {
    #[default]
    Unseen,
    Waiting(Caller),
    Done(Result<Receipt, AppendError>),
}

impl Ticket {
    /// Sets the result; whoever waits is to be woken by the caller of this.
    fn finish(&self, result: Result<Receipt, AppendError>) -> Option<Caller> {
        match std::mem::replace(&mut *self.0.lock(), Slot::Done(result)) {
            Slot::Waiting(caller) => Some(caller),
            Slot::Unseen | Slot::Done(_) => None,
        }
    }

    /// The result, or be woken when there is one.
    pub(super) fn poll(&self, cx: &Context<'_>) -> Poll<Result<Receipt, AppendError>> {
        let mut slot = self.0.lock();
        match &mut *slot {
            Slot::Done(result) => return Poll::Ready(result.clone()),
            Slot::Waiting(caller) if caller.waker.will_wake(cx.waker()) => {}
            _ => *slot = Slot::Waiting(Caller { waker: cx.waker().clone(), herald: Herald::here() }),
        }
        Poll::Pending
    }
}

#[derive(Debug, Default)]
struct State {
    requests: Vec<Request>,
    held_bytes: u64,
    held_requests: u64,
    highest_bytes: u64,
    highest_requests: u64,
    /// The longest that the writer was seen busy.
    longest_busy: Duration,
    /// Since when the writer has been busy with what it took; `None` when it waits.
    busy_since: Option<Instant>,
    writer_waits: bool,
    roll: bool,
    closed: bool,
    unavailable: Option<Arc<str>>,
}

/// What the writer found in the queue.
#[derive(Debug, PartialEq, Eq, Clone, Copy)]
pub(super) enum Taken {
    /// Requests, in the vector that was handed in.
    Requests,
    /// Nothing in time, or only a wish to close the open segment.
    Nothing,
    /// Nothing, and nothing will come.
    Closed,
}

/// The queue.
#[derive(Debug)]
pub(super) struct Queue {
    state: Mutex<State>,
    filled: Condvar,
    max_bytes: u64,
    max_requests: u64,
    stalled_after: Duration,
}

impl Queue {
    pub(super) fn new(max_bytes: u64, max_requests: u64, stalled_after: Duration) -> Self {
        Queue { state: Mutex::default(), filled: Condvar::new(), max_bytes, max_requests, stalled_after }
    }

    /// How long the writer may be busy with one write or sync before appends are refused.
    pub(super) fn stalled_after(&self) -> Duration {
        self.stalled_after
    }

    /// The most bytes that it holds.
    pub(super) fn max_bytes(&self) -> u64 {
        self.max_bytes
    }

    /// Puts an append in the queue, or says why not.
    pub(super) fn push(
        &self,
        records: Vec<Record>,
        bytes: u64,
        skip_to: Option<Offset>,
    ) -> Result<Arc<Ticket>, AppendError> {
        let mut state = self.state.lock();
        if state.closed {
            return Err(AppendError::Closed);
        }
        if let Some(reason) = &state.unavailable {
            return Err(AppendError::Unavailable { reason: reason.clone() });
        }
        let full = if state.held_bytes + bytes > self.max_bytes {
            Some(Full::Bytes)
        } else if state.held_requests >= self.max_requests {
            Some(Full::Requests)
        } else {
            state.busy_since.filter(|since| since.elapsed() > self.stalled_after).map(|_| Full::Stalled)
        };
        if let Some(full) = full {
            return Err(AppendError::Full(full));
        }
        let ticket = Arc::new(Ticket::default());
        state.held_bytes += bytes;
        state.held_requests += 1;
        state.highest_bytes = state.highest_bytes.max(state.held_bytes);
        state.highest_requests = state.highest_requests.max(state.held_requests);
        state.requests.push(Request { records, bytes, skip_to, ticket: ticket.clone(), answered: false });
        let wake = std::mem::take(&mut state.writer_waits);
        drop(state);
        if wake {
            self.filled.notify_one();
        }
        Ok(ticket)
    }

    /// The writer takes all there is; `into` must be empty. Waits at most `time` for something.
    pub(super) fn take(&self, into: &mut Vec<Request>, time: Duration) -> Taken {
        let mut state = self.state.lock();
        let until = Instant::now() + time;
        state.busy_since = None;
        while state.requests.is_empty() {
            if state.closed {
                return Taken::Closed;
            }
            if state.roll {
                return Taken::Nothing;
            }
            state.writer_waits = true;
            let timed_out = self.filled.wait_until(&mut state, until).timed_out();
            state.writer_waits = false;
            if timed_out && state.requests.is_empty() {
                return Taken::Nothing;
            }
        }
        state.busy_since = Some(Instant::now());
        std::mem::swap(&mut state.requests, into);
        Taken::Requests
    }

    /// Takes what came meanwhile, without waiting.
    pub(super) fn take_more(&self, into: &mut Vec<Request>) {
        into.append(&mut self.state.lock().requests);
    }

    /// Requests have their result: their room is free again.
    pub(super) fn release(&self, requests: u64, bytes: u64) {
        let mut state = self.state.lock();
        state.held_requests = state.held_requests.saturating_sub(requests);
        state.held_bytes = state.held_bytes.saturating_sub(bytes);
        // Progress: the clock of the stall check starts again.
        let busy = state.busy_since.map_or(Duration::ZERO, |since| since.elapsed());
        state.longest_busy = state.longest_busy.max(busy);
        state.busy_since = state.busy_since.map(|_| Instant::now());
    }

    /// Appends and bytes that have no result yet.
    pub(super) fn held(&self) -> (u64, u64) {
        let state = self.state.lock();
        (state.held_requests, state.held_bytes)
    }

    /// The bounds of the queue and where it stands.
    pub(super) fn bounds(&self) -> [Bound; 3] {
        let mut state = self.state.lock();
        let busy = state.busy_since.map_or(Duration::ZERO, |since| since.elapsed());
        state.longest_busy = state.longest_busy.max(busy);
        let bound =
            |full: Full, limit, now, highest| Bound { name: full.key(), limit, now, highest, ..Bound::default() };
        let ms = |time: Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
        [
            bound(Full::Bytes, self.max_bytes, state.held_bytes, state.highest_bytes),
            bound(Full::Requests, self.max_requests, state.held_requests, state.highest_requests),
            bound(Full::Stalled, ms(self.stalled_after), ms(busy), ms(state.longest_busy)),
        ]
    }

    /// Refuses appends with this reason, or takes them again.
    pub(super) fn set_unavailable(&self, reason: Option<Arc<str>>) {
        self.state.lock().unavailable = reason;
    }

    /// Why appends are refused now, if they are.
    pub(super) fn trouble(&self) -> Option<String> {
        let state = self.state.lock();
        if state.closed {
            return Some("the journal is closed".to_owned());
        }
        if let Some(reason) = &state.unavailable {
            return Some(reason.to_string());
        }
        let since = state.busy_since.map(|since| since.elapsed()).filter(|time| *time > self.stalled_after)?;
        Some(format!("the disk has not answered for {:.1} s", since.as_secs_f64()))
    }

    /// Asks the writer to close the open segment.
    pub(super) fn ask_to_roll(&self) {
        self.state.lock().roll = true;
        self.filled.notify_one();
    }

    /// Whether it was asked, once.
    pub(super) fn roll_asked(&self) -> bool {
        std::mem::take(&mut self.state.lock().roll)
    }

    /// Refuses all further appends. What is queued is still written.
    pub(super) fn close(&self) {
        self.state.lock().closed = true;
        self.filled.notify_one();
    }

    /// There is no writer any more: refuses appends, and answers those that are queued.
    pub(super) fn abandon(&self) {
        let left = {
            let mut state = self.state.lock();
            state.closed = true;
            std::mem::take(&mut state.requests)
        };
        drop(left);
    }
}
