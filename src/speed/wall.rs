//! The wall of sites: per `app_id` a rate, the last minute as a line, and whether it has fallen silent. Also the rates of
//! everything together, which are the sum of the sites before any was forgotten.

use crate::platform::clock::Millis;
use ahash::RandomState;
use hashbrown::HashTable;
use serde::Serialize;

/// Points of the line, one per second.
pub const POINTS: usize = 60;
/// Seconds that a rate is taken over.
pub const RATE_SECONDS: usize = 10;

const SLOTS: usize = 64;
const GAPS: usize = 31;
/// A site is never silent sooner than this after its last event.
const LEAST_SILENCE_MS: i64 = 60_000;

/// Events by second of arrival.
#[derive(Clone, Debug)]
struct Ring {
    slots: [(i64, u32, u32); SLOTS],
}

impl Default for Ring {
    fn default() -> Self {
        Ring { slots: [(i64::MIN, 0, 0); SLOTS] }
    }
}

impl Ring {
    fn add(&mut self, arrival: Millis, good: u32, failed: u32) {
        let second = arrival.div_euclid(1000);
        // The remainder is below the number of slots.
        let slot = &mut self.slots[second.rem_euclid(SLOTS as i64) as usize];
        if slot.0 < second {
            *slot = (second, 0, 0);
        }
        if slot.0 == second {
            slot.1 = slot.1.saturating_add(good);
            slot.2 = slot.2.saturating_add(failed);
        }
    }

    fn at(&self, second: i64) -> (u32, u32) {
        let slot = self.slots[second.rem_euclid(SLOTS as i64) as usize];
        if slot.0 == second { (slot.1, slot.2) } else { (0, 0) }
    }

    /// Events per second over the last whole seconds before `now`.
    fn rate(&self, now: Millis) -> (f64, f64) {
        let second = now.div_euclid(1000);
        let (mut good, mut failed) = (0u64, 0u64);
        for back in 1..=RATE_SECONDS as i64 {
            let (g, f) = self.at(second - back);
            good += u64::from(g);
            failed += u64::from(f);
        }
        (good as f64 / RATE_SECONDS as f64, failed as f64 / RATE_SECONDS as f64)
    }
}

#[derive(Debug, Default)]
struct SiteState {
    ring: Ring,
    events: u64,
    last: Millis,
    gaps: [u32; GAPS],
    gap_count: usize,
}

impl SiteState {
    fn add(&mut self, arrival: Millis, good: u32, failed: u32) {
        self.ring.add(arrival, good, failed);
        if self.events > 0 && arrival >= self.last {
            // The remainder is below the number of gaps.
            self.gaps[self.gap_count % GAPS] = u32::try_from(arrival - self.last).unwrap_or(u32::MAX);
            self.gap_count += 1;
        }
        self.events += u64::from(good) + u64::from(failed);
        self.last = self.last.max(arrival);
    }

    fn median_gap(&self) -> Option<u32> {
        let mut gaps = self.gaps[..self.gap_count.min(GAPS)].to_vec();
        gaps.sort_unstable();
        gaps.get(gaps.len() / 2).copied()
    }
}

/// One site as the wall shows it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Site {
    /// `app_id`; `None` for events without one.
    pub app_id: Option<String>,
    /// Enriched events per second over the last [`RATE_SECONDS`] whole seconds.
    pub rate: f64,
    /// Failed events per second over the same.
    pub failed_rate: f64,
    /// Arrival of its newest event.
    pub last_ms: Millis,
    /// For how long it has been silent, milliseconds; `None` while it is not: a site is silent when no event came for
    /// 60 s and ten times its usual gap.
    pub silent_ms: Option<i64>,
    /// Events per second, oldest first, [`POINTS`] whole seconds; failed ones included.
    pub line: Vec<u32>,
}

/// Rates of everything together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Rates {
    /// Enriched events per second over the last [`RATE_SECONDS`] whole seconds.
    pub events: f64,
    /// Failed events per second over the same.
    pub failed: f64,
}

