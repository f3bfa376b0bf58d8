//! The head of a request: request line and header fields, as stretches of the buffer that they came in.

use super::names::Name;
use memchr::{memchr2, memchr3};

/// A stretch of the buffer.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Span {
    /// First byte.
    pub from: u32,
    /// First byte after it.
    pub to: u32,
}

impl Span {
    /// The bytes. Empty when `buf` is not the buffer that was read.
    #[inline]
    pub fn of(self, buf: &[u8]) -> &[u8] {
        buf.get(self.from as usize..self.to as usize).unwrap_or_default()
    }

    /// How many bytes it spans.
    pub fn len(self) -> usize {
        (self.to - self.from) as usize
    }

    /// True when it spans none.
    pub fn is_empty(self) -> bool {
        self.from == self.to
    }
}

/// Lengths here fit: the limits are checked to be far below 4 GiB.
#[inline]
fn span(from: usize, to: usize) -> Span {
    Span { from: from as u32, to: to as u32 }
}

/// One header field.
#[derive(Clone, Copy, Debug)]
pub struct Header {
    /// Which name it is.
    pub known: Name,
    /// The name as it was sent.
    pub name: Span,
    /// The value without white space around it.
    pub value: Span,
}

/// The protocol version of a request.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Version {
    /// HTTP/1.0
    Http10,
    /// HTTP/1.1
    #[default]
    Http11,
}

/// How the body of a request ends.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Framing {
    /// There is no body.
    #[default]
    None,
    /// After so many bytes.
    Length(u64),
    /// In chunks.
    Chunked,
}

/// Bounds on a head.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct HeadLimits {
    /// Bytes of the request line, without its end.
    pub line: usize,
    /// Bytes of all header lines with their ends.
    pub headers: usize,
    /// Number of header fields.
    pub count: usize,
}

/// A head that was read. Reused from request to request: only the list of headers allocates.
#[derive(Debug, Default)]
pub struct Head {
    /// The method.
    pub method: Span,
    /// The request target, byte for byte.
    pub target: Span,
    /// The version.
    pub version: Version,
    /// The fields in order.
    pub headers: Vec<Header>,
    /// Bytes of the whole head, the empty line included; the body starts there.
    pub len: usize,
    /// How the body ends.
    pub framing: Framing,
    /// Whether the client wants (HTTP/1.0) or accepts (HTTP/1.1) further requests on the connection.
    pub keep_alive: bool,
    /// Whether the client waits for `100 Continue` before it sends the body.
    pub expects_continue: bool,
}

/// Why a head is refused. The connection is closed in every case: where the next request would start is not known.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum HeadError {
    /// Not HTTP/1 as it must be written.
    #[error("malformed request: {0}")]
    Malformed(&'static str),
    /// The request line is too long.
    #[error("the request line is too long")]
    LineTooLong,
    /// Header fields are too many or too long.
    #[error("the header fields are too long or too many")]
    HeadersTooLong,
    /// Lengths that contradict each other, or that another party could read differently.
    #[error("ambiguous body length: {0}")]
    Ambiguous(&'static str),
    /// Another expectation than `100-continue`.
    #[error("unknown expectation")]
    Expectation,
    /// Another transfer coding than `chunked`.
    #[error("unknown transfer coding")]
    Coding,
    /// Another major version than 1.
    #[error("unsupported HTTP version")]
    Version,
}

/// What reading came to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Parsed {
    /// The head is complete.
    Complete,
    /// More bytes are needed.
    Partial,
}

/// The most empty lines that are skipped before a request line (RFC 9112 §2.2: some clients send one after a body).
const MAX_EMPTY_LINES: usize = 4;

