//! Counting different values: HyperLogLog with 4096 registers (Apache DataSketches).
//!
//! Few values are kept as the sketch's own 32-bit coupons in a sorted list, which is exact in practice and small; more of
//! them become registers. The estimate is always the *composite* one, a function of the registers alone: the other estimator
//! of DataSketches is a little sharper but depends on the order of insertion, and then both layers would not agree.

use datasketches::hash::value::raw_bytes;
use datasketches::hll::{Coupon, HllSketch, HllType, HllUnion};
use std::hash::Hash;

/// One standard error of the estimate, relative: 1.04 / √4096, rounded.
pub const ERROR: f64 = 0.016;

const LG_K: u8 = 12;
/// Most coupons in a list: one more and the sketch itself would go over to registers, so both go by the same estimate.
const FEW: usize = 384;

/// A set of values that only knows how many there are.
#[derive(Clone, Debug, Default)]
pub enum Distinct {
    /// No value.
    #[default]
    None,
    /// Coupons of few values, sorted.
    Few(Vec<Coupon>),
    /// Registers, growing by values or as they were stored.
    Many(Box<HllSketch>),
    /// Registers, growing by other registers.
    Sum(Box<HllUnion>),
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
            Distinct::None => *self = Distinct::Few(vec![Coupon::from_value(value)]),
            Distinct::Few(few) => {
                insert(few, Coupon::from_value(value));
                self.check_few();
            }
            Distinct::Many(registers) => registers.update(value),
            Distinct::Sum(registers) => registers.update_value(value),
        }
    }

    /// Goes over to registers when the list is too long.
    fn check_few(&mut self) {
        if let Distinct::Few(few) = self
            && few.len() > FEW
            && let Some(sketch) = sketch_of(few)
        {
            *self = Distinct::Many(Box::new(sketch));
        }
    }

    /// Takes all values of another set in.
    pub fn merge(&mut self, other: &Distinct) {
        match (&mut *self, other) {
            (_, Distinct::None) => {}
            (Distinct::None, other) => *self = other.clone(),
            (Distinct::Few(mine), Distinct::Few(theirs)) => {
                unite(mine, theirs);
                self.check_few();
            }
            (Distinct::Many(registers), Distinct::Few(few)) => add_coupons(registers, few),
            (Distinct::Sum(sum), Distinct::Few(few)) => {
                let mut registers = sum.to_sketch(HllType::Hll8);
                add_coupons(&mut registers, few);
                *self = Distinct::Many(Box::new(registers));
            }
            (Distinct::Few(mine), Distinct::Many(_) | Distinct::Sum(_)) => {
                let mine = std::mem::take(mine);
                *self = other.clone();
                self.merge(&Distinct::Few(mine));
            }
            (_, Distinct::Many(theirs)) => self.sum_up(theirs),
            (_, Distinct::Sum(theirs)) => self.sum_up(&theirs.to_sketch(HllType::Hll8)),
        }
    }

    fn sum_up(&mut self, theirs: &HllSketch) {
        if let Distinct::Many(mine) = self
            && let Ok(mut sum) = HllUnion::new(LG_K)
        {
            sum.update(mine);
            *self = Distinct::Sum(Box::new(sum));
        }
        if let Distinct::Sum(sum) = self {
            sum.update(theirs);
        }
    }

    /// How many different values, estimated.
    pub fn value(&self) -> u64 {
        let estimate = match self {
            Distinct::None => 0.0,
            Distinct::Few(few) => few.len() as f64,
            Distinct::Many(registers) => registers.composite_estimate(),
            Distinct::Sum(registers) => registers.composite_estimate(),
        };
        estimate.round().max(0.0) as u64
    }

    /// Halves the memory of one that will not grow any more.
    pub fn compact(&mut self) {
        match self {
            Distinct::None => {}
            Distinct::Few(few) => few.shrink_to_fit(),
            Distinct::Many(registers) => {
                if registers.target_type() != HllType::Hll4
                    && let Ok(mut sum) = HllUnion::new(LG_K)
                {
                    sum.update(registers);
                    **registers = sum.to_sketch(HllType::Hll4);
                }
            }
            Distinct::Sum(sum) => *self = Distinct::Many(Box::new(sum.to_sketch(HllType::Hll4))),
        }
    }

    /// Bytes on the heap, roughly.
    pub fn weight(&self) -> usize {
        match self {
            Distinct::None => 0,
            Distinct::Few(few) => 16 + 4 * few.capacity(),
            Distinct::Many(registers) => 160 + registers.estimated_size(),
            Distinct::Sum(registers) => 160 + registers.estimated_size(),
        }
    }

    /// Serialised form: a DataSketches HLL image (version 1 of the HLL family), `None` for the empty set.
    pub fn to_bytes(&self) -> Option<Vec<u8>> {
        match self {
            Distinct::None => None,
            Distinct::Few(few) => sketch_of(few).map(|s| s.serialize()),
            Distinct::Sum(sum) => Some(sum.to_sketch(HllType::Hll4).serialize()),
            Distinct::Many(_) => {
                let mut small = self.clone();
                small.compact();
                if let Distinct::Many(sketch) = small { Some(sketch.serialize()) } else { None }
            }
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
        Ok(Distinct::Many(Box::new(sketch)))
    }
}

fn insert(list: &mut Vec<Coupon>, coupon: Coupon) {
    if let Err(at) = list.binary_search(&coupon) {
        list.insert(at, coupon);
    }
}

/// Merges a sorted list into another.
fn unite(mine: &mut Vec<Coupon>, theirs: &[Coupon]) {
    if theirs.len() * 8 <= mine.len() {
        theirs.iter().for_each(|c| insert(mine, *c));
        return;
    }
    mine.extend_from_slice(theirs);
    // Two sorted runs: a stable sort merges them in one pass.
    mine.sort();
    mine.dedup();
}

fn add_coupons(registers: &mut HllSketch, coupons: &[Coupon]) {
    coupons.iter().for_each(|c| registers.update_with_coupon(*c));
}

fn sketch_of(coupons: &[Coupon]) -> Option<HllSketch> {
    // LG_K is a constant in the allowed range, so there is always a sketch.
    let mut sketch = HllSketch::new(LG_K, HllType::Hll8).ok()?;
    add_coupons(&mut sketch, coupons);
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
        for n in [1, 5, 48, 200, 383, 384, 385, 386, 400, 1_000, 5_000, 60_000] {
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
            if n <= 384 {
                assert_eq!(whole, u64::from(n));
            }
        }
    }

    #[test]
    fn the_stored_form_says_the_same() {
        for n in [0, 1, 7, 8, 9, 48, 300, 384, 385, 500, 20_000] {
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
