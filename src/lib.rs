//! Snowshed: a whole lambda architecture for behavioural events in one process.
//!
//! The folders follow the flow: `collector` → `journal` → `enrich` → `dedupe` → (`speed` | `batch`) → `serving`; `admin` works on it from above. What may
//! import what is in `docs/ARCHITECTURE.md` and held by `tests/tidy.rs`.

pub mod admin;
pub mod app;
pub mod batch;
pub mod cli;
pub mod collector;
pub mod config;
pub mod dedupe;
pub mod enrich;
pub mod event;
pub mod journal;
pub mod net;
pub mod pipeline;
pub mod platform;
pub mod schema;
pub mod serving;
pub mod speed;
pub mod telemetry;
pub mod view;
