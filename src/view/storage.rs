//! Groups as rows of `derived.<view>` and back.
//!
//! Layout: [`View::storage_schema`]. Every column is written, so the table can be read by SQL alone; only the sketches are
//! BLOBs. One stored row is the aggregate of one group of one micro-batch (or of several, once old rows are folded together):
//! rows are only ever appended and a reader merges what it finds.

use super::aggregate::Aggregate;
use super::compiled::View;
use super::distinct::Distinct;
use super::error::ViewError;
use super::exact::{self, Wide};
use super::fold::Fold;
use super::groups::{Group, Groups};
use super::measure::{Function, Measure, Number};
use super::quantiles::Quantiles;
use super::top::Top;
use arrow::array::{
    Array, ArrayRef, BinaryArray, BinaryBuilder, Decimal128Array, Float64Array, Int64Array, StringArray,
    TimestampMicrosecondArray,
};
use arrow::datatypes::DataType;
use arrow::record_batch::RecordBatch;
use std::sync::Arc;

impl Fold {
    /// The groups in the stored form; see [`Groups::to_record_batch`].
    ///
    /// # Errors
    /// As [`Groups::to_record_batch`].
    pub fn to_record_batch(&self) -> Result<RecordBatch, ViewError> {
        self.groups().to_record_batch()
    }
}

impl Groups {
    /// The groups in the stored form, sorted by time and dimensions, so that the same events give the same bytes.
    ///
    /// # Errors
    /// [`ViewError::Stored`] if the groups are those of an answer and lack dimensions of the view.
    pub fn to_record_batch(&self) -> Result<RecordBatch, ViewError> {
        let view = self.view();
        let groups = self.sorted();
        let mut columns: Vec<ArrayRef> = Vec::new();
        // A time beyond what microseconds hold stays at the end of the scale.
        let times = groups.iter().map(|g| g.key.time.saturating_mul(1000));
        columns.push(Arc::new(TimestampMicrosecondArray::from_iter_values(times)));
        for d in 0..self.by().len() {
            let words = groups.iter().map(|g| g.key.dims.get(d).and_then(Option::as_deref));
            columns.push(Arc::new(words.collect::<StringArray>()));
        }
        columns.push(Arc::new(Int64Array::from_iter_values(groups.iter().map(|g| g.rows as i64))));
        for (m, measure) in view.measures.iter().enumerate() {
            write_measure(measure, &groups, m, &mut columns).map_err(|e| stored(view, &measure.name, e.to_string()))?;
        }
        RecordBatch::try_new(view.storage_schema(), columns).map_err(|e| stored(view, "*", e.to_string()))
    }

    /// Reads stored rows; several rows of the same group are merged. Columns are found by name; others are passed over, so a
    /// batch may carry `batch_from` and `batch_to`.
    ///
    /// # Errors
    /// [`ViewError::Stored`]: the column and what is wrong with it.
    pub fn from_record_batch(view: &Arc<View>, batch: &RecordBatch) -> Result<Groups, ViewError> {
        let mut groups = Groups::new(view.clone());
        groups.add_record_batch(batch)?;
        Ok(groups)
    }

    /// As [`Groups::from_record_batch`], into groups that exist.
    ///
    /// # Errors
    /// As [`Groups::from_record_batch`]; rows before the bad one are in then.
    pub fn add_record_batch(&mut self, batch: &RecordBatch) -> Result<(), ViewError> {
        let view = self.view().clone();
        let times: &TimestampMicrosecondArray = column(&view, batch, "time")?;
        let words =
            view.dimension_names().map(|d| column(&view, batch, d)).collect::<Result<Vec<&StringArray>, _>>()?;
        let rows: &Int64Array = column(&view, batch, super::compiled::ROWS_COLUMN)?;
        let readers = view.measures.iter().map(|m| Reader::of(&view, m, batch)).collect::<Result<Vec<_>, _>>()?;
        let mut dims: Vec<Option<Arc<str>>> = vec![None; words.len()];
        let mut aggregates = Vec::with_capacity(readers.len());
        for row in 0..batch.num_rows() {
            for (dim, array) in dims.iter_mut().zip(&words) {
                let text = array.is_valid(row).then(|| array.value(row));
                if dim.as_deref() != text {
                    *dim = text.map(Arc::from);
                }
            }
            aggregates.clear();
            for (reader, measure) in readers.iter().zip(&view.measures) {
                aggregates.push(reader.read(row).map_err(|e| stored(&view, &measure.name, e))?);
            }
            let slot = self.slot_of(times.value(row).div_euclid(1000), &dims);
            self.take_group(slot, rows.value(row).max(0) as u64, &aggregates);
        }
        Ok(())
    }
}

fn stored(view: &View, column: &str, problem: impl Into<String>) -> ViewError {
    ViewError::Stored { view: view.name().to_owned(), column: column.to_owned(), problem: problem.into() }
}

