//! Leases: what a reader holds so that state which is committed meanwhile stays.
//!
//! Leases are numbered. A micro-batch that is committed remembers the next number; it may go when no lease with a smaller
//! number is left, because every later lease was taken after the commit and its warehouse snapshot shows the rows. A lease
//! that grows older than `speed.max_lease` is struck off, so a leaked one cannot hold memory for ever; a read under it fails.

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
