//! `GET /v1/failed`: failed events by cause, with what to do about each.
//!
//! The last hour comes from memory, where failures are grouped as they happen; a page may ask for it every few seconds. A
//! longer range is read from both halves: the bad rows in the warehouse and those above its boundary.

mod explain;
mod range;
mod words;

pub use explain::{Advice, explain};

use super::api::{Api, Shared};
use super::error::{ApiError, ApiResult};
use super::params::{self, Params, rfc3339};
use super::reply::{self, verbatim};
use crate::event::{BadRowKind, Cause, EventAddr, Offset, SchemaKey};
use crate::platform::clock::Millis;
use axum::extract::{RawQuery, State};
use jiff::tz::TimeZone;
use serde::Serialize;
use serde_json::Value;
use serde_json::value::RawValue;
use sha1::{Digest, Sha1};

const KNOWN: [&str; 7] = ["from", "to", "app", "cause", "schema", "limit", "examples"];
/// How far back memory reaches.
const HOUR_MS: Millis = 3_600_000;
const FIVE_MINUTES_MS: Millis = 300_000;
/// Applications that are listed of one cause.
const MAX_APPS: usize = 20;
/// Points of a series.
const POINTS: usize = 30;

/// Name of a cause: the same for all failures that differ only in values, on every machine and after every restart. The
/// speed layer names causes alike.
pub fn cause_id(cause: &Cause) -> String {
    let mut hash = Sha1::new();
    let parts = [Some(cause.kind.name()), Some(cause.failure.as_str())];
    let rest = [cause.schema.as_deref(), cause.path.as_deref(), cause.keyword.as_deref()];
    for part in parts.into_iter().chain(rest) {
        hash.update(part.unwrap_or("\u{1}").as_bytes());
        hash.update([0]);
    }
    hash.finalize().iter().take(8).map(|b| format!("{b:02x}")).collect()
}

/// Looks up what explanations need in this process.
#[derive(Clone, Debug)]
pub struct LocalAdvice {
    api: Shared,
    base_url: String,
}

impl LocalAdvice {
    /// Advice for whoever reaches this port on this machine.
    pub fn new(api: &Shared) -> Self {
        LocalAdvice { base_url: api.base_url(), api: api.clone() }
    }
}

impl Advice for LocalAdvice {
    fn schemas(&self, prefix: &str) -> Vec<SchemaKey> {
        self.api.deps.registry.list(prefix)
    }
    fn base_url(&self) -> &str {
        &self.base_url
    }
}

/// What was asked.
#[derive(Debug)]
struct Ask {
    from: Millis,
    to: Millis,
    /// Whether the range ends now and memory reaches back to its start.
    recent: bool,
    app: Option<String>,
    cause: Option<String>,
    schema: Option<String>,
    limit: usize,
    examples: usize,
}

/// Failures with one cause, from wherever they came.
#[derive(Clone, Debug)]
struct Group {
    cause: Cause,
    count: u64,
    first: Millis,
    last: Millis,
    apps: Vec<(Option<String>, u64)>,
    series: Vec<u64>,
    examples: Vec<Example>,
}

#[derive(Clone, Debug)]
struct Example {
    addr: EventAddr,
    app_id: Option<String>,
    time: Option<Millis>,
    bad_row: String,
}

/// All groups of a range.
#[derive(Debug)]
struct Found {
    groups: Vec<Group>,
    /// Failed events that are known only as a number.
    uncaused: u64,
    boundary: Option<(Value, Offset)>,
}

pub(super) async fn get(State(api): State<Shared>, RawQuery(query): RawQuery) -> ApiResult {
    let ask = Ask::read(&Params::parse(query.as_deref(), &KNOWN)?, api.deps.clock.now_ms())?;
    let answer = api
        .read("serving.view_timeout", move |api| {
            let found = if ask.recent { recent(api, &ask) } else { range::read(api, &ask)? };
            Ok(answer(api, &ask, found))
        })
        .await?;
    Ok(reply::json(&answer))
}

impl Ask {
    fn read(params: &Params, now: Millis) -> ApiResult<Self> {
        let time = |name: &str| params.get(name)?.map(|t| params::time(name, t, now, &TimeZone::UTC)).transpose();
        let (from, to) = (time("from")?, time("to")?);
        let start = from.unwrap_or(now - FIVE_MINUTES_MS);
        let end = to.unwrap_or(now);
        if start >= end {
            return Err(ApiError::bad("the range is empty: from is not before to"));
        }
        let number = |name: &str, most: u64, usual: u64| -> ApiResult<usize> {
            let n = params.number(name, u64::from(name == "limit"), most)?.unwrap_or(usual);
            usize::try_from(n).map_err(|_| ApiError::bad(format!("{name} is too large")))
        };
        let text = |name: &str| params.get(name).map(|v| v.map(str::to_owned));
        let app = text("app")?;
        Ok(Ask {
            from: start,
            to: end,
            // Memory counts applications since the start of the process, so it cannot answer for one of them.
            recent: to.is_none() && start >= now - HOUR_MS && app.is_none(),
            app,
            cause: text("cause")?,
            schema: text("schema")?,
            limit: number("limit", 1000, 100)?,
            examples: number("examples", 20, 3)?,
        })
    }

