//! Keys shared by many small sets of groups: the panes of a rolling window hold the same groups over and over.

use super::compiled::OTHER;
use super::groups::{Key, same_dims};
use hashbrown::HashTable;
use parking_lot::Mutex;
use std::sync::Arc;

/// A bounded table of keys without a bucket of time.
#[derive(Debug)]
pub struct KeyTable {
    keys: Mutex<HashTable<(u64, Arc<Key>)>>,
    other: (u64, Arc<Key>),
    max: usize,
}

impl KeyTable {
    /// A table of at most `max` keys of `dimensions` dimensions.
    pub fn new(dimensions: usize, max: usize) -> KeyTable {
        let dims = std::iter::repeat_n(Some(OTHER), dimensions);
        let hash = super::groups::hash(0, dims.clone());
        let key = Key { time: 0, dims: dims.map(|d| d.map(Arc::from)).collect() };
        KeyTable { keys: Mutex::default(), other: (hash, Arc::new(key)), max }
    }

    /// The key of these dimensions with its hash; the one of [`OTHER`] when the table is full.
    pub(super) fn get(&self, hash: u64, dims: &[Option<&str>]) -> (u64, Arc<Key>) {
        let mut keys = self.keys.lock();
        if let Some((_, key)) = keys.find(hash, |(_, k)| same_dims(k, dims)) {
            return (hash, key.clone());
        }
        if keys.len() >= self.max {
            return self.other.clone();
        }
        let key = Arc::new(Key { time: 0, dims: dims.iter().map(|d| d.map(Arc::from)).collect() });
        keys.insert_unique(hash, (hash, key.clone()), |(h, _)| *h);
        (hash, key)
    }

    /// Forgets keys that nobody uses any more.
    pub fn tidy(&self) {
        self.keys.lock().retain(|(_, key)| Arc::strong_count(key) > 1);
    }

    /// Keys in use.
    pub fn len(&self) -> usize {
        self.keys.lock().len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}
