//! Numbers as they are written, compared exactly.
//!
//! JSON numbers of any length and exponent are compared digit by digit; nothing is ever expanded or rounded, so
//! `1e400`, thirty-digit identifiers and money behave, and hostile exponents cost nothing.

use std::cmp::Ordering;

/// Exponents beyond this count as this.
const EXPONENT_LIMIT: i64 = 1 << 50;
/// Most digits that a plain integer may have to take the short way.
const SMALL_DIGITS: usize = 19;
/// Most significant digits of a step width, so that products of two remainders fit.
const STEP_DIGITS: usize = 18;

/// Whether the text counts as an integer: the reference looks at the form, so `5.0` and `1e3` are none.
pub(super) fn is_integer(text: &str) -> bool {
    !text.bytes().any(|b| matches!(b, b'.' | b'e' | b'E'))
}

/// The value of a plain integer, if it fits.
pub(super) fn small(text: &str) -> Option<i64> {
    let (negative, digits) = match text.as_bytes() {
        [b'-', rest @ ..] => (true, rest),
        rest => (false, rest),
    };
    if digits.is_empty() || digits.len() > SMALL_DIGITS {
        return None;
    }
    // Nineteen digits always fit in a u64.
    let mut value = 0u64;
    for b in digits {
        if !b.is_ascii_digit() {
            return None;
        }
        value = value * 10 + u64::from(b - b'0');
    }
    let value = i64::try_from(value).ok()?;
    Some(if negative { -value } else { value })
}

/// A number taken apart: the value is ±0.d₁d₂d₃… × 10^point.
#[derive(Clone, Copy, Debug)]
struct Parts<'a> {
    negative: bool,
    /// Digits before the decimal point, without leading zeros of the number.
    whole: &'a [u8],
    /// Digits after it; leading zeros are gone if `whole` is empty.
    fraction: &'a [u8],
    point: i64,
}

impl<'a> Parts<'a> {
    /// Takes JSON number text apart; text that is none reads as far as it goes.
    fn of(text: &'a str) -> Self {
        let bytes = text.as_bytes();
        let (negative, bytes) = match bytes {
            [b'-', rest @ ..] => (true, rest),
            rest => (false, rest),
        };
        let mantissa_end = bytes.iter().position(|b| matches!(b, b'e' | b'E')).unwrap_or(bytes.len());
        let (mantissa, exponent) = bytes.split_at(mantissa_end);
        let dot = mantissa.iter().position(|b| *b == b'.').unwrap_or(mantissa.len());
        let (whole, rest) = mantissa.split_at(dot);
        let fraction = rest.get(1..).unwrap_or(&[]);
        let exponent = read_exponent(exponent);
        let whole = skip_zeros(whole);
        if !whole.is_empty() {
            return Parts { negative, whole, fraction, point: whole.len() as i64 + exponent };
        }
        let significant = skip_zeros(fraction);
        let point = exponent - (fraction.len() - significant.len()) as i64;
        Parts { negative, whole: &[], fraction: significant, point }
    }

    fn digits(self) -> impl DoubleEndedIterator<Item = u8> + Clone + use<'a> {
        self.whole.iter().chain(self.fraction).map(|b| b.wrapping_sub(b'0'))
    }

    fn len(self) -> usize {
        self.whole.len() + self.fraction.len()
    }

    fn is_zero(self) -> bool {
        self.digits().all(|d| d == 0)
    }

    fn trailing_zeros(self) -> usize {
        self.digits().rev().take_while(|d| *d == 0).count()
    }
}

fn skip_zeros(digits: &[u8]) -> &[u8] {
    let zeros = digits.iter().take_while(|b| **b == b'0').count();
    digits.get(zeros..).unwrap_or(&[])
}

fn read_exponent(text: &[u8]) -> i64 {
    let text = text.get(1..).unwrap_or(&[]);
    let (negative, digits) = match text {
        [b'-', rest @ ..] => (true, rest),
        [b'+', rest @ ..] => (false, rest),
        rest => (false, rest),
    };
    let value = digits.iter().fold(0i64, |n, b| (n * 10 + i64::from(b.wrapping_sub(b'0'))).min(EXPONENT_LIMIT));
    if negative { -value } else { value }
}

