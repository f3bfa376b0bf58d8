//! The resolver with real folders and a real HTTP server; the built-in schemas with made and hand-written examples.

mod builtin;
mod examples;
mod publish;
mod registries;
pub(crate) mod server;
mod specimen;

use super::*;
use crate::event::SchemaKey;
use crate::telemetry::metrics::Metrics;
use std::path::Path;
use std::sync::Arc;

/// A schema that takes objects with an integer `a` only.
fn schema_text(key: &SchemaKey, maximum: u32) -> String {
    format!(
        r#"{{"$schema":"http://iglucentral.com/schemas/com.snowplowanalytics.self-desc/schema/jsonschema/1-0-0#",
        "description":"d","self":{{"vendor":"{}","name":"{}","format":"{}","version":"{}"}},
        "type":"object","properties":{{"a":{{"type":"integer","minimum":0,"maximum":{maximum}}}}},"additionalProperties":false}}"#,
        key.vendor(),
        key.name(),
        key.format(),
        key.version_text()
    )
}

fn key(path: &str) -> SchemaKey {
    SchemaKey::parse_path(path).unwrap()
}

fn put_file(root: &Path, path: &str, text: &str) {
    let file = root.join(path);
    std::fs::create_dir_all(file.parent().unwrap()).unwrap();
    std::fs::write(file, text).unwrap();
}

fn resolver(config: &Config, data_dir: Option<&Path>) -> Arc<Resolver> {
    build(config, data_dir, &Metrics::new()).unwrap()
}

/// What is known after a fetch.
fn fetched(resolver: &Resolver, key: &SchemaKey) -> Lookup {
    resolver.fetch(std::slice::from_ref(key)).unwrap();
    resolver.get(key)
}

/// The greatest `a` that the schema takes: tells documents apart.
fn maximum(lookup: &Lookup) -> Option<u32> {
    let Lookup::Found(schema) = lookup else { return None };
    let takes = |n: u32| schema.is_valid(&crate::event::json::parse(&format!("{{\"a\":{n}}}"), 9).unwrap());
    (1..200).rev().find(|n| takes(*n))
}
