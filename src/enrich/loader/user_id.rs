//! The collector's user id, read as Java reads UUIDs: five groups of hexadecimal digits of any length.

use crate::enrich::map::hex_digit;
use std::borrow::Cow;

/// Longest text that Java looks at.
const MAX_LENGTH: usize = 36;

/// The canonical form; `None` for what is no UUID. Groups longer than their place keep their last digits; a sign and
/// leading zeros are allowed, more than 63 bits are not.
pub(super) fn reprint(text: &str) -> Option<Cow<'_, str>> {
    let canonical = crate::event::tsv::is_uuid(text) && !text.bytes().any(|b| b.is_ascii_uppercase());
    if canonical {
        return Some(Cow::Borrowed(text));
    }
    // UTF-16 code units are what Java counts, and are never more than bytes.
    if text.len() > MAX_LENGTH && text.encode_utf16().count() > MAX_LENGTH {
        return None;
    }
    let mut parts = text.split('-').map(group);
    let mut next = || parts.next().flatten();
    let (a, b, c, d, e) = (next()?, next()?, next()?, next()?, next()?);
    if parts.next().is_some() {
        return None;
    }
    Some(Cow::Owned(format!(
        "{:08x}-{:04x}-{:04x}-{:04x}-{:012x}",
        a & 0xFFFF_FFFF,
        b & 0xFFFF,
        c & 0xFFFF,
        d & 0xFFFF,
        e & 0xFFFF_FFFF_FFFF
    )))
}

/// One group as `Long.parseLong` reads it: an optional plus and digits, within 63 bits.
fn group(text: &str) -> Option<i64> {
    let digits = text.strip_prefix('+').unwrap_or(text);
    if digits.is_empty() {
        return None;
    }
    digits.chars().try_fold(0i64, |value, c| value.checked_mul(16)?.checked_add(i64::from(hex_digit(c)?)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_java_reads_as_five_groups_is_a_uuid_and_is_printed_in_full() {
        for (text, out) in [
            ("1-1-1-1-1", "00000001-0001-0001-0001-000000000001"),
            ("C6EF3124-B53A-4B13-A233-0088F79DCBCB", "c6ef3124-b53a-4b13-a233-0088f79dcbcb"),
            ("00000000-0000-0000-0000-000000000000", "00000000-0000-0000-0000-000000000000"),
            ("123456789-1-1-1-1", "23456789-0001-0001-0001-000000000001"),
            ("7fffffffffffffff-1-1-1-1", "ffffffff-0001-0001-0001-000000000001"),
            ("+1-1-1-1-1", "00000001-0001-0001-0001-000000000001"),
            ("1-1-1-1-+1", "00000001-0001-0001-0001-000000000001"),
            ("+c6ef312-b53a-4b13-a233-0088f79dcbcb", "0c6ef312-b53a-4b13-a233-0088f79dcbcb"),
            ("00000000000000001-1-1-1-1", "00000001-0001-0001-0001-000000000001"),
            ("0000000000000000000000000001-1-1-1-1", "00000001-0001-0001-0001-000000000001"),
            ("\u{661}-1-1-1-1", "00000001-0001-0001-0001-000000000001"),
            ("\u{FF21}-1-1-1-\u{FF46}", "0000000a-0001-0001-0001-00000000000f"),
        ] {
            assert_eq!(reprint(text).as_deref(), Some(out), "{text}");
        }
        for bad in [
            "",
            "unknown",
            "1-1-1-1",
            "1-1-1-1-1-1",
            "1-1-1-1-",
            "{c6ef3124-b53a-4b13-a233-0088f79dcbcb}",
            "c6ef3124b53a4b13a2330088f79dcbcb",
            "g-1-1-1-1",
            "1- 1-1-1-1",
            "++1-1-1-1-1",
            "+-1-1-1-1",
            "-1-1-1-1-1",
            "1--1-1-1-1",
            "8000000000000000-1-1-1-1",
            "ffffffffffffffff-1-1-1-1",
            "1-1-1-1-ffffffffffffffff",
            "00000000000000000000000000001-1-1-1-1",
            "\u{1D7CE}-1-1-1-1",
        ] {
            assert_eq!(reprint(bad), None, "{bad}");
        }
    }
}
