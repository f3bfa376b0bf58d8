//! One micro-batch, one transaction.
//!
//! Rows come from the Parquet files that the lake gets, so that lake and warehouse cannot differ. Everything that the
//! micro-batch changes is in the transaction: new columns, rows, bad rows, view deltas, the boundary, the audit row. The
//! boundary is moved by an UPDATE that must find it where the micro-batch begins.

use super::instance::{Conn, Database, Park, name, quoted};
use super::layout;
use super::query;
use super::views;
use crate::batch::error::CommitError;
use crate::batch::fields::FieldId;
use crate::batch::lake::Table;
use crate::batch::tables::{BAD_SCHEMA, event_schema};
use crate::batch::warehouse::{CommitOutcome, Delta, Load, LocalFile, Warehouse};
use crate::event::{BatchId, Boundary, Offset, columns};
use crate::platform::arrow_file;
use crate::platform::clock::{Clock, Millis};
use crate::platform::failpoint::fail_point;
use crate::view::View;
use arrow::error::ArrowError;
use parking_lot::Mutex;
use std::sync::Arc;

/// The writer.
pub(super) struct DuckWriter {
    pub(super) database: Arc<Database>,
    pub(super) clock: Clock,
    pub(super) config_hash: String,
    pub(super) views: Vec<Arc<View>>,
    pub(super) fold_after: u32,
    /// Semi-structured columns that the tables have, in their order.
    pub(super) known: Vec<String>,
    pub(super) slot: Arc<Slot>,
}

/// The writing connection while it is not in use.
#[derive(Default)]
pub(super) struct Slot(Mutex<Option<Conn>>);

impl Park for Slot {
    fn drop_broken(&self) {
        let mut con = self.0.lock();
        if con.as_ref().is_some_and(|c| c.instance.is_broken()) {
            *con = None;
        }
    }
}

impl DuckWriter {
    /// Runs `work` on the writing connection.
    fn with_connection<T>(
        &mut self,
        work: impl FnOnce(&mut Self, &Conn) -> Result<T, CommitError>,
    ) -> Result<T, CommitError> {
        self.slot.drop_broken();
        let parked = self.slot.0.lock().take();
        let con = match parked {
            Some(con) => con,
            None => self.database.connect().map_err(CommitError::Failed)?,
        };
        let done = work(self, &con);
        *self.slot.0.lock() = Some(con);
        self.slot.drop_broken();
        done
    }

    /// Runs `work` in a transaction.
    fn transaction<T>(
        &mut self,
        work: impl FnOnce(&mut Self, &Conn) -> Result<T, CommitError>,
    ) -> Result<T, CommitError> {
        self.with_connection(|writer, con| {
            con.execute_batch("BEGIN").map_err(|e| failed(writer, con, e))?;
            let done = work(writer, con).and_then(|value| {
                fail_point("batch::in_transaction");
                con.execute_batch("COMMIT").map_err(|e| failed(writer, con, e))?;
                Ok(value)
            });
            if done.is_err() {
                // After some errors there is no transaction any more; then this fails and changes nothing.
                let _ = con.execute_batch("ROLLBACK");
            }
            done
        })
    }

    /// Folds a write-ahead log that has grown too long into the file. DuckDB tries that by itself after a commit, but gives
    /// up as long as any reader stands before a changed column or a deleted row, and with many readers one always does. The
    /// forced one waits for those that read now, at most `warehouse.max_snapshot`, and lets new ones in.
    fn checkpoint(&mut self) -> Result<(), CommitError> {
        let settings = self.database.settings();
        let log = settings.path.with_added_extension("wal");
        if std::fs::metadata(&log).is_ok_and(|m| m.len() > 2 * settings.config.checkpoint_at.0) {
            return self.with_connection(|writer, con| {
                con.execute_batch(layout::FORCE_CHECKPOINT).map_err(|e| failed(writer, con, e))
            });
        }
        Ok(())
    }

