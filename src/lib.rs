//! Snowshed: a whole lambda architecture for behavioural events in one process.
//!
//! The folders follow the flow: `collector` → `journal` → `enrich` → `dedupe` → (`speed` | `batch`) → `serving`. What may
//! import what is in `docs/ARCHITECTURE.md` and held by `tests/tidy.rs`.

pub mod event;
pub mod pipeline;
pub mod platform;
pub mod telemetry;
pub mod view;
