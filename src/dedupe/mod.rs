//! Recognising repeated events, once, before the fork.
//!
//! The first occurrence of (event id, fingerprint) inside the window counts; later ones are duplicates, counted and visible.
//! The same id with another content is another event that took the id: it is kept under a made-up id and marked with a
//! `duplicate` context that holds the original one. Decisions depend only on the journal, so a restart repeats them; this
//! is also where micro-batches are cut, because both layers have to cut alike.
//!
//! What is known lives in an exact set for the open micro-batch and in sorted files for the sealed ones, behind filters in
//! memory that say "certainly not". See `docs/decisions/0003-dedupe.md`.

mod config;
mod file;
mod filter;
mod index;
mod load;
mod mark;
mod metrics;
mod open_set;
mod redone;
mod shelf;
mod stage;

pub use config::Config;
pub use file::IdEntry;
pub use index::{Index, Verdict};
pub use load::{LoadError, Refeed};
pub use stage::{Dedupe, Deps, build};
