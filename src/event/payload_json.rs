//! A journal record as one line of JSON: what `snowshed journal cat` prints and `snowshed enrich` reads.
//!
//! The raw truth for people and scripts. Fields of the Thrift record by their names in [`Payload`], absent ones left out.
//! A body that is not UTF-8 stands as `body_base64`, so that it survives the round trip; in the other fields such bytes
//! become U+FFFD. A bad row that the collector itself recorded stands as it is. Replays: [`super::replay_json`].

use super::json::{self, Json, write_string};
use super::offset::Offset;
use super::payload::Payload;
use super::replay::Replay;
use super::replay_json;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use std::fmt::Write as _;

/// Levels of JSON that a line may have. A bad row quotes other documents only as text, so real lines stay far below.
const MAX_DEPTH: usize = 64;

/// What a line holds.
#[derive(Clone, PartialEq, Debug)]
pub enum LineRecord {
    /// A captured request.
    Payload(Box<Payload>),
    /// A bad row, compact JSON.
    BadRow(String),
    /// A replay with the record that it carries.
    Replay(Replay, Box<LineRecord>),
}

/// One line.
#[derive(Clone, PartialEq, Debug)]
pub struct Line {
    /// The record's place; absent when the line does not say.
    pub offset: Option<Offset>,
    /// The record.
    pub record: LineRecord,
}

/// Why a line cannot be read.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum LineError {
    /// Not JSON.
    #[error("not JSON: {0}")]
    Json(#[from] json::JsonError),
    /// JSON, but not a record.
    #[error("{0}")]
    Shape(String),
}

/// Appends the line of a payload, without the line end.
pub fn write_payload(offset: Offset, payload: &Payload, out: &mut String) {
    // Writing to a String cannot fail.
    let _ = write!(out, "{{\"offset\":{offset},\"payload\":");
    write_object(payload, out);
    out.push('}');
}

/// Appends the line of a bad row (its JSON text), without the line end.
pub fn write_bad_row(offset: Offset, bad_row: &[u8], out: &mut String) {
    let _ = write!(out, "{{\"offset\":{offset},\"bad_row\":");
    match std::str::from_utf8(bad_row).ok().and_then(|text| json::parse(text, MAX_DEPTH).ok()) {
        Some(row) => row.write(out),
        None => write_string(&String::from_utf8_lossy(bad_row), out),
    }
    out.push('}');
}

/// Appends the payload alone, as a JSON object.
pub fn write_object(payload: &Payload, out: &mut String) {
    let mut first = true;
    let mut name = |name: &str, out: &mut String| {
        out.push(if std::mem::take(&mut first) { '{' } else { ',' });
        write_string(name, out);
        out.push(':');
    };
    let present = |bytes: &Bytes| (!bytes.is_empty()).then(|| bytes.clone());
    let text = |bytes: &Bytes, out: &mut String| write_string(&String::from_utf8_lossy(bytes), out);

    for (key, value) in [("schema", present(&payload.schema)), ("ip", present(&payload.ip))] {
        if let Some(value) = value {
            name(key, out);
            text(&value, out);
        }
    }
    name("timestamp_ms", out);
    let _ = write!(out, "{}", payload.timestamp_ms);
    for (key, value) in [
        ("encoding", present(&payload.encoding)),
        ("collector", present(&payload.collector)),
        ("user_agent", payload.user_agent.clone()),
        ("referer", payload.referer.clone()),
        ("path", payload.path.clone()),
        ("querystring", payload.querystring.clone()),
    ] {
        if let Some(value) = value {
            name(key, out);
            text(&value, out);
        }
    }
    if let Some(body) = &payload.body {
        match std::str::from_utf8(body) {
            Ok(body) => {
                name("body", out);
                write_string(body, out);
            }
            Err(_) => {
                name("body_base64", out);
                write_string(&STANDARD.encode(body), out);
            }
        }
    }
    if !payload.headers.is_empty() {
        name("headers", out);
        for (i, header) in payload.headers.iter().enumerate() {
            out.push(if i == 0 { '[' } else { ',' });
            text(header, out);
        }
        out.push(']');
    }
    for (key, value) in [
        ("content_type", &payload.content_type),
        ("hostname", &payload.hostname),
        ("network_user_id", &payload.network_user_id),
    ] {
        if let Some(value) = value {
            name(key, out);
            text(value, out);
        }
    }
    out.push('}');
}

/// Reads a line. Unknown members are refused, so that a misspelt one does not vanish.
///
/// # Errors
/// [`LineError`] says what is wrong and where.
pub fn read(line: &str) -> Result<Line, LineError> {
    let Json::Object(members) = json::parse(line, MAX_DEPTH)? else {
        return Err(LineError::Shape("a line must be a JSON object".to_owned()));
    };
    let mut offset = None;
    let mut record = None;
    for (key, value) in members {
        let new = match (key.as_ref(), value) {
            ("offset", Json::Number(n)) => {
                let n = n.parse().map_err(|_| shape("offset", "must be a whole number that is not negative"))?;
                offset = Some(Offset(n));
                continue;
            }
            ("offset", _) => return Err(shape("offset", "must be a number")),
            ("payload", Json::Object(members)) => LineRecord::Payload(Box::new(read_object(members)?)),
            ("payload", _) => return Err(shape("payload", "must be an object")),
            ("bad_row", row @ Json::Object(_)) => LineRecord::BadRow(row.to_text()),
            ("bad_row", _) => return Err(shape("bad_row", "must be an object")),
            ("replay", Json::Object(members)) => replay_json::read(members)?,
            ("replay", _) => return Err(shape("replay", "must be an object")),
            (other, _) => return Err(shape(other, "is not a member of a line: offset, payload, bad_row, replay are")),
        };
        if record.replace(new).is_some() {
            return Err(LineError::Shape("a line has either a payload, a bad_row or a replay".to_owned()));
        }
    }
    let record = record.ok_or_else(|| LineError::Shape("a line needs a payload, a bad_row or a replay".to_owned()))?;
    Ok(Line { offset, record })
}

