//! The values of one field in one batch of rows, whatever type the column has.

use super::error::ViewError;
use super::exact;
use super::field::{Field, Kind, Source};
use super::json_path::{self, Scalar};
use super::measure::Number;
use arrow::array::{
    Array, ArrayRef, BooleanArray, Decimal128Array, Float64Array, Int32Array, StringArray, StringBuilder,
    TimestampMicrosecondArray,
};
use arrow::record_batch::RecordBatch;
use std::fmt::Write;

/// One column of a batch, typed.
#[derive(Debug)]
pub(super) enum Column<'a> {
    /// The batch has no such column: no event of it had such data.
    Absent,
    Text(&'a StringArray),
    Int(&'a Int32Array),
    Bool(&'a BooleanArray),
    Money(&'a Decimal128Array),
    Double(&'a Float64Array),
    Time(&'a TimestampMicrosecondArray),
    Json(Vec<Scalar<'a>>),
}

fn typed<'a, T: 'static>(array: &'a ArrayRef, name: &str, expected: &'static str) -> Result<&'a T, ViewError> {
    array.as_any().downcast_ref::<T>().ok_or_else(|| ViewError::Rows {
        column: name.to_owned(),
        expected,
        found: array.data_type().to_string(),
    })
}

impl<'a> Column<'a> {
    /// Finds the column of `field` in `batch`; JSON text is read here, once for the whole batch.
    pub(super) fn of(field: &Field, batch: &'a RecordBatch) -> Result<Column<'a>, ViewError> {
        let name = field.column();
        let Some(array) = batch.column_by_name(name) else {
            return match field.source {
                Source::Json { .. } => Ok(Column::Absent),
                Source::Atomic(_) => {
                    Err(ViewError::Rows { column: name.to_owned(), expected: "there", found: "missing".to_owned() })
                }
            };
        };
        Ok(match (&field.source, field.kind) {
            (Source::Json { entity, path, .. }, _) => {
                let text: &StringArray = typed(array, name, "Utf8")?;
                let scalar = |t: Option<&'a str>| t.map_or(Scalar::None, |t| json_path::read(t, *entity, path));
                Column::Json(text.iter().map(scalar).collect())
            }
            (_, Kind::Text | Kind::Json) => Column::Text(typed(array, name, "Utf8")?),
            (_, Kind::Int) => Column::Int(typed(array, name, "Int32")?),
            (_, Kind::Bool) => Column::Bool(typed(array, name, "Boolean")?),
            (_, Kind::Money) => {
                let money: &Decimal128Array = typed(array, name, "Decimal128(18, 2)")?;
                if money.scale() != 2 {
                    let found = money.data_type().to_string();
                    return Err(ViewError::Rows { column: name.to_owned(), expected: "Decimal128(18, 2)", found });
                }
                Column::Money(money)
            }
            (_, Kind::Double) => Column::Double(typed(array, name, "Float64")?),
            (_, Kind::Time) => Column::Time(typed(array, name, "Timestamp(µs)")?),
        })
    }

    /// Whether the event has a value.
    pub(super) fn is_valid(&self, row: usize) -> bool {
        match self {
            Column::Absent => false,
            Column::Text(a) => a.is_valid(row),
            Column::Int(a) => a.is_valid(row),
            Column::Bool(a) => a.is_valid(row),
            Column::Money(a) => a.is_valid(row),
            Column::Double(a) => a.is_valid(row),
            Column::Time(a) => a.is_valid(row),
            Column::Json(v) => v.get(row).is_some_and(|s| *s != Scalar::None),
        }
    }

    /// The value in the units of a sum.
    #[inline]
    pub(super) fn exact(&self, row: usize) -> Option<i128> {
        match self {
            Column::Int(a) if a.is_valid(row) => Some(i128::from(a.value(row))),
            Column::Money(a) if a.is_valid(row) => Some(a.value(row)),
            _ => self.double(row).and_then(exact::fixed),
        }
    }

    /// The value as an order-keeping integer.
    #[inline]
    pub(super) fn ordered(&self, row: usize, number: Number) -> Option<i128> {
        match (self, number) {
            (Column::Int(a), _) if a.is_valid(row) => Some(i128::from(a.value(row))),
            (Column::Money(a), _) if a.is_valid(row) => Some(a.value(row)),
            (Column::Time(a), _) if a.is_valid(row) => Some(i128::from(a.value(row))),
            (_, Number::Double) => self.double(row).filter(|v| v.is_finite()).map(|v| i128::from(exact::order_key(v))),
            _ => None,
        }
    }

    /// The value as a double.
    #[inline]
    pub(super) fn double(&self, row: usize) -> Option<f64> {
        match self {
            Column::Double(a) if a.is_valid(row) => Some(a.value(row)),
            Column::Int(a) if a.is_valid(row) => Some(f64::from(a.value(row))),
            Column::Money(a) if a.is_valid(row) => Some(a.value(row) as f64 / 100.0),
            Column::Json(v) => match v.get(row)? {
                Scalar::Int(v) => Some(*v as f64),
                Scalar::Double(v) => Some(*v),
                _ => None,
            },
            _ => None,
        }
    }

    /// Calls `f` with the value as text, if the event has one. `buffer` is scratch space.
    #[inline]
    pub(super) fn with_text(&self, row: usize, buffer: &mut String, f: impl FnOnce(&str)) {
        if let Column::Text(a) = self {
            if a.is_valid(row) {
                f(a.value(row));
            }
            return;
        }
        if !self.is_valid(row) {
            return;
        }
        buffer.clear();
        // Writing into a String cannot fail.
        let _ = match self {
            Column::Int(a) => write!(buffer, "{}", a.value(row)),
            Column::Bool(a) => write!(buffer, "{}", a.value(row)),
            Column::Money(a) => write!(buffer, "{}", exact::decimal_text(a.value(row), 2)),
            Column::Double(a) => write!(buffer, "{}", a.value(row)),
            Column::Time(a) => write!(buffer, "{}", a.value(row)),
            Column::Json(v) => match v.get(row) {
                Some(Scalar::Text(t)) => {
                    f(t);
                    return;
                }
                Some(Scalar::Int(n)) => write!(buffer, "{n}"),
                Some(Scalar::Double(n)) => write!(buffer, "{n}"),
                Some(Scalar::Bool(b)) => write!(buffer, "{b}"),
                Some(Scalar::None) | None => return,
            },
            Column::Absent | Column::Text(_) => return,
        };
        f(buffer);
    }
}

/// Characters of a dimension's value that make a group; the rest is cut off, so that hostile text cannot fill the memory.
pub(super) const MAX_WORD_CHARS: usize = 1000;

/// The first [`MAX_WORD_CHARS`] characters.
#[inline]
fn cut(text: &str) -> &str {
    if text.len() <= MAX_WORD_CHARS {
        return text;
    }
    text.char_indices().nth(MAX_WORD_CHARS).map_or(text, |(at, _)| &text[..at])
}

/// The values of a dimension: always text, made once per batch where the column holds something else.
#[derive(Debug)]
pub(super) enum Words<'a> {
    Absent,
    Borrowed(&'a StringArray),
    Made(StringArray),
}

impl<'a> Words<'a> {
    pub(super) fn of(column: &Column<'a>, rows: usize) -> Words<'a> {
        match column {
            Column::Absent => Words::Absent,
            Column::Text(a) => Words::Borrowed(a),
            other => {
                let mut made = StringBuilder::with_capacity(rows, rows * 8);
                let mut buffer = String::new();
                for row in 0..rows {
                    if other.is_valid(row) {
                        other.with_text(row, &mut buffer, |t| made.append_value(cut(t)));
                    } else {
                        made.append_null();
                    }
                }
                Words::Made(made.finish())
            }
        }
    }

    #[inline]
    pub(super) fn get(&self, row: usize) -> Option<&str> {
        let array = match self {
            Words::Absent => return None,
            Words::Borrowed(a) => *a,
            Words::Made(a) => a,
        };
        array.is_valid(row).then(|| cut(array.value(row)))
    }
}
