//! Groups: for every (bucket, dimension values) the aggregates of all measures.
//!
//! A hash table that is looked up with borrowed text: a row of an existing group allocates nothing. All tables of the process
//! hash with the same (random) key, so that merging two of them does not hash again.

use super::aggregate::Aggregate;
use super::compiled::{OTHER, View};
use ahash::RandomState;
use hashbrown::HashTable;
use std::hash::{BuildHasher, Hasher};
use std::sync::{Arc, LazyLock};

static HASHER: LazyLock<RandomState> = LazyLock::new(RandomState::new);

/// Values of the dimensions; `None` where the event had none.
pub type Words = Box<[Option<Arc<str>>]>;

/// What makes a group.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key {
    /// Start of the bucket, milliseconds since the epoch.
    pub time: i64,
    /// Values of the dimensions.
    pub dims: Words,
}

impl Key {
    /// Whether this is the group that took what exceeded the bound.
    pub fn is_other(&self) -> bool {
        !self.dims.is_empty() && self.dims.iter().all(|d| d.as_deref() == Some(OTHER))
    }
}

/// One group.
#[derive(Clone, Copy, Debug)]
pub struct Group<'a> {
    /// What makes it.
    pub key: &'a Key,
    /// Events in it.
    pub rows: u64,
    /// One aggregate per measure of the view.
    pub aggregates: &'a [Aggregate],
}

/// A set of groups of one view.
#[derive(Clone)]
pub struct Groups {
    view: Arc<View>,
    by: Arc<[usize]>,
    reduced: bool,
    keys: Vec<Arc<Key>>,
    hashes: Vec<u64>,
    rows: Vec<u64>,
    aggregates: Vec<Aggregate>,
    index: HashTable<u32>,
}

impl std::fmt::Debug for Groups {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Groups({}, {})", self.view.name(), self.len())
    }
}

impl Groups {
    /// No group yet, keys in the stored form: buckets of the view's own grain, all its dimensions.
    pub fn new(view: Arc<View>) -> Groups {
        let by = view.all.clone();
        Groups::shaped(view, by, false)
    }

    pub(super) fn shaped(view: Arc<View>, by: Arc<[usize]>, reduced: bool) -> Groups {
        Groups {
            view,
            by,
            reduced,
            keys: Vec::new(),
            hashes: Vec::new(),
            rows: Vec::new(),
            aggregates: Vec::new(),
            index: HashTable::new(),
        }
    }

