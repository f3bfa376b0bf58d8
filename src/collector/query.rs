//! Looking up a parameter in a raw query string, without taking the rest apart.

use memchr::memchr;
use std::borrow::Cow;

/// The value of the first parameter called `name`, decoded as a form: `+` is a space, `%XX` a byte; an escape that is none
/// stays as it is. `None` when there is no such parameter; empty when it has no `=`.
pub fn first<'q>(query: &'q [u8], name: &[u8]) -> Option<Cow<'q, [u8]>> {
    let lead = *name.first()?;
    let mut rest = query;
    loop {
        let end = memchr(b'&', rest).unwrap_or(rest.len());
        // A name can only match if it begins so; most parameters are passed over without looking further.
        if let Some(&b) = rest.first()
            && (b == lead || b == b'%')
        {
            let parameter = &rest[..end];
            let equals = memchr(b'=', parameter).unwrap_or(parameter.len());
            let (key, value) = parameter.split_at(equals);
            if key == name || (key.contains(&b'%') && decode(key).as_ref() == name) {
                return Some(decode(value.get(1..).unwrap_or_default()));
            }
        }
        rest = rest.get(end + 1..)?;
    }
}

/// Decodes form encoding.
pub fn decode(text: &[u8]) -> Cow<'_, [u8]> {
    if !text.iter().any(|b| matches!(b, b'%' | b'+')) {
        return Cow::Borrowed(text);
    }
    let spaced: Vec<u8> = text.iter().map(|&b| if b == b'+' { b' ' } else { b }).collect();
    Cow::Owned(percent_encoding::percent_decode(&spaced).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_of_a_name() {
        for (query, name, wanted) in [
            ("nuid=a&nuid=b", "nuid", Some("a")),
            ("tnuid=x&nuid=y", "nuid", Some("y")),
            ("tnuid=x", "nuid", None),
            ("nuid", "nuid", Some("")),
            ("nuid=", "nuid", Some("")),
            ("a=1&&nuid=b+c%21%zz", "nuid", Some("b c!%zz")),
            ("n%75id=z", "nuid", Some("z")),
            ("%6euid=z", "nuid", Some("z")),
            ("nuidx=1&u=2=3", "u", Some("2=3")),
            ("", "u", None),
            ("&", "u", None),
        ] {
            let got = first(query.as_bytes(), name.as_bytes());
            assert_eq!(got.as_deref(), wanted.map(str::as_bytes), "{query}");
        }
    }
}
