//! Random schemas and data, checked against an independent draft-04 validator.
//!
//! The generator stays away from what the reference does otherwise than the draft on purpose: integers written with a point,
//! `$` before a last line terminator, and formats, which have their own tables.

use super::super::{Validator, parse};
use proptest::prelude::*;
use serde_json::{Value, json};

fn scalar() -> impl Strategy<Value = Value> {
    prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        (-20i64..20).prop_map(Value::from),
        (-80i64..80).prop_map(|n| json!(n as f64 / 4.0 + 0.125)),
        "[a-cäß😀]{0,5}".prop_map(Value::from),
    ]
}

fn data() -> impl Strategy<Value = Value> {
    scalar().prop_recursive(3, 24, 5, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
            prop::collection::btree_map("[a-d]{1,2}", inner, 0..5).prop_map(|m| Value::Object(m.into_iter().collect())),
        ]
    })
}

fn keyword(schema: BoxedStrategy<Value>) -> impl Strategy<Value = Vec<(&'static str, Value)>> {
    let kind = prop::sample::select(vec!["null", "boolean", "integer", "number", "string", "array", "object"]);
    let names = prop::collection::btree_set("[a-d]{1,2}", 1..4);
    let object = prop::collection::btree_map("[a-d]{1,2}", schema.clone(), 0..4);
    let pattern = prop::sample::select(vec!["^a", "b", "^[a-c]{2}", "^(a|b)+", "(?=.*a)c", "[^a]"]);
    let several = prop::collection::vec(schema.clone(), 1..4);
    let rest = prop_oneof![any::<bool>().prop_map(Value::from), schema.clone()];
    let plain = prop_oneof![
        kind.clone().prop_map(|k| vec![("type", json!(k))]),
        prop::collection::btree_set(kind, 1..4).prop_map(|k| vec![("type", json!(k))]),
        prop::collection::vec(data(), 1..5).prop_map(|mut v| {
            v.dedup();
            let mut unique: Vec<Value> = Vec::new();
            for value in v {
                if !unique.contains(&value) {
                    unique.push(value);
                }
            }
            vec![("enum", json!(unique))]
        }),
        ((-10i64..10), any::<bool>()).prop_map(|(n, x)| vec![("minimum", json!(n)), ("exclusiveMinimum", json!(x))]),
        ((-40i64..40), any::<bool>())
            .prop_map(|(n, x)| vec![("maximum", json!(n as f64 / 4.0 + 0.125)), ("exclusiveMaximum", json!(x))]),
        (1i64..6).prop_map(|n| vec![("multipleOf", json!(n))]),
        (0u32..4).prop_map(|n| vec![("minLength", json!(n))]),
        (0u32..6).prop_map(|n| vec![("maxLength", json!(n))]),
        pattern.clone().prop_map(|p| vec![("pattern", json!(p))]),
        (0u32..3).prop_map(|n| vec![("minItems", json!(n))]),
        (0u32..4).prop_map(|n| vec![("maxItems", json!(n))]),
        any::<bool>().prop_map(|b| vec![("uniqueItems", json!(b))]),
    ];
    let nested = prop_oneof![
        (0u32..3).prop_map(|n| vec![("minProperties", json!(n))]),
        (0u32..4).prop_map(|n| vec![("maxProperties", json!(n))]),
        names.clone().prop_map(|n| vec![("required", json!(n))]),
        object.prop_map(|o| vec![("properties", json!(o))]),
        (pattern, schema.clone()).prop_map(|(p, s)| vec![("patternProperties", json!({ p: s }))]),
        rest.clone().prop_map(|r| vec![("additionalProperties", r)]),
        schema.clone().prop_map(|s| vec![("items", s)]),
        (several.clone(), rest).prop_map(|(s, r)| vec![("items", json!(s)), ("additionalItems", r)]),
        ("[a-d]", prop_oneof![names.prop_map(|n| json!(n)), schema.clone()])
            .prop_map(|(k, d)| vec![("dependencies", json!({ k: d }))]),
        several.clone().prop_map(|s| vec![("allOf", json!(s))]),
        several.clone().prop_map(|s| vec![("anyOf", json!(s))]),
        several.prop_map(|s| vec![("oneOf", json!(s))]),
        schema.prop_map(|s| vec![("not", s)]),
        Just(vec![("properties", json!({ "a": { "$ref": "#" } }))]),
        Just(vec![("items", json!({ "$ref": "#" }))]),
    ];
    prop_oneof![plain, nested]
}

