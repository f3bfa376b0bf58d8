//! A request as the core sees it, whichever version of HTTP it came by: borrowed bytes, nothing decoded.

use super::client_ip::IpText;
use crate::net::http1::head::is_host;
use crate::net::http1::{Header, Name};
use memchr::{memchr, memchr2, memmem};
use std::net::IpAddr;

/// The method.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[allow(missing_docs)]
pub enum Method {
    Get,
    Head,
    Post,
    Options,
    Other,
}

impl Method {
    /// Which one it is; method names are case-sensitive.
    pub fn of(name: &[u8]) -> Method {
        match name {
            b"GET" => Method::Get,
            b"POST" => Method::Post,
            b"HEAD" => Method::Head,
            b"OPTIONS" => Method::Options,
            _ => Method::Other,
        }
    }
}

/// Why a request target is no URI as it must be written. The request is kept as a failed row.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum IllegalUri {
    /// `%` and not two hexadecimal digits.
    #[error("the request target has a % that no two hexadecimal digits follow, at byte {0}")]
    Escape(usize),
    /// `#`, which no client may send.
    #[error("the request target has a #, at byte {0}")]
    Fragment(usize),
    /// A byte above 0x7F that is not escaped.
    #[error("the request target has a raw byte above 0x7F, at byte {0}")]
    NotAscii(usize),
}

/// A request target in its parts.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Target<'a> {
    /// Host and port of an absolute target.
    pub authority: Option<&'a [u8]>,
    /// The path, raw.
    pub path: &'a [u8],
    /// What follows `?`, raw.
    pub query: Option<&'a [u8]>,
    /// Whether every byte is allowed.
    pub legal: Result<(), IllegalUri>,
    /// Whether an escape in it may stand for a lower-case letter: then a parameter's name may be written in another way.
    pub escaped_letters: bool,
}

impl<'a> Target<'a> {
    /// Takes a target apart. `None` when it is none of the forms that a collector is sent: `/path`, `scheme://host/path`, `*`.
    pub fn of(target: &'a [u8]) -> Option<Self> {
        let (authority, rest) = if target.first() == Some(&b'/') || target == b"*" {
            (None, target)
        } else {
            let at = memmem::find(target, b"://")?;
            let scheme = &target[..at];
            if !scheme.eq_ignore_ascii_case(b"http") && !scheme.eq_ignore_ascii_case(b"https") {
                return None;
            }
            let rest = &target[at + 3..];
            let end = rest.iter().position(|b| matches!(b, b'/' | b'?' | b'#')).unwrap_or(rest.len());
            if !is_host(&rest[..end]) {
                return None;
            }
            (Some(&rest[..end]), &rest[end..])
        };
        let (path, query) = match memchr2(b'?', b'#', rest) {
            Some(at) if rest[at] == b'?' => (&rest[..at], Some(&rest[at + 1..])),
            Some(at) => (&rest[..at], Some(&rest[at..])),
            None => (rest, None),
        };
        let path = if path.is_empty() { b"/" } else { path };
        let mut escaped_letters = false;
        let legal = check(target, &mut escaped_letters);
        Some(Target { authority, path, query, legal, escaped_letters: escaped_letters || legal.is_err() })
    }
}

/// Whether a target has only bytes that are taken. More is taken than the RFC allows: raw `{ } | ^ \ ` " < >` are what
/// un-rendered advertising macros look like, and losing them helps nobody. On the way it is seen whether letters are escaped.
fn check(target: &[u8], escaped_letters: &mut bool) -> Result<(), IllegalUri> {
    // A vector loop for what is nearly always absent; the position is looked for only when it is there.
    if target.iter().fold(0, |seen, b| seen | b) > 0x7f {
        return Err(IllegalUri::NotAscii(target.iter().position(|b| *b > 0x7f).unwrap_or(0)));
    }
    if let Some(at) = memchr(b'#', target) {
        return Err(IllegalUri::Fragment(at));
    }
    let mut at = 0;
    while let Some(step) = target.get(at..).and_then(|rest| memchr(b'%', rest)) {
        at += step;
        // Escapes come in runs.
        while target.get(at) == Some(&b'%') {
            match target.get(at + 1..at + 3) {
                Some([high, low]) if high.is_ascii_hexdigit() && low.is_ascii_hexdigit() => {
                    *escaped_letters |= matches!(high, b'6' | b'7');
                }
                _ => return Err(IllegalUri::Escape(at)),
            }
            at += 3;
        }
    }
    Ok(())
}

/// Header fields: where they stand, and the bytes they stand in.
#[derive(Clone, Copy, Debug)]
pub struct Headers<'a> {
    bytes: &'a [u8],
    list: &'a [Header],
}

impl<'a> Headers<'a> {
    /// Fields whose spans point into `bytes`.
    pub fn new(bytes: &'a [u8], list: &'a [Header]) -> Self {
        Headers { bytes, list }
    }

    /// The fields in order: which, name as sent, value.
    #[inline]
    pub fn iter(self) -> impl Iterator<Item = (Name, &'a [u8], &'a [u8])> {
        self.list.iter().map(move |h| (h.known, h.name.of(self.bytes), h.value.of(self.bytes)))
    }

