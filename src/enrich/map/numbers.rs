//! Numbers as Java reads them: `Integer.parseInt`, `Long.parseLong` and `BigDecimal`, Unicode digits included.
//!
//! Decimals stay text: scale and digits are part of what was sent, and no float can hold them. Exponents are bounded here,
//! because the reference would write `1E999999` as a million digits.

/// Largest power of ten, up or down, that a decimal may have. A double ends at 308.
const MAX_EXPONENT: i64 = 400;

/// The zero of every run of ten decimal digits in the Basic Multilingual Plane (Unicode category Nd).
const ZEROS: [u16; 37] = [
    0x0030, 0x0660, 0x06F0, 0x07C0, 0x0966, 0x09E6, 0x0A66, 0x0AE6, 0x0B66, 0x0BE6, 0x0C66, 0x0CE6, 0x0D66, 0x0DE6,
    0x0E50, 0x0ED0, 0x0F20, 0x1040, 0x1090, 0x17E0, 0x1810, 0x1946, 0x19D0, 0x1A80, 0x1A90, 0x1B50, 0x1BB0, 0x1C40,
    0x1C50, 0xA620, 0xA8D0, 0xA900, 0xA9D0, 0xA9F0, 0xAA50, 0xABF0, 0xFF10,
];

fn digit(c: char) -> Option<u8> {
    if c.is_ascii() {
        return c.to_digit(10).map(|d| d as u8);
    }
    let code = u16::try_from(u32::from(c)).ok()?;
    let zero = ZEROS[ZEROS.partition_point(|&z| z <= code).checked_sub(1)?]; // in range: one below the partition point
    u8::try_from(code - zero).ok().filter(|&d| d < 10)
}

/// A hexadecimal digit as Java knows them: full-width letters too.
pub fn hex_digit(c: char) -> Option<u8> {
    match c {
        _ if c.is_ascii() => c.to_digit(16).map(|d| d as u8),
        'Ａ'..='Ｆ' => Some(10 + (u32::from(c) - u32::from('Ａ')) as u8),
        'ａ'..='ｆ' => Some(10 + (u32::from(c) - u32::from('ａ')) as u8),
        _ => digit(c),
    }
}

/// An optional sign and digits, within 64 bits.
pub(super) fn long(text: &str) -> Option<i64> {
    let (negative, digits) = match text.as_bytes().first()? {
        b'-' => (true, &text[1..]),
        b'+' => (false, &text[1..]),
        _ => (false, text),
    };
    if digits.is_empty() {
        return None;
    }
    // Counted downwards, because the lowest number has no positive twin.
    let mut value = 0i64;
    for c in digits.chars() {
        value = value.checked_mul(10)?.checked_sub(i64::from(digit(c)?))?;
    }
    if negative { Some(value) } else { value.checked_neg() }
}

/// An optional sign and digits, within 32 bits.
pub(super) fn int(text: &str) -> Option<i32> {
    i32::try_from(long(text)?).ok()
}

/// Whether the text is the word that some trackers send for nothing.
pub(super) fn is_null_word(text: &str) -> bool {
    text.eq_ignore_ascii_case("null")
}

/// ASCII digits, `x`, ASCII digits; each within 32 bits.
pub(super) fn size(text: &str) -> Option<(i32, i32)> {
    let (width, height) = text.split_once('x')?;
    let number = |s: &str| s.bytes().all(|b| b.is_ascii_digit()).then(|| s.parse::<i32>().ok()).flatten();
    Some((number(width)?, number(height)?))
}

/// Appends a decimal as Java prints it after raising a negative scale to 0. False, and nothing appended, when the text is
/// no decimal or its exponent is out of bounds.
pub(super) fn decimal(text: &str, out: &mut String) -> bool {
    let Some(read) = Decimal::read(text) else { return false };
    if read.adjusted().abs() > MAX_EXPONENT {
        return false;
    }
    read.write(out);
    true
}

struct Decimal {
    negative: bool,
    /// Without leading zeros; `0` for zero.
    digits: String,
    /// How many of the digits stand behind the point; may be negative or larger than their number.
    scale: i64,
}

