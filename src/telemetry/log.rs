//! The log: lines for people on a terminal, JSON for machines.

use serde::{Deserialize, Serialize};
use std::io::IsTerminal;
use tracing_subscriber::EnvFilter;

/// What [`Config::log`] may be made of besides `target=level`.
const LEVELS: [&str; 6] = ["error", "warn", "info", "debug", "trace", "off"];

/// `[telemetry]`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Least level that is written: `error`, `warn`, `info`, `debug`, `trace`, `off`, or a filter such as
    /// `info,snowshed::batch=debug`.
    pub log: String,
    /// `"text"` or `"json"`.
    pub format: Format,
}

impl Default for Config {
    fn default() -> Self {
        Config { log: "info".to_owned(), format: Format::Text }
    }
}

impl Config {
    /// Values that cannot work, as (key within the section, problem and what is allowed).
    pub fn check(&self) -> Vec<(String, String)> {
        self.filter().err().map(|problem| ("log".to_owned(), problem)).into_iter().collect()
    }

    /// The filter that `log` describes. `EnvFilter` alone would take a misspelt level for the name of a target, and the log
    /// would stay silent.
    fn filter(&self) -> Result<EnvFilter, String> {
        let wrong = |what: String| {
            format!(
                "\"{}\": {what}; allowed: {}, or directives such as \"info,hyper=warn\" (target=level)",
                self.log,
                LEVELS.join(", ")
            )
        };
        let is_level = |word: &str| LEVELS.iter().any(|level| level.eq_ignore_ascii_case(word));
        let mut directives = Vec::new();
        for part in self.log.split(',').map(str::trim) {
            directives.push(match part.rsplit_once('=').map(|(target, level)| (target.trim(), level.trim())) {
                None if is_level(part) => part.to_owned(),
                None => return Err(wrong(format!("\"{part}\" is no level"))),
                Some((_, level)) if !is_level(level) => return Err(wrong(format!("\"{level}\" is no level"))),
                Some(("", _)) => return Err(wrong(format!("\"{part}\" names no target"))),
                Some((target, level)) => format!("{target}={level}"),
            });
        }
        EnvFilter::try_new(directives.join(",")).map_err(|e| wrong(e.to_string()))
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
    let filter = config.filter().map_err(|problem| format!("telemetry.log: {problem}"))?;
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(coloured())
        .with_target(false);
    let _ = match config.format {
        Format::Text => builder.try_init(),
        Format::Json => builder.json().try_init(),
    };
    Ok(())
}

/// Colour is for eyes: on a terminal, unless its owner asks for none (<https://no-color.org>).
fn coloured() -> bool {
    std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problems(log: &str) -> Vec<(String, String)> {
        Config { log: log.to_owned(), ..Config::default() }.check()
    }

    #[test]
    fn levels_and_directives_are_taken() {
        for log in ["error", "INFO", "off", "info,snowshed::batch=debug", "warn, snowshed = trace", "snowshed=debug"] {
            assert_eq!(problems(log), vec![], "{log}");
        }
    }

    #[test]
    fn a_word_that_is_no_level_is_refused_and_the_levels_are_named() {
        for (log, word) in [
            ("loud", "loud"),
            ("", "\"\""),
            ("info,,debug", "\"\" is no level"),
            ("info,snowshed::batch", "snowshed::batch"),
            ("snowshed=loud", "loud"),
            ("=debug", "no target"),
            ("3", "\"3\""),
        ] {
            let found = problems(log);
            assert_eq!(found.len(), 1, "{log}");
            let (key, what) = &found[0];
            assert_eq!(key, "log");
            assert!(what.contains(word) && what.contains("error, warn, info, debug, trace, off"), "{log}: {what}");
        }
    }
}