    fn wants(&self, cause: &Cause) -> bool {
        self.schema.as_ref().is_none_or(|s| cause.schema.as_ref() == Some(s))
            && self.cause.as_ref().is_none_or(|id| *id == cause_id(cause))
    }
}

/// What memory knows of the last hour.
fn recent(api: &Api, ask: &Ask) -> Found {
    let groups = api.deps.speed.failed_causes(ask.to - ask.from).into_iter().filter(|g| ask.wants(&g.cause));
    let groups = groups.map(|g| Group {
        count: g.count,
        first: g.first_ms,
        last: g.last_ms,
        apps: g.apps.into_iter().map(|(app, n)| (Some(app).filter(|a| !a.is_empty()), n)).collect(),
        series: g.series,
        examples: g
            .examples
            .into_iter()
            .map(|e| Example {
                addr: e.addr,
                app_id: e.app_id,
                time: Some(e.collector_ms),
                bad_row: e.bad_row.to_string(),
            })
            .collect(),
        cause: g.cause,
    });
    Found { groups: groups.collect(), uncaused: 0, boundary: None }
}

#[derive(Serialize)]
struct Listed {
    cause_id: String,
    #[serde(flatten)]
    words: explain::Explained,
    kind: BadRowKind,
    failure: String,
    schema: Option<String>,
    keyword: Option<String>,
    message: String,
    apps: Vec<Option<String>>,
    count: u64,
    first: String,
    last: String,
    series: Vec<u64>,
    examples: Vec<Shown>,
}

/// One failed event, its bad row as it was written.
#[derive(Serialize)]
struct Shown {
    offset: Offset,
    index: u32,
    app_id: Option<String>,
    time: Option<String>,
    bad_row: Box<RawValue>,
}

/// The reply.
#[derive(Serialize)]
struct Answer {
    as_of: String,
    from: String,
    to: String,
    boundary: Value,
    enriched: Option<Offset>,
    total: u64,
    causes: usize,
    uncaused: u64,
    failed: Vec<Listed>,
}

fn answer(api: &Shared, ask: &Ask, found: Found) -> Answer {
    let advice = LocalAdvice::new(api);
    let Found { mut groups, uncaused, boundary } = found;
    groups.sort_by(|a, b| b.count.cmp(&a.count).then(b.last.cmp(&a.last)));
    let total = groups.iter().map(|g| g.count).sum::<u64>() + uncaused;
    let causes = groups.len();
    groups.truncate(ask.limit);
    let failed: Vec<Listed> = groups.into_iter().map(|g| listed(g, ask.examples, &advice)).collect();
    let (boundary, enriched) = boundary.map_or((Value::Null, None), |(b, e)| (b, Some(e)));
    Answer {
        as_of: rfc3339(api.deps.clock.now_ms()),
        from: rfc3339(ask.from),
        to: rfc3339(ask.to),
        boundary,
        enriched,
        total,
        causes,
        uncaused,
        failed,
    }
}

fn listed(mut group: Group, examples: usize, advice: &dyn Advice) -> Listed {
    let bad_row = group.examples.first().map_or("", |e| e.bad_row.as_str());
    let words = explain(&group.cause, bad_row, advice);
    group.apps.sort_by_key(|app| std::cmp::Reverse(app.1));
    group.apps.truncate(MAX_APPS);
    let example = |e: &Example| Shown {
        offset: e.addr.offset,
        index: e.addr.index,
        app_id: e.app_id.clone(),
        time: e.time.map(rfc3339),
        bad_row: verbatim(e.bad_row.clone()),
    };
    Listed {
        cause_id: cause_id(&group.cause),
        words,
        kind: group.cause.kind,
        apps: group.apps.into_iter().map(|(app, _)| app).collect(),
        count: group.count,
        first: rfc3339(group.first),
        last: rfc3339(group.last),
        series: group.series,
        examples: group.examples.iter().take(examples).map(example).collect(),
        failure: group.cause.failure,
        schema: group.cause.schema,
        keyword: group.cause.keyword,
        message: group.cause.message,
    }
}
