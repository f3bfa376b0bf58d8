//! The steps in their fixed order: one table.
//!
//! The order is Snowplow's and no configuration changes it. Adding a step means one row here and one file beside this one.
//! Steps that are always on need no configuration; the others are switched on by one of Snowplow's enrichment
//! configuration files. What the order means: whatever looks up the address sees it before it is made anonymous, the
//! fingerprint sees raw parameters, a script sees all but what SQL, API and pseudonymisation change, and pseudonymisation
//! comes last so that nothing brings raw values back.

mod anon_ip;
mod asset;
mod campaign;
mod collector_version;
mod config;
mod cookies;
mod cross_domain;
mod cross_navigation;
mod derived_time;
mod fingerprint;
mod folder;
mod http_headers;
mod page_uri;
mod referrer;
mod referrer_database;
mod referrer_uri;
mod schema_columns;
mod user_agent;

pub use asset::Asset;
pub use folder::{Folder, read_folder};

use super::step::{Enrichment, StepContext};
use crate::event::SchemaKey;
use crate::schema::Resolver;
use crate::telemetry::Metrics;
use std::path::{Path, PathBuf};

/// One configuration file, read and checked against its schema.
#[derive(Clone, Debug)]
pub struct StepConfig {
    /// Where it was read from, for messages.
    pub file: PathBuf,
    /// Its schema; the name in it picks the step.
    pub schema: SchemaKey,
    /// Its `data`: `vendor`, `name`, `enabled`, `parameters` and, for a few, more.
    pub data: serde_json::Value,
}

impl StepConfig {
    /// Whether `data.enabled` says so. The schema of the file has made sure that it is there.
    pub fn is_enabled(&self) -> bool {
        self.data.get("enabled") != Some(&serde_json::Value::Bool(false))
    }

    /// The object `data.parameters`; `Null` when it is absent.
    pub fn parameters(&self) -> &serde_json::Value {
        self.data.get("parameters").unwrap_or(&serde_json::Value::Null)
    }
}

/// Makes a configured step. Errors are start-up errors: each says what is wrong and what is allowed.
pub type Build = fn(&StepConfig) -> Result<Box<dyn Enrichment>, Vec<String>>;

/// How a step comes to run.
#[derive(Clone, Copy)]
pub enum Made {
    /// Always on.
    Always(fn() -> Box<dyn Enrichment>),
    /// By a configuration file of this vendor, name, model and revision (any addition).
    By {
        /// Vendor in the schema URI.
        vendor: &'static str,
        /// Name in the schema URI.
        name: &'static str,
        /// Model and revision that are understood.
        version: (u32, u32),
        /// How; `None` for a step that is accepted but does nothing any more.
        build: Option<Build>,
        /// Whether several files may configure it; they then run in the order of their file names.
        many: bool,
    },
}

/// A row of the table.
#[derive(Clone, Copy)]
pub struct Step {
    /// What people call it.
    pub title: &'static str,
    /// How it comes to run.
    pub made: Made,
}

const fn always(title: &'static str, make: fn() -> Box<dyn Enrichment>) -> Step {
    Step { title, made: Made::Always(make) }
}

const SNOWPLOW: &str = "com.snowplowanalytics.snowplow";
const ENRICHMENTS: &str = "com.snowplowanalytics.snowplow.enrichments";

const fn by(
    title: &'static str,
    vendor: &'static str,
    name: &'static str,
    version: (u32, u32),
    build: Option<Build>,
) -> Step {
    Step { title, made: Made::By { vendor, name, version, build, many: false } }
}

/// Weather came from an API that is gone, and ran before anything could know where the visitor is.
fn weather(_: &StepConfig) -> Result<Box<dyn Enrichment>, Vec<String>> {
    Err(vec![
        "the weather enrichment is retired: it failed every event; set \"enabled\" to false or take the file away"
            .to_owned(),
    ])
}

/// Every step, in the order in which they run.
pub static STEPS: &[Step] = &[
    always("collector version", collector_version::make),
    always("page URI", page_uri::make),
    always("derived timestamp", derived_time::make),
    by("user-agent-utils (deprecated)", SNOWPLOW, "user_agent_utils_config", (1, 0), None),
    by("user agent", SNOWPLOW, "ua_parser_config", (1, 0), Some(user_agent::build)),
    always("referer URI", referrer_uri::make),
    by("referer", SNOWPLOW, "referer_parser", (2, 0), Some(referrer::build)),
    by("campaign attribution", SNOWPLOW, "campaign_attribution", (1, 0), Some(campaign::build)),
    always("cross-domain _sp", cross_domain::make),
    by("cross navigation", ENRICHMENTS, "cross_navigation_config", (1, 0), Some(cross_navigation::build)),
    by("event fingerprint", SNOWPLOW, "event_fingerprint_config", (1, 0), Some(fingerprint::build)),
    by("cookies", SNOWPLOW, "cookie_extractor_config", (1, 0), Some(cookies::build)),
    by("http headers", ENRICHMENTS, "http_header_extractor_config", (1, 0), Some(http_headers::build)),
    by("weather (retired)", ENRICHMENTS, "weather_enrichment_config", (1, 0), Some(weather)),
    always("schema columns", schema_columns::make),
    by("anonymous address", SNOWPLOW, "anon_ip", (1, 0), Some(anon_ip::build)),
];

/// The steps of one configuration, ready to run.
pub struct Steps {
    list: Vec<Box<dyn Enrichment>>,
    checksum: u32,
}

