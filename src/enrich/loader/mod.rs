//! The loader: one collector record to what the adapters read.
//!
//! Everything wrong with a record is collected, and each problem becomes a bad row of its own with the same record in it.

mod address;
pub mod bundle;
mod charset;
mod user_id;

use super::params::Param;
use super::query;
use super::uri::first_illegal_in_query;
use crate::event::Payload;
use std::borrow::Cow;

/// The record's texts, decoded. Bytes that are no UTF-8 became U+FFFD; the body obeys the declared charset where one counts.
#[derive(Debug)]
pub struct Texts<'p> {
    ip: Cow<'p, str>,
    encoding: Cow<'p, str>,
    collector: Cow<'p, str>,
    user_agent: Option<Cow<'p, str>>,
    referer: Option<Cow<'p, str>>,
    path: Option<Cow<'p, str>>,
    querystring: Option<Cow<'p, str>>,
    body: Option<Cow<'p, str>>,
    headers: Vec<Cow<'p, str>>,
    content_type: Option<Cow<'p, str>>,
    hostname: Option<Cow<'p, str>>,
    network_user_id: Option<Cow<'p, str>>,
    timestamp_ms: i64,
}

impl<'p> Texts<'p> {
    /// Decodes all texts of a record.
    pub fn of(payload: &'p Payload) -> Self {
        let content_type = payload.content_type.as_deref().map(lossy);
        Texts {
            ip: lossy(&payload.ip),
            encoding: lossy(&payload.encoding),
            collector: lossy(&payload.collector),
            user_agent: payload.user_agent.as_deref().map(lossy),
            referer: payload.referer.as_deref().map(lossy),
            path: payload.path.as_deref().map(lossy),
            querystring: payload.querystring.as_deref().map(lossy),
            body: payload.body.as_deref().map(|b| charset::decode(b, content_type.as_deref())),
            headers: payload.headers.iter().map(|h| lossy(h)).collect(),
            content_type,
            hostname: payload.hostname.as_deref().map(lossy),
            network_user_id: payload.network_user_id.as_deref().map(lossy),
            timestamp_ms: payload.timestamp_ms,
        }
    }
}

/// UTF-8 as it should be is borrowed after one fast look; anything else is repaired.
fn lossy(bytes: &[u8]) -> Cow<'_, str> {
    match std::str::from_utf8(bytes) {
        Ok(text) => Cow::Borrowed(text),
        Err(_) => String::from_utf8_lossy(bytes),
    }
}

/// A record that the loader accepted: what adapters and mapping read.
#[derive(Debug)]
pub struct Collected<'t> {
    /// First segment of the path.
    pub vendor: &'t str,
    /// Second segment of the path.
    pub version: &'t str,
    /// Decoded query string, in order, names may repeat.
    pub querystring: Vec<Param<'t>>,
    /// Content type as the collector wrote it down.
    pub content_type: Option<&'t str>,
    /// Decoded body.
    pub body: Option<&'t str>,
    /// Name and version of the collector.
    pub collector: &'t str,
    /// Always `UTF-8` in practice.
    pub encoding: &'t str,
    /// The host that was asked.
    pub hostname: Option<&'t str>,
    /// Receive time, milliseconds.
    pub timestamp_ms: i64,
    /// The client's address, from the headers or the connection.
    pub ip: Option<Cow<'t, str>>,
    /// `User-Agent`.
    pub user_agent: Option<&'t str>,
    /// `Referer`.
    pub referer: Option<&'t str>,
    /// All headers, `Name: value`.
    pub headers: &'t [Cow<'t, str>],
    /// The collector's user id, printed as a UUID.
    pub user_id: Option<Cow<'t, str>>,
}

/// One thing that is wrong with a record.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct FormatViolation {
    /// Which field; `None` when the record as a whole cannot be read.
    pub field: Option<&'static str>,
    /// What it holds.
    pub value: Option<String>,
    /// What is wrong, or what is allowed.
    pub message: String,
}

impl FormatViolation {
    /// The record as a whole cannot be read.
    pub fn whole(message: impl Into<String>) -> Self {
        FormatViolation { field: None, value: None, message: message.into() }
    }
}

/// The record's own schema must be this one, any addition.
const SCHEMA: &str = "iglu:com.snowplowanalytics.snowplow/CollectorPayload/thrift/1-0-";

/// Refuses a record of another schema.
///
/// # Errors
/// The violation.
pub fn check_schema(payload: &Payload) -> Result<(), FormatViolation> {
    let addition = payload.schema.strip_prefix(SCHEMA.as_bytes());
    if addition.is_some_and(|a| !a.is_empty() && a.iter().all(u8::is_ascii_digit)) {
        return Ok(());
    }
    let found = String::from_utf8_lossy(&payload.schema);
    Err(FormatViolation::whole(format!("the record's schema is \"{found}\", not {SCHEMA}*")))
}

/// Reads query string, user id, path and address.
///
/// # Errors
/// Everything that is wrong.
pub fn load<'t>(texts: &'t Texts<'_>) -> Result<Collected<'t>, Vec<FormatViolation>> {
    let mut violations = Vec::new();
    let raw = texts.querystring.as_deref().unwrap_or_default();
    if let Some((at, what)) = first_illegal_in_query(raw) {
        violations.push(FormatViolation {
            field: Some("querystring"),
            value: Some(raw.to_owned()),
            message: format!("a query string of legal characters; there is {what} at byte {at}"),
        });
    }
    let user_id = texts.network_user_id.as_deref().and_then(|id| match user_id::reprint(id) {
        Some(id) => Some(id),
        None => {
            violations.push(FormatViolation {
                field: Some("networkUserId"),
                value: Some(id.to_owned()),
                message: "a UUID is expected".to_owned(),
            });
            None
        }
    });
    let pair = texts.path.as_deref().and_then(adapter_key);
    if pair.is_none() {
        violations.push(FormatViolation {
            field: Some("path"),
            value: texts.path.as_deref().map(str::to_owned),
            message: "/vendor/version, /i or /ice.png is expected".to_owned(),
        });
    }
    match pair {
        Some((vendor, version)) if violations.is_empty() => Ok(Collected {
            vendor,
            version,
            querystring: query::params(raw),
            content_type: texts.content_type.as_deref(),
            body: texts.body.as_deref(),
            collector: &texts.collector,
            encoding: &texts.encoding,
            hostname: texts.hostname.as_deref(),
            timestamp_ms: texts.timestamp_ms,
            ip: address::client(&texts.headers, &texts.ip),
            user_agent: texts.user_agent.as_deref(),
            referer: texts.referer.as_deref(),
            headers: &texts.headers,
            user_id,
        }),
        _ => Err(violations),
    }
}

/// Vendor and version of a path. `/i` and `/ice.png…` stand for Snowplow's own tp1.
fn adapter_key(path: &str) -> Option<(&str, &str)> {
    let inner = path.strip_prefix('/').unwrap_or(path);
    let inner = inner.strip_suffix('/').unwrap_or(inner);
    if let Some((vendor, version)) = inner.split_once('/')
        && !vendor.is_empty()
        && !version.is_empty()
        && !version.contains('/')
    {
        return Some((vendor, version));
    }
    let pixel = path == "/i" || path.starts_with("/i?") || path.starts_with("/ice.png");
    pixel.then_some(("com.snowplowanalytics.snowplow", "tp1"))
}

#[cfg(test)]
mod tests;
