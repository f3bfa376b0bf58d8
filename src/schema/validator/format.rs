//! The values of `format` that are enforced, on text only. Any other value is ignored.
//!
//! The rules are those of the reference, looser or stricter than the RFCs here and there: `time` has no zone and is checked by
//! shape, octets of an IPv4 address may have leading zeros, `uri` is ASCII with a scheme, `date-time` may have a space.

/// A format that is enforced.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Format {
    DateTime,
    Date,
    Time,
    Ipv4,
    Ipv6,
    Uri,
    Hostname,
    Email,
    Uuid,
    Duration,
    Color,
    Alpha,
    Alphanumeric,
    Phone,
    UtcMillisec,
    Style,
}

impl Format {
    pub(super) fn named(name: &str) -> Option<Self> {
        Some(match name {
            "date-time" => Format::DateTime,
            "date" => Format::Date,
            "time" => Format::Time,
            "ipv4" | "ip-address" => Format::Ipv4,
            "ipv6" => Format::Ipv6,
            "uri" => Format::Uri,
            "hostname" => Format::Hostname,
            "email" => Format::Email,
            "uuid" => Format::Uuid,
            "duration" => Format::Duration,
            "color" => Format::Color,
            "alpha" => Format::Alpha,
            "alphanumeric" => Format::Alphanumeric,
            "phone" => Format::Phone,
            "utc-millisec" => Format::UtcMillisec,
            "style" => Format::Style,
            _ => return None,
        })
    }

    /// Name as in a schema, an example of what is right, and the keyword that reports carry.
    pub(super) const fn describe(self) -> (&'static str, &'static str, &'static str) {
        match self {
            Format::DateTime => ("date-time", "2026-03-09T10:20:31Z", "dateTime"),
            Format::Date => ("date", "2026-03-09", "dateTime"),
            Format::Time => ("time", "10:20:31", "format"),
            Format::Ipv4 => ("ipv4", "203.0.113.7", "format"),
            Format::Ipv6 => ("ipv6", "2001:db8::7", "format"),
            Format::Uri => ("uri", "https://example.com/a?b=c", "format"),
            Format::Hostname => ("hostname", "www.example.com", "format"),
            Format::Email => ("email", "ann@example.com", "format"),
            Format::Uuid => ("uuid", "5a7f2e0c-9d1b-4c3e-8f60-2b7d1e9a4c55", "uuid"),
            Format::Duration => ("duration", "PT1H30M", "format"),
            Format::Color => ("color", "#1e90ff", "format"),
            Format::Alpha => ("alpha", "abc", "format"),
            Format::Alphanumeric => ("alphanumeric", "abc123", "format"),
            Format::Phone => ("phone", "+44 20 7946 0000", "format"),
            Format::UtcMillisec => ("utc-millisec", "1700000000000", "format"),
            Format::Style => ("style", "color: red", "format"),
        }
    }

    pub(super) fn accepts(self, text: &str) -> bool {
        let bytes = text.as_bytes();
        match self {
            Format::DateTime => date_time(bytes).is_some(),
            Format::Date => bytes.len() == 10 && date(bytes).is_some(),
            Format::Time => bytes.get(..8).is_some_and(time_shape) && fraction(&bytes[8..]),
            Format::Ipv4 => ipv4(text),
            Format::Ipv6 => ipv6(text),
            Format::Uri => uri(bytes),
            Format::Hostname => hostname(text),
            Format::Email => email(text),
            Format::Uuid => uuid(bytes),
            Format::Duration => duration(text),
            Format::Color => super::format_text::color(text),
            Format::Alpha => !bytes.is_empty() && bytes.iter().all(u8::is_ascii_alphabetic),
            Format::Alphanumeric => !bytes.is_empty() && bytes.iter().all(u8::is_ascii_alphanumeric),
            Format::Phone => super::format_text::phone(text),
            Format::UtcMillisec => super::format_text::utc_millisec(text),
            Format::Style => super::format_text::style(text),
        }
    }
}

