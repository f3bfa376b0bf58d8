//! What is recorded of a request, encoded straight from its bytes.

use super::client_ip::{Client, Forwarded, IpText};
use super::cookies;
use super::identity::Id;
use super::media_type::ContentType;
use super::request::{Headers, Request};
use super::settings::Settings;
use crate::event::payload::SCHEMA;
use crate::event::thrift::{Encoder, field};
use crate::journal::{Record, RecordKind};
use crate::net::http1::Name;
use crate::platform::clock::Millis;
use bytes::{Bytes, BytesMut};
use std::borrow::Cow;

/// Size of the blocks that records are written into.
const BLOCK: usize = 256 * 1024;

/// Records on their way to the journal. They share blocks of memory, so that a record costs no allocation of its own.
#[derive(Debug, Default)]
pub struct Records {
    block: BytesMut,
    list: Vec<Record>,
    bytes: usize,
}

impl Records {
    /// Adds a record of `len` bytes, which `write` appends.
    #[inline]
    pub fn add(&mut self, kind: RecordKind, len: usize, write: impl FnOnce(&mut BytesMut)) {
        // Only a panic in the middle of a record leaves something behind.
        self.block.clear();
        if self.block.capacity() < len {
            self.block = BytesMut::with_capacity(BLOCK.max(len));
        }
        write(&mut self.block);
        let body = self.block.split().freeze();
        self.bytes += body.len();
        self.list.push(Record { kind, body });
    }

    /// Bytes of the records.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Takes the records out.
    pub fn take(&mut self) -> Vec<Record> {
        self.bytes = 0;
        std::mem::take(&mut self.list)
    }
}

/// Everything of a request that goes into its record.
#[derive(Debug)]
pub struct Captured<'a> {
    settings: &'a Settings,
    headers: Headers<'a>,
    anonymous: bool,
    ip: IpText,
    forwarded: Forwarded,
    now_ms: Millis,
    user_agent: Option<&'a [u8]>,
    referer: Option<&'a [u8]>,
    path: &'a [u8],
    query: &'a [u8],
    /// The body, for POST.
    pub body: Option<Cow<'a, [u8]>>,
    content_type: Option<ContentType>,
    hostname: Option<Cow<'a, [u8]>>,
    id: Id,
    /// Elements of the header list, and their bytes with the length of each.
    list: (usize, usize),
}

impl<'a> Captured<'a> {
    /// Gathers what is recorded. `body` is present for POST only, unpacked.
    #[allow(clippy::too_many_arguments)]
    pub fn new(
        settings: &'a Settings,
        request: &Request<'a>,
        path: &'a [u8],
        body: Option<Cow<'a, [u8]>>,
        client: Client,
        anonymous: bool,
        id: Id,
        now_ms: Millis,
    ) -> Self {
        let content_type = match body {
            Some(_) => request.headers.get(Name::ContentType).and_then(super::media_type::parse),
            None => None,
        };
        let mut captured = Captured {
            settings,
            headers: request.headers,
            anonymous,
            ip: client.ip,
            forwarded: client.forwarded,
            now_ms,
            user_agent: request.headers.get(Name::UserAgent).filter(|_| !(anonymous && settings.drop_user_agent)),
            referer: request.headers.get(Name::Referer),
            path,
            query: request.target.query.unwrap_or_default(),
            body,
            content_type,
            hostname: request.hostname().map(lower),
            id,
            list: (0, 0),
        };
        captured.list = captured.header_sizes();
        captured
    }

    /// Bytes of the record when its body has `body_len` bytes.
    pub fn encoded_len(&self, body_len: usize) -> usize {
        let text = |len: usize| 7 + len;
        let optional = |v: Option<&[u8]>| v.map_or(0, |v| text(v.len()));
        let (count, headers) = self.list;
        let list = if count == 0 { 0 } else { 8 + headers };
        text(self.ip.as_bytes().len())
            + 11
            + text(5)
            + text(self.settings.collector.len())
            + optional(self.user_agent)
            + optional(self.referer)
            + text(self.path.len())
            + text(self.query.len())
            + self.body.as_ref().map_or(0, |_| text(body_len))
            + list
            + optional(self.content_type.as_ref().map(|c| c.rendered.as_bytes()))
            + optional(self.hostname.as_deref())
            + text(self.id.len())
            + text(SCHEMA.len())
            + 1
    }