    fn load(&mut self, con: &Conn, load: &Load) -> Result<(CommitOutcome, Vec<String>), CommitError> {
        let stored = boundary(con).map_err(|e| failed(self, con, e))?;
        if stored.offset >= load.id.to {
            // An earlier try got through although its answer was an error; so did its columns.
            self.known = query::dynamic_columns(con).map_err(|e| failed(self, con, e))?;
            return Ok((CommitOutcome { boundary: stored, was_new: false }, Vec::new()));
        }
        if stored.offset != load.id.from {
            return Err(CommitError::Gap { stored: stored.offset, id: load.id });
        }
        let now = self.clock.now_ms();
        let new = self.add_columns(con, load, now)?;
        for file in &load.files {
            con.execute_batch(&insert(file)).map_err(|e| failed(self, con, e))?;
        }
        super::repairs::mark(con, &load.repairs, now).map_err(|e| failed(self, con, e))?;
        for delta in &load.deltas {
            self.append(con, load.id, delta)?;
        }
        let moved = con
            .execute(
                "UPDATE snowshed.boundary SET next_offset = ?, committed_at = epoch_ms(?) WHERE shard = 0 AND next_offset = ?",
                duckdb::params![load.id.to.0, now, load.id.from.0],
            )
            .map_err(|e| failed(self, con, e))?;
        if moved != 1 {
            return Err(CommitError::Failed(format!("the boundary was moved in {moved} rows instead of one")));
        }
        con.execute_batch(&self.audit(load, now, &new)?).map_err(|e| failed(self, con, e))?;
        let boundary = Boundary { offset: load.id.to, time_ms: now };
        Ok((CommitOutcome { boundary, was_new: true }, new))
    }

    /// Adds what a view gained; one view at a time is in memory.
    fn append(&self, con: &Conn, id: BatchId, delta: &Delta) -> Result<(), CommitError> {
        let unread = |e: ArrowError| {
            let (path, view) = (delta.file.display(), delta.view.name());
            CommitError::Failed(format!(
                "{path}: what view \"{view}\" gained cannot be read: {e}; a restart makes the file again from the journal"
            ))
        };
        for groups in arrow_file::read(&delta.file).map_err(unread)? {
            views::append(con, id, &delta.view, &groups.map_err(unread)?).map_err(|e| failed(self, con, e))?;
        }
        Ok(())
    }

    fn add_columns(&self, con: &Conn, load: &Load, now: Millis) -> Result<Vec<String>, CommitError> {
        let mut new: Vec<&FieldId> =
            load.files.iter().flat_map(|f| &f.columns).filter(|c| !self.known.contains(&c.name)).collect();
        new.sort_by_key(|f| f.id);
        new.dedup_by_key(|f| f.id);
        for field in &new {
            let sql = format!(
                "{} INSERT INTO snowshed.columns VALUES ({}, {}, {}, epoch_ms({now}))",
                layout::add_column(&field.name),
                quoted(&field.name),
                field.id,
                load.id.from,
            );
            con.execute_batch(&sql).map_err(|e| failed(self, con, e))?;
        }
        let new: Vec<String> = new.into_iter().map(|f| f.name.clone()).collect();
        if !new.is_empty() {
            let all = [self.known.as_slice(), new.as_slice()].concat();
            con.execute_batch(&layout::event_views(&all)).map_err(|e| failed(self, con, e))?;
        }
        Ok(new)
    }

