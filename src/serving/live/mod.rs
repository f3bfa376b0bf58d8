//! `GET /v1/live`: one stream per open page, with everything on it.

pub mod hub;
mod split;
mod windows;

use super::api::{Api, Shared};
use super::error::{ApiError, ApiResult};
use super::event_row::{self, Selection, States};
use super::failures::LocalAdvice;
use super::params::Params;
use super::question::Question;
use super::sse;
use crate::platform::clock::Millis;
use crate::speed::Site;
use axum::extract::{RawQuery, State};
use bytes::Bytes;
use hub::{Hub, Moment, Seat};
use serde_json::json;
use std::fmt::Write;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, watch};

/// Questions of one stream.
const MAX_QUESTIONS: usize = 4;
/// The column that the wall is by.
const WALL: &str = "app_id";
/// Events of the tail in one frame.
const MAX_TAIL: usize = 20;
const KNOWN: [&str; 8] = ["hz", "q", "tz", "wall", "tail", "cols", "where", "f."];
/// A stream that has no moment to show says so, so that nobody takes the connection for dead.
const SILENCE: Duration = Duration::from_secs(2);

/// What a stream asked for.
#[derive(Debug)]
struct Plan {
    period: Duration,
    questions: Vec<Arc<Question>>,
    /// Whether the wall is wanted.
    wall: bool,
    tail: Option<Selection>,
    columns: Vec<usize>,
}

impl Plan {
    fn read(api: &Api, params: &Params) -> ApiResult<Self> {
        let hz = params.number("hz", 1, 10)?.unwrap_or(4);
        let tz = params.get("tz")?;
        let mut questions = Vec::new();
        for text in params.all("q") {
            if questions.len() == MAX_QUESTIONS {
                return Err(ApiError::bad(format!("more than {MAX_QUESTIONS} q")).hint("open a second stream"));
            }
            let question = Question::parse(text, tz)?.open_ended();
            question.plan(api, api.deps.clock.now_ms())?;
            questions.push(Arc::new(question));
        }
        let wall = match params.get("wall")? {
            None | Some("") => false,
            Some(WALL) => true,
            Some(other) => {
                return Err(ApiError::bad(format!("there is no wall by \"{other}\"")).hint("there is one by app_id"));
            }
        };
        let states = params.list("tail")?.map(|list| States::parse("tail", &list)).transpose()?;
        let tail = states.map(|s| Selection::new(s, &params.conditions()?)).transpose()?;
        Ok(Plan {
            period: Duration::from_millis(1000 / hz),
            questions,
            wall,
            tail,
            columns: event_row::columns(&params.list("cols")?.unwrap_or_default())?,
        })
    }
}

pub(super) async fn get(State(api): State<Shared>, RawQuery(query): RawQuery) -> ApiResult {
    let plan = Plan::read(&api, &Params::parse(query.as_deref(), &KNOWN)?)?;
    let place = api.stream_place()?;
    let hello = sse::event("hello", &hello(&api, &plan)?);
    let (seat, moments) = Hub::sit(&api, plan.questions.clone(), plan.period);
    let stream = Stream {
        advice: LocalAdvice::new(&api),
        next: api.deps.speed.recent_end(),
        api,
        plan,
        moments,
        last: None,
        due: tokio::time::Instant::now(),
        wall_keys: None,
        hello: Some(hello),
        _seat: seat,
        _place: place,
    };
    Ok(sse::response(futures_util::stream::unfold(stream, Stream::step)))
}

fn hello(api: &Api, plan: &Plan) -> ApiResult<String> {
    let now = api.deps.clock.now_ms();
    let mut queries = Vec::new();
    for question in &plan.questions {
        let planned = question.plan(api, now)?;
        let measures = planned.view.measures();
        let error: serde_json::Map<String, serde_json::Value> =
            measures.iter().filter_map(|m| m.error().map(|e| (m.name.clone(), e.into()))).collect();
        queries.push(json!({
            "view": planned.view.name(), "grain": planned.grain(), "dimensions": planned.dimensions(),
            "measures": measures.iter().map(|m| &m.name).collect::<Vec<_>>(), "error": error,
        }));
    }
    let keys: Vec<Option<String>> = api.deps.speed.sites().into_iter().map(|s| s.app_id).collect();
    let wall = plan.wall.then(|| json!({"dimension": WALL, "keys": keys}));
    let hz = 1000 / plan.period.as_millis().max(1);
    let version = &api.deps.ui.version;
    Ok(json!({"boot": api.boot, "version": version, "hz": hz, "queries": queries, "wall": wall}).to_string())
}

