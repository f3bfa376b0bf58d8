//! Metrics of the resolver. Look-ups happen several times per event on several threads, so their counters are striped.

use super::registry::HttpMetrics;
use crate::telemetry::metrics::Metrics as Registry;
use crate::telemetry::striped::StripedCounter;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::gauge::Gauge;

/// What the resolver counts.
#[derive(Clone, Debug)]
pub(super) struct ResolverMetrics {
    pub(super) hits: StripedCounter,
    pub(super) missing_hits: StripedCounter,
    pub(super) misses: StripedCounter,
    pub(super) fetches: Counter,
    pub(super) outages: Counter,
    pub(super) refused: Counter,
    pub(super) cached: Gauge,
    pub(super) bound: Gauge,
    pub(super) missing_cached: Gauge,
    pub(super) missing_bound: Gauge,
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
            refused: registry.counter(
                "iglu_refused",
                "Schemas that no registry was asked for, because too many names that nobody has came before",
            ),
            cached: registry.gauge("iglu_schemas_cached", "Compiled schemas in memory"),
            bound: registry.gauge("iglu_schemas_bound", "Most compiled schemas in memory"),
            missing_cached: registry.gauge("iglu_missing_cached", "Schema names in memory that no registry has"),
            missing_bound: registry.gauge("iglu_missing_bound", "Most schema names in memory that no registry has"),
            http: HttpMetrics {
                requests: registry.counter("iglu_requests", "Requests to HTTP registries"),
                failures: registry.counter("iglu_request_failures", "Requests to HTTP registries without an answer"),
                seconds: registry.seconds("iglu_request_seconds", "Time of requests to HTTP registries"),
            },
        }
    }
}
