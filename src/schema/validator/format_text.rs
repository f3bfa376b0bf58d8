//! The lesser formats that the reference knows beside the standard ones: colour, phone, utc-millisec, style.

const NAMES: [&str; 17] = [
    "aqua", "black", "blue", "fuchsia", "gray", "green", "lime", "maroon", "navy", "olive", "orange", "purple", "red",
    "silver", "teal", "white", "yellow",
];

/// Three to six hexadecimal digits with or without `#`, one of seventeen names, or `rgb(…)` of bytes or percentages.
pub(super) fn color(text: &str) -> bool {
    if NAMES.contains(&text) {
        return true;
    }
    if let Some(inner) = text.strip_prefix("rgb(").and_then(|t| t.strip_suffix(')')) {
        let parts: Vec<&str> = inner.split(',').map(str::trim).collect();
        let number = |s: &str, most: u32| {
            (1..=3).contains(&s.len())
                && s.bytes().all(|b| b.is_ascii_digit())
                && s.parse::<u32>().is_ok_and(|n| n <= most)
        };
        let percent = |s: &&str| s.strip_suffix('%').is_some_and(|n| number(n, 100));
        return parts.len() == 3 && (parts.iter().all(percent) || parts.iter().all(|s| number(s, 255)));
    }
    let hex = text.strip_prefix('#').unwrap_or(text);
    (3..=6).contains(&hex.len()) && hex.bytes().all(|b| b.is_ascii_hexdigit())
}

/// `+`, then 7 to 15 digits with at most one space after each but the last.
pub(super) fn phone(text: &str) -> bool {
    let Some(rest) = text.strip_prefix('+') else { return false };
    let digits = rest.bytes().filter(u8::is_ascii_digit).count();
    (7..=15).contains(&digits)
        && rest.bytes().all(|b| b.is_ascii_digit() || b == b' ')
        && !rest.starts_with(' ')
        && !rest.ends_with(' ')
        && !rest.contains("  ")
}

/// Digits, possibly with a point among them.
pub(super) fn utc_millisec(text: &str) -> bool {
    let number = |s: &str| !s.is_empty() && s.bytes().all(|b| b.is_ascii_digit());
    match text.split_once('.') {
        Some((whole, part)) => number(whole) && number(part),
        None => number(text),
    }
}

/// One CSS declaration: a name, a colon, a value, possibly a semicolon at the end.
pub(super) fn style(text: &str) -> bool {
    let text = text.strip_suffix(';').unwrap_or(text);
    match text.split_once(':') {
        Some((name, value)) => !name.trim_start().is_empty() && !value.trim_start().is_empty() && !value.contains(';'),
        None => false,
    }
}
