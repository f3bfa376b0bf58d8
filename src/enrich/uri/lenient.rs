//! The tolerant reading: the text taken apart by its delimiters alone and put together again with everything that is not
//! plainly harmless percent-encoded. Escapes that are valid stay as they are. What comes out still has to pass the strict
//! reading, so a broken authority stays broken.

/// Characters that stay as they are, beside letters and digits: unreserved ones that the reference leaves alone, and `+`.
const PLAIN: &[u8] = b"-._~+";

/// The text made legal wherever encoding can make it so.
pub(super) fn encode(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 16);
    let mut rest = text;
    if let Some(colon) = scheme_end(text) {
        out.push_str(&text[..=colon]);
        rest = &text[colon + 1..];
    }
    let (before, fragment) = cut(rest, '#');
    let (path, query) = cut(before, '?');
    let path = match path.strip_prefix("//") {
        Some(behind) => {
            let end = behind.find('/').unwrap_or(behind.len());
            out.push_str("//");
            out.push_str(&behind[..end]);
            &behind[end..]
        }
        None => path,
    };
    push(path, b"/", &mut out);
    if let Some(query) = query {
        out.push('?');
        for (i, pair) in query.split('&').enumerate() {
            if i > 0 {
                out.push('&');
            }
            let (name, value) = cut(pair, '=');
            push(name, b"", &mut out);
            if let Some(value) = value {
                out.push('=');
                push(value, b"", &mut out);
            }
        }
    }
    if let Some(fragment) = fragment {
        out.push('#');
        push(fragment, b"", &mut out);
    }
    out
}

fn cut(text: &str, at: char) -> (&str, Option<&str>) {
    text.split_once(at).map_or((text, None), |(a, b)| (a, Some(b)))
}

/// Position of the colon of a scheme.
fn scheme_end(text: &str) -> Option<usize> {
    let colon = text.find(':')?;
    let scheme = &text.as_bytes()[..colon];
    let ok = scheme.first().is_some_and(u8::is_ascii_alphabetic)
        && scheme.iter().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'-' | b'.'));
    ok.then_some(colon)
}

fn push(text: &str, also: &[u8], out: &mut String) {
    const HEX: &[u8; 16] = b"0123456789ABCDEF";
    let bytes = text.as_bytes();
    for (i, &b) in bytes.iter().enumerate() {
        let escape = b == b'%'
            && bytes.get(i + 1).is_some_and(u8::is_ascii_hexdigit)
            && bytes.get(i + 2).is_some_and(u8::is_ascii_hexdigit);
        if b.is_ascii_alphanumeric() || PLAIN.contains(&b) || also.contains(&b) || escape {
            out.push(char::from(b));
        } else {
            out.push('%');
            out.push(char::from(HEX[usize::from(b >> 4)]));
            out.push(char::from(HEX[usize::from(b & 15)]));
        }
    }
}
