//! A filter that says "certainly not here" or "perhaps".
//!
//! A blocked Bloom filter: all bits of a key lie in one cache line, so a look costs one memory access. Event ids are random
//! bits already; they are only stirred so that ids made up by counting are spread as well.

/// Bits per key; about one false "perhaps" in a hundred.
const BITS_PER_KEY: usize = 10;
/// Bits set per key.
const PROBES: u32 = 6;
/// Words of 64 bits in a block.
const BLOCK: usize = 8;

/// A filter with room for a number of keys that is known beforehand.
#[derive(Clone, Debug)]
pub(super) struct Filter {
    words: Vec<u64>,
    capacity: usize,
    keys: usize,
}

impl Filter {
    /// Room for `capacity` keys.
    pub(super) fn new(capacity: usize) -> Self {
        let blocks = (capacity * BITS_PER_KEY).div_ceil(BLOCK * 64).max(1);
        Filter { words: vec![0; blocks * BLOCK], capacity, keys: 0 }
    }

    pub(super) fn add(&mut self, id: u128) {
        let (at, mut bits) = self.place(id);
        let block = &mut self.words[at..at + BLOCK];
        for _ in 0..PROBES {
            block[(bits >> 6) as usize & (BLOCK - 1)] |= 1 << (bits & 63);
            bits = bits >> 9 | bits << 55;
        }
        self.keys += 1;
    }

    pub(super) fn may_hold(&self, id: u128) -> bool {
        let (at, mut bits) = self.place(id);
        let block = &self.words[at..at + BLOCK];
        (0..PROBES).all(|_| {
            let set = block[(bits >> 6) as usize & (BLOCK - 1)] >> (bits & 63) & 1 == 1;
            bits = bits >> 9 | bits << 55;
            set
        })
    }

    /// Whether `more` keys fit.
    pub(super) fn has_room(&self, more: usize) -> bool {
        self.keys + more <= self.capacity
    }

    pub(super) fn bytes(&self) -> usize {
        self.words.len() * 8
    }

    fn place(&self, id: u128) -> (usize, u64) {
        let stir = |x: u64| {
            let x = (x ^ x >> 32).wrapping_mul(0x9E37_79B9_7F4A_7C15);
            x ^ x >> 29
        };
        let (high, low) = ((id >> 64) as u64, id as u64);
        let bits = stir(high ^ stir(low));
        let blocks = (self.words.len() / BLOCK) as u128;
        let block = (u128::from(stir(bits ^ low)) * blocks >> 64) as usize;
        (block * BLOCK, bits)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_added_is_held_and_little_else() {
        let mut filter = Filter::new(20_000);
        // Ids made by counting are the hard case.
        (0..20_000u128).for_each(|n| filter.add(n << 64 | 7));
        assert!((0..20_000u128).all(|n| filter.may_hold(n << 64 | 7)));
        let wrong = (20_000..120_000u128).filter(|n| filter.may_hold(n << 64 | 7)).count();
        assert!(wrong < 3000, "{wrong} of 100000");
    }
}
