//! Replays: failed events are enriched again with today's schemas and steps, and what passes now is counted.
//!
//! What it promises: only failures that stand are chosen; an event that still fails changes nothing; one that passes is
//! appended to the journal as a replay (see [`crate::event::replay`]) and is in the answers, and its failure ended, when the run
//! says so. One run at a time. A run that is cut short leaves whole events behind: the next one goes on with the others.

mod ask;
mod choose;
mod report;
mod run;
mod source;

pub use ask::{Ask, AskError};
pub use report::{Progress, StillFailing, Summary, Update};

use super::archive::Archive;
use crate::batch::warehouse::Reader;
use crate::enrich::Enricher;
use crate::journal::Journal;
use crate::pipeline::drain::Drain;
use crate::platform::clock::Clock;
use crate::schema::Resolver;
use crate::speed::Speed;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use tokio::sync::mpsc;

/// Updates that wait for a slow reader.
const UPDATES: usize = 16;

/// What a run stands on.
#[derive(Clone)]
pub struct Deps {
    /// Failures in memory, and how far the answers are.
    pub speed: Speed,
    /// Failures that are committed.
    pub warehouse: Arc<dyn Reader>,
    /// Original records, and where replays go.
    pub journal: Journal,
    /// Original records that are no longer in the journal.
    pub archive: Archive,
    /// Today's enrichment.
    pub enricher: Arc<Enricher>,
    /// Today's schemas.
    pub resolver: Arc<Resolver>,
    /// The time.
    pub clock: Clock,
    /// Ends a run.
    pub drain: Drain,
}

/// Why a run does not begin.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// There is one already.
    #[error("a replay is running already")]
    Busy,
    /// No thread can be made.
    #[error("no thread for the replay: {0}")]
    Thread(std::io::Error),
}

/// Starts runs, one at a time.
#[derive(Clone)]
pub struct Replayer {
    deps: Deps,
    busy: Arc<AtomicBool>,
}

/// Gives the turn back, whatever happens to the run.
struct Turn(Arc<AtomicBool>);

impl Drop for Turn {
    fn drop(&mut self) {
        self.0.store(false, Ordering::SeqCst);
    }
}

impl Replayer {
    /// A box without a run.
    pub fn new(deps: Deps) -> Self {
        Replayer { deps, busy: Arc::default() }
    }

    /// Starts a run on a thread of its own. Its updates end with a summary or an error; whoever drops the receiver ends it.
    ///
    /// # Errors
    /// [`StartError`].
    pub fn start(&self, ask: Ask) -> Result<mpsc::Receiver<Update>, StartError> {
        if self.busy.swap(true, Ordering::SeqCst) {
            return Err(StartError::Busy);
        }
        let turn = Turn(self.busy.clone());
        let (tx, rx) = mpsc::channel(UPDATES);
        let deps = self.deps.clone();
        let work = move || {
            let last = run::run(&deps, &ask, &tx);
            // The turn goes back first: whoever sees the last update may start the next run.
            drop(turn);
            let _ = tx.blocking_send(last);
        };
        std::thread::Builder::new().name("replay".into()).spawn(work).map_err(StartError::Thread)?;
        Ok(rx)
    }
}
