//! Always on: when the event really happened, as well as it can be known.
//!
//! A true time wins. Else, when the device says when it made and when it sent the event, the span between the two is taken
//! off the time of arrival, so that a wrong clock does no harm. Else it is the time of arrival.

use super::{Enrichment, StepContext};
use crate::event::Cell;
use crate::event::calendar::{MAX_MS, MIN_MS};
use crate::event::columns::{COLLECTOR_TSTAMP, DERIVED_TSTAMP, DVCE_CREATED_TSTAMP, DVCE_SENT_TSTAMP, TRUE_TSTAMP};

struct DerivedTime;

pub(super) fn make() -> Box<dyn Enrichment> {
    Box::new(DerivedTime)
}

impl Enrichment for DerivedTime {
    fn identifier(&self) -> &'static str {
        "derived_tstamp"
    }

    fn apply(&self, cx: &mut StepContext<'_>) {
        let time = |column| cx.event.time(column);
        let derived = match (time(TRUE_TSTAMP), time(COLLECTOR_TSTAMP)) {
            (Some(exact), _) => Some(exact),
            (None, Some(arrived)) => Some(match (time(DVCE_CREATED_TSTAMP), time(DVCE_SENT_TSTAMP)) {
                (Some(created), Some(sent)) if created < sent => arrived - (sent - created),
                _ => arrived,
            }),
            (None, None) => None,
        };
        if let Some(ms) = derived.filter(|ms| (MIN_MS..=MAX_MS).contains(ms)) {
            cx.event.set(DERIVED_TSTAMP, Cell::Time(ms));
        }
    }
}
