//! What one micro-batch holds, table by table, and its files on local disk.
//!
//! Rows of events are sorted by event name and collector time, which is what most queries filter on. They are gathered from
//! the chunks piece by piece, so that the micro-batch is never copied as a whole.

use super::error::StageError;
use super::parquet::{FileWriter, Written, json_field, numbered};
use crate::event::columns;
use crate::event::rows::{ATOMIC, ATOMIC_SCHEMA, Rows};
use crate::event::{Outcome, Processed};
use crate::platform::clock::Millis;
use arrow::array::{
    Array, ArrayRef, AsArray, RecordBatch, StringBuilder, TimestampMicrosecondArray, TimestampMicrosecondBuilder,
    UInt32Builder, UInt64Builder, new_null_array,
};
use arrow::compute::interleave;
use arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit, TimestampMicrosecondType};
use std::collections::BTreeSet;
use std::path::Path;
use std::sync::{Arc, LazyLock};

/// Name of the column that tells when a micro-batch was loaded; one value per micro-batch.
pub const LOAD_TSTAMP: &str = "load_tstamp";

/// Field id of the first self-describing column; below stand the fixed ids of the atomic columns and of `load_tstamp`.
pub const FIRST_DYNAMIC_ID: i32 = 1001;

/// Rows that are gathered at a time.
const PIECE: usize = 8192;
/// … unless they hold more bytes than this.
const PIECE_BYTES: usize = 128 << 20;

/// The self-describing columns of some rows, in the order of their names.
pub fn dynamic_names(parts: &[Arc<Rows>]) -> BTreeSet<&str> {
    parts.iter().flat_map(|p| p.dynamic().map(|d| d.0)).collect()
}

/// The columns of an event file: 128 atomic ones, `load_tstamp`, then the self-describing ones, each with its field id.
pub fn event_schema(dynamic: &[(String, i32)]) -> SchemaRef {
    let mut fields = Vec::with_capacity(ATOMIC + 1 + dynamic.len());
    for (id, field) in (1..).zip(ATOMIC_SCHEMA.fields()) {
        fields.push(numbered(field.as_ref().clone(), id));
    }
    fields.push(numbered(time_field(LOAD_TSTAMP), ATOMIC as i32 + 1));
    fields.extend(dynamic.iter().map(|(name, id)| numbered(json_field(name), *id)));
    Arc::new(Schema::new(fields))
}

/// Writes the rows of `parts`, sorted, with `load_tstamp` = `load_ms`. `dynamic` names every self-describing column of the
/// parts with its field id.
///
/// # Errors
/// When the file cannot be written or the rows do not have their shape.
pub fn write_events(
    path: &Path,
    parts: &[Arc<Rows>],
    load_ms: Millis,
    dynamic: &[(String, i32)],
    zstd_level: i32,
) -> Result<Written, StageError> {
    let schema = event_schema(dynamic);
    let mut out = FileWriter::create(path, &schema, zstd_level)?;
    let order = sorted(parts);
    let sources: Vec<Source> = schema.fields().iter().enumerate().map(|(at, f)| source(parts, at, f)).collect();
    for piece in order.chunks(piece_rows(parts)) {
        let mut arrays: Vec<ArrayRef> = Vec::with_capacity(sources.len());
        for (source, field) in sources.iter().zip(schema.fields()) {
            arrays.push(match source {
                Source::Load => Arc::new(TimestampMicrosecondArray::from_value(micros(load_ms), piece.len())),
                Source::Empty => new_null_array(field.data_type(), piece.len()),
                Source::Parts(parts) => interleave(&parts.iter().map(AsRef::as_ref).collect::<Vec<_>>(), piece)?,
            });
        }
        out.write(&RecordBatch::try_new(schema.clone(), arrays)?)?;
    }
    out.finish()
}

/// Rows of a piece, fewer where rows are long: no column of a piece may pass 2 GiB.
fn piece_rows(parts: &[Arc<Rows>]) -> usize {
    let row_bytes = parts.iter().filter(|p| !p.is_empty()).map(|p| p.weight() / p.len()).max().unwrap_or(0);
    (PIECE_BYTES / row_bytes.max(1)).clamp(1, PIECE)
}

/// Where the values of a column come from.
enum Source {
    Load,
    Empty,
    Parts(Vec<ArrayRef>),
}

