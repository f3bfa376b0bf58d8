//! Counting different values: HyperLogLog with 4096 registers (Apache DataSketches).
//!
//! Few values are kept as the sketch's own 32-bit coupons in a sorted list, which is exact in practice and small; more of
//! them become registers. The estimate is always the *composite* one, a function of the registers alone: the other estimator
//! of DataSketches is a little sharper but depends on the order of insertion, and then both layers would not agree.

use datasketches::hll::{Coupon, HllSketch, HllType, HllUnion};

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
    /// Registers.
    Many(Box<HllSketch>),
}

impl Distinct {
    /// Takes text in.
    pub fn add_text(&mut self, value: &str) {
        self.add(Coupon::from_value(datasketches::hash::value::raw_bytes::from_str(value)));
    }

    /// Takes a number in.
    pub fn add_int(&mut self, value: i64) {
        self.add(Coupon::from_value(value));
    }

    fn add(&mut self, coupon: Coupon) {
        match self {
            Distinct::None => *self = Distinct::Few(Box::new(vec![coupon])),
            Distinct::Few(few) => {
                if let Err(at) = few.binary_search(&coupon) {
                    few.insert(at, coupon);
                    if few.len() > FEW {
                        *self = sketch_of(few).map_or(Distinct::None, |s| Distinct::Many(Box::new(s)));
                    }
                }
            }
            Distinct::Many(sketch) => sketch.update_with_coupon(coupon),
        }
    }

    /// Takes all values of another set in.
    pub fn merge(&mut self, other: &Distinct) {
        match (&mut *self, other) {
            (_, Distinct::None) => {}
            (Distinct::None, other) => *self = other.clone(),
            (_, Distinct::Few(coupons)) => coupons.iter().for_each(|c| self.add(*c)),
            (Distinct::Few(few), Distinct::Many(sketch)) => {
                let mut merged = sketch.as_ref().clone();
                if merged.target_type() != HllType::Hll8 {
                    merged = union_of(&merged, None).unwrap_or(merged);
                }
                few.iter().for_each(|c| merged.update_with_coupon(*c));
                *self = Distinct::Many(Box::new(merged));
            }
            (Distinct::Many(a), Distinct::Many(b)) => {
                if let Some(merged) = union_of(a, Some(b)) {
                    **a = merged;
                }
            }
        }
    }

    /// How many different values, estimated.
    pub fn value(&self) -> u64 {
        match self {
            Distinct::None => 0,
            Distinct::Few(few) => few.len() as u64,
            Distinct::Many(sketch) => sketch.composite_estimate().round().max(0.0) as u64,
        }
    }

    /// Halves the memory of one that will not grow any more.
    pub fn compact(&mut self) {
        match self {
            Distinct::None => {}
            Distinct::Few(few) => few.shrink_to_fit(),
            Distinct::Many(sketch) => {
                if let Ok(mut union) = HllUnion::new(LG_K) {
                    union.update(sketch);
                    **sketch = union.to_sketch(HllType::Hll4);
                }
            }
        }
    }

    /// Bytes on the heap, roughly.
    pub fn weight(&self) -> usize {
        match self {
            Distinct::None => 0,
            Distinct::Few(few) => 40 + 4 * few.capacity(),
            Distinct::Many(sketch) => 160 + sketch.estimated_size(),
        }
    }

    /// Serialised form: a DataSketches HLL image (version 1 of the HLL family), `None` for the empty set.
    pub fn to_bytes(&self) -> Option<Vec<u8>> {
        match self {
            Distinct::None => None,
            Distinct::Few(few) => sketch_of(few).map(|s| s.serialize()),
            Distinct::Many(_) => {
                let mut small = self.clone();
                small.compact();
                match small {
                    Distinct::Many(sketch) => Some(sketch.serialize()),
                    _ => None,
                }
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

fn sketch_of(coupons: &[Coupon]) -> Option<HllSketch> {
    // LG_K is a constant in the allowed range, so there is always a sketch.
    let mut sketch = HllSketch::new(LG_K, HllType::Hll8).ok()?;
    coupons.iter().for_each(|c| sketch.update_with_coupon(*c));
    Some(sketch)
}

fn union_of(a: &HllSketch, b: Option<&HllSketch>) -> Option<HllSketch> {
    let mut union = HllUnion::new(LG_K).ok()?;
    union.update(a);
    if let Some(b) = b {
        union.update(b);
    }
    Some(union.to_sketch(HllType::Hll8))
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
