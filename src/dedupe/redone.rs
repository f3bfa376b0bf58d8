//! Replays whose failure is not there any more.
//!
//! A replay takes the place of a failure. After a restart the stretch above the warehouse boundary is enriched again, with the
//! schemas of today: an event in it that had failed may pass now at its own place, and a replay of it that stands further on
//! has nothing left to repair. Such a replay has no outcome, or the event would be counted twice. Outside that stretch a
//! replay is always right: it was made for a failure that stood.

use crate::event::{EventAddr, Offset, OffsetRange, Outcome, Processed};
use std::collections::HashSet;

/// What failed in the stretch that is enriched again.
#[derive(Debug)]
pub(super) struct Redone {
    range: OffsetRange,
    /// Failures in it that stand. As many as are not committed at the start.
    failed: HashSet<EventAddr, ahash::RandomState>,
    /// The replay whose events are passed over now.
    void: Option<Offset>,
}

impl Redone {
    /// `range`: from the warehouse boundary to the end of the journal at the start.
    pub(super) fn new(range: OffsetRange) -> Self {
        Redone { range, failed: HashSet::default(), void: None }
    }

    /// Whether an outcome counts. Asked about every outcome, in order.
    pub(super) fn takes(&mut self, item: &Processed) -> bool {
        let at = item.addr.offset;
        if at >= self.range.to {
            self.failed = HashSet::default();
            return true;
        }
        let taken = match item.repairs {
            Some(repair) => !self.range.contains(repair.of.offset) || self.failed.remove(&repair.of),
            // The other events of a record that had failed as a whole go with the first.
            None => self.void != Some(at),
        };
        self.void = (!taken).then_some(at);
        if taken && matches!(item.outcome, Outcome::Failed(_)) {
            self.failed.insert(item.addr);
        }
        taken
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::{BadRowKind, Cause, Event, Failure, Repair};

    fn at(offset: u64, index: u32) -> EventAddr {
        EventAddr { offset: Offset(offset), index }
    }

    fn replayed(addr: EventAddr, of: Option<EventAddr>) -> Processed {
        let repairs = of.map(|of| Repair { of, event_id: None });
        Processed { addr, repairs, outcome: Outcome::Enriched(Box::new(Event::new())) }
    }

    fn failed(addr: EventAddr) -> Processed {
        let cause = Cause {
            kind: BadRowKind::SchemaViolations,
            failure: "ResolutionError".into(),
            schema: None,
            path: None,
            keyword: None,
            message: String::new(),
        };
        let failure = Failure { bad_row: "{}".into(), cause, app_id: None, collector_ms: 0, incomplete: None };
        Processed::new(addr, Outcome::Failed(Box::new(failure)))
    }

    #[test]
    fn a_replay_counts_only_while_its_failure_stands() {
        let mut redone = Redone::new(OffsetRange::new(Offset(10), Offset(20)));
        assert!(redone.takes(&failed(at(11, 0))));
        assert!(redone.takes(&replayed(at(12, 0), None)), "this one failed before the restart and passes now");
        assert!(redone.takes(&replayed(at(13, 0), Some(at(3, 0)))), "a committed failure");
        assert!(redone.takes(&replayed(at(14, 0), Some(at(11, 0)))));
        assert!(!redone.takes(&replayed(at(15, 0), Some(at(11, 0)))), "it is repaired already");
        assert!(!redone.takes(&replayed(at(16, 0), Some(at(12, 0)))), "there is nothing to repair");
        assert!(!redone.takes(&replayed(at(16, 1), None)), "the rest of that record");
        assert!(redone.takes(&replayed(at(17, 0), None)));
        assert!(redone.takes(&replayed(at(20, 0), Some(at(12, 0)))), "made after the restart");
    }
}