impl Head {
    /// Reads a head from the start of `buf`. Every byte is looked at once: names and methods byte by byte, targets and
    /// values sixteen at a time, up to the first that ends them.
    ///
    /// # Errors
    /// [`HeadError`], as early as it can be seen.
    pub fn parse(&mut self, buf: &[u8], limits: &HeadLimits) -> Result<Parsed, HeadError> {
        self.headers.clear();
        let mut at = 0;
        while buf[at..].starts_with(b"\r\n") {
            at += 2;
            if at > 2 * MAX_EMPTY_LINES {
                return Err(HeadError::Malformed("empty lines before the request"));
            }
        }
        let Some(first) = self.request_line(buf, at, limits.line)? else { return Ok(Parsed::Partial) };
        at = first;
        loop {
            match buf.get(at..at + 2) {
                Some(b"\r\n") => {
                    self.len = at + 2;
                    self.settle(buf)?;
                    return Ok(Parsed::Complete);
                }
                Some(_) => {}
                None if buf.get(at).is_none_or(|b| *b == b'\r') => return Ok(Parsed::Partial),
                None => {}
            }
            if self.headers.len() >= limits.count {
                return Err(HeadError::HeadersTooLong);
            }
            let room = (first + limits.headers).saturating_sub(at);
            let Some((header, next)) = field(buf, at, room)? else { return Ok(Parsed::Partial) };
            self.headers.push(header);
            at = next;
        }
    }

    /// Reads the request line; where the next line starts, or `None` when it is not complete.
    fn request_line(&mut self, buf: &[u8], from: usize, most: usize) -> Result<Option<usize>, HeadError> {
        const VERSION: usize = "HTTP/1.1".len();
        let line = &buf[from..];
        let method_end = line.iter().take(most).position(|&b| !is_token(b)).unwrap_or(line.len().min(most));
        match line.get(method_end) {
            Some(b' ') if method_end > 0 => {}
            Some(_) if method_end >= most => return Err(HeadError::LineTooLong),
            // The start of an empty line that has not come whole.
            Some(b'\r') if line.len() == 1 => return Ok(None),
            Some(_) => return Err(HeadError::Malformed("method")),
            None if line.len() > most => return Err(HeadError::LineTooLong),
            None => return Ok(None),
        }
        let target = &line[method_end + 1..];
        let Some(target_end) = find_stop(target, true) else {
            return if line.len() > most { Err(HeadError::LineTooLong) } else { Ok(None) };
        };
        let version_at = method_end + 1 + target_end + 1;
        let line_end = version_at + VERSION;
        if line_end > most {
            return Err(HeadError::LineTooLong);
        }
        if target_end == 0 || target[target_end] != b' ' {
            return Err(HeadError::Malformed("request target"));
        }
        let rest = &line[version_at..];
        match rest.get(..VERSION + 2) {
            Some(b"HTTP/1.1\r\n") => self.version = Version::Http11,
            Some(b"HTTP/1.0\r\n") => self.version = Version::Http10,
            Some([b'H', b'T', b'T', b'P', b'/', major, b'.', minor, b'\r', b'\n'])
                if major.is_ascii_digit() && minor.is_ascii_digit() =>
            {
                return Err(HeadError::Version);
            }
            None if is_start_of_version(rest) => return Ok(None),
            _ => return Err(HeadError::Malformed("protocol version")),
        }
        self.method = span(from, from + method_end);
        self.target = span(from + method_end + 1, from + method_end + 1 + target_end);
        Ok(Some(from + line_end + 2))
    }

