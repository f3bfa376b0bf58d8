//! Metrics of the resolver.
//!
//! Look-ups happen several times per event on several threads, so their counters are striped: each thread adds to a cache
//! line that it mostly has for itself, and the stripes are summed when metrics are read.

use super::registry::HttpMetrics;
use crate::telemetry::metrics::Metrics as Registry;
use prometheus_client::encoding::{EncodeMetric, MetricEncoder, NoLabelSet};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::gauge::Gauge;
use std::cell::Cell;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

const STRIPES: usize = 16;

#[derive(Debug, Default)]
#[repr(align(128))]
struct Stripe(AtomicU64);

/// A counter for hot paths.
#[derive(Clone, Debug, Default)]
pub(super) struct StripedCounter(Arc<[Stripe; STRIPES]>);

thread_local! {
    static STRIPE: Cell<usize> = const { Cell::new(usize::MAX) };
}

fn stripe() -> usize {
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    STRIPE.with(|own| {
        if own.get() == usize::MAX {
            own.set(NEXT.fetch_add(1, Ordering::Relaxed) % STRIPES);
        }
        own.get()
    })
}

impl StripedCounter {
    #[inline]
    pub(super) fn inc(&self) {
        if let Some(stripe) = self.0.get(stripe()) {
            stripe.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    pub(super) fn get(&self) -> u64 {
        self.0.iter().map(|s| s.0.load(Ordering::Relaxed)).sum()
    }
}

impl EncodeMetric for StripedCounter {
    fn encode(&self, mut encoder: MetricEncoder<'_>) -> Result<(), std::fmt::Error> {
        encoder.encode_counter::<NoLabelSet, u64, u64>(&self.get(), None)
    }

    fn metric_type(&self) -> MetricType {
        MetricType::Counter
    }
}

/// What the resolver counts.
#[derive(Clone, Debug)]
pub(super) struct ResolverMetrics {
    pub(super) hits: StripedCounter,
    pub(super) missing_hits: StripedCounter,
    pub(super) misses: StripedCounter,
    pub(super) fetches: Counter,
    pub(super) outages: Counter,
    pub(super) cached: Gauge,
    pub(super) missing_cached: Gauge,
    pub(super) http: HttpMetrics,
}

impl ResolverMetrics {
    pub(super) fn new(registry: &Registry) -> Self {
        ResolverMetrics {
            hits: registry.register(
                "iglu_hits",
                "Look-ups answered with a schema from memory",
                StripedCounter::default(),
            ),
            missing_hits: registry.register(
                "iglu_missing_hits",
                "Look-ups answered from memory with: no registry has it",
                StripedCounter::default(),
            ),
            misses: registry.register("iglu_misses", "Look-ups that had to fetch", StripedCounter::default()),
            fetches: registry.counter("iglu_fetches", "Schemas looked up in the registries"),
            outages: registry.counter("iglu_outages", "Schemas that a registry gave no answer about"),
            cached: registry.gauge("iglu_schemas_cached", "Compiled schemas in memory"),
            missing_cached: registry.gauge("iglu_missing_cached", "Schema names in memory that no registry has"),
            http: HttpMetrics {
                requests: registry.counter("iglu_requests", "Requests to HTTP registries"),
                failures: registry.counter("iglu_request_failures", "Requests to HTTP registries without an answer"),
                seconds: registry.seconds("iglu_request_seconds", "Time of requests to HTTP registries"),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stripes_add_up_and_are_shown() {
        let registry = Registry::new();
        let metrics = ResolverMetrics::new(&registry);
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| (0..1000).for_each(|_| metrics.hits.inc()));
            }
        });
        assert_eq!(metrics.hits.get(), 4000);
        assert!(registry.render().unwrap().contains("snowshed_iglu_hits_total 4000"));
    }
}
