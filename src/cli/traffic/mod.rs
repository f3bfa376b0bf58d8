//! Built-in traffic: visitors of some two hundred sites, as their trackers would send it.
//!
//! `snowshed demo`, `POST /v1/demo` and `snowshed bench` send these requests over real HTTP to a real collector, so what is
//! seen and measured is the product and not a short cut. Most of it is good; a little is what the field knows too well: a
//! tracker that sends a wrong type, a schema nobody published, a request sent twice, an event that arrives late.

mod event;
pub mod load;
mod sender;
mod site;

pub use sender::{Sent, Target, run, send_some};
pub use site::Sites;

/// How the traffic looks.
#[derive(Clone, Debug)]
pub struct Shape {
    /// Number of sites.
    pub sites: usize,
    /// Events a second over all sites.
    pub rate: u32,
    /// Share of events that fail validation, 0 to 1.
    pub failing: f64,
    /// Share of requests that are sent a second time, as after a lost reply.
    pub repeated: f64,
    /// Share of events that the device kept for some minutes before it sent them.
    pub late: f64,
    /// The same seed gives the same visitors.
    pub seed: u64,
    /// App id of every event; without it each site has its own.
    pub app_id: Option<String>,
}

impl Default for Shape {
    fn default() -> Self {
        Shape { sites: 200, rate: 400, failing: 0.004, repeated: 0.002, late: 0.01, seed: 7, app_id: None }
    }
}
