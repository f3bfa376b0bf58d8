//! The commented file at the root is the defaults.

use snowshed::config::{Config, load};
use std::path::Path;

#[test]
fn config_toml_is_complete_and_equals_the_defaults() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("config.toml");
    let loaded = load(Some(&file), std::iter::empty()).unwrap_or_else(|e| panic!("{e}"));
    let text = |c: &Config| toml::Table::try_from(c).unwrap();
    let (file_values, defaults) = (text(&loaded.config), text(&Config::default()));
    let mut differences = Vec::new();
    compare("", &toml::Value::Table(file_values), &toml::Value::Table(defaults.clone()), &mut differences);
    let mut missing = Vec::new();
    keys("", &toml::Value::Table(defaults), &mut missing);
    let written = std::fs::read_to_string(&file).unwrap();
    missing.retain(|key| {
        let last = key.rsplit('.').next().unwrap_or(key);
        !written.lines().any(|l| l.trim_start_matches(['#', ' ']).starts_with(last))
    });
    assert!(differences.is_empty(), "config.toml differs from the defaults:\n{}", differences.join("\n"));
    assert!(missing.is_empty(), "keys that config.toml does not show:\n{}", missing.join("\n"));
}

fn compare(path: &str, a: &toml::Value, b: &toml::Value, out: &mut Vec<String>) {
    match (a, b) {
        (toml::Value::Table(a), toml::Value::Table(b)) => {
            for key in a.keys().chain(b.keys()).collect::<std::collections::BTreeSet<_>>() {
                match (a.get(key), b.get(key)) {
                    (Some(x), Some(y)) => compare(&format!("{path}{key}."), x, y, out),
                    (x, y) => out.push(format!("{path}{key}: file {x:?}, default {y:?}")),
                }
            }
        }
        (a, b) if a != b => out.push(format!("{path}: file {a}, default {b}")),
        _ => {}
    }
}

fn keys(path: &str, value: &toml::Value, out: &mut Vec<String>) {
    match value {
        toml::Value::Table(t) if !t.is_empty() => t.iter().for_each(|(k, v)| keys(&format!("{path}.{k}"), v, out)),
        _ => out.push(path.trim_start_matches('.').to_owned()),
    }
}
