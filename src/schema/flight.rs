//! One look-up for many waiters: whoever comes first asks, the others wait for the answer.

use crate::event::SchemaKey;
use parking_lot::{Condvar, Mutex};

/// Look-ups in progress.
#[derive(Debug, Default)]
pub(super) struct Flights {
    running: Mutex<ahash::AHashSet<SchemaKey>>,
    landed: Condvar,
}

/// The right to look a schema up; lets the waiters go when dropped, whatever happened.
#[derive(Debug)]
pub(super) struct Flight<'f> {
    flights: &'f Flights,
    key: SchemaKey,
}

impl Flights {
    /// Begins a look-up, or waits until the one that is running has ended and gives none.
    pub(super) fn board(&self, key: &SchemaKey) -> Option<Flight<'_>> {
        let mut running = self.running.lock();
        if running.insert(key.clone()) {
            return Some(Flight { flights: self, key: key.clone() });
        }
        while running.contains(key) {
            self.landed.wait(&mut running);
        }
        None
    }
}

impl Drop for Flight<'_> {
    fn drop(&mut self) {
        self.flights.running.lock().remove(&self.key);
        self.flights.landed.notify_all();
    }
}