fn schema() -> impl Strategy<Value = Value> {
    Just(json!({})).boxed().prop_recursive(3, 40, 4, |inner| {
        prop::collection::vec(keyword(inner), 1..4).prop_map(|keywords| {
            Value::Object(keywords.into_iter().flatten().map(|(k, v)| (k.to_owned(), v)).collect())
        })
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 3000, max_shrink_iters: 4000, ..ProptestConfig::default() })]
    #[test]
    fn agrees_with_an_independent_validator(schema in schema(), data in prop::collection::vec(data(), 1..8)) {
        let text = schema.to_string();
        let ours = Validator::compile(&parse(&text, 100).unwrap());
        let theirs = jsonschema::options().with_draft(jsonschema::Draft::Draft4).build(&schema);
        let (ours, theirs) = match (ours, theirs) {
            (Ok(ours), Ok(theirs)) => (ours, theirs),
            (ours, theirs) => {
                prop_assert!(false, "{text}\nours: {:?}\ntheirs: {:?}", ours.err(), theirs.err());
                return Ok(());
            }
        };
        for value in data {
            let text = value.to_string();
            let instance = parse(&text, 100).unwrap();
            let valid = ours.is_valid(&instance);
            prop_assert_eq!(valid, theirs.is_valid(&value), "{}\n{}\n{:?}", schema, text, ours.validate(&instance));
            prop_assert_eq!(valid, ours.validate(&instance).is_empty());
        }
    }
}

/// Documents that look like schemas and mostly are none.
fn nonsense() -> impl Strategy<Value = Value> {
    let words = [
        "type",
        "enum",
        "properties",
        "required",
        "items",
        "additionalItems",
        "additionalProperties",
        "patternProperties",
        "dependencies",
        "allOf",
        "anyOf",
        "oneOf",
        "not",
        "$ref",
        "id",
        "definitions",
        "minimum",
        "exclusiveMinimum",
        "multipleOf",
        "minLength",
        "maxLength",
        "pattern",
        "format",
        "uniqueItems",
        "#",
        "#/definitions/a",
        "#/items/0",
        "string",
        "date-time",
        "^a(b",
        "1",
        "a",
    ];
    let word = prop::sample::select(words.to_vec());
    let leaf = prop_oneof![scalar(), word.clone().prop_map(Value::from)];
    leaf.prop_recursive(5, 60, 5, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::vec((word.clone(), inner), 0..5)
                .prop_map(|m| Value::Object(m.into_iter().map(|(k, v)| (k.to_owned(), v)).collect())),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 3000, ..ProptestConfig::default() })]
    #[test]
    fn no_document_and_no_data_break_the_validator(document in nonsense(), data in nonsense()) {
        let (document, data) = (document.to_string(), data.to_string());
        let (document, data) = (parse(&document, 100).unwrap(), parse(&data, 100).unwrap());
        if let Ok(validator) = Validator::compile(&document) {
            prop_assert_eq!(validator.is_valid(&data), validator.validate(&data).is_empty());
        }
        // Not even unchecked by the metaschema.
        let _ = super::super::compile::compile(&document);
    }

    #[test]
    fn no_pattern_breaks_the_translation(pattern in r"[\\()\[\]{}*+?|.^$&\-a-cpPQEkxu0-9<>=!:,äß ]{0,30}", text in "[a-c0-9 ä-]{0,10}") {
        if let Ok(pattern) = super::super::pattern::Pattern::new(&pattern) {
            let _ = pattern.is_found_in(&text);
        }
    }
}
