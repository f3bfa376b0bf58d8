//! The four forms of a result: one JSON document, NDJSON, CSV, an Arrow stream.

use super::cell::{Ints, csv_text, write_csv, write_json};
use crate::batch::warehouse::SqlColumn;
use crate::event::json::write_string;
use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use arrow::datatypes::{DataType, Field, Schema, TimeUnit};
use arrow::error::ArrowError;
use arrow::ipc::writer::StreamWriter;
use bytes::Bytes;
use std::sync::Arc;

/// A form of the answer.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Format {
    /// One document, held in memory until it is complete.
    Json,
    /// One object a line.
    NdJson,
    /// A header line and one line a row (RFC 4180, line feeds); values as they are, formulas too.
    Csv,
    /// Arrow IPC streaming format.
    Arrow,
}

impl Format {
    /// The first form that an `Accept` header names; JSON when it names none in particular.
    pub fn from_accept(accept: &str) -> Option<Self> {
        let mut asked = false;
        for item in accept.split(',') {
            let kind = item.split(';').next().unwrap_or("").trim().to_ascii_lowercase();
            asked |= !kind.is_empty();
            match kind.as_str() {
                "application/json" | "application/*" | "*/*" => return Some(Format::Json),
                "application/x-ndjson" | "application/ndjson" | "application/jsonl" => return Some(Format::NdJson),
                "text/csv" | "text/*" => return Some(Format::Csv),
                "application/vnd.apache.arrow.stream" => return Some(Format::Arrow),
                _ => {}
            }
        }
        (!asked).then_some(Format::Json)
    }

    /// `Content-Type` of the reply.
    pub const fn content_type(self) -> &'static str {
        match self {
            Format::Json => "application/json",
            Format::NdJson => "application/x-ndjson",
            Format::Csv => "text/csv; charset=utf-8; header=present",
            Format::Arrow => "application/vnd.apache.arrow.stream",
        }
    }
}

/// The schema of a result without rows, from the types that it would have; a type that has no plain counterpart is text.
pub fn schema_of(columns: &[SqlColumn]) -> SchemaRef {
    let kind = |text: &str| match text {
        "BOOLEAN" => DataType::Boolean,
        "TINYINT" => DataType::Int8,
        "SMALLINT" => DataType::Int16,
        "INTEGER" => DataType::Int32,
        "BIGINT" => DataType::Int64,
        "UTINYINT" => DataType::UInt8,
        "USMALLINT" => DataType::UInt16,
        "UINTEGER" => DataType::UInt32,
        "UBIGINT" => DataType::UInt64,
        "HUGEINT" => DataType::Decimal128(38, 0),
        "FLOAT" => DataType::Float32,
        "DOUBLE" => DataType::Float64,
        "DATE" => DataType::Date32,
        "TIMESTAMP" => DataType::Timestamp(TimeUnit::Microsecond, None),
        "BLOB" => DataType::Binary,
        other => decimal(other).unwrap_or(DataType::Utf8),
    };
    let field = |c: &SqlColumn| Field::new(&c.name, kind(&c.kind), true);
    Arc::new(Schema::new(columns.iter().map(field).collect::<Vec<_>>()))
}

/// `DECIMAL(18,2)`.
fn decimal(text: &str) -> Option<DataType> {
    let (precision, scale) = text.strip_prefix("DECIMAL(")?.strip_suffix(')')?.split_once(',')?;
    Some(DataType::Decimal128(precision.trim().parse().ok()?, scale.trim().parse().ok()?))
}

/// Appends the rows of a batch as JSON arrays separated by commas, until `out` would grow beyond `most` bytes. Returns how
/// many rows were written.
pub fn json_rows(batch: &RecordBatch, ints: Ints, first: bool, most: usize, out: &mut String) -> usize {
    for row in 0..batch.num_rows() {
        let before = out.len();
        if !(first && row == 0) {
            out.push(',');
        }
        out.push('[');
        for (i, column) in batch.columns().iter().enumerate() {
            if i > 0 {
                out.push(',');
            }
            write_json(column.as_ref(), row, ints, out);
        }
        out.push(']');
        if out.len() > most {
            out.truncate(before);
            return row;
        }
    }
    batch.num_rows()
}

/// Turns batches into the bytes of a streaming form.
pub struct Encoder {
    format: Format,
    ints: Ints,
    names: Vec<String>,
    arrow: Option<StreamWriter<Vec<u8>>>,
    text: String,
}