pub(super) fn shape(key: &str, problem: &str) -> LineError {
    LineError::Shape(format!("\"{key}\" {problem}"))
}

pub(super) fn read_object(members: Vec<(std::borrow::Cow<'_, str>, Json<'_>)>) -> Result<Payload, LineError> {
    let mut p = Payload::default();
    for (key, value) in members {
        let text = |value: Json<'_>| match value {
            Json::String(s) => Ok(Bytes::from(s.into_owned())),
            _ => Err(shape(&key, "must be text")),
        };
        match key.as_ref() {
            "schema" => p.schema = text(value)?,
            "ip" => p.ip = text(value)?,
            "timestamp_ms" => match value {
                Json::Number(n) => {
                    p.timestamp_ms = n.parse().map_err(|_| shape(&key, "must be whole milliseconds"))?;
                }
                _ => return Err(shape(&key, "must be a number")),
            },
            "encoding" => p.encoding = text(value)?,
            "collector" => p.collector = text(value)?,
            "user_agent" => p.user_agent = Some(text(value)?),
            "referer" => p.referer = Some(text(value)?),
            "path" => p.path = Some(text(value)?),
            "querystring" => p.querystring = Some(text(value)?),
            "body" => p.body = Some(text(value)?),
            "body_base64" => {
                let body = STANDARD.decode(text(value)?).map_err(|e| shape(&key, &format!("is no base64: {e}")))?;
                p.body = Some(body.into());
            }
            "headers" => match value {
                Json::Array(items) => p.headers = items.into_iter().map(text).collect::<Result<_, _>>()?,
                _ => return Err(shape(&key, "must be an array of text")),
            },
            "content_type" => p.content_type = Some(text(value)?),
            "hostname" => p.hostname = Some(text(value)?),
            "network_user_id" => p.network_user_id = Some(text(value)?),
            other => return Err(shape(other, "is not a field of a payload")),
        }
    }
    Ok(p)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn payload() -> Payload {
        Payload {
            ip: "203.0.113.9".into(),
            timestamp_ms: 1_700_000_000_123,
            encoding: "UTF-8".into(),
            collector: "snowshed-0.1.0-journal".into(),
            path: Some("/com.snowplowanalytics.snowplow/tp2".into()),
            querystring: Some("".into()),
            body: Some("{\"a\":\"ü\n\"}".into()),
            headers: vec!["Host: c.example".into()],
            schema: super::super::payload::SCHEMA.into(),
            ..Payload::default()
        }
    }

    #[test]
    fn a_payload_line_reads_back() {
        let mut line = String::new();
        write_payload(Offset(7), &payload(), &mut line);
        assert!(line.starts_with(r#"{"offset":7,"payload":{"schema":"iglu:com."#), "{line}");
        assert!(!line.contains("user_agent") && !line.contains('\n'));
        let back = read(&line).unwrap();
        assert_eq!(back, Line { offset: Some(Offset(7)), record: LineRecord::Payload(Box::new(payload())) });
    }

    #[test]
    fn bytes_that_are_no_utf8_survive_in_the_body_and_are_replaced_elsewhere() {
        let body = Bytes::from_static(b"\x00\xff{");
        let p = Payload {
            body: Some(body.clone()),
            user_agent: Some(Bytes::from_static(b"caf\xe9")),
            headers: vec![Bytes::from_static(b"X: \xe9")],
            ..payload()
        };
        let mut line = String::new();
        write_payload(Offset(0), &p, &mut line);
        assert!(line.contains(r#""body_base64":"AP97""#), "{line}");
        let LineRecord::Payload(back) = read(&line).unwrap().record else { panic!("no payload") };
        assert_eq!(back.body, Some(body));
        assert_eq!(back.user_agent.unwrap(), "caf\u{FFFD}");
        assert_eq!(back.headers[0], "X: \u{FFFD}");
    }

    #[test]
    fn a_bad_row_line_reads_back() {
        let mut line = String::new();
        write_bad_row(Offset(1), br#"{"schema":"iglu:x/y/jsonschema/1-0-0","data":{"n":1.10}}"#, &mut line);
        assert_eq!(line, r#"{"offset":1,"bad_row":{"schema":"iglu:x/y/jsonschema/1-0-0","data":{"n":1.10}}}"#);
        let back = read(&line).unwrap();
        assert_eq!(
            back.record,
            LineRecord::BadRow(r#"{"schema":"iglu:x/y/jsonschema/1-0-0","data":{"n":1.10}}"#.to_owned())
        );
    }

    #[test]
    fn wrong_lines_say_why() {
        for (line, why) in [
            ("{", "not JSON"),
            ("[]", "must be a JSON object"),
            ("{}", "needs a payload, a bad_row or a replay"),
            (r#"{"offset":-1,"payload":{}}"#, "not negative"),
            (r#"{"payload":{"ipp":"x"}}"#, "\"ipp\" is not a field"),
            (r#"{"payload":{"headers":[1]}}"#, "\"headers\" must be text"),
            (r#"{"payload":{"body_base64":"%"}}"#, "no base64"),
            (r#"{"payload":{},"bad_row":{}}"#, "either"),
            (r#"{"replay":{"offset":1}}"#, "carries"),
        ] {
            let error = read(line).unwrap_err().to_string();
            assert!(error.contains(why), "{line}: {error}");
        }
        assert_eq!(read(r#"{"payload":{}}"#).unwrap().offset, None);
    }
}
