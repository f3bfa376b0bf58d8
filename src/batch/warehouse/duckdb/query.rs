//! What is asked inside a snapshot.

use super::guard;
use super::layout;
use super::tail::{self, Registered};
use crate::batch::error::ReadError;
use crate::batch::tables::LOAD_TSTAMP;
use crate::batch::warehouse::{SqlColumn, SqlDone, SqlParam, SqlRequest, SqlSink, SqlTail};
use crate::event::Tally;
use crate::event::rows::{ATOMIC_SCHEMA, Rows};
use crate::platform::owned::OwnedFile;
use arrow::array::{Array, RecordBatch};
use arrow::datatypes::DataType;
use duckdb::types::Value;
use duckdb::{Connection, params_from_iter};
use std::sync::Arc;
use std::time::Instant;

/// Why there is no answer.
#[derive(Debug)]
pub(super) enum Failed {
    Read(ReadError),
    Duck(duckdb::Error),
}

impl From<duckdb::Error> for Failed {
    fn from(e: duckdb::Error) -> Self {
        Failed::Duck(e)
    }
}

impl From<ReadError> for Failed {
    fn from(e: ReadError) -> Self {
        Failed::Read(e)
    }
}

pub(super) fn tally(con: &Connection) -> duckdb::Result<Tally> {
    con.query_row(
        "SELECT coalesce(sum(payload_events), 0)::UBIGINT, coalesce(sum(enriched), 0)::UBIGINT,
         coalesce(sum(failed), 0)::UBIGINT, coalesce(sum(duplicates), 0)::UBIGINT, coalesce(sum(dropped), 0)::UBIGINT,
         coalesce(sum(repaired), 0)::UBIGINT
         FROM snowshed.batches",
        [],
        |row| {
            Ok(Tally {
                payload_events: row.get(0)?,
                enriched: row.get(1)?,
                failed: row.get(2)?,
                duplicates: row.get(3)?,
                dropped: row.get(4)?,
                repaired: row.get(5)?,
            })
        },
    )
}

pub(super) fn dynamic_columns(con: &Connection) -> duckdb::Result<Vec<String>> {
    let mut read = con.prepare("SELECT name FROM snowshed.columns ORDER BY field_id")?;
    let names = read.query_map([], |row| row.get(0))?;
    names.collect()
}

/// All rows of a statement of ours.
pub(super) fn batches(con: &Connection, sql: &str) -> Result<Vec<RecordBatch>, Failed> {
    let mut statement = con.prepare(sql)?;
    statement.execute([])?;
    let mut out = Vec::new();
    while let Some(piece) = statement.step()? {
        out.push(RecordBatch::from(&piece));
    }
    Ok(out)
}

/// A user's statement; see [`crate::batch::warehouse::Snapshot::sql`].
pub(super) fn user_sql(
    con: &Connection,
    request: &SqlRequest,
    tail: &SqlTail,
    sink: &mut dyn SqlSink,
) -> Result<SqlDone, Failed> {
    let checked = guard::check(con, &request.sql)?;
    // Alive until the answer is sent: the views read what they registered.
    let mut registered = Vec::new();
    let wanted = |table: &str| checked.shows || checked.tables.contains(table);
    for (table, rows, files) in
        [("events", &tail.events, &tail.event_files), ("events_failed", &tail.failed, &tail.failed_files)]
    {
        if wanted(table) {
            registered.push(unite(con, table, rows, files)?);
        }
    }
    if wanted(layout::STORED_BAD_ROWS) {
        con.execute_batch(&stored_bad_rows(&tail.bad_row_files))?;
    }
    if checked.shows {
        return send(con, &request.sql, None, request, sink);
    }
    let columns = describe(con, request)?;
    if !columns.iter().any(|c| leaves_as(&c.kind).is_some()) {
        return send(con, &request.sql, Some(columns), request, sink);
    }
    let sql = request.sql.trim_end_matches(|c: char| c.is_whitespace() || c == ';');
    let wrapped = readable(&columns, sql);
    let sql = match con.prepare(&wrapped) {
        Ok(_) => wrapped,
        // A comment or a semicolon in the wrong place: ask the parser for the bare statement.
        Err(_) => {
            let bare: String =
                con.query_row("SELECT json_deserialize_sql(?::JSON)", [&checked.tree], |row| row.get(0))?;
            readable(&columns, &bare)
        }
    };
    let columns =
        columns.into_iter().map(|c| if is_variant(&c.kind) { SqlColumn { kind: "JSON".to_owned(), ..c } } else { c });
    send(con, &sql, Some(columns.collect()), request, sink)
}

