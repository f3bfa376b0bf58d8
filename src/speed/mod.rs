//! The speed layer: what is in the answers before it is in the warehouse.
//!
//! Per micro-batch that is not committed it holds the aggregates of every view and the enriched rows themselves (*the tail*);
//! across micro-batches, rolling windows, rates, the causes of failure and the newest outcomes.
//!
//! What it promises:
//! * A [`Lease`] taken before a warehouse snapshot sees, above the boundary of that snapshot, exactly the micro-batches
//!   that the snapshot does not have. State goes only when no older lease is left.
//! * Everything read in one call is as of one moment: groups, rows, counts and the offset up to which they are applied.
//! * Memory is bounded: rows by files of the batch layer, aggregates by files of its own, everything else by a number in
//!   [`Config`]. Where nothing else helps the stage waits, and the collector answers 503.
//! * A restart begins empty at the boundary and refills from the journal.

mod batch;
mod causes;
mod config;
mod error;
mod handle;
mod latency;
mod lease;
mod live;
mod look;
mod metrics;
mod publish;
mod recent;
mod refill;
mod spill;
mod stage;
mod state;
pub mod streams;
#[cfg(test)]
mod tests;
mod wall;
mod windows;

pub use batch::{BatchInfo, FailedEvent, Files, State, Times};
pub use causes::{CauseGroup, Example, MAX_EXAMPLE_BYTES, SERIES};
pub use config::Config;
pub use error::SpeedError;
pub use handle::{Deps, Progress, Speed};
pub use latency::Visible;
pub use lease::{Lease, SpeedPart};
pub use publish::{Publisher, Record};
pub use recent::{Item, Passed, Summary};
pub use refill::spawn_refill;
pub use stage::spawn;
pub use state::{Memory, Tail, Wanted};
pub use wall::{POINTS, RATE_SECONDS, Rates, Site};
pub use windows::{PANE_MS, Window};