    /// Works out where the body ends and whether the connection stays.
    fn settle(&mut self, buf: &[u8]) -> Result<(), HeadError> {
        let mut length: Option<u64> = None;
        let mut coding: Option<&[u8]> = None;
        let mut hosts = 0;
        let (mut close, mut keep) = (false, false);
        self.expects_continue = false;
        for header in &self.headers {
            let value = header.value.of(buf);
            match header.known {
                Name::ContentLength => {
                    let n = decimal(value).ok_or(HeadError::Ambiguous("Content-Length is no number"))?;
                    if length.replace(n).is_some() {
                        return Err(HeadError::Ambiguous("more than one Content-Length"));
                    }
                }
                Name::TransferEncoding if coding.replace(value).is_some() => {
                    return Err(HeadError::Ambiguous("more than one Transfer-Encoding"));
                }
                Name::Connection => {
                    for option in value.split(|&b| b == b',').map(<[u8]>::trim_ascii) {
                        close |= option.eq_ignore_ascii_case(b"close");
                        keep |= option.eq_ignore_ascii_case(b"keep-alive");
                    }
                }
                Name::Expect if value.eq_ignore_ascii_case(b"100-continue") => {
                    self.expects_continue = self.version == Version::Http11;
                }
                Name::Expect => return Err(HeadError::Expectation),
                Name::Host => {
                    hosts += 1;
                    if !is_host(value) {
                        return Err(HeadError::Malformed("Host"));
                    }
                }
                _ => {}
            }
        }
        // RFC 9112 §3.2: exactly one Host, or none before HTTP/1.1.
        if hosts > 1 || (hosts == 0 && self.version == Version::Http11) {
            return Err(HeadError::Malformed("one Host is needed"));
        }
        self.framing = match (coding, length) {
            (Some(_), Some(_)) => return Err(HeadError::Ambiguous("Content-Length beside Transfer-Encoding")),
            (Some(_), None) if self.version == Version::Http10 => {
                return Err(HeadError::Ambiguous("Transfer-Encoding in HTTP/1.0"));
            }
            (Some(c), None) if c.eq_ignore_ascii_case(b"chunked") => Framing::Chunked,
            (Some(_), None) => return Err(HeadError::Coding),
            (None, None | Some(0)) => Framing::None,
            (None, Some(n)) => Framing::Length(n),
        };
        self.keep_alive = !close && (self.version == Version::Http11 || keep);
        Ok(())
    }
}

/// Reads the header line at `from`: the field and where the next line starts, or `None` when it is not complete. `most` is
/// what all header lines may still take.
#[inline]
fn field(buf: &[u8], from: usize, most: usize) -> Result<Option<(Header, usize)>, HeadError> {
    let line = &buf[from..];
    let unfinished = if line.len() > most { Err(HeadError::HeadersTooLong) } else { Ok(None) };
    let Some(colon) = line.iter().position(|&b| !is_token(b)) else { return unfinished };
    match line[colon] {
        b':' if colon > 0 => {}
        b' ' | b'\t' if colon == 0 => return Err(HeadError::Ambiguous("a folded header line")),
        _ => return Err(HeadError::Malformed("a header name")),
    }
    let Some(end) = find_stop(&line[colon + 1..], false).map(|n| colon + 1 + n) else { return unfinished };
    match (line[end], line.get(end + 1)) {
        (b'\r', Some(b'\n')) => {}
        (b'\r', None) => return unfinished,
        (b'\r', Some(_)) => return Err(HeadError::Malformed("a bare carriage return")),
        (b'\n', _) => return Err(HeadError::Malformed("a line that ends in a bare line feed")),
        _ => return Err(HeadError::Malformed("a control character in a header value")),
    }
    if end > most {
        return Err(HeadError::HeadersTooLong);
    }
    let mut value = (colon + 1, end);
    while value.0 < value.1 && matches!(line[value.0], b' ' | b'\t') {
        value.0 += 1;
    }
    while value.1 > value.0 && matches!(line[value.1 - 1], b' ' | b'\t') {
        value.1 -= 1;
    }
    let header = Header {
        known: Name::of(&line[..colon]),
        name: span(from, from + colon),
        value: span(from + value.0, from + value.1),
    };
    Ok(Some((header, from + end + 2)))
}

/// The first control character, but for a tab; in a target also the first space or tab. First the end that is expected is
/// looked for, then whether something else is before it: two vector loops without a branch in them.
#[inline]
fn find_stop(bytes: &[u8], in_target: bool) -> Option<usize> {
    let control = |b: u8| (b < 0x20) | (b == 0x7f);
    let stops = |b: u8| if in_target { control(b) } else { control(b) & (b != b'\t') };
    let end = if in_target { memchr3(b' ', b'\r', b'\n', bytes) } else { memchr2(b'\r', b'\n', bytes) };
    let before = bytes.get(..end.unwrap_or(bytes.len()))?;
    if before.iter().fold(0u8, |found, &b| found | u8::from(stops(b))) == 0 {
        return end;
    }
    before.iter().position(|&b| stops(b))
}

