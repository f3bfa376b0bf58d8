//! The Thrift binary form of a [`Payload`]: what stands in the journal, in a Kafka topic and in the reference's own tools.
//!
//! Field numbers are those of real records (`CollectorPayload/thrift/1-0-0`, 100 to 410 and 31337; the IDL published on
//! iglu-central counts otherwise). Written by hand because the collector encodes straight from borrowed request bytes and
//! enrichment decodes into slices of the journal's block: no field is copied in between. TBinaryProtocol as specified by
//! Apache Thrift: per field a type byte and a big-endian i16 number, then the value; one zero byte ends the struct.

use super::payload::Payload;
use bytes::{BufMut, Bytes, BytesMut};

/// Field numbers of the record, in the order in which they are written.
#[allow(missing_docs)]
pub mod field {
    pub const IP_ADDRESS: i16 = 100;
    pub const TIMESTAMP: i16 = 200;
    pub const ENCODING: i16 = 210;
    pub const COLLECTOR: i16 = 220;
    pub const USER_AGENT: i16 = 300;
    pub const REFERER: i16 = 310;
    pub const PATH: i16 = 320;
    pub const QUERYSTRING: i16 = 330;
    pub const BODY: i16 = 340;
    pub const HEADERS: i16 = 350;
    pub const CONTENT_TYPE: i16 = 360;
    pub const HOSTNAME: i16 = 400;
    pub const NETWORK_USER_ID: i16 = 410;
    pub const SCHEMA: i16 = 31337;
}

const STOP: u8 = 0;
const BOOL: u8 = 2;
const BYTE: u8 = 3;
const DOUBLE: u8 = 4;
const I16: u8 = 6;
const I32: u8 = 8;
const I64: u8 = 10;
const STRING: u8 = 11;
const STRUCT: u8 = 12;
const MAP: u8 = 13;
const SET: u8 = 14;
const LIST: u8 = 15;
const UUID: u8 = 16;

/// How deep unknown fields may nest before the record is refused.
const MAX_DEPTH: u32 = 32;

/// Writes the fields of one record, in ascending order, into a buffer.
#[derive(Debug)]
pub struct Encoder<'b> {
    out: &'b mut BytesMut,
}

impl<'b> Encoder<'b> {
    /// Appends to `out`.
    pub fn new(out: &'b mut BytesMut) -> Self {
        Encoder { out }
    }

    /// A text or binary field.
    #[inline]
    pub fn string(&mut self, id: i16, value: &[u8]) {
        self.begin_string(id, value.len());
        self.part(value);
    }

    /// Opens a text field of `len` bytes, which [`Encoder::part`] then supplies.
    #[inline]
    pub fn begin_string(&mut self, id: i16, len: usize) {
        let id = id.to_be_bytes();
        let len = length(len).to_be_bytes();
        self.out.put_slice(&[STRING, id[0], id[1], len[0], len[1], len[2], len[3]]);
    }

    /// A text field if there is a value.
    #[inline]
    pub fn optional(&mut self, id: i16, value: Option<&[u8]>) {
        if let Some(value) = value {
            self.string(id, value);
        }
    }

    /// A 64-bit integer field.
    #[inline]
    pub fn i64(&mut self, id: i16, value: i64) {
        self.out.put_u8(I64);
        self.out.put_i16(id);
        self.out.put_i64(value);
    }

    /// Opens a list of `count` strings; each is then given by [`Encoder::begin_item`] and [`Encoder::part`].
    #[inline]
    pub fn begin_list(&mut self, id: i16, count: usize) {
        self.out.put_u8(LIST);
        self.out.put_i16(id);
        self.out.put_u8(STRING);
        self.out.put_i32(length(count));
    }

    /// Opens an item of `len` bytes.
    #[inline]
    pub fn begin_item(&mut self, len: usize) {
        self.out.put_i32(length(len));
    }

    /// Bytes of the string that was opened last.
    #[inline]
    pub fn part(&mut self, bytes: &[u8]) {
        self.out.put_slice(bytes);
    }

    /// Ends the record.
    #[inline]
    pub fn finish(self) {
        self.out.put_u8(STOP);
    }
}