fn column<'a, T: 'static>(view: &View, batch: &'a RecordBatch, name: &str) -> Result<&'a T, ViewError> {
    let array = batch.column_by_name(name).ok_or_else(|| stored(view, name, "is missing"))?;
    array
        .as_any()
        .downcast_ref()
        .ok_or_else(|| stored(view, name, format!("has type {}, which the view does not write", array.data_type())))
}

fn write_measure(
    measure: &Measure,
    groups: &[Group<'_>],
    m: usize,
    columns: &mut Vec<ArrayRef>,
) -> Result<(), arrow::error::ArrowError> {
    let states = || groups.iter().map(|g| &g.aggregates[m]);
    let decimal = |values: Decimal128Array, scale: u8| values.with_precision_and_scale(38, scale as i8);
    let scale = measure.number.scale();
    match measure.function {
        Function::Count => {
            let counts = states().map(|a| if let Aggregate::Count(n) = a { *n as i64 } else { 0 });
            columns.push(Arc::new(Int64Array::from_iter_values(counts)));
        }
        Function::Sum => {
            let sums = states().map(|a| if let Aggregate::Sum(s) = a { s.map(Wide::get) } else { None });
            columns.push(Arc::new(decimal(sums.collect(), scale)?));
        }
        Function::Avg => {
            let parts = || states().map(|a| if let Aggregate::Avg(s, n) = a { (s.get(), *n as i64) } else { (0, 0) });
            columns.push(Arc::new(decimal(Decimal128Array::from_iter_values(parts().map(|p| p.0)), scale)?));
            columns.push(Arc::new(Int64Array::from_iter_values(parts().map(|p| p.1))));
        }
        Function::Min | Function::Max => {
            let ends = states().map(|a| match a {
                Aggregate::Min(v) | Aggregate::Max(v) => v.map(Wide::get),
                _ => None,
            });
            columns.push(match measure.number {
                Number::Whole => Arc::new(ends.map(|v| v.map(|v| v as i64)).collect::<Int64Array>()),
                Number::Money => Arc::new(decimal(ends.collect(), 2)?),
                Number::Double => {
                    Arc::new(ends.map(|v| v.map(|v| exact::from_order_key(v as i64))).collect::<Float64Array>())
                }
                Number::Time => Arc::new(ends.map(|v| v.map(|v| v as i64)).collect::<TimestampMicrosecondArray>()),
            });
        }
        Function::Distinct | Function::Quantile(_) | Function::Top(_) => {
            let mut blobs = BinaryBuilder::new();
            for state in states() {
                let bytes = match state {
                    Aggregate::Distinct(d) => d.to_bytes(),
                    Aggregate::Quantile(q) => q.to_bytes(),
                    Aggregate::Top(t) => t.to_bytes(),
                    _ => None,
                };
                blobs.append_option(bytes);
            }
            columns.push(Arc::new(blobs.finish()));
        }
    }
    Ok(())
}

/// Stored columns of one measure.
enum Reader<'a> {
    Count(&'a Int64Array),
    Sum(&'a Decimal128Array),
    Avg(&'a Decimal128Array, &'a Int64Array),
    End(Function, End<'a>),
    Sketch(Function, &'a BinaryArray),
}

enum End<'a> {
    Whole(&'a Int64Array),
    Money(&'a Decimal128Array),
    Double(&'a Float64Array),
    Time(&'a TimestampMicrosecondArray),
}

impl<'a> Reader<'a> {
    fn of(view: &View, measure: &Measure, batch: &'a RecordBatch) -> Result<Reader<'a>, ViewError> {
        let name = &measure.name;
        let decimal = |name: &str, scale: u8| -> Result<&'a Decimal128Array, ViewError> {
            let array: &Decimal128Array = column(view, batch, name)?;
            match array.data_type() {
                DataType::Decimal128(_, s) if *s == scale as i8 => Ok(array),
                other => Err(stored(view, name, format!("has type {other}, expected scale {scale}"))),
            }
        };
        let scale = measure.number.scale();
        Ok(match measure.function {
            Function::Count => Reader::Count(column(view, batch, name)?),
            Function::Sum => Reader::Sum(decimal(name, scale)?),
            Function::Avg => {
                Reader::Avg(decimal(&format!("{name}_sum"), scale)?, column(view, batch, &format!("{name}_count"))?)
            }
            function @ (Function::Min | Function::Max) => Reader::End(
                function,
                match measure.number {
                    Number::Whole => End::Whole(column(view, batch, name)?),
                    Number::Money => End::Money(decimal(name, 2)?),
                    Number::Double => End::Double(column(view, batch, name)?),
                    Number::Time => End::Time(column(view, batch, name)?),
                },
            ),
            function => Reader::Sketch(function, column(view, batch, name)?),
        })
    }

    fn read(&self, row: usize) -> Result<Aggregate, String> {
        Ok(match self {
            Reader::Count(a) => Aggregate::Count(a.value(row).max(0) as u64),
            Reader::Sum(a) => Aggregate::Sum(a.is_valid(row).then(|| Wide::new(a.value(row)))),
            Reader::Avg(sum, n) => Aggregate::Avg(Wide::new(sum.value(row)), n.value(row).max(0) as u64),
            Reader::End(function, end) => {
                let v = match end {
                    End::Whole(a) => a.is_valid(row).then(|| i128::from(a.value(row))),
                    End::Money(a) => a.is_valid(row).then(|| a.value(row)),
                    End::Double(a) => a.is_valid(row).then(|| i128::from(exact::order_key(a.value(row)))),
                    End::Time(a) => a.is_valid(row).then(|| i128::from(a.value(row))),
                };
                let v = v.map(Wide::new);
                if matches!(function, Function::Min) { Aggregate::Min(v) } else { Aggregate::Max(v) }
            }
            Reader::Sketch(function, a) if a.is_null(row) => Aggregate::zero(*function),
            Reader::Sketch(Function::Distinct, a) => Aggregate::Distinct(Distinct::from_bytes(a.value(row))?),
            Reader::Sketch(Function::Quantile(_), a) => {
                Aggregate::Quantile(Box::new(Quantiles::from_bytes(a.value(row))?))
            }
            Reader::Sketch(_, a) => Aggregate::Top(Top::from_bytes(a.value(row))?),
        })
    }
}
