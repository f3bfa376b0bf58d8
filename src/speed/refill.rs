//! Filling the windows after a restart with what arrived before it.
//!
//! The answers need nothing of it: what is below the boundary is in the warehouse. But a window of an hour would start
//! empty, so the last hour is read again from the journal, newest stretch first (the short windows are whole after a
//! moment), by a thread beside the flow, until the longest window is full or the journal begins.

use super::handle::Speed;
use super::streams::Refeed;
use crate::event::rows::{self, Rows};
use crate::event::{Offset, Outcome, Processed, columns};
use crate::pipeline::drain::Drain;
use crate::platform::clock::Millis;
use crate::platform::priority::give_way;
use std::io;
use std::thread::{Builder, JoinHandle};

/// Journal records that are read again at once.
const STEP: u64 = 5_000;

/// Starts the thread. `oldest` is the first record that the journal still has; what is read again are the records from
/// there up to the boundary that the speed layer began at.
///
/// # Errors
/// When the thread cannot be started.
pub fn spawn_refill(speed: Speed, refeed: Refeed, oldest: Offset, drain: Drain) -> io::Result<JoinHandle<()>> {
    Builder::new().name("refill".to_owned()).spawn(move || {
        give_way();
        if let Err(problem) = refill(&speed, refeed, oldest, &drain) {
            tracing::warn!(%problem, "rolling windows begin with this start: what arrived before could not be read again");
        }
    })
}

fn refill(speed: &Speed, mut refeed: Refeed, oldest: Offset, drain: &Drain) -> io::Result<()> {
    let longest = speed.0.views.iter().filter_map(|v| v.windows().last().copied()).max().unwrap_or(0);
    let mut to = speed.0.start;
    while to > oldest && longest > 0 {
        let from = Offset(to.0.saturating_sub(STEP)).max(oldest);
        let mut items = Vec::new();
        let mut at = from;
        while at < to && !drain.is_raised() {
            let Some((range, more)) = refeed(at, to)? else { break };
            items.extend(more);
            // A stretch that is no step on would be asked for for ever.
            at = range.to.max(at.next());
        }
        if drain.is_raised() {
            return Ok(());
        }
        let first = items.iter().filter_map(arrival).min();
        speed.add_history(&items, &rows::build(&items).0);
        if first.is_some_and(|first| first < speed.0.clock.now_ms() - longest) {
            return Ok(());
        }
        to = from;
    }
    Ok(())
}

fn arrival(item: &Processed) -> Option<Millis> {
    match &item.outcome {
        Outcome::Enriched(event) => event.time(columns::COLLECTOR_TSTAMP),
        Outcome::Failed(failure) => Some(failure.collector_ms),
        Outcome::Duplicate(_) | Outcome::Dropped { .. } => None,
    }
}

impl Speed {
    /// Takes events in that arrived before this start: for windows, sites and causes only.
    fn add_history(&self, items: &[Processed], rows: &Rows) {
        let now = self.0.clock.now_ms();
        let readings: Vec<_> = self.0.views.iter().map(|v| crate::view::Reading::of(v, rows)).collect();
        self.add_to_windows(&readings, now);
        self.0.live.lock().history(items, rows, now);
    }
}
