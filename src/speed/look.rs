//! Reading what is no part of an answer: windows, rates, the wall, delays, causes of failure, the newest outcomes.

use super::causes::CauseGroup;
use super::error::SpeedError;
use super::handle::Speed;
use super::latency::Visible;
use super::recent::{self, Item, Passed};
use super::wall::{Rates, Site};
use super::windows::Window;
use crate::event::Processed;
use crate::pipeline::bound::Bound;

impl Speed {
    /// The rolling windows of a view, shortest first. They end now and are not part of any answer: they hold what arrived,
    /// committed or not.
    ///
    /// # Errors
    /// [`SpeedError::NoSuchView`].
    pub fn windows(&self, view: &str) -> Result<Vec<Window>, SpeedError> {
        let at = self.0.views.iter().position(|v| v.name() == view);
        let at = at.ok_or_else(|| SpeedError::NoSuchView(view.to_owned()))?;
        let view = &self.0.views[at];
        let Some(Some(windows)) = self.0.windows.get(at) else { return Ok(Vec::new()) };
        let now = self.0.clock.now_ms();
        let mut all = Vec::with_capacity(view.windows().len());
        for at in 0..view.windows().len() {
            let looked = windows.lock().look(at, now);
            all.push(looked.unwrap_or_else(|cover| {
                let summed = cover.sum(view);
                let window = summed.window();
                windows.lock().keep(summed);
                window
            }));
        }
        Ok(all)
    }

    /// What bounds the memory of this box, and where it stands.
    pub fn bounds(&self) -> Vec<Bound> {
        let config = &self.0.config;
        let inner = self.0.inner.read();
        let (now, highest) = (inner.tail_bytes as u64, inner.tail_highest as u64);
        drop(inner);
        let (waits, limit) = (self.0.metrics.waits.get(), config.max_tail_bytes.0);
        let tail = Bound { name: "speed.max_tail_bytes", limit, now, highest, refused: 0, waits };
        let state = self.0.state_bytes.bound("speed.max_state_bytes", config.max_state_bytes.0);
        vec![tail, Bound { waits: self.0.metrics.spilled.get(), ..state }]
    }

    /// Rates of everything together.
    pub fn rates(&self) -> Rates {
        self.0.live.lock().wall.rates(self.0.clock.now_ms())
    }

    /// The wall of sites, by name.
    pub fn sites(&self) -> Vec<Site> {
        self.0.live.lock().wall.sites(self.0.clock.now_ms())
    }

    /// From receipt to visibility, over the last minute.
    pub fn visible(&self) -> Visible {
        self.0.live.lock().latency.visible(self.0.clock.now_ms())
    }

    /// Causes of failure in the last `window_ms` (an hour at most), most frequent first.
    pub fn failed_causes(&self, window_ms: i64) -> Vec<CauseGroup> {
        self.0.live.lock().causes.list(self.0.clock.now_ms(), window_ms)
    }

    /// The newest `n` outcomes, oldest first, as far as they are kept.
    pub fn recent(&self, n: usize) -> Vec<Item> {
        self.0.live.lock().recent.newest(n)
    }

    /// The number of the next outcome: where a watcher that wants only new ones begins.
    pub fn recent_end(&self) -> u64 {
        self.0.live.lock().recent.next()
    }

    /// What went by from number `from` on: at most `most` of the outcomes that `wanted` lets through are shown.
    pub fn passed(&self, from: u64, most: usize, wanted: &dyn Fn(&Processed) -> bool) -> Passed {
        let (chunks, next) = {
            let live = self.0.live.lock();
            (live.recent.since(from), live.recent.next())
        };
        recent::passed(&chunks, from, next, most, wanted)
    }
}