/// The number that two or four digits make.
fn digits(bytes: &[u8], from: usize, count: usize) -> Option<u32> {
    let slice = bytes.get(from..from + count)?;
    slice.iter().try_fold(0u32, |n, b| b.is_ascii_digit().then(|| n * 10 + u32::from(b - b'0')))
}

/// Year, month and day of the first ten bytes.
fn date(bytes: &[u8]) -> Option<(u32, u32, u32)> {
    let (year, month, day) = (digits(bytes, 0, 4)?, digits(bytes, 5, 2)?, digits(bytes, 8, 2)?);
    if bytes.get(4) != Some(&b'-') || bytes.get(7) != Some(&b'-') {
        return None;
    }
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let days = match month {
        2 => 28 + u32::from(leap),
        4 | 6 | 9 | 11 => 30,
        1..=12 => 31,
        _ => return None,
    };
    (1..=days).contains(&day).then_some((year, month, day))
}

fn time_shape(bytes: &[u8]) -> bool {
    matches!(bytes, [a, b, b':', c, d, b':', e, f] if [a, b, c, d, e, f].iter().all(|x| x.is_ascii_digit()))
}

/// Nothing, or a point and digits.
fn fraction(bytes: &[u8]) -> bool {
    match bytes {
        [] => true,
        [b'.', rest @ ..] => !rest.is_empty() && rest.iter().all(u8::is_ascii_digit),
        _ => false,
    }
}

/// RFC 3339, with a space or a lower-case letter allowed; a leap second only where one can be.
fn date_time(bytes: &[u8]) -> Option<()> {
    let (_, month, day) = date(bytes)?;
    if !matches!(bytes.get(10)?, b'T' | b't' | b' ') || !time_shape(bytes.get(11..19)?) {
        return None;
    }
    let (hour, minute, second) = (digits(bytes, 11, 2)?, digits(bytes, 14, 2)?, digits(bytes, 17, 2)?);
    let rest = bytes.get(19..)?;
    let zone_at = rest.iter().position(|b| !b.is_ascii_digit() && *b != b'.')?;
    let (parts, zone) = rest.split_at(zone_at);
    let offset = match zone {
        b"Z" | b"z" => 0i64,
        [sign @ (b'+' | b'-'), _, _, b':', _, _] => {
            let (h, m) = (digits(zone, 1, 2)?, digits(zone, 4, 2)?);
            if h > 23 || m > 59 {
                return None;
            }
            let minutes = i64::from(h * 60 + m);
            if *sign == b'-' { -minutes } else { minutes }
        }
        _ => return None,
    };
    if hour > 23 || minute > 59 || second > 60 || !fraction(parts) {
        return None;
    }
    if second == 60 {
        let utc = (i64::from(hour * 60 + minute) - offset).rem_euclid(1440);
        // The day in UTC can differ from the written one by the offset: the last or the first of the month.
        let month_end = matches!((month, day), (6, 30) | (12, 31) | (7, 1) | (1, 1));
        if utc != 1439 || !month_end {
            return None;
        }
    }
    Some(())
}

fn ipv4(text: &str) -> bool {
    let octet =
        |s: &str| (1..=3).contains(&s.len()) && s.bytes().all(|b| b.is_ascii_digit()) && s.parse::<u8>().is_ok();
    text.split('.').count() == 4 && text.split('.').all(octet)
}

/// White space around it and a zone after `%` are allowed.
fn ipv6(text: &str) -> bool {
    let text = text.trim_matches(|c: char| matches!(c, ' ' | '\t' | '\n' | '\r' | '\u{b}' | '\u{c}'));
    let (address, zone) = text.split_once('%').map_or((text, None), |(a, z)| (a, Some(z)));
    zone != Some("") && address.parse::<std::net::Ipv6Addr>().is_ok()
}

