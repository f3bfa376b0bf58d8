//! Which parameter does what: one table. A pure table (exempt from the file-size guide).

use crate::enrich::names::Names;
use crate::event::columns as c;

/// What a parameter does.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Action {
    /// Free text into a column.
    Text(u8),
    /// Free text, unless the parameter of the newer name has a value.
    OldText(u8, &'static str),
    /// `tnuid`: beats every other source of the column, wherever it stands.
    NetworkUser,
    /// `e`.
    EventCode,
    /// `p`.
    Platform,
    /// A UUID into a column.
    Uuid(u8),
    /// A 32-bit integer into a column.
    Int(u8),
    /// A decimal into a column.
    Decimal(u8),
    /// A decimal, unless the parameter of the newer name has a value.
    OldDecimal(u8, &'static str),
    /// `1` or `0` into a column.
    Flag(u8),
    /// `WxH` into two columns.
    Size(u8, u8),
    /// Milliseconds into a column.
    Time(u8),
    /// `ip`.
    Address,
    /// `co`, unless `cx` has a value.
    Contexts,
    /// `cx`.
    EncodedContexts,
    /// `ue_pr`, unless `ue_px` has a value.
    Unstruct,
    /// `ue_px`.
    EncodedUnstruct,
}

use Action::*;

const ROWS: &[(&str, Action)] = &[
    ("e", EventCode),
    ("eid", Uuid(c::EVENT_ID as u8)),
    ("aid", Text(c::APP_ID as u8)),
    ("p", Platform),
    ("tv", Text(c::V_TRACKER as u8)),
    ("tna", Text(c::NAME_TRACKER as u8)),
    ("cv", Text(c::V_COLLECTOR as u8)),
    ("dtm", Time(c::DVCE_CREATED_TSTAMP as u8)),
    ("stm", Time(c::DVCE_SENT_TSTAMP as u8)),
    ("ttm", Time(c::TRUE_TSTAMP as u8)),
    ("tid", Int(c::TXN_ID as u8)),
    ("uid", Text(c::USER_ID as u8)),
    ("duid", Text(c::DOMAIN_USERID as u8)),
    ("nuid", Text(c::NETWORK_USERID as u8)),
    ("tnuid", NetworkUser),
    ("fp", Text(c::USER_FINGERPRINT as u8)),
    ("vid", Int(c::DOMAIN_SESSIONIDX as u8)),
    ("sid", Uuid(c::DOMAIN_SESSIONID as u8)),
    ("ip", Address),
    ("ua", Text(c::USERAGENT as u8)),
    ("lang", Text(c::BR_LANG as u8)),
    ("cookie", Flag(c::BR_COOKIES as u8)),
    ("cd", Text(c::BR_COLORDEPTH as u8)),
    ("cs", Text(c::DOC_CHARSET as u8)),
    ("tz", Text(c::OS_TIMEZONE as u8)),
    ("res", Size(c::DVCE_SCREENWIDTH as u8, c::DVCE_SCREENHEIGHT as u8)),
    ("vp", Size(c::BR_VIEWWIDTH as u8, c::BR_VIEWHEIGHT as u8)),
    ("ds", Size(c::DOC_WIDTH as u8, c::DOC_HEIGHT as u8)),
    ("url", Text(c::PAGE_URL as u8)),
    ("page", Text(c::PAGE_TITLE as u8)),
    ("refr", Text(c::PAGE_REFERRER as u8)),
    ("f_pdf", Flag(c::BR_FEATURES_PDF as u8)),
    ("f_fla", Flag(c::BR_FEATURES_FLASH as u8)),
    ("f_java", Flag(c::BR_FEATURES_JAVA as u8)),
    ("f_dir", Flag(c::BR_FEATURES_DIRECTOR as u8)),
    ("f_qt", Flag(c::BR_FEATURES_QUICKTIME as u8)),
    ("f_realp", Flag(c::BR_FEATURES_REALPLAYER as u8)),
    ("f_wma", Flag(c::BR_FEATURES_WINDOWSMEDIA as u8)),
    ("f_gears", Flag(c::BR_FEATURES_GEARS as u8)),
    ("f_ag", Flag(c::BR_FEATURES_SILVERLIGHT as u8)),
    ("co", Contexts),
    ("cx", EncodedContexts),
    ("ue_pr", Unstruct),
    ("ue_px", EncodedUnstruct),
    ("se_ca", Text(c::SE_CATEGORY as u8)),
    ("se_ac", Text(c::SE_ACTION as u8)),
    ("se_la", Text(c::SE_LABEL as u8)),
    ("se_pr", Text(c::SE_PROPERTY as u8)),
    ("se_va", Decimal(c::SE_VALUE as u8)),
    ("ev_ca", OldText(c::SE_CATEGORY as u8, "se_ca")),
    ("ev_ac", OldText(c::SE_ACTION as u8, "se_ac")),
    ("ev_la", OldText(c::SE_LABEL as u8, "se_la")),
    ("ev_pr", OldText(c::SE_PROPERTY as u8, "se_pr")),
    ("ev_va", OldDecimal(c::SE_VALUE as u8, "se_va")),
    ("tr_id", Text(c::TR_ORDERID as u8)),
    ("tr_af", Text(c::TR_AFFILIATION as u8)),
    ("tr_tt", Decimal(c::TR_TOTAL as u8)),
    ("tr_tx", Decimal(c::TR_TAX as u8)),
    ("tr_sh", Decimal(c::TR_SHIPPING as u8)),
    ("tr_ci", Text(c::TR_CITY as u8)),
    ("tr_st", Text(c::TR_STATE as u8)),
    ("tr_co", Text(c::TR_COUNTRY as u8)),
    ("tr_cu", Text(c::TR_CURRENCY as u8)),
    ("ti_id", Text(c::TI_ORDERID as u8)),
    ("ti_sk", Text(c::TI_SKU as u8)),
    ("ti_nm", Text(c::TI_NAME as u8)),
    ("ti_na", OldText(c::TI_NAME as u8, "ti_nm")),
    ("ti_ca", Text(c::TI_CATEGORY as u8)),
    ("ti_pr", Decimal(c::TI_PRICE as u8)),
    ("ti_qu", Int(c::TI_QUANTITY as u8)),
    ("ti_cu", Text(c::TI_CURRENCY as u8)),
    ("pp_mix", Int(c::PP_XOFFSET_MIN as u8)),
    ("pp_max", Int(c::PP_XOFFSET_MAX as u8)),
    ("pp_miy", Int(c::PP_YOFFSET_MIN as u8)),
    ("pp_may", Int(c::PP_YOFFSET_MAX as u8)),
];

const LIST: [&str; ROWS.len()] = {
    let mut list = [""; ROWS.len()];
    let mut i = 0;
    while i < list.len() {
        list[i] = ROWS[i].0;
        i += 1;
    }
    list
};

static NAMES: Names = Names::of(&LIST);

/// The row of a parameter: its name with static lifetime, and what it does.
#[inline]
pub(super) fn find(name: &str) -> Option<(&'static str, Action)> {
    ROWS.get(NAMES.find(name, &LIST)?).copied()
}

/// The parameters that become this text column as they are, current names first.
pub fn parameters_of(column: usize) -> impl Iterator<Item = &'static str> {
    let into = move |action: Action| match action {
        Text(c) | OldText(c, _) => usize::from(c) == column,
        NetworkUser => column == c::NETWORK_USERID,
        Address => column == c::USER_IPADDRESS,
        _ => false,
    };
    let (mut old, mut current) = (Vec::new(), Vec::new());
    for (name, action) in ROWS.iter().filter(|row| into(row.1)) {
        if matches!(action, OldText(..)) { &mut old } else { &mut current }.push(*name);
    }
    current.into_iter().chain(old)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_row_is_found_and_nothing_else() {
        for row in ROWS {
            assert_eq!(find(row.0), Some(*row));
        }
        for unknown in ["", "x", "u", "ctype", "mac", "ad_ba", "ue_na", "E", "e\0"] {
            assert_eq!(find(unknown), None, "{unknown}");
        }
    }
}
