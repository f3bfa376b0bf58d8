//! Claims of the facts sheet about parameters and columns, one by one (§2.2 to §2.5, §9).

use super::*;
use crate::enrich::params::Param;
use crate::event::columns::COLUMNS;

fn params(pairs: &[(&'static str, &'static str)]) -> Params<'static> {
    Params::from_pairs(pairs.iter().map(|(n, v)| Param { name: (*n).into(), value: Some((*v).into()) }).collect())
}

/// The cells that are set, as `column=text`, and the parameters that failed.
fn mapped(pairs: &[(&'static str, &'static str)]) -> (Vec<String>, Vec<&'static str>) {
    let params = params(pairs);
    let mut event = Event::new();
    let mut errors = Vec::new();
    apply(&params, &mut event, &mut errors);
    let mut cells = Vec::new();
    for (i, column) in COLUMNS.iter().enumerate() {
        let mut text = String::new();
        tsv::write_cell(&event, i, &mut text);
        if !text.is_empty() {
            cells.push(format!("{}={text}", column.name));
        }
    }
    (cells, errors.into_iter().map(|e| e.field).collect())
}

fn good(pair: (&'static str, &'static str), cells: &[&str]) {
    assert_eq!(mapped(&[pair]), (cells.iter().map(|c| (*c).to_owned()).collect(), vec![]), "{pair:?}");
}

fn bad(pair: (&'static str, &'static str)) {
    assert_eq!(mapped(&[pair]), (vec![], vec![pair.0]), "{pair:?}");
}

#[test]
fn every_text_parameter_reaches_its_column() {
    for (param, column) in [
        ("aid", "app_id"),
        ("tna", "name_tracker"),
        ("tv", "v_tracker"),
        ("cv", "v_collector"),
        ("uid", "user_id"),
        ("duid", "domain_userid"),
        ("nuid", "network_userid"),
        ("tnuid", "network_userid"),
        ("fp", "user_fingerprint"),
        ("ip", "user_ipaddress"),
        ("ua", "useragent"),
        ("lang", "br_lang"),
        ("cd", "br_colordepth"),
        ("cs", "doc_charset"),
        ("tz", "os_timezone"),
        ("url", "page_url"),
        ("page", "page_title"),
        ("refr", "page_referrer"),
        ("se_ca", "se_category"),
        ("se_ac", "se_action"),
        ("se_la", "se_label"),
        ("se_pr", "se_property"),
        ("ev_ca", "se_category"),
        ("ev_ac", "se_action"),
        ("ev_la", "se_label"),
        ("ev_pr", "se_property"),
        ("tr_id", "tr_orderid"),
        ("tr_af", "tr_affiliation"),
        ("tr_ci", "tr_city"),
        ("tr_st", "tr_state"),
        ("tr_co", "tr_country"),
        ("tr_cu", "tr_currency"),
        ("ti_id", "ti_orderid"),
        ("ti_sk", "ti_sku"),
        ("ti_nm", "ti_name"),
        ("ti_na", "ti_name"),
        ("ti_ca", "ti_category"),
        ("ti_cu", "ti_currency"),
    ] {
        good(
            (param, if param == "ip" { "x y" } else { "x\tü\u{1}" }),
            &[&format!("{column}={}", if param == "ip" { "x" } else { "x    ü" })],
        );
        good((param, ""), &[]);
    }
}

#[test]
fn every_typed_parameter_reaches_its_column() {
    for (param, column) in [
        ("tid", "txn_id"),
        ("vid", "domain_sessionidx"),
        ("ti_qu", "ti_quantity"),
        ("pp_mix", "pp_xoffset_min"),
        ("pp_max", "pp_xoffset_max"),
        ("pp_miy", "pp_yoffset_min"),
        ("pp_may", "pp_yoffset_max"),
    ] {
        good((param, "+7"), &[&format!("{column}=7")]);
        good((param, "NULL"), &[]);
        for text in ["", " 7", "7.0", "1e3", "2147483648", "seven"] {
            bad((param, text));
        }
    }
    for (param, column) in [
        ("se_va", "se_value"),
        ("ev_va", "se_value"),
        ("tr_tt", "tr_total"),
        ("tr_tx", "tr_tax"),
        ("tr_sh", "tr_shipping"),
        ("ti_pr", "ti_price"),
    ] {
        good((param, "12.50"), &[&format!("{column}=12.50")]);
        good((param, "null"), &[]);
        for text in ["", "1,5", "NaN", "0x1", " 1", "1E999999"] {
            bad((param, text));
        }
    }
    for (param, column) in [
        ("f_pdf", "br_features_pdf"),
        ("f_fla", "br_features_flash"),
        ("f_java", "br_features_java"),
        ("f_dir", "br_features_director"),
        ("f_qt", "br_features_quicktime"),
        ("f_realp", "br_features_realplayer"),
        ("f_wma", "br_features_windowsmedia"),
        ("f_gears", "br_features_gears"),
        ("f_ag", "br_features_silverlight"),
        ("cookie", "br_cookies"),
    ] {
        good((param, "1"), &[&format!("{column}=1")]);
        good((param, "0"), &[&format!("{column}=0")]);
        for text in ["", "true", "false", "null", "2"] {
            bad((param, text));
        }
    }
    for (param, column) in [("dtm", "dvce_created_tstamp"), ("stm", "dvce_sent_tstamp"), ("ttm", "true_tstamp")] {
        good((param, "1700000000000"), &[&format!("{column}=2023-11-14 22:13:20.000")]);
        good((param, "+1"), &[&format!("{column}=1970-01-01 00:00:00.001")]);
        good((param, "-62167219200000"), &[&format!("{column}=0000-01-01 00:00:00.000")]);
        good((param, "253402300799999"), &[&format!("{column}=9999-12-31 23:59:59.999")]);
        for text in ["", "null", "1.5", "2024-01-01", "253402300800000", "-62167219200001"] {
            bad((param, text));
        }
    }
}

