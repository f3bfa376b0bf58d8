//! Which failures are to be replayed.

use crate::event::Failure;
use crate::platform::clock::Millis;
use crate::platform::units::Span;
use serde::Deserialize;
use serde_json::value::RawValue;

/// The question.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Ask {
    /// Only events that arrived at this time or later, milliseconds.
    pub since: Option<Millis>,
    /// Only failures that concern this schema: any of the problems that the bad row lists names it.
    pub schema: Option<SchemaPattern>,
    /// Look, and change nothing.
    pub dry_run: bool,
}

/// Why there is no such question.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum AskError {
    /// Neither a time nor a span.
    #[error("since: \"{0}\" is neither a time nor a span; write 2026-01-31T12:00:00Z or 2h")]
    Since(String),
    /// No schema.
    #[error(
        "schema: \"{0}\" names no schema; write iglu:com.acme/cart/jsonschema/1-0-0, or 1-*-* for every version of a model"
    )]
    Schema(String),
}

/// A schema URI whose version parts may be `*`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SchemaPattern {
    /// `iglu:vendor/name/format/`
    prefix: String,
    /// MODEL, REVISION, ADDITION; `None` is any.
    version: [Option<u32>; 3],
}

impl Ask {
    /// Reads a question as people write it. `since`: RFC 3339, or a span that ends now.
    ///
    /// # Errors
    /// [`AskError`].
    pub fn read(since: Option<&str>, schema: Option<&str>, dry_run: bool, now: Millis) -> Result<Ask, AskError> {
        let time = |text: &str| match (text.parse::<jiff::Timestamp>(), Span::parse(text)) {
            (Ok(time), _) => Ok(time.as_millisecond()),
            (Err(_), Ok(span)) => Ok(now.saturating_sub(span.as_millis())),
            _ => Err(AskError::Since(short(text))),
        };
        Ok(Ask { since: since.map(time).transpose()?, schema: schema.map(SchemaPattern::parse).transpose()?, dry_run })
    }

    /// Whether this failure is meant.
    pub(super) fn takes(&self, failure: &Failure) -> bool {
        let is_named = |pattern: &SchemaPattern| {
            failure.cause.schema.as_deref().is_some_and(|uri| pattern.fits(uri))
                || pattern.is_named_by(&failure.bad_row)
        };
        self.since.is_none_or(|since| failure.collector_ms >= since) && self.schema.as_ref().is_none_or(is_named)
    }
}

/// A bad row, as far as it says what is wrong. What the tracker sent is in another part of it.
#[derive(Deserialize)]
struct BadRow<'a> {
    #[serde(borrow)]
    data: BadRowData<'a>,
}

#[derive(Deserialize)]
struct BadRowData<'a> {
    #[serde(borrow)]
    failure: &'a RawValue,
}

impl SchemaPattern {
    /// Reads `iglu:vendor/name/format/1-*-*`.
    ///
    /// # Errors
    /// [`AskError::Schema`].
    pub fn parse(text: &str) -> Result<Self, AskError> {
        let wrong = || AskError::Schema(short(text));
        let (prefix, version) = text.rsplit_once('/').ok_or_else(wrong)?;
        let parts = prefix.strip_prefix("iglu:").ok_or_else(wrong)?.split('/');
        let word = |s: &str| !s.is_empty() && s.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b));
        if parts.clone().count() != 3 || !parts.clone().all(word) {
            return Err(wrong());
        }
        let part = |text: &str| match text {
            "*" => Ok(None),
            number if number.bytes().all(|b| b.is_ascii_digit()) => number.parse().map(Some).map_err(|_| wrong()),
            _ => Err(wrong()),
        };
        let numbers: Vec<Option<u32>> = match version {
            "*" => vec![None; 3],
            version => version.split('-').map(part).collect::<Result<_, _>>()?,
        };
        let version = numbers.try_into().map_err(|_| wrong())?;
        Ok(SchemaPattern { prefix: format!("{prefix}/"), version })
    }

    /// What every URI that fits begins with.
    pub(super) fn prefix(&self) -> &str {
        &self.prefix
    }

    /// A regular expression for the URIs that fit.
    pub(super) fn expression(&self) -> String {
        let part = |part: &Option<u32>| part.map_or("[0-9]+".to_owned(), |n| n.to_string());
        format!("{}{}", regex::escape(&self.prefix), self.version.iter().map(part).collect::<Vec<_>>().join("-"))
    }

    /// Whether a problem that this bad row lists is about a schema that fits.
    fn is_named_by(&self, bad_row: &str) -> bool {
        if !bad_row.contains(&self.prefix) {
            return false;
        }
        let Ok(BadRow { data }) = serde_json::from_str(bad_row) else { return false };
        let mut strings = data.failure.get().split('"');
        strings.any(|uri| self.fits(uri))
    }

    /// Whether a URI fits.
    pub fn fits(&self, uri: &str) -> bool {
        let Some(version) = uri.strip_prefix(&self.prefix) else { return false };
        let mut parts = version.split('-');
        self.version.iter().all(|wanted| match (parts.next(), wanted) {
            (Some(part), Some(n)) => part.parse() == Ok(*n),
            (Some(_), None) => true,
            (None, _) => false,
        }) && parts.next().is_none()
    }
}