    /// Appends the record, with `body` for its body if it has one.
    pub fn encode(&self, body: Option<&[u8]>, out: &mut BytesMut) {
        let mut e = Encoder::new(out);
        e.string(field::IP_ADDRESS, self.ip.as_bytes());
        e.i64(field::TIMESTAMP, self.now_ms);
        e.string(field::ENCODING, b"UTF-8");
        e.string(field::COLLECTOR, &self.settings.collector);
        e.optional(field::USER_AGENT, self.user_agent);
        e.optional(field::REFERER, self.referer);
        e.string(field::PATH, self.path);
        e.string(field::QUERYSTRING, self.query);
        e.optional(field::BODY, body);
        let (count, _) = self.list;
        if count > 0 {
            e.begin_list(field::HEADERS, count);
            self.encode_headers(&mut e);
        }
        e.optional(field::CONTENT_TYPE, self.content_type.as_ref().map(|c| c.rendered.as_bytes()));
        e.optional(field::HOSTNAME, self.hostname.as_deref());
        e.string(field::NETWORK_USER_ID, &self.id);
        e.string(field::SCHEMA, SCHEMA.as_bytes());
        e.finish();
    }

    /// The record alone, for rows that quote it.
    pub fn to_bytes(&self, body: Option<&[u8]>) -> Bytes {
        let mut out = BytesMut::with_capacity(self.encoded_len(body.map_or(0, <[u8]>::len)));
        self.encode(body, &mut out);
        out.freeze()
    }

    /// Counts the header list.
    fn header_sizes(&self) -> (usize, usize) {
        let (mut count, mut bytes) = (0, 0);
        self.lines(|line| {
            count += 1;
            bytes += 4 + line.len();
        });
        (count, bytes)
    }

    fn encode_headers(&self, e: &mut Encoder<'_>) {
        self.lines(|line| {
            e.begin_item(line.len());
            match line {
                Line::Plain(name, value) => {
                    e.part(name);
                    e.part(b": ");
                    e.part(value);
                }
                Line::Cookie(value) => {
                    e.part(b"Cookie: ");
                    cookies::recorded(value, |piece| e.part(piece));
                }
                Line::ContentType(bare) => e.part(bare.as_bytes()),
            }
        });
    }

    /// Goes through the elements of the header list in order.
    #[inline]
    fn lines<'s>(&'s self, mut each: impl FnMut(Line<'s>)) {
        let mut forwarded_done = false;
        for (known, name, value) in self.headers.iter() {
            if self.anonymous && self.is_left_out(known, name) {
                continue;
            }
            match known {
                Name::Cookie => {
                    let line = Line::Cookie(value);
                    if line.len() > Line::COOKIE_LEAD {
                        each(line);
                    }
                }
                Name::XForwardedFor | Name::Forwarded => match &self.forwarded {
                    Forwarded::AsSent => each(Line::Plain(name, value)),
                    Forwarded::Only(text) if known == Name::XForwardedFor && !forwarded_done => {
                        forwarded_done = true;
                        each(Line::Plain(name, text.as_bytes()));
                    }
                    Forwarded::Only(_) | Forwarded::Nothing => {}
                },
                _ => each(Line::Plain(name, value)),
            }
        }
        if let Some(content_type) = &self.content_type {
            each(Line::ContentType(content_type.bare()));
        }
    }

    /// Whether an anonymous record leaves this header out. By name, whatever the value: an odd one tells as much.
    fn is_left_out(&self, known: Name, name: &[u8]) -> bool {
        match known {
            Name::Cookie | Name::XForwardedFor | Name::Forwarded | Name::ClientAddress => true,
            Name::Authorization => !self.settings.keep_authorization,
            Name::UserAgent if self.settings.drop_user_agent => true,
            _ => self.settings.drop_headers.iter().any(|d| name.eq_ignore_ascii_case(d.as_bytes())),
        }
    }
}

/// An element of the header list.
#[derive(Clone, Copy)]
enum Line<'s> {
    Plain(&'s [u8], &'s [u8]),
    Cookie(&'s [u8]),
    ContentType(&'s str),
}

impl Line<'_> {
    const COOKIE_LEAD: usize = "Cookie: ".len();

    fn len(&self) -> usize {
        match self {
            Line::Plain(name, value) => name.len() + 2 + value.len(),
            Line::Cookie(value) => {
                let mut len = Line::COOKIE_LEAD;
                cookies::recorded(value, |piece| len += piece.len());
                len
            }
            Line::ContentType(bare) => bare.len(),
        }
    }
}

fn lower(host: &[u8]) -> Cow<'_, [u8]> {
    if host.iter().any(u8::is_ascii_uppercase) { Cow::Owned(host.to_ascii_lowercase()) } else { Cow::Borrowed(host) }
}
