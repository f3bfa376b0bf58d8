//! The shortcut for usual POST bodies gives what the general way gives.

use super::{AdapterContext, payload_data, tp2};
use crate::enrich::schemas::{Answers, Schemas};
use crate::enrich::tests::{kit, payload_data as envelope};
use proptest::prelude::*;

fn member() -> impl Strategy<Value = String> {
    let name = prop_oneof![proptest::sample::select(vec![
        "e", "p", "tv", "eid", "aid", "co", "url", "ua", "tnuid", "sid", "stm", "ttm", "cv", "zzz", "\\u0065"
    ]),];
    let value = prop_oneof![
        8 => "[a-z0-9]{0,12}".prop_map(|s| format!("\"{s}\"")),
        1 => Just(r#""a\"\\\n\u00fc\ud83d\ude00""#.to_owned()),
        1 => Just("1".to_owned()),
        1 => Just("null".to_owned()),
    ];
    (name, value, any::<bool>())
        .prop_map(|(n, v, blank)| if blank { format!(" \"{n}\" : {v}\n") } else { format!("\"{n}\":{v}") })
}

fn body() -> impl Strategy<Value = String> {
    let object = (proptest::collection::vec(member(), 0..6), any::<bool>()).prop_map(|(members, whole)| {
        let mut all = if whole { vec![r#""e":"pv","p":"web","tv":"t""#.to_owned()] } else { vec![] };
        all.extend(members);
        format!("{{{}}}", all.join(","))
    });
    (
        proptest::collection::vec(object, 0..3),
        proptest::sample::select(vec!["1-0-0", "1-0-1", "1-0-2", "1-0-3", "1-0-4"]),
    )
        .prop_map(|(objects, version)| envelope(&objects.join(",")).replace("1-0-4", version))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 3000, ..ProptestConfig::default() })]

    #[test]
    fn the_shortcut_is_never_another_rule(body in body()) {
        thread_local! { static KIT: crate::enrich::tests::Kit = kit(); }
        KIT.with(|kit| {
            let key = crate::event::SchemaKey::parse("iglu:com.snowplowanalytics.snowplow/payload_data/jsonschema/1-0-4").unwrap();
            let keys: Vec<_> = (0..5).map(|a| key.with_version((1, 0, a))).collect();
            kit.resolver.fetch(&keys).unwrap();
            let answers = Answers::default();
            let schemas = Schemas::new(&kit.resolver, &answers);
            let cx = AdapterContext { schemas: &schemas, max_depth: 40 };
            let general = tp2::any_events(&body, &cx);
            match payload_data::quick(&body) {
                Some(events) => prop_assert_eq!(general.unwrap(), events),
                None => {
                    // Only repeated names are both good and left to the general way.
                    if let Ok(events) = general {
                        let members = body.matches(':').count();
                        let names: usize = events.iter().map(|e| e.len()).sum();
                        prop_assert!(members > names + 3, "{}", body);
                    }
                }
            }
            Ok(())
        })?;
    }
}
