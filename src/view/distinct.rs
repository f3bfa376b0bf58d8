//! Counting different values: HyperLogLog with 4096 registers (Apache DataSketches).
//!
//! Few values are kept as the sketch's own 32-bit coupons in a sorted list, which is exact in practice and small; more of
//! them become registers. The estimate is always the *composite* one, a function of the registers alone: the other estimator
//! of DataSketches is a little sharper but depends on the order of insertion, and then both layers would not agree.

use datasketches::hash::value::raw_bytes;
use datasketches::hll::{Coupon, HllSketch, HllType, HllUnion};
use std::borrow::Cow;
use std::hash::Hash;

/// One standard error of the estimate, relative: 1.04 / √4096, rounded.
pub const ERROR: f64 = 0.016;

const LG_K: u8 = 12;
const FEW: usize = 48;

/// A set of values that only knows how many there are.
#[derive(Clone, Debug, Default)]
pub enum Distinct {
    /// No value.
    #[default]
    None,
    /// Coupons of few values, sorted.
    Few(Box<Vec<Coupon>>),
    /// Registers that grow.
    Many(Box<HllUnion>),
    /// Registers as they are stored: half the size, slower to add to.
    Stored(Box<HllSketch>),
}

impl Distinct {
    /// Takes text in.
    pub fn add_text(&mut self, value: &str) {
        self.add(raw_bytes::from_str(value));
    }

    /// Takes a number in.
    pub fn add_int(&mut self, value: i64) {
        self.add(value);
    }

    fn add<T: Hash>(&mut self, value: T) {
        match self {
            Distinct::None => *self = Distinct::Few(Box::new(vec![Coupon::from_value(value)])),
            Distinct::Few(_) => self.add_coupon(Coupon::from_value(value)),
            Distinct::Many(registers) => registers.update_value(value),
            Distinct::Stored(_) => {
                if let Some(registers) = self.grow() {
                    registers.update_value(value);
                }
            }
        }
    }

    fn add_coupon(&mut self, coupon: Coupon) {
        if let Distinct::Few(few) = self
            && let Err(at) = few.binary_search(&coupon)
        {
            few.insert(at, coupon);
            if few.len() > FEW {
                self.grow();
            }
        }
    }

    /// Makes growing registers of whatever this is.
    fn grow(&mut self) -> Option<&mut HllUnion> {
        if !matches!(self, Distinct::Many(_)) {
            // LG_K is a constant in the allowed range, so there are always registers.
            let mut registers = HllUnion::new(LG_K).ok()?;
            match self {
                Distinct::Few(few) => registers.update(&sketch_of(few)?),
                Distinct::Stored(sketch) => registers.update(sketch),
                Distinct::None | Distinct::Many(_) => {}
            }
            *self = Distinct::Many(Box::new(registers));
        }
        match self {
            Distinct::Many(registers) => Some(registers),
            _ => None,
        }
    }

    /// Takes all values of another set in.
    pub fn merge(&mut self, other: &Distinct) {
        match (&mut *self, other) {
            (_, Distinct::None) => {}
            (Distinct::None, other) => *self = other.clone(),
            (Distinct::Few(few), Distinct::Few(theirs)) if few.len() + theirs.len() <= 2 * FEW => {
                few.extend_from_slice(theirs);
                few.sort_unstable();
                few.dedup();
                if few.len() > FEW {
                    self.grow();
                }
            }
            (_, other) => {
                let theirs = match other {
                    Distinct::Stored(sketch) => Some(Cow::Borrowed(sketch.as_ref())),
                    Distinct::Many(registers) => Some(Cow::Owned(registers.to_sketch(HllType::Hll8))),
                    Distinct::Few(few) => sketch_of(few).map(Cow::Owned),
                    Distinct::None => None,
                };
                if let (Some(registers), Some(theirs)) = (self.grow(), theirs) {
                    registers.update(&theirs);
                }
            }
        }
    }

    /// How many different values, estimated.
    pub fn value(&self) -> u64 {
        let estimate = match self {
            Distinct::None => 0.0,
            Distinct::Few(few) => few.len() as f64,
            Distinct::Many(registers) => registers.composite_estimate(),
            Distinct::Stored(sketch) => sketch.composite_estimate(),
        };
        estimate.round().max(0.0) as u64
    }

