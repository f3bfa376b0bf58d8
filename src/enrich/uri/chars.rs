//! Which characters may stand where in a URI, after RFC 2396, RFC 2732 and Java's "other" characters.

pub(super) const UNRESERVED: u8 = 1;
/// Reserved characters including the brackets of RFC 2732.
pub(super) const RESERVED: u8 = 2;
pub(super) const PATH: u8 = 4;
pub(super) const USER_INFO: u8 = 8;
pub(super) const REG_NAME: u8 = 16;
/// What may stand in an authority that names a server.
pub(super) const SERVER: u8 = 32;

/// Query, fragment, opaque part.
pub(super) const URIC: u8 = UNRESERVED | RESERVED;

static CLASS: [u8; 128] = table();

const fn table() -> [u8; 128] {
    let mut t = [0u8; 128];
    let mut c = 0;
    while c < 128 {
        let b = c as u8;
        let mut class = 0;
        if b.is_ascii_alphanumeric() {
            class |= UNRESERVED | PATH | USER_INFO | REG_NAME | SERVER;
        }
        if among(b, b"-_.!~*'()") {
            class |= UNRESERVED | PATH | USER_INFO | REG_NAME | SERVER;
        }
        if among(b, b";/?:@&=+$,[]") {
            class |= RESERVED;
        }
        if among(b, b":@&=+$,;/") {
            class |= PATH;
        }
        if among(b, b";:&=+$,") {
            class |= USER_INFO | SERVER;
        }
        if among(b, b".:@[]") {
            class |= SERVER;
        }
        if among(b, b"$,;:@&=+") {
            class |= REG_NAME;
        }
        t[c] = class;
        c += 1;
    }
    t
}

const fn among(b: u8, set: &[u8]) -> bool {
    let mut i = 0;
    while i < set.len() {
        if set[i] == b {
            return true;
        }
        i += 1;
    }
    false
}

/// Why a scan stopped before the end.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Stop {
    /// At the end, or at a character of another class.
    At(usize),
    /// At a `%` that two hexadecimal digits do not follow.
    BadEscape(usize),
}

/// Goes on while characters are of a class in `mask`, escapes, or visible characters beyond ASCII.
pub(super) fn scan(text: &str, mut at: usize, end: usize, mask: u8) -> Stop {
    let bytes = text.as_bytes().get(..end).unwrap_or_default();
    while let Some(&b) = bytes.get(at) {
        if b < 128 {
            if CLASS[usize::from(b)] & mask != 0 {
                at += 1;
            } else if b == b'%' {
                let hex = |i: usize| bytes.get(i).is_some_and(u8::is_ascii_hexdigit);
                if !(hex(at + 1) && hex(at + 2)) {
                    return Stop::BadEscape(at);
                }
                at += 3;
            } else {
                return Stop::At(at);
            }
        } else {
            match text.get(at..).and_then(|rest| rest.chars().next()) {
                Some(c) if !is_control(c) && !is_space(c) => at += c.len_utf8(),
                _ => return Stop::At(at),
            }
        }
    }
    Stop::At(at)
}

fn is_control(c: char) -> bool {
    ('\u{80}'..='\u{9f}').contains(&c)
}

/// Unicode categories Zs, Zl and Zp beyond ASCII.
fn is_space(c: char) -> bool {
    matches!(
        c,
        '\u{a0}' | '\u{1680}' | '\u{2000}'
            ..='\u{200a}' | '\u{2028}' | '\u{2029}' | '\u{202f}' | '\u{205f}' | '\u{3000}'
    )
}

/// Where a raw query string (behind a dummy URL) stops being a legal URI: byte position and what is wrong. A `#` starts a
/// fragment, which has to be legal too.
pub fn first_illegal_in_query(query: &str) -> Option<(usize, &'static str)> {
    let end = query.len();
    let hash = query.bytes().position(|b| b == b'#');
    for (from, to) in [(0, hash.unwrap_or(end)), (hash.map_or(end, |h| h + 1), end)] {
        match scan(query, from, to, URIC) {
            Stop::BadEscape(at) => return Some((at, "a % without two hexadecimal digits")),
            Stop::At(at) if at < to => return Some((at, "a character that must be percent-encoded")),
            Stop::At(_) => {}
        }
    }
    None
}
