//! `ua_parser_config`: browser, system and device as the uap-core rules name them.
//!
//! The rules are data of the uap-core project (Apache-2.0, `data/ua_regexes.LICENSE`); a file of one's own takes their
//! place. New rules change old answers, so the rules' checksum is part of the hash that a micro-batch
//! records. User agents repeat a
//! lot: answers are cached by exact text.

use super::StepConfig;
use super::asset::{self, Asset};
use super::config::Reader;
use crate::enrich::step::{Enrichment, StepContext};
use crate::event::json::write_string;
use crate::event::{SchemaKey, columns};
use crate::telemetry::Metrics;
use crate::telemetry::striped::{Sampled, StripedCounter};
use quick_cache::sync::Cache;
use std::sync::Arc;
use ua_parser::{Extractor, Regexes};

const RULES: &str = include_str!("data/ua_regexes.yaml");
/// Answers kept.
const CACHE: usize = 5000;
/// A longer text is read up to here only: no browser sends one, an event with one fails by its length anyway, and every rule
/// costs a pass over the text. It also bounds the memory of the cache.
const MAX_LENGTH: usize = 4096;

struct UserAgent {
    key: SchemaKey,
    context: SchemaKey,
    rules: Extractor<'static>,
    assets: [Asset; 1],
    cache: Arc<Cache<String, Arc<str>>>,
    hits: StripedCounter,
    misses: StripedCounter,
}

/// Reads the configuration and compiles the rules.
pub(super) fn build(config: &StepConfig) -> Result<Box<dyn Enrichment>, Vec<String>> {
    let mut read = Reader::new(config.parameters());
    let (uri, database) = (read.optional_text("uri"), read.optional_text("database"));
    let (text, name) = match (uri, database) {
        (Some(uri), Some(database)) => (asset::read(&uri, &database).map_err(|e| vec![e])?, database),
        (Some(_), None) => return Err(vec!["parameters.database: is missing although uri is given".to_owned()]),
        (None, _) => (RULES.to_owned(), asset::BUILT_IN.to_owned()),
    };
    let rules: Regexes<'static> =
        serde_yaml_ng::from_str(&text).map_err(|e| vec![format!("the rules are no uap-core regexes.yaml: {e}")])?;
    let rules = Extractor::try_from(rules).map_err(|e| vec![format!("the rules cannot be compiled: {e}")])?;
    let context = SchemaKey::new("com.snowplowanalytics.snowplow", "ua_parser_context", "jsonschema", (1, 0, 0));
    read.finish(UserAgent {
        key: config.schema.clone(),
        context,
        rules,
        assets: [Asset::new("ua-parser", &name, &text)],
        cache: Arc::new(Cache::new(CACHE)),
        hits: StripedCounter::default(),
        misses: StripedCounter::default(),
    })
}

impl Enrichment for UserAgent {
    fn identifier(&self) -> &'static str {
        "ua-parser"
    }

    fn config_key(&self) -> Option<&SchemaKey> {
        Some(&self.key)
    }

    fn assets(&self) -> &[Asset] {
        &self.assets
    }

    fn register(&self, metrics: &Metrics) {
        metrics.register("enrich_user_agent_hits", "User agents known from before", self.hits.clone());
        metrics.register("enrich_user_agent_misses", "User agents that had to be read", self.misses.clone());
        let cache = self.cache.clone();
        let size = Sampled::new(move || i64::try_from(cache.len()).unwrap_or(i64::MAX));
        metrics.register("enrich_user_agents_cached", "User agents in memory", size);
        metrics.gauge("enrich_user_agents_bound", "Most user agents in memory").set(CACHE as i64);
    }

    fn apply(&self, cx: &mut StepContext<'_>) {
        let Some(agent) = cx.event.text(columns::USERAGENT) else { return };
        let agent = &agent[..agent.floor_char_boundary(MAX_LENGTH)];
        let data = match self.cache.get(agent) {
            Some(data) => {
                self.hits.inc();
                data
            }
            None => {
                self.misses.inc();
                let data: Arc<str> = parse(&self.rules, agent).into();
                self.cache.insert(agent.to_owned(), data.clone());
                data
            }
        };
        cx.derive(self.context.clone(), data);
    }
}

