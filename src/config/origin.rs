//! Where each effective value came from, for `snowshed check`.

use super::load::{Loaded, defaults};
use std::fmt;

/// Where a value came from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// Nobody set it.
    Default,
    /// The configuration file.
    File,
    /// An environment variable of this name.
    Env(String),
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Origin::Default => f.write_str("default"),
            Origin::File => f.write_str("file"),
            Origin::Env(name) => write!(f, "environment ({name})"),
        }
    }
}

/// Every key with its value as TOML and its origin, in alphabetical order. Secrets are shown as `"***"`.
pub fn effective(loaded: &Loaded) -> Vec<(String, String, Origin)> {
    let mut out = Vec::new();
    let mut tree = defaults();
    if let Ok(values) = toml::Table::try_from(&loaded.config) {
        tree = values;
    }
    walk("", &toml::Value::Table(tree), &mut out);
    out.into_iter()
        .map(|(key, value)| {
            let covers = |set: &str| key == set || key.starts_with(&format!("{set}."));
            let origin = match loaded.from_env.iter().find(|(k, _)| covers(k)) {
                Some((_, name)) => Origin::Env(name.clone()),
                None if loaded.from_file.iter().any(|k| covers(k)) => Origin::File,
                None => Origin::Default,
            };
            let last = key.rsplit('.').next().unwrap_or(&key);
            let secret = ["tokens", "api_key", "secret", "password"].iter().any(|s| last.ends_with(s))
                || key == "iglu.registries";
            let shown = if secret && value != "\"\"" && value != "[]" { "\"***\"".to_owned() } else { value };
            (key, shown, origin)
        })
        .collect()
}

fn walk(prefix: &str, value: &toml::Value, out: &mut Vec<(String, String)>) {
    match value {
        toml::Value::Table(table) if !table.is_empty() => {
            for (key, inner) in table {
                let path = if prefix.is_empty() { key.clone() } else { format!("{prefix}.{key}") };
                walk(&path, inner, out);
            }
        }
        other => out.push((prefix.to_owned(), other.to_string())),
    }
}
