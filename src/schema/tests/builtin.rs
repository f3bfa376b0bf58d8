//! Every built-in schema: is one, is named as its file, takes what it should and refuses what it should, and agrees with an
//! independent validator on all of it.

use super::*;
use crate::event::json::parse;
use crate::schema::registry::BuiltIn;
use serde_json::Value;

/// Schemas that refuse nothing.
const OPEN: [&str; 3] = ["anything-a", "anything-b", "anything-c"];

fn document(key: &SchemaKey) -> String {
    resolver(&Config::default(), None).document(key).unwrap_or_else(|| panic!("{key} has no document"))
}

#[test]
fn every_built_in_schema_is_sound() {
    let keys: Vec<SchemaKey> = BuiltIn::keys().collect();
    assert!(keys.len() >= 271, "{}", keys.len());
    let resolver = resolver(&Config::default(), None);
    for key in keys {
        let text = resolver.document(&key).unwrap();
        if key.name() != "schema" {
            lint(&key, &text).unwrap_or_else(|errors| panic!("{key}: {errors:?}"));
        }
        let Lookup::Found(schema) = fetched(&resolver, &key) else { panic!("{key} is not found") };
        assert_eq!(schema.schema_issues(), [], "{key}");
        assert!(text.is_ascii() && !text.contains('\t') && text.ends_with("}\n"), "{key}");
    }
}

#[test]
fn every_built_in_schema_takes_and_refuses_what_it_should() {
    let resolver = resolver(&Config::default(), None);
    let mut refused = 0;
    for key in BuiltIn::keys().filter(|k| k.name() != "schema") {
        let published: Value = serde_json::from_str(&document(&key)).unwrap();
        let schema = specimen::inlined(&published, &published);
        let Lookup::Found(compiled) = fetched(&resolver, &key) else { panic!("{key} is not found") };
        let oracle = jsonschema::options()
            .with_draft(jsonschema::Draft::Draft4)
            .should_validate_formats(false)
            .build(&serde_json::from_str(&without_envelope(&published)).unwrap())
            .unwrap_or_else(|e| panic!("{key}: {e}"));
        let takes = |value: &Value| {
            let text = value.to_string();
            let data = parse(&text, 100).unwrap();
            let reports = compiled.validate(&data);
            assert_eq!(compiled.is_valid(&data), reports.is_empty(), "{key} {text}");
            if reports.iter().all(|r| !matches!(r.keyword.as_str(), "format" | "dateTime" | "uuid")) {
                assert_eq!(reports.is_empty(), oracle.is_valid(value), "{key} {text} {reports:?}");
            }
            reports
        };
        for full in [false, true] {
            let good = specimen::passing(&schema, full);
            assert_eq!(takes(&good), [], "{key} {good}");
            let bad = specimen::failing(&schema, &good);
            if full && !OPEN.contains(&key.name()) {
                assert!(!bad.is_empty(), "{key} refuses nothing");
            }
            for (reason, value) in bad {
                assert!(!takes(&value).is_empty(), "{key} should refuse {value} ({reason})");
                refused += 1;
            }
        }
    }
    assert!(refused > 3000, "{refused}");
}

/// The other validator would follow the address of the metaschema.
fn without_envelope(schema: &Value) -> String {
    let mut schema = schema.clone();
    if let Some(members) = schema.as_object_mut() {
        members.remove("$schema");
    }
    schema.to_string()
}

#[test]
fn every_metaschema_agrees_about_every_schema() {
    let resolver = resolver(&Config::default(), None);
    let meta = key("com.snowplowanalytics.self-desc/schema/jsonschema/1-0-0");
    let Lookup::Found(meta) = fetched(&resolver, &meta) else { panic!("no metaschema") };
    for key in BuiltIn::keys() {
        let text = resolver.document(&key).unwrap();
        assert_eq!(meta.validate(&parse(&text, 100).unwrap()), [], "{key}");
    }
}
