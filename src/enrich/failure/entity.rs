//! The failure entity: one derived context of an incomplete event for each thing that is wrong with it.

use super::write::{cut, list, member, report_place, time};
use super::{Failures, IgluError, Problem, Source, Violation};
use crate::enrich::step::{StepFailure, StepMessage};
use crate::enrich::{ARTIFACT, VERSION};
use crate::event::{SchemaKey, SelfDescribing};
use crate::platform::clock::Millis;
use crate::schema::Invalid;
use std::sync::LazyLock;

static KEY: LazyLock<SchemaKey> =
    LazyLock::new(|| SchemaKey::new("com.snowplowanalytics.snowplow", "failure", "jsonschema", (1, 0, 0)));

/// Entities for all failures of all phases, in order.
pub fn all(failures: &Failures, at: Millis) -> Vec<SelfDescribing> {
    let violations = |list: &[Violation]| list.iter().map(|v| of_violation(v, at)).collect::<Vec<_>>();
    let mut out = violations(&failures.input);
    out.extend(failures.steps.iter().map(|f| of_step(f, at)));
    out.extend(violations(&failures.output));
    out
}

struct Entity<'a> {
    kind: &'a str,
    errors: String,
    schema: Option<String>,
    data: Option<String>,
}

fn finish(entity: Entity<'_>, at: Millis) -> SelfDescribing {
    let mut out = String::with_capacity(256 + entity.errors.len());
    out.push('{');
    member("failureType", Some(entity.kind), &mut out);
    out.push_str(",\"errors\":");
    out.push_str(&entity.errors);
    out.push(',');
    member("schema", entity.schema.as_deref(), &mut out);
    out.push_str(",\"data\":");
    out.push_str(entity.data.as_deref().unwrap_or("null"));
    out.push(',');
    time("timestamp", at, &mut out);
    out.push(',');
    member("componentName", Some(ARTIFACT), &mut out);
    out.push(',');
    member("componentVersion", Some(VERSION), &mut out);
    out.push('}');
    SelfDescribing { schema: KEY.clone(), data: out.into() }
}

/// A list of one error: message, source and what `more` adds.
fn one(message: &str, source: Source, more: impl FnOnce(&mut String)) -> String {
    let mut out = String::from("[{");
    member("message", Some(message), &mut out);
    out.push(',');
    member("source", Some(source.name()), &mut out);
    more(&mut out);
    out.push_str("}]");
    out
}

fn of_violation(violation: &Violation, at: Millis) -> SelfDescribing {
    let source = violation.source;
    let nothing = |_: &mut String| {};
    let data = violation.data.clone();
    let entity = match &violation.problem {
        Problem::Input { field, value, expectation } => {
            let mut data = String::from("{");
            member(field, value.as_deref(), &mut data);
            data.push('}');
            Entity { kind: "InputData", errors: one(expectation, source, nothing), schema: None, data: Some(data) }
        }
        Problem::NotJson { error, value, .. } => {
            let mut data = String::from("{");
            member(source.name(), value.as_deref(), &mut data);
            data.push('}');
            Entity { kind: "NotJSON", errors: one(error, source, nothing), schema: None, data: Some(data) }
        }
        Problem::NotIglu { json, error } => {
            Entity { kind: "NotIglu", errors: one(error, source, nothing), schema: None, data: Some(json.clone()) }
        }
        Problem::Criterion { key, criterion } => {
            let message = format!("{key} is not {criterion}");
            let errors = one(&message, source, |out| {
                out.push(',');
                member("criterion", Some(criterion), out);
            });
            Entity { kind: "CriterionMismatch", errors, schema: Some(key.uri()), data }
        }
        Problem::Iglu { key, error: IgluError::Unresolved(history) } => {
            let errors = one(&format!("no registry has {key}"), source, |out| {
                out.push_str(",\"lookupHistory\":");
                history.write_json(at, out);
            });
            Entity { kind: "ResolutionError", errors, schema: Some(key.uri()), data }
        }
        Problem::Iglu { key, error: IgluError::Invalid { why, .. } } => {
            Entity { kind: "ValidationError", errors: reports(why, source), schema: Some(key.uri()), data }
        }
    };
    finish(entity, at)
}

fn reports(why: &Invalid, source: Source) -> String {
    let mut out = String::new();
    match why {
        Invalid::Data(reports) => list(reports, &mut out, |report, out| {
            out.push('{');
            member("message", Some(&report.message), out);
            out.push(',');
            member("source", Some(source.name()), out);
            out.push(',');
            report_place(report, out);
            out.push('}');
        }),
        Invalid::Schema(issues) => list(issues, &mut out, |issue, out| {
            out.push('{');
            member("message", Some(&issue.message), out);
            out.push(',');
            member("source", Some(source.name()), out);
            out.push(',');
            member("path", Some(&issue.path), out);
            out.push_str(",\"keyword\":null,\"targets\":[]}");
        }),
    }
    out
}

fn of_step(failure: &StepFailure, at: Millis) -> SelfDescribing {
    let (schema, identifier) = match &failure.enrichment {
        Some((key, identifier)) => (Some(key.uri()), *identifier),
        None => (None, ""),
    };
    let kind = format!("EnrichmentError: {identifier}");
    let mut errors = String::from("[{");
    let mut data = None;
    match &failure.message {
        StepMessage::Input { field, value, expectation } => {
            member("message", Some(expectation), &mut errors);
            errors.push(',');
            member("source", Some(field), &mut errors);
            let mut object = String::from("{");
            member(field, value.as_deref(), &mut object);
            object.push('}');
            data = Some(object);
        }
        StepMessage::Plain(error) => member("message", Some(cut(error, 4096)), &mut errors),
    }
    errors.push_str("}]");
    finish(Entity { kind: &kind, errors, schema, data }, at)
}