    /// Halves the memory of one that will not grow any more.
    pub fn compact(&mut self) {
        match self {
            Distinct::Few(few) => few.shrink_to_fit(),
            Distinct::Many(registers) => *self = Distinct::Stored(Box::new(registers.to_sketch(HllType::Hll4))),
            Distinct::None | Distinct::Stored(_) => {}
        }
    }

    /// Bytes on the heap, roughly.
    pub fn weight(&self) -> usize {
        match self {
            Distinct::None => 0,
            Distinct::Few(few) => 40 + 4 * few.capacity(),
            Distinct::Many(registers) => 160 + registers.estimated_size(),
            Distinct::Stored(sketch) => 160 + sketch.estimated_size(),
        }
    }

    /// Serialised form: a DataSketches HLL image (version 1 of the HLL family), `None` for the empty set.
    pub fn to_bytes(&self) -> Option<Vec<u8>> {
        match self {
            Distinct::None => None,
            Distinct::Few(few) => sketch_of(few).map(|s| s.serialize()),
            Distinct::Many(registers) => Some(registers.to_sketch(HllType::Hll4).serialize()),
            Distinct::Stored(sketch) => Some(sketch.serialize()),
        }
    }

    /// Reads a serialised form.
    ///
    /// # Errors
    /// Says what is wrong with the bytes.
    pub fn from_bytes(bytes: &[u8]) -> Result<Distinct, String> {
        let sketch = HllSketch::deserialize(bytes).map_err(|e| e.to_string())?;
        if sketch.lg_config_k() != LG_K {
            return Err(format!("a sketch of 2^{} registers; expected 2^{LG_K}", sketch.lg_config_k()));
        }
        Ok(Distinct::Stored(Box::new(sketch)))
    }
}

fn sketch_of(coupons: &[Coupon]) -> Option<HllSketch> {
    let mut sketch = HllSketch::new(LG_K, HllType::Hll8).ok()?;
    coupons.iter().for_each(|c| sketch.update_with_coupon(*c));
    Some(sketch)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(range: std::ops::Range<u32>) -> Distinct {
        let mut d = Distinct::default();
        range.for_each(|i| d.add_text(&format!("user-{i}")));
        d
    }

    #[test]
    fn any_cut_and_order_gives_the_same_estimate() {
        for n in [1, 5, 48, 49, 200, 400, 1_000, 5_000, 60_000] {
            let whole = of(0..n).value();
            for cut in [1, n / 3, n / 2, n - 1] {
                let (mut a, b) = (of(0..cut), of(cut / 2..n));
                let mut c = b.clone();
                a.merge(&b);
                c.merge(&of(0..cut));
                assert_eq!(a.value(), whole, "{n} cut at {cut}");
                assert_eq!(c.value(), whole, "{n} cut at {cut}, the other way");
            }
            let off = (whole as f64 / f64::from(n) - 1.0).abs();
            assert!(off < 4.0 * ERROR, "{n} estimated as {whole}");
            if n <= 200 {
                assert_eq!(whole, u64::from(n));
            }
        }
    }

    #[test]
    fn the_stored_form_says_the_same() {
        for n in [0, 1, 48, 49, 300, 500, 20_000] {
            let d = of(0..n);
            let back = d.to_bytes().map_or(Distinct::None, |b| Distinct::from_bytes(&b).unwrap());
            assert_eq!(back.value(), d.value(), "{n}");
            let (mut a, mut b) = (back, d.clone());
            let more = of(n / 2..2 * n + 7);
            a.merge(&more);
            b.merge(&more);
            assert_eq!(a.value(), b.value(), "{n} and more");
            let mut compact = d.clone();
            compact.compact();
            compact.merge(&more);
            assert_eq!(compact.value(), b.value(), "{n} compacted and more");
            compact = d;
            compact.compact();
            compact.add_text("another");
            assert!(compact.value() > 0);
        }
        assert!(Distinct::from_bytes(&[1, 2, 3]).is_err());
        assert!(of(0..100_000).to_bytes().unwrap().len() < 2400);
    }
}
