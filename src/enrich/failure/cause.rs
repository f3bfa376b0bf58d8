//! The few words by which failures are grouped. A row may list many problems; the first is the cause.

use super::{IgluError, Problem};
use crate::enrich::loader::FormatViolation;
use crate::enrich::step::{StepFailure, StepMessage};
use crate::event::outcome::Cause;
use crate::event::{BadRowKind, SchemaKey};
use crate::schema::Invalid;

fn cause(kind: BadRowKind, failure: impl Into<String>, message: impl Into<String>) -> Cause {
    Cause { kind, failure: failure.into(), schema: None, path: None, keyword: None, message: message.into() }
}

pub(super) fn of_format(violation: &FormatViolation) -> Cause {
    let field = violation.field.unwrap_or("record");
    cause(BadRowKind::CollectorPayloadFormatViolation, field, violation.message.clone())
}

pub(super) fn of_problem(kind: BadRowKind, problem: &Problem) -> Cause {
    match problem {
        Problem::Input { field, expectation, .. } => {
            Cause { path: Some(field.to_string()), ..cause(kind, field.to_string(), expectation.clone()) }
        }
        Problem::NotJson { field, error, .. } => {
            Cause { path: Some(field.to_string()), ..cause(kind, "NotJSON", error.clone()) }
        }
        Problem::NotIglu { error, .. } => {
            Cause { keyword: Some((*error).to_owned()), ..cause(kind, "NotIglu", *error) }
        }
        Problem::Criterion { key, criterion } => Cause {
            schema: Some(key.uri()),
            ..cause(kind, "CriterionMismatch", format!("the envelope must be {criterion}"))
        },
        Problem::Iglu { key, error } => of_iglu(kind, key, error),
    }
}

fn of_iglu(kind: BadRowKind, key: &SchemaKey, error: &IgluError) -> Cause {
    let schema = Some(key.uri());
    match error {
        IgluError::Unresolved(_) => {
            Cause { schema, ..cause(kind, "ResolutionError", format!("no registry has {key}")) }
        }
        IgluError::Invalid { why: Invalid::Data(reports), .. } => {
            let first = reports.first();
            Cause {
                schema,
                path: first.map(|r| r.path.clone()),
                keyword: first.map(|r| r.keyword.clone()),
                ..cause(kind, "ValidationError", first.map_or(String::new(), |r| r.message.clone()))
            }
        }
        IgluError::Invalid { why: Invalid::Schema(issues), .. } => {
            let first = issues.first().map_or(String::new(), |i| format!(": {}", i.message));
            Cause {
                schema,
                keyword: Some("schema".to_owned()),
                ..cause(kind, "ValidationError", format!("the schema itself is faulty{first}"))
            }
        }
    }
}

pub(super) fn of_step(failure: &StepFailure) -> Cause {
    let (schema, identifier) = match &failure.enrichment {
        Some((key, identifier)) => (Some(key.uri()), *identifier),
        None => (None, ""),
    };
    let (path, message) = match &failure.message {
        StepMessage::Input { field, expectation, .. } => (Some(field.to_string()), expectation.clone()),
        StepMessage::Plain(error) => (None, error.clone()),
    };
    Cause { schema, path, ..cause(BadRowKind::EnrichmentFailures, format!("EnrichmentError: {identifier}"), message) }
}

pub(super) fn of_size(actual: usize, max: u64) -> Cause {
    cause(BadRowKind::SizeViolation, "size", format!("{actual} bytes are over the limit of {max}"))
}

pub(super) fn of_generic(error: &str) -> Cause {
    cause(BadRowKind::GenericError, "error", error)
}
