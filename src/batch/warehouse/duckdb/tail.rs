//! Rows in memory as a DuckDB table: the table function behind the second half of table `events`.
//!
//! The function takes a number, under which [`register`] has put the rows; the number is taken back when the query is over.
//! Only the columns that a query uses are handed over. Self-describing columns go over as text; the view around the
//! function makes VARIANT of them.

use crate::event::rows::{ATOMIC_SCHEMA, Rows};
use ahash::AHashMap;
use arrow::array::{Array, ArrayRef, Int64Array, RecordBatch, new_null_array};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use duckdb::core::{DataChunkHandle, LogicalTypeHandle, LogicalTypeId};
use duckdb::vtab::{
    BindInfo, InitInfo, TableFunctionInfo, VTab, record_batch_to_duckdb_data_chunk, to_duckdb_logical_type_for_field,
};
use parking_lot::Mutex;
use std::collections::BTreeSet;
use std::error::Error;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, LazyLock};

/// Name of the table function.
pub(super) const NAME: &str = "snowshed_tail";

/// Most rows of a DuckDB vector.
const VECTOR: usize = 2048;

/// Rows that queries may read.
pub(super) struct Rowset {
    parts: Vec<Arc<Rows>>,
    schema: SchemaRef,
    /// (part, first row, rows) of every piece that one call hands over.
    pieces: Vec<(usize, usize, usize)>,
}

impl Rowset {
    fn new(parts: &[Arc<Rows>]) -> Self {
        let dynamic: BTreeSet<&str> = parts.iter().flat_map(|p| p.dynamic().map(|d| d.0)).collect();
        let mut fields = ATOMIC_SCHEMA.fields().to_vec();
        fields.extend(dynamic.iter().map(|name| Arc::new(Field::new(*name, DataType::Utf8, true))));
        let mut pieces = Vec::new();
        for (i, part) in parts.iter().enumerate() {
            for first in (0..part.len()).step_by(VECTOR) {
                pieces.push((i, first, VECTOR.min(part.len() - first)));
            }
        }
        Rowset { parts: parts.to_vec(), schema: Arc::new(Schema::new(fields)), pieces }
    }

    /// The columns that a piece is to have; an index beyond the schema is DuckDB's row number.
    fn piece(
        &self,
        (part, first, len): (usize, usize, usize),
        wanted: &[usize],
    ) -> Result<RecordBatch, Box<dyn Error>> {
        let rows = self.parts.get(part).ok_or("no such part")?;
        let mut fields = Vec::with_capacity(wanted.len());
        let mut arrays: Vec<ArrayRef> = Vec::with_capacity(wanted.len());
        for &column in wanted {
            let Some(field) = self.schema.fields().get(column) else {
                fields.push(Arc::new(Field::new("rowid", DataType::Int64, true)));
                arrays.push(Arc::new(Int64Array::new_null(len)));
                continue;
            };
            let array = if column < ATOMIC_SCHEMA.fields().len() {
                rows.batch.columns().get(column).cloned()
            } else {
                rows.column(field.name()).cloned()
            };
            arrays.push(match array {
                Some(array) if array.null_count() < array.len() => array.slice(first, len),
                _ => new_null_array(field.data_type(), len),
            });
            fields.push(field.clone());
        }
        Ok(RecordBatch::try_new(Arc::new(Schema::new(fields)), arrays)?)
    }
}

static ROWSETS: LazyLock<Mutex<AHashMap<u64, Arc<Rowset>>>> = LazyLock::new(Mutex::default);
static NEXT: AtomicU64 = AtomicU64::new(0);

/// Rows that are registered as long as this lives.
pub(super) struct Registered {
    pub(super) number: u64,
    rowset: Arc<Rowset>,
}

impl Registered {
    /// The self-describing columns.
    pub(super) fn dynamic(&self) -> impl Iterator<Item = &str> {
        self.rowset.schema.fields().iter().skip(ATOMIC_SCHEMA.fields().len()).map(|f| f.name().as_str())
    }
}

impl Drop for Registered {
    fn drop(&mut self) {
        ROWSETS.lock().remove(&self.number);
    }
}

/// Makes rows readable for queries of this process.
pub(super) fn register(parts: &[Arc<Rows>]) -> Registered {
    let rowset = Arc::new(Rowset::new(parts));
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    ROWSETS.lock().insert(number, rowset.clone());
    Registered { number, rowset }
}

/// The table function.
pub(super) struct TailFunction;

/// Where a scan stands.
pub(super) struct Scan {
    wanted: Vec<usize>,
    next: AtomicUsize,
}

impl VTab for TailFunction {
    type InitData = Scan;
    type BindData = Arc<Rowset>;

    fn bind(bind: &BindInfo) -> Result<Self::BindData, Box<dyn Error>> {
        let number = bind.get_parameter(0).to_uint64();
        let rowset = ROWSETS.lock().get(&number).cloned().ok_or("these rows are no longer in memory")?;
        for field in rowset.schema.fields() {
            bind.add_result_column(field.name(), to_duckdb_logical_type_for_field(field)?);
        }
        bind.set_cardinality(rowset.parts.iter().map(|p| p.len() as u64).sum(), true);
        Ok(rowset)
    }

    fn init(init: &InitInfo) -> Result<Self::InitData, Box<dyn Error>> {
        let wanted = init.get_column_indices().into_iter().map(|i| usize::try_from(i).unwrap_or(usize::MAX)).collect();
        Ok(Scan { wanted, next: AtomicUsize::new(0) })
    }

    fn func(func: &TableFunctionInfo<Self>, output: &mut DataChunkHandle) -> Result<(), Box<dyn Error>> {
        let (rowset, scan) = (func.get_bind_data(), func.get_init_data());
        match rowset.pieces.get(scan.next.fetch_add(1, Ordering::Relaxed)) {
            None => output.set_len(0),
            Some(&piece) if scan.wanted.is_empty() => output.set_len(piece.2),
            Some(&piece) => record_batch_to_duckdb_data_chunk(&rowset.piece(piece, &scan.wanted)?, output)?,
        }
        Ok(())
    }

    fn supports_pushdown() -> bool {
        true
    }

    fn parameters() -> Option<Vec<LogicalTypeHandle>> {
        Some(vec![LogicalTypeHandle::from(LogicalTypeId::UBigint)])
    }
}