    /// The view.
    pub fn view(&self) -> &Arc<View> {
        &self.view
    }
    /// Which dimensions of the view the keys hold.
    pub fn by(&self) -> &[usize] {
        &self.by
    }
    /// Whether the keys are those of an answer (bucketed and filtered) and not the stored ones.
    pub fn is_reduced(&self) -> bool {
        self.reduced
    }
    /// Number of groups.
    pub fn len(&self) -> usize {
        self.keys.len()
    }
    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }
    /// Events in all groups.
    pub fn total_rows(&self) -> u64 {
        self.rows.iter().sum()
    }
    /// Events in the groups that took what exceeded the bound.
    pub fn other_rows(&self) -> u64 {
        self.iter().filter(|g| g.key.is_other()).map(|g| g.rows).sum()
    }
    /// All groups in the order of their first event.
    pub fn iter(&self) -> impl Iterator<Item = Group<'_>> {
        (0..self.len()).map(|at| self.group(at))
    }
    /// All groups by time, then dimensions (no value first).
    pub fn sorted(&self) -> Vec<Group<'_>> {
        let mut all: Vec<Group<'_>> = self.iter().collect();
        all.sort_unstable_by(|a, b| a.key.cmp(b.key));
        all
    }
    /// The group of a key.
    pub fn get(&self, key: &Key) -> Option<Group<'_>> {
        let dims = || key.dims.iter().map(Option::as_deref);
        self.find(hash(key.time, dims()), key.time, dims()).map(|at| self.group(at))
    }
    /// Bytes held, roughly.
    pub fn weight(&self) -> usize {
        let per_group = size_of::<Key>() + 16 + 28 + self.by.len() * 40;
        self.len() * per_group + self.aggregates.iter().map(Aggregate::weight).sum::<usize>()
    }

    pub(super) fn group(&self, at: usize) -> Group<'_> {
        let m = self.view.measures.len();
        Group { key: &self.keys[at], rows: self.rows[at], aggregates: &self.aggregates[at * m..(at + 1) * m] }
    }

    #[inline]
    pub(super) fn find<'k>(
        &self,
        hash: u64,
        time: i64,
        dims: impl Iterator<Item = Option<&'k str>> + Clone,
    ) -> Option<usize> {
        let same = |at: &u32| {
            let key = &self.keys[*at as usize];
            key.time == time && key.dims.iter().zip(dims.clone()).all(|(mine, theirs)| mine.as_deref() == theirs)
        };
        self.index.find(hash, same).map(|at| *at as usize)
    }

    pub(super) fn insert(&mut self, hash: u64, key: Arc<Key>) -> usize {
        let at = self.keys.len();
        self.keys.push(key);
        self.hashes.push(hash);
        self.rows.push(0);
        self.aggregates.extend(self.view.measures.iter().map(|m| Aggregate::zero(m.function)));
        let hashes = &self.hashes;
        // A table of 2³² groups does not fit any memory, so the number fits.
        self.index.insert_unique(hash, at as u32, |at| hashes[*at as usize]);
        at
    }

    pub(super) fn slot_of(&mut self, time: i64, dims: &[Option<Arc<str>>]) -> usize {
        let words = || dims.iter().map(Option::as_deref);
        let hash = hash(time, words());
        match self.find(hash, time, words()) {
            Some(at) => at,
            None => self.insert(hash, Arc::new(Key { time, dims: dims.into() })),
        }
    }

    pub(super) fn rows_mut(&mut self) -> &mut [u64] {
        &mut self.rows
    }

    pub(super) fn aggregates_mut(&mut self) -> &mut [Aggregate] {
        &mut self.aggregates
    }

    pub(super) fn take_group(&mut self, at: usize, rows: u64, aggregates: &[Aggregate]) {
        let m = self.view.measures.len();
        self.rows[at] += rows;
        for (mine, theirs) in self.aggregates[at * m..(at + 1) * m].iter_mut().zip(aggregates) {
            mine.merge(theirs);
        }
    }

    /// Takes all groups of another set of the same view and shape in.
    pub fn merge(&mut self, other: &Groups) {
        for (at, hash) in other.hashes.iter().enumerate() {
            let key = &other.keys[at];
            let same = |at: &u32| {
                let mine = &self.keys[*at as usize];
                Arc::ptr_eq(mine, key) || mine == key
            };
            let slot = match self.index.find(*hash, same) {
                Some(slot) => *slot as usize,
                None => self.insert(*hash, key.clone()),
            };
            let group = other.group(at);
            self.take_group(slot, group.rows, group.aggregates);
        }
    }

    /// Gives memory back of groups that will not change any more.
    pub fn compact(&mut self) {
        self.aggregates.iter_mut().for_each(Aggregate::compact);
    }
}

/// Whether a key has these dimensions.
pub(super) fn same_dims(key: &Key, dims: &[Option<&str>]) -> bool {
    key.dims.iter().zip(dims).all(|(mine, theirs)| mine.as_deref() == *theirs)
}

/// Hash of a key, the same in every table of the process.
#[inline]
pub(super) fn hash<'k>(time: i64, dims: impl Iterator<Item = Option<&'k str>>) -> u64 {
    let mut h = HASHER.build_hasher();
    h.write_i64(time);
    for dim in dims {
        match dim {
            None => h.write_u8(0),
            Some(text) => {
                h.write(text.as_bytes());
                h.write_u8(1);
            }
        }
    }
    h.finish()
}
