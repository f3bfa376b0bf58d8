//! §2.4 to §2.7 and §6.1: the steps that are always on.

use super::*;

#[test]
fn schema_columns_follow_the_event_type() {
    let kit = kit();
    for (code, vendor, name) in [
        ("pv", "com.snowplowanalytics.snowplow", "page_view"),
        ("pp", "com.snowplowanalytics.snowplow", "page_ping"),
        ("tr", "com.snowplowanalytics.snowplow", "transaction"),
        ("ti", "com.snowplowanalytics.snowplow", "transaction_item"),
        ("se", "com.google.analytics", "event"),
    ] {
        let e = kit.event(&format!("e={code}"));
        assert_eq!((cell(&e, "event_vendor").as_str(), cell(&e, "event_name").as_str()), (vendor, name));
        assert_eq!((cell(&e, "event_format"), cell(&e, "event_version")), ("jsonschema".into(), "1-0-0".into()));
    }
}

#[test]
fn a_missing_event_type_is_an_enrichment_failure_and_an_unknown_one_a_schema_violation() {
    let kit = kit();
    for query in ["aid=x", "e", "e=ad"] {
        let f = kit.failure(query);
        assert_eq!((kind(&f), f.cause.path.as_deref()), (BadRowKind::EnrichmentFailures, Some("event")), "{query}");
    }
    for query in ["e=xx", "e=", "e=PV"] {
        let f = kit.failure(query);
        assert_eq!((kind(&f), f.cause.path.as_deref()), (BadRowKind::SchemaViolations, Some("e")), "{query}");
    }
}

#[test]
fn an_empty_collector_version_fails_the_event() {
    let f = kit().failure("e=pv&cv=");
    assert_eq!((kind(&f), f.cause.path.as_deref()), (BadRowKind::EnrichmentFailures, Some("v_collector")));
}

#[test]
fn derived_time_takes_the_true_time_or_corrects_the_clock() {
    let kit = kit();
    for (query, time) in [
        ("e=pv&ttm=1700000000000&dtm=1&stm=2", "2023-11-14 22:13:20.000"),
        ("e=pv&dtm=1000&stm=4000", "2024-03-09 10:20:27.000"),
        ("e=pv&dtm=4000&stm=1000", "2024-03-09 10:20:30.000"),
        ("e=pv&dtm=4000&stm=4000", "2024-03-09 10:20:30.000"),
        ("e=pv&dtm=1000", "2024-03-09 10:20:30.000"),
        ("e=pv&stm=1000", "2024-03-09 10:20:30.000"),
        ("e=pv", "2024-03-09 10:20:30.000"),
    ] {
        assert_eq!(cell(&kit.event(query), "derived_tstamp"), time, "{query}");
    }
}

#[test]
fn page_urls_are_rewritten_and_referrers_are_not() {
    let kit = kit();
    let url = "https://Shop.Test:8443/a b?x=1&y=%2B#f g";
    let e = kit.event(&format!("e=pv&url={}&refr={}", enc(url), enc(url)));
    assert_eq!(cell(&e, "page_url"), "https://Shop.Test:8443/a%20b?x=1&y=%2B#f%20g");
    assert_eq!(cell(&e, "page_referrer"), url);
    for kind in ["page", "refr"] {
        for (part, text) in [
            ("scheme", "https"),
            ("host", "Shop.Test"),
            ("port", "8443"),
            ("path", "/a%20b"),
            ("query", "x=1&y=%2B"),
            ("fragment", "f%20g"),
        ] {
            assert_eq!(cell(&e, &format!("{kind}_url{part}")), text, "{kind} {part}");
        }
    }
}

#[test]
fn the_referer_header_is_the_page_only_when_there_is_no_url() {
    let kit = kit();
    let mut p = request("/i", "e=pv");
    p.referer = Some(Bytes::from_static(b"http://page.test/x"));
    let e = &enriched(kit.run(&p))[0];
    assert_eq!(
        (cell(e, "page_url"), cell(e, "page_urlhost"), cell(e, "page_referrer")),
        ("http://page.test/x".into(), "page.test".into(), String::new())
    );
    p.querystring = Some(Bytes::from_static(b"e=pv&url=http://own.test/"));
    assert_eq!(cell(&enriched(kit.run(&p))[0], "page_urlhost"), "own.test");
}

#[test]
fn a_tab_in_a_url_is_four_blanks_before_it_is_parsed() {
    let e = kit().event("e=pv&url=http%3A%2F%2Fa.test%2Fx%09y");
    assert_eq!(cell(&e, "page_url"), "http://a.test/x%20%20%20%20y");
}

#[test]
fn a_url_that_nothing_makes_sense_of_fails_the_event_and_keeps_its_text() {
    let kit = kit();
    for parameter in ["url", "refr"] {
        let f = kit.failure(&format!("e=pv&{parameter}={}", enc("http://a\\b/")));
        assert_eq!(kind(&f), BadRowKind::EnrichmentFailures);
        assert!(json(&f)["data"]["failure"]["messages"][0]["message"]["error"].is_string());
        let incomplete = f.incomplete.unwrap();
        let column = if parameter == "url" { "page_url" } else { "page_referrer" };
        assert_eq!(cell(&incomplete, column), "http://a\\b/");
        assert_eq!(
            cell(&incomplete, &format!("{}scheme", if parameter == "url" { "page_url" } else { "refr_url" })),
            ""
        );
    }
}

