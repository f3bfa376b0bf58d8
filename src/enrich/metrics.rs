//! What an operator sees of enrichment. Touched once per stretch, never per event.

use crate::event::{EnrichedBatch, Tally};
use crate::telemetry::Metrics;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use std::time::Duration;

/// The metrics of the box.
#[derive(Clone, Debug)]
pub(super) struct EnrichMetrics {
    enriched: Counter,
    failed: Counter,
    dropped: Counter,
    bytes: Counter,
    stretch: Histogram,
    offset: Gauge,
    over_long: Gauge,
    pub(super) waiting: Gauge,
    pub(super) outages: Counter,
}

impl EnrichMetrics {
    pub(super) fn register(metrics: &Metrics) -> Self {
        EnrichMetrics {
            enriched: metrics.counter("enrich_enriched", "Events enriched, duplicates included"),
            failed: metrics.counter("enrich_failed", "Failed events"),
            dropped: metrics.counter("enrich_dropped", "Events dropped by the user's own steps"),
            bytes: metrics.counter("enrich_bytes", "Bytes of journal records enriched"),
            stretch: metrics.seconds("enrich_stretch_seconds", "Time that one worker needs for one stretch"),
            offset: metrics.gauge("enrich_offset", "First record that is not yet enriched"),
            over_long: metrics.gauge("enrich_invalid", "Events that passed with over-long columns (accept_invalid)"),
            waiting: metrics.gauge("enrich_waiting", "Workers that wait for a schema registry"),
            outages: metrics.counter("enrich_outages", "Times that a schema registry did not answer"),
        }
    }

    /// One worker finished a stretch.
    pub(super) fn worked(&self, time: Duration) {
        self.stretch.observe(time.as_secs_f64());
    }

    /// A stretch leaves.
    pub(super) fn left(&self, batch: &EnrichedBatch, over_long: u64) {
        let mut tally = Tally::default();
        for item in &batch.items {
            tally.count(item);
        }
        self.enriched.inc_by(tally.enriched);
        self.failed.inc_by(tally.failed);
        self.dropped.inc_by(tally.dropped);
        self.bytes.inc_by(batch.bytes);
        self.offset.set(i64::try_from(batch.range.to.0).unwrap_or(i64::MAX));
        self.over_long.set(i64::try_from(over_long).unwrap_or(i64::MAX));
    }
}
