//! Always on: `_sp` in the page URL's query, by which one site hands its visitor over to another.

use super::{Enrichment, StepContext};
use crate::enrich::map::{parse_millis, sanitise_into};
use crate::enrich::uri::Uri;
use crate::event::Cell;
use crate::event::columns::{REFR_DOMAIN_USERID, REFR_DVCE_TSTAMP};

/// More parts than this are something else.
const MAX_PARTS: usize = 7;

struct CrossDomain;

pub(super) fn make() -> Box<dyn Enrichment> {
    Box::new(CrossDomain)
}

/// The parts of `_sp`, without empty ones at the end; `None` when there is none or it is something else.
pub(super) fn parts(value: &str) -> Option<Vec<&str>> {
    let trimmed = value.trim_end_matches('.');
    if trimmed.is_empty() {
        return None;
    }
    let parts: Vec<&str> = trimmed.split('.').collect();
    (parts.len() <= MAX_PARTS).then_some(parts)
}

impl Enrichment for CrossDomain {
    fn identifier(&self) -> &'static str {
        "_sp"
    }

    fn apply(&self, cx: &mut StepContext<'_>) {
        // Decoding a query costs more than looking whether it can matter.
        let query = cx.page.as_ref().and_then(Uri::query).unwrap_or_default();
        if !query.contains("_sp") && !query.contains('%') {
            return;
        }
        let Some(value) = cx.page_query().last("_sp").map(str::to_owned) else { return };
        let Some(parts) = parts(&value) else { return };
        let time = match parts.get(1) {
            None => None,
            Some(text) => match parse_millis(text) {
                Some(ms) => Some(ms),
                None => {
                    let text = (*text).to_owned();
                    cx.fail_input("sp_dtm", Some(&text), "milliseconds since 1970 between the years 0 and 9999");
                    return;
                }
            },
        };
        if let Some(id) = parts.first() {
            cx.event.set_text_with(REFR_DOMAIN_USERID, |out| sanitise_into(id, out));
        }
        if let Some(ms) = time {
            cx.event.set(REFR_DVCE_TSTAMP, Cell::Time(ms));
        }
    }
}