    /// The value of the first field of that name.
    #[inline]
    pub fn get(self, name: Name) -> Option<&'a [u8]> {
        self.list.iter().find(|h| h.known == name).map(|h| h.value.of(self.bytes))
    }

    /// The values of all fields of that name.
    pub fn all(self, name: Name) -> impl Iterator<Item = &'a [u8]> + Clone {
        self.list.iter().filter(move |h| h.known == name).map(move |h| h.value.of(self.bytes))
    }

    /// The value of the first field with any name, case aside.
    pub fn named(self, name: &str) -> Option<&'a [u8]> {
        self.iter().find(|(_, n, _)| n.eq_ignore_ascii_case(name.as_bytes())).map(|(_, _, v)| v)
    }
}

/// Who is connected: the address, and its text, made once a connection.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Peer {
    /// The address.
    pub addr: IpAddr,
    /// Its text.
    pub text: IpText,
}

impl From<IpAddr> for Peer {
    fn from(addr: IpAddr) -> Self {
        Peer { addr, text: IpText::of(addr) }
    }
}

/// One request.
#[derive(Clone, Copy, Debug)]
pub struct Request<'a> {
    /// The method.
    pub method: Method,
    /// The target.
    pub target: Target<'a>,
    /// `:authority` of HTTP/2.
    pub authority: Option<&'a [u8]>,
    /// The header fields.
    pub headers: Headers<'a>,
    /// The body as it came, not decompressed; empty when there is none.
    pub body: &'a [u8],
    /// Who is connected, or whom the PROXY protocol named.
    pub peer: Peer,
}

impl<'a> Request<'a> {
    /// Host without port, IPv6 without brackets; `None` when the client did not say.
    pub fn hostname(&self) -> Option<&'a [u8]> {
        let host = self.target.authority.or(self.authority).or_else(|| self.headers.get(Name::Host))?;
        if let Some(v6) = host.strip_prefix(b"[") {
            return Some(&v6[..memchr(b']', v6).unwrap_or(v6.len())]);
        }
        Some(&host[..memchr(b':', host).unwrap_or(host.len())])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn target(text: &[u8]) -> Target<'_> {
        Target::of(text).unwrap()
    }

    #[test]
    fn targets_come_apart() {
        let t = target(b"/a/b?x=1?y");
        assert_eq!((t.authority, t.path, t.query), (None, &b"/a/b"[..], Some(&b"x=1?y"[..])));
        let t = target(b"/a/b");
        assert_eq!((t.path, t.query), (&b"/a/b"[..], None));
        let t = target(b"HTTP://h.example:8080?x");
        assert_eq!((t.authority, t.path, t.query), (Some(&b"h.example:8080"[..]), &b"/"[..], Some(&b"x"[..])));
        let t = target(b"/i#f?e=pv");
        assert_eq!((t.path, t.query), (&b"/i"[..], Some(&b"#f?e=pv"[..])));
        assert_eq!(target(b"*").path, b"*");
        for bad in [&b"i?e=pv"[..], b"ftp://h/i", b"http://", b"http://u@h/i", b"http://a\"b/i", b"h:80"] {
            assert_eq!(Target::of(bad), None, "{bad:?}");
        }
    }

    #[test]
    fn what_is_legal() {
        for fine in [&br#"/i?a={}|^\`"<>"#[..], b"/i?a=%FF%00", b"/i?", b"/%2F/x", b"/i?a=%7b"] {
            assert_eq!(target(fine).legal, Ok(()), "{fine:?}");
        }
        assert!(target(b"/i?%6euid=1").escaped_letters && target(b"/i?n%75id=1").escaped_letters);
        assert!(!target(b"/i?a=%2F%3D%41").escaped_letters && target(b"/i?%6euid=%zz").escaped_letters);
        assert_eq!(target(b"/i?a=%zz").legal, Err(IllegalUri::Escape(5)));
        assert_eq!(target(b"/i?a=%").legal, Err(IllegalUri::Escape(5)));
        assert_eq!(target(b"/i?a=%4").legal, Err(IllegalUri::Escape(5)));
        assert_eq!(target(b"/i?a=b#c").legal, Err(IllegalUri::Fragment(6)));
        assert_eq!(target(b"/i?a=caf\xc3\xa9").legal, Err(IllegalUri::NotAscii(8)));
    }

    #[test]
    fn hostnames() {
        let host = |value: &[u8], absolute: Option<&'static [u8]>| {
            let line = [b"Host", value].concat();
            let list = [Header {
                known: Name::Host,
                name: crate::net::http1::Span { from: 0, to: 4 },
                value: crate::net::http1::Span { from: 4, to: line.len() as u32 },
            }];
            let r = Request {
                method: Method::Get,
                target: Target { authority: absolute, path: b"/i", query: None, legal: Ok(()), escaped_letters: false },
                authority: None,
                headers: Headers::new(&line, &list),
                body: b"",
                peer: IpAddr::from([127, 0, 0, 1]).into(),
            };
            r.hostname().map(<[u8]>::to_vec).unwrap()
        };
        assert_eq!(host(b"C.example:8080", None), b"C.example");
        assert_eq!(host(b"[2001:db8::1]:80", None), b"2001:db8::1");
        assert_eq!(host(b"other", Some(b"c.example:1")), b"c.example");
    }
}
