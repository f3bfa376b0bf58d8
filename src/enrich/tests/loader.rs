//! §2.1: what happens before any adapter.

use super::*;

#[test]
fn each_problem_of_a_record_is_a_bad_row_of_its_own() {
    let kit = kit();
    let mut p = request("/nowhere", "e=pv&page=a b");
    p.network_user_id = Some(Bytes::from_static(b"someone"));
    let rows = kit.run(&p);
    assert_eq!(rows.len(), 3);
    for (i, row) in rows.iter().enumerate() {
        assert_eq!(row.addr.index as usize, i);
        let Outcome::Failed(f) = &row.outcome else { panic!() };
        assert_eq!(kind(f), BadRowKind::CollectorPayloadFormatViolation);
        let row = json(f);
        assert_eq!(
            row["schema"],
            "iglu:com.snowplowanalytics.snowplow.badrows/collector_payload_format_violation/jsonschema/1-0-0"
        );
        let record = ::base64::Engine::decode(
            &::base64::engine::general_purpose::STANDARD,
            row["data"]["payload"].as_str().unwrap(),
        );
        assert_eq!(record.unwrap(), super::record(&p));
        assert_eq!(row["data"]["failure"]["timestamp"], "2024-03-09T10:20:31.456Z");
    }
    let field = |i: usize| {
        json(match &rows[i].outcome {
            Outcome::Failed(f) => f,
            _ => panic!(),
        })["data"]["failure"]["message"]["payloadField"]
            .clone()
    };
    assert_eq!([field(0), field(1), field(2)], ["querystring", "networkUserId", "path"]);
}

#[test]
fn what_is_no_thrift_record_is_a_violation_without_a_field() {
    let kit = kit();
    let mut cut = super::record(&request("/i", "e=pv"));
    cut.truncate(40);
    for body in [Bytes::from_static(b"garbage"), Bytes::new(), cut] {
        let f = failed(kit.record(RecordKind::Payload, &body));
        assert_eq!(kind(&f), BadRowKind::CollectorPayloadFormatViolation);
        assert!(json(&f)["data"]["failure"]["message"]["error"].is_string(), "{body:?}");
    }
    let mut other = request("/i", "e=pv");
    other.schema = Bytes::from_static(b"iglu:com.acme/x/thrift/1-0-0");
    assert!(
        json(&failed(kit.run(&other)))["data"]["failure"]["message"]["error"].as_str().unwrap().contains("com.acme")
    );
}

#[test]
fn the_request_fills_columns_and_parameters_override_them() {
    let kit = kit();
    let e = kit.event("e=pv&p=web&tv=t");
    for (column, text) in [
        ("user_ipaddress", "1.2.3.4"),
        ("useragent", "Mozilla/5.0"),
        ("network_userid", "11111111-1111-4111-8111-111111111111"),
        ("collector_tstamp", "2024-03-09 10:20:30.000"),
        ("etl_tstamp", "2024-03-09 10:20:31.456"),
        ("v_collector", "snowshed-0.1.0"),
        ("derived_tstamp", "2024-03-09 10:20:30.000"),
    ] {
        assert_eq!(cell(&e, column), text);
    }
    assert_eq!(cell(&e, "v_etl"), format!("snowshed-{VERSION}"));
    let e = kit.event("e=pv&ip=9.9.9.9,8.8.8.8&ua=bot&nuid=me");
    assert_eq!(
        (cell(&e, "user_ipaddress"), cell(&e, "useragent"), cell(&e, "network_userid")),
        ("9.9.9.9".into(), "bot".into(), "me".into())
    );
    let e = kit.event("e=pv&ip=&ua=&nuid=");
    assert_eq!(
        (cell(&e, "user_ipaddress"), cell(&e, "useragent"), cell(&e, "network_userid")),
        (String::new(), String::new(), String::new())
    );
}

#[test]
fn the_user_agent_header_keeps_what_the_parameter_loses() {
    let kit = kit();
    let mut p = request("/i", "e=pv");
    p.user_agent = Some(Bytes::from_static(b"a\tb\x01c\r\n"));
    assert_eq!(cell(&enriched(kit.run(&p))[0], "useragent"), "a    b\u{1}c");
    assert_eq!(cell(&kit.event("e=pv&ua=a%09b%01c"), "useragent"), "a    bc");
}

#[test]
fn a_receive_time_outside_the_calendar_is_an_atomic_violation() {
    let mut p = request("/i", "e=pv");
    p.timestamp_ms = i64::MAX;
    let f = failed(kit().run(&p));
    assert_eq!(f.cause.path.as_deref(), Some("collector_tstamp"));
}

#[test]
fn a_compressed_bundle_gives_the_outcomes_of_all_its_payloads() {
    let mut stream = vec![1u8, 1];
    for query in ["e=pv&aid=a", "e=pv&aid=b"] {
        let r = super::record(&request("/i", query));
        stream.extend((r.len() as u32).to_be_bytes());
        stream.extend(&r[..]);
    }
    let body: Bytes = zstd::stream::encode_all(&stream[..], 1).unwrap().into();
    let items = kit().record(RecordKind::Payload, &body);
    assert_eq!(items.iter().map(|i| i.addr.index).collect::<Vec<_>>(), [0, 1]);
    assert_eq!(enriched(items).iter().map(|e| cell(e, "app_id")).collect::<Vec<_>>(), ["a", "b"]);
}