fn short(text: &str) -> String {
    text.chars().take(120).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_takes_the_versions_that_it_says() {
        let cart = |version: &str| format!("iglu:com.acme/cart/jsonschema/{version}");
        for (pattern, fits, other) in [
            ("1-0-0", vec!["1-0-0"], vec!["1-0-1", "11-0-0"]),
            ("1-*-*", vec!["1-0-0", "1-12-3"], vec!["2-0-0", "1-0"]),
            ("*-0-*", vec!["3-0-9"], vec!["3-1-9"]),
            ("*", vec!["1-0-0", "2-3-4"], vec![]),
        ] {
            let pattern = SchemaPattern::parse(&cart(pattern)).unwrap();
            assert!(fits.iter().all(|v| pattern.fits(&cart(v))), "{pattern:?}");
            assert!(!other.iter().any(|v| pattern.fits(&cart(v))), "{pattern:?}");
            assert!(!pattern.fits("iglu:com.acme/carts/jsonschema/1-0-0"));
        }
    }

    #[test]
    fn a_pattern_is_named_by_any_problem_of_a_bad_row_and_not_by_what_the_tracker_sent() {
        let row = |failure: &str, payload: &str| {
            let key = |uri: &str| format!(r#"{{"schemaKey":"{uri}","error":{{"error":"ResolutionError"}}}}"#);
            format!(
                r#"{{"schema":"iglu:x","data":{{"failure":{{"messages":[{},{}]}},"payload":"{payload}"}}}}"#,
                key("iglu:com.acme/cart/jsonschema/1-0-0"),
                key(failure)
            )
        };
        let pattern = SchemaPattern::parse("iglu:com.acme/user/jsonschema/1-*-*").unwrap();
        let user = "iglu:com.acme/user/jsonschema/1-0-2";
        assert!(pattern.is_named_by(&row(user, "")));
        assert!(!pattern.is_named_by(&row("iglu:com.acme/user/jsonschema/2-0-0", user)));
        assert!(!pattern.is_named_by("no JSON with iglu:com.acme/user/jsonschema/1-0-2"));
        assert_eq!(pattern.expression(), r"iglu:com\.acme/user/jsonschema/1-[0-9]+-[0-9]+");
        assert!(regex::Regex::new(&format!("^{}$", pattern.expression())).unwrap().is_match(user));
    }

    #[test]
    fn a_question_that_cannot_be_read_says_how_to_write_it() {
        for schema in [
            "cart",
            "iglu:com.acme/cart/1-0-0",
            "iglu:a/b/jsonschema/1-0",
            "iglu:a/b/jsonschema/1-0-x",
            "iglu:a/%/c/1-0-0",
        ] {
            let error = Ask::read(None, Some(schema), false, 0).unwrap_err().to_string();
            assert!(error.contains(schema) && error.contains("1-*-*"), "{error}");
        }
        assert!(Ask::read(Some("yesterday"), None, false, 0).unwrap_err().to_string().contains("2h"));
        let now = 1_764_000_000_000;
        assert_eq!(Ask::read(Some("2h"), None, false, now).unwrap().since, Some(now - 7_200_000));
        assert_eq!(Ask::read(Some("2025-11-24T16:00:00Z"), None, true, now).unwrap().since, Some(now));
    }
}
