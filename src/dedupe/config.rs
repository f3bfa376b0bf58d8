//! `[dedupe]`.

use crate::platform::units::{ByteSize, Span};
use serde::{Deserialize, Serialize};

/// How long a repeated event is recognised.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// A repetition is recognised when it arrives at most this long after the first occurrence.
    pub window: Span,
    /// Memory for the filters that spare a look into files, about 1.6 bytes an event. When it is used up, the oldest events
    /// of the window are forgotten, with a warning.
    pub max_filter_bytes: ByteSize,
}

impl Default for Config {
    fn default() -> Self {
        Config { window: Span::from_secs(86_400), max_filter_bytes: ByteSize::mib(256) }
    }
}

impl Config {
    /// What is wrong with the values, as (key, problem).
    pub fn check(&self) -> Vec<(String, String)> {
        let mut problems = Vec::new();
        if !(0..=366 * 86_400_000).contains(&self.window.as_millis()) {
            problems.push(("window".into(), format!("{} is out of range; allowed: 0s to 366d", self.window)));
        }
        if self.max_filter_bytes < ByteSize::mib(1) {
            let what = format!("{} is too small; allowed: 1 MiB and more", self.max_filter_bytes);
            problems.push(("max_filter_bytes".into(), what));
        }
        problems
    }
}
