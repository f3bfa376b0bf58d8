//! Decimal text to the whole hundredths that a money column holds.

/// Reads a decimal as Java prints it (`12.5`, `-1E+3`, `0.005`) and rounds it half-even to two places. `None` when the
/// text is no decimal or the value has more than 18 digits at that scale.
pub(super) fn hundredths(text: &str) -> Option<i128> {
    let (mantissa, exponent) = match text.find(['e', 'E']) {
        Some(at) => (text.get(..at)?, text.get(at + 1..)?.parse::<i64>().ok()?),
        None => (text, 0),
    };
    let (negative, digits) = match mantissa.as_bytes().first()? {
        b'-' => (true, mantissa.get(1..)?),
        b'+' => (false, mantissa.get(1..)?),
        _ => (false, mantissa),
    };
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    if whole.len() + fraction.len() == 0 || !whole.bytes().chain(fraction.bytes()).all(|b| b.is_ascii_digit()) {
        return None;
    }
    // The point stands after this many digits once the value counts hundredths.
    let point = exponent.checked_add(whole.len() as i64)?.checked_add(2)?;
    let mut value: i128 = 0;
    let mut at: i64 = 0;
    let mut first_cut = 0u8;
    let mut rest_cut = false;
    for digit in whole.bytes().chain(fraction.bytes()).map(|b| b - b'0') {
        if at < point {
            value = value.checked_mul(10)?.checked_add(i128::from(digit))?;
            if value > MOST {
                return None;
            }
        } else if at == point {
            first_cut = digit;
        } else {
            rest_cut |= digit != 0;
        }
        at += 1;
    }
    if value != 0 {
        for _ in at..point {
            value = value.checked_mul(10)?;
            if value > MOST {
                return None;
            }
        }
    }
    // With the point left of every digit the whole number is below one tenth of a hundredth.
    let up = match (point < 0, first_cut) {
        (true, _) | (_, 0..=4) => false,
        (_, 5) => rest_cut || value % 2 == 1,
        _ => true,
    };
    value += i128::from(up);
    if value > MOST {
        return None;
    }
    Some(if negative { -value } else { value })
}

const MOST: i128 = 999_999_999_999_999_999;

#[cfg(test)]
mod tests {
    use super::hundredths;

    #[test]
    fn money_is_rounded_half_even_and_bounded() {
        for (text, want) in [
            ("12", Some(1200)),
            ("12.5", Some(1250)),
            ("-0.01", Some(-1)),
            ("0.005", Some(0)),
            ("0.015", Some(2)),
            ("0.025", Some(2)),
            ("0.0251", Some(3)),
            ("0.0050000001", Some(1)),
            ("1E+3", Some(100_000)),
            ("1.5E-7", Some(0)),
            ("5E-3", Some(0)),
            ("6E-3", Some(1)),
            ("9E-4", Some(0)),
            ("0E+500", Some(0)),
            ("9999999999999999.99", Some(999_999_999_999_999_999)),
            ("9999999999999999.995", None),
            ("10000000000000000", None),
            ("1E+900000000000", None),
            ("1E99999999999999999999", None),
            ("", None),
            (".", None),
            ("-", None),
            ("1,5", None),
            ("NaN", None),
            (".5", Some(50)),
            ("5.", Some(500)),
        ] {
            assert_eq!(hundredths(text), want, "{text}");
        }
    }
}
