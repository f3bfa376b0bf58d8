//! The vocabulary of the pipeline: what a payload, an event, an outcome and a micro-batch are.
//!
//! Pure data: no I/O, no threads, no async. Every stage speaks these types and no stage knows another.

pub mod calendar;
pub mod chunk;
pub mod columns;
pub mod json;
pub mod model;
pub mod naming;
pub mod offset;
pub mod outcome;
pub mod payload;
pub mod payload_json;
pub mod replay;
pub mod replay_json;
pub mod rows;
pub mod schema_key;
pub mod sdk_json;
pub mod thrift;
pub mod tsv;

pub use chunk::{BatchPlanner, Chunk, EnrichedBatch, Flow, Tally};
pub use model::{Cell, Event, SelfDescribing};
pub use offset::{BatchId, Boundary, EventAddr, Offset, OffsetRange};
pub use outcome::{BadRowKind, Cause, Failure, Outcome, Processed, Repair};
pub use payload::Payload;
pub use replay::Replay;
pub use schema_key::SchemaKey;