/// Lengths are i32 on the wire. Requests are bounded far below that by the collector and journal records by their own limit.
fn length(len: usize) -> i32 {
    i32::try_from(len).unwrap_or(i32::MAX)
}

/// Appends the record of `payload` to `out`.
pub fn encode(payload: &Payload, out: &mut BytesMut) {
    let mut e = Encoder::new(out);
    e.string(field::IP_ADDRESS, &payload.ip);
    e.i64(field::TIMESTAMP, payload.timestamp_ms);
    e.string(field::ENCODING, &payload.encoding);
    e.string(field::COLLECTOR, &payload.collector);
    e.optional(field::USER_AGENT, payload.user_agent.as_deref());
    e.optional(field::REFERER, payload.referer.as_deref());
    e.optional(field::PATH, payload.path.as_deref());
    e.optional(field::QUERYSTRING, payload.querystring.as_deref());
    e.optional(field::BODY, payload.body.as_deref());
    if !payload.headers.is_empty() {
        e.begin_list(field::HEADERS, payload.headers.len());
        for header in &payload.headers {
            e.begin_item(header.len());
            e.part(header);
        }
    }
    e.optional(field::CONTENT_TYPE, payload.content_type.as_deref());
    e.optional(field::HOSTNAME, payload.hostname.as_deref());
    e.optional(field::NETWORK_USER_ID, payload.network_user_id.as_deref());
    e.string(field::SCHEMA, &payload.schema);
    e.finish();
}

/// Bytes that [`encode`] writes, to the byte.
pub fn encoded_len(payload: &Payload) -> usize {
    let text = |v: &[u8]| 7 + v.len();
    let optional = |v: &Option<Bytes>| v.as_ref().map_or(0, |v| 7 + v.len());
    let headers = match payload.headers.len() {
        0 => 0,
        _ => 8 + payload.headers.iter().map(|h| 4 + h.len()).sum::<usize>(),
    };
    text(&payload.ip)
        + 11
        + text(&payload.encoding)
        + text(&payload.collector)
        + optional(&payload.user_agent)
        + optional(&payload.referer)
        + optional(&payload.path)
        + optional(&payload.querystring)
        + optional(&payload.body)
        + headers
        + optional(&payload.content_type)
        + optional(&payload.hostname)
        + optional(&payload.network_user_id)
        + text(&payload.schema)
        + 1
}

/// Why bytes are no record.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum ThriftError {
    /// The bytes end inside a field.
    #[error("the record ends inside a field, at byte {at}")]
    Truncated {
        /// Where the missing bytes should begin.
        at: usize,
    },
    /// A field of the record has another type than it must have.
    #[error("field {id} has type {found}, not {wanted}, at byte {at}")]
    WrongType {
        /// Number of the field.
        id: i16,
        /// Type byte found.
        found: u8,
        /// Type byte it must have.
        wanted: u8,
        /// Where.
        at: usize,
    },
    /// No such type.
    #[error("unknown type {found} at byte {at}")]
    UnknownType {
        /// Type byte found.
        found: u8,
        /// Where.
        at: usize,
    },
    /// A negative length or count.
    #[error("a negative length at byte {at}")]
    NegativeLength {
        /// Where.
        at: usize,
    },
    /// An unknown field nests too deep.
    #[error("nested deeper than {MAX_DEPTH} levels at byte {at}")]
    TooDeep {
        /// Where.
        at: usize,
    },
}

/// Reads a record. Fields are slices of `record`, not copies. Unknown fields are skipped, the last of two equal fields
/// wins, and bytes after the end of the struct are ignored, as Thrift's own readers do.
///
/// # Errors
/// [`ThriftError`] with the byte position.
pub fn decode(record: &Bytes) -> Result<Payload, ThriftError> {
    let mut d = Decoder { record, at: 0 };
    let mut p = Payload::default();
    loop {
        let kind = d.u8()?;
        if kind == STOP {
            return Ok(p);
        }
        let id = d.i16()?;
        match id {
            field::IP_ADDRESS => p.ip = d.text(id, kind)?,
            field::TIMESTAMP => {
                d.expect(id, kind, I64)?;
                p.timestamp_ms = d.i64()?;
            }
            field::ENCODING => p.encoding = d.text(id, kind)?,
            field::COLLECTOR => p.collector = d.text(id, kind)?,
            field::USER_AGENT => p.user_agent = Some(d.text(id, kind)?),
            field::REFERER => p.referer = Some(d.text(id, kind)?),
            field::PATH => p.path = Some(d.text(id, kind)?),
            field::QUERYSTRING => p.querystring = Some(d.text(id, kind)?),
            field::BODY => p.body = Some(d.text(id, kind)?),
            field::HEADERS => p.headers = d.texts(id, kind)?,
            field::CONTENT_TYPE => p.content_type = Some(d.text(id, kind)?),
            field::HOSTNAME => p.hostname = Some(d.text(id, kind)?),
            field::NETWORK_USER_ID => p.network_user_id = Some(d.text(id, kind)?),
            field::SCHEMA => p.schema = d.text(id, kind)?,
            _ => d.skip(kind, 0)?,
        }
    }
}

