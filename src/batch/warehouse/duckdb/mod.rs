//! The embedded warehouse: one DuckDB file, one writer, a pool of readers.
//!
//! The only folder that may use the `duckdb` crate. VARIANT, the type in which semi-structured columns are shown, cannot be
//! decoded by the crate: it leaves DuckDB through `::JSON`.

mod backfill;
mod commit;
mod guard;
mod instance;
mod layout;
mod query;
mod reader;
mod repairs;
mod tail;
#[cfg(test)]
mod tests;
mod views;
mod watch;

use super::Opened;
use crate::batch::config::WarehouseConfig;
use crate::batch::error::StartError;
use crate::batch::fields::FieldId;
use crate::platform::clock::{Clock, Millis};
use crate::view::View;
use commit::{DuckWriter, Slot};
use instance::{Database, Park, Settings};
use reader::{DuckReader, Pool};
use std::fs;
use std::path::Path;
use std::sync::{Arc, Weak};

/// What opening needs besides its configuration.
pub struct Needs<'a> {
    /// The data directory.
    pub data_dir: &'a Path,
    /// The folder of files to be loaded, the only one that DuckDB may read.
    pub staging: &'a Path,
    /// The views to keep.
    pub views: &'a [Arc<View>],
    /// The time, for audit rows.
    pub clock: Clock,
    /// Hash of the configuration, for audit rows.
    pub config_hash: String,
}

/// Opens (or makes) the file and brings its tables in line with the configuration.
///
/// # Errors
/// When it cannot be opened, belongs to a newer program, or a view's table cannot be made.
pub fn open(config: &WarehouseConfig, needs: Needs<'_>) -> Result<Opened, StartError> {
    open_parts(config, needs).map(|parts| parts.1)
}

fn open_parts(config: &WarehouseConfig, needs: Needs<'_>) -> Result<(Arc<Database>, Opened), StartError> {
    let path = match config.path.as_str() {
        "" => needs.data_dir.join("warehouse.duckdb"),
        path => path.into(),
    };
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder).map_err(|e| StartError::io(folder, e))?;
    }
    let staging = needs.staging.canonicalize().map_err(|e| StartError::io(needs.staging, e))?;
    let path = std::path::absolute(&path).map_err(|e| StartError::io(&path, e))?;
    let failed = |e: String| StartError::Warehouse(format!("{}: {e}", path.display()));
    let settings = Settings { path: path.clone(), staging, config: config.clone() };
    let database = Arc::new(Database::open(settings).map_err(failed)?);
    let state = State::read(&database).map_err(failed)?;
    backfill::prepare(&database, needs.views, needs.clock.now_ms())?;
    let pool = Pool::new(database.clone()).map_err(StartError::Thread)?;
    let slot = Arc::new(Slot::default());
    let park: Weak<dyn Park> = Arc::downgrade(&(slot.clone() as Arc<dyn Park>));
    database.add_park(park);
    let writer = DuckWriter {
        database: database.clone(),
        clock: needs.clock,
        config_hash: needs.config_hash,
        views: needs.views.to_vec(),
        fold_after: config.fold_after,
        known: state.fields.iter().map(|f| f.name.clone()).collect(),
        slot,
    };
    let opened = Opened {
        writer: Box::new(writer),
        reader: Arc::new(DuckReader(pool)),
        boundary: state.boundary,
        last_load_ms: state.last_load_ms,
        fields: state.fields,
    };
    Ok((database, opened))
}

struct State {
    boundary: crate::event::Boundary,
    last_load_ms: Millis,
    fields: Vec<FieldId>,
}

impl State {
    fn read(database: &Database) -> Result<State, String> {
        let con = database.connect()?;
        let text = |e: duckdb::Error| e.to_string();
        con.execute_batch(&layout::create()).map_err(text)?;
        let version: u32 =
            con.query_row("SELECT max(version) FROM snowshed.format", [], |row| row.get(0)).map_err(text)?;
        if version > layout::VERSION {
            return Err(format!(
                "its tables have format {version}, this program knows up to {}: use the newer program",
                layout::VERSION
            ));
        }
        let names = query::dynamic_columns(&con).map_err(text)?;
        con.execute_batch(&format!("BEGIN; {} COMMIT", layout::event_views(&names))).map_err(text)?;
        let boundary = commit::boundary(&con).map_err(text)?;
        let last_load_ms = con
            .query_row("SELECT coalesce(epoch_ms(max(load_tstamp)), 0) FROM snowshed.batches", [], |row| row.get(0))
            .map_err(text)?;
        let mut read = con.prepare("SELECT name, field_id FROM snowshed.columns ORDER BY field_id").map_err(text)?;
        let rows = read.query_map([], |row| Ok(FieldId { name: row.get(0)?, id: row.get(1)? })).map_err(text)?;
        let fields = rows.collect::<duckdb::Result<_>>().map_err(text)?;
        Ok(State { boundary, last_load_ms, fields })
    }
}
