//! Folding events into groups: the one definition of a view's numbers, used by both layers.
//!
//! A batch is worked through by column: first the slot of every row's group, then each measure over its column. The group
//! bound is applied in the order of the events: the first `max_groups` groups of a micro-batch keep their own row, later
//! ones go to [`OTHER`] of their bucket (and, beyond `max_groups` such buckets, of the bucket that starts at the epoch).
//! Events come in offset order, so both layers cut at the same group.

use super::aggregate::Aggregate;
use super::column::Column;
use super::compiled::{MAX_DIMENSIONS, OTHER, View};
use super::error::ViewError;
use super::groups::{self, Groups, Key};
use super::keys::KeyTable;
use super::measure::{Function, Measure};
use super::reading::Reading;
use crate::event::rows::Rows;
use arrow::array::Array;
use arrow::record_batch::RecordBatch;
use std::sync::Arc;

/// Groups that grow by events.
#[derive(Clone, Debug)]
pub struct Fold {
    groups: Groups,
    /// Where keys come from, and where the bound is kept, when many folds share them.
    keys: Option<Arc<KeyTable>>,
    own: usize,
    others: usize,
    stamp: u64,
    stamps: Vec<u64>,
}

impl Fold {
    /// An empty fold of a view, bucketed as it is stored.
    pub fn new(view: Arc<View>) -> Fold {
        Fold { groups: Groups::new(view), keys: None, own: 0, others: 0, stamp: 0, stamps: Vec::new() }
    }

    /// An empty fold that does not tell times apart (its one bucket is 0) and takes its keys from a shared table, which
    /// also bounds them: a pane of a rolling window.
    pub fn timeless(view: Arc<View>, keys: Arc<KeyTable>) -> Fold {
        Fold { keys: Some(keys), ..Fold::new(view) }
    }

    /// The groups so far.
    pub fn groups(&self) -> &Groups {
        &self.groups
    }
    /// The groups, with the fold given up.
    pub fn into_groups(self) -> Groups {
        self.groups
    }
    /// The view.
    pub fn view(&self) -> &Arc<View> {
        self.groups.view()
    }

    /// Marks what is added from now on; see [`Fold::changed_since`].
    pub fn set_stamp(&mut self, stamp: u64) {
        self.stamp = stamp;
    }

    /// The groups that changed under a stamp greater than `stamp`.
    pub fn changed_since(&self, stamp: u64) -> impl Iterator<Item = groups::Group<'_>> {
        self.stamps.iter().enumerate().filter(move |(_, s)| **s > stamp).map(|(at, _)| self.groups.group(at))
    }

    /// Takes the events of a chunk in.
    ///
    /// # Errors
    /// [`ViewError::Rows`] when a column has an unknown type; the fold is then unchanged.
    pub fn add(&mut self, rows: &Rows) -> Result<(), ViewError> {
        self.add_batch(&rows.batch)
    }

    /// As [`Fold::add`], from a bare batch of the shape that [`Rows`] describes.
    ///
    /// # Errors
    /// As [`Fold::add`].
    pub fn add_batch(&mut self, batch: &RecordBatch) -> Result<(), ViewError> {
        let view = self.view().clone();
        self.add_reading(&Reading::of_batch(&view, batch)?);
        Ok(())
    }

    /// Takes the chosen rows of a reading of the same view in.
    pub fn add_reading(&mut self, reading: &Reading<'_>) {
        self.add_rows(reading, &reading.chosen);
    }

    /// Takes some of the chosen rows of a reading of the same view in.
    pub fn add_rows(&mut self, reading: &Reading<'_>, rows: &[u32]) {
        debug_assert!(Arc::ptr_eq(self.view(), &reading.view));
        if rows.is_empty() {
            return;
        }
        let slots = self.slots(reading, rows);
        for slot in &slots {
            self.groups.rows_mut()[*slot as usize] += 1;
            self.stamps[*slot as usize] = self.stamp;
        }
        let measures = &reading.view.measures;
        for (m, measure) in measures.iter().enumerate() {
            let mut cells = Cells { all: self.groups.aggregates_mut(), stride: measures.len(), m };
            let column = measure.field.map(|f| &reading.columns[f]);
            add_measure(measure, column, &mut cells, rows, &slots);
        }
    }

    /// Takes all groups of another fold of the same view in; the bound is not applied again.
    pub fn merge(&mut self, other: &Fold) {
        self.groups.merge(&other.groups);
        self.stamps.resize(self.groups.len(), self.stamp);
    }

    /// Gives memory back of groups that will hardly change any more.
    pub fn compact(&mut self) {
        self.groups.compact();
    }

    fn slots(&mut self, reading: &Reading<'_>, rows: &[u32]) -> Vec<u32> {
        let grain = self.view().grain_ms();
        let mut slots = Vec::with_capacity(rows.len());
        let mut dims = [None; MAX_DIMENSIONS];
        for row in rows {
            let row = *row as usize;
            for (dim, word) in dims.iter_mut().zip(&reading.words) {
                *dim = word.get(row);
            }
            let time = if self.keys.is_some() { 0 } else { reading.time(row).div_euclid(grain) * grain };
            slots.push(self.slot(time, &dims[..reading.words.len()]) as u32);
        }
        slots
    }

    #[inline]
    fn slot(&mut self, time: i64, dims: &[Option<&str>]) -> usize {
        let hash = groups::hash(time, dims.iter().copied());
        match self.groups.find(hash, time, dims.iter().copied()) {
            Some(at) => at,
            None => self.new_slot(hash, time, dims),
        }
    }

    fn new_slot(&mut self, hash: u64, time: i64, dims: &[Option<&str>]) -> usize {
        if let Some(keys) = &self.keys {
            let (hash, key) = keys.get(hash, dims);
            let known = self.groups.find(hash, 0, key.dims.iter().map(Option::as_deref));
            return known.unwrap_or_else(|| self.insert(hash, key));
        }
        if self.own < self.view().max_groups() {
            self.own += 1;
            let dims = dims.iter().map(|d| d.map(Arc::from)).collect();
            return self.insert(hash, Arc::new(Key { time, dims }));
        }
        self.other_slot(time, dims.len())
    }

    fn insert(&mut self, hash: u64, key: Arc<Key>) -> usize {
        self.stamps.push(self.stamp);
        self.groups.insert(hash, key)
    }

    /// The slot for what exceeds the bound.
    fn other_slot(&mut self, time: i64, dimensions: usize) -> usize {
        let other = || std::iter::repeat_n(Some(OTHER), dimensions);
        for (time, allowed) in [(time, self.others < self.view().max_groups()), (0, true)] {
            let hash = groups::hash(time, other());
            if let Some(at) = self.groups.find(hash, time, other()) {
                return at;
            }
            if allowed {
                self.others += 1;
                let dims = other().map(|d| d.map(Arc::from)).collect();
                return self.insert(hash, Arc::new(Key { time, dims }));
            }
        }
        // The bucket at the epoch is always allowed, so the loop has returned.
        0
    }
}

