//! A filter that says "certainly not here" or "perhaps".
//!
//! A blocked Bloom filter: all bits of a key lie in one cache line, so a look costs one memory access. Event ids are random
//! bits already; they are only stirred so that ids made up by counting are spread as well.

/// Bits per key; about one false "perhaps" in two hundred.
const BITS_PER_KEY: usize = 12;
/// Bits set per key.
const PROBES: u32 = 7;
/// Words of 64 bits in a block.
const BLOCK: usize = 8;

/// A key, stirred once for all filters that it is looked up in.
#[derive(Clone, Copy, Debug)]
pub(super) struct Probe {
    block: u64,
    bits: u64,
}

impl Probe {
    pub(super) fn of(id: u128) -> Self {
        let stir = |x: u64| {
            let x = (x ^ (x >> 32)).wrapping_mul(0x9E37_79B9_7F4A_7C15);
            x ^ (x >> 29)
        };
        let (high, low) = ((id >> 64) as u64, id as u64);
        let bits = stir(high ^ stir(low));
        Probe { block: stir(bits ^ low), bits }
    }
}

/// A filter with room for a number of keys that is known beforehand.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Filter {
    words: Vec<u64>,
}

impl Filter {
    /// Room for `capacity` keys.
    pub(super) fn new(capacity: usize) -> Self {
        let blocks = (capacity * BITS_PER_KEY).div_ceil(BLOCK * 64).max(1);
        Filter { words: vec![0; blocks * BLOCK] }
    }

    /// A filter from its words; `None` when they are no whole blocks.
    pub(super) fn from_words(words: Vec<u64>) -> Option<Self> {
        (!words.is_empty() && words.len().is_multiple_of(BLOCK)).then_some(Filter { words })
    }

    pub(super) fn words(&self) -> &[u64] {
        &self.words
    }

    pub(super) fn add(&mut self, id: u128) {
        let probe = Probe::of(id);
        let at = self.place(probe);
        // `place` gives the start of a whole block inside `words`.
        let block = &mut self.words[at..at + BLOCK];
        let mut bits = probe.bits;
        for _ in 0..PROBES {
            block[(bits >> 6) as usize & (BLOCK - 1)] |= 1 << (bits & 63);
            bits = bits.rotate_right(9);
        }
    }

    pub(super) fn may_hold(&self, probe: Probe) -> bool {
        let at = self.place(probe);
        // As in `add`.
        let block = &self.words[at..at + BLOCK];
        let mut bits = probe.bits;
        (0..PROBES).all(|_| {
            let set = block[(bits >> 6) as usize & (BLOCK - 1)] >> (bits & 63) & 1 == 1;
            bits = bits.rotate_right(9);
            set
        })
    }

    pub(super) fn bytes(&self) -> usize {
        self.words.len() * 8
    }

    fn place(&self, probe: Probe) -> usize {
        let blocks = (self.words.len() / BLOCK) as u128;
        ((u128::from(probe.block) * blocks) >> 64) as usize * BLOCK
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_added_is_held_and_little_else() {
        let mut filter = Filter::new(20_000);
        // Ids made by counting are the hard case.
        let id = |n: u128| n << 64 | 7;
        (0..20_000).for_each(|n| filter.add(id(n)));
        assert!((0..20_000).all(|n| filter.may_hold(Probe::of(id(n)))));
        let wrong = (20_000..120_000).filter(|n| filter.may_hold(Probe::of(id(*n)))).count();
        assert!(wrong < 1500, "{wrong} of 100000");
        assert_eq!(Filter::from_words(filter.words().to_vec()).as_ref(), Some(&filter));
        assert_eq!(Filter::from_words(vec![0; 7]), None);
    }
}
