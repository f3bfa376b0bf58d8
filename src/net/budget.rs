//! How much memory the bytes of strangers may take, over all connections together.
//!
//! A per-request limit times the connection limit would be far more than the machine has; so whoever buffers more than a
//! small free allowance asks here first, and is told no when the whole is used.

use crate::pipeline::bound::Bound;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// A shared allowance of bytes. Clones share it.
#[derive(Clone, Debug)]
pub struct Budget(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    used: AtomicUsize,
    highest: AtomicUsize,
    most: usize,
}

impl Budget {
    /// An allowance of `most` bytes.
    pub fn new(most: usize) -> Self {
        Budget(Arc::new(Inner { used: AtomicUsize::new(0), highest: AtomicUsize::new(0), most }))
    }

    /// Bytes handed out now.
    pub fn used(&self) -> usize {
        self.0.used.load(Ordering::Relaxed)
    }

    /// The allowance as a bound of this name.
    pub fn bound(&self, name: &'static str) -> Bound {
        let (now, highest) = (self.used() as u64, self.0.highest.load(Ordering::Relaxed) as u64);
        Bound { name, limit: self.0.most as u64, now, highest, ..Bound::default() }
    }

    /// An account that holds nothing yet.
    pub fn account(&self) -> Held {
        Held { budget: self.clone(), bytes: 0 }
    }
}

/// What one connection holds of a [`Budget`]; given back when it is dropped.
#[derive(Debug)]
pub struct Held {
    budget: Budget,
    bytes: usize,
}

impl Held {
    /// Bytes held now.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Changes what is held to `bytes`. False, with nothing changed, when the allowance has no room for that.
    #[must_use]
    pub fn set(&mut self, bytes: usize) -> bool {
        if bytes > self.bytes {
            let more = bytes - self.bytes;
            let before = self.budget.0.used.fetch_add(more, Ordering::Relaxed);
            if before.saturating_add(more) > self.budget.0.most {
                self.budget.0.used.fetch_sub(more, Ordering::Relaxed);
                return false;
            }
            self.budget.0.highest.fetch_max(before + more, Ordering::Relaxed);
        } else if bytes < self.bytes {
            self.budget.0.used.fetch_sub(self.bytes - bytes, Ordering::Relaxed);
        }
        self.bytes = bytes;
        true
    }

    /// Gives everything back.
    pub fn clear(&mut self) {
        self.budget.0.used.fetch_sub(self.bytes, Ordering::Relaxed);
        self.bytes = 0;
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_held_never_passes_the_bound_and_comes_back() {
        let budget = Budget::new(100);
        let (mut a, mut b) = (budget.account(), budget.account());
        assert!(a.set(60));
        assert!(!b.set(41));
        assert_eq!(budget.used(), 60);
        assert!(b.set(40));
        assert!(a.set(10));
        assert_eq!(budget.used(), 50);
        drop(b);
        a.clear();
        assert_eq!((budget.used(), budget.bound("x").highest), (0, 100));
    }
}