#[test]
fn sizes_fill_two_columns() {
    good(("res", "1920x1080"), &["dvce_screenwidth=1920", "dvce_screenheight=1080"]);
    good(("vp", "800x600"), &["br_viewwidth=800", "br_viewheight=600"]);
    good(("ds", "1x2"), &["doc_width=1", "doc_height=2"]);
    for text in ["", "1920X1080", "1920 x 1080", "-1x1", "null", "٣x٣"] {
        bad(("res", text));
    }
}

#[test]
fn event_codes_and_platforms_are_closed_lists() {
    for (code, name) in [
        ("pv", "page_view"),
        ("pp", "page_ping"),
        ("se", "struct"),
        ("ev", "struct"),
        ("ue", "unstruct"),
        ("tr", "transaction"),
        ("ti", "transaction_item"),
        ("ad", "ad_impression"),
    ] {
        good(("e", code), &[&format!("event={name}")]);
    }
    for code in ["", "PV", "page_view", "x"] {
        bad(("e", code));
    }
    for code in ["web", "iot", "app", "mob", "pc", "cnsl", "tv", "srv", "headset"] {
        good(("p", code), &[&format!("platform={code}")]);
    }
    for code in ["", "WEB", "mobile"] {
        bad(("p", code));
    }
}

#[test]
fn uuids_are_strict_and_lower_cased() {
    let id = "C6EF3124-B53A-4B13-A233-0088F79DCBCB";
    good(("eid", id), &["event_id=c6ef3124-b53a-4b13-a233-0088f79dcbcb"]);
    good(("sid", "00000000-0000-0000-0000-000000000000"), &["domain_sessionid=00000000-0000-0000-0000-000000000000"]);
    for text in [
        "",
        "{c6ef3124-b53a-4b13-a233-0088f79dcbcb}",
        "c6ef3124b53a4b13a2330088f79dcbcb",
        "1-1-1-1-1",
        " c6ef3124-b53a-4b13-a233-0088f79dcbcb",
        "urn:uuid:c6ef3124-b53a-4b13-a233-0088f79dcbcb",
    ] {
        bad(("eid", text));
    }
}

#[test]
fn the_address_ends_at_the_first_comma_bar_or_blank() {
    for text in ["1.2.3.4,5.6.7.8", "1.2.3.4|x", "1.2.3.4 x", "1.2.3.4"] {
        good(("ip", text), &["user_ipaddress=1.2.3.4"]);
    }
}

#[test]
fn the_modern_name_and_the_encoded_form_win_wherever_they_stand() {
    for pairs in [[("se_ca", "new"), ("ev_ca", "old")], [("ev_ca", "old"), ("se_ca", "new")]] {
        assert_eq!(mapped(&pairs).0, ["se_category=new"]);
    }
    for pairs in [[("se_va", "1"), ("ev_va", "bad")], [("ev_va", "bad"), ("se_va", "1")]] {
        assert_eq!(mapped(&pairs), (vec!["se_value=1".to_owned()], vec![]));
    }
    for pairs in [[("tnuid", "t"), ("nuid", "n")], [("nuid", "n"), ("tnuid", "t")]] {
        assert_eq!(mapped(&pairs).0, ["network_userid=t"]);
    }
    let both = params(&[("cx", "e30"), ("co", "[]"), ("ue_pr", "[]"), ("ue_px", "e30")]);
    let texts = apply(&both, &mut Event::new(), &mut Vec::new());
    assert_eq!((texts.contexts.as_deref(), texts.unstruct.as_deref()), (Some("{}"), Some("{}")));
}

#[test]
fn parameters_without_a_column_are_ignored() {
    let pairs = ["ctype", "mac", "ad_ba", "ad_ca", "ad_ad", "ad_uid", "sa", "sn", "st", "sp", "ue_na", "u", "zzz"];
    for name in pairs {
        good((name, "x"), &[]);
    }
}

#[test]
fn every_error_is_collected_under_its_parameter() {
    let (cells, errors) = mapped(&[("vid", "x"), ("aid", "shop"), ("res", "x"), ("eid", "x"), ("tr_tt", "x")]);
    assert_eq!(cells, ["app_id=shop"]);
    assert_eq!(errors, ["vid", "res", "eid", "tr_tt"]);
}
