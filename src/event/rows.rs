//! Events as columns: the shape of `atomic.events` in Arrow.
//!
//! Built once per chunk before the fork, then shared: the speed layer keeps the same arrays as its tail that the batch
//! layer writes to Parquet and the warehouse. [`build`] makes them; the folder holds its parts.

mod build;
mod decimal;
mod entity;
#[cfg(test)]
mod tests;

pub use build::{build, build_admitted};
pub use entity::{CONTEXTS_OTHER, MAX_DYNAMIC, UNSTRUCT_OTHER};

use super::columns::{self, Kind};
use arrow::array::{Array, ArrayRef, RecordBatch, StringArray, new_null_array};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit};
use arrow::error::ArrowError;
use std::collections::{BTreeMap, HashSet};
use std::sync::{Arc, LazyLock};

/// Number of atomic columns: the canonical columns without the three self-describing ones.
pub const ATOMIC: usize = columns::COUNT - 3;

/// Precision and scale of money.
pub const MONEY: (u8, i8) = (18, 2);

/// Enriched (or incomplete) events as one Arrow batch.
///
/// Columns: the 128 atomic columns in TSV order (text as Utf8, times as Timestamp(Microsecond) without zone, integers as
/// Int32, flags as Boolean, money as Decimal128(18,2), `se_value` and coordinates as Float64), then one Utf8 column with
/// JSON text per kind, vendor, name and model of self-describing data that occurs (names of [`super::naming`], in
/// alphabetical order): an object for unstruct events, an array of objects with `_schema_version` for contexts and derived
/// contexts.
///
/// A column that is null in every row shares one array with all others of its type, so that memory follows the values.
#[derive(Clone, Debug)]
pub struct Rows {
    /// The columns. May hold no row.
    pub batch: RecordBatch,
    /// Values that the columns cannot hold and that became null: money beyond 18 digits, times outside the calendar.
    /// The event keeps them in its TSV form.
    pub unfit: u64,
}

impl Rows {
    /// No row, no self-describing column.
    pub fn empty() -> Rows {
        Rows { batch: RecordBatch::new_empty(ATOMIC_SCHEMA.clone()), unfit: 0 }
    }

    /// One such value, shared: a batch without a row has more than a hundred arrays all the same.
    pub fn none() -> Arc<Rows> {
        static NONE: LazyLock<Arc<Rows>> = LazyLock::new(|| Arc::new(Rows::empty()));
        NONE.clone()
    }

    /// Itself, shared.
    pub fn share(self) -> Arc<Rows> {
        if self.is_empty() { Rows::none() } else { Arc::new(self) }
    }

    /// All rows of `parts` in order; self-describing columns are the union of theirs, null where a part has none.
    ///
    /// # Errors
    /// When a text column would pass 2 GiB, or the parts do not have the shape of this type.
    pub fn concat(parts: &[Arc<Rows>]) -> Result<Rows, ArrowError> {
        let parts: Vec<&Rows> = parts.iter().map(Arc::as_ref).filter(|p| !p.is_empty()).collect();
        match parts.as_slice() {
            [] => return Ok(Rows::empty()),
            [one] => return Ok((*one).clone()),
            _ => {}
        }
        let total = parts.iter().map(|p| p.len()).sum();
        let mut nulls = NullArrays::new(total);
        let mut arrays: Vec<ArrayRef> = Vec::with_capacity(ATOMIC + 8);
        for at in 0..ATOMIC {
            let columns: Vec<&dyn Array> = parts.iter().map(|p| p.batch.column(at).as_ref()).collect();
            arrays.push(join(&columns, ATOMIC_SCHEMA.field(at).data_type(), &mut nulls)?);
        }
        let mut named: BTreeMap<&str, Vec<(usize, &ArrayRef)>> = BTreeMap::new();
        for (i, part) in parts.iter().enumerate() {
            for (name, array) in part.dynamic_arrays() {
                named.entry(name).or_default().push((i, array));
            }
        }
        let mut dynamic: Vec<(String, ArrayRef)> = Vec::with_capacity(named.len());
        for (name, found) in named {
            let missing: Vec<ArrayRef> = parts.iter().map(|p| new_null_array(&DataType::Utf8, p.len())).collect();
            let mut columns: Vec<&dyn Array> = missing.iter().map(AsRef::as_ref).collect();
            for (i, array) in found {
                columns[i] = array.as_ref(); // reason: `i` counts the parts, as does `columns`
            }
            dynamic.push((name.to_owned(), join(&columns, &DataType::Utf8, &mut nulls)?));
        }
        Rows::assemble(arrays, dynamic, parts.iter().map(|p| p.unfit).sum(), total)
    }

