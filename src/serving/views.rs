//! `GET /v1/views` and `GET /v1/views/{name}`: the answers of views, merged or by half.

use super::api::{Api, Shared};
use super::error::{ApiError, ApiResult};
use super::merge::Seam;
use super::params::{Params, rfc3339};
use super::question::{self, Planned, Question};
use super::segments::Segments;
use super::verify::{self, Verified};
use super::{facts, reply};
use crate::event::Offset;
use crate::platform::clock::Millis;
use crate::view::{Half, Layer, Row, View, answer};
use axum::extract::{RawQuery, State};
use serde::Serialize;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::time::Instant;

/// Longest range that is verified.
const VERIFY_MS: Millis = 86_400_000;

pub(super) async fn list(State(api): State<Shared>) -> ApiResult {
    let views: Vec<Value> = api.deps.views.iter().map(|v| describe(v)).collect();
    Ok(reply::json(&json!({"views": views})))
}

fn describe(view: &View) -> Value {
    let measure = |m: &crate::view::Measure| {
        json!({
            "name": m.name, "function": m.function.to_string(), "additive": m.is_additive(), "error": m.error(),
        })
    };
    let span = |ms: &i64| crate::platform::units::Span::from_millis(*ms).to_string();
    json!({
        "name": view.name(),
        "grain": span(&view.grain_ms()),
        "time": view.time().name(),
        "dimensions": view.dimension_names().collect::<Vec<_>>(),
        "measures": view.measures().iter().map(measure).collect::<Vec<_>>(),
        "windows": view.windows().iter().map(span).collect::<Vec<_>>(),
    })
}

/// The reply.
#[derive(Serialize)]
struct Reply {
    view: String,
    layer: Layer,
    grain: String,
    tz: String,
    from: Option<String>,
    to: Option<String>,
    by: Vec<String>,
    boundary: Value,
    enriched: Offset,
    as_of: String,
    rows: Vec<Row>,
    error: BTreeMap<String, f64>,
    other: u64,
    groups_read: u64,
    elapsed_ms: f64,
    sql: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    verify: Option<Verified>,
}

pub(super) async fn get(
    State(api): State<Shared>,
    Segments(name): Segments<String>,
    RawQuery(query): RawQuery,
) -> ApiResult {
    api.view(&name)?;
    let known: Vec<&str> = question::KNOWN.into_iter().chain(["layer", "verify"]).collect();
    let params = Params::parse(query.as_deref(), &known)?;
    let question = Question::read(&name, &params, None)?;
    let layer = match params.get("layer")? {
        None | Some("merged") => Layer::Merged,
        Some("batch") => Layer::Batch,
        Some("speed") => Layer::Speed,
        Some("split") => Layer::Split,
        Some(other) => {
            return Err(
                ApiError::bad(format!("\"layer={other}\" is no layer")).hint("known: merged, batch, speed, split")
            );
        }
    };
    let verified = params.flag("verify")?;
    let now = api.deps.clock.now_ms();
    let planned = question.plan(&api, now)?;
    if verified && planned.plan.to_ms.min(now + VERIFY_MS / 24) - planned.plan.from_ms > VERIFY_MS + VERIFY_MS / 12 {
        return Err(ApiError::bad("the range is too long to be verified").hint("verify at most 24 h at a time"));
    }
    let reply =
        api.read("serving.view_timeout", move |api| answer(api, &question, &planned, layer, verified, now)).await?;
    Ok(reply::json(&reply))
}

fn answer(
    api: &Api,
    question: &Question,
    planned: &Planned,
    layer: Layer,
    verified: bool,
    now: Millis,
) -> ApiResult<Reply> {
    let started = Instant::now();
    let mut seam = Seam::open(api)?;
    let empty = || Half::empty(&planned.view, &planned.plan);
    let batch = if layer == Layer::Speed { empty() } else { seam.batch(planned)? };
    // One read for the groups and the rows, so that what is verified is what is answered.
    let memory = if layer == Layer::Batch && !verified { None } else { Some(seam.memory(&[planned], verified)?) };
    let enriched = match &memory {
        Some(memory) if layer != Layer::Batch => memory.applied,
        _ => seam.boundary.offset,
    };
    let speed = memory.as_ref().and_then(|m| m.halves.first().cloned()).unwrap_or_else(empty);
    let most = api.config.view_max_rows;
    let found = answer::answer(&batch, &speed, layer, most);
    if found.total_rows > most {
        return Err(ApiError::bad(format!("the answer has {} rows, more than {most}", found.total_rows))
            .hint("ask for a shorter range, a coarser grain, or fewer dimensions with by=; the bound is serving.view_max_rows"));
    }
    let verify = match &memory {
        Some(memory) if verified => {
            let batch = if layer == Layer::Speed { seam.batch(planned)? } else { batch };
            let merged = answer::answer(&batch, &speed, Layer::Merged, usize::MAX);
            Some(verify::run(api, &mut seam, memory, planned, &merged)?)
        }
        _ => None,
    };
    Ok(Reply {
        view: planned.view.name().to_owned(),
        layer,
        grain: planned.grain(),
        tz: question.zone().to_owned(),
        from: question.has_start().then(|| rfc3339(planned.plan.from_ms)),
        to: question.has_end().then(|| rfc3339(planned.plan.to_ms)),
        by: planned.dimensions(),
        boundary: facts::boundary(&seam.boundary),
        enriched,
        as_of: rfc3339(now),
        rows: found.rows,
        error: found.error,
        other: found.other_rows,
        groups_read: found.groups_read,
        elapsed_ms: (started.elapsed().as_secs_f64() * 10_000.0).round() / 10.0,
        sql: planned.view.sql(&planned.query)?,
        verify,
    })
}