/// One stream: what it has been sent already.
struct Stream {
    api: Shared,
    plan: Plan,
    advice: LocalAdvice,
    moments: watch::Receiver<Option<Arc<Moment>>>,
    /// Number of the last moment that was sent.
    last: Option<u64>,
    due: tokio::time::Instant,
    /// Number of the next event of the tail.
    next: u64,
    wall_keys: Option<Vec<Option<String>>>,
    hello: Option<Bytes>,
    _seat: Seat,
    _place: OwnedSemaphorePermit,
}

impl Stream {
    /// The next event; `None` ends the stream.
    async fn step(mut self) -> Option<(Bytes, Self)> {
        if let Some(hello) = self.hello.take() {
            return Some((hello, self));
        }
        let drain = self.api.deps.drain.clone();
        tokio::select! {
            () = tokio::time::sleep_until(self.due) => {}
            () = drain.raised() => return None,
        }
        let moment = tokio::select! {
            moment = wait(&mut self.moments, &self.plan.questions) => moment?,
            () = drain.raised() => return None,
            () = tokio::time::sleep(SILENCE) => return Some((sse::keep_alive(), self)),
        };
        // A little early is right: a tick that is due must not be missed by a hair, which would halve the rate.
        self.due = tokio::time::Instant::now() + self.plan.period.mul_f64(0.8);
        let frame = self.frame(&moment);
        self.last = Some(moment.seq);
        Some((sse::event("frame", &frame), self))
    }

    fn frame(&mut self, moment: &Moment) -> String {
        let mut out = String::with_capacity(4096);
        out.push('{');
        out.push_str(&moment.common);
        out.push_str(",\"split\":[");
        let mut first = true;
        let mut cut = Vec::new();
        for (q, question) in self.plan.questions.iter().enumerate() {
            if let Some(table) = moment.tables.get(question) {
                table.write_since(q, self.last, &mut first, &mut out);
                if table.is_cut() {
                    cut.push(q);
                }
            }
        }
        out.push(']');
        if !cut.is_empty() {
            let _ = write!(out, ",\"cut\":{}", json!(cut));
        }
        if self.plan.wall {
            self.wall(&moment.sites, &mut out);
        }
        if self.plan.tail.is_some() {
            self.tail(moment.at, &mut out);
        }
        out.push('}');
        out
    }

    fn wall(&mut self, sites: &[Site], out: &mut String) {
        out.push_str(",\"wall\":{");
        let same = self.wall_keys.as_ref().is_some_and(|known| known.iter().eq(sites.iter().map(|s| &s.app_id)));
        if !same {
            let keys: Vec<Option<String>> = sites.iter().map(|s| s.app_id.clone()).collect();
            let last: Vec<Millis> = sites.iter().map(|s| s.last_ms).collect();
            let _ = write!(out, "\"keys\":{},\"last\":{},", json!(keys), json!(last));
            self.wall_keys = Some(keys);
        }
        let list = |rate: fn(&Site) -> f64| json!(sites.iter().map(|s| short(rate(s))).collect::<Vec<_>>());
        let _ = write!(out, "\"v\":{},\"failed\":{}}}", list(|s| s.rate), list(|s| s.failed_rate));
    }

    fn tail(&mut self, now: Millis, out: &mut String) {
        let Some(selection) = &self.plan.tail else { return };
        let passed = self.api.deps.speed.passed(self.next, MAX_TAIL, &|event| selection.takes(event));
        self.next = passed.next;
        let (seen, shown, missed) = (passed.seen, passed.shown.len(), passed.missed);
        let _ = write!(out, ",\"tail\":{{\"seen\":{seen},\"shown\":{shown},\"missed\":{missed},\"rows\":[");
        for (i, item) in passed.shown.iter().enumerate() {
            if i > 0 {
                out.push(',');
            }
            event_row::write(item.processed(), &self.plan.columns, now, &self.advice, out);
        }
        out.push_str("]}");
    }
}

/// A rate in as few characters as it needs: a frame with two hundred of them is sent four times a second.
fn short(rate: f64) -> serde_json::Value {
    let rate = super::facts::round(rate);
    if rate.fract() == 0.0 { json!(rate as i64) } else { json!(rate) }
}

/// Waits for a moment that holds the stream's questions; `None` when there will be none any more.
async fn wait(moments: &mut watch::Receiver<Option<Arc<Moment>>>, questions: &[Arc<Question>]) -> Option<Arc<Moment>> {
    loop {
        moments.changed().await.ok()?;
        let moment = moments.borrow_and_update().clone();
        if let Some(moment) = moment.filter(|m| questions.iter().all(|q| m.tables.contains_key(q))) {
            return Some(moment);
        }
    }
}
