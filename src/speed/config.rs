//! `[speed]`: the bounds of what is held in memory.

use crate::platform::units::{ByteSize, Span};
use serde::{Deserialize, Serialize};

/// Bounds of the speed layer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Enriched rows in memory beyond which micro-batches whose Parquet file is written give their rows up and are read from
    /// that file; beyond twice this the stage waits, and the collector answers 503 in the end.
    pub max_tail_bytes: ByteSize,
    /// Aggregates of uncommitted micro-batches in memory beyond which the oldest go to files in `state/speed/`.
    pub max_state_bytes: ByteSize,
    /// How long a reader may hold on to state that is committed meanwhile; then its reads fail.
    pub max_lease: Span,
    /// Newest events that the live feed keeps.
    pub recent_events: usize,
    /// Most groups of a view in its rolling windows; the rest counts under `(other)`.
    pub window_groups: usize,
    /// Most sites of the wall; the one that was silent longest makes room.
    pub max_sites: usize,
    /// Most causes of failure that are told apart; the one seen longest ago makes room.
    pub max_causes: usize,
    /// Most failed events per micro-batch whose bad row is kept in memory until it is committed.
    pub max_failures: usize,
}

impl Default for Config {
    fn default() -> Self {
        Config {
            max_tail_bytes: ByteSize::mib(256),
            max_state_bytes: ByteSize::mib(256),
            max_lease: Span::from_secs(60),
            recent_events: 5_000,
            window_groups: 2_000,
            max_sites: 1_000,
            max_causes: 500,
            max_failures: 10_000,
        }
    }
}

impl Config {
    /// What is wrong: key, problem and what is allowed.
    pub fn check(&self) -> Vec<(String, String)> {
        let mut wrong = Vec::new();
        let mut bytes = |key: &str, v: ByteSize| {
            if !(ByteSize::mib(1)..=ByteSize(1 << 40)).contains(&v) {
                wrong.push((key.to_owned(), format!("\"{v}\" is not allowed; allowed: \"1 MiB\" to \"1 TiB\"")));
            }
        };
        bytes("max_tail_bytes", self.max_tail_bytes);
        bytes("max_state_bytes", self.max_state_bytes);
        if !(Span::from_secs(1)..=Span::from_secs(3600)).contains(&self.max_lease) {
            let v = self.max_lease;
            wrong.push(("max_lease".to_owned(), format!("\"{v}\" is not allowed; allowed: \"1s\" to \"1h\"")));
        }
        let mut number = |key: &str, v: usize, most: usize| {
            if !(1..=most).contains(&v) {
                wrong.push((key.to_owned(), format!("{v} is not allowed; allowed: 1 to {most}")));
            }
        };
        number("recent_events", self.recent_events, 1_000_000);
        number("window_groups", self.window_groups, 100_000);
        number("max_sites", self.max_sites, 100_000);
        number("max_causes", self.max_causes, 100_000);
        number("max_failures", self.max_failures, 10_000_000);
        wrong
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_is_allowed_and_a_bad_value_is_named() {
        assert_eq!(Config::default().check(), []);
        let bad = Config { max_lease: Span::from_millis(1), recent_events: 0, ..Config::default() };
        let keys: Vec<String> = bad.check().into_iter().map(|w| w.0).collect();
        assert_eq!(keys, ["max_lease", "recent_events"]);
    }
}
