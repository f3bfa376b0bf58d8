//! `/metrics`: the registry of all boxes, and the pipeline's own state as of the moment of asking.

use super::api::{Api, Shared};
use super::error::{ApiError, ApiResult};
use super::reply;
use crate::event::Tally;
use crate::telemetry::Metrics;
use axum::extract::State;
use axum::http::Method;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;

const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Named {
    name: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RouteLabel {
    method: String,
    path: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Code {
    code: String,
}

/// Metrics of this box, and those that it shows for the pipeline as a whole.
#[derive(Debug)]
pub struct ServingMetrics {
    requests: Family<RouteLabel, Counter>,
    refused: Family<Code, Counter>,
    sql: Counter,
    events: Family<Named, Gauge>,
    difference: Gauge,
    journal_end: Gauge,
    enriched: Gauge,
    boundary: Gauge,
    visible_p99: Gauge,
    commit_lag: Gauge,
    depth: Family<Named, Gauge>,
    bound: Family<Named, Gauge>,
    streams: Gauge,
}

impl ServingMetrics {
    /// Registers them.
    pub fn register(metrics: &Metrics) -> Self {
        let gauge = |name: &str, help: &str| metrics.gauge(name, help);
        ServingMetrics {
            requests: metrics.register("serving_requests", "Requests to the private port, by route", Family::default()),
            refused: metrics.register(
                "serving_refused",
                "Requests refused by the private port, by error code",
                Family::default(),
            ),
            sql: metrics.counter("serving_sql", "SQL statements taken"),
            events: metrics.register(
                "events",
                "Events by outcome, of offsets below enriched; payload_events is the sum of enriched, failed, duplicates and dropped",
                Family::default(),
            ),
            difference: gauge("events_difference", "payload_events minus all outcomes: 0, or something vanished"),
            journal_end: gauge("journal_next_offset", "Offset of the next record to be written"),
            enriched: gauge("enriched_offset", "First offset that is not enriched"),
            boundary: gauge("boundary_offset", "Offset up to which the warehouse is complete"),
            visible_p99: gauge("visible_lag_p99_milliseconds", "From receipt to being in an answer, last minute"),
            commit_lag: gauge("commit_lag_milliseconds", "Age of the oldest event that is not in the warehouse"),
            depth: metrics.register("link_depth", "Messages waiting in a link between stages", Family::default()),
            bound: metrics.register("link_bound", "Most messages that a link holds", Family::default()),
            streams: gauge("serving_streams", "Open live streams"),
        }
    }

    /// The counter of a route.
    pub fn route(&self, method: &Method, path: &str) -> Counter {
        let label = RouteLabel { method: method.to_string(), path: path.to_owned() };
        self.requests.get_or_create(&label).clone()
    }

    /// Counts a refused request.
    pub fn refused(&self, code: &str) {
        self.refused.get_or_create(&Code { code: code.to_owned() }).inc();
    }

    /// Counts a statement.
    pub fn sql(&self) {
        self.sql.inc();
    }

    fn events(&self, tally: &Tally) {
        for (name, n) in [
            ("payload_events", tally.payload_events),
            ("enriched", tally.enriched),
            ("failed", tally.standing()),
            ("duplicates", tally.duplicates),
            ("dropped", tally.dropped),
            ("repaired", tally.repaired),
        ] {
            self.events.get_or_create(&Named { name: name.to_owned() }).set(signed(n));
        }
        self.difference.set(i64::try_from(super::facts::difference(tally)).unwrap_or(i64::MAX));
    }
}

fn signed(n: u64) -> i64 {
    i64::try_from(n).unwrap_or(i64::MAX)
}

pub(super) async fn get(State(api): State<Shared>) -> ApiResult {
    // A warehouse that is away must not take the other metrics with it.
    let counted = api.read("serving.view_timeout", count).await;
    if let Err(e) = counted {
        tracing::debug!(problem = %e.body(), "metrics without the counts of both layers");
    }
    let now = api.deps.clock.now_ms();
    let m = &api.metrics;
    m.journal_end.set(signed((api.deps.journal.end)().0));
    let speed = &api.deps.speed;
    m.boundary.set(signed(speed.boundary().offset.0));
    m.visible_p99.set(i64::from(speed.visible().p99.unwrap_or(0)));
    m.commit_lag.set(super::facts::commit_lag(&speed.batches(), now));
    m.streams.set((api.config.live_max - api.streams.available_permits()) as i64);
    for link in &api.deps.links {
        let name = Named { name: link.name().to_owned() };
        m.depth.get_or_create(&name).set(signed(link.depth()));
        m.bound.get_or_create(&name).set(link.bound() as i64);
    }
    let text = api.deps.metrics.render().map_err(|e| ApiError::internal(e.to_string()))?;
    Ok(reply::text(CONTENT_TYPE, text))
}

fn count(api: &Shared) -> ApiResult<()> {
    let api: &Api = api;
    let mut seam = super::merge::Seam::open(api)?;
    let memory = seam.memory(&[], false)?;
    api.metrics.events(&super::merge::equation(&seam.committed()?, &memory.tally));
    api.metrics.enriched.set(signed(memory.applied.0));
    Ok(())
}
