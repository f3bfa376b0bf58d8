//! §5: bad rows, which one wins, incomplete events.

use super::*;

const ALL_PHASES: &str = "e=pv&vid=x&cv=&aid=";

fn long_app() -> String {
    format!("{ALL_PHASES}{}", "a".repeat(256))
}

#[test]
fn the_first_phase_that_failed_gives_the_bad_row_and_the_incomplete_event_tells_all() {
    let kit = kit();
    let f = kit.failure(&long_app());
    assert_eq!(kind(&f), BadRowKind::SchemaViolations);
    assert_eq!(f.cause.path.as_deref(), Some("vid"));
    let row = json(&f);
    assert_eq!(row["data"]["failure"]["messages"].as_array().unwrap().len(), 1);
    let entities = &f.incomplete.as_ref().unwrap().derived;
    let data: Vec<Value> = entities.iter().map(|e| serde_json::from_str(&e.data).unwrap()).collect();
    assert_eq!(
        data.iter().map(|d| d["failureType"].as_str().unwrap()).collect::<Vec<_>>(),
        ["ValidationError", "EnrichmentError: ", "ValidationError"]
    );
    assert_eq!(data[0]["errors"][0]["keyword"], "atomic_field_parse_error");
    assert_eq!(data[0]["data"], serde_json::json!({"vid": "x"}));
    assert_eq!(data[0]["schema"], "iglu:com.snowplowanalytics.snowplow/atomic/jsonschema/1-0-0");
    assert_eq!(data[1]["errors"][0]["source"], "v_collector");
    assert_eq!(data[2]["errors"][0]["path"], "app_id");
    assert_eq!(data[2]["errors"][0]["keyword"], "atomic_field_length_exceeded");
    assert_eq!(data[0]["timestamp"], "2024-03-09T10:20:31.456Z");
    assert_eq!(
        (data[0]["componentName"].as_str(), data[0]["componentVersion"].as_str()),
        (Some("snowshed"), Some(VERSION))
    );
    let second = kit.failure("e=pv&cv=");
    assert_eq!(kind(&second), BadRowKind::EnrichmentFailures);
    assert_eq!(json(&second)["data"]["failure"]["messages"][0]["enrichment"], Value::Null);
}

#[test]
fn parse_errors_use_the_parameter_and_length_errors_the_column() {
    let kit = kit();
    let f = kit.failure("e=pv&vid=x&res=y");
    let reports = &json(&f)["data"]["failure"]["messages"][0]["error"]["dataReports"];
    assert_eq!((reports[0]["path"].as_str(), reports[1]["path"].as_str()), (Some("vid"), Some("res")));
    assert_eq!(reports[0]["targets"], serde_json::json!([]));
    let f = kit.failure(&format!("e=pv&tna={}", "a".repeat(129)));
    assert_eq!(
        (f.cause.path.as_deref(), f.cause.keyword.as_deref()),
        (Some("name_tracker"), Some("atomic_field_length_exceeded"))
    );
    assert_eq!(cell(&f.incomplete.unwrap(), "name_tracker"), "");
    assert_eq!(cell(&kit.event(&format!("e=pv&tna={}", "a".repeat(128))), "name_tracker").len(), 128);
}

#[test]
fn columns_that_identify_an_event_stay_even_when_too_long() {
    let f = kit().failure(&format!("e=pv&cv={}", "a".repeat(101)));
    assert_eq!(cell(&f.incomplete.unwrap(), "v_collector").len(), 101);
}

#[test]
fn over_long_columns_pass_where_the_configuration_says_so() {
    let kit = kit_with(Config { accept_invalid: true, ..Config::default() }, Steps::always_on());
    assert_eq!(cell(&kit.event(&format!("e=pv&tna={}", "a".repeat(129))), "name_tracker").len(), 129);
    assert_eq!(kit.enricher.over_long(), 1);
    assert_eq!(kind(&kit.failure("e=pv&vid=x")), BadRowKind::SchemaViolations);
}

#[test]
fn limits_can_be_set_per_column() {
    let config = Config { atomic_limits: [("app_id".to_owned(), 3)].into(), ..Config::default() };
    let kit = kit_with(config, Steps::always_on());
    assert_eq!(kit.failure("e=pv&aid=four").cause.path.as_deref(), Some("app_id"));
    let config = Config { atomic_limits: [("nope".to_owned(), 3)].into(), ..Config::default() };
    assert!(Enricher::new(&config, Steps::always_on(), kit.resolver.clone(), uuid::Uuid::nil()).is_err());
}

