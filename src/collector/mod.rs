//! The collector: takes what trackers send, keeps it, and only then says so.
//!
//! One HTTP request becomes one record of the journal (or, when it is too large or makes no sense, a bad row), byte for byte
//! as it came, and is answered when the record is durable. What is answered is decided in one pure place, [`answer`],
//! whatever version of HTTP a request came by; the rest is finding requests in bytes quickly and within bounds.
//!
//! Where to look: what a reply says, `reply`; what is recorded, `record`; who somebody is, `identity`; the hot loop,
//! `http1`; how many requests share one sync, `gather`; threads and stopping, `stage`.
//!
//! What is absent: nothing here looks into events beyond what the reply needs, and the public port has no other routes.

mod accept;
mod answer;
mod bad_row;
mod bounds;
mod check;
mod client_ip;
mod config;
mod cookies;
mod cors;
mod decompress;
mod error;
#[cfg(any(test, fuzzing))]
pub mod fuzz;
mod gather;
mod http1;
mod http2;
mod identity;
mod media_type;
mod metrics;
mod query;
mod record;
mod redirect;
mod reply;
mod request;
mod route;
mod settings;
mod split;
mod stage;
mod wall;
mod worker;

#[cfg(test)]
mod tests;

pub use bounds::Bounds;
pub use config::Config;
pub use error::{BuildError, RunError};
pub use stage::{Collector, build};
pub use worker::Health;