/// Makes the view that unites a committed table with rows in memory and rows in staged files.
fn unite(con: &Connection, table: &str, rows: &[Arc<Rows>], files: &[Arc<OwnedFile>]) -> duckdb::Result<Registered> {
    let rows = tail::register(rows);
    let mut sql = format!(
        "CREATE OR REPLACE TEMP VIEW {table} AS SELECT * FROM atomic.{table} UNION ALL BY NAME SELECT {} FROM {}({}::UBIGINT)",
        shown(rows.dynamic()),
        tail::NAME,
        rows.number
    );
    if !files.is_empty() {
        let stored = parquet(files);
        let columns = columns_of(con, &stored)?;
        let dynamic = columns.iter().skip(ATOMIC_SCHEMA.fields().len()).map(String::as_str);
        // When a row was loaded is written in its file, but it is not loaded yet.
        let dynamic = dynamic.filter(|c| *c != LOAD_TSTAMP);
        sql.push_str(&format!(" UNION ALL BY NAME SELECT {} FROM {stored}", shown(dynamic)));
    }
    con.execute_batch(&sql)?;
    Ok(rows)
}

/// The atomic columns as they are, self-describing ones as VARIANT.
fn shown<'a>(dynamic: impl Iterator<Item = &'a str>) -> String {
    let mut columns: Vec<String> = ATOMIC_SCHEMA.fields().iter().map(|f| super::instance::name(f.name())).collect();
    columns.extend(dynamic.map(|c| format!("{} AS {}", layout::variant_of(c), super::instance::name(c))));
    columns.join(", ")
}

/// Makes the view of the bad rows that are committed or in staged files.
fn stored_bad_rows(files: &[Arc<OwnedFile>]) -> String {
    let mut sql = format!("CREATE OR REPLACE TEMP VIEW {} AS SELECT * FROM atomic.bad_rows", layout::STORED_BAD_ROWS);
    if !files.is_empty() {
        sql.push_str(&format!(" UNION ALL BY NAME SELECT * FROM {}", parquet(files)));
    }
    sql
}

/// Staged files as a table; a column that some of them lack is null there.
fn parquet(files: &[Arc<OwnedFile>]) -> String {
    let names: Vec<String> = files.iter().map(|f| super::instance::quoted(&f.to_string_lossy())).collect();
    format!("read_parquet([{}], union_by_name = true)", names.join(", "))
}

fn columns_of(con: &Connection, table: &str) -> duckdb::Result<Vec<String>> {
    let mut statement = con.prepare(&format!("DESCRIBE FROM {table}"))?;
    let names = statement.query_map([], |row| row.get(0))?;
    names.collect()
}

fn is_variant(kind: &str) -> bool {
    kind.contains("VARIANT")
}

/// The type as which a column of this type leaves DuckDB, where that is another: VARIANT, also inside others, has no Arrow
/// form, and UHUGEINT has one with a sign.
fn leaves_as(kind: &str) -> Option<&'static str> {
    match kind {
        _ if is_variant(kind) => Some("JSON"),
        "UHUGEINT" => Some("VARCHAR"),
        _ => None,
    }
}

