//! The newest outcomes, for whoever watches them go by.
//!
//! Kept as whole chunks (shared with the other readers of the flow), so that nothing is built before somebody looks. Every
//! outcome has a number; a watcher asks for what came after the last one it saw.

use crate::event::{Chunk, Outcome, Processed, columns};
use crate::platform::clock::Millis;
use serde::Serialize;
use std::collections::VecDeque;
use std::sync::Arc;

/// One outcome that went by.
#[derive(Clone, Debug)]
pub struct Item {
    /// Its number since the start of the process.
    pub number: u64,
    chunk: Arc<Chunk>,
    index: usize,
}

/// An outcome in a few words.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Summary {
    /// Where it stands: offset and index.
    pub offset: u64,
    /// Index within the payload.
    pub index: u32,
    /// Arrival, milliseconds since the epoch.
    pub at_ms: Option<Millis>,
    /// `good`, `failed`, `duplicate` or `dropped`.
    pub outcome: &'static str,
    /// `app_id`.
    pub app_id: Option<String>,
    /// `event_id`.
    pub event_id: Option<String>,
    /// `event_name`.
    pub event_name: Option<String>,
    /// Path of the page.
    pub page: Option<String>,
    /// Why it failed, of what it is a repetition, or which step dropped it.
    pub reason: Option<String>,
}

impl Item {
    /// The outcome with its address.
    pub fn processed(&self) -> &Processed {
        // An item is only made for an index of its chunk.
        &self.chunk.items[self.index]
    }

    /// Whether it is a failed event.
    pub fn is_failed(&self) -> bool {
        matches!(self.processed().outcome, Outcome::Failed(_))
    }

    /// The outcome in a few words.
    pub fn summary(&self) -> Summary {
        let processed = self.processed();
        let mut s = Summary {
            offset: processed.addr.offset.0,
            index: processed.addr.index,
            at_ms: None,
            outcome: "good",
            app_id: None,
            event_id: None,
            event_name: None,
            page: None,
            reason: None,
        };
        let event = match &processed.outcome {
            Outcome::Enriched(event) => Some(event),
            Outcome::Failed(failure) => {
                s.outcome = "failed";
                s.at_ms = Some(failure.collector_ms);
                s.app_id.clone_from(&failure.app_id);
                s.reason = Some(failure.cause.message.clone());
                failure.incomplete.as_ref()
            }
            Outcome::Duplicate(first) => {
                s.outcome = "duplicate";
                s.reason = Some(format!("seen before at {first}"));
                None
            }
            Outcome::Dropped { by } => {
                s.outcome = "dropped";
                s.reason = Some(format!("dropped by {by}"));
                None
            }
        };
        if let Some(event) = event {
            let text = |column| event.text(column).map(str::to_owned);
            s.at_ms = event.time(columns::COLLECTOR_TSTAMP).or(s.at_ms);
            s.app_id = text(columns::APP_ID).or(s.app_id);
            s.event_id = text(columns::EVENT_ID);
            s.event_name = text(columns::EVENT_NAME);
            s.page = text(columns::PAGE_URLPATH);
        }
        s
    }
}

/// What went by since somebody last looked.
#[derive(Clone, Debug)]
pub struct Passed {
    /// Ask for what follows with this.
    pub next: u64,
    /// Outcomes that were wanted.
    pub seen: u64,
    /// Outcomes that left memory before they could be looked at.
    pub missed: u64,
    /// Some of those that were wanted, in order: failed ones first choice, the others evenly spread.
    pub shown: Vec<Item>,
}

/// The newest chunks.
#[derive(Debug)]
pub(super) struct Recent {
    chunks: VecDeque<(u64, Arc<Chunk>)>,
    next: u64,
    held: usize,
    max: usize,
}

impl Recent {
    pub(super) fn new(max: usize) -> Recent {
        Recent { chunks: VecDeque::new(), next: 0, held: 0, max: max.max(1) }
    }

    pub(super) fn push(&mut self, chunk: &Arc<Chunk>) -> Vec<Arc<Chunk>> {
        let mut gone = Vec::new();
        if chunk.items.is_empty() {
            return gone;
        }
        self.chunks.push_back((self.next, chunk.clone()));
        self.next += chunk.items.len() as u64;
        self.held += chunk.items.len();
        while self.chunks.front().is_some_and(|(_, first)| self.held - first.items.len() >= self.max) {
            if let Some((_, first)) = self.chunks.pop_front() {
                self.held -= first.items.len();
                gone.push(first);
            }
        }
        gone
    }

    /// The number that the next outcome will have.
    pub(super) fn next(&self) -> u64 {
        self.next
    }

    /// The chunks that hold outcomes from number `from` on.
    pub(super) fn since(&self, from: u64) -> Vec<(u64, Arc<Chunk>)> {
        self.chunks.iter().filter(|(first, c)| first + c.items.len() as u64 > from).cloned().collect()
    }

    /// The newest `n` outcomes, oldest first.
    pub(super) fn newest(&self, n: usize) -> Vec<Item> {
        let from = self.next.saturating_sub(n as u64);
        items(&self.since(from), from).collect()
    }
}

fn items(chunks: &[(u64, Arc<Chunk>)], from: u64) -> impl Iterator<Item = Item> {
    chunks.iter().flat_map(move |(first, chunk)| {
        let skip = from.saturating_sub(*first) as usize;
        (skip..chunk.items.len()).map(move |index| Item { number: first + index as u64, chunk: chunk.clone(), index })
    })
}

/// Chooses what to show of what went by; works on chunks that were taken out, without a lock.
pub(super) fn passed(
    chunks: &[(u64, Arc<Chunk>)],
    from: u64,
    next: u64,
    most: usize,
    wanted: &dyn Fn(&Processed) -> bool,
) -> Passed {
    let held = chunks.first().map_or(next, |c| c.0.max(from));
    let all: Vec<Item> = items(chunks, from).filter(|i| i.number < next && wanted(i.processed())).collect();
    let seen = all.len() as u64;
    let failed = all.iter().filter(|i| i.is_failed()).count();
    let others = all.len() - failed;
    // Failed ones first; but a flood of them leaves the others a quarter.
    let keep_failed = failed.min(most - others.min(most / 4));
    let keep_others = others.min(most - keep_failed);
    let (mut f, mut o) = (0, 0);
    let spread = |at: usize, of: usize, keep: usize| keep > 0 && at * keep / of != (at + 1) * keep / of;
    let shown = all.into_iter().filter(|item| {
        let (at, of, keep) =
            if item.is_failed() { (&mut f, failed, keep_failed) } else { (&mut o, others, keep_others) };
        *at += 1;
        spread(*at - 1, of, keep)
    });
    Passed { next, seen, missed: held.saturating_sub(from), shown: shown.collect() }
}
