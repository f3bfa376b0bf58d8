//! The bounds of promise P7 as an operator sees them: where each stands, and what it cost.
//!
//! Every box lists its own; the status page shows them all, and the live view names the one that refuses.

use serde::Serialize;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// A bound and how near it is.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize)]
pub struct Bound {
    /// The configuration key or a name like it.
    pub name: &'static str,
    /// The bound, in bytes or pieces as its name says.
    pub limit: u64,
    /// Where it stands.
    pub now: u64,
    /// Where it stood at most since the start.
    pub highest: u64,
    /// Requests, connections or streams that it made the program refuse.
    pub refused: u64,
    /// How often it made the pipeline wait, put something to disk or forget something.
    pub waits: u64,
}

/// Something that rises and falls, and the most that it was. Clones share it.
#[derive(Clone, Debug, Default)]
pub struct Level(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    now: AtomicU64,
    highest: AtomicU64,
}

impl Level {
    /// It rises.
    pub fn add(&self, n: u64) {
        let now = self.0.now.fetch_add(n, Ordering::Relaxed).saturating_add(n);
        self.0.highest.fetch_max(now, Ordering::Relaxed);
    }

    /// It falls.
    pub fn sub(&self, n: u64) {
        self.0.now.fetch_sub(n, Ordering::Relaxed);
    }

    /// It stands here now.
    pub fn set(&self, now: u64) {
        self.0.now.store(now, Ordering::Relaxed);
        self.0.highest.fetch_max(now, Ordering::Relaxed);
    }

    /// Where it stands.
    pub fn now(&self) -> u64 {
        self.0.now.load(Ordering::Relaxed)
    }

    /// The most that it was.
    pub fn highest(&self) -> u64 {
        self.0.highest.load(Ordering::Relaxed)
    }

    /// As a bound that nothing has paid for yet.
    pub fn bound(&self, name: &'static str, limit: u64) -> Bound {
        Bound { name, limit, now: self.now(), highest: self.highest(), ..Bound::default() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_highest_stays() {
        let level = Level::default();
        level.add(5);
        level.clone().add(2);
        level.sub(6);
        assert_eq!((level.now(), level.highest()), (1, 7));
        level.set(3);
        assert_eq!(level.bound("x", 10), Bound { name: "x", limit: 10, now: 3, highest: 7, refused: 0, waits: 0 });
    }
}
