//! `cookie_extractor_config`: named cookies of the request as derived contexts.
//!
//! Cookies are split as browsers write them (RFC 6265): only `;` separates. Snowplow's reference reads them as header
//! parameters and loses everything behind a comma; that accident is not repeated. A value that the context's schema does
//! not take (over 4096 characters) is left out and counted, and does not cost the event.

use super::StepConfig;
use super::config::Reader;
use crate::enrich::step::{Enrichment, StepContext};
use crate::event::SchemaKey;
use crate::event::json::write_string;
use crate::telemetry::Metrics;
use prometheus_client::metrics::counter::Counter;

/// Longest value of `org.ietf/http_cookie`, in characters.
pub(super) const MAX_VALUE: usize = 4096;

#[derive(Debug)]
struct Cookies {
    key: SchemaKey,
    context: SchemaKey,
    wanted: Vec<String>,
    /// Wanted cookies that were left out for their length.
    skipped: Counter,
}

/// Reads the configuration.
pub(super) fn build(config: &StepConfig) -> Result<Box<dyn Enrichment>, Vec<String>> {
    let mut read = Reader::new(config.parameters());
    let wanted = read.texts("cookies");
    let context = SchemaKey::new("org.ietf", "http_cookie", "jsonschema", (1, 0, 0));
    read.finish(Cookies { key: config.schema.clone(), context, wanted, skipped: Counter::default() })
}

impl Enrichment for Cookies {
    fn identifier(&self) -> &'static str {
        "cookie-extractor"
    }

    fn config_key(&self) -> Option<&SchemaKey> {
        Some(&self.key)
    }

    fn register(&self, metrics: &Metrics) {
        let help = "Cookies left out because their values are longer than the schema of the context takes; an event that waits for a schema counts twice";
        metrics.register("enrich_cookies_skipped", help, self.skipped.clone());
    }

    fn apply(&self, cx: &mut StepContext<'_>) {
        let headers = cx.headers;
        for header in headers {
            let Some((name, value)) = header.split_once(':') else { continue };
            if !name.eq_ignore_ascii_case("cookie") {
                continue;
            }
            for (name, value) in pairs(value) {
                if !self.wanted.iter().any(|w| w == name) {
                    continue;
                }
                if value.is_some_and(|v| v.chars().count() > MAX_VALUE) {
                    self.skipped.inc();
                    continue;
                }
                cx.derive(self.context.clone(), context(name, value));
            }
        }
    }
}

fn context(name: &str, value: Option<&str>) -> String {
    let mut out = String::from("{\"name\":");
    write_string(name, &mut out);
    out.push_str(",\"value\":");
    match value {
        Some(value) => write_string(value, &mut out),
        None => out.push_str("null"),
    }
    out.push('}');
    out
}

/// The pairs of a Cookie header. Double quotes around a value are taken off; inside them a `;` is content.
fn pairs(header: &str) -> impl Iterator<Item = (&str, Option<&str>)> {
    let mut rest = Some(header);
    std::iter::from_fn(move || {
        let text = rest?;
        let end = end_of_pair(text);
        rest = text.get(end + 1..);
        let pair = text[..end].trim();
        Some(match pair.split_once('=') {
            None => (pair, None),
            Some((name, value)) => (name.trim_end(), Some(unquoted(value.trim_start()))),
        })
    })
}

fn end_of_pair(text: &str) -> usize {
    // Looking for either keeps the time of a header linear.
    let equals = text.find(['=', ';']).filter(|at| text[*at..].starts_with('='));
    let quoted = equals.and_then(|at| {
        let value = text[at + 1..].trim_start();
        let start = text.len() - value.len();
        let close = value.strip_prefix('"')?.find('"')?;
        Some(start + close + 2)
    });
    let from = quoted.unwrap_or(0);
    text[from..].find(';').map_or(text.len(), |at| from + at)
}

fn unquoted(value: &str) -> &str {
    value.strip_prefix('"').and_then(|v| v.strip_suffix('"')).unwrap_or(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cookies_are_split_as_browsers_write_them() {
        let read = |h: &'static str| pairs(h).collect::<Vec<_>>();
        assert_eq!(read("sp=abc; lang=de"), [("sp", Some("abc")), ("lang", Some("de"))]);
        assert_eq!(read("a=1;a=2"), [("a", Some("1")), ("a", Some("2"))]);
        assert_eq!(read("flag; x="), [("flag", None), ("x", Some(""))]);
        assert_eq!(read("q=\"v;w\"; z=1"), [("q", Some("v;w")), ("z", Some("1"))]);
        assert_eq!(read("t=1==; u=%20b+c"), [("t", Some("1==")), ("u", Some("%20b+c"))]);
        assert_eq!(read("j={\"k\":1,\"m\":2}; sp=abc")[1], ("sp", Some("abc")));
        assert_eq!(read("j={\\\"k\\\":\"v\"}; sp=abc")[1], ("sp", Some("abc")));
        assert_eq!(read("a=1, b=2"), [("a", Some("1, b=2"))]);
        assert_eq!(read("n= x  y ; b=2"), [("n", Some("x  y")), ("b", Some("2"))]);
    }
}
