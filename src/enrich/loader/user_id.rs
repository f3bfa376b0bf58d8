//! The collector's user id, read as Java reads UUIDs: five groups of hexadecimal digits of any length.

use std::borrow::Cow;

/// The canonical form; `None` for what is no UUID. Groups longer than their place keep their last digits, as in Java.
pub(super) fn reprint(text: &str) -> Option<Cow<'_, str>> {
    let canonical = crate::event::tsv::is_uuid(text) && !text.bytes().any(|b| b.is_ascii_uppercase());
    if canonical {
        return Some(Cow::Borrowed(text));
    }
    if text.len() > 36 {
        return None;
    }
    let mut parts = text.split('-').map(|p| {
        let digits = !p.is_empty() && p.len() <= 16 && p.bytes().all(|b| b.is_ascii_hexdigit());
        digits.then(|| u64::from_str_radix(p, 16).ok()).flatten()
    });
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_five_groups_are_a_uuid_and_are_printed_in_full() {
        for (text, out) in [
            ("1-1-1-1-1", "00000001-0001-0001-0001-000000000001"),
            ("C6EF3124-B53A-4B13-A233-0088F79DCBCB", "c6ef3124-b53a-4b13-a233-0088f79dcbcb"),
            ("00000000-0000-0000-0000-000000000000", "00000000-0000-0000-0000-000000000000"),
            ("123456789-1-1-1-1", "23456789-0001-0001-0001-000000000001"),
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
            "+1-1-1-1-1",
        ] {
            assert_eq!(reprint(bad), None, "{bad}");
        }
    }
}