#[test]
fn a_visitor_that_another_site_handed_over_is_recognised() {
    let kit = kit();
    let page = |query: &str| format!("e=pv&url={}", enc(&format!("http://a.test/?{query}")));
    for (query, id, time) in [
        ("_sp=d1.1700000000000", "d1", "2023-11-14 22:13:20.000"),
        ("_sp=d1", "d1", ""),
        ("_sp=d1.", "d1", ""),
        ("_sp=.1700000000000", "", "2023-11-14 22:13:20.000"),
        ("_sp=d.1700000000000.a.b.c.d.e", "d", "2023-11-14 22:13:20.000"),
        ("_sp=d.1700000000000.a.b.c.d.e.f", "", ""),
        ("_sp=d.-1", "d", "1969-12-31 23:59:59.999"),
        ("_sp=x&_sp=d2.1700000000000", "d2", "2023-11-14 22:13:20.000"),
        ("%5Fsp=d1", "d1", ""),
        ("a=1;_sp=d1", "d1", ""),
        ("_sp=", "", ""),
        ("_sp", "", ""),
        ("_sp=.", "", ""),
        ("_sp=...", "", ""),
        ("x_sp=d1", "", ""),
    ] {
        let e = kit.event(&page(query));
        assert_eq!(
            (cell(&e, "refr_domain_userid").as_str(), cell(&e, "refr_dvce_tstamp").as_str()),
            (id, time),
            "{query}"
        );
    }
    for query in ["_sp=d1.soon", "_sp=d..x", "_sp=d.253402300800000"] {
        let f = kit.failure(&page(query));
        assert_eq!((kind(&f), f.cause.path.as_deref()), (BadRowKind::EnrichmentFailures, Some("sp_dtm")), "{query}");
        assert_eq!(cell(&f.incomplete.unwrap(), "refr_domain_userid"), "");
    }
}

#[test]
fn an_event_without_an_id_gets_the_same_one_on_every_replay() {
    let kit = kit();
    let id = cell(&kit.event("e=pv"), "event_id");
    assert_eq!(id, uuid::Uuid::new_v5(&uuid::Uuid::nil(), b"7.0").to_string());
    assert_eq!(cell(&kit.event("e=pv&aid=x"), "event_id"), id);
    assert_eq!(cell(&kit.event(&format!("e=pv&eid={}", EID.to_uppercase())), "event_id"), EID);
    // An unreadable id fails the event, which still gets one.
    assert_eq!(cell(&kit.failure("e=pv&eid=x").incomplete.unwrap(), "event_id"), id);
}

/// A step that does whatever a user's script might.
struct Probe(fn(&mut StepContext<'_>));

impl Enrichment for Probe {
    fn identifier(&self) -> &'static str {
        "probe"
    }
    fn apply(&self, cx: &mut StepContext<'_>) {
        (self.0)(cx);
    }
}

fn probe(step: fn(&mut StepContext<'_>)) -> Kit {
    kit_with(Config::default(), Steps::always_on().with(Box::new(Probe(step))))
}

#[test]
fn a_dropped_event_leaves_nothing_but_its_outcome() {
    let items = probe(|cx| cx.drop_event("probe")).get("e=xx");
    assert_eq!(items.len(), 1);
    assert_eq!(items[0].outcome, Outcome::Dropped { by: "probe".into() });
}

#[test]
fn derived_contexts_are_validated_and_the_latest_step_stands_first() {
    let any = crate::event::SchemaKey::parse("iglu:com.acme/any/jsonschema/1-0-0").unwrap();
    let kit = probe(|cx| {
        let any = crate::event::SchemaKey::parse("iglu:com.acme/any/jsonschema/1-0-0").unwrap();
        cx.derive(any.clone(), r#"{ "n" : 1 }"#);
        cx.derive(any, r#"{"n":2}"#);
    });
    let e = kit.event("e=pv");
    assert_eq!(
        e.derived.iter().map(|d| (d.schema.clone(), d.data.to_string())).collect::<Vec<_>>(),
        [(any.clone(), r#"{"n":1}"#.into()), (any, r#"{"n":2}"#.into())]
    );
    let kit = probe(|cx| {
        let click = crate::event::SchemaKey::parse("iglu:com.acme/click/jsonschema/1-0-0").unwrap();
        cx.derive(click.clone(), "{}");
        cx.derive(click.clone(), "nonsense");
        cx.derive(click, r#"{"id":1}"#);
    });
    let f = kit.failure("e=pv");
    assert_eq!(kind(&f), BadRowKind::SchemaViolations);
    let derived = f.incomplete.unwrap().derived;
    assert_eq!(derived.iter().map(|d| d.schema.name().to_owned()).collect::<Vec<_>>(), ["failure", "failure", "click"]);
    assert!(derived[0].data.contains(r#""source":"derived_contexts""#));
}

#[test]
fn what_a_step_puts_in_place_of_the_data_is_checked_again() {
    let kit = probe(|cx| cx.replace_contexts(Some(contexts(&click("{}")))));
    let f = kit.failure("e=pv");
    assert_eq!((kind(&f), f.cause.keyword.as_deref()), (BadRowKind::SchemaViolations, Some("required")));
    let kit = probe(|cx| cx.replace_unstruct(Some(unstruct(&click(r#"{"id":3}"#)))));
    assert_eq!(&*kit.event("e=pv").unstruct.unwrap().data, r#"{"id":3}"#);
    let kit = probe(|cx| cx.replace_contexts(None));
    assert!(kit.event(&format!("e=pv&co={}", enc(&contexts(&click(r#"{"id":1}"#))))).contexts.is_empty());
}

#[test]
fn a_step_that_panics_costs_one_generic_error() {
    let f = probe(|_| panic!("boom")).failure("e=pv");
    assert_eq!(kind(&f), BadRowKind::GenericError);
    assert!(f.cause.message.contains("boom"));
}
