//! Query strings and urlencoded forms, read as the reference reads them: `&` and `;` separate, `+` is a blank, escapes are
//! UTF-8, a name without `=` has no value, empty names are dropped.

use super::params::Param;
use std::borrow::Cow;

/// The pairs of a request's query string or form, in order, decoded. A `#` and what follows it are not part of it. Raw
/// characters beyond ASCII become U+FFFD, as in the reference.
pub fn params(text: &str) -> Vec<Param<'_>> {
    let text = text.split('#').next().unwrap_or_default();
    let mut out = Vec::with_capacity(text.len() / 12 + 1);
    for piece in pieces(text) {
        let (name, value) = match piece.split_once('=') {
            Some((name, value)) => (name, Some(value)),
            None => (piece, None),
        };
        if !name.is_empty() {
            out.push(Param { name: decode(name, Raw::Replace), value: value.map(|v| decode(v, Raw::Replace)) });
        }
    }
    out
}

/// The decoded pairs of a page URL's query.
#[derive(Clone, Debug, Default)]
pub struct QueryPairs {
    text: String,
    pairs: Vec<(u32, u32, u32)>,
}

impl QueryPairs {
    /// Decodes a raw query. A name without a value has the value "". Raw characters beyond ASCII are kept.
    pub fn parse(query: &str) -> Self {
        let mut out = QueryPairs { text: String::with_capacity(query.len()), pairs: Vec::new() };
        for piece in pieces(query) {
            let (name, value) = piece.split_once('=').unwrap_or((piece, ""));
            if name.is_empty() {
                continue;
            }
            let from = out.text.len() as u32;
            out.text.push_str(&decode(name, Raw::Keep));
            let middle = out.text.len() as u32;
            out.text.push_str(&decode(value, Raw::Keep));
            out.pairs.push((from, middle, out.text.len() as u32));
        }
        out
    }

    /// Name and value of each pair, in order.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = (&str, &str)> {
        self.pairs.iter().map(|&(from, middle, to)| {
            (&self.text[from as usize..middle as usize], &self.text[middle as usize..to as usize])
        })
    }

    /// The last value of `name`.
    pub fn last(&self, name: &str) -> Option<&str> {
        self.iter().rev().find(|(n, _)| *n == name).map(|(_, v)| v)
    }
}

/// A raw name or value decoded; raw characters beyond ASCII are kept.
pub fn decoded(text: &str) -> Cow<'_, str> {
    decode(text, Raw::Keep)
}

fn pieces(text: &str) -> impl Iterator<Item = &str> {
    text.split(['&', ';']).filter(|p| !p.is_empty())
}

/// What becomes of a raw character beyond ASCII.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Raw {
    Keep,
    Replace,
}

fn decode(text: &str, raw: Raw) -> Cow<'_, str> {
    let bytes = text.as_bytes();
    let plain = |b: u8| b != b'%' && b != b'+' && (b < 128 || raw == Raw::Keep);
    let Some(first) = bytes.iter().position(|&b| !plain(b)) else { return Cow::Borrowed(text) };
    let mut out = Vec::with_capacity(bytes.len());
    out.extend_from_slice(&bytes[..first]);
    let mut at = first;
    while let Some(&b) = bytes.get(at) {
        at += 1;
        match b {
            b'+' => out.push(b' '),
            b'%' => match (hex(bytes.get(at)), hex(bytes.get(at + 1))) {
                (Some(high), Some(low)) => {
                    out.push(high << 4 | low);
                    at += 2;
                }
                _ => out.push(b'%'),
            },
            b if plain(b) => out.push(b),
            _ => {
                out.extend_from_slice("\u{FFFD}".as_bytes());
                while bytes.get(at).is_some_and(|b| (0x80..0xC0).contains(b)) {
                    at += 1;
                }
            }
        }
    }
    Cow::Owned(match String::from_utf8(out) {
        Ok(text) => text,
        Err(e) => String::from_utf8_lossy(e.as_bytes()).into_owned(),
    })
}

fn hex(b: Option<&u8>) -> Option<u8> {
    char::from(*b?).to_digit(16).map(|d| d as u8)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(text: &str) -> String {
        let show = |p: Param<'_>| match p.value {
            Some(v) => format!("{}={v}", p.name),
            None => p.name.into_owned(),
        };
        params(text).into_iter().map(show).collect::<Vec<_>>().join("|")
    }

    #[test]
    fn both_separators_blanks_escapes_and_missing_values() {
        assert_eq!(shown("a=1&b=2;c=3"), "a=1|b=2|c=3");
        assert_eq!(shown("a=x+y%20z&n&e=&=lost&&k=a=b"), "a=x y z|n|e=|k=a=b");
        assert_eq!(shown("?a=1"), "?a=1");
        assert_eq!(shown("a=1#b=2"), "a=1");
        assert_eq!(shown("a=%C3%BC"), "a=ü");
        assert_eq!(shown("a=%E9&b=é"), "a=\u{FFFD}|b=\u{FFFD}");
    }

    #[test]
    fn a_page_query_gives_the_last_of_equal_names_and_keeps_raw_letters() {
        let q = QueryPairs::parse("utm_source=a&utm_source=b;x&t=blue+suede%20shoes&r=ü&=v");
        assert_eq!(q.last("utm_source"), Some("b"));
        assert_eq!(q.last("x"), Some(""));
        assert_eq!(q.last("t"), Some("blue suede shoes"));
        assert_eq!(q.last("r"), Some("ü"));
        assert_eq!(q.iter().count(), 5);
    }
}
