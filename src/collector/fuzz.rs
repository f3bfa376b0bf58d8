//! What must hold for every input: the bodies of the fuzz targets (`fuzz/`), which the unit tests run over the corpus too.
//!
//! Each takes bytes and panics when an invariant is broken. Compiled for tests and for `cargo fuzz` only.

use super::answer::{Answer, answer};
use super::config::Config;
use super::cookies;
use super::http1::{Persistence, render};
use super::identity::Entropy;
use super::query as parameters;
use super::record::Records;
use super::reply::Reply;
use super::request::{Headers, Method, Request, Target};
use super::settings::Settings;
use super::split;
use super::wall::Wall;
use crate::event::json;
use crate::event::payload::Payload;
use crate::event::thrift as codec;
use crate::journal::RecordKind;
use crate::net::http1::{Chunked, Framing, Head, HeadLimits, Parsed};
use bytes::{Bytes, BytesMut};
use std::sync::OnceLock;

const LIMITS: HeadLimits = HeadLimits { line: 4096, headers: 8192, count: 64 };

fn settings() -> &'static Settings {
    static SETTINGS: OnceLock<Settings> = OnceLock::new();
    SETTINGS.get_or_init(|| {
        let mut config = Config::default();
        config.redirects.enabled = true;
        config.redirects.allow_any_host = true;
        config.redirects.placeholder.enabled = true;
        config.bounce.enabled = true;
        config.cookie.domains = vec!["example.com".to_owned()];
        config.cookie.client_readable_name = "c".to_owned();
        config.limits.record_max_bytes.0 = 20_000;
        config.limits.payload_max_bytes.0 = 60_000;
        config.limits.request_body_max_bytes.0 = 100_000;
        Settings::new(&config).unwrap_or_else(|e| std::panic::panic_any(e))
    })
}

/// A query string: the parameters that are looked up are those that a form decoder finds.
pub fn query(data: &[u8]) {
    for name in ["nuid", "u", "n3pc"] {
        let ours = parameters::first(data, name.as_bytes()).map(|v| String::from_utf8_lossy(&v).into_owned());
        let theirs = url::form_urlencoded::parse(data).find(|(key, _)| key == name).map(|(_, v)| v.into_owned());
        assert_eq!(ours, theirs, "{name}");
    }
    let target = [b"/i?", data].concat();
    if let Some(target) = Target::of(&target) {
        assert!(target.query.is_some_and(|q| q == data));
        let nuid = parameters::first(data, b"nuid");
        assert!(nuid.is_none() || target.escaped_letters || settings().nuid.find(data).is_some());
    }
}

/// A `Cookie` header: what is recorded has only legal pairs, and recording it again changes nothing.
pub fn cookie(data: &[u8]) {
    if let Some(value) = cookies::find([data].into_iter(), b"sp") {
        assert!(!value.contains(&b';') && value.iter().all(|&b| b >= 0x20));
    }
    let recorded = |header: &[u8]| {
        let mut out = Vec::new();
        cookies::recorded(header, |piece| out.extend_from_slice(piece));
        out
    };
    let once = recorded(data);
    assert!(once.iter().all(|&b| b > 0x20 && b < 0x7f && !b"\",\\".contains(&b)));
    assert_eq!(recorded(&once), once);
}

/// Bytes of a connection: a head that is complete is complete at one length only, and what is answered and recorded is
/// well-formed.
pub fn request(data: &[u8]) {
    let mut head = Head::default();
    let Ok(Parsed::Complete) = head.parse(data, &LIMITS) else { return };
    let len = head.len;
    let mut again = Head::default();
    for cut in [len / 3, len / 2, len - 1] {
        assert_eq!(again.parse(&data[..cut], &LIMITS), Ok(Parsed::Partial), "cut at {cut} of {len}");
    }
    let rest = &data[len..];
    let body = match head.framing {
        Framing::None => &[],
        Framing::Length(n) => &rest[..rest.len().min(usize::try_from(n).unwrap_or(usize::MAX))],
        Framing::Chunked => rest,
    };
    ask(data, &head, body);
}