/// The statement with those of its columns cast that leave DuckDB as another type.
fn readable(columns: &[SqlColumn], sql: &str) -> String {
    let inner: Vec<String> = (0..columns.len()).map(|i| format!("c{i}")).collect();
    let outer: Vec<String> = columns
        .iter()
        .enumerate()
        .map(|(i, c)| {
            let cast = leaves_as(&c.kind).map(|kind| format!("::{kind}")).unwrap_or_default();
            format!("c{i}{cast} AS {}", super::instance::name(&c.name))
        })
        .collect();
    format!("SELECT {} FROM (\n{sql}\n) AS q({})", outer.join(", "), inner.join(", "))
}

fn describe(con: &Connection, request: &SqlRequest) -> Result<Vec<SqlColumn>, Failed> {
    // What is wrong with the statement is said in terms of the statement.
    let described = con.prepare(&format!("DESCRIBE {}", request.sql));
    let mut statement = described.or_else(|e| con.prepare(&request.sql).and(Err(e)))?;
    let rows = statement
        .query_map(params_from_iter(values(request)), |row| Ok(SqlColumn { name: row.get(0)?, kind: row.get(1)? }))?;
    Ok(rows.collect::<duckdb::Result<_>>()?)
}

fn values(request: &SqlRequest) -> Vec<Value> {
    let value = |p: &SqlParam| match p {
        SqlParam::Null => Value::Null,
        SqlParam::Bool(v) => Value::Boolean(*v),
        SqlParam::Int(v) => Value::BigInt(*v),
        SqlParam::Large(v) => Value::UBigInt(*v),
        SqlParam::Float(v) => Value::Double(*v),
        SqlParam::Text(v) => Value::Text(v.clone()),
    };
    request.params.iter().map(value).collect()
}

fn send(
    con: &Connection,
    sql: &str,
    columns: Option<Vec<SqlColumn>>,
    request: &SqlRequest,
    sink: &mut dyn SqlSink,
) -> Result<SqlDone, Failed> {
    let end = Instant::now() + request.timeout;
    let mut done = SqlDone { rows: 0, truncated: false };
    let mut statement = con.prepare(sql)?;
    // The iterator would panic where `step` gives an error.
    drop(statement.stream_arrow(params_from_iter(values(request)))?);
    let columns = columns.unwrap_or_else(|| arrow_columns(&statement));
    if !sink.columns(&columns) {
        return Ok(done);
    }
    let mut bytes = 0u64;
    while let Some(piece) = statement.step()? {
        let mut rows = RecordBatch::from(&piece);
        bytes += rows.columns().iter().map(|c| c.to_data().get_slice_memory_size().unwrap_or(0) as u64).sum::<u64>();
        let room = usize::try_from(request.max_rows - done.rows).unwrap_or(usize::MAX);
        if rows.num_rows() > room {
            rows = rows.slice(0, room);
            done.truncated = true;
        }
        done.rows += rows.num_rows() as u64;
        if rows.num_rows() > 0 && !sink.rows(rows) {
            break;
        }
        if bytes > request.max_bytes {
            done.truncated = true;
        }
        if done.truncated {
            break;
        }
        if Instant::now() >= end {
            return Err(ReadError::Timeout(request.timeout.as_millis() as u64).into());
        }
    }
    Ok(done)
}

fn arrow_columns(statement: &duckdb::Statement<'_>) -> Vec<SqlColumn> {
    let kind = |t: &DataType| match t {
        DataType::Utf8 => "VARCHAR".to_owned(),
        DataType::Boolean => "BOOLEAN".to_owned(),
        DataType::Int32 => "INTEGER".to_owned(),
        DataType::Int64 => "BIGINT".to_owned(),
        DataType::Float64 => "DOUBLE".to_owned(),
        DataType::Decimal128(p, s) => format!("DECIMAL({p},{s})"),
        DataType::List(_) => "LIST".to_owned(),
        other => other.to_string().to_uppercase(),
    };
    let schema = statement.schema();
    schema.fields().iter().map(|f| SqlColumn { name: f.name().clone(), kind: kind(f.data_type()) }).collect()
}
