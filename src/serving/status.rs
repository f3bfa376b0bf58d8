//! `GET /v1/status`: how far everything is, as of one moment.

use super::api::{Api, Shared};
use super::error::ApiResult;
use super::merge::{self, Seam};
use super::params::rfc3339;
use super::{demo, facts, records, reply};
use crate::pipeline::bound::Bound;
use axum::extract::State;
use parking_lot::Mutex;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::time::Instant;

/// Committed micro-batches that are listed after the uncommitted ones.
const COMMITTED: usize = 32;

pub(super) async fn get(State(api): State<Shared>) -> ApiResult {
    let status = api.read("serving.view_timeout", |api| status(api)).await?;
    Ok(reply::json(&status))
}

fn status(api: &Api) -> ApiResult<Value> {
    let mut seam = Seam::open(api)?;
    let memory = seam.memory(&[], false)?;
    let committed = seam.committed()?;
    // Read last, so that the end is never before what was enriched.
    let journal_end = (api.deps.journal.end)().max(memory.applied);
    let now = api.deps.clock.now_ms();
    let equation = merge::equation(&committed, &memory.tally);
    let mut batches: Vec<Value> = memory.batches.iter().map(facts::batch).collect();
    batches.extend(records::batches(api, &mut seam, COMMITTED)?);
    Ok(json!({
        "version": api.deps.ui.version,
        "boot": api.boot,
        "started": rfc3339(api.started_ms),
        "at": rfc3339(now),
        "journal_first": (api.deps.journal.first)(),
        "journal_end": journal_end,
        "enriched": memory.applied,
        "boundary": facts::boundary(&seam.boundary),
        "equation": facts::equation(&equation),
        "difference": facts::difference(&equation),
        "committed": facts::equation(&committed),
        "lag_ms": facts::lag_ms(api, &memory.batches, now),
        "rates": facts::rates(api),
        "batches": batches,
        "links": api.links.read(api),
        "sinks": api.deps.sinks.iter().map(|sink| facts::sink(&sink())).collect::<Vec<_>>(),
        "bounds": bounds(api),
        "assets": api.deps.assets,
        "streams": {"open": api.config.live_max - api.streams.available_permits(), "bound": api.config.live_max},
        "ui": {
            "mode": api.deps.ui.mode,
            "collector_url": api.deps.ui.collector_url,
            "version": api.deps.ui.version,
            "demo": demo::is_allowed(api),
        },
    }))
}

/// The bounds of all boxes, our own last.
fn bounds(api: &Api) -> Vec<Bound> {
    let mut all: Vec<Bound> = api.deps.bounds.iter().flat_map(|list| list()).collect();
    all.push(api.stream_bound());
    all
}

/// Rates of the links, from one look at them to the next.
#[derive(Debug, Default)]
pub struct LinkRates(Mutex<BTreeMap<&'static str, (Instant, u64, f64)>>);

impl LinkRates {
    fn read(&self, api: &Api) -> Vec<Value> {
        let mut seen = self.0.lock();
        let mut out = Vec::new();
        for link in &api.deps.links {
            let (now, passed) = (Instant::now(), link.passed());
            let (at, before, rate) = seen.get(link.name()).copied().unwrap_or((now, passed, 0.0));
            let seconds = now.duration_since(at).as_secs_f64();
            // Looks in quick succession would make the rate jump; they see the last one.
            let rate = if seconds >= 0.5 { passed.saturating_sub(before) as f64 / seconds } else { rate };
            if seconds >= 0.5 || !seen.contains_key(link.name()) {
                seen.insert(link.name(), (now, passed, rate));
            }
            out.push(json!({
                "name": link.name(), "depth": link.depth(), "bound": link.bound(), "passed": passed,
                "rate": facts::round(rate),
            }));
        }
        out
    }
}