fn source(parts: &[Arc<Rows>], at: usize, field: &Field) -> Source {
    if at == ATOMIC {
        return Source::Load;
    }
    let array =
        |p: &Arc<Rows>| if at < ATOMIC { p.batch.columns().get(at).cloned() } else { p.column(field.name()).cloned() };
    let arrays: Vec<Option<ArrayRef>> = parts.iter().map(array).collect();
    if arrays.iter().flatten().all(|a| a.null_count() == a.len()) {
        return Source::Empty;
    }
    let null = |p: &Arc<Rows>| new_null_array(field.data_type(), p.len());
    Source::Parts(arrays.into_iter().zip(parts).map(|(a, p)| a.unwrap_or_else(|| null(p))).collect())
}

/// (part, row) of every row by event name, collector time and arrival.
fn sorted(parts: &[Arc<Rows>]) -> Vec<(usize, usize)> {
    let mut keys = Vec::with_capacity(parts.iter().map(|p| p.len()).sum());
    for (i, part) in parts.iter().enumerate() {
        let name = part.atomic(columns::EVENT_NAME).and_then(|a| a.as_string_opt::<i32>());
        let time =
            part.atomic(columns::COLLECTOR_TSTAMP).and_then(|a| a.as_primitive_opt::<TimestampMicrosecondType>());
        for row in 0..part.len() {
            let name = name.filter(|a| a.is_valid(row)).map_or("", |a| a.value(row));
            let time = time.filter(|a| a.is_valid(row)).map_or(i64::MIN, |a| a.value(row));
            keys.push((name, time, i, row));
        }
    }
    keys.sort_unstable();
    keys.into_iter().map(|(_, _, i, row)| (i, row)).collect()
}

/// The columns of `atomic.bad_rows`; the file lacks `repaired_at`, which only the warehouse knows.
pub static BAD_SCHEMA: LazyLock<SchemaRef> = LazyLock::new(|| {
    let text = |name| Field::new(name, DataType::Utf8, true);
    let fields = [
        time_field(LOAD_TSTAMP),
        time_field("collector_tstamp"),
        text("kind"),
        text("failure"),
        text("schema"),
        text("path"),
        text("keyword"),
        text("message"),
        text("app_id"),
        Field::new("journal_offset", DataType::UInt64, false),
        Field::new("event_index", DataType::UInt32, false),
        json_field("bad_row"),
    ];
    Arc::new(Schema::new((1..).zip(fields).map(|(id, f)| numbered(f, id)).collect::<Vec<_>>()))
});

/// Writes the bad rows of these failed events, given chunk by chunk, in arrival order.
///
/// # Errors
/// When the file cannot be written.
pub fn write_bad_rows<'p>(
    path: &Path,
    failures: impl Iterator<Item = &'p [Processed]>,
    load_ms: Millis,
    zstd_level: i32,
) -> Result<Written, StageError> {
    let mut out = FileWriter::create(path, &BAD_SCHEMA, zstd_level)?;
    for chunk in failures {
        let batch = bad_rows(chunk, load_ms)?;
        if batch.num_rows() > 0 {
            out.write(&batch)?;
        }
    }
    out.finish()
}

fn bad_rows(chunk: &[Processed], load_ms: Millis) -> Result<RecordBatch, StageError> {
    let mut collector = TimestampMicrosecondBuilder::new();
    let mut text: [StringBuilder; 8] = Default::default();
    let (mut offset, mut index) = (UInt64Builder::new(), UInt32Builder::new());
    for item in chunk {
        let Outcome::Failed(failure) = &item.outcome else { continue };
        let cause = &failure.cause;
        let values = [
            Some(cause.kind.name()),
            Some(cause.failure.as_str()),
            cause.schema.as_deref(),
            cause.path.as_deref(),
            cause.keyword.as_deref(),
            Some(cause.message.as_str()),
            failure.app_id.as_deref(),
            Some(failure.bad_row.as_str()),
        ];
        text.iter_mut().zip(values).for_each(|(column, value)| column.append_option(value));
        collector.append_value(micros(failure.collector_ms));
        offset.append_value(item.addr.offset.0);
        index.append_value(item.addr.index);
    }
    let (offset, index) = (offset.finish(), index.finish());
    let load = TimestampMicrosecondArray::from_value(micros(load_ms), offset.len());
    let mut arrays: Vec<ArrayRef> = vec![Arc::new(load), Arc::new(collector.finish())];
    arrays.extend(text.iter_mut().map(|column| Arc::new(column.finish()) as ArrayRef));
    // The bad row itself is the last text and the last column.
    arrays.insert(arrays.len() - 1, Arc::new(offset));
    arrays.insert(arrays.len() - 1, Arc::new(index));
    Ok(RecordBatch::try_new(BAD_SCHEMA.clone(), arrays)?)
}

