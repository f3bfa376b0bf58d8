//! §3: adapters, in the stated order of their checks.

use super::*;

const JSON: Option<&str> = Some("application/json");
const IGLU: &str = "/com.snowplowanalytics.iglu/v1";

fn adapter_failure(items: Vec<Processed>, wanted: BadRowKind) -> Vec<String> {
    let f = failed(items);
    assert_eq!(kind(&f), wanted, "{}", f.bad_row);
    assert!(f.incomplete.is_none());
    fields(&f)
}

#[test]
fn tp1_takes_the_query_string_unchecked() {
    let kit = kit();
    assert_eq!(cell(&kit.event("e=pv"), "event"), "page_view");
    assert_eq!(adapter_failure(kit.get(""), BadRowKind::AdapterFailures), ["querystring"]);
    let mut p = request("/ice.png", "e=pv&aid=x");
    p.body = Some(Bytes::from_static(b"ignored"));
    assert_eq!(cell(&enriched(kit.run(&p))[0], "app_id"), "x");
}

#[test]
fn tp2_checks_in_the_stated_order() {
    let kit = kit();
    let tpv = BadRowKind::TrackerProtocolViolations;
    assert_eq!(adapter_failure(kit.run(&request(TP2, "")), tpv), ["body", "querystring"]);
    let mut p = request(TP2, "e=pv");
    p.content_type = Some(Bytes::from_static(b"text/plain"));
    assert_eq!(adapter_failure(kit.run(&p), tpv), ["contentType"]);
    p.content_type = Some(Bytes::from_static(b"application/json"));
    assert_eq!(adapter_failure(kit.run(&p), tpv), ["body"]);
    assert_eq!(adapter_failure(kit.post(TP2, None, "{}", ""), tpv), ["contentType"]);
    for kind in ["application/json;charset=utf-8", "APPLICATION/JSON", "text/plain"] {
        assert_eq!(adapter_failure(kit.post(TP2, Some(kind), "{}", ""), tpv), ["contentType"]);
    }
    assert_eq!(cell(&enriched(kit.run(&request(TP2, "e=pv&aid=g")))[0], "app_id"), "g");
    for kind in ["application/json", "application/json; charset=utf-8", "application/json; charset=UTF-8"] {
        let items = kit.post(TP2, Some(kind), &payload_data(r#"{"e":"pv","p":"web","tv":"t"}"#), "");
        assert_eq!(enriched(items).len(), 1);
    }
}

#[test]
fn a_tp2_body_fails_as_a_whole_and_tells_why() {
    let kit = kit();
    let cause = |body: &str| failed(kit.post(TP2, JSON, body, "")).cause;
    for (body, failure) in [
        ("", "NotJSON"),
        ("{", "NotJSON"),
        ("[1]", "NotIglu"),
        (r#"{"schema":"iglu:com.acme/any/jsonschema/1-0-0"}"#, "NotIglu"),
        (r#"{"schema":"com.acme/any","data":{}}"#, "NotIglu"),
        (r#"{"schema":"iglu:com.acme/any/jsonschema/0-0-0","data":{}}"#, "NotIglu"),
        (r#"{"schema":"iglu:com.acme/nowhere/jsonschema/1-0-0","data":{}}"#, "ResolutionError"),
        // The envelope is checked against its own schema before it has to be payload_data.
        (r#"{"schema":"iglu:com.acme/click/jsonschema/1-0-0","data":{}}"#, "ValidationError"),
        (r#"{"schema":"iglu:com.acme/any/jsonschema/1-0-0","data":{}}"#, "CriterionMismatch"),
    ] {
        let cause = cause(body);
        assert_eq!((cause.kind, cause.failure.as_str()), (BadRowKind::TrackerProtocolViolations, failure), "{body}");
    }
    assert_eq!(
        cause(r#"{"schema":"iglu:com.acme/any/jsonschema/0-0-0","data":{}}"#).keyword.as_deref(),
        Some("INVALID_SCHEMAVER")
    );
    let deep =
        format!(r#"{{"schema":"iglu:com.acme/any/jsonschema/1-0-0","data":{}1{}}}"#, "[".repeat(40), "]".repeat(40));
    assert_eq!(cause(&deep).failure, "NotJSON");
}

#[test]
fn unknown_and_missing_parameters_are_fatal_by_post_and_fine_by_get() {
    let kit = kit();
    let good = r#"{"e":"pv","p":"web","tv":"t"}"#;
    for bad in [
        r#"{"e":"pv","p":"web"}"#,
        r#"{"e":"pv","p":"web","tv":"t","zzz":"1"}"#,
        r#"{"e":"pv","p":"web","tv":"t","cv":"1"}"#,
        r#"{"e":"pv","p":"web","tv":"t","vid":1}"#,
        r#"{"e":"pv","p":"web","tv":"t","ev_ca":"x"}"#,
    ] {
        let f = failed(kit.tp2(&format!("{good},{bad}")));
        assert_eq!(f.cause.failure, "ValidationError", "{bad}");
    }
    assert_eq!(failed(kit.tp2("")).cause.failure, "ValidationError");
    assert_eq!(cell(&kit.event("e=pv&zzz=1"), "event"), "page_view");
}

#[test]
fn the_query_string_wins_over_the_body_and_a_valueless_name_takes_the_value_away() {
    let kit = kit();
    let body = payload_data(r#"{"e":"pv","p":"web","tv":"t","aid":"body","tna":"body"},{"e":"pp","p":"web","tv":"t"}"#);
    let events = enriched(kit.post(TP2, JSON, &body, "aid=query&tna"));
    assert_eq!(events.len(), 2);
    for e in &events {
        assert_eq!((cell(e, "app_id").as_str(), cell(e, "name_tracker").as_str()), ("query", ""));
    }
}

#[test]
fn one_bad_event_of_a_post_does_not_hurt_the_others_after_the_adapter() {
    let items = kit().tp2(r#"{"e":"pv","p":"web","tv":"t","vid":"x"},{"e":"pv","p":"web","tv":"t","vid":"1"}"#);
    assert!(matches!(items[0].outcome, Outcome::Failed(_)) && matches!(items[1].outcome, Outcome::Enriched(_)));
    assert_eq!(items[1].addr.index, 1);
}

#[test]
fn post_values_are_not_percent_decoded_and_equal_keys_let_the_last_win() {
    let events = enriched(kit().tp2(r#"{"e":"pv","p":"web","tv":"t","page":"a%20b+c","aid":"1","aid":"2"}"#));
    assert_eq!((cell(&events[0], "page_title"), cell(&events[0], "app_id")), ("a%20b+c".into(), "2".into()));
}

#[test]
fn an_unknown_path_is_an_adapter_failure() {
    let f = failed(kit().run(&request("/com.acme/v9", "e=pv")));
    assert_eq!(kind(&f), BadRowKind::AdapterFailures);
    assert_eq!(json(&f)["data"]["failure"]["messages"][0]["value"], "com.acme/v9");
}

#[test]
fn a_redirect_becomes_an_event_or_an_entity() {
    let kit = kit();
    let run = |query: &str| kit.run(&request("/r/tp2", query));
    for query in ["", "e=pv", "u"] {
        assert_eq!(adapter_failure(run(query), BadRowKind::TrackerProtocolViolations), ["querystring"], "{query}");
    }
    let e = &enriched(run("u=https%3A%2F%2Fa.test%2F&aid=x"))[0];
    assert_eq!(
        (cell(e, "event"), cell(e, "event_name"), cell(e, "v_tracker"), cell(e, "platform"), cell(e, "app_id")),
        ("unstruct".into(), "uri_redirect".into(), "r-tp2".into(), "web".into(), "x".into())
    );
    assert_eq!(&*e.unstruct.as_ref().unwrap().data, r#"{"uri":"https://a.test/"}"#);
    let e = &enriched(run("u=https%3A%2F%2Fa.test%2F&e=pv&p=mob&tv=other"))[0];
    assert_eq!(
        (cell(e, "event"), cell(e, "platform"), cell(e, "v_tracker")),
        ("page_view".into(), "mob".into(), "r-tp2".into())
    );
    assert_eq!(e.contexts[0].schema.name(), "uri_redirect");
    let co = contexts(&click(r#"{"id":1}"#));
    for query in [format!("co={}", enc(&co)), format!("cx={}", crate::enrich::map::base64::encode(&co))] {
        let e = &enriched(run(&format!("u=https%3A%2F%2Fa.test%2F&e=pv&{query}")))[0];
        assert_eq!(
            e.contexts.iter().map(|c| c.schema.name()).collect::<Vec<_>>(),
            ["uri_redirect", "click"],
            "{query}"
        );
    }
    for query in ["co=", "co", "cx"] {
        let e = &enriched(run(&format!("u=https%3A%2F%2Fa.test%2F&e=pv&{query}")))[0];
        assert_eq!(e.contexts.len(), 1, "{query}");
    }
    assert_eq!(adapter_failure(run("u=x&e=pv&co=nonsense"), BadRowKind::TrackerProtocolViolations), ["co"]);
    assert_eq!(adapter_failure(run("u=x&e=pv&cx=nonsense"), BadRowKind::TrackerProtocolViolations), ["cx"]);
    assert_eq!(failed(run("u=not a uri".replace(' ', "%20").as_str())).cause.kind, BadRowKind::SchemaViolations);
}

#[test]
fn the_iglu_webhook_takes_every_form() {
    let kit = kit();
    let schema = "schema=iglu:com.acme%2Fany%2Fjsonschema%2F1-0-0";
    let e =
        &enriched(kit.run(&request(IGLU, &format!("{schema}&aid=x&k=v&n=&m&url=http%3A%2F%2Fa.test%2F&eid={EID}"))))[0];
    assert_eq!(
        (
            cell(e, "event_name"),
            cell(e, "platform"),
            cell(e, "app_id"),
            cell(e, "event_id"),
            cell(e, "page_urlhost"),
            cell(e, "v_tracker")
        ),
        ("any".into(), "app".into(), "x".into(), EID.into(), "a.test".into(), "com.snowplowanalytics.iglu-v1".into())
    );
    assert_eq!(&*e.unstruct.as_ref().unwrap().data, r#"{"k":"v","n":null,"m":null}"#);
    let e = &enriched(kit.post(IGLU, JSON, &click(r#"{"id":1}"#), "aid=x&p=mob"))[0];
    assert_eq!(
        (cell(e, "event_name"), cell(e, "platform"), cell(e, "app_id")),
        ("click".into(), "mob".into(), "x".into())
    );
    let events = enriched(kit.post(IGLU, JSON, r#"[{"a":1},{"a":1.10}]"#, schema));
    assert_eq!(
        events.iter().map(|e| e.unstruct.as_ref().unwrap().data.to_string()).collect::<Vec<_>>(),
        [r#"{"a":1}"#, r#"{"a":1.10}"#]
    );
    assert_eq!(cell(&events[0], "platform"), "app");
    let e = &enriched(kit.post(IGLU, Some("application/x-www-form-urlencoded"), "a=1&b=x+y", schema))[0];
    assert_eq!(
        (cell(e, "platform"), e.unstruct.as_ref().unwrap().data.to_string()),
        ("srv".into(), r#"{"a":"1","b":"x y"}"#.into())
    );
}

#[test]
fn the_iglu_webhook_tells_what_it_refuses() {
    let kit = kit();
    let af = BadRowKind::AdapterFailures;
    let schema = "schema=iglu:com.acme%2Fany%2Fjsonschema%2F1-0-0";
    assert_eq!(adapter_failure(kit.run(&request(IGLU, "aid=x")), af), ["schema", "body"]);
    assert_eq!(adapter_failure(kit.post(IGLU, None, "{}", schema), af), ["contentType"]);
    assert_eq!(adapter_failure(kit.post(IGLU, Some("text/plain"), "{}", schema), af), ["contentType"]);
    assert_eq!(adapter_failure(kit.post(IGLU, Some("text/plain"), "{}", ""), af), ["contentType"]);
    for body in ["[]", "{}", "1", "\"x\""] {
        assert_eq!(adapter_failure(kit.post(IGLU, JSON, body, schema), af), ["body"], "{body}");
    }
    assert_eq!(adapter_failure(kit.post(IGLU, JSON, "{", ""), af), ["body"]);
    assert_eq!(failed(kit.post(IGLU, JSON, r#"{"a":1}"#, "")).cause.failure, "NotIglu");
    for (uri, code) in [("nonsense", "INVALID_IGLUURI"), ("iglu:com.acme/any/jsonschema/0-0-0", "INVALID_SCHEMAVER")] {
        let f = failed(kit.run(&request(IGLU, &format!("schema={uri}"))));
        assert_eq!(json(&f)["data"]["failure"]["messages"][0]["expectation"], code);
    }
}