impl Encoder {
    /// An encoder for results with this schema. The first bytes (CSV header, Arrow schema) come with the first batch, or
    /// with [`Encoder::finish`].
    ///
    /// # Errors
    /// When the schema cannot be written as Arrow IPC.
    pub fn new(format: Format, ints: Ints, schema: &SchemaRef) -> Result<Self, ArrowError> {
        let names: Vec<String> = schema.fields().iter().map(|f| f.name().clone()).collect();
        let arrow = match format {
            Format::Arrow => Some(StreamWriter::try_new(Vec::new(), schema)?),
            _ => None,
        };
        let mut text = String::new();
        if format == Format::Csv {
            for (i, name) in names.iter().enumerate() {
                if i > 0 {
                    text.push(',');
                }
                csv_text(name, &mut text);
            }
            text.push('\n');
        }
        Ok(Encoder { format, ints, names, arrow, text })
    }

    /// Bytes for one batch; may be empty.
    ///
    /// # Errors
    /// When Arrow IPC cannot carry a column.
    pub fn batch(&mut self, batch: &RecordBatch) -> Result<Bytes, ArrowError> {
        if let Some(writer) = &mut self.arrow {
            writer.write(batch)?;
            return Ok(std::mem::take(writer.get_mut()).into());
        }
        for row in 0..batch.num_rows() {
            if self.format == Format::Csv { self.csv_row(batch, row) } else { self.object_row(batch, row) }
        }
        Ok(std::mem::take(&mut self.text).into())
    }

    /// The last bytes.
    ///
    /// # Errors
    /// As [`Encoder::batch`].
    pub fn finish(mut self) -> Result<Bytes, ArrowError> {
        if let Some(mut writer) = self.arrow.take() {
            writer.finish()?;
            return Ok(writer.into_inner()?.into());
        }
        Ok(self.text.into())
    }

    fn csv_row(&mut self, batch: &RecordBatch, row: usize) {
        for (i, column) in batch.columns().iter().enumerate() {
            if i > 0 {
                self.text.push(',');
            }
            write_csv(column.as_ref(), row, &mut self.text);
        }
        self.text.push('\n');
    }

    fn object_row(&mut self, batch: &RecordBatch, row: usize) {
        self.text.push('{');
        for (i, (column, name)) in batch.columns().iter().zip(&self.names).enumerate() {
            if i > 0 {
                self.text.push(',');
            }
            write_string(name, &mut self.text);
            self.text.push(':');
            write_json(column.as_ref(), row, self.ints, &mut self.text);
        }
        self.text.push_str("}\n");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow::array::{ArrayRef, Int64Array, StringArray};
    use arrow::ipc::reader::StreamReader;
    use std::sync::Arc;

    fn batch() -> RecordBatch {
        let name: ArrayRef = Arc::new(StringArray::from(vec![Some("a,b"), None]));
        let n: ArrayRef = Arc::new(Int64Array::from(vec![1, i64::MAX]));
        RecordBatch::try_from_iter_with_nullable([("app", name, true), ("n", n, false)]).unwrap()
    }

    fn encode(format: Format) -> Vec<u8> {
        let b = batch();
        let mut encoder = Encoder::new(format, Ints::Number, &b.schema()).unwrap();
        let mut out = encoder.batch(&b).unwrap().to_vec();
        out.extend_from_slice(&encoder.finish().unwrap());
        out
    }

    #[test]
    fn the_forms_carry_the_same_rows() {
        let text = |f| String::from_utf8(encode(f)).unwrap();
        assert_eq!(text(Format::Csv), "app,n\n\"a,b\",1\n,9223372036854775807\n");
        assert_eq!(text(Format::NdJson), "{\"app\":\"a,b\",\"n\":1}\n{\"app\":null,\"n\":9223372036854775807}\n");
        let arrow = encode(Format::Arrow);
        let read: Vec<_> = StreamReader::try_new(&arrow[..], None).unwrap().map(Result::unwrap).collect();
        assert_eq!(read, [batch()]);
    }

    #[test]
    fn json_rows_stop_at_the_bound_on_a_whole_row() {
        let mut out = String::new();
        assert_eq!(json_rows(&batch(), Ints::Number, true, 14, &mut out), 1);
        assert_eq!(out, "[\"a,b\",1]");
        assert_eq!(json_rows(&batch(), Ints::Text, false, 1000, &mut out), 2);
        assert_eq!(out, "[\"a,b\",1],[\"a,b\",\"1\"],[null,\"9223372036854775807\"]");
    }

    #[test]
    fn accept_chooses_the_form() {
        for (accept, want) in [
            ("", Some(Format::Json)),
            ("*/*", Some(Format::Json)),
            ("text/csv, */*", Some(Format::Csv)),
            ("application/x-ndjson;q=1", Some(Format::NdJson)),
            ("application/vnd.apache.arrow.stream", Some(Format::Arrow)),
            ("image/png", None),
        ] {
            assert_eq!(Format::from_accept(accept), want, "{accept}");
        }
    }
}