fn time_field(name: &str) -> Field {
    Field::new(name, DataType::Timestamp(TimeUnit::Microsecond, None), true)
}

fn micros(ms: Millis) -> i64 {
    ms.saturating_mul(1000)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::batch::testing::{self, chunk};
    use ::parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
    use ::parquet::basic::LogicalType;
    use std::fs::File;

    #[test]
    fn a_file_is_sorted_numbered_and_always_the_same() {
        let dir = tempfile::tempdir().unwrap();
        let chunks = [chunk(0, 0..700, 1), chunk(0, 700..1500, 2)];
        let parts: Vec<Arc<Rows>> = chunks.iter().map(|c| c.rows.clone()).collect();
        let dynamic: Vec<(String, i32)> = (1001..).zip(dynamic_names(&parts)).map(|(i, n)| (n.to_owned(), i)).collect();
        let write = |name: &str| write_events(&dir.path().join(name), &parts, 1_764_000_000_123, &dynamic, 1).unwrap();
        let (a, b) = (write("a"), write("b"));
        assert_eq!(a, b);
        let total: usize = parts.iter().map(|p| p.len()).sum();
        assert_eq!(a.rows, total as u64);
        assert_eq!(a.bytes, std::fs::metadata(dir.path().join("a")).unwrap().len());

        let reader = ParquetRecordBatchReaderBuilder::try_new(File::open(dir.path().join("a")).unwrap()).unwrap();
        let schema = reader.parquet_schema().root_schema().get_fields().to_vec();
        let id = |name: &str| schema.iter().find(|f| f.name() == name).map(|f| f.get_basic_info().id());
        assert_eq!((id("app_id"), id("true_tstamp"), id("load_tstamp")), (Some(1), Some(128), Some(129)));
        let web_page = schema.iter().find(|f| f.name() == testing::WEB_PAGE).unwrap();
        assert_eq!(web_page.get_basic_info().logical_type_ref(), Some(&LogicalType::Json));
        assert!(web_page.get_basic_info().id() >= FIRST_DYNAMIC_ID);
        let mut rows = Vec::new();
        for batch in reader.build().unwrap() {
            let batch = batch.unwrap();
            assert_eq!(batch.num_columns(), 129 + dynamic.len());
            let text = |n: &str| batch.column_by_name(n).unwrap().as_string::<i32>().clone();
            let time = |n: &str| batch.column_by_name(n).unwrap().as_primitive::<TimestampMicrosecondType>().clone();
            let (names, ids, at, load) =
                (text("event_name"), text("event_id"), time("collector_tstamp"), time("load_tstamp"));
            for i in 0..batch.num_rows() {
                assert_eq!(load.value(i), 1_764_000_000_123_000);
                rows.push((names.value(i).to_owned(), at.value(i), ids.value(i).to_owned()));
            }
        }
        assert!(rows.is_sorted_by(|a, b| (&a.0, a.1) <= (&b.0, b.1)));
        rows.sort_by(|a, b| a.2.cmp(&b.2));
        rows.dedup_by(|a, b| a.2 == b.2);
        assert_eq!(rows.len(), total);
    }

    #[test]
    fn bad_rows_keep_their_address_and_cause() {
        let dir = tempfile::tempdir().unwrap();
        let chunks = [chunk(0, 0..100, 1)];
        let written = write_bad_rows(&dir.path().join("bad"), chunks.iter().map(|c| c.items.as_slice()), 5, 1).unwrap();
        assert_eq!(written.rows, chunks[0].tally.failed);
        assert!(written.rows > 0);
        let file = File::open(dir.path().join("bad")).unwrap();
        let batch = ParquetRecordBatchReaderBuilder::try_new(file).unwrap().build().unwrap().next().unwrap().unwrap();
        let offsets = batch.column_by_name("journal_offset").unwrap();
        let offsets = offsets.as_primitive::<arrow::datatypes::UInt64Type>();
        let failed = chunks[0].items.iter().find(|i| matches!(i.outcome, Outcome::Failed(_))).unwrap();
        assert_eq!(offsets.value(0), failed.addr.offset.0);
        let kind = batch.column_by_name("kind").unwrap();
        assert_eq!(kind.as_string::<i32>().value(0), "schema_violations");
    }
}
