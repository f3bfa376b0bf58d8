//! Where micro-batches end, decided once and for ever.
//!
//! A range becomes file names, a transaction and dropped memory, so it must be the same on every retry: it is written to
//! `state/plan` before its first side effect, together with the load time that the files carry. After a restart the decided
//! ranges above the warehouse's boundary are handed out again, first to last.

use super::config::Config;
use super::error::StartError;
use super::statelog::StateLog;
use crate::event::{BatchId, BatchPlanner, Offset, OffsetRange};
use crate::platform::clock::{Clock, Millis};
use crate::platform::failpoint::fail_point;
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use std::collections::VecDeque;
use std::io;
use std::path::Path;
use std::sync::Arc;

/// One decision.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Decision {
    /// The range.
    #[serde(flatten)]
    pub id: BatchId,
    /// Its load time: `load_tstamp` of its rows, `load_date` of its files. Later than that of every earlier micro-batch.
    pub load_ms: Millis,
}

/// The decisions that are not committed yet. Clones share them.
#[derive(Clone, Debug)]
pub struct Plan(Arc<Mutex<Decisions>>);

#[derive(Debug)]
struct Decisions {
    log: StateLog,
    open: VecDeque<Decision>,
    last_load_ms: Millis,
}

const TITLE: &str = "snowshed plan 1";
/// The file is rewritten without the committed decisions when it is larger than this.
const COMPACT_AT: u64 = 64 << 10;

impl Plan {
    /// Reads the plan and drops what the warehouse has, which is complete below `boundary`. `last_load_ms` is the load time
    /// of the last micro-batch there.
    ///
    /// # Errors
    /// When the file is damaged, or cut by the boundary.
    pub fn open(path: &Path, boundary: Offset, last_load_ms: Millis) -> Result<Self, StartError> {
        let (log, records) = StateLog::open::<Decision>(path, TITLE)?;
        let mut open: VecDeque<Decision> = VecDeque::new();
        let mut last = last_load_ms;
        for decision in records {
            last = last.max(decision.load_ms);
            if decision.id.to <= boundary {
                continue;
            }
            if decision.id.from < boundary {
                return Err(StartError::PlanMismatch { boundary, decided: decision.id });
            }
            if open.back().is_some_and(|before| before.id.to != decision.id.from) || decision.id.is_empty() {
                let problem = format!("micro-batch {} does not follow the one before it", decision.id);
                return Err(StartError::State { path: path.to_owned(), problem });
            }
            open.push_back(decision);
        }
        Ok(Plan(Arc::new(Mutex::new(Decisions { log, open, last_load_ms: last }))))
    }

    /// The decision about a range, until it is committed.
    pub fn decision(&self, id: BatchId) -> Option<Decision> {
        self.0.lock().open.iter().find(|d| d.id == id).copied()
    }

    /// Decisions that are not committed.
    pub fn open_decisions(&self) -> Vec<Decision> {
        self.0.lock().open.iter().copied().collect()
    }

    /// Forgets what is committed below `boundary`.
    pub fn committed(&self, boundary: Offset) {
        let mut plan = self.0.lock();
        while plan.open.front().is_some_and(|d| d.id.to <= boundary) {
            plan.open.pop_front();
        }
        if plan.log.bytes() > COMPACT_AT || plan.log.is_broken() {
            // A failure leaves the old file, which is right too, only longer.
            if let Err(e) = plan.rewrite() {
                tracing::warn!(error = %e, "cannot compact the plan");
            }
        }
    }

    /// The first decided end after `from`, and whether it is the end of a range that begins at `from`.
    fn end_after(&self, from: Offset) -> Option<(Offset, bool)> {
        let plan = self.0.lock();
        let next = plan.open.iter().find(|d| d.id.to > from)?;
        Some(if next.id.from <= from { (next.id.to, true) } else { (next.id.from, false) })
    }

