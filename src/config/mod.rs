//! The configuration: built-in defaults, one optional file, environment variables on top.
//!
//! Every box owns the type of its own section; this folder puts them together, finds the line of a mistake and knows where
//! each effective value came from. `config.toml` at the root of the repository is the complete, commented default.

mod load;
mod origin;

pub use load::{ConfigError, Loaded, load};
pub use origin::{Origin, effective};

use crate::view::ViewDef;
use crate::{batch, collector, dedupe, enrich, journal, schema, serving, speed, telemetry};
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// Everything that can be configured. Unknown keys are errors.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Folder for the journal, the lake (unless elsewhere), the warehouse file and working state.
    pub data_dir: PathBuf,
    /// Which parts run in this process. All of them, until a Kafka journal lets them run apart.
    pub roles: Vec<Role>,
    /// The public port.
    pub collector: collector::Config,
    /// The raw log.
    pub journal: journal::Config,
    /// Payload to canonical event.
    pub enrich: enrich::Config,
    /// Schema registries.
    pub iglu: schema::Config,
    /// Recognising repeated events.
    pub dedupe: dedupe::Config,
    /// Aggregates in memory.
    pub speed: speed::Config,
    /// Publishing to Kafka.
    pub streams: speed::streams::Config,
    /// Micro-batches.
    pub batch: batch::Config,
    /// Object storage.
    pub lake: batch::LakeConfig,
    /// Where the batch layer keeps its tables.
    pub warehouse: batch::WarehouseConfig,
    /// The private port.
    pub serving: serving::Config,
    /// Logs.
    pub telemetry: telemetry::log::Config,
    /// Metric definitions of both layers.
    pub views: Vec<ViewDef>,
}

/// A part of the program.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Takes requests in and journals them.
    Collector,
    /// Enriches, aggregates and commits.
    Worker,
    /// Answers.
    Serving,
}

impl Default for Config {
    fn default() -> Self {
        Config {
            data_dir: PathBuf::from("./data"),
            roles: vec![Role::Collector, Role::Worker, Role::Serving],
            collector: Default::default(),
            journal: Default::default(),
            enrich: Default::default(),
            iglu: Default::default(),
            dedupe: Default::default(),
            speed: Default::default(),
            streams: Default::default(),
            batch: Default::default(),
            lake: Default::default(),
            warehouse: Default::default(),
            serving: Default::default(),
            telemetry: Default::default(),
            views: crate::view::defaults(),
        }
    }
}

impl Config {
    /// A short hash of all values and of what enrichment was made from (`Steps::checksum`), for audit rows: two micro-batches
    /// with the same one were made alike.
    pub fn hash(&self, enrichment: u32) -> String {
        let text = toml::to_string(self).unwrap_or_default();
        let crc = crc32c::crc32c(text.as_bytes());
        format!("{:08x}", crc32c::crc32c_append(crc, &enrichment.to_le_bytes()))
    }

    fn check_views(&self, problems: &mut Vec<(String, String)>) {
        let built_in: Vec<String> = crate::view::builtin().into_iter().map(|view| view.name).collect();
        for (i, view) in self.views.iter().enumerate() {
            let mut say = |what: String| problems.push((format!("views[{i}]"), what));
            if built_in.contains(&view.name) {
                say(format!("\"{}\" is the name of a built-in view; choose another", view.name));
            }
            if self.views[..i].iter().any(|other| other.name == view.name) {
                say(format!("two views are called \"{}\"; names are unique", view.name));
            }
            if let Err(e) = view.compile() {
                say(e.to_string());
            }
        }
    }

    /// What is wrong with the values, as (key, problem and what is allowed). Types and unknown keys were found before.
    pub fn check(&self) -> Vec<(String, String)> {
        let mut problems = Vec::new();
        let mut section = |name: &str, found: Vec<(String, String)>| {
            // Some boxes name their section themselves.
            let full = |key: String| if key.starts_with(&format!("{name}.")) { key } else { format!("{name}.{key}") };
            problems.extend(found.into_iter().map(|(key, what)| (full(key), what)));
        };
        section("collector", self.collector.check());
        section("journal", self.journal.check());
        section("enrich", self.enrich.check());
        section("iglu", self.iglu.check());
        section("dedupe", self.dedupe.check());
        section("speed", self.speed.check());
        section("streams", self.streams.check());
        section("batch", self.batch.check());
        section("lake", self.lake.check());
        section("warehouse", self.warehouse.check());
        section("serving", self.serving.check());
        section("telemetry", self.telemetry.check());
        let (record, most) = (self.collector.limits.record_max_bytes, self.journal.max_record_bytes);
        // A full batch's record may have one byte more, a row that quotes one some hundred.
        let row = self.collector.limits.payload_max_bytes.max(record).0.saturating_add(4096);
        if row > most.0 {
            problems.push((
                "journal.max_record_bytes".into(),
                format!(
                    "is {most}; it must be 4 KiB more than collector.limits.record_max_bytes ({record}) and \
                     collector.limits.payload_max_bytes ({})",
                    self.collector.limits.payload_max_bytes
                ),
            ));
        }
        if self.data_dir.as_os_str().is_empty() {
            problems.push(("data_dir".into(), "is empty; write a folder, as in \"./data\"".into()));
        }
        self.check_views(&mut problems);
        let all = [Role::Collector, Role::Worker, Role::Serving];
        if !all.iter().all(|r| self.roles.contains(r)) {
            problems.push((
                "roles".into(),
                "with a local journal one process has all roles: [\"collector\", \"worker\", \"serving\"]".into(),
            ));
        }
        problems
    }
}