/// The aggregates of one measure, by slot.
struct Cells<'a> {
    all: &'a mut [Aggregate],
    stride: usize,
    m: usize,
}

impl Cells<'_> {
    #[inline]
    fn get(&mut self, slot: u32) -> &mut Aggregate {
        &mut self.all[slot as usize * self.stride + self.m]
    }
}

fn add_measure(measure: &Measure, column: Option<&Column<'_>>, cells: &mut Cells<'_>, chosen: &[u32], slots: &[u32]) {
    let rows = || chosen.iter().map(|r| *r as usize).zip(slots.iter().copied());
    let Some(column) = column else {
        for slot in slots {
            if let Aggregate::Count(n) = cells.get(*slot) {
                *n += 1;
            }
        }
        return;
    };
    let mut buffer = String::new();
    match measure.function {
        Function::Count => {
            for (row, slot) in rows() {
                if let (true, Aggregate::Count(n)) = (column.is_valid(row), cells.get(slot)) {
                    *n += 1;
                }
            }
        }
        Function::Sum | Function::Avg => {
            for (row, slot) in rows() {
                if let Some(v) = column.exact(row) {
                    cells.get(slot).add_exact(v);
                }
            }
        }
        Function::Min | Function::Max => {
            for (row, slot) in rows() {
                if let Some(v) = column.ordered(row, measure.number) {
                    cells.get(slot).compare(v);
                }
            }
        }
        Function::Quantile(_) => {
            for (row, slot) in rows() {
                if let (Some(v), Aggregate::Quantile(q)) = (column.double(row), cells.get(slot)) {
                    q.add(v);
                }
            }
        }
        Function::Distinct => {
            for (row, slot) in rows() {
                if let Aggregate::Distinct(d) = cells.get(slot) {
                    match column {
                        Column::Int(a) if a.is_valid(row) => d.add_int(i64::from(a.value(row))),
                        Column::Time(a) if a.is_valid(row) => d.add_int(a.value(row)),
                        _ => column.with_text(row, &mut buffer, |t| d.add_text(t)),
                    }
                }
            }
        }
        Function::Top(n) => {
            for (row, slot) in rows() {
                if let Aggregate::Top(t) = cells.get(slot) {
                    column.with_text(row, &mut buffer, |text| t.add(text, n));
                }
            }
        }
    }
}