    fn audit(&self, load: &Load, now: Millis, new: &[String]) -> Result<String, CommitError> {
        let files: Vec<_> = load.files.iter().map(|f| &f.lake).collect();
        let files = serde_json::to_string(&files).map_err(|e| CommitError::Failed(e.to_string()))?;
        let rows = |table| load.files.iter().filter(|f| f.lake.table == table).map(|f| f.lake.rows).sum::<u64>();
        let t = &load.tally;
        let new: Vec<String> = new.iter().map(|n| quoted(n)).collect();
        Ok(format!(
            "INSERT INTO snowshed.batches VALUES (0, {from}, {to}, {load_at}, {}, {}, {}, {}, {}, {}, {}, {}, {}, {}, {}, {}, \
             {}, {}, {}, {}, {}, [{}], {}, {}, {repaired})",
            t.payload_events,
            t.enriched,
            t.failed,
            t.duplicates,
            t.dropped,
            rows(Table::Events),
            rows(Table::Failed),
            rows(Table::Bad),
            load.unfit,
            load.journal_bytes,
            time(load.received_ms.0),
            time(load.received_ms.1),
            time(load.steps.sealed_ms),
            time(load.steps.staged_ms),
            time(load.steps.uploaded_ms),
            time(now),
            quoted(&files),
            new.join(", "),
            quoted(&self.config_hash),
            quoted(env!("CARGO_PKG_VERSION")),
            repaired = t.repaired,
            from = load.id.from,
            to = load.id.to,
            load_at = time(load.load_ms),
        ))
    }
}

impl Warehouse for DuckWriter {
    fn commit(&mut self, load: &Load) -> Result<CommitOutcome, CommitError> {
        let (outcome, new) = self.transaction(|writer, con| writer.load(con, load))?;
        self.known.extend(new);
        Ok(outcome)
    }

    fn maintain(&mut self) -> Result<bool, CommitError> {
        for view in self.views.clone() {
            let fold_after = self.fold_after;
            let folded = self.transaction(|writer, con| {
                views::fold(con, &view, fold_after).map_err(|e| match e {
                    views::FoldError::Duck(e) => failed(writer, con, e),
                    views::FoldError::View(e) => CommitError::Failed(e.to_string()),
                })
            })?;
            if folded {
                return Ok(true);
            }
        }
        self.checkpoint()?;
        Ok(false)
    }
}

fn failed(writer: &DuckWriter, con: &Conn, error: duckdb::Error) -> CommitError {
    CommitError::Failed(writer.database.failed(&con.instance, &error))
}

/// The boundary that a connection sees.
pub(super) fn boundary(con: &duckdb::Connection) -> duckdb::Result<Boundary> {
    con.query_row(
        "SELECT next_offset, coalesce(epoch_ms(committed_at), 0) FROM snowshed.boundary WHERE shard = 0",
        [],
        |row| Ok(Boundary { offset: Offset(row.get(0)?), time_ms: row.get(1)? }),
    )
}

fn time(ms: Millis) -> String {
    if ms == 0 { "NULL".to_owned() } else { format!("epoch_ms({ms})") }
}

fn insert(file: &LocalFile) -> String {
    let strict = file.lake.table == Table::Events;
    let (table, schema) = match file.lake.table {
        Table::Events => (layout::EVENTS, None),
        Table::Failed => (layout::EVENTS_FAILED, None),
        Table::Bad => ("atomic.bad_rows", Some(BAD_SCHEMA.clone())),
    };
    let dynamic: Vec<(String, i32)> = file.columns.iter().map(|c| (c.name.clone(), c.id)).collect();
    let schema = schema.unwrap_or_else(|| event_schema(&dynamic));
    let required: Vec<&str> = layout::REQUIRED.iter().map(|&c| columns::COLUMNS[c].name).collect();
    let mut names = Vec::new();
    let mut values = Vec::new();
    for field in schema.fields() {
        let column = name(field.name());
        values.push(match field.name().as_str() {
            // Enrichment never leaves these out; if it ever did, one event must not stop all commits.
            "collector_tstamp" if strict => format!("coalesce({column}, epoch_ms(0))"),
            n if strict && required.contains(&n) => format!("coalesce({column}, '')"),
            _ => column.clone(),
        });
        names.push(column);
    }
    let path = quoted(&file.path.to_string_lossy());
    format!("INSERT INTO {table} ({}) SELECT {} FROM read_parquet({path})", names.join(", "), values.join(", "))
}
