//! `http_header_extractor_config`: headers whose whole name matches a pattern, as derived contexts.

use super::StepConfig;
use super::config::Reader;
use super::cookies::MAX_VALUE;
use crate::enrich::step::{Enrichment, StepContext};
use crate::event::SchemaKey;
use crate::event::json::write_string;
use crate::telemetry::Metrics;
use fancy_regex::{Regex, RegexBuilder};
use prometheus_client::metrics::counter::Counter;

/// Steps of back-tracking before a pattern is given up on a name.
const BACKTRACK_LIMIT: usize = 100_000;

#[derive(Debug)]
struct HttpHeaders {
    key: SchemaKey,
    context: SchemaKey,
    pattern: Regex,
    /// Headers that were left out for their length.
    skipped: Counter,
}

/// Reads the configuration; the pattern is compiled here and not per event.
pub(super) fn build(config: &StepConfig) -> Result<Box<dyn Enrichment>, Vec<String>> {
    let mut read = Reader::new(config.parameters());
    let text = read.text("headersPattern");
    let pattern = match RegexBuilder::new(&format!("^(?:{text})$")).backtrack_limit(BACKTRACK_LIMIT).build() {
        Ok(pattern) => pattern,
        Err(e) => return Err(vec![format!("parameters.headersPattern: \"{text}\" is no regular expression: {e}")]),
    };
    for private in ["Cookie", "Authorization", "X-Forwarded-For"] {
        if pattern.is_match(private).unwrap_or(false) {
            tracing::warn!(
                "{}: headersPattern matches {private}: what is in it will be stored in every event",
                config.file.display()
            );
        }
    }
    let context = SchemaKey::new("org.ietf", "http_header", "jsonschema", (1, 0, 0));
    read.finish(HttpHeaders { key: config.schema.clone(), context, pattern, skipped: Counter::default() })
}

impl Enrichment for HttpHeaders {
    fn identifier(&self) -> &'static str {
        "http-header-extractor"
    }

    fn config_key(&self) -> Option<&SchemaKey> {
        Some(&self.key)
    }

    fn register(&self, metrics: &Metrics) {
        let help = "Headers left out because they are longer than the schema of the context takes; an event that waits for a schema counts twice";
        metrics.register("enrich_headers_skipped", help, self.skipped.clone());
    }

    fn apply(&self, cx: &mut StepContext<'_>) {
        let blank = |c: char| c <= ' ';
        let headers = cx.headers;
        for header in headers {
            let Some((name, value)) = header.split_once(':') else { continue };
            if !self.pattern.is_match(name).unwrap_or(false) {
                continue;
            }
            let (name, value) = (name.trim_matches(blank), value.trim_matches(blank));
            // Longer ones would fail the schema of the context and with it the event.
            if name.chars().count() > MAX_VALUE || value.chars().count() > MAX_VALUE {
                self.skipped.inc();
                continue;
            }
            let mut out = String::from("{\"name\":");
            write_string(name, &mut out);
            out.push_str(",\"value\":");
            write_string(value, &mut out);
            out.push('}');
            cx.derive(self.context.clone(), out);
        }
    }
}