    /// Puts a batch together from the atomic columns and the sorted self-describing ones.
    ///
    /// # Errors
    /// When the arrays do not fit the shape.
    pub fn assemble(
        mut atomic: Vec<ArrayRef>,
        dynamic: Vec<(String, ArrayRef)>,
        unfit: u64,
        len: usize,
    ) -> Result<Rows, ArrowError> {
        let schema = if dynamic.is_empty() { ATOMIC_SCHEMA.clone() } else { schema_with(dynamic.iter().map(|d| &d.0)) };
        atomic.extend(dynamic.into_iter().map(|d| d.1));
        let options = arrow::array::RecordBatchOptions::new().with_row_count(Some(len));
        Ok(Rows { batch: RecordBatch::try_new_with_options(schema, atomic, &options)?, unfit })
    }

    /// Number of rows.
    pub fn len(&self) -> usize {
        self.batch.num_rows()
    }

    /// True when there is no row.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The column of a canonical column index; `None` for the three self-describing ones.
    pub fn atomic(&self, column: usize) -> Option<&ArrayRef> {
        atomic_position(column).map(|at| self.batch.column(at))
    }

    /// The column called `name`, atomic or self-describing; `None` when these rows have no such column.
    pub fn column(&self, name: &str) -> Option<&ArrayRef> {
        self.batch.column_by_name(name)
    }

    /// The self-describing columns with their names.
    pub fn dynamic(&self) -> impl Iterator<Item = (&str, &StringArray)> {
        self.dynamic_arrays().filter_map(|(name, a)| Some((name, a.as_any().downcast_ref::<StringArray>()?)))
    }

    fn dynamic_arrays(&self) -> impl Iterator<Item = (&str, &ArrayRef)> {
        self.batch
            .schema_ref()
            .fields()
            .iter()
            .zip(self.batch.columns())
            .skip(ATOMIC)
            .map(|(f, a)| (f.name().as_str(), a))
    }

    /// Bytes held in memory; what several columns share counts once.
    pub fn weight(&self) -> usize {
        let mut seen = HashSet::new();
        let mut bytes = 0;
        for array in self.batch.columns() {
            let data = array.to_data();
            let nulls = data.nulls().map(|n| n.buffer());
            for buffer in data.buffers().iter().chain(nulls) {
                if seen.insert(buffer.as_ptr() as usize) {
                    bytes += buffer.capacity();
                }
            }
        }
        bytes
    }
}

fn join(columns: &[&dyn Array], kind: &DataType, nulls: &mut NullArrays) -> Result<ArrayRef, ArrowError> {
    if columns.iter().all(|c| c.null_count() == c.len()) {
        return Ok(nulls.of(kind));
    }
    arrow::compute::concat(columns)
}

/// All-null arrays of one length, one per type, shared by every column that needs it.
struct NullArrays {
    len: usize,
    made: Vec<ArrayRef>,
}

impl NullArrays {
    fn new(len: usize) -> Self {
        NullArrays { len, made: Vec::new() }
    }

    fn of(&mut self, kind: &DataType) -> ArrayRef {
        if let Some(array) = self.made.iter().find(|a| a.data_type() == kind) {
            return array.clone();
        }
        let array = new_null_array(kind, self.len);
        self.made.push(array.clone());
        array
    }
}

/// Where a canonical column stands among the atomic ones; `None` for the three self-describing columns.
pub fn atomic_position(column: usize) -> Option<usize> {
    use columns::{CONTEXTS, COUNT, DERIVED_CONTEXTS, UNSTRUCT_EVENT};
    match column {
        CONTEXTS | UNSTRUCT_EVENT | DERIVED_CONTEXTS => None,
        c if c >= COUNT => None,
        c => Some(c - usize::from(c > CONTEXTS) - usize::from(c > UNSTRUCT_EVENT) - usize::from(c > DERIVED_CONTEXTS)),
    }
}

/// The Arrow type of a canonical column.
pub fn atomic_type(column: usize) -> DataType {
    match columns::COLUMNS[column].kind {
        Kind::Text | Kind::Json => DataType::Utf8,
        Kind::Time => DataType::Timestamp(TimeUnit::Microsecond, None),
        Kind::Int => DataType::Int32,
        Kind::Bool => DataType::Boolean,
        Kind::Float => DataType::Float64,
        Kind::Decimal if columns::MONEY.contains(&column) => DataType::Decimal128(MONEY.0, MONEY.1),
        Kind::Decimal => DataType::Float64,
    }
}

/// The 128 atomic columns in order. Every field is nullable: what may be null is the warehouse's business.
pub static ATOMIC_SCHEMA: LazyLock<SchemaRef> = LazyLock::new(|| {
    let fields = (0..columns::COUNT)
        .filter(|&c| atomic_position(c).is_some())
        .map(|c| Field::new(columns::COLUMNS[c].name, atomic_type(c), true));
    Arc::new(Schema::new(fields.collect::<Vec<_>>()))
});

/// The atomic columns and then these self-describing ones, each Utf8.
pub fn schema_with<'a>(dynamic: impl IntoIterator<Item = &'a String>) -> SchemaRef {
    let mut fields = ATOMIC_SCHEMA.fields().to_vec();
    fields.extend(dynamic.into_iter().map(|name| Arc::new(Field::new(name, DataType::Utf8, true))));
    Arc::new(Schema::new(fields))
}
