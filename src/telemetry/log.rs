//! The log: lines for people on a terminal, JSON for machines.

use serde::{Deserialize, Serialize};
use tracing_subscriber::EnvFilter;

/// `[telemetry]`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Least level that is written: `error`, `warn`, `info`, `debug`, `trace`, or a filter such as `info,snowshed::batch=debug`.
    pub log: String,
    /// `"text"` or `"json"`.
    pub format: Format,
}

impl Default for Config {
    fn default() -> Self {
        Config { log: "info".to_owned(), format: Format::Text }
    }
}

/// How a log line looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Format {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

/// Starts writing the log to standard error. A second call does nothing.
///
/// # Errors
/// The text of a filter that cannot be read.
pub fn start(config: &Config) -> Result<(), String> {
    let filter = EnvFilter::try_new(&config.log).map_err(|e| format!("telemetry.log = \"{}\": {e}", config.log))?;
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).with_target(false);
    let _ = match config.format {
        Format::Text => builder.try_init(),
        Format::Json => builder.json().try_init(),
    };
    Ok(())
}
