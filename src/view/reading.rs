//! A batch of rows as one view reads it: its columns looked up, JSON read, `where` applied. Made once, then folded into as
//! many sets of groups as need it (the micro-batch, the panes of its windows), and outside any lock.

use super::column::{Column, Words};
use super::compiled::View;
use super::def::TimeColumn;
use super::error::ViewError;
use super::field::{Field, Kind, Source};
use crate::event::columns::{COLLECTOR_TSTAMP, COLUMNS, DERIVED_TSTAMP};
use crate::event::rows::Rows;
use arrow::array::{Array, TimestampMicrosecondArray};
use arrow::record_batch::RecordBatch;
use std::sync::Arc;

/// One batch of rows, ready to be folded.
#[derive(Debug)]
pub struct Reading<'a> {
    pub(super) view: Arc<View>,
    pub(super) columns: Vec<Column<'a>>,
    pub(super) words: Vec<Words<'a>>,
    /// Rows that the view's `where` lets through.
    pub(super) chosen: Vec<u32>,
    times: Option<Times<'a>>,
}

/// The times of a batch; an event without the wanted time is taken at its arrival.
#[derive(Debug)]
struct Times<'a> {
    wanted: &'a TimestampMicrosecondArray,
    arrival: &'a TimestampMicrosecondArray,
}

impl<'a> Reading<'a> {
    /// Reads the columns that the view needs.
    ///
    /// # Errors
    /// [`ViewError::Rows`] when a column has an unknown type.
    pub fn of(view: &Arc<View>, rows: &'a Rows) -> Result<Reading<'a>, ViewError> {
        Reading::of_batch(view, &rows.batch)
    }

    /// As [`Reading::of`], from a bare batch of the shape that [`Rows`] describes.
    ///
    /// # Errors
    /// As [`Reading::of`].
    pub fn of_batch(view: &Arc<View>, batch: &'a RecordBatch) -> Result<Reading<'a>, ViewError> {
        let rows = batch.num_rows();
        if rows == 0 {
            let none = Reading { view: view.clone(), columns: vec![], words: vec![], chosen: vec![], times: None };
            return Ok(none);
        }
        let columns = view.fields.iter().map(|f| Column::of(f, batch)).collect::<Result<Vec<_>, _>>()?;
        let wanted = match view.time() {
            TimeColumn::Derived => DERIVED_TSTAMP,
            TimeColumn::Collector => COLLECTOR_TSTAMP,
        };
        let times = Times { wanted: time_column(wanted, batch)?, arrival: time_column(COLLECTOR_TSTAMP, batch)? };
        let words = view.dimensions.iter().map(|d| Words::of(&columns[d.field], rows)).collect();
        let chosen = choose(view, &columns, rows);
        Ok(Reading { view: view.clone(), columns, words, chosen, times: Some(times) })
    }

    /// Milliseconds of the time that the view goes by.
    #[inline]
    pub(super) fn time(&self, row: usize) -> i64 {
        let Some(times) = &self.times else { return 0 };
        if times.wanted.is_valid(row) { times.wanted.value(row).div_euclid(1000) } else { self.arrival(row) }
    }

    /// Milliseconds of the arrival.
    #[inline]
    pub fn arrival(&self, row: usize) -> i64 {
        match &self.times {
            Some(t) if t.arrival.is_valid(row) => t.arrival.value(row).div_euclid(1000),
            _ => 0,
        }
    }

    /// The rows that the view's `where` lets through.
    pub fn chosen(&self) -> &[u32] {
        &self.chosen
    }
}

fn time_column(index: usize, batch: &RecordBatch) -> Result<&TimestampMicrosecondArray, ViewError> {
    let text = COLUMNS[index].name.to_owned();
    let field = Field { text, source: Source::Atomic(index), kind: Kind::Time };
    match Column::of(&field, batch)? {
        Column::Time(array) => Ok(array),
        _ => Err(ViewError::Rows { column: field.text, expected: "Timestamp(µs)", found: "another type".to_owned() }),
    }
}

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
