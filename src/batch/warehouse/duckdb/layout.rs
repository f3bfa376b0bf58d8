//! The tables of the warehouse.
//!
//! `atomic.events` is what Snowplow's own loaders make: 128 atomic columns in their frozen order, `load_tstamp`, then one
//! semi-structured VARIANT column per kind, vendor, name and model of self-describing data. It is a view: the rows are in
//! `snowshed.events`, where those columns are JSON, because stored VARIANT columns cost too much (`docs/decisions/0009-batch.md`).
//! `snowshed` also holds what makes the rest provable: the boundary and one row per committed micro-batch.

use super::instance::name;
use crate::batch::tables::LOAD_TSTAMP;
use crate::event::columns::{self, COLUMNS};
use crate::event::rows::{ATOMIC_SCHEMA, atomic_position, atomic_type};
use arrow::datatypes::{DataType, SchemaRef};
use std::fmt::Write;

/// Name of the attached file.
pub(super) const CATALOG: &str = "warehouse";
/// Makes it the default of a connection.
pub(super) const USE: &str = "USE warehouse";
/// The rows behind `atomic.events`.
pub(super) const EVENTS: &str = "snowshed.events";
/// The rows behind `atomic.events_failed`.
pub(super) const EVENTS_FAILED: &str = "snowshed.events_failed";
/// View of the bad rows that are committed or in staged files; made per question.
pub(super) const STORED_BAD_ROWS: &str = "stored_bad_rows";
/// Folds its write-ahead log into it, waiting for readers.
pub(super) const FORCE_CHECKPOINT: &str = "FORCE CHECKPOINT warehouse";
/// Format of the tables; a file with a higher number belongs to a newer program.
pub(super) const VERSION: u32 = 2;

/// Columns that are never null in an event that did not fail.
pub(super) const REQUIRED: [usize; 4] =
    [columns::COLLECTOR_TSTAMP, columns::EVENT_ID, columns::V_COLLECTOR, columns::V_ETL];

