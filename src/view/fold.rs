//! Folding events into groups: the one definition of a view's numbers, used by both layers.
//!
//! A batch is worked through by column: first the slot of every row's group, then each measure over its column. The group
//! bound is applied in the order of the events: the first `max_groups` groups of a micro-batch keep their own row, later
//! ones go to [`OTHER`] of their bucket (and, beyond `max_groups` such buckets, of the bucket that starts at the epoch).
//! Events come in offset order, so both layers cut at the same group.

use super::aggregate::Aggregate;
use super::column::{Column, Words};
use super::def::TimeColumn;
use super::error::ViewError;
use super::field::{Field, Kind, Source};
use super::groups::{self, Groups, Key};
use super::measure::{Function, Measure};
use super::view::{MAX_DIMENSIONS, OTHER, View};
use crate::event::columns::{COLLECTOR_TSTAMP, DERIVED_TSTAMP};
use crate::event::rows::Rows;
use arrow::array::{Array, TimestampMicrosecondArray};
use arrow::record_batch::RecordBatch;
use std::sync::Arc;

/// Groups that grow by events.
#[derive(Clone, Debug)]
pub struct Fold {
    groups: Groups,
    time: TimeColumn,
    grain_ms: i64,
    max_groups: usize,
    own: usize,
    others: usize,
    stamp: u64,
    stamps: Vec<u64>,
}

impl Fold {
    /// An empty fold of a view, bucketed as it is stored.
    pub fn new(view: Arc<View>) -> Fold {
        let (time, grain_ms, max_groups) = (view.time(), view.grain_ms(), view.max_groups());
        Fold::shaped(view, time, grain_ms, max_groups)
    }

    /// An empty fold bucketed by arrival in panes of `pane_ms`, for rolling windows.
    pub fn by_arrival(view: Arc<View>, pane_ms: i64, max_groups: usize) -> Fold {
        Fold::shaped(view, TimeColumn::Collector, pane_ms.max(1), max_groups)
    }

    fn shaped(view: Arc<View>, time: TimeColumn, grain_ms: i64, max_groups: usize) -> Fold {
        Fold { groups: Groups::new(view), time, grain_ms, max_groups, own: 0, others: 0, stamp: 0, stamps: Vec::new() }
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
        if batch.num_rows() == 0 {
            return Ok(());
        }
        let view = self.groups.view().clone();
        let columns = view.fields.iter().map(|f| Column::of(f, batch)).collect::<Result<Vec<_>, _>>()?;
        let times = Times::of(self.time, batch)?;
        let chosen = choose(&view, &columns, batch.num_rows());
        let words: Vec<Words<'_>> =
            view.dimensions.iter().map(|d| Words::of(&columns[d.field], batch.num_rows())).collect();
        let slots = self.slots(&chosen, &times, &words);
        for slot in &slots {
            self.groups.rows_mut()[*slot as usize] += 1;
            self.stamps[*slot as usize] = self.stamp;
        }
        let stride = view.measures.len();
        for (m, measure) in view.measures.iter().enumerate() {
            let mut cells = Cells { all: self.groups.aggregates_mut(), stride, m };
            let column = measure.field.map(|f| &columns[f]);
            add_measure(measure, column, &mut cells, &chosen, &slots);
        }
        Ok(())
    }

    /// Takes all groups of another fold of the same view in; the bound is not applied again.
    pub fn merge(&mut self, other: &Fold) {
        self.groups.merge(&other.groups);
        self.stamps.resize(self.groups.len(), self.stamp);
    }

    fn slots(&mut self, chosen: &[u32], times: &Times<'_>, words: &[Words<'_>]) -> Vec<u32> {
        let mut slots = Vec::with_capacity(chosen.len());
        let mut dims = [None; MAX_DIMENSIONS];
        for row in chosen {
            let row = *row as usize;
            let time = times.get(row).div_euclid(self.grain_ms) * self.grain_ms;
            for (dim, word) in dims.iter_mut().zip(words) {
                *dim = word.get(row);
            }
            slots.push(self.slot(time, &dims[..words.len()]) as u32);
        }
        slots
    }

    #[inline]
    fn slot(&mut self, time: i64, dims: &[Option<&str>]) -> usize {
        let hash = groups::hash(time, dims.iter().copied());
        if let Some(at) = self.groups.find(hash, time, dims.iter().copied()) {
            return at;
        }
        if self.own < self.max_groups {
            self.own += 1;
            self.stamps.push(self.stamp);
            let dims = dims.iter().map(|d| d.map(Arc::from)).collect();
            return self.groups.insert(hash, Key { time, dims });
        }
        self.other_slot(time, dims.len())
    }

    /// The slot for what exceeds the bound.
    fn other_slot(&mut self, time: i64, dimensions: usize) -> usize {
        let other = || std::iter::repeat_n(Some(OTHER), dimensions);
        for (time, allowed) in [(time, self.others < self.max_groups), (0, true)] {
            let hash = groups::hash(time, other());
            if let Some(at) = self.groups.find(hash, time, other()) {
                return at;
            }
            if allowed {
                self.others += 1;
                self.stamps.push(self.stamp);
                let dims = other().map(|d| d.map(Arc::from)).collect();
                return self.groups.insert(hash, Key { time, dims });
            }
        }
        // The bucket at the epoch is always allowed, so the loop has returned.
        0
    }
}

/// The times of a batch in milliseconds; an event without the wanted time is taken at its arrival.
struct Times<'a> {
    wanted: &'a TimestampMicrosecondArray,
    arrival: &'a TimestampMicrosecondArray,
}

impl<'a> Times<'a> {
    fn of(time: TimeColumn, batch: &'a RecordBatch) -> Result<Times<'a>, ViewError> {
        let wanted = match time {
            TimeColumn::Derived => DERIVED_TSTAMP,
            TimeColumn::Collector => COLLECTOR_TSTAMP,
        };
        Ok(Times { wanted: time_column(wanted, batch)?, arrival: time_column(COLLECTOR_TSTAMP, batch)? })
    }

    #[inline]
    fn get(&self, row: usize) -> i64 {
        let micros = if self.wanted.is_valid(row) {
            self.wanted.value(row)
        } else if self.arrival.is_valid(row) {
            self.arrival.value(row)
        } else {
            0
        };
        micros.div_euclid(1000)
    }
}

fn time_column(index: usize, batch: &RecordBatch) -> Result<&TimestampMicrosecondArray, ViewError> {
    let text = crate::event::columns::COLUMNS[index].name.to_owned();
    let field = Field { text, source: Source::Atomic(index), kind: Kind::Time };
    match Column::of(&field, batch)? {
        Column::Time(array) => Ok(array),
        _ => Err(ViewError::Rows { column: field.text, expected: "Timestamp(µs)", found: "another type".to_owned() }),
    }
}

/// The rows that the view's `where` lets through.
fn choose(view: &View, columns: &[Column<'_>], rows: usize) -> Vec<u32> {
    let mut chosen: Vec<u32> = (0..rows as u32).collect();
    let mut buffer = String::new();
    for only in &view.only {
        let column = &columns[only.field];
        chosen.retain(|row| {
            let mut passes = false;
            column.with_text(*row as usize, &mut buffer, |text| passes = only.values.iter().any(|v| v == text));
            passes
        });
    }
    chosen
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
