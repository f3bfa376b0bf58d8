//! Logs and metrics: the contract with whoever operates the program.
//!
//! Each box registers its metrics once, at build time, in a [`Metrics`] handle; the private port prints them as Prometheus
//! text. Hot paths touch plain atomics, once per batch and never per event.

pub mod log;
pub mod metrics;
pub mod striped;

pub use metrics::Metrics;
