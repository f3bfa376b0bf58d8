//! Quantiles: how many values fell into each of geometrically growing buckets.
//!
//! The bucket of a double is its sign, its exponent and the top six bits of its mantissa: no logarithm, the same on every
//! machine. A bucket is 1/64 of its lower end wide and answers with its middle, so an answer is at most 1/128 away from the
//! value that stands at the asked rank. Merging adds counts, so any order of merging gives the same answer to the digit:
//! KLL and t-digest, the usual choices, do not have that property (see `docs/decisions/0007-views.md`).

/// Greatest error of an answer, relative to the value.
pub const ERROR: f64 = 0.008;

/// Values closer to zero than this count as zero.
const LEAST: f64 = 1.0 / (1u64 << 30) as f64;
/// Greater values count as this, 2¹⁰⁰: about 1.27 × 10³⁰.
const GREATEST: f64 = f64::from_bits((1023 + 100) << 52);
const MANTISSA_BITS: u32 = 6;
const FORM: u8 = 1;

/// The distribution of some values.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Quantiles {
    /// Buckets in the order of their values, with their counts.
    buckets: Vec<(i32, u64)>,
    /// Least and greatest value; meaningless without buckets.
    ends: (f64, f64),
}

impl Quantiles {
    /// Takes a value in; NaN and infinities are no values.
    pub fn add(&mut self, value: f64) {
        if value.is_finite() {
            self.ends =
                if self.buckets.is_empty() { (value, value) } else { (self.ends.0.min(value), self.ends.1.max(value)) };
            self.count(bucket_of(value), 1);
        }
    }

    fn count(&mut self, bucket: i32, n: u64) {
        match self.buckets.binary_search_by_key(&bucket, |b| b.0) {
            Ok(at) => self.buckets[at].1 += n,
            Err(at) => self.buckets.insert(at, (bucket, n)),
        }
    }

    /// Takes all values of another distribution in.
    pub fn merge(&mut self, other: &Quantiles) {
        if other.buckets.is_empty() {
            return;
        }
        if self.buckets.is_empty() {
            self.clone_from(other);
            return;
        }
        self.ends = (self.ends.0.min(other.ends.0), self.ends.1.max(other.ends.1));
        if other.buckets.len() * 8 < self.buckets.len() {
            other.buckets.iter().for_each(|(bucket, n)| self.count(*bucket, *n));
            return;
        }
        let mine = std::mem::take(&mut self.buckets);
        let mut merged = Vec::with_capacity(mine.len() + other.buckets.len());
        let (mut a, mut b) = (mine.into_iter().peekable(), other.buckets.iter().copied().peekable());
        while let (Some(x), Some(y)) = (a.peek().copied(), b.peek().copied()) {
            match x.0.cmp(&y.0) {
                std::cmp::Ordering::Less => merged.extend(a.next()),
                std::cmp::Ordering::Greater => merged.extend(b.next()),
                std::cmp::Ordering::Equal => {
                    merged.push((x.0, x.1 + y.1));
                    a.next();
                    b.next();
                }
            }
        }
        merged.extend(a);
        merged.extend(b);
        self.buckets = merged;
    }

    /// The value at rank `q` (0 to 1): of `n` values in order the `⌈q·n⌉`-th, as SQL's `quantile_disc` has it, within
    /// [`ERROR`]. `None` without values.
    pub fn value(&self, q: f64) -> Option<f64> {
        let n: u64 = self.buckets.iter().map(|b| b.1).sum();
        let n_f = n as f64;
        let rank = (n_f - (n_f - q * n_f).floor()).max(1.0) as u64;
        let mut seen = 0;
        for (bucket, count) in &self.buckets {
            seen += count;
            if seen >= rank {
                return Some(middle_of(*bucket).clamp(self.ends.0, self.ends.1));
            }
        }
        None
    }

    /// Gives memory back of one that will not grow any more.
    pub fn compact(&mut self) {
        self.buckets.shrink_to_fit();
    }

    /// Bytes on the heap, roughly.
    pub fn weight(&self) -> usize {
        self.buckets.capacity() * size_of::<(i32, u64)>()
    }

    /// Serialised form: a form byte, least and greatest value (little-endian doubles), then per bucket the distance to the
    /// bucket before (zigzag LEB128) and the count (LEB128). `None` without values.
    pub fn to_bytes(&self) -> Option<Vec<u8>> {
        if self.buckets.is_empty() {
            return None;
        }
        let mut out = Vec::with_capacity(17 + 3 * self.buckets.len());
        out.push(FORM);
        out.extend_from_slice(&self.ends.0.to_le_bytes());
        out.extend_from_slice(&self.ends.1.to_le_bytes());
        let mut before = 0_i64;
        for (bucket, count) in &self.buckets {
            let step = i64::from(*bucket) - before;
            before = i64::from(*bucket);
            leb128(((step << 1) ^ (step >> 63)) as u64, &mut out);
            leb128(*count, &mut out);
        }
        Some(out)
    }