/// Whether bytes may become the end of a request line when more come.
fn is_start_of_version(rest: &[u8]) -> bool {
    let pattern = b"HTTP/0.0\r\n";
    rest.len() < pattern.len()
        && rest.iter().zip(pattern).all(|(b, p)| if *p == b'0' { b.is_ascii_digit() } else { b == p })
}

/// Characters of a token (RFC 9110 §5.6.2).
#[inline]
pub fn is_token(b: u8) -> bool {
    const TOKEN: [bool; 256] = {
        let mut table = [false; 256];
        let mut b = 0;
        while b < 256 {
            table[b] = (b as u8).is_ascii_alphanumeric()
                || matches!(b as u8, b'!' | b'#'..=b'\'' | b'*' | b'+' | b'-' | b'.' | b'^'..=b'`' | b'|' | b'~');
            b += 1;
        }
        table
    };
    TOKEN[usize::from(b)]
}

/// Digits only, no sign, no list.
fn decimal(text: &[u8]) -> Option<u64> {
    if text.is_empty() || text.len() > 19 {
        return None;
    }
    text.iter().try_fold(0u64, |n, b| b.is_ascii_digit().then(|| n * 10 + u64::from(b - b'0')))
}

/// Whether this is a host with or without port: not empty, and nothing in it that could be read as another part of a URL.
pub fn is_host(value: &[u8]) -> bool {
    !value.is_empty()
        && value.iter().all(|&b| {
            b.is_ascii_alphanumeric()
                || matches!(
                    b,
                    b'-' | b'.'
                        | b'_'
                        | b'~'
                        | b':'
                        | b'['
                        | b']'
                        | b'%'
                        | b'!'
                        | b'$'
                        | b'&'
                        | b'\''
                        | b'('
                        | b')'
                        | b'*'
                        | b'+'
                        | b';'
                        | b'='
                )
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: HeadLimits = HeadLimits { line: 100, headers: 400, count: 8 };

    fn parse(text: &[u8]) -> (Result<Parsed, HeadError>, Head) {
        let mut head = Head::default();
        (head.parse(text, &LIMITS), head)
    }

    #[test]
    fn a_head_points_into_its_buffer() {
        let text = b"\r\nPOST /i?a={b}|\xff HTTP/1.1\r\nhost:  h:80 \r\nX-Y:\r\nConnection: close, TE\r\nContent-Length: 12\r\n\r\nbody";
        let (parsed, head) = parse(text);
        assert_eq!(parsed, Ok(Parsed::Complete));
        assert_eq!(head.method.of(text), b"POST");
        assert_eq!(head.target.of(text), b"/i?a={b}|\xff");
        assert_eq!(head.headers[0].name.of(text), b"host");
        assert_eq!(head.headers[0].value.of(text), b"h:80");
        assert!(head.headers[1].value.is_empty());
        assert_eq!(&text[head.len..], b"body");
        assert_eq!(head.framing, Framing::Length(12));
        assert!(!head.keep_alive);
    }

    #[test]
    fn every_prefix_is_partial() {
        let text = b"GET /i HTTP/1.1\r\nHost: h\r\nAccept: */*\r\n\r\n";
        for cut in 0..text.len() {
            assert_eq!(parse(&text[..cut]).0, Ok(Parsed::Partial), "{cut}");
        }
        let (parsed, head) = parse(text);
        assert_eq!((parsed, head.keep_alive, head.framing), (Ok(Parsed::Complete), true, Framing::None));
    }

    #[test]
    fn what_could_be_read_in_two_ways_is_refused() {
        use HeadError::{Ambiguous, Coding, Expectation, Malformed, Version};
        for (lines, wanted) in [
            ("GET / HTTP/1.1\nHost: h\r\n\r\n", Malformed("")),
            ("GET / HTTP/1.1\r\nHost: h\n\r\n", Malformed("")),
            ("GET / HTTP/1.1\r\nHost: h\rX: y\r\n\r\n", Malformed("")),
            ("GET / HTTP/1.1\r\nHost: h\r\n folded\r\n\r\n", Ambiguous("")),
            ("GET / HTTP/1.1\r\nHost : h\r\n\r\n", Malformed("")),
            ("GET / HTTP/1.1\r\n: h\r\n\r\n", Malformed("")),
            ("GET / HTTP/1.1\r\nHost\r\n\r\n", Malformed("")),
            ("GET / HTTP/1.1\r\n\r\n", Malformed("")),
            ("GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n", Malformed("")),
            ("GET / HTTP/1.1\r\nHost:\r\n\r\n", Malformed("")),
            ("GET / HTTP/1.1\r\nHost: a/b\r\n\r\n", Malformed("")),
            ("GET / HTTP/1.1\r\nHost: a\r\nX: a\0b\r\n\r\n", Malformed("")),
            ("GET /a b HTTP/1.1\r\nHost: a\r\n\r\n", Malformed("")),
            ("GET  / HTTP/1.1\r\nHost: a\r\n\r\n", Malformed("")),
            ("GET /\tx HTTP/1.1\r\nHost: a\r\n\r\n", Malformed("")),
            ("G@T / HTTP/1.1\r\nHost: a\r\n\r\n", Malformed("")),
            ("GET /\r\n\r\n", Malformed("")),
            ("GET / HTTP/1.2\r\nHost: a\r\n\r\n", Version),
            ("GET / http/1.1\r\nHost: a\r\n\r\n", Malformed("")),
            ("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\n", Ambiguous("")),
            ("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1, 1\r\n\r\n", Ambiguous("")),
            ("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: +1\r\n\r\n", Ambiguous("")),
            ("POST / HTTP/1.1\r\nHost: a\r\nContent-Length:\r\n\r\n", Ambiguous("")),
            ("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 99999999999999999999\r\n\r\n", Ambiguous("")),
            ("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n", Ambiguous("")),
            ("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: x\r\n\r\n", Ambiguous("")),
            ("POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n", Ambiguous("")),
            ("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip, chunked\r\n\r\n", Coding),
            ("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: xchunked\r\n\r\n", Coding),
            ("POST / HTTP/1.1\r\nHost: a\r\nExpect: 200-ok\r\n\r\n", Expectation),
            ("\r\n\r\n\r\n\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", Malformed("")),
        ] {
            let got = parse(lines.as_bytes()).0.unwrap_err();
            assert_eq!(std::mem::discriminant(&got), std::mem::discriminant(&wanted), "{lines:?}: {got}");
        }
    }

    #[test]
    fn lengths_are_bounded() {
        let line = |n: usize| format!("GET /{} HTTP/1.1\r\nHost: h\r\n\r\n", "x".repeat(n - 14));
        assert_eq!(parse(line(100).as_bytes()).0, Ok(Parsed::Complete));
        assert_eq!(parse(line(101).as_bytes()).0, Err(HeadError::LineTooLong));
        assert_eq!(parse(&[b'x'; 101]).0, Err(HeadError::LineTooLong));
        let headers = format!("GET / HTTP/1.1\r\nHost: h\r\nX: {}", "y".repeat(400));
        assert_eq!(parse(headers.as_bytes()).0, Err(HeadError::HeadersTooLong));
        let many = format!("GET / HTTP/1.1\r\nHost: h\r\n{}\r\n", "a:b\r\n".repeat(8));
        assert_eq!(parse(many.as_bytes()).0, Err(HeadError::HeadersTooLong));
    }

    #[test]
    fn keep_alive_by_version() {
        for (text, keep) in [
            ("GET / HTTP/1.0\r\n\r\n", false),
            ("GET / HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n", true),
            ("GET / HTTP/1.1\r\nHost: h\r\nConnection: keep-alive, Close\r\n\r\n", false),
        ] {
            assert_eq!(parse(text.as_bytes()).1.keep_alive, keep, "{text:?}");
        }
    }
}
