//! Bodies as text. JSON and forms are UTF-8 whatever is declared; other types obey a declared charset that is known.

use encoding_rs::{Encoding, UTF_8};
use std::borrow::Cow;

/// Decodes; never fails: what cannot be decoded becomes U+FFFD. A leading byte order mark is dropped.
pub(super) fn decode<'b>(body: &'b [u8], content_type: Option<&str>) -> Cow<'b, str> {
    match content_type.and_then(declared) {
        Some(encoding) if encoding != UTF_8 => encoding.decode_with_bom_removal(body).0,
        _ => super::lossy(body.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(body)),
    }
}

fn declared(content_type: &str) -> Option<&'static Encoding> {
    let (media, parameters) = content_type.split_once(';')?;
    let media = media.trim().to_ascii_lowercase();
    if media.ends_with("json") || media == "application/x-www-form-urlencoded" {
        return None;
    }
    let label = parameters.split(';').find_map(|p| {
        let (name, value) = p.split_once('=')?;
        name.trim().eq_ignore_ascii_case("charset").then(|| value.trim().trim_matches('"'))
    })?;
    Encoding::for_label(label.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_and_forms_are_utf8_and_other_types_obey_the_charset() {
        let latin = b"gr\xFC\xDF";
        assert_eq!(decode(latin, Some("text/plain; charset=iso-8859-1")), "grüß");
        assert_eq!(decode(latin, Some("application/json; charset=iso-8859-1")), "gr\u{FFFD}\u{FFFD}");
        assert_eq!(decode(latin, Some("application/x-www-form-urlencoded; charset=iso-8859-1")), "gr\u{FFFD}\u{FFFD}");
        assert_eq!(decode("grüß".as_bytes(), Some("text/plain; charset=nonsense")), "grüß");
        assert_eq!(decode("grüß".as_bytes(), None), "grüß");
    }

    #[test]
    fn a_leading_byte_order_mark_is_dropped() {
        assert_eq!(decode(b"\xEF\xBB\xBF{}", Some("application/json")), "{}");
        assert_eq!(decode(b"\xFE\xFF\0{\0}", Some("text/plain; charset=utf-16be")), "{}");
    }
}
