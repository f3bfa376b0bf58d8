//! Bad rows: compact JSON in exactly the shape of their schemas.

use super::write::{cut, list, member, problem, step_failure, text, time};
use super::{Problem, Violation, cause};
use crate::enrich::loader::{Collected, FormatViolation};
use crate::enrich::params::{Param, Params};
use crate::enrich::step::StepFailure;
use crate::enrich::{ARTIFACT, VERSION};
use crate::event::columns::{self, COLUMNS, Kind};
use crate::event::json::write_string;
use crate::event::outcome::{Cause, Failure};
use crate::event::{BadRowKind, Cell, Event, tsv};
use crate::platform::clock::Millis;
use ::base64::Engine;
use std::borrow::Cow;

/// What a raw event brings into its bad row.
#[derive(Clone, Copy, Debug)]
pub struct RawEvent<'a> {
    /// The request.
    pub collected: &'a Collected<'a>,
    /// The parameters after the adapter.
    pub params: &'a Params<'a>,
}

fn open(kind: BadRowKind, out: &mut String) {
    out.push_str("{\"schema\":\"iglu:com.snowplowanalytics.snowplow.badrows/");
    out.push_str(kind.name());
    out.push_str("/jsonschema/");
    out.push_str(kind.version());
    out.push_str("\",\"data\":{\"processor\":{");
    member("artifact", Some(ARTIFACT), out);
    out.push(',');
    member("version", Some(VERSION), out);
    out.push_str("},\"failure\":{");
}

fn failure(bad_row: String, cause: Cause, collector_ms: Millis) -> Failure {
    Failure { bad_row, cause, app_id: None, collector_ms, incomplete: None }
}

/// A record that the loader refused; `record` is the whole of it.
pub fn format_violation(violation: &FormatViolation, record: &[u8], collector_ms: Millis, at: Millis) -> Failure {
    let mut out = String::with_capacity(512 + record.len() / 3 * 4);
    open(BadRowKind::CollectorPayloadFormatViolation, &mut out);
    time("timestamp", at, &mut out);
    out.push_str(",\"loader\":\"thrift\",\"message\":{");
    match violation.field {
        Some(field) => {
            member("payloadField", Some(field), &mut out);
            out.push(',');
            member("value", violation.value.as_deref(), &mut out);
            out.push(',');
            member("expectation", Some(cut(&violation.message, 256)), &mut out);
        }
        None => member("error", Some(cut(&violation.message, 512)), &mut out),
    }
    out.push_str("}},\"payload\":\"");
    ::base64::engine::general_purpose::STANDARD.encode_string(record, &mut out);
    out.push_str("\"}}");
    failure(out, cause::of_format(violation), collector_ms)
}

/// A payload that its adapter refused. `kind` is adapter failures or tracker protocol violations.
pub fn adapter(kind: BadRowKind, collected: &Collected<'_>, problems: &[Problem], at: Millis) -> Failure {
    let mut out = String::with_capacity(2048 + collected.body.map_or(0, str::len) * 2);
    open(kind, &mut out);
    time("timestamp", at, &mut out);
    out.push(',');
    member("vendor", Some(collected.vendor), &mut out);
    out.push(',');
    member("version", Some(collected.version), &mut out);
    out.push_str(",\"messages\":");
    list(problems, &mut out, |p, out| problem(p, at, out));
    out.push_str("},\"payload\":{");
    member("vendor", Some(collected.vendor), &mut out);
    out.push(',');
    member("version", Some(collected.version), &mut out);
    out.push_str(",\"querystring\":");
    parameters(&collected.querystring, &mut out);
    out.push(',');
    member("contentType", collected.content_type, &mut out);
    out.push(',');
    member("body", collected.body, &mut out);
    out.push(',');
    member("collector", Some(collected.collector), &mut out);
    request(collected, "networkUserId", &mut out);
    out.push_str("}}}");
    let cause = problems.first().map_or_else(|| cause::of_generic("no message"), |p| cause::of_problem(kind, p));
    failure(out, cause, collected.timestamp_ms)
}

/// Encoding, hostname, timestamp, address, user agent, referrer, headers and user id: the same in both forms of a payload.
fn request(collected: &Collected<'_>, user_id: &str, out: &mut String) {
    for (key, value) in [("encoding", Some(collected.encoding)), ("hostname", collected.hostname)] {
        out.push(',');
        member(key, value, out);
    }
    out.push(',');
    time("timestamp", collected.timestamp_ms, out);
    for (key, value) in
        [("ipAddress", collected.ip.as_deref()), ("useragent", collected.user_agent), ("refererUri", collected.referer)]
    {
        out.push(',');
        member(key, value, out);
    }
    out.push_str(",\"headers\":");
    list(collected.headers, out, |h, out| write_string(h, out));
    out.push(',');
    member(user_id, collected.user_id.as_deref(), out);
}

