//! What deduplication tells about itself.

use crate::telemetry::Metrics;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::gauge::Gauge;

#[derive(Clone, Debug)]
pub(super) struct DedupeMetrics {
    pub(super) events: Counter,
    pub(super) duplicates: Counter,
    pub(super) taken_ids: Counter,
    pub(super) filter_bytes: Gauge,
    pub(super) forgotten: Gauge,
}

impl DedupeMetrics {
    pub(super) fn new(metrics: &Metrics) -> Self {
        DedupeMetrics {
            events: metrics.counter("dedupe_events", "Enriched events that were judged"),
            duplicates: metrics.counter("dedupe_duplicates", "Events that were seen before"),
            taken_ids: metrics.counter("dedupe_taken_ids", "Events whose id another event had"),
            filter_bytes: metrics.gauge("dedupe_filter_bytes", "Memory of the filters"),
            forgotten: metrics.gauge("dedupe_forgotten", "Events forgotten before the window was over"),
        }
    }
}
