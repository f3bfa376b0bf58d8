//! Adapters: a request to raw events, chosen by vendor and version in the path.
//!
//! An adapter gives at least one raw event or at least one problem, never both: a request is taken or refused as a whole.
//! Adding one means one row in [`ADAPTERS`] and one file beside this one.

mod iglu;
mod payload_data;
mod redirect;
mod tp1;
mod tp2;

use super::failure::Problem;
use super::loader::Collected;
use super::params::{Param, Params};
use super::schemas::Schemas;
use crate::event::BadRowKind;
use crate::event::json;
use std::borrow::Cow;

/// What an adapter may ask.
pub(super) struct AdapterContext<'s, 'r> {
    /// Schemas, for requests that are self-describing.
    pub schemas: &'s Schemas<'r>,
    /// Deepest JSON that is read.
    pub max_depth: usize,
}

/// Raw events, or why there are none.
pub(super) type Adapted<'c> = Result<Vec<Params<'c>>, Vec<Problem>>;

/// Reads a request.
pub(super) type Read = for<'c> fn(&'c Collected<'c>, &AdapterContext<'_, '_>) -> Adapted<'c>;

/// A row of the table.
pub(super) struct Adapter {
    vendor: &'static str,
    version: &'static str,
    /// The bad row of a request that it refuses.
    refusal: BadRowKind,
    read: Read,
}

/// Every adapter. Vendor and version are compared exactly.
pub(super) static ADAPTERS: &[Adapter] = &[
    Adapter {
        vendor: "com.snowplowanalytics.snowplow",
        version: "tp2",
        refusal: BadRowKind::TrackerProtocolViolations,
        read: tp2::read,
    },
    Adapter {
        vendor: "com.snowplowanalytics.snowplow",
        version: "tp1",
        refusal: BadRowKind::AdapterFailures,
        read: tp1::read,
    },
    Adapter { vendor: "r", version: "tp2", refusal: BadRowKind::TrackerProtocolViolations, read: redirect::read },
    Adapter {
        vendor: "com.snowplowanalytics.iglu",
        version: "v1",
        refusal: BadRowKind::AdapterFailures,
        read: iglu::read,
    },
];

/// Turns a request into raw events.
///
/// # Errors
/// The kind of bad row that it becomes, and its messages.
pub(super) fn adapt<'c>(
    collected: &'c Collected<'c>,
    cx: &AdapterContext<'_, '_>,
) -> Result<Vec<Params<'c>>, (BadRowKind, Vec<Problem>)> {
    let found = ADAPTERS.iter().find(|a| a.vendor == collected.vendor && a.version == collected.version);
    match found {
        Some(adapter) => (adapter.read)(collected, cx).map_err(|problems| (adapter.refusal, problems)),
        None => {
            let value = format!("{}/{}", collected.vendor, collected.version);
            let problem = input("vendor/version", Some(&value), "the path of an adapter that this program has");
            Err((BadRowKind::AdapterFailures, vec![problem]))
        }
    }
}

/// A message about a part of the request.
pub(super) fn input(field: &'static str, value: Option<&str>, expectation: &str) -> Problem {
    Problem::Input { field: field.into(), value: value.map(str::to_owned), expectation: expectation.to_owned() }
}

/// A message about a text that is no JSON.
pub(super) fn not_json(field: &'static str, value: &str, error: &json::JsonError) -> Problem {
    Problem::NotJson { field: field.into(), value: Some(value.to_owned()), error: error.to_string() }
}

/// The query string as parameters that borrow from the request.
pub(super) fn query<'c>(collected: &'c Collected<'c>) -> Params<'c> {
    let borrow =
        |p: &'c Param<'c>| Param { name: Cow::Borrowed(&*p.name), value: p.value.as_deref().map(Cow::Borrowed) };
    Params::from_pairs(collected.querystring.iter().map(borrow).collect())
}

/// An unstruct envelope around data of a schema.
pub(super) fn unstruct_envelope(schema: &str, data: &str) -> String {
    let mut out = String::with_capacity(data.len() + schema.len() + 120);
    out.push_str("{\"schema\":\"");
    out.push_str(crate::event::tsv::UNSTRUCT_SCHEMA);
    out.push_str("\",\"data\":{\"schema\":");
    json::write_string(schema, &mut out);
    out.push_str(",\"data\":");
    out.push_str(data);
    out.push_str("}}");
    out
}

#[cfg(test)]
mod tests;
