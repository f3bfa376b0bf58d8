//! Read connections, snapshots, and the clock that takes snapshots back.

use super::commit::boundary;
use super::instance::{Conn, Database, Park};
use super::query;
use super::watch::{Watch, Watched};
use crate::batch::error::ReadError;
use crate::batch::warehouse::{Reader, Snapshot, SqlDone, SqlRequest, SqlSink, SqlTail};
use crate::event::{Boundary, Tally};
use crate::view::{View, ViewQuery};
use arrow::array::RecordBatch;
use parking_lot::{Condvar, Mutex, MutexGuard};
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

/// The pool of read connections.
pub(super) struct Pool {
    database: Arc<Database>,
    free: Mutex<Free>,
    returned: Condvar,
    size: usize,
    max_snapshot: Duration,
    watch: Watch,
}

struct Free {
    idle: Vec<Conn>,
    /// Connections in use, or being made.
    out: usize,
}

impl Pool {
    pub(super) fn new(database: Arc<Database>) -> std::io::Result<Arc<Self>> {
        let config = &database.settings().config;
        let (size, max_snapshot) = (config.readers, config.max_snapshot.to_duration());
        let watch = Watch::start()?;
        let free = Mutex::new(Free { idle: Vec::new(), out: 0 });
        let pool = Arc::new(Pool { database, free, returned: Condvar::new(), size, max_snapshot, watch });
        let park: Weak<dyn Park> = Arc::downgrade(&(pool.clone() as Arc<dyn Park>));
        pool.database.add_park(park);
        Ok(pool)
    }

    fn take(&self, wait: Duration) -> Result<Conn, ReadError> {
        let end = Instant::now() + wait;
        let mut free = self.free.lock();
        while free.out >= self.size {
            if self.returned.wait_until(&mut free, end).timed_out() && free.out >= self.size {
                return Err(ReadError::Busy(self.size));
            }
        }
        free.out += 1;
        while let Some(con) = free.idle.pop() {
            if !con.instance.is_broken() {
                return Ok(con);
            }
        }
        drop(free);
        self.database.connect().map_err(|e| {
            self.gave_back(None);
            ReadError::Failed(e)
        })
    }

    fn gave_back(&self, con: Option<Conn>) {
        let mut free = self.free.lock();
        free.out -= 1;
        free.idle.extend(con.filter(|c| !c.instance.is_broken()));
        drop(free);
        self.returned.notify_one();
    }
}

impl Park for Pool {
    fn drop_broken(&self) {
        self.free.lock().idle.retain(|c| !c.instance.is_broken());
    }
}

/// The reading side of the warehouse.
pub(super) struct DuckReader(pub(super) Arc<Pool>);

impl Reader for DuckReader {
    fn snapshot(&self, wait: Duration) -> Result<Box<dyn Snapshot>, ReadError> {
        let pool = self.0.clone();
        let con = pool.take(wait)?;
        let begun = con.execute_batch("BEGIN TRANSACTION READ ONLY").and_then(|()| boundary(&con));
        let boundary = match begun {
            Ok(boundary) => boundary,
            Err(e) => {
                let text = pool.database.failed(&con.instance, &e);
                // What a half-begun transaction may hold goes with the connection.
                drop(con);
                pool.gave_back(None);
                return Err(ReadError::Failed(text));
            }
        };
        let held = Arc::new(Held { watched: Watched::new(con.interrupt_handle()), con: Mutex::new(Some(con)), pool });
        held.watched.expire_at(Instant::now() + held.pool.max_snapshot);
        held.pool.watch.add(&held);
        Ok(Box::new(DuckSnapshot { held, boundary }))
    }
}

/// A connection in a transaction. The watch may take it back while the snapshot still exists.
pub(super) struct Held {
    pub(super) watched: Watched,
    con: Mutex<Option<Conn>>,
    pool: Arc<Pool>,
}

impl Held {
    /// Ends the transaction and gives the connection back, unless a query is running on it (its end will do that).
    pub(super) fn give_back(&self) {
        if let Some(mut con) = self.con.try_lock() {
            self.end(&mut con);
        }
    }

    fn end(&self, con: &mut MutexGuard<'_, Option<Conn>>) {
        let Some(con) = con.take() else { return };
        // After a fatal error there is nothing to roll back; the connection is dropped then.
        let clean = con.execute_batch("ROLLBACK").map_err(|e| self.pool.database.failed(&con.instance, &e)).is_ok();
        self.pool.gave_back(clean.then_some(con));
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.give_back();
    }
}

struct DuckSnapshot {
    held: Arc<Held>,
    boundary: Boundary,
}

impl DuckSnapshot {
    /// Runs `work` on the connection, interrupted after `timeout`.
    fn run<T>(&self, timeout: Duration, work: impl FnOnce(&Conn) -> Result<T, query::Failed>) -> Result<T, ReadError> {
        let mut guard = self.held.con.lock();
        let con = guard.as_ref().filter(|_| !self.held.watched.is_expired()).ok_or(ReadError::Expired)?;
        self.held.watched.start_query(Instant::now() + timeout);
        let result = work(con);
        let late = self.held.watched.end_query();
        let result = result.map_err(|e| match e {
            query::Failed::Read(e) => e,
            query::Failed::Duck(e) => {
                let text = self.held.pool.database.failed(&con.instance, &e);
                if self.held.watched.is_expired() {
                    ReadError::Expired
                } else if late {
                    ReadError::Timeout(timeout.as_millis() as u64)
                } else if con.instance.is_broken() {
                    ReadError::Failed(text)
                } else {
                    ReadError::Sql(text)
                }
            }
        });
        if self.held.watched.is_expired() {
            self.held.end(&mut guard);
        }
        result
    }

    fn our_timeout(&self) -> Duration {
        self.held.pool.max_snapshot
    }
}

impl Snapshot for DuckSnapshot {
    fn boundary(&self) -> Boundary {
        self.boundary
    }

    fn tally(&mut self) -> Result<Tally, ReadError> {
        self.run(self.our_timeout(), |con| Ok(query::tally(con)?))
    }

    fn dynamic_columns(&mut self) -> Result<Vec<String>, ReadError> {
        self.run(self.our_timeout(), |con| Ok(query::dynamic_columns(con)?))
    }

    fn view_groups(&mut self, view: &Arc<View>, question: &ViewQuery) -> Result<Vec<RecordBatch>, ReadError> {
        let plan = view.plan(question).map_err(|e| ReadError::Sql(e.to_string()))?;
        let sql = view.stored_sql(&plan, &super::views::table(view));
        self.run(self.our_timeout(), |con| query::batches(con, &sql))
    }

    fn sql(&mut self, request: &SqlRequest, tail: &SqlTail, sink: &mut dyn SqlSink) -> Result<SqlDone, ReadError> {
        self.run(request.timeout, |con| query::user_sql(con, request, tail, sink))
    }
}

impl Drop for DuckSnapshot {
    fn drop(&mut self) {
        let mut con = self.held.con.lock();
        self.held.end(&mut con);
    }
}
