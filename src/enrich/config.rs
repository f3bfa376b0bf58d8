//! The section `[enrich]`.

use super::limits::Limits;
use crate::platform::units::ByteSize;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::PathBuf;

/// How payloads become events.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Folder of Snowplow's enrichment configuration files (`*.json`, `*.hocon`); not set: only the steps that are always on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub enrichments: Option<PathBuf>,
    /// Whether a failed event is also written as an incomplete event, beside its bad row.
    pub failed_events: bool,
    /// Deepest JSON that is read; the root counts 1 and a scalar counts a level. 1 to 200.
    pub max_json_depth: usize,
    /// Whether events with over-long columns pass as they are.
    pub accept_invalid: bool,
    /// Longest enriched line and longest bad row, in bytes: what Kafka and Kinesis take. 1 kB to 1 GiB.
    pub max_record_bytes: ByteSize,
    /// Longest text per column in UTF-16 code units, in place of the defaults.
    pub atomic_limits: BTreeMap<String, u32>,
    /// CPU threads; 0 = one per core.
    pub workers: usize,
}

impl Default for Config {
    fn default() -> Self {
        Config {
            enrichments: None,
            failed_events: true,
            max_json_depth: 40,
            accept_invalid: false,
            max_record_bytes: ByteSize(1_000_000),
            atomic_limits: BTreeMap::new(),
            workers: 0,
        }
    }
}

/// Most threads that may be asked for.
const MAX_WORKERS: usize = 256;

impl Config {
    /// Keys whose value cannot be used, each with what is allowed.
    pub fn check(&self) -> Vec<(String, String)> {
        let mut problems = Vec::new();
        let mut wrong = |key: &str, problem: String| problems.push((key.to_owned(), problem));
        if !(1..=200).contains(&self.max_json_depth) {
            wrong("max_json_depth", format!("{} is out of range; 1 to 200 are allowed", self.max_json_depth));
        }
        if !(1000..=1 << 30).contains(&self.max_record_bytes.0) {
            wrong("max_record_bytes", format!("{} is out of range; 1000 to 1 GiB are allowed", self.max_record_bytes));
        }
        if let Err(names) = Limits::new(&self.atomic_limits) {
            for name in names {
                wrong(&format!("atomic_limits.{name}"), "no text column of the atomic table has this name".to_owned());
            }
        }
        if self.workers > MAX_WORKERS {
            wrong("workers", format!("{} is out of range; 0 to {MAX_WORKERS} are allowed", self.workers));
        }
        problems
    }

    /// Threads to start.
    pub fn threads(&self) -> usize {
        match self.workers {
            0 => std::thread::available_parallelism().map_or(1, usize::from),
            n => n.min(MAX_WORKERS),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_bad_value_is_named_with_what_is_allowed() {
        assert!(Config::default().check().is_empty());
        let config: Config = toml::from_str(
            "max_json_depth = 0\nmax_record_bytes = 10\nworkers = 1000\n[atomic_limits]\napp_id = 10\nnope = 1\n",
        )
        .unwrap();
        let keys: Vec<String> = config.check().into_iter().map(|p| p.0).collect();
        assert_eq!(keys, ["max_json_depth", "max_record_bytes", "atomic_limits.nope", "workers"]);
        assert!(toml::from_str::<Config>("max_depth = 1").is_err());
    }
}
