//! What an operator sees of the archive. Touched once per segment.

use crate::telemetry::Metrics;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::gauge::Gauge;

/// The metrics of the archive.
#[derive(Clone, Debug)]
pub(super) struct ArchiveMetrics {
    pub(super) segments: Counter,
    pub(super) bytes: Counter,
    pub(super) failures: Counter,
    pub(super) upto: Gauge,
}

impl ArchiveMetrics {
    pub(super) fn register(metrics: &Metrics) -> Self {
        ArchiveMetrics {
            segments: metrics.counter("archive_segments", "Journal segments archived"),
            bytes: metrics.counter("archive_bytes", "Bytes of archived segments, compressed"),
            failures: metrics.counter("archive_failures", "Failed tries to archive a segment"),
            upto: metrics.gauge("archive_offset", "All closed segments of the journal below this offset are archived"),
        }
    }
}