impl std::fmt::Debug for Steps {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.list.iter().map(|s| s.identifier())).finish()
    }
}

impl Default for Steps {
    fn default() -> Self {
        Steps::always_on()
    }
}

impl Steps {
    /// Only the steps that need no configuration.
    pub fn always_on() -> Self {
        let made = STEPS.iter().filter_map(|s| match s.made {
            Made::Always(make) => Some(make()),
            Made::By { .. } => None,
        });
        Steps { list: made.collect(), checksum: 0 }
    }

    /// The steps of a folder of configuration files; see [`read_folder`].
    ///
    /// # Errors
    /// Every problem of the folder, of its files and of what they ask for, each starting with where it is.
    pub fn from_folder(
        folder: &Path,
        resolver: &Resolver,
        env: &dyn Fn(&str) -> Option<String>,
    ) -> Result<Self, Vec<String>> {
        let Folder { configs, mut problems } = read_folder(folder, resolver, env);
        match Steps::from_configs(&configs) {
            Ok(steps) if problems.is_empty() => return Ok(steps),
            Ok(_) => {}
            Err(more) => problems.extend(more),
        }
        Err(problems)
    }

    /// The always-on steps and those that `configs` switch on, all in the order of the table. A configuration whose
    /// `data.enabled` is false, or whose step does nothing any more, adds none.
    ///
    /// # Errors
    /// Every problem of every configuration, each starting with its file.
    pub fn from_configs(configs: &[StepConfig]) -> Result<Self, Vec<String>> {
        let mut steps = Vec::new();
        let mut problems = Vec::new();
        let mut used = vec![false; configs.len()];
        for row in STEPS {
            match row.made {
                Made::Always(make) => steps.push(make()),
                Made::By { vendor, name, version, build, many } => {
                    let mut first: Option<&StepConfig> = None;
                    for (config, used) in configs.iter().zip(&mut used) {
                        if config.schema.vendor() != vendor || config.schema.name() != name {
                            continue;
                        }
                        *used = true;
                        if let Some(problem) = misfit(config, version) {
                            problems.push(problem);
                            continue;
                        }
                        if !config.is_enabled() {
                            continue;
                        }
                        if let Some(first) = first.filter(|_| !many) {
                            problems.push(format!(
                                "{}: {} already configures {name}; only one file may",
                                config.file.display(),
                                first.file.display()
                            ));
                            continue;
                        }
                        first = Some(config);
                        match build.map(|build| build(config)) {
                            None => tracing::warn!(
                                "{}: {} is deprecated and does nothing here; its columns stay empty",
                                config.file.display(),
                                row.title
                            ),
                            Some(Ok(step)) => steps.push(step),
                            Some(Err(list)) => {
                                problems.extend(list.iter().map(|p| format!("{}: {p}", config.file.display())));
                            }
                        }
                    }
                }
            }
        }
        for (config, _) in configs.iter().zip(used).filter(|(_, used)| !used) {
            if config.is_enabled() {
                problems.push(format!(
                    "{}: {} configures no step that this program has; the known ones are {}",
                    config.file.display(),
                    config.schema,
                    known().join(", ")
                ));
            }
        }
        if problems.is_empty() { Ok(Steps { checksum: checksum(configs, &steps), list: steps }) } else { Err(problems) }
    }

    /// CRC-32C of the configurations that are enabled and of the data files: another one may make other events of the same
    /// records. 0 when nothing is configured.
    pub fn checksum(&self) -> u32 {
        self.checksum
    }

    /// The data files that the steps were made from, in the order of the steps.
    pub fn assets(&self) -> impl Iterator<Item = &Asset> {
        self.list.iter().flat_map(|step| step.assets())
    }

    /// One more step after all others, for tests.
    #[cfg(test)]
    pub(crate) fn with(mut self, step: Box<dyn Enrichment>) -> Self {
        self.list.push(step);
        self
    }

    /// Registers the metrics of every step.
    pub fn register(&self, metrics: &Metrics) {
        for step in &self.list {
            step.register(metrics);
        }
    }

    /// Runs all steps on one event, until one drops it.
    pub fn run(&self, cx: &mut StepContext<'_>) {
        for step in &self.list {
            if !cx.run(step.as_ref()) {
                return;
            }
        }
    }
}

fn checksum(configs: &[StepConfig], steps: &[Box<dyn Enrichment>]) -> u32 {
    let enabled = configs.iter().filter(|c| c.is_enabled()).map(|c| format!("{} {}\n", c.schema, c.data));
    let assets = steps.iter().flat_map(|step| step.assets());
    let assets = assets.map(|a| format!("{} {} {}\n", a.step, a.checksum, a.bytes));
    enabled.chain(assets).fold(0, |crc, line| crc32c::crc32c_append(crc, line.as_bytes()))
}

fn misfit(config: &StepConfig, version: (u32, u32)) -> Option<String> {
    let (model, revision, _) = config.schema.version();
    if config.schema.format() == "jsonschema" && (model, revision) == version {
        return None;
    }
    Some(format!(
        "{}: {} is not understood; write iglu:{}/{}/jsonschema/{}-{}-*",
        config.file.display(),
        config.schema,
        config.schema.vendor(),
        config.schema.name(),
        version.0,
        version.1
    ))
}

fn known() -> Vec<&'static str> {
    STEPS
        .iter()
        .filter_map(|s| match s.made {
            Made::By { name, .. } => Some(name),
            Made::Always(_) => None,
        })
        .collect()
}