impl Decimal {
    fn read(text: &str) -> Option<Self> {
        let (negative, mut rest) = match text.as_bytes().first()? {
            b'-' => (true, &text[1..]),
            b'+' => (false, &text[1..]),
            _ => (false, text),
        };
        let mut exponent = 0;
        if let Some(at) = rest.find(['e', 'E']) {
            exponent = i64::from(int(&rest[at + 1..])?);
            rest = &rest[..at];
        }
        let mut digits = String::with_capacity(rest.len());
        let mut fraction: Option<i64> = None;
        let mut seen = false;
        for c in rest.chars() {
            if c == '.' && fraction.is_none() {
                fraction = Some(0);
                continue;
            }
            let d = digit(c)?;
            seen = true;
            if let Some(n) = &mut fraction {
                *n += 1;
            }
            if d > 0 || !digits.is_empty() {
                digits.push(char::from(b'0' + d));
            }
        }
        if !seen {
            return None;
        }
        let negative = negative && !digits.is_empty();
        if digits.is_empty() {
            digits.push('0');
        }
        Some(Decimal { negative, digits, scale: fraction.unwrap_or(0) - exponent })
    }

    /// The exponent when written with one digit before the point.
    fn adjusted(&self) -> i64 {
        self.digits.len() as i64 - 1 - self.scale
    }

    fn write(&self, out: &mut String) {
        if self.negative {
            out.push('-');
        }
        let digits = self.digits.as_str();
        if self.scale <= 0 {
            out.push_str(digits);
            if digits != "0" {
                out.extend(std::iter::repeat_n('0', self.scale.unsigned_abs() as usize));
            }
            return;
        }
        let adjusted = self.adjusted();
        if adjusted >= -6 {
            match usize::try_from(digits.len() as i64 - self.scale) {
                Ok(whole) if whole > 0 => {
                    out.push_str(&digits[..whole]);
                    out.push('.');
                    out.push_str(&digits[whole..]);
                }
                _ => {
                    out.push_str("0.");
                    out.extend(std::iter::repeat_n('0', (self.scale as usize).saturating_sub(digits.len())));
                    out.push_str(digits);
                }
            }
            return;
        }
        out.push_str(&digits[..1]);
        if digits.len() > 1 {
            out.push('.');
            out.push_str(&digits[1..]);
        }
        out.push('E');
        out.push_str(itoa::Buffer::new().format(adjusted));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dec(text: &str) -> Option<String> {
        let mut out = String::new();
        decimal(text, &mut out).then_some(out)
    }

    #[test]
    fn decimals_keep_their_digits_as_java_prints_them() {
        for (text, out) in [
            ("1E7", "10000000"),
            ("12.50", "12.50"),
            ("+5", "5"),
            (".5", "0.5"),
            ("5.", "5"),
            ("-0", "0"),
            ("-0.0", "0.0"),
            ("0.000001", "0.000001"),
            ("0.0000001", "1E-7"),
            ("0.00000012", "1.2E-7"),
            ("007.10", "7.10"),
            ("1.5e2", "150"),
            ("1.5e1", "15"),
            ("-1.25E-1", "-0.125"),
            ("٣.٥", "3.5"),
            ("0E9", "0"),
            ("0E-9", "0E-9"),
            ("123456789012345678901234567890.10", "123456789012345678901234567890.10"),
        ] {
            assert_eq!(dec(text).as_deref(), Some(out), "{text}");
        }
    }

    #[test]
    fn what_is_no_decimal_is_refused_and_exponents_are_bounded() {
        for bad in [
            "",
            "1,5",
            " 1",
            "1 ",
            "NaN",
            "Infinity",
            "0x1F",
            ".",
            "-",
            "1e",
            "e5",
            "1.2.3",
            "1E999999",
            "1E-999999",
            "1E99999999999",
            "--1",
            "1e5.0",
        ] {
            assert_eq!(dec(bad), None, "{bad}");
        }
        assert!(dec("1E400").is_some() && dec("1E401").is_none());
    }

    #[test]
    fn integers_follow_java() {
        for (text, out) in [
            ("+7", Some(7)),
            ("-7", Some(-7)),
            ("007", Some(7)),
            ("٣", Some(3)),
            ("３", Some(3)),
            ("2147483647", Some(i32::MAX)),
            ("-2147483648", Some(i32::MIN)),
            ("2147483648", None),
            (" 7", None),
            ("7.0", None),
            ("1e3", None),
            ("", None),
            ("+", None),
            ("\u{1D7D7}", None),
        ] {
            assert_eq!(int(text), out, "{text}");
        }
        assert_eq!(long("-9223372036854775808"), Some(i64::MIN));
        assert_eq!(long("9223372036854775808"), None);
    }

    #[test]
    fn sizes_are_ascii_digits_around_a_small_x() {
        assert_eq!(size("1920x1080"), Some((1920, 1080)));
        for bad in [
            "1920X1080",
            "1920 x 1080",
            "-1x1",
            "1.5x2",
            "x",
            "1x",
            "",
            "null",
            "٣x٣",
            "1x2\n",
            "99999999999x1",
            "1x2x3",
        ] {
            assert_eq!(size(bad), None, "{bad}");
        }
    }
}
