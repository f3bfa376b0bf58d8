//! Leases: what a reader holds so that state which is committed meanwhile stays.
//!
//! Leases are numbered. A micro-batch that is committed remembers the next number; it may go when no lease with a smaller
//! number is left, because every later lease was taken after the commit and its warehouse snapshot shows the rows. A lease
//! that grows older than `speed.max_lease` is struck off, so a leaked one cannot hold memory for ever; a read under it fails.

use super::batch::BatchInfo;
use super::error::SpeedError;
use super::handle::Speed;
use super::state::{Memory, Tail, Wanted};
use crate::event::{Offset, Tally};
use crate::view::{Half, ViewQuery};
use parking_lot::Mutex;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// All leases that are out.
#[derive(Debug, Default)]
pub(super) struct Leases(Mutex<Book>);

#[derive(Debug, Default)]
struct Book {
    next: u64,
    live: BTreeMap<u64, Instant>,
}

impl Leases {
    /// Takes a lease out.
    pub(super) fn take(self: &Arc<Self>) -> LeaseTicket {
        let mut book = self.0.lock();
        let number = book.next;
        book.next += 1;
        book.live.insert(number, Instant::now());
        LeaseTicket { leases: self.clone(), number }
    }

    /// The number that the next lease will have.
    pub(super) fn next(&self) -> u64 {
        self.0.lock().next
    }

    /// The smallest number that is out; the next one if none is.
    pub(super) fn oldest(&self) -> u64 {
        let book = self.0.lock();
        book.live.keys().next().copied().unwrap_or(book.next)
    }

    /// Strikes off what is older than `max`; how many, and how many are left.
    pub(super) fn expire(&self, max: Duration) -> (usize, usize) {
        let mut book = self.0.lock();
        let before = book.live.len();
        book.live.retain(|_, taken| taken.elapsed() <= max);
        (before - book.live.len(), book.live.len())
    }
}

/// One lease; given back when dropped.
#[derive(Debug)]
pub(super) struct LeaseTicket {
    leases: Arc<Leases>,
    number: u64,
}

impl LeaseTicket {
    /// Whether it still holds anything.
    pub(super) fn is_live(&self) -> bool {
        self.leases.0.lock().live.contains_key(&self.number)
    }
}

impl Drop for LeaseTicket {
    fn drop(&mut self) {
        self.leases.0.lock().live.remove(&self.number);
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
    pub(super) fn new(speed: Speed) -> Lease {
        let ticket = speed.0.leases.take();
        Lease { speed, ticket }
    }

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
        let view = self.speed.0.views.iter().find(|v| v.name() == name);
        let view = view.ok_or_else(|| SpeedError::NoSuchView(name.to_owned()))?;
        let plan = Arc::new(view.plan(query)?);
        let mut memory = self.read(above, &Wanted { views: &[(name, plan.clone())], tail: false })?;
        let half = memory.halves.pop().unwrap_or_else(|| Half::empty(view, &plan));
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