/// ASCII, with a scheme; only characters that RFC 3986 knows, every `%` followed by two hexadecimal digits.
fn uri(bytes: &[u8]) -> bool {
    let Some(colon) = bytes.iter().position(|b| *b == b':') else { return false };
    let (scheme, rest) = bytes.split_at(colon);
    let scheme_ok = scheme.first().is_some_and(u8::is_ascii_alphabetic)
        && scheme.iter().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'-' | b'.'));
    let hex = |at: usize| rest.get(at).is_some_and(u8::is_ascii_hexdigit);
    scheme_ok
        && rest.iter().enumerate().all(|(i, b)| match b {
            b'%' => hex(i + 1) && hex(i + 2),
            b if b.is_ascii_alphanumeric() => true,
            b => b"-._~:/?#[]@!$&'()*+,;=".contains(b),
        })
}

fn hostname(text: &str) -> bool {
    let label = |s: &str| {
        (1..=63).contains(&s.len())
            && !s.starts_with('-')
            && !s.ends_with('-')
            && s.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
    };
    text.split('.').all(label)
}

fn email(text: &str) -> bool {
    let Some((local, domain)) = text.rsplit_once('@') else { return false };
    let atom = |s: &str| {
        !s.is_empty() && s.chars().all(|c| c.is_alphanumeric() || (!c.is_control() && !" \"(),:;<>@[\\]".contains(c)))
    };
    let quoted =
        local.len() > 2 && local.starts_with('"') && local.ends_with('"') && !local[1..local.len() - 1].contains('"');
    let domain_ok = match domain.strip_prefix('[').and_then(|d| d.strip_suffix(']')) {
        Some(literal) => ipv4(literal) || literal.strip_prefix("IPv6:").is_some_and(ipv6),
        None => hostname(domain) || (!domain.is_ascii() && domain.split('.').all(atom)),
    };
    local.chars().count() <= 64 && (quoted || local.split('.').all(atom)) && domain_ok
}

fn uuid(bytes: &[u8]) -> bool {
    bytes.len() == 36
        && bytes.iter().enumerate().all(|(i, b)| match i {
            8 | 13 | 18 | 23 => *b == b'-',
            _ => b.is_ascii_hexdigit(),
        })
}

/// ISO 8601: `P3Y6M4DT12H30M5.5S`, `P2W`.
fn duration(text: &str) -> bool {
    let Some(rest) = text.strip_prefix('P') else { return false };
    let (date, time) = rest.split_once('T').map_or((rest, None), |(d, t)| (d, Some(t)));
    let parts = |text: &str, units: &str| {
        let (mut left, mut text) = (units, text);
        while !text.is_empty() {
            let end = text.find(|c: char| !c.is_ascii_digit() && c != '.').filter(|e| *e > 0)?;
            let (number, tail) = text.split_at(end);
            let mut pieces = number.split('.');
            if pieces.clone().count() > 2 || pieces.any(str::is_empty) {
                return None;
            }
            let unit = tail.chars().next()?;
            left = left.split_once(unit)?.1;
            text = tail.strip_prefix(unit)?;
        }
        Some(())
    };
    let some = |t: &str| !t.is_empty();
    parts(date, "YMWD").is_some()
        && time.is_none_or(|t| some(t) && parts(t, "HMS").is_some())
        && (some(date) || time.is_some())
}

#[cfg(test)]
mod tests {
    use super::*;

