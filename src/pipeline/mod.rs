//! How stages are put together: bounded links between threads, an orderly stop, and waiting between retries.
//!
//! A stage is a thread (or a task) that reads one [`link`] and writes others. Every link has a name and a bound, so that
//! the status page can say which box holds the others up. A [`drain::Drain`] tells all stages to finish what they hold and
//! leave. Nothing here knows what flows.

pub mod backoff;
pub mod bound;
pub mod drain;
pub mod link;
