//! The database of known referrers: medium → source → hosts, with or without a path, and search parameters.
//!
//! The format is Snowplow's referer-parser JSON, so that its published files load as they are. The built-in default
//! (`embedded:`) is a short list of our own; the published lists are under a licence that forbids shipping them here.

use super::asset::{self, Asset};
use ahash::{AHashMap, AHashSet};
use serde_json::Value;

const EMBEDDED: &str = include_str!("data/referrers.json");

/// Longest host that is looked up: longer ones are no names of the DNS, and every label costs a look-up.
const MAX_HOST: usize = 255;

/// What a host is known as.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Known {
    pub(super) medium: String,
    pub(super) source: String,
    /// Names of query parameters that hold the search term.
    pub(super) parameters: Vec<String>,
}

/// All known referrers by `host` or `host/path`, lower-cased hosts.
#[derive(Debug, Default)]
pub(super) struct Database {
    known: AHashMap<String, Known>,
    /// Hosts that are known by at least one path.
    paths: AHashSet<String>,
    /// Medium and source by the exact value of `utm_source`.
    campaigns: AHashMap<String, (String, String)>,
}

impl Database {
    /// Loads the database that a configuration names.
    pub(super) fn load(uri: &str, database: &str) -> Result<(Self, Asset), String> {
        let (text, name) = match uri.trim_end_matches('/') == "embedded:" {
            true => (EMBEDDED.to_owned(), asset::BUILT_IN),
            false => (asset::read(uri, database)?, database),
        };
        let value: Value = serde_json::from_str(&text)
            .or_else(|_| serde_yaml_ng::from_str(&text))
            .map_err(|e| format!("the referrer database {database} is neither JSON nor YAML: {e}"))?;
        let mut out = Database::default();
        out.add(&value)?;
        Ok((out, Asset::new("referer-parser", name, &text)))
    }

    /// Adds entries; entries that are there already win.
    pub(super) fn add(&mut self, value: &Value) -> Result<(), String> {
        let media = value.as_object().ok_or("a referrer database is an object: medium, then source")?;
        for (medium, sources) in media {
            let sources = sources.as_object().ok_or_else(|| format!("medium \"{medium}\" is no object of sources"))?;
            for (source, entry) in sources {
                let list = |key: &str| -> Vec<String> {
                    let items = entry.get(key).and_then(Value::as_array);
                    items.into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect()
                };
                let domains = list("domains");
                if domains.is_empty() {
                    return Err(format!("source \"{source}\" of medium \"{medium}\" has no domains"));
                }
                for domain in domains {
                    let known =
                        Known { medium: medium.clone(), source: source.clone(), parameters: list("parameters") };
                    self.put(lower_host(&domain), known);
                }
                for utm_source in list("utm_sources") {
                    self.campaigns.entry(utm_source).or_insert_with(|| (medium.clone(), source.clone()));
                }
            }
        }
        Ok(())
    }

    /// Adds all of another database; entries that are here already win.
    pub(super) fn merge(&mut self, other: Database) {
        for (key, known) in other.known {
            self.put(key, known);
        }
        for (utm_source, named) in other.campaigns {
            self.campaigns.entry(utm_source).or_insert(named);
        }
    }

    /// Looks a referrer up: the longest path first, and for each path the whole host before shorter ones.
    pub(super) fn find(&self, host: &str, path: &str) -> Option<&Known> {
        let host = host.trim_end_matches('.');
        if host.len() > MAX_HOST {
            return None;
        }
        let first = path.split('/').find(|s| !s.is_empty());
        let mut key = String::with_capacity(host.len() + path.len() + 1);
        let mut look = |path: [&str; 2]| {
            let mut rest = Some(host);
            while let Some(part) = rest {
                key.clear();
                key.push_str(part);
                key.make_ascii_lowercase();
                // Few hosts are known by a path at all, and most paths are long.
                if path == [""; 2] || self.paths.contains(&key) {
                    key.push_str(path[0]);
                    key.push_str(path[1]);
                    if let Some(known) = self.known.get(&key) {
                        return Some(known);
                    }
                }
                rest = part.split_once('.').map(|(_, shorter)| shorter);
            }
            None
        };
        if let Some(first) = first
            && let Some(known) = look([path, ""]).or_else(|| look(["/", first]))
        {
            return Some(known);
        }
        look(["", ""])
    }

    /// Medium and source of a campaign, by its exact `utm_source`.
    pub(super) fn campaign(&self, utm_source: &str) -> Option<(&str, &str)> {
        self.campaigns.get(utm_source).map(|(medium, source)| (medium.as_str(), source.as_str()))
    }

    /// Whether any source is known by a `utm_source`.
    pub(super) fn has_campaigns(&self) -> bool {
        !self.campaigns.is_empty()
    }

    fn put(&mut self, key: String, known: Known) {
        if let Some((host, _)) = key.split_once('/') {
            self.paths.insert(host.to_owned());
        }
        self.known.entry(key).or_insert(known);
    }
}

fn lower_host(domain: &str) -> String {
    match domain.split_once('/') {
        Some((host, path)) => format!("{}/{path}", host.to_ascii_lowercase()),
        None => domain.to_ascii_lowercase(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_longer_path_beats_a_longer_host() {
        let mut db = Database::default();
        db.add(&serde_json::json!({
            "search": {"Google": {"domains": ["google.com", "www.google.com"], "parameters": ["q"]},
                "Google Images": {"domains": ["google.com/imgres"], "parameters": ["q"]}},
            "social": {"Facebook": {"domains": ["facebook.com"]}}}))
            .unwrap();
        let source = |host, path| db.find(host, path).map(|k| k.source.as_str());
        assert_eq!(source("www.google.com", "/search"), Some("Google"));
        assert_eq!(source("www.google.com", "/imgres/x"), Some("Google Images"));
        assert_eq!(source("WWW.Google.com.", "/"), Some("Google"));
        assert_eq!(source("l.facebook.com", "/l.php"), Some("Facebook"));
        assert_eq!(source("blog.example", "/"), None);
    }

    #[test]
    fn the_built_in_list_loads() {
        let (db, asset) = Database::load("embedded:", "x").unwrap();
        assert_eq!((asset.name.as_str(), asset.bytes), ("built in", EMBEDDED.len() as u64));
        assert_eq!(db.find("www.google.de", "/").map(|k| k.medium.as_str()), Some("search"));
        assert_eq!(db.find("chatgpt.com", "/").map(|k| k.medium.as_str()), Some("chatbot"));
    }
}
