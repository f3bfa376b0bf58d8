//! A replay as JSON: `{"offset":812,"replay":{"offset":7,"kind":"payload","indexes":[0],"payload":{…}}}`.
//!
//! The header of the record, and beside it what it carries in the form that the original record has in such a line. A carried
//! record that cannot be read stands as `record_base64`.

use super::json::{self, Json};
use super::offset::Offset;
use super::payload_json::{LineError, LineRecord, read_object, shape, write_object};
use super::replay::{Carried, Replay};
use super::thrift;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::{Bytes, BytesMut};
use std::borrow::Cow;
use std::fmt::Write as _;

/// Levels of JSON that a carried bad row may have, as for one that stands by itself.
const MAX_DEPTH: usize = 64;

/// Appends the line of a replay, without the line end.
pub fn write_replay(offset: Offset, replay: &Replay, carried: &Bytes, out: &mut String) {
    // Writing to a String cannot fail.
    let _ = write!(out, "{{\"offset\":{offset},\"replay\":");
    write_replay_object(replay, carried, out);
    out.push('}');
}

/// Appends the replay alone, as a JSON object.
pub fn write_replay_object(replay: &Replay, carried: &Bytes, out: &mut String) {
    let header = serde_json::to_string(replay).unwrap_or_default();
    out.push_str(header.trim_end_matches('}'));
    match (replay.kind, thrift::decode(carried)) {
        (Carried::Payload, Ok(payload)) => {
            out.push_str(",\"payload\":");
            write_object(&payload, out);
        }
        (Carried::Payload, Err(_)) => {
            let _ = write!(out, ",\"record_base64\":\"{}\"", STANDARD.encode(carried));
        }
        (Carried::BadRow, _) => {
            out.push_str(",\"bad_row\":");
            match std::str::from_utf8(carried).ok().and_then(|text| json::parse(text, MAX_DEPTH).ok()) {
                Some(row) => row.write(out),
                None => json::write_string(&String::from_utf8_lossy(carried), out),
            }
        }
    }
    out.push('}');
}

/// Reads the member `replay` of a line.
pub(super) fn read(members: Vec<(Cow<'_, str>, Json<'_>)>) -> Result<LineRecord, LineError> {
    let mut header = serde_json::Map::new();
    let mut carried = None;
    for (key, value) in members {
        match (key.as_ref(), value) {
            ("payload", Json::Object(members)) => carried = Some(LineRecord::Payload(Box::new(read_object(members)?))),
            ("bad_row", row) => carried = Some(LineRecord::BadRow(row.to_text())),
            (name, value) => {
                let value = serde_json::from_str(&value.to_text()).map_err(|e| shape(name, &e.to_string()))?;
                header.insert(name.to_owned(), value);
            }
        }
    }
    let carried = carried.ok_or_else(|| shape("replay", "carries neither a payload nor a bad_row"))?;
    let replay = serde_json::from_value::<Replay>(header.into()).map_err(|e| shape("replay", &e.to_string()))?;
    match (replay.kind, &carried) {
        (Carried::Payload, LineRecord::Payload(_)) | (Carried::BadRow, LineRecord::BadRow(_)) => {
            Ok(LineRecord::Replay(replay, Box::new(carried)))
        }
        _ => Err(shape("replay", "carries another record than its kind says")),
    }
}

/// The bytes of a record as they stand in the journal.
///
/// # Errors
/// A replay whose header is no header.
pub fn bytes_of(record: &LineRecord) -> Result<Bytes, LineError> {
    match record {
        LineRecord::Payload(payload) => {
            let mut out = BytesMut::new();
            thrift::encode(payload, &mut out);
            Ok(out.freeze())
        }
        LineRecord::BadRow(row) => Ok(Bytes::from(row.clone())),
        LineRecord::Replay(replay, carried) => {
            replay.encode(&bytes_of(carried)?).map_err(|e| shape("replay", &e.to_string()))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::payload_json;
    use super::*;
    use crate::event::Payload;

    #[test]
    fn a_replay_line_reads_back_to_the_same_bytes() {
        let payload = Payload {
            ip: "203.0.113.9".into(),
            timestamp_ms: 5,
            encoding: "UTF-8".into(),
            collector: "c".into(),
            body: Some("{}".into()),
            schema: crate::event::payload::SCHEMA.into(),
            ..Payload::default()
        };
        let mut carried = BytesMut::new();
        thrift::encode(&payload, &mut carried);
        let row = Bytes::from_static(br#"{"schema":"iglu:x/y/jsonschema/1-0-0","data":{"n":1.10}}"#);
        for (kind, carried) in [(Carried::Payload, carried.freeze()), (Carried::BadRow, row)] {
            let replay =
                Replay { offset: Offset(7), kind, repairs: Some(Offset(9)), indexes: vec![0, 4], whole: false };
            let mut line = String::new();
            write_replay(Offset(812), &replay, &carried, &mut line);
            assert!(line.starts_with(r#"{"offset":812,"replay":{"offset":7,"kind":""#), "{line}");
            let back = payload_json::read(&line).unwrap();
            assert_eq!(back.offset, Some(Offset(812)));
            assert_eq!(bytes_of(&back.record).unwrap(), replay.encode(&carried).unwrap());
        }
    }

    #[test]
    fn a_carried_record_that_cannot_be_read_is_shown_as_bytes() {
        let replay =
            Replay { offset: Offset(7), kind: Carried::Payload, repairs: None, indexes: vec![0], whole: false };
        let mut line = String::new();
        write_replay(Offset(8), &replay, &Bytes::from_static(b"\xff"), &mut line);
        assert!(line.ends_with(r#","record_base64":"/w=="}}"#), "{line}");
    }
}
