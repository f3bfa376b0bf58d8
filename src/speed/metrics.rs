//! Metrics of the speed layer. Touched once per chunk.

use crate::telemetry::Metrics as Registry;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;

/// The handles.
#[derive(Debug)]
pub(super) struct Metrics {
    pub(super) applied: Gauge,
    pub(super) batches: Gauge,
    pub(super) tail_bytes: Gauge,
    pub(super) state_bytes: Gauge,
    pub(super) leases: Gauge,
    pub(super) expired: Counter,
    pub(super) waits: Counter,
    pub(super) spilled: Counter,
    pub(super) apply_seconds: Histogram,
    pub(super) visible_seconds: Histogram,
}

impl Metrics {
    pub(super) fn new(registry: &Registry) -> Metrics {
        Metrics {
            applied: registry.gauge("speed_applied_offset", "First journal offset that is not in the answers yet"),
            batches: registry.gauge("speed_batches", "Micro-batches held in memory"),
            tail_bytes: registry.gauge("speed_tail_bytes", "Enriched rows held in memory"),
            state_bytes: registry.gauge("speed_state_bytes", "Aggregates of views held in memory"),
            leases: registry.gauge("speed_leases", "Readers that hold state"),
            expired: registry.counter("speed_leases_expired", "Leases that grew too old and were ended"),
            waits: registry.counter("speed_waits", "Times the stage waited because its memory was full"),
            spilled: registry.counter("speed_spilled", "Micro-batches whose aggregates went to files"),
            apply_seconds: registry.seconds("speed_apply_seconds", "Time to apply one chunk"),
            visible_seconds: registry
                .seconds("speed_visible_seconds", "From receipt of a payload until it is in the answers"),
        }
    }
}