fn parameters<'a, 'b: 'a>(params: impl IntoIterator<Item = &'a Param<'b>>, out: &mut String) {
    list(params, out, |p, out| {
        out.push('{');
        member("name", Some(&p.name), out);
        out.push(',');
        member("value", p.value.as_deref(), out);
        out.push('}');
    });
}

/// An event whose data or columns are wrong.
pub fn schema_violations(violations: &[Violation], event: &Event, raw: RawEvent<'_>, at: Millis) -> Failure {
    let kind = BadRowKind::SchemaViolations;
    let mut out = String::with_capacity(8192);
    open(kind, &mut out);
    time("timestamp", at, &mut out);
    out.push_str(",\"messages\":");
    list(violations, &mut out, |v, out| problem(&v.problem, at, out));
    out.push('}');
    event_payload(event, raw, &mut out);
    let cause =
        violations.first().map_or_else(|| cause::of_generic("no message"), |v| cause::of_problem(kind, &v.problem));
    with_app(failure(out, cause, raw.collected.timestamp_ms), event)
}

/// An event on which a step failed.
pub fn enrichment_failures(failures: &[StepFailure], event: &Event, raw: RawEvent<'_>, at: Millis) -> Failure {
    let mut out = String::with_capacity(8192);
    open(BadRowKind::EnrichmentFailures, &mut out);
    time("timestamp", at, &mut out);
    out.push_str(",\"messages\":");
    list(failures, &mut out, step_failure);
    out.push('}');
    event_payload(event, raw, &mut out);
    let cause = failures.first().map_or_else(|| cause::of_generic("no message"), cause::of_step);
    with_app(failure(out, cause, raw.collected.timestamp_ms), event)
}

fn with_app(mut failure: Failure, event: &Event) -> Failure {
    failure.app_id = event.text(columns::APP_ID).map(str::to_owned);
    failure
}

fn event_payload(event: &Event, raw: RawEvent<'_>, out: &mut String) {
    let collected = raw.collected;
    out.push_str(",\"payload\":{\"enriched\":");
    enriched(event, out);
    out.push_str(",\"raw\":{");
    member("vendor", Some(collected.vendor), out);
    out.push(',');
    member("version", Some(collected.version), out);
    out.push_str(",\"parameters\":");
    parameters(raw.params.iter(), out);
    out.push(',');
    member("contentType", collected.content_type, out);
    out.push(',');
    member("loaderName", Some(collected.collector), out);
    request(collected, "userId", out);
    out.push_str("}}}}");
}

/// All 131 fields by name: TSV-style text, except that integers, flags and floats are numbers (`txn_id` is text).
fn enriched(event: &Event, out: &mut String) {
    let mut cell = String::new();
    for (i, column) in COLUMNS.iter().enumerate() {
        out.push(if i == 0 { '{' } else { ',' });
        write_string(column.name, out);
        out.push(':');
        cell.clear();
        tsv::write_cell(event, i, &mut cell);
        let number = match column.kind {
            Kind::Int => i != columns::TXN_ID,
            Kind::Bool => true,
            Kind::Float => matches!(event.cell(i), Cell::Float(v) if v.is_finite()),
            _ => false,
        };
        match (cell.is_empty(), number) {
            (true, _) => out.push_str("null"),
            (false, true) => out.push_str(&cell),
            (false, false) => write_string(&cell, out),
        }
    }
    out.push('}');
}

/// A record that is over the limit of what may be written. `record` is what was too long.
pub fn size_violation(record: &str, what: &str, max: u64, collector_ms: Millis, at: Millis) -> Failure {
    let mut out = String::with_capacity(1024 + (max / 8) as usize);
    open(BadRowKind::SizeViolation, &mut out);
    time("timestamp", at, &mut out);
    out.push_str(",\"maximumAllowedSizeBytes\":");
    out.push_str(itoa::Buffer::new().format(max));
    out.push_str(",\"actualSizeBytes\":");
    out.push_str(itoa::Buffer::new().format(record.len()));
    out.push(',');
    member("expectation", Some(&format!("{what} of at most {max} bytes")), &mut out);
    out.push_str("},\"payload\":");
    text(Some(cut(record, usize::try_from(max / 10).unwrap_or(usize::MAX))), &mut out);
    out.push_str("}}");
    failure(out, cause::of_size(record.len(), max), collector_ms)
}

/// Anything else; `record` is cut to `max / 10` characters.
pub fn generic_error(errors: &[Cow<'_, str>], record: &str, max: u64, collector_ms: Millis, at: Millis) -> Failure {
    let mut out = String::with_capacity(1024 + record.len());
    open(BadRowKind::GenericError, &mut out);
    time("timestamp", at, &mut out);
    out.push_str(",\"errors\":");
    list(errors, &mut out, |e, out| write_string(e, out));
    out.push_str("},\"payload\":");
    text(Some(cut(record, usize::try_from(max / 10).unwrap_or(usize::MAX))), &mut out);
    out.push_str("}}");
    failure(out, cause::of_generic(errors.first().map_or("no message", |e| e)), collector_ms)
}
