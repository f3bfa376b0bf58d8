//! §1.2 and §7: what leaves is 131 cells, and JSON by the rules of the SDKs.

use super::*;
use crate::event::sdk_json::{self, Form};

fn rich(kit: &Kit) -> Event {
    let co = contexts(&[click(r#"{"id":1,"t":"a\tb"}"#), click(r#"{"id":2}"#)].join(","));
    kit.event(&format!(
        "e=se&p=web&tv=js&aid=shop&eid={EID}&se_ca=c%09d&se_va=1.50&dtm=1000&stm=2000&res=1x2&cookie=1&f_pdf=0&vid=3&url={}&co={}",
        enc("https://a.test/x?y=1#z"),
        enc(&co)
    ))
}

#[test]
fn an_event_is_131_cells_and_reads_back() {
    let line = tsv::line(&rich(&kit()));
    assert_eq!(line.split('\t').count(), 131);
    assert!(!line.contains('\n'));
    let back = tsv::read(&line).unwrap();
    assert_eq!(tsv::line(&back), line);
    assert_eq!(cell(&back, "se_category"), "c    d");
}

#[test]
fn json_reads_back_as_json() {
    let kit = kit();
    for form in [Form::Lossy, Form::Lossless] {
        let value: Value = serde_json::from_str(&sdk_json::text(&rich(&kit), form)).unwrap();
        assert_eq!(value["event_id"], EID);
        assert_eq!(value["se_value"].to_string(), "1.5");
        assert_eq!(value["br_cookies"], true);
        assert_eq!(value["br_features_pdf"], false);
        assert_eq!(value["domain_sessionidx"], 3);
    }
    let lossy: Value = serde_json::from_str(&sdk_json::text(&rich(&kit), Form::Lossy)).unwrap();
    assert_eq!(lossy["contexts_com_acme_click_1"][1]["id"], 2);
}

#[test]
fn the_longest_estimate_is_never_below_the_line() {
    let kit = kit();
    for event in [
        rich(&kit),
        kit.event("e=pv"),
        kit.event(&format!("e=pv&url={}", enc(&format!("http://a.test/{}", "x".repeat(900))))),
    ] {
        assert!(tsv::longest(&event) >= tsv::line(&event).len());
    }
}

#[test]
fn two_runs_give_the_same_bytes() {
    let (a, b) = (kit(), kit());
    for query in ["e=pv", "e=pv&vid=x", "aid=1", &format!("e=ue&ue_pr={}", enc(&unstruct(&click("{}"))))] {
        assert_eq!(format!("{:?}", a.get(query)), format!("{:?}", b.get(query)), "{query}");
    }
}
