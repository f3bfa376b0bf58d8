//! Bad rows that the collector recorded itself: one failed outcome each, the row as it stands.

use super::failure::bad_row;
use crate::event::calendar;
use crate::event::json::{self, Json};
use crate::event::outcome::{Cause, Failure};
use crate::event::{BadRowKind, SchemaKey};
use crate::platform::clock::Millis;

/// Deeper than any bad row that we write.
const MAX_DEPTH: usize = 100;

const KINDS: [BadRowKind; 7] = [
    BadRowKind::CollectorPayloadFormatViolation,
    BadRowKind::AdapterFailures,
    BadRowKind::TrackerProtocolViolations,
    BadRowKind::SchemaViolations,
    BadRowKind::EnrichmentFailures,
    BadRowKind::SizeViolation,
    BadRowKind::GenericError,
];

/// Reads a recorded bad row. What is none becomes a generic error that holds it.
pub(super) fn read(body: &[u8], max: u64, at: Millis) -> Failure {
    let text = String::from_utf8_lossy(body);
    match json::parse(&text, MAX_DEPTH).ok().and_then(|row| known(&row)) {
        Some((cause, collector_ms)) => {
            Failure { bad_row: text.into_owned(), cause, app_id: None, collector_ms, incomplete: None }
        }
        None => bad_row::generic_error(&["the journal holds a bad row that cannot be read".into()], &text, max, 0, at),
    }
}

fn known(row: &Json<'_>) -> Option<(Cause, Millis)> {
    let key = SchemaKey::parse(row.get("schema")?.as_str()?).ok()?;
    let kind = KINDS.into_iter().find(|k| k.name() == key.name())?;
    let failure = row.get("data")?.get("failure")?;
    let time = failure.get("timestamp").and_then(Json::as_str).and_then(iso).unwrap_or(0);
    let said = |key: &str| failure.get(key).and_then(Json::as_str).map(str::to_owned);
    let first = failure.get("errors").and_then(Json::as_array).and_then(|e| e.first()).and_then(Json::as_str);
    let message = said("expectation").or(first.map(str::to_owned)).unwrap_or_else(|| kind.name().replace('_', " "));
    let failure = if kind == BadRowKind::SizeViolation { "size" } else { "collector" };
    Some((Cause { kind, failure: failure.to_owned(), schema: None, path: None, keyword: None, message }, time))
}

/// `2024-03-09T10:20:31.456Z`
fn iso(text: &str) -> Option<Millis> {
    calendar::read_tsv_time(&text.strip_suffix('Z')?.replacen('T', " ", 1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_recorded_row_stays_as_it_is_and_gives_its_cause() {
        let row = r#"{"schema":"iglu:com.snowplowanalytics.snowplow.badrows/size_violation/jsonschema/1-0-0","data":{"processor":{"artifact":"a","version":"1.0.0"},"failure":{"timestamp":"2024-03-09T10:20:31.456Z","maximumAllowedSizeBytes":10,"actualSizeBytes":20,"expectation":"less"},"payload":"x"}}"#;
        let failure = read(row.as_bytes(), 1000, 5);
        assert_eq!(failure.bad_row, row);
        assert_eq!((failure.cause.kind, failure.cause.message.as_str()), (BadRowKind::SizeViolation, "less"));
        assert_eq!(failure.collector_ms, 1_709_979_631_456);
    }

    #[test]
    fn what_is_no_bad_row_becomes_a_generic_error() {
        for text in ["", "{}", "garbage", r#"{"schema":"iglu:a/b/jsonschema/1-0-0","data":{}}"#] {
            let failure = read(text.as_bytes(), 1000, 5);
            assert_eq!(failure.cause.kind, BadRowKind::GenericError, "{text}");
            assert!(failure.bad_row.contains("generic_error"));
        }
    }
}
