//! Facts of the running pipeline in the form in which status and live frames show them.

use super::api::Api;
use super::deps::{BatchState, SinkState};
use super::params::rfc3339;
use crate::event::{Boundary, Tally};
use crate::platform::clock::Millis;
use serde_json::{Value, json};

/// `{"offset":N,"time":…}`; no time before the first commit.
pub fn boundary(b: &Boundary) -> Value {
    let time = (b.time_ms > 0).then(|| rfc3339(b.time_ms));
    json!({"offset": b.offset, "time": time})
}

/// The equation of promise P2.
pub fn equation(t: &Tally) -> Value {
    json!({
        "payload_events": t.payload_events, "enriched": t.enriched, "failed": t.failed,
        "duplicates": t.duplicates, "dropped": t.dropped,
    })
}

/// What is missing from the equation: 0, or the program has a fault.
pub fn difference(t: &Tally) -> i128 {
    i128::from(t.payload_events)
        - i128::from(t.enriched)
        - i128::from(t.failed)
        - i128::from(t.duplicates)
        - i128::from(t.dropped)
}

/// A micro-batch that is not committed.
pub fn batch(b: &BatchState) -> Value {
    let time = |ms: Option<Millis>| ms.filter(|ms| *ms > 0).map(rfc3339);
    json!({
        "from": b.from, "to": b.to, "state": b.state, "rows": b.rows, "bytes": b.bytes,
        "times": {"first": time(b.first_ms), "last": time(b.last_ms), "sealed": time(b.sealed_ms)},
        "error": b.error,
    })
}

/// A place that data leave to.
pub fn sink(s: &SinkState) -> Value {
    json!({
        "name": s.name, "kind": s.kind, "state": s.state, "last_success": s.last_success_ms.map(rfc3339),
        "retries": s.retries, "error": s.error,
    })
}

/// How long events take: to be visible, and how old the oldest is that is not committed.
pub fn lag_ms(api: &Api, batches: &[BatchState], now: Millis) -> Value {
    let oldest = batches.iter().filter_map(|b| b.first_ms).filter(|ms| *ms > 0).min();
    json!({"visible_p99": api.hub.feed.visible_p99(now), "commit": oldest.map_or(0, |ms| (now - ms).max(0))})
}

/// Events a second over ten seconds.
pub fn rates(api: &Api, now: Millis) -> Value {
    let (events, failed) = api.hub.feed.rates(now);
    json!({"events": round(events), "failed": round(failed)})
}

/// One decimal is all that a rate over ten seconds has.
pub fn round(rate: f64) -> f64 {
    (rate * 10.0).round() / 10.0
}

pub fn committed(_b: &u32) -> Value {
    Value::Null
}