#[test]
fn incomplete_events_can_be_switched_off_and_bad_rows_still_show_them() {
    let kit = kit_with(Config { failed_events: false, ..Config::default() }, Steps::always_on());
    let f = kit.failure("e=pv&vid=x&aid=shop");
    assert!(f.incomplete.is_none());
    let event = &json(&f)["data"]["payload"]["enriched"];
    assert!(event["derived_contexts"].as_str().unwrap().contains("snowplow/failure/"));
    assert_eq!(f.app_id.as_deref(), Some("shop"));
}

#[test]
fn a_bad_row_holds_the_whole_event_and_the_whole_request() {
    let f = kit().failure("e=pv&vid=x&aid=shop&tid=5&tr_tt=1.50&cookie=1&res=1x2&n");
    let row = json(&f);
    let event = row["data"]["payload"]["enriched"].as_object().unwrap();
    assert_eq!(event.len(), 131);
    for (key, value) in [
        ("app_id", serde_json::json!("shop")),
        ("txn_id", serde_json::json!("5")),
        ("tr_total", serde_json::json!("1.50")),
        ("br_cookies", serde_json::json!(1)),
        ("dvce_screenwidth", serde_json::json!(1)),
        ("collector_tstamp", serde_json::json!("2024-03-09 10:20:30.000")),
        ("domain_sessionidx", Value::Null),
    ] {
        assert_eq!(event[key], value, "{key}");
    }
    let raw = &row["data"]["payload"]["raw"];
    assert_eq!(
        (raw["vendor"].as_str(), raw["version"].as_str()),
        (Some("com.snowplowanalytics.snowplow"), Some("tp1"))
    );
    assert_eq!(raw["parameters"][0], serde_json::json!({"name": "e", "value": "pv"}));
    assert_eq!(raw["parameters"][7], serde_json::json!({"name": "n", "value": null}));
    assert_eq!((raw["loaderName"].as_str(), raw["ipAddress"].as_str()), (Some("snowshed-0.1.0"), Some("1.2.3.4")));
    assert_eq!(raw["timestamp"], "2024-03-09T10:20:30.000Z");
    assert_eq!(row["data"]["processor"], serde_json::json!({"artifact": "snowshed", "version": VERSION}));
    assert_eq!(f.collector_ms, RECEIVED);
}

#[test]
fn a_line_over_the_limit_becomes_a_size_violation() {
    let config = Config { max_record_bytes: crate::platform::units::ByteSize(3000), ..Config::default() };
    let kit = kit_with(config, Steps::always_on());
    let f = kit.failure(&format!("e=pv&aid=shop&url=http://a.test/{}", "x".repeat(2000)));
    assert_eq!((kind(&f), f.app_id.as_deref()), (BadRowKind::SizeViolation, Some("shop")));
    let row = json(&f);
    assert!(row["data"]["failure"]["actualSizeBytes"].as_u64().unwrap() > 3000);
    assert_eq!(row["data"]["failure"]["maximumAllowedSizeBytes"], 3000);
    assert_eq!(row["data"]["payload"].as_str().unwrap().chars().count(), 300);
    // A bad row over the limit is replaced by one about the bad row.
    let f = kit.failure("e=pv&vid=x");
    assert_eq!(kind(&f), BadRowKind::SizeViolation);
    assert!(
        json(&f)["data"]["payload"]
            .as_str()
            .unwrap()
            .starts_with("{\"schema\":\"iglu:com.snowplowanalytics.snowplow.badrows/schema_violations")
    );
    assert!(f.incomplete.is_some());
}

#[test]
fn a_row_that_the_collector_recorded_is_one_failed_outcome() {
    let row = r#"{"schema":"iglu:com.snowplowanalytics.snowplow.badrows/size_violation/jsonschema/1-0-0","data":{"processor":{"artifact":"a","version":"1.0.0"},"failure":{"timestamp":"2024-03-09T10:20:30.000Z","maximumAllowedSizeBytes":1,"actualSizeBytes":2,"expectation":"less"},"payload":"x"}}"#;
    let f = failed(kit().record(RecordKind::BadRow, &Bytes::from_static(row.as_bytes())));
    assert_eq!((f.bad_row.as_str(), kind(&f), f.collector_ms), (row, BadRowKind::SizeViolation, RECEIVED));
}