/// Compares two JSON numbers by value.
pub(super) fn compare(a: &str, b: &str) -> Ordering {
    if let (Some(a), Some(b)) = (small(a), small(b)) {
        return a.cmp(&b);
    }
    let (a, b) = (Parts::of(a), Parts::of(b));
    match (a.is_zero(), b.is_zero()) {
        (true, true) => return Ordering::Equal,
        (true, false) => return if b.negative { Ordering::Greater } else { Ordering::Less },
        (false, true) => return if a.negative { Ordering::Less } else { Ordering::Greater },
        (false, false) => {}
    }
    if a.negative != b.negative {
        return if a.negative { Ordering::Less } else { Ordering::Greater };
    }
    let size = a.point.cmp(&b.point).then_with(|| {
        let padded = a.len().max(b.len());
        let zeros = std::iter::repeat(0);
        a.digits().chain(zeros.clone()).take(padded).cmp(b.digits().chain(zeros).take(padded))
    });
    if a.negative { size.reverse() } else { size }
}

/// Feeds a hasher so that equal numbers hash equal however they are written.
pub(super) fn hash<H: std::hash::Hasher>(text: &str, hasher: &mut H) {
    let parts = Parts::of(text);
    if parts.is_zero() {
        hasher.write_u8(b'0');
        return;
    }
    hasher.write_u8(if parts.negative { b'-' } else { b'+' });
    hasher.write_i64(parts.point);
    let keep = parts.len() - parts.trailing_zeros();
    for digit in parts.digits().take(keep) {
        hasher.write_u8(digit);
    }
}

/// A number of the data, read once for all rules that look at it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Value<'a> {
    pub(super) text: &'a str,
    small: Option<i64>,
}

impl<'a> Value<'a> {
    pub(super) fn of(text: &'a str) -> Self {
        Value { text, small: small(text) }
    }

    /// See [`is_integer`].
    pub(super) fn is_integer(self) -> bool {
        self.small.is_some() || is_integer(self.text)
    }
}

/// A bound as a schema states it.
#[derive(Clone, Debug)]
pub(super) struct Bound {
    pub(super) text: Box<str>,
    small: Option<i64>,
    pub(super) exclusive: bool,
}

impl Bound {
    pub(super) fn new(text: &str, exclusive: bool) -> Self {
        Bound { text: text.into(), small: small(text), exclusive }
    }

    fn order_of(&self, value: Value) -> Ordering {
        match (value.small, self.small) {
            (Some(value), Some(bound)) => value.cmp(&bound),
            _ => compare(value.text, &self.text),
        }
    }

    /// Whether `value` is not below this minimum.
    pub(super) fn allows_from(&self, value: Value) -> bool {
        match self.order_of(value) {
            Ordering::Less => false,
            Ordering::Equal => !self.exclusive,
            Ordering::Greater => true,
        }
    }

    /// Whether `value` is not above this maximum.
    pub(super) fn allows_to(&self, value: Value) -> bool {
        match self.order_of(value) {
            Ordering::Greater => false,
            Ordering::Equal => !self.exclusive,
            Ordering::Less => true,
        }
    }
}

/// A step width: value = `mantissa` × 10^`exponent`, the mantissa not divisible by ten.
#[derive(Clone, Debug)]
pub(super) struct Step {
    pub(super) text: Box<str>,
    mantissa: u64,
    exponent: i64,
}

impl Step {
    /// None for zero, and for more than 18 significant digits.
    pub(super) fn new(text: &str) -> Option<Self> {
        let parts = Parts::of(text);
        let zeros = parts.trailing_zeros();
        let keep = parts.len() - zeros;
        if parts.is_zero() || keep > STEP_DIGITS {
            return None;
        }
        let mantissa = parts.digits().take(keep).fold(0u64, |n, d| n * 10 + u64::from(d));
        Some(Step { text: text.into(), mantissa, exponent: parts.point - keep as i64 })
    }