    fn decide(&self, id: BatchId, now: Millis) -> io::Result<()> {
        let mut plan = self.0.lock();
        if plan.open.iter().any(|d| d.id == id) {
            return Ok(());
        }
        let decision = Decision { id, load_ms: now.max(plan.last_load_ms + 1) };
        // A gap that lies below older decisions is filled in its place.
        let at = plan.open.iter().position(|d| d.id.from >= id.to).unwrap_or(plan.open.len());
        if plan.log.is_broken() || at < plan.open.len() {
            plan.open.insert(at, decision);
            if let Err(e) = plan.rewrite() {
                plan.open.remove(at);
                return Err(e);
            }
        } else {
            plan.log.append(&decision)?;
            plan.open.push_back(decision);
        }
        plan.last_load_ms = decision.load_ms;
        Ok(())
    }
}

impl Decisions {
    fn rewrite(&mut self) -> io::Result<()> {
        let records: Vec<Decision> = self.open.iter().copied().collect();
        self.log.rewrite(&records)
    }
}

/// The planner that deduplication asks.
#[derive(Debug)]
pub struct Planner {
    plan: Plan,
    clock: Clock,
    max_age: Millis,
    max_rows: u64,
    max_bytes: u64,
    open: OffsetRange,
    since: Millis,
    rows: u64,
    bytes: u64,
}

impl Planner {
    /// A planner whose open micro-batch begins at `from`, the warehouse's boundary.
    pub fn new(config: &Config, plan: Plan, from: Offset, clock: Clock) -> Self {
        Planner {
            plan,
            clock,
            max_age: config.max_age.as_millis(),
            max_rows: config.max_rows,
            max_bytes: config.max_bytes.0,
            open: OffsetRange::new(from, from),
            since: 0,
            rows: 0,
            bytes: 0,
        }
    }
}

impl BatchPlanner for Planner {
    fn open_from(&self) -> Offset {
        self.open.from
    }

    fn decided_end(&self) -> Option<Offset> {
        self.plan.end_after(self.open.from).map(|end| end.0)
    }

    fn grew(&mut self, to: Offset, rows: u64, bytes: u64, now: Millis) {
        if self.open.is_empty() {
            self.since = now;
        }
        self.open.to = self.open.to.max(to);
        self.rows += rows;
        self.bytes += bytes;
    }

    fn is_due(&self, now: Millis) -> bool {
        if self.open.is_empty() {
            return false;
        }
        let full = || {
            // A clock that was set back does not hold a micro-batch open.
            let age = now.saturating_sub(self.since);
            !(0..self.max_age).contains(&age) || self.rows >= self.max_rows || self.bytes >= self.max_bytes
        };
        match self.plan.end_after(self.open.from) {
            Some((end, true)) => self.open.to >= end,
            Some((end, false)) => self.open.to >= end || full(),
            None => full(),
        }
    }

