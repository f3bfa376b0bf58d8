//! A frozen table of property names, made for looking up short keys fast.
//!
//! The table is built once from a schema, so the probing sequence for any key, hostile ones included, is as short as the
//! schema's author made it; a general hash map would spend more time on its hash than on the look-up.

/// Names in their order of insertion.
#[derive(Debug, Default)]
pub(super) struct NameTable {
    names: Vec<Box<str>>,
    /// Index into `names` plus one; 0 = free. The length is a power of two, at most half full.
    slots: Box<[u32]>,
}

impl NameTable {
    /// A table of unique names; a repeated one keeps its first index.
    pub(super) fn new<'a>(names: impl IntoIterator<Item = &'a str>) -> Self {
        let mut unique: Vec<Box<str>> = Vec::new();
        let mut seen = ahash::AHashSet::new();
        for name in names {
            if seen.insert(name) {
                unique.push(name.into());
            }
        }
        let size = (unique.len() * 2).next_power_of_two().max(4);
        let mut slots = vec![0u32; size].into_boxed_slice();
        for (i, name) in unique.iter().enumerate() {
            let mut at = hash(name.as_bytes()) as usize & (size - 1);
            // indexing: `at` is masked to the table's size, which always has a free slot
            while slots[at] != 0 {
                at = (at + 1) & (size - 1);
            }
            slots[at] = i as u32 + 1;
        }
        NameTable { names: unique, slots }
    }

    /// Index of `name`.
    #[inline]
    pub(super) fn find(&self, name: &str) -> Option<usize> {
        let mask = self.slots.len().wrapping_sub(1);
        let mut at = hash(name.as_bytes()) as usize & mask;
        loop {
            let slot = *self.slots.get(at)?;
            let index = (slot as usize).checked_sub(1)?;
            if self.names.get(index).is_some_and(|n| **n == *name) {
                return Some(index);
            }
            at = (at + 1) & mask;
        }
    }

    /// The name at `index`.
    pub(super) fn name(&self, index: usize) -> &str {
        self.names.get(index).map_or("", |n| n)
    }
}

/// Mixes the length and the first and last eight bytes, which tell property names apart.
#[inline]
fn hash(key: &[u8]) -> u64 {
    const A: u64 = 0x9E37_79B9_7F4A_7C15;
    const B: u64 = 0xD6E8_FEB8_6659_FD93;
    let (head, tail) = match (key.first_chunk::<8>(), key.last_chunk::<8>()) {
        (Some(head), Some(tail)) => (u64::from_le_bytes(*head), u64::from_le_bytes(*tail)),
        _ => match (key.first_chunk::<4>(), key.last_chunk::<4>()) {
            (Some(head), Some(tail)) => (u64::from(u32::from_le_bytes(*head)), u64::from(u32::from_le_bytes(*tail))),
            _ => (key.iter().fold(0, |n, b| n << 8 | u64::from(*b)), 0),
        },
    };
    let wide = u128::from(head ^ A ^ key.len() as u64) * u128::from(tail ^ B);
    (wide >> 64) as u64 ^ wide as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_what_it_holds_and_nothing_else() {
        let names: Vec<String> = (0..500).map(|i| format!("{}property{i}", "x".repeat(i % 20))).collect();
        let table = NameTable::new(names.iter().map(String::as_str));
        for (i, name) in names.iter().enumerate() {
            assert_eq!(table.find(name), Some(i));
            assert_eq!(table.name(i), name);
            assert_eq!(table.find(&format!("{name}-")), None);
        }
        assert_eq!(table.find(""), None);
        assert_eq!(NameTable::new(["", "a", "a"]).find(""), Some(0));
        assert_eq!(NameTable::default().find("a"), None);
    }
}
