//! The most frequent values: a frequent-items sketch (Apache DataSketches).
//!
//! Exact while a group has no more different values than the sketch has places (at least 16 per listed value); beyond that
//! the rare ones are forgotten and every count has a stated bound. A merge of sketches that forgot something can list other
//! rare values than one big sketch would; the bound holds for both.

use datasketches::frequencies::{ErrorType, FrequentItemsSketch};

const LEAST_MAP: usize = 64;
const GREATEST_MAP: usize = 8192;
/// Longer values are cut here (at a character), so that hostile text cannot fill the memory.
pub const MAX_ITEM_BYTES: usize = 256;

/// A value and how often it came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Item {
    /// The value.
    pub value: String,
    /// Count; never below the true one.
    pub count: u64,
    /// How much of `count` may be too much; 0 when it is exact.
    pub error: u64,
}

/// Counts of the most frequent values.
#[derive(Clone, Debug, Default)]
pub struct Top(Option<Box<FrequentItemsSketch<String>>>);

/// The bound on the error of a count, relative to all events of the group, for a list of `n`.
pub fn error(n: usize) -> f64 {
    // The factor is the a-priori bound of the algorithm: 3.5 / size of the map.
    3.5 / map_size(n) as f64
}

fn map_size(n: usize) -> usize {
    n.saturating_mul(22).next_power_of_two().clamp(LEAST_MAP, GREATEST_MAP)
}

impl Top {
    /// Takes a value in; `n` is the length of the list that is wanted.
    pub fn add(&mut self, value: &str, n: usize) {
        let value = cut(value);
        if self.0.is_none() {
            // The size is a power of two in the allowed range, so there is always a sketch.
            self.0 = FrequentItemsSketch::new(map_size(n)).ok().map(Box::new);
        }
        if let Some(sketch) = &mut self.0 {
            sketch.update_ref(value);
        }
    }

    /// Takes all values of another one in.
    pub fn merge(&mut self, other: &Top) {
        match (&mut self.0, &other.0) {
            (_, None) => {}
            (None, Some(_)) => self.0.clone_from(&other.0),
            (Some(a), Some(b)) => a.merge(b),
        }
    }

    /// The `n` most frequent values, most frequent first, equals in the order of their bytes.
    pub fn value(&self, n: usize) -> Vec<Item> {
        let Some(sketch) = &self.0 else { return Vec::new() };
        let error = sketch.maximum_error();
        let rows = sketch.frequent_items(ErrorType::NoFalseNegatives);
        let mut items: Vec<Item> =
            rows.into_iter().map(|r| Item { value: r.item().clone(), count: r.estimate(), error }).collect();
        items.sort_by(|a, b| b.count.cmp(&a.count).then_with(|| a.value.cmp(&b.value)));
        items.truncate(n);
        items
    }

    /// Bytes on the heap, roughly.
    pub fn weight(&self) -> usize {
        self.0.as_ref().map_or(0, |s| 120 + s.estimated_size() + s.num_active_items() * 48)
    }

    /// Serialised form: a DataSketches frequent-items image over strings, `None` when empty.
    pub fn to_bytes(&self) -> Option<Vec<u8>> {
        self.0.as_ref().map(|s| s.serialize())
    }

    /// Reads a serialised form.
    ///
    /// # Errors
    /// Says what is wrong with the bytes.
    pub fn from_bytes(bytes: &[u8]) -> Result<Top, String> {
        let sketch = FrequentItemsSketch::deserialize(bytes).map_err(|e| e.to_string())?;
        if sketch.max_map_size() > GREATEST_MAP {
            return Err(format!("a sketch of {} places; at most {GREATEST_MAP}", sketch.max_map_size()));
        }
        Ok(Top(Some(Box::new(sketch))))
    }
}

fn cut(value: &str) -> &str {
    if value.len() <= MAX_ITEM_BYTES {
        return value;
    }
    &value[..value.floor_char_boundary(MAX_ITEM_BYTES)]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(range: std::ops::Range<usize>, n: usize) -> Top {
        let mut t = Top::default();
        for i in range {
            t.add(&format!("/page/{}", i % (1 + i % 97)), n);
        }
        t
    }

    #[test]
    fn few_values_are_exact_in_any_order() {
        let whole = of(0..5000, 20);
        let (mut a, b) = (of(0..1700, 20), of(1700..5000, 20));
        let mut c = b.clone();
        c.merge(&a);
        a.merge(&b);
        assert_eq!(a.value(20), whole.value(20));
        assert_eq!(c.value(20), whole.value(20));
        let back = Top::from_bytes(&whole.to_bytes().unwrap()).unwrap();
        assert_eq!(back.value(20), whole.value(20));
        let list = whole.value(20);
        assert!(list.iter().all(|i| i.error == 0));
        assert_eq!(list.iter().map(|i| i.count).max(), list.first().map(|i| i.count));
        let zero = (0..5000).filter(|i| i % (1 + i % 97) == 0).count() as u64;
        assert_eq!(list[0], Item { value: "/page/0".to_owned(), count: zero, error: 0 });
    }

    #[test]
    fn many_values_stay_within_the_bound() {
        let (mut t, total) = (Top::default(), 200_000u64);
        for i in 0..total {
            if i % 10 == 0 { t.add("/hot", 5) } else { t.add(&format!("/cold/{i}"), 5) }
        }
        let first = &t.value(5)[0];
        assert_eq!(first.value, "/hot");
        assert!(first.count >= total / 10 && first.count - first.error <= total / 10);
        assert!(first.error as f64 <= error(5) * total as f64);
    }

    #[test]
    fn long_values_are_cut_at_a_character() {
        let mut t = Top::default();
        t.add(&"ü".repeat(1000), 5);
        assert!(t.value(5)[0].value.len() <= MAX_ITEM_BYTES);
        assert!(Top::from_bytes(b"nonsense").is_err());
    }
}
