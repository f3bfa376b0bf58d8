//! Counts and lags over the last seconds, kept in panes so that adding is one step and nothing is kept per event.

use crate::platform::clock::Millis;

/// Width of a pane of a rate, milliseconds.
const PANE_MS: i64 = 250;
/// Panes of a rate: ten seconds.
const PANES: usize = 40;
/// Span of a rate, milliseconds.
pub const RATE_MS: i64 = PANE_MS * PANES as i64;

/// The pane that an instant falls in.
pub fn pane(now: Millis) -> i64 {
    now.div_euclid(PANE_MS)
}

/// A count over the last ten seconds.
#[derive(Clone, Debug)]
pub struct Rolling {
    panes: [u32; PANES],
    sum: u64,
}

impl Default for Rolling {
    fn default() -> Self {
        Rolling { panes: [0; PANES], sum: 0 }
    }
}

fn slot(pane: i64) -> usize {
    pane.rem_euclid(PANES as i64) as usize
}

impl Rolling {
    /// Forgets what the pane held ten seconds ago; called once for every new pane.
    pub fn begin(&mut self, pane: i64) {
        let old = std::mem::take(&mut self.panes[slot(pane)]);
        self.sum -= u64::from(old);
    }

    /// Counts `n` in a pane that has begun.
    pub fn add(&mut self, pane: i64, n: u32) {
        let cell = &mut self.panes[slot(pane)];
        let room = u32::MAX - *cell;
        *cell += n.min(room);
        self.sum += u64::from(n.min(room));
    }

    /// How many in the last ten seconds.
    pub fn sum(&self) -> u64 {
        self.sum
    }
}

/// Seconds that lags are kept.
const LAG_SECONDS: usize = 60;
/// Lags below this are kept exactly, in milliseconds.
const EXACT: u64 = 16;
/// Cells per doubling above that: an error of at most an eighth.
const PER_OCTAVE: u64 = 8;
const LAG_CELLS: usize = EXACT as usize + 28 * PER_OCTAVE as usize;

/// The distribution of a lag over the last minute.
#[derive(Debug)]
pub struct Lags {
    seconds: Vec<[u32; LAG_CELLS]>,
    head: i64,
}

impl Default for Lags {
    fn default() -> Self {
        Lags { seconds: vec![[0; LAG_CELLS]; LAG_SECONDS], head: 0 }
    }
}

impl Lags {
    /// Takes in one lag.
    pub fn add(&mut self, now: Millis, lag_ms: i64) {
        self.advance(now);
        let at = (self.head.rem_euclid(LAG_SECONDS as i64)) as usize;
        let count = &mut self.seconds[at][cell(lag_ms.max(0) as u64)];
        *count = count.saturating_add(1);
    }

    /// A quantile, rounded up to the end of its cell; `None` when nothing came in the last minute.
    pub fn quantile(&mut self, now: Millis, q: f64) -> Option<i64> {
        self.advance(now);
        let total: u64 = self.seconds.iter().flatten().map(|c| u64::from(*c)).sum();
        if total == 0 {
            return None;
        }
        let wanted = ((total as f64 * q).ceil() as u64).clamp(1, total);
        let mut seen = 0;
        for at in 0..LAG_CELLS {
            seen += self.seconds.iter().map(|s| u64::from(s[at])).sum::<u64>();
            if seen >= wanted {
                return Some(end(at));
            }
        }
        None
    }

    fn advance(&mut self, now: Millis) {
        let second = now.div_euclid(1000);
        let steps = (second - self.head).clamp(0, LAG_SECONDS as i64);
        for s in 0..steps {
            self.seconds[(second - s).rem_euclid(LAG_SECONDS as i64) as usize] = [0; LAG_CELLS];
        }
        self.head = self.head.max(second);
    }
}

fn cell(ms: u64) -> usize {
    if ms < EXACT {
        return ms as usize;
    }
    let octave = u64::from(ms.ilog2()) - 4;
    let within = (ms >> (octave + 1)) - PER_OCTAVE;
    ((EXACT + octave * PER_OCTAVE + within) as usize).min(LAG_CELLS - 1)
}

/// The largest lag of a cell.
fn end(at: usize) -> i64 {
    let at = at as u64;
    if at < EXACT {
        return at as i64;
    }
    let (octave, within) = ((at - EXACT) / PER_OCTAVE, (at - EXACT) % PER_OCTAVE);
    (((PER_OCTAVE + within + 1) << (octave + 1)) - 1) as i64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_forgets_after_ten_seconds() {
        let mut r = Rolling::default();
        for p in 0..100 {
            r.begin(p);
            r.add(p, 2);
        }
        assert_eq!(r.sum(), 2 * PANES as u64);
        for p in 100..140 {
            r.begin(p);
        }
        assert_eq!(r.sum(), 0);
    }

    #[test]
    fn cells_cover_every_lag_in_order() {
        let mut last = 0;
        for ms in 0..100_000 {
            let at = cell(ms);
            assert!(at == last || at == last + 1, "{ms}");
            assert!(end(at) >= ms as i64 && end(at) as f64 <= ms as f64 * 1.126 + 1.0, "{ms} {}", end(at));
            last = at;
        }
        assert!(cell(u64::MAX) < LAG_CELLS);
    }

    #[test]
    fn quantiles_are_those_of_the_last_minute() {
        let mut lags = Lags::default();
        assert_eq!(lags.quantile(0, 0.99), None);
        for i in 0..100 {
            lags.add(1_000_000 + i, if i < 98 { 10 } else { 1000 });
        }
        assert_eq!(lags.quantile(1_000_100, 0.5), Some(10));
        let p99 = lags.quantile(1_000_100, 0.99).unwrap();
        assert!((1000..1126).contains(&p99), "{p99}");
        assert_eq!(lags.quantile(1_070_000, 0.5), None);
    }
}
