//! Facts of the running pipeline in the form in which status and live frames show them.

use super::api::Api;
use super::deps::SinkState;
use super::params::rfc3339;
use crate::event::{Boundary, Tally};
use crate::platform::clock::Millis;
use crate::speed::{BatchInfo, Times};
use serde_json::{Value, json};

/// `{"offset":N,"time":…}`; no time before the first commit.
pub fn boundary(b: &Boundary) -> Value {
    json!({"offset": b.offset, "time": time(b.time_ms)})
}

/// RFC 3339, or `null` for a time that has not come.
pub fn time(ms: Millis) -> Option<String> {
    (ms > 0).then(|| rfc3339(ms))
}

/// The equation of promise P2: `failed` are the failures that stand, `repaired` those that a replay has ended.
pub fn equation(t: &Tally) -> Value {
    json!({
        "payload_events": t.payload_events, "enriched": t.enriched, "failed": t.standing(),
        "duplicates": t.duplicates, "dropped": t.dropped, "repaired": t.repaired,
    })
}

/// What is missing from the equation: 0, or the program has a fault.
pub fn difference(t: &Tally) -> i128 {
    i128::from(t.payload_events)
        - i128::from(t.enriched)
        - i128::from(t.standing())
        - i128::from(t.duplicates)
        - i128::from(t.dropped)
}

/// A micro-batch that is not committed.
pub fn batch(b: &BatchInfo) -> Value {
    let Times { first, last, opened, sealed, written, uploaded, committing } = b.times;
    json!({
        "from": b.from, "to": b.to, "state": b.state, "rows": b.rows, "bytes": b.bytes,
        "times": {
            "first": time(first), "last": time(last), "opened": time(opened), "sealed": time(sealed),
            "written": time(written), "uploaded": time(uploaded), "committing": time(committing),
        },
    })
}

/// A place that data leave to.
pub fn sink(s: &SinkState) -> Value {
    json!({
        "name": s.name, "kind": s.kind, "state": s.state, "last_success": s.last_success_ms.map(rfc3339),
        "retries": s.retries, "error": s.error,
    })
}

/// Age of the oldest event that is not committed, milliseconds; 0 when all are.
pub fn commit_lag(batches: &[BatchInfo], now: Millis) -> i64 {
    let oldest = batches.iter().map(|b| b.times.first).filter(|ms| *ms > 0).min();
    oldest.map_or(0, |ms| (now - ms).max(0))
}

/// How long events take: to be visible, and to be committed.
pub fn lag_ms(api: &Api, batches: &[BatchInfo], now: Millis) -> Value {
    let visible = api.deps.speed.visible();
    json!({"visible_p50": visible.p50, "visible_p99": visible.p99, "commit": commit_lag(batches, now)})
}

/// Events a second over ten seconds.
pub fn rates(api: &Api) -> Value {
    let rates = api.deps.speed.rates();
    json!({"events": round(rates.events), "failed": round(rates.failed)})
}

/// One decimal is all that a rate over ten seconds has.
pub fn round(rate: f64) -> f64 {
    (rate * 10.0).round() / 10.0
}