const FIXED: &str = "
CREATE SCHEMA IF NOT EXISTS atomic;
CREATE SCHEMA IF NOT EXISTS derived;
CREATE SCHEMA IF NOT EXISTS snowshed;
CREATE TABLE IF NOT EXISTS snowshed.format (version UINTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS snowshed.boundary (
  shard UINTEGER NOT NULL, next_offset UBIGINT NOT NULL, committed_at TIMESTAMP);
CREATE TABLE IF NOT EXISTS snowshed.batches (
  shard UINTEGER NOT NULL, from_offset UBIGINT NOT NULL, to_offset UBIGINT NOT NULL, load_tstamp TIMESTAMP NOT NULL,
  payload_events UBIGINT NOT NULL, enriched UBIGINT NOT NULL, failed UBIGINT NOT NULL, duplicates UBIGINT NOT NULL,
  dropped UBIGINT NOT NULL, event_rows UBIGINT NOT NULL, failed_rows UBIGINT NOT NULL, bad_rows UBIGINT NOT NULL,
  unfit_values UBIGINT NOT NULL, journal_bytes UBIGINT NOT NULL, first_received TIMESTAMP, last_received TIMESTAMP,
  sealed_at TIMESTAMP, staged_at TIMESTAMP, uploaded_at TIMESTAMP, committed_at TIMESTAMP NOT NULL,
  files JSON NOT NULL, new_columns VARCHAR[] NOT NULL, config_hash VARCHAR NOT NULL, version VARCHAR NOT NULL);
CREATE TABLE IF NOT EXISTS snowshed.columns (
  name VARCHAR NOT NULL, field_id INTEGER NOT NULL, from_offset UBIGINT NOT NULL, added_at TIMESTAMP NOT NULL);
CREATE TABLE IF NOT EXISTS snowshed.views (
  name VARCHAR NOT NULL, definition JSON NOT NULL, hash VARCHAR NOT NULL, made_at TIMESTAMP NOT NULL);
CREATE TABLE IF NOT EXISTS snowshed.deltas (
  view VARCHAR NOT NULL, batch_from UBIGINT NOT NULL, batch_to UBIGINT NOT NULL, level UTINYINT NOT NULL,
  rows UBIGINT NOT NULL);
CREATE TABLE IF NOT EXISTS atomic.bad_rows (
  load_tstamp TIMESTAMP, collector_tstamp TIMESTAMP, kind VARCHAR, failure VARCHAR, schema VARCHAR, path VARCHAR,
  keyword VARCHAR, message VARCHAR, app_id VARCHAR, journal_offset UBIGINT NOT NULL, event_index UINTEGER NOT NULL,
  bad_row JSON, repaired_at TIMESTAMP);
ALTER TABLE snowshed.batches ADD COLUMN IF NOT EXISTS repaired UBIGINT DEFAULT 0;
CREATE TABLE IF NOT EXISTS snowshed.repairs (
  journal_offset UBIGINT NOT NULL, event_index UINTEGER NOT NULL, event_id VARCHAR, load_tstamp TIMESTAMP,
  repaired_offset UBIGINT NOT NULL, repaired_index UINTEGER NOT NULL, repaired_at TIMESTAMP NOT NULL);
";

/// Everything that a new file needs; harmless on one that has it.
pub(super) fn create() -> String {
    format!(
        "BEGIN; {FIXED} {} {}
         INSERT INTO snowshed.format SELECT {VERSION} WHERE NOT EXISTS (FROM snowshed.format WHERE version >= {VERSION});
         INSERT INTO snowshed.boundary SELECT 0, 0, NULL WHERE NOT EXISTS (FROM snowshed.boundary);
         COMMIT",
        events_table(EVENTS, true),
        events_table(EVENTS_FAILED, false),
    )
}

fn events_table(table: &str, strict: bool) -> String {
    let mut out = format!("CREATE TABLE IF NOT EXISTS {table} (");
    for column in (0..columns::COUNT).filter(|&c| atomic_position(c).is_some()) {
        let not_null = if strict && REQUIRED.contains(&column) { " NOT NULL" } else { "" };
        let _ = write!(out, "{} {}{not_null}, ", name(COLUMNS[column].name), sql_type(&atomic_type(column)));
    }
    let _ = write!(out, "{LOAD_TSTAMP} TIMESTAMP);");
    out
}

/// The type of a column of ours.
pub(super) fn sql_type(kind: &DataType) -> String {
    match kind {
        DataType::Timestamp(..) => "TIMESTAMP".to_owned(),
        DataType::Int32 => "INTEGER".to_owned(),
        DataType::Int64 => "BIGINT".to_owned(),
        DataType::UInt64 => "UBIGINT".to_owned(),
        DataType::Boolean => "BOOLEAN".to_owned(),
        DataType::Float64 => "DOUBLE".to_owned(),
        DataType::Decimal128(precision, scale) => format!("DECIMAL({precision},{scale})"),
        DataType::Binary => "BLOB".to_owned(),
        _ => "VARCHAR".to_owned(),
    }
}

/// Adds a semi-structured column to both event tables.
pub(super) fn add_column(column: &str) -> String {
    let column = name(column);
    format!(
        "ALTER TABLE {EVENTS} ADD COLUMN IF NOT EXISTS {column} JSON;
         ALTER TABLE {EVENTS_FAILED} ADD COLUMN IF NOT EXISTS {column} JSON;"
    )
}

/// The views `atomic.events` and `atomic.events_failed` over tables with these semi-structured columns.
pub(super) fn event_views(dynamic: &[String]) -> String {
    let atomic = ATOMIC_SCHEMA.fields().iter().map(|f| name(f.name()));
    let semi = dynamic.iter().map(|c| format!("{0}::VARIANT AS {0}", name(c)));
    let columns: Vec<String> = atomic.chain([LOAD_TSTAMP.to_owned()]).chain(semi).collect();
    let columns = columns.join(", ");
    format!(
        "CREATE OR REPLACE VIEW atomic.events AS SELECT {columns} FROM {EVENTS};
         CREATE OR REPLACE VIEW atomic.events_failed AS SELECT {columns} FROM {EVENTS_FAILED};"
    )
}

/// JSON text in memory as VARIANT. Text that DuckDB does not take as JSON shows as a string: one odd value must not make
/// all others unreadable.
pub(super) fn variant_of(column: &str) -> String {
    let column = name(column);
    format!("coalesce(try_cast({column}::VARCHAR AS JSON)::VARIANT, {column}::VARCHAR::VARIANT)")
}

/// The table of a view: its stored columns, then the micro-batches that a row stems from.
pub(super) fn view_table(table: &str, schema: &SchemaRef) -> String {
    let mut out = format!("CREATE TABLE {table} (");
    for field in schema.fields() {
        let not_null = if field.is_nullable() { "" } else { " NOT NULL" };
        let _ = write!(out, "{} {}{not_null}, ", name(field.name()), sql_type(field.data_type()));
    }
    out.push_str("batch_from UBIGINT NOT NULL, batch_to UBIGINT NOT NULL)");
    out
}
