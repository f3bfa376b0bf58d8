//! What an operator sees of this box. Touched once per micro-batch.

use crate::telemetry::Metrics;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;

/// The metrics of the batch layer.
#[derive(Clone, Debug)]
pub struct BatchMetrics {
    /// Micro-batches committed.
    pub committed: Counter,
    /// Rows of enriched events committed.
    pub rows: Counter,
    /// Bytes put into the lake.
    pub lake_bytes: Counter,
    /// Values that a column could not hold.
    pub unfit: Counter,
    /// Failed attempts, at staging, upload and commit together.
    pub retries: Counter,
    /// First offset that is not committed.
    pub boundary: Gauge,
    /// Micro-batches that are sealed and not committed.
    pub waiting: Gauge,
    /// 1 while commits have stopped for good.
    pub stopped: Gauge,
    /// Writing Parquet and folding views.
    pub stage_seconds: Histogram,
    /// Upload to the lake.
    pub upload_seconds: Histogram,
    /// The warehouse transaction.
    pub commit_seconds: Histogram,
    /// From seal to commit.
    pub lag_seconds: Histogram,
}

impl BatchMetrics {
    /// Registers them.
    pub fn new(metrics: &Metrics) -> Self {
        let counter = |name: &str, help: &str| metrics.counter(&format!("batch_{name}"), help);
        let gauge = |name: &str, help: &str| metrics.gauge(&format!("batch_{name}"), help);
        let seconds = |name: &str, help: &str| metrics.seconds(&format!("batch_{name}_seconds"), help);
        BatchMetrics {
            committed: counter("committed", "Micro-batches committed to the warehouse"),
            rows: counter("rows", "Rows of enriched events committed to the warehouse"),
            lake_bytes: counter("lake_bytes", "Bytes put into the lake"),
            unfit: counter("unfit_values", "Values that a warehouse column could not hold and that became null"),
            retries: counter("retries", "Failed attempts to stage, upload or commit a micro-batch"),
            boundary: gauge("boundary", "First journal offset that is not committed"),
            waiting: gauge("waiting", "Micro-batches that are sealed and not committed"),
            stopped: gauge("stopped", "1 while commits have stopped and need an operator"),
            stage_seconds: seconds("stage", "Time to write the files of a micro-batch and fold its views"),
            upload_seconds: seconds("upload", "Time to put the files of a micro-batch into the lake"),
            commit_seconds: seconds("commit", "Time of the warehouse transaction of a micro-batch"),
            lag_seconds: seconds("lag", "Time from the seal of a micro-batch to its commit"),
        }
    }
}