/// One family with its version, as the context shows it.
#[derive(Default)]
struct Named<'a> {
    family: &'a str,
    versions: Vec<Option<&'a str>>,
}

impl Named<'_> {
    /// `Family 1.2.3`, each piece only where there is one.
    fn text(&self) -> String {
        let mut out = self.family.to_owned();
        for (i, piece) in self.versions.iter().enumerate() {
            if let Some(piece) = piece {
                out.push(if i == 0 { ' ' } else { '.' });
                out.push_str(piece);
            }
        }
        out
    }
}

fn parse(rules: &Extractor<'_>, agent: &str) -> String {
    let (browser, system, device) = rules.extract(agent);
    let present = |s: Option<String>| s.filter(|s| !s.is_empty());
    let browser = browser.map(ua_parser::user_agent::ValueRef::into_owned);
    let system = system.map(ua_parser::os::ValueRef::into_owned);
    let browser_version: Vec<Option<String>> = browser
        .as_ref()
        .map(|b| [b.major.clone(), b.minor.clone(), b.patch.clone()].map(present).into())
        .unwrap_or_else(|| vec![None; 3]);
    let system_version: Vec<Option<String>> = system
        .as_ref()
        .map(|s| [s.major.clone(), s.minor.clone(), s.patch.clone(), s.patch_minor.clone()].map(present).into())
        .unwrap_or_else(|| vec![None; 4]);
    let browser = Named {
        family: browser.as_ref().map_or("Other", |b| b.family.as_str()),
        versions: browser_version.iter().map(Option::as_deref).collect(),
    };
    let system = Named {
        family: system.as_ref().map_or("Other", |s| s.os.as_str()),
        versions: system_version.iter().map(Option::as_deref).collect(),
    };
    let device = device.map(|d| d.device.trim().to_owned()).filter(|d| !d.is_empty());

    let mut out = String::from("{");
    let mut put = |name: &str, value: Option<&str>| {
        if out.len() > 1 {
            out.push(',');
        }
        write_string(name, &mut out);
        out.push(':');
        match value {
            Some(value) => write_string(value, &mut out),
            None => out.push_str("null"),
        }
    };
    put("useragentFamily", Some(browser.family));
    for (name, value) in ["useragentMajor", "useragentMinor", "useragentPatch"].into_iter().zip(&browser.versions) {
        put(name, *value);
    }
    put("useragentVersion", Some(&browser.text()));
    put("osFamily", Some(system.family));
    for (name, value) in ["osMajor", "osMinor", "osPatch", "osPatchMinor"].into_iter().zip(&system.versions) {
        put(name, *value);
    }
    put("osVersion", Some(&system.text()));
    put("deviceFamily", Some(device.as_deref().unwrap_or("Other")));
    out.push('}');
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rules_name_browsers_systems_and_devices() {
        let rules: Regexes<'_> = serde_yaml_ng::from_str(RULES).unwrap();
        let rules = Extractor::try_from(rules).unwrap();
        for (agent, version, system, device) in [
            (
                "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0.0.0 Safari/537.36",
                "Chrome 126.0.0",
                "Windows 10",
                "Other",
            ),
            (
                "Mozilla/5.0 (iPhone; CPU iPhone OS 17_5_1 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/17.5 Mobile/15E148 Safari/604.1",
                "Mobile Safari 17.5",
                "iOS 17.5.1",
                "iPhone",
            ),
            (
                "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)",
                "Googlebot 2.1",
                "Other",
                "Spider",
            ),
            ("snowshed-probe", "Other", "Other", "Other"),
        ] {
            let data: serde_json::Value = serde_json::from_str(&parse(&rules, agent)).unwrap();
            assert_eq!(data["useragentVersion"], version, "{agent}");
            assert_eq!(data["osVersion"], system, "{agent}");
            assert_eq!(data["deviceFamily"], device, "{agent}");
            assert_eq!(data.as_object().unwrap().len(), 12);
        }
    }
}
