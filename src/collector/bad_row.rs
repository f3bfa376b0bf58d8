//! The bad rows that the collector itself records: requests that are too large, and requests that no reader downstream
//! could make sense of.

use super::settings::{ARTIFACT, VERSION};
use super::wall;
use crate::event::json::write_string;
use crate::event::outcome::BadRowKind;
use crate::event::payload::Payload;
use crate::event::{payload_json, thrift};
use crate::platform::clock::Millis;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use std::fmt::Write as _;

/// A record or event larger than allowed. `limit` and `actual` in bytes; `record` is the beginning of what is quoted.
pub fn size_violation(now_ms: Millis, limit: usize, actual: usize, expectation: &str, record: &Bytes) -> String {
    let mut row = begin(BadRowKind::SizeViolation, now_ms);
    let _ = write!(row, ",\"maximumAllowedSizeBytes\":{limit},\"actualSizeBytes\":{actual},\"expectation\":");
    write_string(expectation, &mut row);
    row.push_str("},\"payload\":");
    write_string(beginning(&quote(record, b""), limit / 10, limit), &mut row);
    row.push_str("}}");
    row
}

/// The most that a row takes beside its quotation, in bytes.
pub const FRAME: usize = 4096;

/// A request that cannot become a record. The whole of it is quoted, up to `limit` bytes of the row. `path` is the raw one.
pub fn generic_error(now_ms: Millis, limit: usize, error: &str, record: &Bytes, path: &[u8]) -> String {
    let mut row = begin(BadRowKind::GenericError, now_ms);
    row.push_str(",\"errors\":[");
    write_string(error, &mut row);
    row.push_str("]},\"payload\":");
    write_string(beginning(&quote(record, path), usize::MAX, limit), &mut row);
    row.push_str("}}");
    row
}

fn begin(kind: BadRowKind, now_ms: Millis) -> String {
    format!(
        "{{\"schema\":\"iglu:com.snowplowanalytics.snowplow.badrows/{}/jsonschema/{}\",\"data\":{{\"processor\":\
         {{\"artifact\":\"{ARTIFACT}\",\"version\":\"{VERSION}\"}},\"failure\":{{\"timestamp\":\"{}\"",
        kind.name(),
        kind.version(),
        wall::iso(now_ms)
    )
}

/// The record as text: its line form, and, where that had to replace bytes of path or query string, the bytes in base64.
fn quote(record: &Bytes, path: &[u8]) -> String {
    // It was encoded here a moment ago; an empty payload stands for the impossible.
    let payload: Payload = thrift::decode(record).unwrap_or_default();
    let mut text = String::with_capacity(record.len() + 256);
    payload_json::write_object(&payload, &mut text);
    for (name, bytes) in [("path", path), ("querystring", payload.querystring.as_deref().unwrap_or_default())] {
        if std::str::from_utf8(bytes).is_err() {
            text.pop();
            let _ = write!(text, ",\"{name}_base64\":\"{}\"}}", STANDARD.encode(bytes));
        }
    }
    text
}

/// At most `most` characters, and at most `bytes` bytes once they are written as a JSON string: of control characters each
/// takes six, and a row that the journal cannot take would be lost.
fn beginning(text: &str, most: usize, bytes: usize) -> &str {
    let mut left = bytes;
    let end = text.char_indices().enumerate().find_map(|(count, (at, c))| {
        let written = match c {
            '"' | '\\' => 2,
            c if c < ' ' => 6,
            c => c.len_utf8(),
        };
        if count == most || left < written {
            return Some(at);
        }
        left -= written;
        None
    });
    end.and_then(|at| text.get(..at)).unwrap_or(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::BytesMut;

    fn record(query: &'static [u8]) -> Bytes {
        let payload =
            Payload { querystring: Some(Bytes::from_static(query)), ip: "unknown".into(), ..Payload::default() };
        let mut out = BytesMut::new();
        thrift::encode(&payload, &mut out);
        out.freeze()
    }

    #[test]
    fn rows_have_exactly_the_members_of_their_schemas() {
        let row = size_violation(1_700_000_000_000, 1000, 1234, "e", &record(b"a=1"));
        assert_eq!(
            row,
            format!(
                "{{\"schema\":\"iglu:com.snowplowanalytics.snowplow.badrows/size_violation/jsonschema/1-0-0\",\"data\":\
                 {{\"processor\":{{\"artifact\":\"snowshed\",\"version\":\"{VERSION}\"}},\"failure\":{{\"timestamp\":\
                 \"2023-11-14T22:13:20.000Z\",\"maximumAllowedSizeBytes\":1000,\"actualSizeBytes\":1234,\"expectation\":\"e\"}},\
                 \"payload\":\"{{\\\"ip\\\":\\\"unknown\\\",\\\"timestamp_ms\\\":0,\\\"querystring\\\":\\\"a=1\\\"}}\"}}}}"
            )
        );
        let cut = size_violation(0, 50, 60, "e", &record(b"a=1"));
        assert!(cut.ends_with("\"payload\":\"{\\\"ip\\\"\"}}"), "{cut}");
        let row = generic_error(0, 100_000, "why", &record(b"a=%zz"), b"/i");
        assert!(row.contains("\"failure\":{\"timestamp\":\"1970-01-01T00:00:00.000Z\",\"errors\":[\"why\"]}"), "{row}");
        assert!(row.contains("a=%zz") && !row.contains("base64"), "{row}");
    }

    #[test]
    fn a_quotation_is_bounded_in_characters_and_in_bytes() {
        assert_eq!(beginning("abc", 2, 100), "ab");
        assert_eq!(beginning("abc", 3, 100), "abc");
        assert_eq!(beginning("a\"\u{1}é", 100, 3), "a\"");
        assert_eq!(beginning("a\"\u{1}é", 100, 10), "a\"\u{1}");
        assert_eq!(beginning("a\"\u{1}é", 100, 11), "a\"\u{1}é");
        let nasty: &'static [u8] = Box::leak(vec![1; 5_000].into_boxed_slice());
        let row = generic_error(0, 10_000, "why", &record(nasty), b"/i");
        assert!(row.len() < 11_000, "{}", row.len());
    }

    #[test]
    fn bytes_that_are_no_text_are_kept() {
        let row = generic_error(0, 100_000, "why", &record(b"a=caf\xe9"), b"/i");
        assert!(row.contains("a=caf\u{FFFD}") && row.contains(&STANDARD.encode(b"a=caf\xe9")), "{row}");
    }
}
