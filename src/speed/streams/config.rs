//! `[streams]`.

use crate::event::columns;
use crate::platform::units::{ByteSize, Span};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Where enriched events, failed events and aggregates are published.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// `"none"`, `"kafka"` or `"stdout"` (for looking at what would be published).
    pub kind: Kind,
    /// Addresses of Kafka brokers, `host:port`, separated by commas.
    pub brokers: String,
    /// Names of the topics.
    pub topics: Topics,
    /// Form of an enriched event: `"tsv"` (131 cells, as Snowplow's own stream) or `"json"` (as its analytics SDKs print it).
    pub format: Format,
    /// Column whose text is the partition key. An event without it is spread.
    pub partition_key: String,
    /// Events that wait in memory for a slow broker; beyond it they are read again from the journal.
    pub max_buffer: ByteSize,
    /// How often the cursor is stored: what a crash of this process may publish twice.
    pub cursor_interval: Span,
    /// Further properties of librdkafka (security.protocol, sasl.username, compression.type, …), taken as they are.
    pub properties: BTreeMap<String, String>,
}

/// What kind of stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// Nothing is published.
    None,
    /// Apache Kafka and whatever speaks its protocol.
    Kafka,
    /// One JSON line a record on standard output.
    Stdout,
}

/// Form of an enriched event.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Format {
    /// 131 tab-separated cells.
    Tsv,
    /// Analytics-SDK JSON.
    Json,
}

/// Names of the topics. An empty name publishes nothing of that kind.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Topics {
    /// Enriched events.
    pub enriched: String,
    /// Bad rows.
    pub failed: String,
    /// Aggregates of views that say `publish`.
    pub aggregates: String,
}

impl Default for Topics {
    fn default() -> Self {
        Topics { enriched: "enriched".into(), failed: "failed".into(), aggregates: "aggregates".into() }
    }
}

impl Default for Config {
    fn default() -> Self {
        Config {
            kind: Kind::None,
            brokers: "127.0.0.1:9092".into(),
            topics: Topics::default(),
            format: Format::Tsv,
            partition_key: "domain_userid".into(),
            max_buffer: ByteSize::mib(64),
            cursor_interval: Span::from_secs(1),
            properties: BTreeMap::new(),
        }
    }
}

impl Config {
    /// What is wrong with the values, as (key, problem).
    pub fn check(&self) -> Vec<(String, String)> {
        let mut problems = Vec::new();
        let mut problem = |key: &str, what: String| problems.push((key.to_owned(), what));
        if self.kind == Kind::Kafka && self.brokers.trim().is_empty() {
            problem("brokers", "is empty; allowed: host:port, several separated by commas".into());
        }
        if self.kind == Kind::Kafka && cfg!(not(feature = "kafka")) {
            problem("kind", "this program was built without the feature `kafka`; allowed: \"none\", \"stdout\"".into());
        }
        let text =
            columns::index_of(&self.partition_key).is_some_and(|i| columns::COLUMNS[i].kind == columns::Kind::Text);
        if !text {
            problem(
                "partition_key",
                format!(
                    "\"{}\" is no text column of the canonical event; usual: \"domain_userid\"",
                    self.partition_key
                ),
            );
        }
        if self.max_buffer < ByteSize::mib(1) {
            problem("max_buffer", format!("{} is too small; allowed: 1 MiB and more", self.max_buffer));
        }
        if !(100..=60_000).contains(&self.cursor_interval.as_millis()) {
            problem("cursor_interval", format!("{} is out of range; allowed: 100ms to 60s", self.cursor_interval));
        }
        problems
    }
}
