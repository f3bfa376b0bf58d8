//! What the collector captured of one HTTP request: Snowplow's `CollectorPayload`.
//!
//! Text fields are bytes: what a client sent is kept as it came, valid UTF-8 or not, and decoded in enrichment.

use bytes::Bytes;

/// One captured request. Field names follow the Thrift record (`spec`: CollectorPayload thrift 1-0-0).
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Payload {
    /// `ipAddress`.
    pub ip: Bytes,
    /// `timestamp`: receive time, milliseconds since the epoch, UTC.
    pub timestamp_ms: i64,
    /// `encoding`, always `UTF-8` when we write it.
    pub encoding: Bytes,
    /// `collector`: name, version and sink of the collector.
    pub collector: Bytes,
    /// `userAgent`.
    pub user_agent: Option<Bytes>,
    /// `refererUri`.
    pub referer: Option<Bytes>,
    /// `path`.
    pub path: Option<Bytes>,
    /// `querystring`, raw, without `?`.
    pub querystring: Option<Bytes>,
    /// `body`, as received.
    pub body: Option<Bytes>,
    /// `headers`: `Name: value`, in order.
    pub headers: Vec<Bytes>,
    /// `contentType`.
    pub content_type: Option<Bytes>,
    /// `hostname`.
    pub hostname: Option<Bytes>,
    /// `networkUserId`.
    pub network_user_id: Option<Bytes>,
    /// `schema`: the record's own schema URI.
    pub schema: Bytes,
}

/// The schema URI inside every record that we write.
pub const SCHEMA: &str = "iglu:com.snowplowanalytics.snowplow/CollectorPayload/thrift/1-0-0";
