//! Answering a question from groups of both halves.
//!
//! A [`Reducer`] takes stored groups, from wherever, and folds them into the buckets and dimensions of the question; the
//! result of the batch half and the result of the speed half are then merged and written as rows. Merging is the same
//! operation at every step, so it does not matter where a micro-batch came from.

use super::aggregate::{Aggregate, Value, time_text};
use super::compiled::View;
use super::error::ViewError;
use super::groups::{Group, Groups, Key};
use super::query::{Plan, ViewQuery};
use arrow::record_batch::RecordBatch;
use serde::ser::SerializeMap;
use serde::{Deserialize, Serialize, Serializer};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Most groups that an answer may be folded into.
pub const MAX_ANSWER_GROUPS: usize = 1_000_000;

/// Which half answers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Layer {
    /// Both.
    #[default]
    Merged,
    /// What is committed in the warehouse.
    Batch,
    /// What is in memory above the boundary.
    Speed,
    /// Every measure as `{batch, speed, merged}`.
    Split,
}

/// Folds stored groups into the groups of an answer.
#[derive(Debug)]
pub struct Reducer {
    plan: Arc<Plan>,
    groups: Groups,
    other_rows: u64,
    read: u64,
}

impl Reducer {
    /// Nothing yet.
    pub fn new(view: &Arc<View>, plan: Arc<Plan>) -> Reducer {
        let groups = Groups::shaped(view.clone(), plan.by.clone(), true);
        Reducer { plan, groups, other_rows: 0, read: 0 }
    }

    /// Takes stored groups in, or groups that a reducer with the same plan made.
    ///
    /// # Errors
    /// [`ViewError::TooMany`] beyond [`MAX_ANSWER_GROUPS`].
    pub fn add(&mut self, groups: &Groups) -> Result<(), ViewError> {
        if groups.is_reduced() {
            self.groups.merge(groups);
            return self.check();
        }
        for group in groups.iter() {
            self.add_group(group)?;
        }
        Ok(())
    }

    /// Takes rows in that [`View::stored_sql`] chose under the same plan: the range is not checked again, since their
    /// buckets may already be those of the answer.
    ///
    /// # Errors
    /// [`ViewError::Stored`] when they cannot be read, [`ViewError::TooMany`].
    pub fn add_stored(&mut self, batch: &RecordBatch) -> Result<(), ViewError> {
        let view = self.groups.view().clone();
        for group in Groups::from_record_batch(&view, batch)?.iter() {
            self.take(group)?;
        }
        Ok(())
    }

    /// Takes one stored group in, if the range covers it.
    ///
    /// # Errors
    /// [`ViewError::TooMany`].
    pub fn add_group(&mut self, group: Group<'_>) -> Result<(), ViewError> {
        if self.plan.covers(group.key.time) { self.take(group) } else { Ok(()) }
    }

    fn take(&mut self, group: Group<'_>) -> Result<(), ViewError> {
        self.read += 1;
        if group.key.is_other() {
            self.other_rows += group.rows;
        }
        if !self.plan.passes(&group.key.dims) {
            return Ok(());
        }
        let time = self.plan.bucketer.bucket(group.key.time);
        let slot = if self.plan.by.len() == group.key.dims.len() {
            self.groups.slot_of(time, &group.key.dims)
        } else {
            let dims: Vec<Option<Arc<str>>> =
                self.plan.by.iter().map(|d| group.key.dims.get(*d).cloned().flatten()).collect();
            self.groups.slot_of(time, &dims)
        };
        self.groups.take_group(slot, group.rows, group.aggregates);
        self.check()
    }

    fn check(&self) -> Result<(), ViewError> {
        if self.groups.len() > MAX_ANSWER_GROUPS {
            return Err(ViewError::TooMany { limit: MAX_ANSWER_GROUPS });
        }
        Ok(())
    }

    /// The half that was folded.
    pub fn finish(self) -> Half {
        Half { groups: self.groups, other_rows: self.other_rows, read: self.read }
    }
}

/// One half of an answer: groups in the shape of the question.
#[derive(Clone, Debug)]
pub struct Half {
    /// The groups.
    pub groups: Groups,
    /// Events of the range that are only counted under `(other)`.
    pub other_rows: u64,
    /// Stored groups that were read.
    pub read: u64,
}

impl Half {
    /// A half that has nothing.
    pub fn empty(view: &Arc<View>, plan: &Arc<Plan>) -> Half {
        Reducer::new(view, plan.clone()).finish()
    }
}

/// The answer to a question.
#[derive(Clone, Debug)]
pub struct Answer {
    /// Rows by time, then dimensions (no value first).
    pub rows: Vec<Row>,
    /// Rows that there would be; more than `rows` when the bound cut them.
    pub total_rows: usize,
    /// Measures that are estimates, with their bounds; see [`super::Measure::error`].
    pub error: BTreeMap<String, f64>,
    /// Events of the range that are only counted under `(other)`.
    pub other_rows: u64,
    /// Stored groups that were read in both halves.
    pub groups_read: u64,
}

/// One row: serialises as one flat object, `time` first, then dimensions and measures by name.
#[derive(Clone, Debug, PartialEq)]
pub struct Row {
    view: Arc<Names>,
    /// Start of the bucket, milliseconds UTC.
    pub time: i64,
    /// Dimensions asked for, in the view's order.
    pub dims: Box<[Option<Arc<str>>]>,
    /// One per measure.
    pub cells: Vec<Cell>,
}

#[derive(Debug, PartialEq)]
struct Names {
    dims: Vec<String>,
    measures: Vec<String>,
}