    const CASES: &[(&str, &[&str], &[&str])] = &[
        (
            "date-time",
            &[
                "2024-03-09T10:20:31Z",
                "2024-03-09T10:20:31.123456789+05:30",
                "2024-03-09 10:20:31z",
                "2024-02-29t00:00:00-00:30",
                "2016-12-31T23:59:60Z",
                "2016-12-31T15:59:60-08:00",
            ],
            &[
                "2024-03-09T10:20:31",
                "2024-03-09T10:20Z",
                "2023-02-29T10:20:31Z",
                "2024-13-09T10:20:31Z",
                "2024-03-09T24:00:00Z",
                "2024-03-09T10:20:61Z",
                "2024-03-09T10:20:60Z",
                "2024-03-09T10:20:31.Z",
                "2024-03-09T10:20:31+5:30",
                "2024-03-09",
                "soon",
                "",
            ],
        ),
        ("date", &["2024-02-29", "1900-01-01"], &["2023-02-29", "1900-02-29", "24-01-01", "2024-1-1", "2024-01-01T"]),
        ("time", &["10:20:31", "10:20:31.5"], &["10:20", "10:20:31Z", "10:20:31.", "1:20:31"]),
        ("ipv4", &["203.0.113.7", "001.2.3.4"], &["256.1.1.1", "1.2.3", "1.2.3.4.5", "a.b.c.d", "1.2.3.0004"]),
        ("ip-address", &["127.0.0.1"], &["::1"]),
        (
            "ipv6",
            &["::1", "2001:db8::7", "::ffff:1.2.3.4", "fe80::1%eth0", " ::1 "],
            &["1.2.3.4", ":::", "12345::", "::1%"],
        ),
        (
            "uri",
            &["http://a.test/b?c=d#e", "urn:isbn:1", "mailto:a@b.test", "a+b-c.d:x", "http://a.test/%20"],
            &[
                "/path",
                "a.test",
                "http://a.test/ b",
                "http://a.test/ü",
                "1http://x",
                "http://a.test/%2",
                "http://a/{x}",
                "",
            ],
        ),
        ("hostname", &["a", "www.a-b.test", "1.2"], &["-a.test", "a..b", "a_b.test", "", "ü.test"]),
        (
            "email",
            &["ann@example.com", "a.b+c@x.test", "\"a b\"@x.test", "a@[1.2.3.4]", "jörg@müller.test"],
            &["ann", "@x.test", "a@", "a b@x.test", ".a@x.test", "a..b@x.test", "a@x..test"],
        ),
        (
            "uuid",
            &["5a7f2e0c-9d1b-4c3e-8f60-2b7d1e9a4c55", "5A7F2E0C-9D1B-4C3E-8F60-2B7D1E9A4C55"],
            &[
                "5a7f2e0c9d1b4c3e8f602b7d1e9a4c55",
                "5a7f2e0c-9d1b-4c3e-8f60-2b7d1e9a4c5",
                "5a7f2e0c-9d1b-4c3e-8f60-2b7d1e9a4c5g",
            ],
        ),
        (
            "duration",
            &["P1Y", "PT1H30M", "P3Y6M4DT12H30M5.5S", "P2W"],
            &["P", "PT", "1Y", "P1H", "PT1Y", "P1M1Y", "P1", "P.Y"],
        ),
        (
            "color",
            &["#1e90ff", "fff", "red", "rgb(1, 2,255)", "rgb(10%,20%,100%)"],
            &["#ff", "reddish", "rgb(1,2)", "rgb(256,1,1)", "#ggg"],
        ),
        ("alpha", &["abc"], &["", "ab1", "ü"]),
        ("alphanumeric", &["ab1"], &["", "a b"]),
        (
            "phone",
            &["+44 20 7946 0000", "+4420794"],
            &["442079460000", "+44  20794600", "+1234", "+123456789012345678"],
        ),
        ("utc-millisec", &["1700000000000", "1.5"], &["", "-1", "1.", ".5", "a"]),
        ("style", &["color: red", "a:b;"], &["color", ":red", "a:", "a:b;c"]),
    ];

    #[test]
    fn formats_take_and_refuse_what_they_should() {
        for (name, good, bad) in CASES {
            let format = Format::named(name).unwrap();
            for text in *good {
                assert!(format.accepts(text), "{name} should take {text:?}");
            }
            for text in *bad {
                assert!(!format.accepts(text), "{name} should refuse {text:?}");
            }
            assert!(format.accepts(format.describe().1), "{name}'s own example");
        }
        assert_eq!(Format::named("json-pointer"), None);
    }
}