/// A POST body: the events of a batch are all there after it was cut, each in one part or one row.
pub fn envelope(data: &[u8]) {
    let text =
        b"POST /com.snowplowanalytics.snowplow/tp2 HTTP/1.1\r\nHost: h\r\nContent-Type: application/json\r\n\r\n";
    let mut head = Head::default();
    assert_eq!(head.parse(text, &LIMITS), Ok(Parsed::Complete));
    let (payloads, rows) = ask(text, &head, data);
    if payloads.len() + rows == 1 {
        return;
    }
    let count = |text: &[u8]| {
        let text = String::from_utf8_lossy(text);
        let json = json::parse(text.strip_prefix('\u{FEFF}').unwrap_or(&text), split::MAX_DEPTH).ok()?;
        Some(json.get("data")?.as_array()?.len())
    };
    let parts: Option<usize> = payloads.iter().map(|p| count(p.body.as_deref().unwrap_or_default())).sum();
    assert_eq!(parts.map(|n| n + rows), count(data), "events of a batch that was cut");
}

/// A Thrift record: what was read is written and read back the same.
pub fn thrift(data: &[u8]) {
    let Ok(payload) = codec::decode(&Bytes::copy_from_slice(data)) else { return };
    let mut out = BytesMut::new();
    codec::encode(&payload, &mut out);
    assert_eq!(out.len(), codec::encoded_len(&payload));
    assert_eq!(codec::decode(&out.freeze()), Ok(payload));
}

/// A chunked body: it comes out the same whole and byte by byte.
pub fn chunks(data: &[u8]) {
    let (mut whole, mut pieces) = (Vec::new(), Vec::new());
    let mut one = Chunked::new(10_000);
    let at_once = one.decode(data, &mut whole);
    let mut other = Chunked::new(10_000);
    let mut taken = 0;
    let mut failed = None;
    for byte in data.chunks(1) {
        match other.decode(byte, &mut pieces) {
            Ok(0) => break,
            Ok(n) => taken += n,
            Err(e) => {
                failed = Some(e);
                break;
            }
        }
    }
    assert_eq!(at_once.err(), failed);
    if let Ok(n) = at_once {
        assert_eq!((n, &whole, one.is_done()), (taken, &pieces, other.is_done()));
    }
}

/// Answers, checks reply and records, and gives back the payloads and the number of rows.
fn ask(bytes: &[u8], head: &Head, body: &[u8]) -> (Vec<Payload>, usize) {
    let Some(target) = Target::of(head.target.of(bytes)) else { return (Vec::new(), 0) };
    let request = Request {
        method: Method::of(head.method.of(bytes)),
        target,
        authority: None,
        headers: Headers::new(bytes, &head.headers),
        body,
        peer: std::net::IpAddr::from([192, 0, 2, 1]).into(),
    };
    let wall = Wall::new(1_795_514_400_123, settings().cookie_age);
    let mut records = Records::default();
    let (reply, stored) = match answer(settings(), &request, &wall, false, &mut Entropy::System, &mut records) {
        Answer::Now(reply) => (reply, false),
        Answer::Store(recipe) => (recipe.not_stored(), true),
        Answer::SinkHealth => (Reply::sink_health(true), false),
    };
    check_reply(&reply, &wall);
    let (mut payloads, mut rows) = (Vec::new(), 0);
    for record in records.take() {
        match record.kind {
            RecordKind::BadRow => {
                let row = std::str::from_utf8(&record.body).ok().and_then(|t| json::parse(t, 64).ok());
                assert!(row.is_some_and(|row| row.get("data").is_some_and(|d| d.get("payload").is_some())));
                rows += 1;
            }
            _ => {
                assert!(record.body.len() <= settings().record_max + 1);
                let payload = codec::decode(&record.body);
                assert!(payload.is_ok(), "{payload:?}");
                payloads.extend(payload);
            }
        }
    }
    assert_eq!(stored, !payloads.is_empty() || rows > 0);
    if let (1, 0) = (payloads.len(), rows) {
        assert_eq!(payloads[0].querystring.as_deref(), Some(request.target.query.unwrap_or_default()));
    }
    (payloads, rows)
}

fn check_reply(reply: &Reply, wall: &Wall) {
    let mut out = Vec::new();
    render(reply, settings(), wall, false, Persistence::Stays, &mut out);
    let end = memchr::memmem::find(&out, b"\r\n\r\n").unwrap_or(0);
    assert_eq!(out.len() - end - 4, reply.body().len(), "the head ends where the body begins");
    for line in out[..end].split(|&b| b == b'\n').skip(1) {
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        assert!(line.iter().all(|b| (0x20..0x7f).contains(b)), "{}", String::from_utf8_lossy(line));
        assert!(memchr::memmem::find(line, b": ").is_some());
    }
}
