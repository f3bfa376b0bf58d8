//! JSON text of messages, as the bad-row schemas want it.

use super::{IgluError, Problem};
use crate::enrich::step::{StepFailure, StepMessage};
use crate::event::calendar::{TimeForm, write_time};
use crate::event::json::write_string;
use crate::platform::clock::Millis;
use crate::schema::{Invalid, Report};

/// Longest `field` that the bad-row schemas allow.
const FIELD: usize = 64;
/// Longest `expectation`.
const EXPECTATION: usize = 256;
/// Longest `error` of an enrichment failure.
const STEP_ERROR: usize = 512;

/// Appends `"key":"value"` or `"key":null`.
pub(super) fn member(key: &str, value: Option<&str>, out: &mut String) {
    write_string(key, out);
    out.push(':');
    text(value, out);
}

/// Appends a string or `null`.
pub(super) fn text(value: Option<&str>, out: &mut String) {
    match value {
        Some(value) => write_string(value, out),
        None => out.push_str("null"),
    }
}

/// Appends `"key":"2024-03-09T10:20:31.456Z"`.
pub(super) fn time(key: &str, ms: Millis, out: &mut String) {
    write_string(key, out);
    out.push_str(":\"");
    write_time(ms, TimeForm::Iso, out);
    out.push('"');
}

/// Appends the items of a list with commas between them, in brackets.
pub(super) fn list<T>(items: impl IntoIterator<Item = T>, out: &mut String, mut each: impl FnMut(T, &mut String)) {
    out.push('[');
    for (i, item) in items.into_iter().enumerate() {
        if i > 0 {
            out.push(',');
        }
        each(item, out);
    }
    out.push(']');
}

/// At most `max` characters of a text.
pub(super) fn cut(text: &str, max: usize) -> &str {
    text.char_indices().nth(max).map_or(text, |(at, _)| &text[..at])
}

/// Appends one message.
pub(super) fn problem(problem: &Problem, at: Millis, out: &mut String) {
    out.push('{');
    match problem {
        Problem::Input { field, value, expectation } => {
            member("field", Some(cut(field, FIELD)), out);
            out.push(',');
            member("value", value.as_deref(), out);
            out.push(',');
            member("expectation", Some(cut(expectation, EXPECTATION)), out);
        }
        Problem::NotJson { field, value, error } => {
            member("field", Some(cut(field, FIELD)), out);
            out.push(',');
            member("value", value.as_deref(), out);
            out.push(',');
            member("error", Some(error), out);
        }
        Problem::NotIglu { json, error } => {
            out.push_str("\"json\":");
            out.push_str(json);
            out.push(',');
            member("error", Some(error), out);
        }
        Problem::Criterion { key, criterion } => {
            member("schemaKey", Some(&key.uri()), out);
            out.push(',');
            member("schemaCriterion", Some(criterion), out);
        }
        Problem::Iglu { key, error } => {
            member("schemaKey", Some(&key.uri()), out);
            out.push_str(",\"error\":");
            iglu_error(error, at, out);
        }
    }
    out.push('}');
}

fn iglu_error(error: &IgluError, at: Millis, out: &mut String) {
    match error {
        IgluError::Unresolved(history) => {
            out.push_str("{\"error\":\"ResolutionError\",\"lookupHistory\":");
            history.write_json(at, out);
        }
        IgluError::Invalid { why, superseded_by } => {
            out.push_str("{\"error\":\"ValidationError\",");
            match why {
                Invalid::Data(reports) => {
                    out.push_str("\"dataReports\":");
                    list(reports, out, report);
                }
                Invalid::Schema(issues) => {
                    out.push_str("\"schemaIssues\":");
                    list(issues, out, |issue, out| {
                        out.push('{');
                        member("path", Some(&issue.path), out);
                        out.push(',');
                        member("message", Some(&issue.message), out);
                        out.push('}');
                    });
                }
            }
            if let Some(key) = superseded_by {
                out.push(',');
                member("supersededBy", Some(&key.version_text()), out);
            }
        }
    }
    out.push('}');
}

fn report(report: &Report, out: &mut String) {
    out.push('{');
    member("message", Some(&report.message), out);
    out.push(',');
    report_place(report, out);
    out.push('}');
}

/// Appends path, keyword and targets of a report.
pub(super) fn report_place(report: &Report, out: &mut String) {
    member("path", Some(&report.path), out);
    out.push(',');
    member("keyword", Some(&report.keyword), out);
    out.push_str(",\"targets\":");
    list(&report.targets, out, |target, out| write_string(target, out));
}

/// Appends one message of an enrichment failure.
pub(super) fn step_failure(failure: &StepFailure, out: &mut String) {
    out.push_str("{\"enrichment\":");
    match &failure.enrichment {
        Some((key, identifier)) => {
            out.push('{');
            member("schemaKey", Some(&key.uri()), out);
            out.push(',');
            member("identifier", Some(identifier), out);
            out.push('}');
        }
        None => out.push_str("null"),
    }
    out.push_str(",\"message\":{");
    match &failure.message {
        StepMessage::Input { field, value, expectation } => {
            member("field", Some(cut(field, FIELD)), out);
            out.push(',');
            member("value", value.as_deref(), out);
            out.push(',');
            member("expectation", Some(cut(expectation, EXPECTATION)), out);
        }
        StepMessage::Plain(error) => member("error", Some(cut(error, STEP_ERROR)), out),
    }
    out.push_str("}}");
}
