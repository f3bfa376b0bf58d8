//! The `Cookie` header: finding one cookie, and the form in which the header is recorded.
//!
//! Reading is generous: pairs are divided by `;` with or without a space, an illegal pair is passed over alone, double
//! quotes around a value are taken off, the first of equal names wins. What is recorded follows collector 3.4: spaces
//! removed, pairs with other than cookie octets (RFC 6265) left out, joined by `;` (its readers downstream rely on it). Our
//! own session cookie is never recorded: cookies ignore ports, and whoever reads the journal must not get in with it.

use crate::net::http1::head::is_token;
use regex::bytes::Regex;

/// The cookie that opens the private port.
const OWN_SESSION: &[u8] = b"snowshed_session";

/// The value of the first cookie called `name` in these `Cookie` headers.
pub fn find<'h>(headers: impl Iterator<Item = &'h [u8]>, name: &[u8]) -> Option<&'h [u8]> {
    headers.flat_map(pairs).find(|(n, _)| *n == name).map(|(_, v)| v)
}

/// The legal pairs of one header.
pub fn pairs(header: &[u8]) -> impl Iterator<Item = (&[u8], &[u8])> {
    header.split(|&b| b == b';').filter_map(|pair| {
        let pair = pair.trim_ascii();
        let equals = memchr::memchr(b'=', pair)?;
        let (name, value) = (pair[..equals].trim_ascii_end(), pair[equals + 1..].trim_ascii_start());
        let legal =
            !name.is_empty() && name.iter().all(|&b| is_token(b)) && value.iter().all(|&b| b >= 0x20 && b != 0x7f);
        legal.then(|| (name, unquote(value)))
    })
}

fn unquote(value: &[u8]) -> &[u8] {
    match value {
        [b'"', inner @ .., b'"'] => inner,
        _ => value,
    }
}

/// Hands out the recorded form of a header's value, piece by piece; nothing at all when no pair is left.
pub fn recorded(header: &[u8], mut piece: impl FnMut(&[u8])) {
    let mut first = true;
    for pair in header.split(|&b| b == b';') {
        let spaces_only = pair.iter().all(|&b| b == b' ');
        if spaces_only || !pair.iter().all(|&b| b == b' ' || is_octet(b)) || is_own_session(pair) {
            continue;
        }
        if !std::mem::take(&mut first) {
            piece(b";");
        }
        pair.split(|&b| b == b' ').filter(|p| !p.is_empty()).for_each(&mut piece);
    }
}

/// Whether a pair, its spaces aside, is our own session.
fn is_own_session(pair: &[u8]) -> bool {
    let mut name = pair.iter().filter(|b| **b != b' ').take_while(|b| **b != b'=');
    OWN_SESSION.iter().all(|b| name.next() == Some(b)) && name.next().is_none()
}

/// A cookie octet of RFC 6265 §4.1.1.
fn is_octet(b: u8) -> bool {
    matches!(b, 0x21 | 0x23..=0x2b | 0x2d..=0x3a | 0x3c..=0x5b | 0x5d..=0x7e)
}

/// A pattern that must match the whole of a value.
///
/// # Errors
/// What is wrong with the pattern.
pub fn full_match(pattern: &str) -> Result<Regex, regex::Error> {
    // Compiled alone first: a pattern such as `a)(b` must not become legal by the group around it.
    Regex::new(pattern)?;
    Regex::new(&format!("^(?:{pattern})$"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sp(header: &str) -> Option<String> {
        find([header.as_bytes()].into_iter(), b"sp").map(|v| String::from_utf8_lossy(v).into_owned())
    }

    #[test]
    fn reading_is_generous() {
        for (header, wanted) in [
            ("sp=1", Some("1")),
            ("a=b;sp=1", Some("1")),
            ("a=b; sp=1; sp=2", Some("1")),
            ("a b=c; sp=1", Some("1")),
            ("{\"x\": 1}; sp=1", Some("1")),
            ("sp=\"1\"", Some("1")),
            ("sp=\"", Some("\"")),
            ("SP=1", None),
            ("xsp=1", None),
            ("sp", None),
            ("sp=", Some("")),
            (" sp = 1 ", Some("1")),
            ("", None),
        ] {
            assert_eq!(sp(header).as_deref(), wanted, "{header}");
        }
    }

    #[test]
    fn the_recorded_form() {
        let form = |header: &[u8]| {
            let mut out = Vec::new();
            recorded(header, |p| out.extend_from_slice(p));
            String::from_utf8(out).unwrap()
        };
        assert_eq!(form(b"a=b; c=d"), "a=b;c=d");
        assert_eq!(form(b"a=b c; q=\"x\"; d=e,f; g=\xff;;h=1"), "a=bc;h=1");
        assert_eq!(form(b"{\"a\": 1}"), "");
        assert_eq!(form(b"a=b; snowshed_session=secret; c=d"), "a=b;c=d");
        assert_eq!(form(b" snowshed_ session = secret"), "");
        assert_eq!(form(b"snowshed_session"), "");
        assert_eq!(form(b"snowshed_sessions=1; xsnowshed_session=2"), "snowshed_sessions=1;xsnowshed_session=2");
        assert_eq!(form(b""), "");
    }

    #[test]
    fn a_pattern_matches_the_whole_value() {
        let re = full_match("y(es)?|1").unwrap();
        assert!(re.is_match(b"yes") && re.is_match(b"1"));
        assert!(!re.is_match(b"yess") && !re.is_match(b"11") && !re.is_match(b"yes\n"));
        assert!(full_match("a)(b").is_err());
    }
}
