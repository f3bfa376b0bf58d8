//! What an operator sees of the journal. Touched once per group, never per record.

use crate::telemetry::Metrics;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;

/// The metrics of the journal.
#[derive(Clone, Debug)]
pub(super) struct JournalMetrics {
    pub(super) records: Counter,
    pub(super) bytes: Counter,
    pub(super) groups: Counter,
    pub(super) commit: Histogram,
    pub(super) refused: Counter,
    pub(super) failures: Counter,
    pub(super) waiting: Gauge,
    pub(super) end: Gauge,
    pub(super) segments: Gauge,
    pub(super) disk: Gauge,
    pub(super) healthy: Gauge,
}

impl JournalMetrics {
    pub(super) fn register(metrics: &Metrics) -> Self {
        JournalMetrics {
            records: metrics.counter("journal_records", "Records made durable"),
            bytes: metrics.counter("journal_bytes", "Bytes of frames made durable"),
            groups: metrics.counter("journal_groups", "Groups made durable: one write and one sync each"),
            commit: metrics.seconds("journal_commit_seconds", "Time of one write and one sync"),
            refused: metrics.counter("journal_refused", "Appends refused: queue full, disk slow or unavailable"),
            failures: metrics.counter("journal_failures", "Writes and syncs that the machine failed"),
            waiting: metrics.gauge("journal_waiting_bytes", "Bytes of records that are not durable yet"),
            end: metrics.gauge("journal_end_offset", "Number of the next record"),
            segments: metrics.gauge("journal_segments", "Segment files"),
            disk: metrics.gauge("journal_disk_bytes", "Bytes of all segment files"),
            healthy: metrics.gauge("journal_healthy", "1 when records can be made durable"),
        }
    }
}