    /// Whether `value` is a whole number of steps.
    pub(super) fn divides(&self, value: Value) -> bool {
        let parts = Parts::of(value.text);
        if parts.is_zero() {
            return true;
        }
        let keep = parts.len() - parts.trailing_zeros();
        let shift = parts.point - keep as i64 - self.exponent;
        // The value's last digit is not zero, so it cannot be a multiple of a step with more zeros.
        if shift < 0 {
            return false;
        }
        let m = u128::from(self.mantissa);
        let rest = parts.digits().take(keep).fold(0u128, |n, d| (n * 10 + u128::from(d)) % m);
        (rest * power_of_ten(shift as u64, m)).is_multiple_of(m)
    }
}

/// 10^`exponent` modulo `modulus` (below 10^18, so that products fit).
fn power_of_ten(mut exponent: u64, modulus: u128) -> u128 {
    let (mut base, mut result) = (10 % modulus, 1 % modulus);
    while exponent > 0 {
        if exponent & 1 == 1 {
            result = result * base % modulus;
        }
        base = base * base % modulus;
        exponent >>= 1;
    }
    result
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn numbers_compare_by_value_and_to_the_last_digit() {
        let ascending = [
            "-1e400",
            "-123456789012345678901234567891",
            "-123456789012345678901234567890",
            "-1.5",
            "-0.1e-5",
            "0",
            "1e-999999999999",
            "0.1",
            "0.10000000000000000001",
            "1",
            "9007199254740992",
            "9007199254740993",
            "9223372036854775806",
            "9223372036854775807",
            "9223372036854775808",
            "18446744073709551616",
            "123456789012345678901234567890.1",
            "1e400",
            "1e999999999999999999999",
        ];
        for (i, a) in ascending.iter().enumerate() {
            for (j, b) in ascending.iter().enumerate() {
                assert_eq!(compare(a, b), i.cmp(&j), "{a} {b}");
            }
        }
        for (a, b) in [("1", "1.0"), ("100", "1e2"), ("0.001", "1E-3"), ("-0", "0.0e5"), ("12.50", "1.25e+1")] {
            assert_eq!(compare(a, b), Ordering::Equal, "{a} {b}");
        }
    }

    #[test]
    fn multiples_are_exact() {
        for (value, step, yes) in [
            ("0.3", "0.1", true),
            ("19.99", "0.01", true),
            ("19.995", "0.01", false),
            ("1e300", "7", false),
            ("7e300", "7", true),
            ("100", "1e2", true),
            ("150", "1e2", false),
            ("0", "3", true),
            ("-9", "3", true),
            ("123456789012345678901234567890", "10", true),
            ("1e-999999999", "0.5", false),
            ("4.5", "1.5", true),
        ] {
            assert_eq!(Step::new(step).unwrap().divides(Value::of(value)), yes, "{value} {step}");
        }
        assert!(Step::new("0.0").is_none());
        assert!(Step::new("1234567890123456789.5").is_none());
    }

    proptest! {
        #[test]
        fn small_decimals_compare_as_integers_do(a in -100_000i64..100_000, b in -100_000i64..100_000, shift in 0usize..4) {
            let text = |n: i64| {
                let sign = if n < 0 { "-" } else { "" };
                format!("{sign}{}.{:05}e{shift}", n.abs() / 100_000, n.abs() % 100_000)
            };
            prop_assert_eq!(compare(&text(a), &text(b)), a.cmp(&b));
        }

        #[test]
        fn equal_numbers_hash_equal(a in -1000i64..1000, zeros in 0u32..5) {
            let hash = |text: &str| {
                let mut h = std::hash::DefaultHasher::new();
                super::hash(text, &mut h);
                std::hash::Hasher::finish(&h)
            };
            let scaled = a * 10i64.pow(zeros);
            prop_assert_eq!(hash(&a.to_string()), hash(&format!("{scaled}.0e-{zeros}")));
        }

        #[test]
        fn multiples_agree_with_integer_arithmetic(a in -1_000_000i64..1_000_000, b in 1i64..5_000) {
            let divides = Step::new(&b.to_string()).unwrap().divides(Value::of(&a.to_string()));
            prop_assert_eq!(divides, a % b == 0);
            let tenth = |n: i64| format!("{}{}.{}", if n < 0 { "-" } else { "" }, n.abs() / 10, n.abs() % 10);
            prop_assert_eq!(Step::new(&tenth(b)).unwrap().divides(Value::of(&tenth(a))), a % b == 0);
        }
    }
}
