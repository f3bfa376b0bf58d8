//! The usual POST body, read straight into parameters.
//!
//! Nearly every POST is a payload_data envelope that passes its schema. Its shape is known by heart here, so that such a
//! body is read once, without a tree. Whatever is not exactly as expected gives `None`, and the general way decides: this is
//! a shortcut to the same result, never another rule. (payload_data is part of the protocol: a registry cannot make it
//! stricter.)

use crate::enrich::names::Names;
use crate::enrich::params::{Param, Params};
use crate::event::json::Pull;

const ENVELOPE: &str = "iglu:com.snowplowanalytics.snowplow/payload_data/jsonschema/1-0-";

/// Parameters by the addition that brought them: 75 in 1-0-0, then each what is new in 1-0-1 to 1-0-4.
const LIST: &[&str] = &[
    "e", "p", "tv", "ad_ad", "ad_ba", "ad_ca", "ad_uid", "aid", "cd", "co", "cookie", "cs", "ctype", "cx", "ds", "dtm",
    "duid", "eid", "f_ag", "f_dir", "f_fla", "f_gears", "f_java", "f_pdf", "f_qt", "f_realp", "f_wma", "fp", "ip",
    "lang", "mac", "nuid", "page", "pp_max", "pp_may", "pp_mix", "pp_miy", "refr", "res", "sa", "se_ac", "se_ca",
    "se_la", "se_pr", "se_va", "sn", "sp", "st", "ti_ca", "ti_cu", "ti_id", "ti_na", "ti_nm", "ti_pr", "ti_qu",
    "ti_sk", "tid", "tna", "tr_af", "tr_ci", "tr_co", "tr_cu", "tr_id", "tr_sh", "tr_st", "tr_tt", "tr_tx", "tz",
    "ue_na", "ue_pr", "ue_px", "uid", "url", "vid", "vp", "ua", "tnuid", "sid", "stm", "ttm",
];
/// How many of the list each addition knows.
const KNOWN: [usize; 5] = [75, 76, 77, 79, 80];
/// `e`, `p` and `tv` are the first three of the list.
const REQUIRED: u128 = 0b111;

static NAMES: Names = Names::of(LIST);

/// The events of a body that is as usual.
pub(super) fn quick(body: &str) -> Option<Vec<Params<'_>>> {
    // No value that nests is ever read here.
    let mut pull = Pull::new(body, 1);
    let key = |pull: &mut Pull<'_>, name: &str| pull.string().is_some_and(|k| k == name) && pull.take(b':');
    if !(pull.take(b'{') && key(&mut pull, "schema")) {
        return None;
    }
    let known = match pull.string()?.strip_prefix(ENVELOPE)? {
        "4" => KNOWN[4],
        "3" => KNOWN[3],
        "2" => KNOWN[2],
        "1" => KNOWN[1],
        "0" => KNOWN[0],
        _ => return None,
    };
    if !(pull.take(b',') && key(&mut pull, "data") && pull.take(b'[')) {
        return None;
    }
    let mut events = Vec::new();
    loop {
        events.push(event(&mut pull, known)?);
        if !pull.take(b',') {
            break;
        }
    }
    (pull.take(b']') && pull.take(b'}') && pull.is_done()).then_some(events)
}

fn event<'c>(pull: &mut Pull<'c>, known: usize) -> Option<Params<'c>> {
    if !pull.take(b'{') {
        return None;
    }
    let mut pairs = Vec::with_capacity(28);
    let mut seen = 0u128;
    loop {
        let name = pull.string()?;
        let at = NAMES.find(&name, LIST).filter(|&at| at < known)?;
        if seen & (1 << at) != 0 || !pull.take(b':') {
            return None;
        }
        seen |= 1 << at;
        pairs.push(Param { name, value: Some(pull.string()?) });
        if !pull.take(b',') {
            break;
        }
    }
    (seen & REQUIRED == REQUIRED && pull.take(b'}')).then(|| Params::from_unique(pairs))
}
