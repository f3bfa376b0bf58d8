//! Events as columns: the shape of `atomic.events` in Arrow.
//!
//! Built once per chunk before the fork, then shared: the speed layer keeps the same arrays as its tail that the batch
//! layer writes to Parquet and the warehouse.

use arrow::record_batch::RecordBatch;

/// Enriched (or incomplete) events as one Arrow batch.
///
/// Columns: the 128 atomic columns in TSV order (text as Utf8, times as Timestamp(Microsecond) without zone, integers as
/// Int32, flags as Boolean, money as Decimal128(18,2), `se_value` and coordinates as Float64), then one Utf8 column with
/// JSON text per kind, vendor, name and model of self-describing data that occurs (names of [`super::naming`]): an object
/// for unstruct events, an array of objects with `_schema_version` for contexts and derived contexts.
#[derive(Debug)]
pub struct Rows {
    /// The columns. May hold no row.
    pub batch: RecordBatch,
}