/// All sites.
#[derive(Debug)]
pub(super) struct Wall {
    all: Ring,
    sites: HashTable<(Option<Box<str>>, Box<SiteState>)>,
    hasher: RandomState,
    max_sites: usize,
}

impl Wall {
    pub(super) fn new(max_sites: usize) -> Wall {
        Wall { all: Ring::default(), sites: HashTable::new(), hasher: RandomState::new(), max_sites: max_sites.max(1) }
    }

    /// Counts events of one site that arrived together.
    pub(super) fn add(&mut self, app_id: Option<&str>, arrival: Millis, good: u32, failed: u32) {
        self.all.add(arrival, good, failed);
        let hash = self.hasher.hash_one(app_id);
        if let Some((_, site)) = self.sites.find_mut(hash, |(name, _)| name.as_deref() == app_id) {
            site.add(arrival, good, failed);
            return;
        }
        if self.sites.len() >= self.max_sites {
            let quietest = self.sites.iter().map(|(_, s)| s.last).min();
            self.sites.retain(|(_, s)| Some(s.last) != quietest);
        }
        let mut site = Box::<SiteState>::default();
        site.add(arrival, good, failed);
        let hasher = &self.hasher;
        self.sites.insert_unique(hash, (app_id.map(Box::from), site), |(name, _)| hasher.hash_one(name.as_deref()));
    }

    /// All sites by name; events without one come first.
    pub(super) fn sites(&self, now: Millis) -> Vec<Site> {
        let second = now.div_euclid(1000);
        let mut sites: Vec<Site> = self
            .sites
            .iter()
            .map(|(app_id, s)| {
                let (rate, failed_rate) = s.ring.rate(now);
                let quiet = now - s.last;
                let usual = s.median_gap().map_or(0, |g| i64::from(g).saturating_mul(10));
                let line = (1..=POINTS as i64).rev().map(|back| {
                    let (good, failed) = s.ring.at(second - back);
                    good.saturating_add(failed)
                });
                Site {
                    app_id: app_id.as_deref().map(str::to_owned),
                    rate,
                    failed_rate,
                    last_ms: s.last,
                    silent_ms: (quiet > LEAST_SILENCE_MS.max(usual)).then_some(quiet),
                    line: line.collect(),
                }
            })
            .collect();
        sites.sort_unstable_by(|a, b| a.app_id.cmp(&b.app_id));
        sites
    }

    /// Rates of everything.
    pub(super) fn rates(&self, now: Millis) -> Rates {
        let (events, failed) = self.all.rate(now);
        Rates { events, failed }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_lines_and_silence() {
        let mut wall = Wall::new(2);
        for s in 0..20 {
            wall.add(Some("shop"), s * 1000, 30, 1);
        }
        wall.add(Some("blog"), 19_500, 10, 0);
        let sites = wall.sites(20_000);
        assert_eq!(sites[1].app_id.as_deref(), Some("shop"));
        assert_eq!((sites[1].rate, sites[1].failed_rate), (30.0, 1.0));
        assert_eq!(sites[1].line[POINTS - 20..], [31; 20]);
        assert_eq!(sites[1].line[..POINTS - 20], [0; POINTS - 20]);
        assert_eq!(wall.rates(20_000), Rates { events: 31.0, failed: 1.0 });
        assert_eq!(wall.sites(79_000)[1].silent_ms, None);
        assert_eq!(wall.sites(79_001)[1].silent_ms, Some(60_001));
        wall.add(None, 30_000, 1, 0);
        let names: Vec<_> = wall.sites(30_000).into_iter().map(|s| s.app_id).collect();
        assert_eq!(names, [None, Some("blog".to_owned())], "the quietest made room");
    }

    #[test]
    fn a_slow_site_is_silent_only_after_ten_usual_gaps() {
        let mut wall = Wall::new(10);
        for s in 0..40 {
            wall.add(Some("slow"), s * 30_000, 1, 0);
        }
        let last = 39 * 30_000;
        assert_eq!(wall.sites(last + 299_000)[0].silent_ms, None);
        assert_eq!(wall.sites(last + 300_001)[0].silent_ms, Some(300_001));
    }
}
