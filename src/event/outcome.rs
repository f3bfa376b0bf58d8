//! What became of an event. Every event of every accepted payload has exactly one outcome.

use super::model::Event;
use super::offset::EventAddr;
use serde::Serialize;
use uuid::Uuid;

/// What became of one event.
#[derive(Clone, PartialEq, Debug)]
pub enum Outcome {
    /// It is in the answers.
    Enriched(Box<Event>),
    /// It is a bad row, and possibly an incomplete event.
    Failed(Box<Failure>),
    /// The same event was seen before, at this address.
    Duplicate(EventAddr),
    /// The user's own script or filter dropped it.
    Dropped {
        /// Which step dropped it.
        by: String,
    },
}

/// An outcome with its address.
#[derive(Clone, PartialEq, Debug)]
pub struct Processed {
    /// Where the event stands; of a replayed one the place of the replay.
    pub addr: EventAddr,
    /// The failure that this outcome takes the place of: the event was replayed.
    pub repairs: Option<Repair>,
    /// What became of it.
    pub outcome: Outcome,
}

impl Processed {
    /// The outcome of an event that was not replayed.
    pub const fn new(addr: EventAddr, outcome: Outcome) -> Self {
        Processed { addr, repairs: None, outcome }
    }
}

/// A failure that no longer stands.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Repair {
    /// Where the failed event stands.
    pub of: EventAddr,
    /// Id of the event, by which its incomplete form can be found; `None` when it has none.
    pub event_id: Option<Uuid>,
}

/// Which bad row of the Snowplow family.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize)]
#[serde(rename_all = "snake_case")]
#[allow(missing_docs)]
pub enum BadRowKind {
    CollectorPayloadFormatViolation,
    AdapterFailures,
    TrackerProtocolViolations,
    SchemaViolations,
    EnrichmentFailures,
    SizeViolation,
    GenericError,
}

impl BadRowKind {
    /// Name of the bad row's schema.
    pub const fn name(self) -> &'static str {
        match self {
            BadRowKind::CollectorPayloadFormatViolation => "collector_payload_format_violation",
            BadRowKind::AdapterFailures => "adapter_failures",
            BadRowKind::TrackerProtocolViolations => "tracker_protocol_violations",
            BadRowKind::SchemaViolations => "schema_violations",
            BadRowKind::EnrichmentFailures => "enrichment_failures",
            BadRowKind::SizeViolation => "size_violation",
            BadRowKind::GenericError => "generic_error",
        }
    }

    /// Version that we write.
    pub const fn version(self) -> &'static str {
        match self {
            BadRowKind::TrackerProtocolViolations => "1-0-1",
            BadRowKind::SchemaViolations | BadRowKind::EnrichmentFailures => "2-0-1",
            _ => "1-0-0",
        }
    }
}

/// Why an event failed, in the few words by which failures are grouped.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize)]
pub struct Cause {
    /// Which bad row it became.
    pub kind: BadRowKind,
    /// The failure within that row: `ValidationError`, `ResolutionError`, `NotJSON`, `NotIglu`, `CriterionMismatch`,
    /// `EnrichmentError: …`, or the name of the field for the other rows.
    pub failure: String,
    /// URI of the schema concerned.
    pub schema: Option<String>,
    /// Where in the data: a JSON path, a tracker parameter or a column.
    pub path: Option<String>,
    /// JSON Schema keyword or its like.
    pub keyword: Option<String>,
    /// One sentence for people. Not part of the grouping key when it holds values.
    pub message: String,
}

/// A failed event.
#[derive(Clone, PartialEq, Debug)]
pub struct Failure {
    /// The bad row, compact JSON.
    pub bad_row: String,
    /// Why, for grouping.
    pub cause: Cause,
    /// `app_id`, as far as it was read.
    pub app_id: Option<String>,
    /// Arrival time of the payload, milliseconds.
    pub collector_ms: i64,
    /// What could be built of the event, with failure entities among its derived contexts.
    pub incomplete: Option<Box<Event>>,
}
