//! The open database file, and opening it again when DuckDB has given up on it.
//!
//! After an internal error DuckDB answers every statement with "database has been invalidated" until the file is closed and
//! opened again: one query of one user would stop all commits. So connections belong to an [`Instance`]; whoever
//! meets such an error says so, the instance is let go of by all, and the next one to ask opens the file anew. Two instances
//! never have the file open at the same time: the file lock does not hold within one process.

use super::layout;
use super::tail::{self, TailFunction};
use crate::batch::config::WarehouseConfig;
use crate::platform::priority::give_way;
use duckdb::{Config, Connection};
use parking_lot::{Mutex, RwLock};
use std::ops::Deref;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

/// How the file is opened.
#[derive(Clone, Debug)]
pub(super) struct Settings {
    pub(super) path: PathBuf,
    /// The only folder besides the database's own files that DuckDB may read.
    pub(super) staging: PathBuf,
    pub(super) config: WarehouseConfig,
}

/// Rows of a row group. Smaller than DuckDB's own size: one micro-batch then fills several, which go to the file as they
/// are and are not merged again by the next checkpoint (see `docs/decisions/0009-batch.md`).
const ROW_GROUP: u32 = 30_720;
/// Bytes of a block. A column of rows that are not yet in the file takes at least one block, and the tables are wide.
const BLOCK: u32 = 65_536;
/// How long to wait for the connections of a broken instance to be given back.
const REOPEN_WAIT: Duration = Duration::from_secs(5);

pub(super) struct Instance {
    root: Mutex<Connection>,
    broken: AtomicBool,
}

impl Instance {
    /// Whether connections of this instance are to be given up.
    pub(super) fn is_broken(&self) -> bool {
        self.broken.load(Ordering::SeqCst)
    }
}

/// A connection, which keeps its instance open.
pub(super) struct Conn {
    // Declared first: dropped before the instance may close.
    inner: Connection,
    pub(super) instance: Arc<Instance>,
}

impl Deref for Conn {
    type Target = Connection;
    fn deref(&self) -> &Connection {
        &self.inner
    }
}

/// Keeps connections that nobody uses at the moment.
pub(super) trait Park: Send + Sync {
    /// Drops those whose instance is broken.
    fn drop_broken(&self);
}

/// The file, whichever instance has it open.
pub(super) struct Database {
    settings: Settings,
    current: RwLock<Option<Arc<Instance>>>,
    opening: Mutex<()>,
    parks: Mutex<Vec<Weak<dyn Park>>>,
}

impl Database {
    pub(super) fn open(settings: Settings) -> Result<Self, String> {
        let database =
            Database { settings, current: RwLock::new(None), opening: Mutex::new(()), parks: Mutex::new(Vec::new()) };
        database.instance()?;
        Ok(database)
    }

    pub(super) fn settings(&self) -> &Settings {
        &self.settings
    }

    /// Makes known who keeps connections.
    pub(super) fn add_park(&self, park: Weak<dyn Park>) {
        self.parks.lock().push(park);
    }

    /// A new connection.
    pub(super) fn connect(&self) -> Result<Conn, String> {
        let instance = self.instance()?;
        let inner = {
            let root = instance.root.lock();
            root.try_clone().map_err(|e| e.to_string())?
        };
        inner.execute_batch(layout::USE).map_err(|e| self.failed(&instance, &e))?;
        Ok(Conn { inner, instance })
    }

    /// Takes note of an error, and gives its text.
    pub(super) fn failed(&self, instance: &Arc<Instance>, error: &duckdb::Error) -> String {
        let text = error.to_string();
        if is_fatal(&text) && !instance.broken.swap(true, Ordering::SeqCst) {
            tracing::error!(error = %text, "DuckDB has invalidated the database; it will be opened again");
        }
        text
    }

    /// Marks the open instance as DuckDB's own errors would.
    #[cfg(test)]
    pub(super) fn break_now(&self) {
        if let Some(instance) = self.current.read().as_ref() {
            instance.broken.store(true, Ordering::SeqCst);
        }
    }

