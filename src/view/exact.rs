//! Numbers whose sum does not depend on the order of adding.
//!
//! Money is hundredths, a double is billionths rounded half to even once, when it is read: after that only integers are
//! added, so any grouping of the same events gives the same digits. Integers are 128 bits wide; a value must be smaller than
//! [`DOUBLE_LIMIT`], so that 10⁹ of the greatest still fit the `DECIMAL(38, 9)` that is stored.

/// Decimal places kept of a double that is summed.
pub const DOUBLE_SCALE: u8 = 9;
/// Doubles of this size or more are no values for a sum (nor are NaN and infinities).
pub const DOUBLE_LIMIT: f64 = 1e20;
/// Greatest number of a `DECIMAL(38, s)`; sums stop there.
pub const MAX_DECIMAL: i128 = 10_i128.pow(38) - 1;

/// A 128-bit integer with the alignment of a 64-bit one, so that an aggregate stays small.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Wide {
    high: i64,
    low: u64,
}

impl Wide {
    /// From an integer.
    pub const fn new(v: i128) -> Wide {
        Wide { high: (v >> 64) as i64, low: v as u64 }
    }
    /// As an integer.
    pub const fn get(self) -> i128 {
        ((self.high as i128) << 64) | self.low as i128
    }
    /// The sum, held within what a decimal can store.
    pub fn plus(self, v: i128) -> Wide {
        Wide::new(self.get().saturating_add(v).clamp(-MAX_DECIMAL, MAX_DECIMAL))
    }
}

/// Billionths of a double; `None` when it is no value for a sum.
pub fn fixed(v: f64) -> Option<i128> {
    (v.abs() < DOUBLE_LIMIT).then(|| (v * 1e9).round_ties_even() as i128)
}

/// An integer that keeps the order of doubles; the two zeros are one.
pub fn order_key(v: f64) -> i64 {
    let bits = (v + 0.0).to_bits() as i64;
    if bits < 0 { i64::MIN.wrapping_sub(bits) } else { bits }
}

/// The double that has this key.
pub fn from_order_key(key: i64) -> f64 {
    let bits = if key < 0 { i64::MIN.wrapping_sub(key) } else { key };
    f64::from_bits(bits as u64)
}

/// `v / 10^scale` in digits, without needless zeros, as a JSON number.
pub fn decimal_text(v: i128, scale: u8) -> String {
    if scale == 0 {
        return v.to_string();
    }
    let unit = 10_u128.pow(u32::from(scale.min(38)));
    let (whole, part) = (v.unsigned_abs() / unit, v.unsigned_abs() % unit);
    let sign = if v < 0 { "-" } else { "" };
    if part == 0 {
        return format!("{sign}{whole}");
    }
    let digits = format!("{part:0width$}", width = usize::from(scale));
    format!("{sign}{whole}.{}", digits.trim_end_matches('0'))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn wide_numbers_come_back(v: i128) {
            prop_assert_eq!(Wide::new(v).get(), v);
        }

        #[test]
        fn keys_keep_the_order_of_doubles(a in any::<f64>(), b in any::<f64>()) {
            prop_assume!(!a.is_nan() && !b.is_nan());
            prop_assert_eq!(order_key(a).cmp(&order_key(b)), a.partial_cmp(&b).unwrap());
            prop_assert_eq!(from_order_key(order_key(a)), a);
        }
    }

    #[test]
    fn decimals_are_written_plainly() {
        for (v, scale, text) in [
            (1999, 2, "19.99"),
            (-5, 2, "-0.05"),
            (1000, 2, "10"),
            (0, 9, "0"),
            (-1_500_000_000, 9, "-1.5"),
            (7, 0, "7"),
        ] {
            assert_eq!(decimal_text(v, scale), text);
        }
        assert_eq!(fixed(19.99), Some(19_990_000_000));
        assert_eq!(fixed(f64::NAN), None);
        assert_eq!(fixed(1e20), None);
    }
}
