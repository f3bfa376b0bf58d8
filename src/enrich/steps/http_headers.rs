//! `http_header_extractor_config`: headers whose whole name matches a pattern, as derived contexts.

use super::StepConfig;
use super::config::Reader;
use super::cookies::MAX_VALUE;
use crate::enrich::step::{Enrichment, StepContext};
use crate::event::SchemaKey;
use crate::event::json::write_string;
use crate::schema::validator::java_pattern;
use crate::telemetry::Metrics;
use fancy_regex::{Regex, RegexBuilder};
use prometheus_client::metrics::counter::Counter;

/// Steps of back-tracking before a pattern is given up on a name.
const BACKTRACK_LIMIT: usize = 100_000;
/// Bytes that the compiled pattern may take.
const SIZE_LIMIT: usize = 8 << 20;

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
    let pattern = match whole_name(&text) {
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

/// Compiles a Java pattern that has to match all of a name. The translation holds no comments, so nothing in it can swallow
/// the closing bracket.
fn whole_name(text: &str) -> Result<Regex, String> {
    let pattern = java_pattern(text)?;
    let mut builder = RegexBuilder::new(&format!(r"\A(?:{pattern})\z"));
    builder.backtrack_limit(BACKTRACK_LIMIT).delegate_size_limit(SIZE_LIMIT);
    let last_line = |e: String| e.lines().last().unwrap_or_default().trim_start_matches("error: ").to_owned();
    builder.build().map_err(|e| last_line(e.to_string()))
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_is_read_as_java_reads_it_and_matches_the_whole_name() {
        for (pattern, yes, no) in [
            (r"\QX-A\E", "X-A", "X-B"),
            (r"X-\p{javaLetter}", "X-A", "X-1"),
            ("(?x) X-A # c", "X-A", "X-Ab"),
            ("(?i)host|accept", "Accept", "Accept-Language"),
            (r"^(?!cookie$).*", "Host", "cookie"),
            (r"X-\w++", "X-A_1", "X-ü"),
            ("X-A$", "X-A", "X-A-B"),
        ] {
            let compiled = whole_name(pattern).unwrap_or_else(|e| panic!("{pattern}: {e}"));
            assert!(compiled.is_match(yes).unwrap(), "{pattern} should match {yes}");
            assert!(!compiled.is_match(no).unwrap(), "{pattern} should not match {no}");
        }
        for bad in ["(", "a)|(b", "[", r"\X"] {
            let why = whole_name(bad).unwrap_err();
            assert!(!why.is_empty() && !why.contains('\n'), "{bad}: {why}");
        }
    }
}
