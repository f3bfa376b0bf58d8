//! What the warehouse has written down about micro-batches, and small questions of our own to its tables.

use super::api::Api;
use super::error::{ApiError, ApiResult};
use super::merge::Seam;
use super::sql::{Ints, write_json};
use crate::batch::warehouse::{SqlColumn, SqlParam, SqlRequest, SqlSink};
use crate::event::Offset;
use crate::speed::Memory;
use arrow::array::RecordBatch;
use serde_json::{Map, Value, json};

/// Largest answer to a question of ours.
const MAX_BYTES: u64 = 64 << 20;

/// Rows as JSON objects.
#[derive(Default)]
struct Rows {
    names: Vec<String>,
    rows: Vec<Map<String, Value>>,
    problem: Option<String>,
}

impl SqlSink for Rows {
    fn columns(&mut self, columns: &[SqlColumn]) -> bool {
        self.names = columns.iter().map(|c| c.name.clone()).collect();
        true
    }

    fn rows(&mut self, batch: RecordBatch) -> bool {
        for row in 0..batch.num_rows() {
            let mut object = Map::new();
            for (name, column) in self.names.iter().zip(batch.columns()) {
                let mut text = String::new();
                write_json(column.as_ref(), row, Ints::Number, &mut text);
                match serde_json::from_str(&text) {
                    Ok(value) => object.insert(name.clone(), value),
                    Err(e) => {
                        self.problem = Some(format!("column {name}: {e}"));
                        return false;
                    }
                };
            }
            self.rows.push(object);
        }
        true
    }
}

/// Runs a SELECT of ours over committed tables and, where `memory` is given, over what is in memory and in staged files.
///
/// # Errors
/// As [`Seam::sql`].
pub fn select(
    api: &Api,
    seam: &mut Seam,
    memory: Option<&Memory>,
    sql: &str,
    params: Vec<SqlParam>,
    max_rows: u64,
) -> ApiResult<Vec<Map<String, Value>>> {
    let timeout = api.config.view_timeout.to_duration();
    let request = SqlRequest { sql: sql.to_owned(), params, max_rows, max_bytes: MAX_BYTES, timeout };
    let mut sink = Rows::default();
    match memory {
        Some(memory) => seam.sql(&request, memory, &mut sink)?,
        None => seam.committed_sql(&request, &mut sink)?,
    };
    match sink.problem {
        Some(problem) => Err(ApiError::internal(problem)),
        None => Ok(sink.rows),
    }
}

const BATCH: &str = "SELECT from_offset, to_offset, event_rows, journal_bytes, first_received, last_received, sealed_at, \
                     staged_at, uploaded_at, committed_at, load_tstamp, files::VARCHAR AS files, config_hash, version \
                     FROM snowshed.batches";

/// The last committed micro-batches, newest first, in the form of [`super::facts::batch`].
///
/// # Errors
/// As [`select`].
pub fn batches(api: &Api, seam: &mut Seam, most: usize) -> ApiResult<Vec<Value>> {
    let sql = format!("{BATCH} ORDER BY from_offset DESC LIMIT {most}");
    Ok(select(api, seam, None, &sql, Vec::new(), most as u64)?.into_iter().map(shape).collect())
}

/// The committed micro-batch that holds an offset.
///
/// # Errors
/// As [`select`].
pub fn batch_of(api: &Api, seam: &mut Seam, offset: Offset) -> ApiResult<Option<Value>> {
    let at = offset.0;
    let sql = format!("{BATCH} WHERE from_offset <= {at} AND {at} < to_offset LIMIT 1");
    Ok(select(api, seam, None, &sql, Vec::new(), 1)?.into_iter().next().map(shape))
}

fn shape(mut row: Map<String, Value>) -> Value {
    let mut take = |name: &str| row.remove(name).unwrap_or(Value::Null);
    let files = take("files");
    let files = files.as_str().and_then(|text| serde_json::from_str::<Value>(text).ok()).unwrap_or(Value::Null);
    json!({
        "from": take("from_offset"), "to": take("to_offset"), "state": "committed", "rows": take("event_rows"),
        "bytes": take("journal_bytes"),
        "times": {
            "first": take("first_received"), "last": take("last_received"), "sealed": take("sealed_at"),
            "written": take("staged_at"), "uploaded": take("uploaded_at"), "committed": take("committed_at"),
            "loaded": take("load_tstamp"),
        },
        "files": files, "config_hash": take("config_hash"), "version": take("version"),
    })
}
