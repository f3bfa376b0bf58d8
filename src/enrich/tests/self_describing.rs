//! §4: envelopes, schemas, superseding; §10 on the form that is written.

use super::*;

fn ue(kit: &Kit, text: &str) -> Vec<Processed> {
    kit.get(&format!("e=ue&p=web&tv=t&ue_pr={}", enc(text)))
}

fn co(kit: &Kit, text: &str) -> Vec<Processed> {
    kit.get(&format!("e=pv&p=web&tv=t&co={}", enc(text)))
}

#[test]
fn data_keeps_key_order_and_number_text_and_the_wrapper_is_normalised() {
    let kit = kit();
    let item = r#" { "data" : {"x":{"b": 1.10, "a": [1e3, 123456789012345678901234567890], "ü": "\u00fc\t\n"},"id":1} , "schema":"iglu:com.acme/click/jsonschema/1-0-0" } "#;
    let e = &enriched(ue(&kit, &unstruct(item)))[0];
    assert_eq!(
        cell(e, "unstruct_event"),
        concat!(
            r#"{"schema":"iglu:com.snowplowanalytics.snowplow/unstruct_event/jsonschema/1-0-0","data":"#,
            r#"{"schema":"iglu:com.acme/click/jsonschema/1-0-0","data":{"x":{"b":1.10,"a":[1e3,123456789012345678901234567890],"ü":"ü\t\n"},"id":1}}}"#
        )
    );
    assert_eq!(
        (cell(e, "event_vendor"), cell(e, "event_name"), cell(e, "event_format"), cell(e, "event_version")),
        ("com.acme".into(), "click".into(), "jsonschema".into(), "1-0-0".into())
    );
    let e = &enriched(co(&kit, &contexts(&click(r#"{"id":1,"id":2}"#))))[0];
    assert_eq!(
        cell(e, "contexts"),
        r#"{"schema":"iglu:com.snowplowanalytics.snowplow/contexts/jsonschema/1-0-1","data":[{"schema":"iglu:com.acme/click/jsonschema/1-0-0","data":{"id":2}}]}"#
    );
}

#[test]
fn the_encoded_forms_are_the_same() {
    let kit = kit();
    let text = unstruct(&click(r#"{"id":1,"t":"ü?"}"#));
    let plain = enriched(ue(&kit, &text)).remove(0);
    let coded = kit.event(&format!("e=ue&p=web&tv=t&ue_px={}", crate::enrich::map::base64::encode(&text)));
    assert_eq!(plain.unstruct, coded.unstruct);
}

#[test]
fn each_step_of_an_envelope_has_its_own_failure() {
    let kit = kit();
    let own = |s: &str| s.to_owned();
    for (text, failure, keyword) in [
        (own(""), "NotJSON", None),
        (own("{"), "NotJSON", None),
        (own("[]"), "NotIglu", Some("INVALID_DATA_PAYLOAD")),
        (own(r#"{"schema":1,"data":{}}"#), "NotIglu", Some("INVALID_DATA_PAYLOAD")),
        (own(r#"{"schema":"iglu:com.acme/any/jsonschema/1-0-0"}"#), "NotIglu", Some("INVALID_DATA_PAYLOAD")),
        (own(r#"{"schema":"nonsense","data":{}}"#), "NotIglu", Some("INVALID_IGLUURI")),
        (own(r#"{"schema":"iglu:com.acme/any/jsonschema/01-0-0","data":{}}"#), "NotIglu", Some("INVALID_SCHEMAVER")),
        (own(r#"{"schema":"iglu:com.acme/any/jsonschema/1-0-0","data":{}}"#), "CriterionMismatch", None),
        (
            own(r#"{"schema":"iglu:com.snowplowanalytics.snowplow/unstruct_event/jsonschema/2-0-0","data":{}}"#),
            "CriterionMismatch",
            None,
        ),
        (unstruct("{}"), "ValidationError", Some("required")),
        (
            unstruct(r#"{"schema":"iglu:com.acme/any/jsonschema/1-0-0","data":{},"more":1}"#),
            "ValidationError",
            Some("additionalProperties"),
        ),
        (unstruct(r#"{"schema":"nonsense","data":{}}"#), "ValidationError", Some("pattern")),
        (
            unstruct(r#"{"schema":"iglu:com.acme/any/jsonschema/99999999999-0-0","data":{}}"#),
            "NotIglu",
            Some("INVALID_SCHEMAVER"),
        ),
        (unstruct(r#"{"schema":"iglu:com.acme/nowhere/jsonschema/1-0-0","data":{}}"#), "ResolutionError", None),
        (unstruct(&click("{}")), "ValidationError", Some("required")),
        (unstruct(&click(r#"{"id":5.0}"#)), "ValidationError", Some("type")),
        (
            unstruct(r#"{"schema":"iglu:com.acme/faulty/jsonschema/1-0-0","data":{}}"#),
            "ValidationError",
            Some("schema"),
        ),
    ] {
        let f = failed(ue(&kit, &text));
        assert_eq!(
            (kind(&f), f.cause.failure.as_str(), f.cause.keyword.as_deref()),
            (BadRowKind::SchemaViolations, failure, keyword),
            "{text}"
        );
        let incomplete = f.incomplete.unwrap();
        assert!(incomplete.unstruct.is_none());
        assert_eq!(cell(&incomplete, "event_name"), "");
    }
}

#[test]
fn depth_counts_the_root_and_scalars() {
    let kit = kit();
    // Envelope, item, data, x: four levels around the arrays; the scalar is one more.
    let text = |n: usize| unstruct(&click(&format!(r#"{{"id":1,"x":{}1{}}}"#, "[".repeat(n), "]".repeat(n))));
    assert_eq!(enriched(ue(&kit, &text(36))).len(), 1);
    assert_eq!(failed(ue(&kit, &text(37))).cause.failure, "NotJSON");
    assert_eq!(failed(ue(&kit, &"[".repeat(100_000))).cause.failure, "NotJSON");
}

#[test]
fn good_contexts_are_kept_and_every_bad_one_is_told() {
    let kit = kit();
    let text = contexts(
        &[
            click(r#"{"id":1}"#),
            click("{}"),
            click(r#"{"id":2}"#),
            r#"{"schema":"iglu:com.acme/nowhere/jsonschema/1-0-0","data":{}}"#.to_owned(),
        ]
        .join(","),
    );
    let f = failed(co(&kit, &text));
    assert_eq!(json(&f)["data"]["failure"]["messages"].as_array().unwrap().len(), 2);
    let incomplete = f.incomplete.unwrap();
    assert_eq!(
        incomplete.contexts.iter().map(|c| c.data.to_string()).collect::<Vec<_>>(),
        [r#"{"id":1}"#, r#"{"id":2}"#]
    );
}

#[test]
fn only_the_newer_contexts_envelope_may_be_empty() {
    let kit = kit();
    assert_eq!(failed(co(&kit, &contexts(""))).cause.keyword.as_deref(), Some("minItems"));
    let empty = contexts("").replace("1-0-0", "1-0-1");
    assert_eq!(cell(&enriched(co(&kit, &empty))[0], "contexts"), "");
    assert_eq!(failed(co(&kit, &contexts("1"))).cause.keyword.as_deref(), Some("type"));
}

#[test]
fn an_event_without_data_is_good_and_a_foreign_one_is_stored() {
    let kit = kit();
    let e = kit.event("e=ue&p=web&tv=t");
    assert_eq!(
        (cell(&e, "event"), cell(&e, "event_name"), cell(&e, "unstruct_event")),
        ("unstruct".into(), String::new(), String::new())
    );
    let e = kit.event(&format!("e=pv&ue_pr={}", enc(&unstruct(&click(r#"{"id":1}"#)))));
    assert_eq!(cell(&e, "event_name"), "page_view");
    assert!(e.unstruct.is_some());
}

#[test]
fn a_superseded_schema_gives_way_to_the_newer_one_and_says_so() {
    let kit = kit();
    let old = |data: &str| format!(r#"{{"schema":"iglu:com.acme/old/jsonschema/1-0-0","data":{data}}}"#);
    let both = format!(
        "e=ue&ue_pr={}&co={}",
        enc(&unstruct(&old("{}"))),
        enc(&contexts(&[old("{}"), old(r#"{"n":1}"#)].join(",")))
    );
    let e = kit.event(&both);
    assert_eq!(cell(&e, "event_version"), "1-0-2");
    assert_eq!(e.contexts[1].schema.version(), (1, 0, 2));
    assert_eq!(
        cell(&e, "derived_contexts"),
        r#"{"schema":"iglu:com.snowplowanalytics.snowplow/contexts/jsonschema/1-0-1","data":[{"schema":"iglu:com.snowplowanalytics.iglu/validation_info/jsonschema/1-0-0","data":{"originalSchema":"iglu:com.acme/old/jsonschema/1-0-0","validatedWith":"1-0-2"}}]}"#
    );
    let f = failed(ue(&kit, &unstruct(&old(r#"{"n":"x"}"#))));
    assert_eq!(json(&f)["data"]["failure"]["messages"][0]["error"]["supersededBy"], "1-0-2");
    assert_eq!(json(&f)["data"]["failure"]["messages"][0]["schemaKey"], "iglu:com.acme/old/jsonschema/1-0-0");
}
