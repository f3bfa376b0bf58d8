//! Always on: no event leaves without the name and version of the collector.

use super::{Enrichment, StepContext};
use crate::event::columns::V_COLLECTOR;

struct CollectorVersion;

pub(super) fn make() -> Box<dyn Enrichment> {
    Box::new(CollectorVersion)
}

impl Enrichment for CollectorVersion {
    fn identifier(&self) -> &'static str {
        "v_collector"
    }

    fn apply(&self, cx: &mut StepContext<'_>) {
        if cx.event.is_null(V_COLLECTOR) {
            cx.fail_input("v_collector", None, "the name and version of the collector");
        }
    }
}