    fn instance(&self) -> Result<Arc<Instance>, String> {
        let whole = |i: &&Arc<Instance>| !i.is_broken();
        if let Some(instance) = self.current.read().as_ref().filter(whole) {
            return Ok(instance.clone());
        }
        let _one = self.opening.lock();
        if let Some(instance) = self.current.read().as_ref().filter(whole) {
            return Ok(instance.clone());
        }
        self.close()?;
        let root = Mutex::new(open_behind(&self.settings)?);
        let instance = Arc::new(Instance { root, broken: AtomicBool::new(false) });
        *self.current.write() = Some(instance.clone());
        Ok(instance)
    }

    /// Lets go of a broken instance, when everybody else has.
    fn close(&self) -> Result<(), String> {
        let end = Instant::now() + REOPEN_WAIT;
        loop {
            for park in self.parks.lock().iter().filter_map(Weak::upgrade) {
                park.drop_broken();
            }
            let mut current = self.current.write();
            let Some(old) = current.take() else { return Ok(()) };
            match Arc::try_unwrap(old) {
                Ok(alone) => {
                    drop(alone);
                    return Ok(());
                }
                Err(shared) => *current = Some(shared),
            }
            drop(current);
            if Instant::now() >= end {
                return Err("the database was invalidated and is still in use; it will be opened again soon".to_owned());
            }
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}

/// Whether an error means that the instance is lost.
fn is_fatal(text: &str) -> bool {
    text.contains("database has been invalidated") || text.contains("FATAL Error") || text.contains("INTERNAL Error")
}

/// Opens it in a thread that gives way: the database's own threads are started there and do the same.
fn open_behind(settings: &Settings) -> Result<Connection, String> {
    #[cfg(test)]
    let abort = ABORT.take();
    std::thread::scope(|scope| {
        let opening = scope.spawn(|| {
            give_way();
            #[cfg(test)]
            ABORT.set(abort);
            open_file(settings)
        });
        opening.join().map_err(|_| "opening it panicked".to_owned())?.map_err(|e| e.to_string())
    })
}

fn open_file(settings: &Settings) -> duckdb::Result<Connection> {
    let config = &settings.config;
    let threads = match config.threads {
        0 => std::thread::available_parallelism().map_or(1, usize::from),
        n => n,
    };
    let mut open = Config::default()
        .with("autoinstall_known_extensions", "false")?
        .with("autoload_known_extensions", "false")?
        .with("memory_limit", format!("{}B", config.memory_limit.0))?
        .with("threads", threads.to_string())?
        .with("checkpoint_threshold", format!("{}B", config.checkpoint_at.0))?
        .with("temp_directory", settings.path.with_extension("tmp").to_string_lossy())?;
    // Should a VARIANT ever be stored: reading a shredded one fails inside DuckDB 1.5.5 with an internal error, which
    // invalidates the database.
    open = open.with("variant_minimum_shredding_size", "-1")?;
    #[cfg(test)]
    if let Some(place) = ABORT.take() {
        open = open.with("debug_checkpoint_abort", place)?;
    }
    let con = Connection::open_in_memory_with_flags(open)?;
    let path = quoted(&settings.path.to_string_lossy());
    con.execute_batch(&format!(
        "ATTACH {path} AS {} (STORAGE_VERSION 'v1.5.0', ROW_GROUP_SIZE {ROW_GROUP}, BLOCK_SIZE {BLOCK})",
        layout::CATALOG
    ))?;
    // From here on no statement reaches any other file, whatever it says.
    let staging = quoted(&settings.staging.to_string_lossy());
    con.execute_batch(&format!(
        "SET allowed_directories = [{staging}]; SET enable_external_access = false; SET lock_configuration = true"
    ))?;
    con.register_table_function::<TailFunction>(tail::NAME)?;
    Ok(con)
}

#[cfg(test)]
thread_local! {
    static ABORT: std::cell::Cell<Option<&'static str>> = const { std::cell::Cell::new(None) };
}

/// Has the checkpoints of the next instance that this thread opens fail at a place, as a full disk would.
#[cfg(test)]
pub(super) fn abort_next_checkpoint(place: &'static str) {
    ABORT.set(Some(place));
}

/// A text as an SQL literal.
pub(super) fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

/// A name as an SQL identifier.
pub(super) fn name(text: &str) -> String {
    format!("\"{}\"", text.replace('"', "\"\""))
}
