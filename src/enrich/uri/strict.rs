//! The strict reading: RFC 2396 as Java's `java.net.URI` applies it, authorities that name no server included.

use super::chars::{self, PATH, REG_NAME, SERVER, Stop, URIC, USER_INFO};
use super::{Parts, Span, UriError};

/// Ranges of the components of `text`.
pub(super) fn parse(text: &str) -> Result<Parts, UriError> {
    let bytes = text.as_bytes();
    let end = bytes.len();
    let mut parts = Parts::default();
    let first = bytes.iter().position(|&b| b <= b'?' && matches!(b, b'/' | b'?' | b'#' | b':'));
    let mut at = 0;
    let mut opaque = false;
    if let Some(colon) = first.filter(|&i| bytes[i] == b':') {
        scheme(text, colon)?;
        parts.scheme = Span::new(0, colon);
        at = colon + 1;
        opaque = bytes.get(at) != Some(&b'/');
    }
    let hash = bytes[at..].iter().position(|&b| b == b'#').map_or(end, |i| at + i);
    if opaque {
        if hash <= at {
            return Err(UriError { at, what: "nothing after the scheme" });
        }
        check(text, at, hash, URIC, "a character that may not stand in this part")?;
    } else {
        hierarchical(text, at, hash, &mut parts)?;
    }
    if hash < end {
        check(text, hash + 1, end, URIC, "a character that may not stand in a fragment")?;
        parts.fragment = Span::new(hash + 1, end);
    }
    Ok(parts)
}

fn scheme(text: &str, colon: usize) -> Result<(), UriError> {
    let bytes = text.as_bytes();
    if colon == 0 {
        return Err(UriError { at: 0, what: "no scheme before the colon" });
    }
    if !bytes[0].is_ascii_alphabetic() {
        return Err(UriError { at: 0, what: "a scheme starts with a letter" });
    }
    let wrong = |b: &u8| !b.is_ascii_alphanumeric() && !matches!(b, b'+' | b'-' | b'.');
    match bytes[..colon].iter().position(wrong) {
        None => Ok(()),
        Some(at) => Err(UriError { at, what: "a character that may not stand in a scheme" }),
    }
}

fn check(text: &str, from: usize, to: usize, mask: u8, what: &'static str) -> Result<(), UriError> {
    match chars::scan(text, from, to, mask) {
        Stop::At(at) if at >= to => Ok(()),
        Stop::At(at) => Err(UriError { at, what }),
        Stop::BadEscape(at) => Err(UriError { at, what: "a % without two hexadecimal digits" }),
    }
}

/// `[//authority][path][?query]`
fn hierarchical(text: &str, start: usize, end: usize, parts: &mut Parts) -> Result<(), UriError> {
    let bytes = text.as_bytes();
    let find =
        |from: usize, stop: &[u8]| bytes[from..end].iter().position(|b| stop.contains(b)).map_or(end, |i| from + i);
    let mut at = start;
    if bytes[at..end].starts_with(b"//") {
        at += 2;
        let stop = find(at, b"/?");
        if stop > at {
            authority(text, at, stop, parts)?;
            at = stop;
        } else if stop == text.len() {
            return Err(UriError { at, what: "no authority after the slashes" });
        }
    }
    let question = find(at, b"?");
    check(text, at, question, PATH, "a character that may not stand in a path")?;
    parts.path = Span::new(at, question);
    if question < end {
        check(text, question + 1, end, URIC, "a character that may not stand in a query")?;
        parts.query = Span::new(question + 1, end);
    }
    Ok(())
}

/// An authority that names no server (a registry name) is legal but has neither host nor port.
fn authority(text: &str, from: usize, to: usize, parts: &mut Parts) -> Result<(), UriError> {
    // Nearly every authority is a plain host name; the long way would find the same.
    if let Ok(end) = host_name(text.as_bytes(), from, to)
        && end == to
    {
        parts.host = Span::new(from, to);
        return Ok(());
    }
    let bad_escape = |at| UriError { at, what: "a % without two hexadecimal digits" };
    let registry = match chars::scan(text, from, to, REG_NAME) {
        Stop::At(at) => at == to,
        Stop::BadEscape(at) => return Err(bad_escape(at)),
    };
    // Java lets a zone identifier bring a `%` only together with brackets; `scan` already takes whole escapes.
    let brackets = text.as_bytes()[from..to].contains(&b']');
    let server = if brackets { zone_scan(text, from, to) } else { server_scan(text, from, to) };
    match server {
        Ok(true) => match server_parts(text, from, to) {
            Ok((host, port)) => {
                parts.host = Some(host);
                parts.port = port;
                Ok(())
            }
            Err(_) if registry => Ok(()),
            Err(e) => Err(e),
        },
        Ok(false) if registry => Ok(()),
        Ok(false) => Err(UriError { at: from, what: "a character that may not stand in an authority" }),
        Err(at) => Err(bad_escape(at)),
    }
}

