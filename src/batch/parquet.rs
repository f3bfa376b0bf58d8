//! One Parquet file: how every file of the lake is written.
//!
//! zstd; every column carries a field id, so that table formats can adopt the files later without rewriting them; JSON
//! columns have the JSON logical type. The bytes of a file follow from what is written alone: no clock, no host name.

use super::error::StageError;
use arrow::array::RecordBatch;
use arrow::datatypes::{DataType, Field, SchemaRef};
use parquet::arrow::arrow_writer::{ArrowWriter, ArrowWriterOptions};
use parquet::arrow::{ArrowSchemaConverter, PARQUET_FIELD_ID_META_KEY};
use parquet::basic::{Compression, ConvertedType, LogicalType, Repetition, Type as PhysicalType, ZstdLevel};
use parquet::errors::ParquetError;
use parquet::file::properties::{EnabledStatistics, WriterProperties};
use parquet::schema::types::{ColumnPath, SchemaDescriptor, Type, TypePtr};
use sha2::{Digest, Sha256};
use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::Path;
use std::sync::Arc;

/// A file that was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Written {
    /// Rows in it.
    pub rows: u64,
    /// Its size.
    pub bytes: u64,
    /// SHA-256 of its bytes, in hexadecimal.
    pub sha256: String,
}

/// Metadata key that makes a text column a JSON column of the file.
const JSON_MARK: &str = "snowshed.json";
/// The row group size of DuckDB: a file's groups become the table's.
const ROW_GROUP: usize = 122_880;

/// The field with its Parquet field id.
pub fn numbered(field: Field, id: i32) -> Field {
    let mut metadata = field.metadata().clone();
    metadata.insert(PARQUET_FIELD_ID_META_KEY.to_owned(), id.to_string());
    field.with_metadata(metadata)
}

/// A nullable column of JSON text.
pub fn json_field(name: &str) -> Field {
    Field::new(name, DataType::Utf8, true).with_metadata([(JSON_MARK.to_owned(), String::new())].into())
}

/// Writes one file, batch by batch.
pub struct FileWriter {
    writer: ArrowWriter<Hashing>,
    rows: u64,
}

impl FileWriter {
    /// Makes (or empties) the file.
    ///
    /// # Errors
    /// When the file cannot be made, or the schema has a type that Parquet lacks.
    pub fn create(path: &Path, schema: &SchemaRef, zstd_level: i32) -> Result<Self, StageError> {
        let file = File::create(path).map_err(|e| StageError::file(path, e))?;
        let out = Hashing { out: BufWriter::with_capacity(1 << 18, file), hash: Sha256::new(), bytes: 0 };
        let mut properties = WriterProperties::builder()
            .set_created_by("snowshed".to_owned())
            .set_compression(Compression::ZSTD(ZstdLevel::try_new(zstd_level)?))
            .set_max_row_group_row_count(Some(ROW_GROUP))
            .set_statistics_enabled(EnabledStatistics::Chunk)
            .set_offset_index_disabled(true);
        for field in schema.fields() {
            // Nearly every value differs: a dictionary is built only to be thrown away.
            if field.metadata().contains_key(JSON_MARK)
                || ["event_id", "event_fingerprint"].contains(&field.name().as_str())
            {
                properties = properties.set_column_dictionary_enabled(ColumnPath::from(field.name().as_str()), false);
            }
        }
        let options = ArrowWriterOptions::new()
            .with_properties(properties.build())
            .with_skip_arrow_metadata(true)
            .with_parquet_schema(file_schema(schema)?);
        Ok(FileWriter { writer: ArrowWriter::try_new_with_options(out, schema.clone(), options)?, rows: 0 })
    }

    /// Appends rows.
    ///
    /// # Errors
    /// When the file cannot be written or the columns are not those of the schema.
    pub fn write(&mut self, batch: &RecordBatch) -> Result<(), StageError> {
        self.writer.write(batch)?;
        self.rows += batch.num_rows() as u64;
        Ok(())
    }

    /// Ends the file.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn finish(self) -> Result<Written, StageError> {
        let mut out = self.writer.into_inner()?;
        out.flush().map_err(ParquetError::from)?;
        let sha256 = out.hash.finalize().iter().map(|b| format!("{b:02x}")).collect();
        Ok(Written { rows: self.rows, bytes: out.bytes, sha256 })
    }
}

fn file_schema(schema: &SchemaRef) -> Result<SchemaDescriptor, ParquetError> {
    let plain = ArrowSchemaConverter::new().schema_root("events").convert(schema)?;
    let fields = plain.root_schema().get_fields().iter().zip(schema.fields());
    let fields: Vec<TypePtr> = fields
        .map(|(file, field)| match field.metadata().contains_key(JSON_MARK) {
            false => Ok(file.clone()),
            true => Type::primitive_type_builder(field.name(), PhysicalType::BYTE_ARRAY)
                .with_repetition(Repetition::OPTIONAL)
                .with_converted_type(ConvertedType::JSON)
                .with_logical_type(Some(LogicalType::Json))
                .with_id(file.get_basic_info().has_id().then(|| file.get_basic_info().id()))
                .build()
                .map(Arc::new),
        })
        .collect::<Result<_, ParquetError>>()?;
    let root = Type::group_type_builder(plain.root_schema().name()).with_fields(fields).build()?;
    Ok(SchemaDescriptor::new(Arc::new(root)))
}

struct Hashing {
    out: BufWriter<File>,
    hash: Sha256,
    bytes: u64,
}

impl Write for Hashing {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let n = self.out.write(bytes)?;
        self.hash.update(bytes.get(..n).unwrap_or_default());
        self.bytes += n as u64;
        Ok(n)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}
