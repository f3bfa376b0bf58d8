//! Always on: the parts of the referrer. The column `page_referrer` itself stays as it was sent.

use super::page_uri::{PartColumns, parse, set_parts};
use super::{Enrichment, StepContext};
use crate::enrich::map::sanitise;
use crate::event::columns as c;

struct ReferrerUri;

pub(super) fn make() -> Box<dyn Enrichment> {
    Box::new(ReferrerUri)
}

const REFERRER: PartColumns =
    [c::REFR_URLSCHEME, c::REFR_URLHOST, c::REFR_URLPORT, c::REFR_URLPATH, c::REFR_URLQUERY, c::REFR_URLFRAGMENT];

impl Enrichment for ReferrerUri {
    fn identifier(&self) -> &'static str {
        "page_referrer"
    }

    fn apply(&self, cx: &mut StepContext<'_>) {
        let Some(text) = cx.params.get("refr").map(sanitise).filter(|t| !t.is_empty()) else { return };
        match parse(text) {
            Ok(uri) => {
                set_parts(cx.event, &uri, c::PAGE_REFERRER, &REFERRER);
                cx.referrer = Some(uri);
            }
            Err((text, why)) => cx.fail_plain(format!("the referrer \"{text}\" cannot be parsed: {why}")),
        }
    }
}