    /// Reads a serialised form.
    ///
    /// # Errors
    /// Says what is wrong with the bytes.
    pub fn from_bytes(bytes: &[u8]) -> Result<Quantiles, String> {
        let (head, mut rest) = bytes.split_at_checked(17).ok_or("fewer than 17 bytes")?;
        if head[0] != FORM {
            return Err(format!("form {} of a distribution; this program reads form {FORM}", head[0]));
        }
        let double = |at: usize| -> f64 {
            let mut eight = [0; 8];
            eight.copy_from_slice(&head[at..at + 8]);
            f64::from_le_bytes(eight)
        };
        let ends = (double(1), double(9));
        if ends.0.is_nan() || ends.1.is_nan() || ends.0 > ends.1 {
            return Err("the least value is above the greatest".to_owned());
        }
        let mut buckets: Vec<(i32, u64)> = Vec::new();
        let mut bucket = 0_i64;
        while !rest.is_empty() {
            let step = unleb128(&mut rest).ok_or("a number is cut off")?;
            let count = unleb128(&mut rest).ok_or("a number is cut off")?;
            bucket = bucket.wrapping_add((step >> 1) as i64 ^ -((step & 1) as i64));
            let known = i32::try_from(bucket).map_err(|_| "a bucket out of range")?;
            if buckets.last().is_some_and(|l| l.0 >= known) || count == 0 {
                return Err("buckets are not in order".to_owned());
            }
            buckets.push((known, count));
        }
        Ok(Quantiles { buckets, ends })
    }
}

fn bucket_of(value: f64) -> i32 {
    let size = value.abs().min(GREATEST);
    if size < LEAST {
        return 0;
    }
    let bucket = (size.to_bits() >> (52 - MANTISSA_BITS)) as i32;
    if value < 0.0 { -bucket } else { bucket }
}

fn middle_of(bucket: i32) -> f64 {
    if bucket == 0 {
        return 0.0;
    }
    let low = u64::from(bucket.unsigned_abs()) << (52 - MANTISSA_BITS);
    let middle = f64::from_bits(low | 1 << (51 - MANTISSA_BITS));
    if bucket < 0 { -middle } else { middle }
}

fn leb128(mut v: u64, out: &mut Vec<u8>) {
    while v >= 0x80 {
        out.push(v as u8 | 0x80);
        v >>= 7;
    }
    out.push(v as u8);
}

fn unleb128(bytes: &mut &[u8]) -> Option<u64> {
    let mut v = 0_u64;
    for shift in (0..64).step_by(7) {
        let (first, rest) = bytes.split_first()?;
        *bytes = rest;
        v |= u64::from(first & 0x7f) << shift;
        if first & 0x80 == 0 {
            return Some(v);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn of(values: &[f64]) -> Quantiles {
        let mut q = Quantiles::default();
        values.iter().for_each(|v| q.add(*v));
        q
    }

    fn exact(values: &[f64], q: f64) -> f64 {
        let mut v = values.to_vec();
        v.sort_by(f64::total_cmp);
        let n = v.len() as f64;
        v[(n - (n - q * n).floor()).max(1.0) as usize - 1]
    }

    fn values() -> impl Strategy<Value = Vec<f64>> {
        prop::collection::vec(prop_oneof![-1e9..1e9, 0.0..5000.0, Just(0.0), 1e-6..1e-3, Just(100.0)], 1..300)
    }

    proptest! {
        #[test]
        fn answers_are_within_the_error(v in values(), q in 0.0..=1.0) {
            let (got, want) = (of(&v).value(q).unwrap(), exact(&v, q));
            prop_assert!((got - want).abs() <= ERROR * want.abs() + LEAST, "{got} for {want}");
        }

        #[test]
        fn any_cut_gives_the_same_bytes(v in values(), cut in 0usize..300) {
            let cut = cut.min(v.len());
            let (mut a, mut b) = (of(&v[..cut]), of(&v[cut..]));
            let a0 = a.clone();
            a.merge(&b);
            b.merge(&a0);
            let bytes = of(&v).to_bytes();
            prop_assert_eq!(a.to_bytes(), bytes.clone());
            prop_assert_eq!(b.to_bytes(), bytes.clone());
            prop_assert_eq!(Quantiles::from_bytes(&bytes.unwrap()).unwrap(), of(&v));
        }

        #[test]
        fn foreign_bytes_are_refused_or_read(bytes in prop::collection::vec(any::<u8>(), 0..60)) {
            let _ = Quantiles::from_bytes(&bytes);
        }
    }

    #[test]
    fn the_ends_are_exact_and_nothing_is_none() {
        assert_eq!(Quantiles::default().value(0.5), None);
        assert_eq!(of(&[100.0; 7]).value(0.95), Some(100.0));
        assert_eq!(of(&[f64::NAN, f64::INFINITY]).value(0.5), None);
        assert_eq!(of(&[-3.0, 1e300]).value(0.0), Some(-3.0));
    }
}