/// Requests that together give every kind of bad row and every shape of message.
fn zoo() -> Vec<Payload> {
    let post = |body: &str, kind: &str| {
        let mut p = request(TP2, "");
        p.body = Some(Bytes::copy_from_slice(body.as_bytes()));
        p.content_type = Some(Bytes::copy_from_slice(kind.as_bytes()));
        p
    };
    let json = "application/json";
    let mut out: Vec<Payload> = [
        "e=pv&page=a b",
        "",
        "e=pv&vid=x",
        "e=pv&cv=",
        "aid=x",
        "e=pv&url=http%3A%2F%2F",
        "e=ue&ue_pr=x",
        "e=ue&ue_pr=%7B%7D",
    ]
    .iter()
    .map(|q| request("/i", q))
    .collect();
    let any = r#"{"schema":"iglu:com.acme/any/jsonschema/1-0-0","data":{}}"#;
    for text in [
        any.to_owned(),
        unstruct("{}"),
        unstruct(&click("{}")),
        unstruct(&any.replace("any", "nowhere")),
        unstruct(&any.replace("any", "faulty")),
        unstruct(&any.replace("any", "old").replace("{}", r#"{"n":"x"}"#)),
        unstruct(&any.replace("1-0-0", "0-0-0")),
    ] {
        out.push(request("/i", &format!("e=ue&ue_pr={}", enc(&text))));
    }
    out.push(request("/i", &format!("e=pv&co={}", enc(&contexts(&click("{}"))))));
    out.push(request("/i", &long_app()));
    out.push(request("/com.acme/v1", "a=b&c"));
    out.push(request("/nowhere", ""));
    for body in ["{", "[]", any, &any.replace("any", "nowhere"), &payload_data("{}"), &any.replace("1-0-0", "0-0-0")] {
        out.push(post(body, json));
    }
    out.push(post("{}", "text/plain"));
    out.push(request("/r/tp2", "e=pv"));
    out.push(request("/com.snowplowanalytics.iglu/v1", "schema=x"));
    // What a request brings may be longer than the published schemas of the rows allow.
    let long = format!("e=pv&vid={}&{}={}", "9".repeat(700), "n".repeat(600), "v".repeat(9000));
    for path in ["/i".to_owned(), format!("/{}/{}", "v".repeat(100), "w".repeat(40)), "/r/tp2".to_owned()] {
        let mut p = request(&path, &long);
        p.referer = Some(Bytes::from("r".repeat(9000)));
        p.hostname = Some(Bytes::from("h".repeat(9000)));
        p.user_agent = Some(Bytes::from("u".repeat(5000)));
        p.collector = Bytes::from("c".repeat(50));
        p.headers.push(Bytes::from("X".repeat(9000)));
        out.push(p);
    }
    out
}

#[test]
fn every_bad_row_passes_its_own_schema() {
    let kit = kit();
    let small = kit_with(
        Config { max_record_bytes: crate::platform::units::ByteSize(2000), ..Config::default() },
        Steps::always_on(),
    );
    let mut rows: Vec<Failure> = Vec::new();
    for payload in zoo() {
        for kit in [&kit, &small] {
            for item in kit.run(&payload) {
                match item.outcome {
                    Outcome::Failed(f) => rows.push(*f),
                    other => panic!("{payload:?}: {other:?}"),
                }
            }
        }
    }
    rows.push(failed(kit.record(RecordKind::Payload, &Bytes::from_static(b"garbage"))));
    rows.push(failed(kit.record(RecordKind::BadRow, &Bytes::from_static(b"garbage"))));
    let mut kinds: Vec<&str> = rows.iter().map(|r| r.cause.kind.name()).collect();
    kinds.sort_unstable();
    kinds.dedup();
    assert_eq!(kinds.len(), 7, "{kinds:?}");
    for row in rows {
        check(&kit, &row.bad_row);
        for entity in row.incomplete.iter().flat_map(|e| &e.derived) {
            validate(&kit, &entity.schema, &crate::event::json::parse(&entity.data, 100).unwrap());
        }
    }
}

/// Checks self-describing text against the schema that it names.
fn check(kit: &Kit, text: &str) {
    let row = crate::event::json::parse(text, 100).unwrap_or_else(|e| panic!("{e}: {text}"));
    let key = crate::event::SchemaKey::parse(row.get("schema").unwrap().as_str().unwrap()).unwrap();
    validate(kit, &key, row.get("data").unwrap());
}

fn validate(kit: &Kit, key: &crate::event::SchemaKey, data: &crate::event::json::Json<'_>) {
    kit.resolver.fetch(std::slice::from_ref(key)).unwrap();
    match kit.resolver.get(key) {
        schema::Lookup::Found(found) => {
            let reports = found.validate(data);
            assert!(reports.is_empty(), "{key}: {reports:?}\n{}", data.to_text());
        }
        other => panic!("{key}: {other:?}"),
    }
}
