//! What passes by: rates, the wall, delays, causes of failure and the newest outcomes. Not part of any answer, so it has a
//! lock of its own and may be a chunk ahead of the answers.

use super::causes::Causes;
use super::config::Config;
use super::latency::Latency;
use super::recent::Recent;
use super::wall::Wall;
use crate::event::rows::Rows;
use crate::event::{Chunk, Outcome, Processed, columns};
use crate::platform::clock::Millis;
use arrow::array::{Array, StringArray, TimestampMicrosecondArray};
use std::sync::Arc;

/// Everything that passes by.
#[derive(Debug)]
pub(super) struct Live {
    pub(super) wall: Wall,
    pub(super) latency: Latency,
    pub(super) causes: Causes,
    pub(super) recent: Recent,
}

impl Live {
    pub(super) fn new(config: &Config) -> Live {
        Live {
            wall: Wall::new(config.max_sites),
            latency: Latency::default(),
            causes: Causes::new(config.max_causes),
            recent: Recent::new(config.recent_events),
        }
    }

    /// Takes a chunk in that became visible at `now`; gives back what may be dropped, outside the lock. History became
    /// visible long ago, so its delay is not measured.
    pub(super) fn apply(&mut self, chunk: &Arc<Chunk>, now: Millis, history: bool) -> Vec<Arc<Chunk>> {
        self.pass(&chunk.items, &chunk.rows, now, history);
        self.recent.push(chunk)
    }

    /// Takes events in that arrived before this start; they do not pass by again.
    pub(super) fn history(&mut self, items: &[Processed], rows: &Rows, now: Millis) {
        self.pass(items, rows, now, true);
    }

    fn pass(&mut self, items: &[Processed], rows: &Rows, now: Millis, history: bool) {
        if items.iter().any(|item| item.repairs.is_some()) {
            self.pass_replayed(items, now, history);
            return;
        }
        let apps = rows.atomic(columns::APP_ID).and_then(|a| a.as_any().downcast_ref::<StringArray>());
        let times = rows.atomic(columns::COLLECTOR_TSTAMP);
        let times = times.and_then(|a| a.as_any().downcast_ref::<TimestampMicrosecondArray>());
        if let (Some(apps), Some(times)) = (apps, times) {
            self.count(apps, times, now, history);
        }
        items.iter().for_each(|item| self.failed(item, now, history));
    }

    /// As [`Live::pass`] where replays are among the events: those did not arrive now, so they count in no rate and no delay.
    fn pass_replayed(&mut self, items: &[Processed], now: Millis, history: bool) {
        for item in items {
            if let Some(repair) = item.repairs {
                self.causes.repaired(repair.of);
            } else if let Outcome::Enriched(event) = &item.outcome {
                let at = event.time(columns::COLLECTOR_TSTAMP).unwrap_or(now);
                self.wall.add(event.text(columns::APP_ID), at, 1, 0);
                if !history {
                    self.latency.add(now, now - at, 1);
                }
            }
            self.failed(item, now, history);
        }
    }

    fn failed(&mut self, item: &Processed, now: Millis, history: bool) {
        let Outcome::Failed(failure) = &item.outcome else { return };
        self.causes.add(item.addr, failure);
        if item.repairs.is_some() {
            return;
        }
        self.wall.add(failure.app_id.as_deref(), failure.collector_ms, 0, 1);
        if !history {
            self.latency.add(now, now - failure.collector_ms, 1);
        }
    }

    /// Counts runs of rows with one site and one time together.
    fn count(&mut self, apps: &StringArray, times: &TimestampMicrosecondArray, now: Millis, history: bool) {
        let at = |row: usize| {
            let app = apps.is_valid(row).then(|| apps.value(row));
            (app, if times.is_valid(row) { times.value(row).div_euclid(1000) } else { now })
        };
        let mut row = 0;
        while row < apps.len() {
            let (app, time) = at(row);
            let start = row;
            while row < apps.len() && at(row) == (app, time) {
                row += 1;
            }
            let n = (row - start) as u32;
            self.wall.add(app, time, n, 0);
            if !history {
                self.latency.add(now, now - time, n);
            }
        }
    }
}
