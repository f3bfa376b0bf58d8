//! The section `[iglu]`: where schemas come from.

use crate::platform::units::Span;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// Where schemas come from, and how long an answer is believed.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Folders laid out as `vendor/name/format/version`, with or without `.json` (a folder `schemas` inside is understood
    /// too). They are asked before the schemas built into the program. A file that is added or changed takes effect without a
    /// restart, within a few seconds.
    pub path: Vec<PathBuf>,
    /// Registries asked over HTTP, after folders and built-in schemas unless a vendor prefix says otherwise.
    pub registries: Vec<RegistryConfig>,
    /// Ask Iglu Central (<https://iglucentral.com>) for schemas that nobody else has. Off by default: every standard schema of
    /// the trackers is built in, and a pipeline should not depend on a public site that it does not need.
    pub central: bool,
    /// Folder where fetched schemas are kept so that a restart without network resolves them. Default: `state/iglu` in the
    /// data directory.
    pub cache_dir: Option<PathBuf>,
    /// How long a schema fetched over HTTP is believed before it is fetched again (in the background; the old one stays in
    /// use until the new one is there, and longer when the registry is away). From 1s.
    pub cache_ttl: Span,
    /// How long "no registry has this schema" is believed. From 1s.
    pub missing_ttl: Span,
    /// How many compiled schemas are kept in memory, from 1024 to 1000000.
    pub cache_size: usize,
    /// How long one request to a registry may take, from 100ms to 60s.
    pub timeout: Span,
}

/// One registry asked over HTTP.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RegistryConfig {
    /// Name in look-up histories and metrics; unique.
    pub name: String,
    /// Base address; `/schemas/vendor/name/format/version` is appended.
    pub uri: String,
    /// Vendors that begin with one of these are looked up here before anywhere else.
    #[serde(default)]
    pub vendor_prefixes: Vec<String>,
    /// Among equals the lower number is asked first.
    #[serde(default)]
    pub priority: i64,
    /// Sent as header `apikey`.
    #[serde(default)]
    pub api_key: Option<String>,
    /// What an outage means. True (the default): events that need a schema which only this registry could have wait until it
    /// answers. False: they are failed, repairable events, as if it had said that it does not have the schema.
    #[serde(default = "yes")]
    pub required: bool,
}

const fn yes() -> bool {
    true
}

/// Iglu Central's address.
const CENTRAL: &str = "https://iglucentral.com";
/// Name of Iglu Central and of the registries that the program brings along, in look-up histories.
const RESERVED: [&str; 3] = ["Iglu Central", "built-in", "local"];

impl Default for Config {
    fn default() -> Self {
        Config {
            path: Vec::new(),
            registries: Vec::new(),
            central: false,
            cache_dir: None,
            cache_ttl: Span::from_secs(600),
            missing_ttl: Span::from_secs(60),
            cache_size: 4096,
            timeout: Span::from_secs(5),
        }
    }
}

impl Config {
    /// Problems as (key, what is wrong and what is allowed).
    pub fn check(&self) -> Vec<(String, String)> {
        let mut problems = Vec::new();
        let mut say = |key: &str, what: String| problems.push((key.to_owned(), what));
        for (key, span) in [("cache_ttl", self.cache_ttl), ("missing_ttl", self.missing_ttl)] {
            if span < Span::from_secs(1) {
                say(key, format!("is {span}; allowed: 1s or more"));
            }
        }
        if self.timeout < Span::from_millis(100) || self.timeout > Span::from_secs(60) {
            say("timeout", format!("is {}; allowed: 100ms to 60s", self.timeout));
        }
        if !(1024..=1_000_000).contains(&self.cache_size) {
            say("cache_size", format!("is {}; allowed: 1024 to 1000000", self.cache_size));
        }
        for (i, registry) in self.registries.iter().enumerate() {
            let key = |field: &str| format!("registries[{i}].{field}");
            if registry.name.is_empty() || RESERVED.contains(&registry.name.as_str()) {
                say(&key("name"), format!("is \"{}\"; allowed: any name but {}", registry.name, RESERVED.join(", ")));
            }
            if self.registries[..i].iter().any(|other| other.name == registry.name) {
                say(&key("name"), format!("\"{}\" is taken by an earlier registry; names are unique", registry.name));
            }
            match url::Url::parse(&registry.uri) {
                Ok(url) if matches!(url.scheme(), "http" | "https") && url.host().is_some() => {}
                _ => say(&key("uri"), format!("is \"{}\"; allowed: an http or https address", registry.uri)),
            }
            if registry.api_key.as_ref().is_some_and(|k| http::HeaderValue::from_str(k).is_err()) {
                say(&key("api_key"), "holds characters that no HTTP header can carry".to_owned());
            }
        }
        problems
    }

    /// All registries over HTTP, Iglu Central included when it is switched on. Central is never required: it is a public
    /// site, and its outage must not stop a pipeline.
    pub(super) fn http_registries(&self) -> Vec<RegistryConfig> {
        let mut all = self.registries.clone();
        if self.central {
            all.push(RegistryConfig {
                name: RESERVED[0].to_owned(),
                uri: CENTRAL.to_owned(),
                vendor_prefixes: Vec::new(),
                priority: i64::MAX,
                api_key: None,
                required: false,
            });
        }
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_wrong_value_is_named() {
        assert!(Config::default().check().is_empty());
        let config: Config = toml::from_str(
            r#"
            cache_ttl = "10ms"
            timeout = "2h"
            cache_size = 1
            central = true
            registries = [
              { name = "ours", uri = "https://iglu.acme.test/api", vendor_prefixes = ["com.acme"], api_key = "k" },
              { name = "ours", uri = "ftp://x", api_key = "a\nb" },
              { name = "built-in", uri = "http://x" },
            ]"#,
        )
        .unwrap();
        let keys: Vec<String> = config.check().into_iter().map(|(key, _)| key).collect();
        assert_eq!(
            keys,
            [
                "cache_ttl",
                "timeout",
                "cache_size",
                "registries[1].name",
                "registries[1].uri",
                "registries[1].api_key",
                "registries[2].name"
            ]
        );
        let all = config.http_registries();
        assert_eq!(all.last().map(|r| (r.name.as_str(), r.required)), Some(("Iglu Central", false)));
        assert!(all[0].required);
    }
}