/// One measure of one row.
#[derive(Clone, Debug, PartialEq)]
pub enum Cell {
    /// The value of the layer asked for.
    One(Value),
    /// `layer=split`.
    Split {
        /// What is committed.
        batch: Value,
        /// What is in memory.
        speed: Value,
        /// Both.
        merged: Value,
    },
}

impl Serialize for Cell {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        match self {
            Cell::One(value) => value.serialize(s),
            Cell::Split { batch, speed, merged } => {
                let mut map = s.serialize_map(Some(3))?;
                map.serialize_entry("batch", batch)?;
                map.serialize_entry("speed", speed)?;
                map.serialize_entry("merged", merged)?;
                map.end()
            }
        }
    }
}

impl Serialize for Row {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        let mut map = s.serialize_map(Some(1 + self.dims.len() + self.cells.len()))?;
        map.serialize_entry("time", &time_text(self.time))?;
        for (name, dim) in self.view.dims.iter().zip(&self.dims) {
            map.serialize_entry(name, &dim.as_deref())?;
        }
        for (name, cell) in self.view.measures.iter().zip(&self.cells) {
            map.serialize_entry(name, cell)?;
        }
        map.end()
    }
}

/// Folds stored groups of both halves and writes the answer; at most `max_rows` rows of it.
///
/// # Errors
/// [`ViewError::Query`] for a wrong question, [`ViewError::TooMany`] for too large an answer.
pub fn reduce<'g>(
    view: &Arc<View>,
    query: &ViewQuery,
    layer: Layer,
    batch: impl IntoIterator<Item = &'g Groups>,
    speed: impl IntoIterator<Item = &'g Groups>,
    max_rows: usize,
) -> Result<Answer, ViewError> {
    let plan = Arc::new(view.plan(query)?);
    let mut halves = [Reducer::new(view, plan.clone()), Reducer::new(view, plan)];
    for groups in batch {
        halves[0].add(groups)?;
    }
    for groups in speed {
        halves[1].add(groups)?;
    }
    let [batch, speed] = halves.map(Reducer::finish);
    Ok(answer(&batch, &speed, layer, max_rows))
}

/// Writes the answer out of two halves that were folded under the same plan; at most `max_rows` rows of it.
pub fn answer(batch: &Half, speed: &Half, layer: Layer, max_rows: usize) -> Answer {
    let view = batch.groups.view();
    let names = Arc::new(Names {
        dims: batch.groups.by().iter().map(|d| view.dimensions[*d].name.clone()).collect(),
        measures: view.measures.iter().map(|m| m.name.clone()).collect(),
    });
    let (halves, merge): (&[&Half], bool) = match layer {
        Layer::Batch => (&[batch], false),
        Layer::Speed => (&[speed], false),
        Layer::Merged | Layer::Split => (&[batch, speed], true),
    };
    let mut merged = None;
    if merge {
        // The larger half is copied, the smaller one is merged into it.
        let (large, small) = if batch.groups.len() >= speed.groups.len() { (batch, speed) } else { (speed, batch) };
        let mut both = large.groups.clone();
        both.merge(&small.groups);
        merged = Some(both);
    }
    let groups = merged.as_ref().unwrap_or(&halves[0].groups);
    let mut sorted = groups.sorted();
    let total_rows = sorted.len();
    sorted.truncate(max_rows);
    let rows = sorted
        .into_iter()
        .map(|group| {
            let cells = if layer == Layer::Split {
                split(view, group, batch.groups.get(group.key), speed.groups.get(group.key))
            } else {
                let one = |(m, a): (&super::Measure, &Aggregate)| Cell::One(a.value(m));
                view.measures.iter().zip(group.aggregates).map(one).collect()
            };
            row(&names, group.key, cells)
        })
        .collect();
    let estimates = view.measures.iter().filter_map(|m| m.error().map(|e| (m.name.clone(), e)));
    Answer {
        rows,
        total_rows,
        error: estimates.collect(),
        other_rows: halves.iter().map(|h| h.other_rows).sum(),
        groups_read: halves.iter().map(|h| h.read).sum(),
    }
}

/// The rows of one set of groups, for whoever shows windows or changes.
pub fn rows<'g>(groups: &Groups, of: impl IntoIterator<Item = Group<'g>>) -> Vec<Row> {
    let view = groups.view();
    let names = Arc::new(Names {
        dims: groups.by().iter().map(|d| view.dimensions[*d].name.clone()).collect(),
        measures: view.measures.iter().map(|m| m.name.clone()).collect(),
    });
    of.into_iter()
        .map(|group| {
            let one = |(m, a): (&super::Measure, &Aggregate)| Cell::One(a.value(m));
            row(&names, group.key, view.measures.iter().zip(group.aggregates).map(one).collect())
        })
        .collect()
}

fn row(names: &Arc<Names>, key: &Key, cells: Vec<Cell>) -> Row {
    Row { view: names.clone(), time: key.time, dims: key.dims.clone(), cells }
}

fn split(view: &View, merged: Group<'_>, batch: Option<Group<'_>>, speed: Option<Group<'_>>) -> Vec<Cell> {
    let part = |group: &Option<Group<'_>>, m: usize, measure: &super::Measure| match group {
        Some(group) => group.aggregates[m].value(measure),
        None => Aggregate::zero(measure.function).value(measure),
    };
    view.measures
        .iter()
        .enumerate()
        .map(|(m, measure)| Cell::Split {
            batch: part(&batch, m, measure),
            speed: part(&speed, m, measure),
            merged: merged.aggregates[m].value(measure),
        })
        .collect()
}