struct Decoder<'r> {
    record: &'r Bytes,
    at: usize,
}

impl Decoder<'_> {
    fn take<const N: usize>(&mut self) -> Result<[u8; N], ThriftError> {
        let bytes = self.record.get(self.at..).and_then(<[u8]>::first_chunk::<N>);
        let bytes = *bytes.ok_or(ThriftError::Truncated { at: self.at })?;
        self.at += N;
        Ok(bytes)
    }

    fn u8(&mut self) -> Result<u8, ThriftError> {
        Ok(self.take::<1>()?[0])
    }

    fn i16(&mut self) -> Result<i16, ThriftError> {
        Ok(i16::from_be_bytes(self.take()?))
    }

    fn i64(&mut self) -> Result<i64, ThriftError> {
        Ok(i64::from_be_bytes(self.take()?))
    }

    fn length(&mut self) -> Result<usize, ThriftError> {
        let at = self.at;
        usize::try_from(i32::from_be_bytes(self.take()?)).map_err(|_| ThriftError::NegativeLength { at })
    }

    fn expect(&self, id: i16, found: u8, wanted: u8) -> Result<(), ThriftError> {
        if found == wanted { Ok(()) } else { Err(ThriftError::WrongType { id, found, wanted, at: self.at }) }
    }

    fn text(&mut self, id: i16, kind: u8) -> Result<Bytes, ThriftError> {
        self.expect(id, kind, STRING)?;
        self.bytes()
    }

    fn bytes(&mut self) -> Result<Bytes, ThriftError> {
        let len = self.length()?;
        let end = self.advance(len)?;
        Ok(self.record.slice(end - len..end))
    }

    fn texts(&mut self, id: i16, kind: u8) -> Result<Vec<Bytes>, ThriftError> {
        self.expect(id, kind, LIST)?;
        let item = self.u8()?;
        let count = self.length()?;
        if count > 0 {
            self.expect(id, item, STRING)?;
        }
        // An item takes at least four bytes: a lying count cannot make us reserve more than the record could hold.
        let mut items = Vec::with_capacity(count.min((self.record.len() - self.at) / 4));
        for _ in 0..count {
            items.push(self.bytes()?);
        }
        Ok(items)
    }

    /// Moves over `len` bytes and returns where it stands then.
    fn advance(&mut self, len: usize) -> Result<usize, ThriftError> {
        let end = self.at.checked_add(len).filter(|&end| end <= self.record.len());
        self.at = end.ok_or(ThriftError::Truncated { at: self.at })?;
        Ok(self.at)
    }

    fn skip(&mut self, kind: u8, depth: u32) -> Result<(), ThriftError> {
        if depth > MAX_DEPTH {
            return Err(ThriftError::TooDeep { at: self.at });
        }
        match kind {
            BOOL | BYTE => self.advance(1).map(drop),
            I16 => self.advance(2).map(drop),
            I32 => self.advance(4).map(drop),
            I64 | DOUBLE => self.advance(8).map(drop),
            UUID => self.advance(16).map(drop),
            STRING => {
                let len = self.length()?;
                self.advance(len).map(drop)
            }
            STRUCT => loop {
                let kind = self.u8()?;
                if kind == STOP {
                    return Ok(());
                }
                self.i16()?;
                self.skip(kind, depth + 1)?;
            },
            LIST | SET => {
                let item = self.u8()?;
                let count = self.length()?;
                (0..count).try_for_each(|_| self.skip(item, depth + 1))
            }
            MAP => {
                let (key, value) = (self.u8()?, self.u8()?);
                let count = self.length()?;
                (0..count).try_for_each(|_| {
                    self.skip(key, depth + 1)?;
                    self.skip(value, depth + 1)
                })
            }
            found => Err(ThriftError::UnknownType { found, at: self.at }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::payload::SCHEMA;
    use super::*;

    pub(crate) fn sample() -> Payload {
        Payload {
            ip: "203.0.113.9".into(),
            timestamp_ms: 1_700_000_000_123,
            encoding: "UTF-8".into(),
            collector: "snowshed-0.1.0-journal".into(),
            user_agent: Some("curl/8.5".into()),
            path: Some("/i".into()),
            querystring: Some(Bytes::from_static(b"e=pv&page=caf\xe9")),
            headers: vec!["Host: c.example".into(), Bytes::from_static(b"X: \xff")],
            network_user_id: Some("00000000-0000-0000-0000-000000000000".into()),
            schema: SCHEMA.into(),
            ..Payload::default()
        }
    }

    #[test]
    fn a_record_reads_back_as_it_was_written_and_has_the_foretold_length() {
        let full = Payload {
            referer: Some("https://r.example/".into()),
            body: Some(Bytes::from_static(b"{\"a\":\xc3\x28}")),
            content_type: Some("application/json; charset=utf-8".into()),
            hostname: Some("c.example".into()),
            ..sample()
        };
        for payload in [sample(), full, Payload::default()] {
            let mut out = BytesMut::new();
            encode(&payload, &mut out);
            assert_eq!(out.len(), encoded_len(&payload));
            assert_eq!(decode(&out.freeze()), Ok(payload));
        }
    }

    #[test]
    fn known_bytes() {
        let mut out = BytesMut::new();
        encode(&Payload { ip: "1.2.3.4".into(), timestamp_ms: 1, ..Payload::default() }, &mut out);
        assert_eq!(&out[..14], b"\x0b\x00\x64\x00\x00\x00\x071.2.3.4");
        assert_eq!(&out[14..25], b"\x0a\x00\xc8\x00\x00\x00\x00\x00\x00\x00\x01");
        assert_eq!(&out[out.len() - 8..], b"\x0b\x7a\x69\x00\x00\x00\x00\x00");
    }

    #[test]
    fn every_truncation_is_an_error_and_none_panics() {
        let mut out = BytesMut::new();
        encode(&sample(), &mut out);
        let whole = out.freeze();
        for cut in 0..whole.len() {
            assert!(decode(&whole.slice(..cut)).is_err(), "{cut}");
        }
    }

    #[test]
    fn unknown_fields_are_skipped_within_bounds() {
        let mut out = BytesMut::new();
        // A map of i32 to list of bool, a struct with a string, a double.
        out.put_slice(b"\x0d\x00\x01\x08\x0f\x00\x00\x00\x01\x00\x00\x00\x07\x02\x00\x00\x00\x02\x01\x00");
        out.put_slice(b"\x0c\x00\x02\x0b\x00\x01\x00\x00\x00\x01x\x00");
        out.put_slice(b"\x04\x00\x03\x00\x00\x00\x00\x00\x00\x00\x00");
        encode(&sample(), &mut out);
        assert_eq!(decode(&out.freeze()), Ok(sample()));

        let deep = Bytes::from([b"\x0c\x00\x01".repeat(100_000), vec![0; 100_000]].concat());
        assert!(matches!(decode(&deep), Err(ThriftError::TooDeep { .. })));
        let liar = Bytes::from_static(b"\x0f\x01\x5e\x0b\x7f\xff\xff\xff");
        assert!(matches!(decode(&liar), Err(ThriftError::Truncated { .. })));
        let negative = Bytes::from_static(b"\x0b\x00\x64\xff\xff\xff\xff");
        assert!(matches!(decode(&negative), Err(ThriftError::NegativeLength { at: 3 })));
        let wrong = Bytes::from_static(b"\x0a\x00\x64\x00\x00\x00\x00\x00\x00\x00\x01\x00");
        assert!(matches!(decode(&wrong), Err(ThriftError::WrongType { id: 100, found: I64, wanted: STRING, .. })));
    }
}
