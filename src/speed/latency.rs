//! How long an event takes from its receipt until it is in the answers, over the last minute.
//!
//! Sixty histograms, one per second, with sixteen steps per doubling: a quantile is at most 6 % too high.

use crate::platform::clock::Millis;
use serde::Serialize;

const SECONDS: usize = 60;
const STEPS: usize = 336;

/// Delays of the last minute.
#[derive(Debug)]
pub(super) struct Latency {
    slots: Vec<(i64, Box<[u32; STEPS]>)>,
}

/// Quantiles of the delay over the last minute, milliseconds; `None` when nothing came.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Visible {
    /// Half of the events took no longer.
    pub p50: Option<u32>,
    /// 99 of 100 events took no longer.
    pub p99: Option<u32>,
    /// Events that were measured.
    pub events: u64,
}

impl Default for Latency {
    fn default() -> Self {
        Latency { slots: (0..SECONDS).map(|_| (i64::MIN, Box::new([0; STEPS]))).collect() }
    }
}

impl Latency {
    /// Counts `n` events that became visible at `now`, `delay` after their receipt.
    pub(super) fn add(&mut self, now: Millis, delay: Millis, n: u32) {
        let second = now.div_euclid(1000);
        // The remainder is below the number of slots.
        let slot = &mut self.slots[second.rem_euclid(SECONDS as i64) as usize];
        if slot.0 != second {
            *slot = (second, Box::new([0; STEPS]));
        }
        // A step is always below STEPS.
        let count = &mut slot.1[step(delay)];
        *count = count.saturating_add(n);
    }

    /// The quantiles at `now`.
    pub(super) fn visible(&self, now: Millis) -> Visible {
        let oldest = now.div_euclid(1000) - SECONDS as i64;
        let mut sum = [0u64; STEPS];
        for (_, counts) in self.slots.iter().filter(|s| s.0 > oldest) {
            sum.iter_mut().zip(counts.iter()).for_each(|(s, c)| *s += u64::from(*c));
        }
        let events: u64 = sum.iter().sum();
        let quantile = |q: f64| {
            let rank = ((events as f64 * q).ceil() as u64).max(1);
            let mut seen = 0;
            sum.iter().position(|n| {
                seen += n;
                seen >= rank
            })
        };
        let top = |q| quantile(q).filter(|_| events > 0).map(greatest);
        Visible { p50: top(0.5), p99: top(0.99), events }
    }
}

fn step(delay: Millis) -> usize {
    let v = delay.clamp(0, (1 << 24) - 1) as u32;
    if v < 32 {
        return v as usize;
    }
    let exponent = 31 - v.leading_zeros();
    32 + ((exponent - 5) as usize) * 16 + ((v >> (exponent - 4)) & 15) as usize
}

/// The greatest delay of a step.
fn greatest(step: usize) -> u32 {
    if step < 32 {
        return step as u32;
    }
    let exponent = ((step - 32) / 16 + 5) as u32;
    let part = ((step - 32) % 16) as u32;
    ((16 + part + 1) << (exponent - 4)) - 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quantile_is_at_most_a_step_too_high() {
        for v in (0..100_000).step_by(7) {
            let top = i64::from(greatest(step(v)));
            assert!(v <= top && top <= v + v / 15, "{v} is in the step up to {top}");
        }
        assert_eq!(step(i64::MAX), STEPS - 1);
        let mut l = Latency::default();
        assert_eq!(l.visible(0).p99, None);
        for i in 0..1000 {
            l.add(10_000 + i, i % 100, 1);
        }
        let v = l.visible(11_000);
        assert_eq!(v.events, 1000);
        assert!((49..=53).contains(&v.p50.unwrap()) && (98..=104).contains(&v.p99.unwrap()), "{v:?}");
        assert_eq!(l.visible(80_000).events, 0);
    }
}
