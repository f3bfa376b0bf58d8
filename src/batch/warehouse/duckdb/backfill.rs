//! View tables at the start: made, kept, or made again from the rows of `atomic.events`.
//!
//! A view that is new, or whose definition changed, must answer for all of history, or batch and speed would disagree with
//! a fold over the journal. Its table is filled from the committed events, micro-batch by micro-batch (each has a load time
//! of its own), by the same fold that the pipeline uses. One difference remains: groups beyond `max_groups` of one micro-batch
//! are cut in the order of the table, not of arrival.

use super::instance::{Conn, Database, name, quoted};
use super::layout;
use super::query;
use super::views;
use crate::batch::error::StartError;
use crate::batch::tables::LOAD_TSTAMP;
use crate::event::columns::index_of;
use crate::event::{BatchId, Offset, OffsetRange};
use crate::platform::clock::Millis;
use crate::view::{Fold, View};
use ahash::AHashMap;
use arrow::array::{AsArray, RecordBatch};
use arrow::datatypes::TimestampMicrosecondType;
use sha2::{Digest, Sha256};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How often a long fill says how far it is.
const REPORT_EVERY: Duration = Duration::from_secs(5);

/// Brings the view tables in line with the configuration.
pub(super) fn prepare(database: &Database, views: &[Arc<View>], now: Millis) -> Result<(), StartError> {
    let warehouse = |e: duckdb::Error| StartError::Warehouse(e.to_string());
    let con = database.connect().map_err(StartError::Warehouse)?;
    let known: AHashMap<String, String> = {
        let mut read = con.prepare("SELECT name, hash FROM snowshed.views").map_err(warehouse)?;
        let rows = read.query_map([], |row| Ok((row.get(0)?, row.get(1)?))).map_err(warehouse)?;
        rows.collect::<duckdb::Result<_>>().map_err(warehouse)?
    };
    for gone in known.keys().filter(|name| !views.iter().any(|v| v.name() == *name)) {
        tracing::warn!(view = %gone, "the view is no longer configured; its table stays as it is and is not kept up to date");
        con.execute("DELETE FROM snowshed.views WHERE name = ?", [gone]).map_err(warehouse)?;
    }
    for view in views {
        let (definition, hash) = definition(view)?;
        if known.get(view.name()) == Some(&hash) {
            continue;
        }
        if known.contains_key(view.name()) {
            tracing::warn!(
                view = view.name(),
                "the view's definition changed; its table is made again from atomic.events"
            );
        }
        let made = con.execute_batch("BEGIN").map_err(warehouse).and_then(|()| {
            make(&con, view, &definition, &hash, now).map_err(warehouse)?;
            fill(database, &con, view)?;
            con.execute_batch("COMMIT").map_err(warehouse)
        });
        if let Err(e) = made {
            // The error that is reported is the one that led here.
            let _ = con.execute_batch("ROLLBACK");
            return Err(e);
        }
    }
    Ok(())
}

/// What of a definition decides about the stored rows, as JSON, and its hash.
fn definition(view: &View) -> Result<(String, String), StartError> {
    let mut def = view.def().clone();
    def.windows.clear();
    def.publish = None;
    let problem = |e: serde_json::Error| StartError::View { view: view.name().to_owned(), problem: e.to_string() };
    let text = serde_json::to_string(&def).map_err(problem)?;
    // How many groups one micro-batch may have bounds what is stored but does not change its meaning.
    def.max_groups = 0;
    let hash = Sha256::digest(serde_json::to_string(&def).map_err(problem)?);
    Ok((text, hash.iter().map(|b| format!("{b:02x}")).collect()))
}

fn make(con: &Conn, view: &View, definition: &str, hash: &str, now: Millis) -> duckdb::Result<()> {
    let (table, quoted_name) = (views::table(view), quoted(view.name()));
    con.execute_batch(&format!(
        "DROP TABLE IF EXISTS {table}; {};
         DELETE FROM snowshed.deltas WHERE view = {quoted_name};
         DELETE FROM snowshed.views WHERE name = {quoted_name};
         INSERT INTO snowshed.views VALUES ({quoted_name}, {}, {}, epoch_ms({now}))",
        layout::view_table(&table, &view.storage_schema()),
        quoted(definition),
        quoted(hash),
    ))
}

