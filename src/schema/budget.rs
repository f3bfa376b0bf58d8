//! What looking for schemas that nobody has may cost.
//!
//! Anyone can send the names of schemas that do not exist, and every new one would have all registries asked while the events
//! behind it wait. So such look-ups are paid for, by number and by time, out of an account that fills up slowly. Schemas that
//! exist cost nothing: a start with an empty memory, or a new tracker, is never held up.

use parking_lot::Mutex;
use std::time::{Duration, Instant};

/// What the account holds at most: so many quick look-ups in a burst.
const MOST: f64 = 512.0;
/// What it gains in a second.
const GAIN: f64 = 16.0;
/// A look-up costs 1, and more when it takes longer than this.
const QUICK: Duration = Duration::from_millis(20);

/// The account.
#[derive(Debug)]
pub(super) struct Budget(Mutex<(f64, Instant)>);

impl Budget {
    pub(super) fn new() -> Self {
        Budget(Mutex::new((MOST, Instant::now())))
    }

    /// Whether another name may be looked up.
    pub(super) fn allows(&self) -> bool {
        let mut account = self.0.lock();
        Self::fill(&mut account, Instant::now());
        account.0 >= 1.0
    }

    /// Pays for a look-up that found nothing. Threads that look at the same time may run the account into debt, which is
    /// bounded too.
    pub(super) fn charge(&self, took: Duration) {
        let mut account = self.0.lock();
        Self::fill(&mut account, Instant::now());
        let cost = (took.as_secs_f64() / QUICK.as_secs_f64()).max(1.0);
        account.0 = (account.0 - cost).max(-MOST);
    }

    fn fill(account: &mut (f64, Instant), now: Instant) {
        let gained = now.saturating_duration_since(account.1).as_secs_f64() * GAIN;
        *account = ((account.0 + gained).min(MOST), now);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_is_allowed_and_then_what_comes_in() {
        let budget = Budget::new();
        for _ in 0..512 {
            assert!(budget.allows());
            budget.charge(Duration::from_micros(1));
        }
        budget.charge(Duration::from_micros(1));
        assert!(!budget.allows());
        std::thread::sleep(Duration::from_millis(300));
        assert!(budget.allows());
    }

    #[test]
    fn slow_look_ups_cost_more_and_debt_is_bounded() {
        let budget = Budget::new();
        for _ in 0..6 {
            budget.charge(Duration::from_secs(2));
        }
        assert!(!budget.allows());
        for _ in 0..100 {
            budget.charge(Duration::from_secs(60));
        }
        assert!(budget.0.lock().0 >= -MOST);
    }
}
