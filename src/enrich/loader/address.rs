//! The client's address: `X-Forwarded-For`, else `Forwarded`, else the connection.

use std::borrow::Cow;

/// Most groups of an address that is not a dotted quad; more is no address.
const MAX_GROUPS: usize = 15;

/// Looks through the headers in order. The first `X-Forwarded-For` with an address wins; the last `Forwarded: for=` with one
/// comes next (the reference forgets it when any other header follows; this does not); then what the collector saw.
pub(super) fn client<'t>(headers: &'t [Cow<'t, str>], peer: &'t str) -> Option<Cow<'t, str>> {
    let mut forwarded = None;
    for header in headers {
        let Some((name, value)) = header.split_once(':') else { continue };
        if name.eq_ignore_ascii_case("X-Forwarded-For") {
            if let Some(address) = read(value.trim_start()) {
                return Some(address);
            }
        } else if name.eq_ignore_ascii_case("Forwarded")
            && let Some(address) = forwarded_for(value)
        {
            forwarded = Some(address);
        }
    }
    forwarded.or((!peer.is_empty()).then_some(Cow::Borrowed(peer)))
}

/// The first `for=` among the pairs of a `Forwarded` header.
fn forwarded_for(value: &str) -> Option<Cow<'_, str>> {
    value.split([';', ',']).map(str::trim).find_map(|pair| {
        let (name, value) = pair.split_once('=')?;
        name.eq_ignore_ascii_case("for").then(|| read(value))?
    })
}

/// The address at the start of the text, after a quote and a bracket; lower-cased. What follows it is ignored.
fn read(text: &str) -> Option<Cow<'_, str>> {
    let text = text.strip_prefix('"').unwrap_or(text);
    let text = text.strip_prefix('[').unwrap_or(text);
    let address = quad(text).or_else(|| groups(text))?;
    Some(if address.bytes().any(|b| b.is_ascii_uppercase()) {
        Cow::Owned(address.to_ascii_lowercase())
    } else {
        Cow::Borrowed(address)
    })
}

/// Four groups of one to three digits.
fn quad(text: &str) -> Option<&str> {
    let bytes = text.as_bytes();
    let mut at = 0;
    for group in 0..4 {
        if group > 0 {
            if bytes.get(at) != Some(&b'.') {
                return None;
            }
            at += 1;
        }
        let digits = bytes[at..].iter().take(3).take_while(|b| b.is_ascii_digit()).count();
        if digits == 0 {
            return None;
        }
        at += digits;
    }
    Some(&text[..at])
}

/// Hexadecimal groups with colons (and dots, for an embedded IPv4 address).
fn groups(text: &str) -> Option<&str> {
    let end = text.bytes().position(|b| !b.is_ascii_hexdigit() && b != b':' && b != b'.').unwrap_or(text.len());
    let address = &text[..end];
    let separators = address.bytes().filter(|b| matches!(b, b':' | b'.')).count();
    let colons = address.bytes().filter(|&b| b == b':').count();
    (colons >= 2 && separators <= MAX_GROUPS).then_some(address)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(headers: &[&str]) -> String {
        let headers: Vec<Cow<'_, str>> = headers.iter().map(|h| Cow::Borrowed(*h)).collect();
        client(&headers, "10.0.0.1").unwrap().into_owned()
    }

    #[test]
    fn the_first_address_of_the_first_good_header_wins() {
        for (headers, ip) in [
            (&["X-Forwarded-For: 1.2.3.4, 5.6.7.8"][..], "1.2.3.4"),
            (&["x-forwarded-for: 1.2.3.4:8080"], "1.2.3.4"),
            (&["X-Forwarded-For: \"[2001:DB8::1]:443\""], "2001:db8::1"),
            (&["X-Forwarded-For: 2001:db8::1"], "2001:db8::1"),
            (&["X-Forwarded-For: ::ffff:1.2.3.4"], "::ffff:1.2.3.4"),
            (&["X-Forwarded-For: unknown"], "10.0.0.1"),
            (&["X-Forwarded-For: unknown", "X-Forwarded-For: 1.2.3.4"], "1.2.3.4"),
            (&["Forwarded: for=9.9.9.9", "X-Forwarded-For: 1.2.3.4"], "1.2.3.4"),
            (&["Forwarded: for=\"[::9]\";proto=https", "Host: a"], "::9"),
            (&["Forwarded: by=8.8.8.8;For=9.9.9.9, for=7.7.7.7"], "9.9.9.9"),
            (&["Forwarded: for=9.9.9.9", "X-Forwarded-For: x"], "9.9.9.9"),
            (&["Forwarded: for=_hidden"], "10.0.0.1"),
            (&["Host: a", "garbage"], "10.0.0.1"),
            (&[], "10.0.0.1"),
        ] {
            assert_eq!(of(headers), ip, "{headers:?}");
        }
    }
}