/// Folds the committed events into the table.
fn fill(database: &Database, con: &Conn, view: &Arc<View>) -> Result<(), StartError> {
    let warehouse = |e: duckdb::Error| StartError::Warehouse(e.to_string());
    let wrong = |e: crate::view::ViewError| StartError::View { view: view.name().to_owned(), problem: e.to_string() };
    let batches = batches(con).map_err(warehouse)?;
    if batches.is_empty() {
        return Ok(());
    }
    // Another connection reads: the one that writes cannot have an open result.
    let source = database.connect().map_err(StartError::Warehouse)?;
    let sql = source_sql(&source, view).map_err(warehouse)?;
    let mut read = source.prepare(&sql).map_err(warehouse)?;
    drop(read.stream_arrow([]).map_err(warehouse)?);
    let mut open: Option<(i64, Fold)> = None;
    let (mut rows, mut reported) = (0usize, Instant::now());
    while let Some(piece) = read.step().map_err(warehouse)? {
        let piece = RecordBatch::from(&piece);
        for (load, part) in by_load(&piece) {
            if open.as_ref().is_none_or(|(at, _)| *at != load) {
                write(con, view, &batches, open.take()).map_err(|e| e.start(view))?;
            }
            let (_, fold) = open.get_or_insert_with(|| (load, Fold::new(view.clone())));
            fold.add_batch(&part).map_err(wrong)?;
        }
        rows += piece.num_rows();
        if reported.elapsed() >= REPORT_EVERY {
            reported = Instant::now();
            tracing::info!(view = view.name(), rows, "filling the view's table from atomic.events");
        }
    }
    write(con, view, &batches, open.take()).map_err(|e| e.start(view))
}

impl views::FoldError {
    fn start(self, view: &View) -> StartError {
        match self {
            views::FoldError::Duck(e) => StartError::Warehouse(e.to_string()),
            views::FoldError::View(e) => StartError::View { view: view.name().to_owned(), problem: e.to_string() },
        }
    }
}

fn write(
    con: &Conn,
    view: &Arc<View>,
    batches: &AHashMap<i64, BatchId>,
    done: Option<(i64, Fold)>,
) -> Result<(), views::FoldError> {
    let Some((load, fold)) = done else { return Ok(()) };
    // Every load time in the table is that of a committed micro-batch.
    let id = batches.get(&load).copied().unwrap_or_default();
    views::append(con, id, view, &fold.to_record_batch()?)?;
    Ok(())
}

fn batches(con: &Conn) -> duckdb::Result<AHashMap<i64, BatchId>> {
    let mut read = con.prepare("SELECT epoch_us(load_tstamp), from_offset, to_offset FROM snowshed.batches")?;
    let rows =
        read.query_map([], |row| Ok((row.get(0)?, OffsetRange::new(Offset(row.get(1)?), Offset(row.get(2)?)))))?;
    rows.collect()
}

fn source_sql(con: &Conn, view: &View) -> duckdb::Result<String> {
    let dynamic = query::dynamic_columns(con)?;
    let columns: Vec<String> = view
        .columns()
        .into_iter()
        .filter_map(|column| {
            let quoted = name(column);
            match index_of(column) {
                Some(_) => Some(quoted),
                None if dynamic.iter().any(|d| d == column) => Some(format!("{quoted}::VARCHAR AS {quoted}")),
                None => None,
            }
        })
        .collect();
    Ok(format!("SELECT {LOAD_TSTAMP}, {} FROM {}", columns.join(", "), layout::EVENTS))
}

/// Cuts a batch where the load time changes.
fn by_load(batch: &RecordBatch) -> Vec<(i64, RecordBatch)> {
    let Some(load) = batch.column(0).as_primitive_opt::<TimestampMicrosecondType>() else { return Vec::new() };
    let mut parts = Vec::new();
    let mut first = 0;
    for row in 1..=batch.num_rows() {
        if row == batch.num_rows() || load.value(row) != load.value(first) {
            parts.push((load.value(first), batch.slice(first, row - first)));
            first = row;
        }
    }
    parts
}