/// Whether all characters may stand in a server authority; escapes may, a bad one ends the reading.
fn server_scan(text: &str, from: usize, to: usize) -> Result<bool, usize> {
    match chars::scan(text, from, to, SERVER) {
        Stop::At(at) => Ok(at == to),
        Stop::BadEscape(at) => Err(at),
    }
}

/// As [`server_scan`], but a `%` (of a zone identifier) stands for itself.
fn zone_scan(text: &str, from: usize, to: usize) -> Result<bool, usize> {
    let mut at = from;
    loop {
        match chars::scan(text, at, to, SERVER) {
            Stop::At(stop) => return Ok(stop == to),
            Stop::BadEscape(stop) => at = stop + 1,
        }
    }
}

/// `[userinfo@]host[:port]`
fn server_parts(text: &str, from: usize, to: usize) -> Result<(Span, Option<i32>), UriError> {
    let bytes = text.as_bytes();
    let mut at = from;
    if let Some(sign) = bytes[from..to].iter().position(|&b| b == b'@') {
        check(text, from, from + sign, USER_INFO, "a character that may not stand in user information")?;
        at = from + sign + 1;
    }
    let host_end = if bytes[at..to].first() == Some(&b'[') {
        bracketed(text, at, to)?
    } else {
        match ipv4(bytes, at, to) {
            Some(end) => end,
            None => host_name(bytes, at, to)?,
        }
    };
    let host = Span { from: at, to: host_end };
    if host_end == to {
        return Ok((host, None));
    }
    if bytes[host_end] != b':' {
        return Err(UriError { at: host_end, what: "neither a port nor the end after the host" });
    }
    let digits = &text[host_end + 1..to];
    if digits.is_empty() {
        return Ok((host, None));
    }
    match digits.bytes().all(|b| b.is_ascii_digit()).then(|| digits.parse::<i32>().ok()).flatten() {
        Some(port) => Ok((host, Some(port))),
        None => Err(UriError { at: host_end + 1, what: "a port that is no number" }),
    }
}

fn bracketed(text: &str, at: usize, to: usize) -> Result<usize, UriError> {
    let close = text[at..to].find(']').ok_or(UriError { at, what: "no closing bracket" })? + at;
    let inner = &text[at + 1..close];
    let (address, zone) = inner.split_once('%').map_or((inner, None), |(a, z)| (a, Some(z)));
    let zone_ok =
        zone.is_none_or(|z| !z.is_empty() && z.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'.'));
    if !zone_ok || address.parse::<std::net::Ipv6Addr>().is_err() {
        return Err(UriError { at: at + 1, what: "no IPv6 address between the brackets" });
    }
    Ok(close + 1)
}

/// End of a dotted quad that is followed by a colon or nothing.
fn ipv4(bytes: &[u8], from: usize, to: usize) -> Option<usize> {
    let stop = bytes[from..to].iter().position(|b| !b.is_ascii_digit() && *b != b'.').map_or(to, |i| from + i);
    if stop < to && bytes[stop] != b':' {
        return None;
    }
    let mut groups = 0;
    for group in bytes[from..stop].split(|&b| b == b'.') {
        let value = group.iter().try_fold(0u32, |v, b| Some(v.checked_mul(10)? + u32::from(b - b'0')));
        if group.is_empty() || value.is_none_or(|v| v > 255) {
            return None;
        }
        groups += 1;
    }
    (groups == 4).then_some(stop)
}

/// `*( label "." ) label [ "." ]`: labels of letters, digits and inner dashes; the last of several starts with a letter.
fn host_name(bytes: &[u8], from: usize, to: usize) -> Result<usize, UriError> {
    let wrong = |at| UriError { at, what: "a character that may not stand in a host name" };
    let mut at = from;
    let mut last = None;
    while at < to && bytes[at].is_ascii_alphanumeric() {
        last = Some(at);
        while at < to && (bytes[at].is_ascii_alphanumeric() || bytes[at] == b'-') {
            at += 1;
        }
        if bytes[at - 1] == b'-' {
            return Err(wrong(at - 1));
        }
        if at < to && bytes[at] == b'.' {
            at += 1;
        } else {
            break;
        }
    }
    let Some(last) = last else { return Err(wrong(from)) };
    if at < to && bytes[at] != b':' {
        return Err(wrong(at));
    }
    if last > from && !bytes[last].is_ascii_alphabetic() {
        return Err(wrong(last));
    }
    Ok(at)
}