    fn seal(&mut self) -> io::Result<BatchId> {
        let id = self.open;
        if id.is_empty() {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "the open micro-batch is empty"));
        }
        if let Some((end, exact)) = self.plan.end_after(id.from)
            && (id.to > end || (exact && id.to != end))
        {
            let problem = format!("the open micro-batch is {id}, but it was decided earlier that it ends at {end}");
            return Err(io::Error::new(io::ErrorKind::InvalidInput, problem));
        }
        fail_point("batch::before_plan");
        self.plan.decide(id, self.clock.now_ms())?;
        fail_point("batch::planned");
        self.open = OffsetRange::new(id.to, id.to);
        self.rows = 0;
        self.bytes = 0;
        Ok(id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::platform::units::{ByteSize, Span};

    fn config() -> Config {
        Config { max_age: Span::from_millis(100), max_rows: 10, max_bytes: ByteSize(1000), ..Config::default() }
    }

    fn planner(path: &Path, boundary: u64) -> Planner {
        let plan = Plan::open(path, Offset(boundary), 0).unwrap();
        Planner::new(&config(), plan, Offset(boundary), Clock::fixed(5))
    }

    fn range(from: u64, to: u64) -> BatchId {
        OffsetRange::new(Offset(from), Offset(to))
    }

    #[test]
    fn age_rows_and_bytes_close_a_micro_batch() {
        let dir = tempfile::tempdir().unwrap();
        let mut p = planner(&dir.path().join("plan"), 0);
        assert!(!p.is_due(1_000_000));
        assert!(p.seal().is_err());
        p.grew(Offset(3), 1, 1, 1000);
        assert!(!p.is_due(1099));
        assert!(p.is_due(1100));
        assert!(p.is_due(999), "a clock set back");
        assert_eq!(p.seal().unwrap(), range(0, 3));
        p.grew(Offset(4), 10, 1, 1000);
        assert!(p.is_due(1000));
        assert_eq!(p.seal().unwrap(), range(3, 4));
        p.grew(Offset(5), 0, 1000, 1000);
        assert!(p.is_due(1000));
        assert_eq!((p.open_from(), p.decided_end()), (Offset(4), None));
    }

    #[test]
    fn decisions_survive_and_come_back_in_order() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("plan");
        let mut p = planner(&path, 0);
        for to in [3, 7, 8] {
            p.grew(Offset(to), 1, 1, 0);
            p.seal().unwrap();
        }
        let loads: Vec<Millis> = p.plan.open_decisions().iter().map(|d| d.load_ms).collect();
        assert_eq!(loads, [5, 6, 7], "load times differ even within a millisecond");

        let mut again = planner(&path, 3);
        assert_eq!(again.decided_end(), Some(Offset(7)));
        again.grew(Offset(5), 1000, 1, 0);
        assert!(!again.is_due(1_000_000), "only the decided end counts");
        assert!(again.seal().is_err());
        again.grew(Offset(7), 1, 1, 0);
        assert!(again.is_due(0));
        assert_eq!(again.seal().unwrap(), range(3, 7));
        assert_eq!(again.plan.decision(range(3, 7)).unwrap().load_ms, 6);
        assert_eq!(again.decided_end(), Some(Offset(8)));
        again.grew(Offset(9), 1, 1, 0);
        assert!(again.seal().is_err(), "beyond the decided end");

        assert!(matches!(Plan::open(&path, Offset(5), 0), Err(StartError::PlanMismatch { .. })));
        assert!(Plan::open(&path, Offset(100), 0).unwrap().open_decisions().is_empty());
    }

    #[test]
    fn an_older_warehouse_fills_the_gap_below_the_plan() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("plan");
        let mut p = planner(&path, 10);
        p.grew(Offset(20), 1, 1, 0);
        p.seal().unwrap();
        let mut p = planner(&path, 0);
        assert_eq!(p.decided_end(), Some(Offset(10)));
        p.grew(Offset(4), 1, 1, 0);
        assert!(p.is_due(100));
        assert_eq!(p.seal().unwrap(), range(0, 4));
        p.grew(Offset(10), 1, 1, 0);
        assert!(p.is_due(0));
        assert_eq!(p.seal().unwrap(), range(4, 10));
        let ids: Vec<BatchId> = planner(&path, 0).plan.open_decisions().iter().map(|d| d.id).collect();
        assert_eq!(ids, [range(0, 4), range(4, 10), range(10, 20)]);
    }

    #[test]
    fn committed_decisions_are_compacted_away() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("plan");
        let mut p = planner(&path, 0);
        for to in 1..3000 {
            p.grew(Offset(to), 1, 1, 0);
            p.seal().unwrap();
            if to > 2 {
                p.plan.committed(Offset(to - 2));
            }
        }
        assert!(std::fs::metadata(&path).unwrap().len() < 2 * COMPACT_AT);
        assert_eq!(planner(&path, 2997).plan.open_decisions().len(), 2);
    }
}
