//! Counters for what happens several times per event on several threads, and gauges that are read only when shown.
//!
//! A counter is striped: each thread adds to a cache line that it mostly has for itself, and the stripes are summed when
//! metrics are read.

use prometheus_client::encoding::{EncodeMetric, MetricEncoder, NoLabelSet};
use prometheus_client::metrics::MetricType;
use std::cell::Cell;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

const STRIPES: usize = 16;

#[derive(Debug, Default)]
#[repr(align(128))]
struct Stripe(AtomicU64);

/// A counter for hot paths.
#[derive(Clone, Debug, Default)]
pub struct StripedCounter(Arc<[Stripe; STRIPES]>);

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
    /// Adds one.
    #[inline]
    pub fn inc(&self) {
        if let Some(stripe) = self.0.get(stripe()) {
            stripe.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// The sum of the stripes.
    pub fn get(&self) -> u64 {
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

/// A gauge whose value is asked for when metrics are read.
#[derive(Clone)]
pub struct Sampled(Arc<dyn Fn() -> i64 + Send + Sync>);

impl Sampled {
    /// A gauge that shows what `value` says.
    pub fn new(value: impl Fn() -> i64 + Send + Sync + 'static) -> Self {
        Sampled(Arc::new(value))
    }
}

impl std::fmt::Debug for Sampled {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Sampled({})", (self.0)())
    }
}

impl EncodeMetric for Sampled {
    fn encode(&self, mut encoder: MetricEncoder<'_>) -> Result<(), std::fmt::Error> {
        encoder.encode_gauge(&(self.0)())
    }

    fn metric_type(&self) -> MetricType {
        MetricType::Gauge
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::telemetry::Metrics;

    #[test]
    fn stripes_add_up_and_are_shown() {
        let registry = Metrics::new();
        let hits = registry.register("iglu_hits", "h", StripedCounter::default());
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| (0..1000).for_each(|_| hits.inc()));
            }
        });
        assert_eq!(hits.get(), 4000);
        assert!(registry.render().unwrap().contains("snowshed_iglu_hits_total 4000"));
    }

    #[test]
    fn a_sampled_gauge_shows_what_is_true_when_it_is_read() {
        let registry = Metrics::new();
        let size = Arc::new(AtomicUsize::new(3));
        let seen = size.clone();
        registry.register("cached", "c", Sampled::new(move || seen.load(Ordering::Relaxed) as i64));
        assert!(registry.render().unwrap().contains("snowshed_cached 3"));
        size.store(5, Ordering::Relaxed);
        assert!(registry.render().unwrap().contains("snowshed_cached 5"));
    }
}
