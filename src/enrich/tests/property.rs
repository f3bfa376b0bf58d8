//! Whatever arrives: no panic, at least one outcome, the same outcomes every time.

use super::*;
use proptest::prelude::*;

fn text() -> impl Strategy<Value = String> {
    prop_oneof![
        proptest::collection::vec(any::<char>(), 0..40).prop_map(|c| c.into_iter().collect()),
        "[a-z0-9=&;%#?+ {}\\[\\]\"\\\\.:/_-]{0,80}",
        Just("null".to_owned()),
        Just("http://a.test/?_sp=d.1".to_owned()),
        Just(r#"{"schema":"iglu:com.snowplowanalytics.snowplow/contexts/jsonschema/1-0-0","data":[{"schema":"iglu:com.acme/click/jsonschema/1-0-0","data":{"id":1}}]}"#.to_owned()),
        Just(payload_data(r#"{"e":"pv","p":"web","tv":"t","url":"http://a b/|"}"#)),
    ]
}

fn name() -> impl Strategy<Value = String> {
    prop_oneof![
        proptest::sample::select(vec![
            "e", "p", "tv", "eid", "aid", "co", "cx", "ue_pr", "ue_px", "url", "refr", "dtm", "stm", "ttm", "vid",
            "res", "se_va", "tr_tt", "cookie", "ip", "ua", "cv", "u", "schema", "nuid", "tnuid",
        ])
        .prop_map(str::to_owned),
        "[a-z_]{0,8}",
    ]
}

prop_compose! {
    fn query()(pairs in proptest::collection::vec((name(), text(), any::<bool>()), 0..8), raw in any::<u8>(), junk in text()) -> String {
        let mut out: Vec<String> = pairs.into_iter().map(|(n, v, has)| if has { format!("{n}={}", enc(&v)) } else { n }).collect();
        if raw < 40 { out.push(junk); }
        out.join("&")
    }
}

prop_compose! {
    fn requests()(
        path in prop_oneof![Just("/i".to_owned()), Just(TP2.to_owned()), Just("/r/tp2".to_owned()), Just("/com.snowplowanalytics.iglu/v1".to_owned()), text()],
        query in query(),
        body in proptest::option::of(prop_oneof![text(), query()]),
        kind in proptest::option::of(proptest::sample::select(vec!["application/json", "application/json; charset=utf-8", "application/x-www-form-urlencoded", "text/plain; charset=latin1"])),
        agent in proptest::option::of(proptest::collection::vec(any::<u8>(), 0..30)),
        referer in proptest::option::of(text()),
        headers in proptest::collection::vec(text(), 0..3),
        id in proptest::option::of(prop_oneof![Just("1-1-1-1-1".to_owned()), text()]),
        time in prop_oneof![Just(RECEIVED), any::<i64>()],
    ) -> Payload {
        Payload {
            timestamp_ms: time,
            querystring: Some(query.into()),
            body: body.map(Bytes::from),
            content_type: kind.map(Bytes::from),
            user_agent: agent.map(Bytes::from),
            referer: referer.map(Bytes::from),
            headers: headers.into_iter().map(Bytes::from).collect(),
            network_user_id: id.map(Bytes::from),
            ..request(&path, "")
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, ..ProptestConfig::default() })]

    #[test]
    fn every_payload_has_an_outcome_and_the_same_one_every_time(payload in requests()) {
        thread_local! { static KIT: Kit = kit(); }
        KIT.with(|kit| {
            let first = kit.run(&payload);
            prop_assert!(!first.is_empty());
            prop_assert!(first.iter().enumerate().all(|(i, p)| p.addr.index as usize == i));
            for item in &first {
                match &item.outcome {
                    Outcome::Enriched(e) => {
                        let line = tsv::line(e);
                        prop_assert_eq!(line.split('\t').count(), 131);
                        prop_assert!(!line.contains('\n') && line.len() <= tsv::longest(e));
                        let back = tsv::read(&line);
                        prop_assert!(back.is_ok(), "{:?}: {}", back, line);
                        prop_assert_eq!(tsv::line(&back.unwrap()), line);
                    }
                    Outcome::Failed(f) => {
                        prop_assert!(f.cause.kind != BadRowKind::GenericError, "{}", f.bad_row);
                        let row: Result<Value, _> = serde_json::from_str(&f.bad_row);
                        prop_assert!(row.is_ok(), "{:?}: {}", row, f.bad_row);
                    }
                    other => prop_assert!(false, "{:?}", other),
                }
            }
            prop_assert_eq!(first, kit.run(&payload));
            Ok(())
        })?;
    }

    #[test]
    fn any_bytes_are_a_record(body in proptest::collection::vec(any::<u8>(), 0..200), bad_row in any::<bool>()) {
        thread_local! { static KIT: Kit = kit(); }
        let kind = if bad_row { RecordKind::BadRow } else { RecordKind::Payload };
        prop_assert!(!KIT.with(|kit| kit.record(kind, &body.into())).is_empty());
    }
}
