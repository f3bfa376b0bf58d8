//! `derived.<view>`: what each micro-batch added to each view.
//!
//! Rows are only appended; who reads merges the rows of one bucket and group. So that reads stay fast, rows that stem from
//! many micro-batches are folded into one per bucket and group, level by level: `fold_after` sets of one level become one set
//! of the next, and every row is rewritten a few times at most. Folding changes no answer: aggregates are monoids.

use super::instance::{name, quoted};
use super::layout;
use crate::event::BatchId;
use crate::view::{Groups, View, ViewError};
use arrow::array::{ArrayRef, RecordBatch, UInt64Array};
use arrow::datatypes::{DataType, Field, Schema};
use duckdb::Connection;
use std::sync::Arc;

/// Sets of this level are not folded any more: they span more time than a bucket, so little would come together.
const TOP_LEVEL: u8 = 2;
/// Groups that a fold holds in memory before it writes them out.
const FOLD_GROUPS: usize = 50_000;

/// The table of a view.
pub(super) fn table(view: &View) -> String {
    format!("derived.{}", name(view.name()))
}

/// What went wrong in folding.
#[derive(Debug)]
pub(super) enum FoldError {
    Duck(duckdb::Error),
    View(ViewError),
}

impl From<duckdb::Error> for FoldError {
    fn from(e: duckdb::Error) -> Self {
        FoldError::Duck(e)
    }
}

impl From<ViewError> for FoldError {
    fn from(e: ViewError) -> Self {
        FoldError::View(e)
    }
}

/// Adds what a micro-batch brought to a view.
pub(super) fn append(con: &Connection, id: BatchId, view: &View, groups: &RecordBatch) -> duckdb::Result<()> {
    if groups.num_rows() == 0 {
        return Ok(());
    }
    append_rows(con, view, groups, id.from.0, id.to.0)?;
    note_set(con, view, id.from.0, id.to.0, 0, groups.num_rows())
}

fn note_set(con: &Connection, view: &View, from: u64, to: u64, level: u8, rows: usize) -> duckdb::Result<()> {
    con.execute(
        "INSERT INTO snowshed.deltas VALUES (?, ?, ?, ?, ?)",
        duckdb::params![view.name(), from, to, level, rows as u64],
    )?;
    Ok(())
}

fn append_rows(con: &Connection, view: &View, groups: &RecordBatch, from: u64, to: u64) -> duckdb::Result<()> {
    let mut fields = groups.schema().fields().to_vec();
    let mut arrays = groups.columns().to_vec();
    for (column, value) in [("batch_from", from), ("batch_to", to)] {
        fields.push(Arc::new(Field::new(column, DataType::UInt64, false)));
        arrays.push(Arc::new(UInt64Array::from_value(value, groups.num_rows())) as ArrayRef);
    }
    let batch = RecordBatch::try_new(Arc::new(Schema::new(fields)), arrays)
        .map_err(|e| duckdb::Error::ToSqlConversionFailure(Box::new(e)))?;
    let mut appender = con.appender_to_catalog_and_db(view.name(), layout::CATALOG, "derived")?;
    appender.append_record_batch(batch)?;
    appender.flush()
}

/// Folds the oldest `fold_after` sets of some level into one set of the next level. False when no level has that many.
pub(super) fn fold(con: &Connection, view: &Arc<View>, fold_after: u32) -> Result<bool, FoldError> {
    let due: Option<u8> = con.query_row(
        "SELECT min(level) FROM (SELECT level FROM snowshed.deltas WHERE view = ? AND level < ?
         GROUP BY level HAVING count(*) >= ?)",
        duckdb::params![view.name(), TOP_LEVEL, fold_after],
        |row| row.get(0),
    )?;
    let Some(level) = due else { return Ok(false) };
    let (from, to): (u64, u64) = con.query_row(
        "SELECT min(batch_from), max(batch_to) FROM (SELECT * FROM snowshed.deltas WHERE view = ? AND level = ?
         ORDER BY batch_from LIMIT ?)",
        duckdb::params![view.name(), level, fold_after],
        |row| Ok((row.get(0)?, row.get(1)?)),
    )?;
    let range = format!("batch_from >= {from} AND batch_to <= {to}");
    let (stored, all) = (table(view), columns(view));
    // Materialised inside DuckDB before anything changes, then read piece by piece.
    let mut old = con.prepare(&format!("SELECT {all} FROM {stored} WHERE {range} ORDER BY time"))?;
    old.execute([])?;
    con.execute_batch(&format!(
        "DELETE FROM {stored} WHERE {range}; DELETE FROM snowshed.deltas WHERE view = {} AND {range}",
        quoted(view.name())
    ))?;
    let mut rows = 0;
    let mut groups = Groups::new(view.clone());
    while let Some(piece) = old.step()? {
        groups.add_record_batch(&RecordBatch::from(&piece))?;
        // A bucket that is cut here keeps two rows for a group, which readers merge.
        if groups.len() >= FOLD_GROUPS {
            rows += write_out(con, &mut groups, from, to)?;
        }
    }
    rows += write_out(con, &mut groups, from, to)?;
    note_set(con, view, from, to, level + 1, rows)?;
    Ok(true)
}

fn write_out(con: &Connection, groups: &mut Groups, from: u64, to: u64) -> Result<usize, FoldError> {
    let view = groups.view().clone();
    let batch = std::mem::replace(groups, Groups::new(view.clone())).to_record_batch()?;
    append_rows(con, &view, &batch, from, to)?;
    Ok(batch.num_rows())
}

fn columns(view: &View) -> String {
    view.storage_schema().fields().iter().map(|f| name(f.name())).collect::<Vec<_>>().join(", ")
}
