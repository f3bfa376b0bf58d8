//! `GET /v1/live`: one stream per open page, with everything on it.

pub mod feed;
pub mod hub;
mod rolling;
mod split;

use super::api::{Api, Shared};
use super::error::{ApiError, ApiResult};
use super::event_row::{self, Selection, States};
use super::failures::LocalAdvice;
use super::params::Params;
use super::question::Question;
use super::sse;
use crate::event::json::write_string;
use crate::event::{Chunk, Processed};
use crate::platform::clock::Millis;
use axum::extract::{RawQuery, State};
use bytes::Bytes;
use feed::WallView;
use hub::{Hub, Moment, Seat};
use serde_json::json;
use std::fmt::Write;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, watch};

/// Questions of one stream.
const MAX_QUESTIONS: usize = 4;
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
    wall: Option<usize>,
    wall_name: String,
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
        let wall_name = params.get("wall")?.unwrap_or("");
        let wall = if wall_name.is_empty() { None } else { event_row::columns(&[wall_name])?.first().copied() };
        let states = params.list("tail")?.map(|list| States::parse("tail", &list)).transpose()?;
        let tail = states.map(|s| Selection::new(s, &params.conditions()?)).transpose()?;
        Ok(Plan {
            period: Duration::from_millis(1000 / hz),
            questions,
            wall,
            wall_name: wall_name.to_owned(),
            tail,
            columns: event_row::columns(&params.list("cols")?.unwrap_or_default())?,
        })
    }
}

pub(super) async fn get(State(api): State<Shared>, RawQuery(query): RawQuery) -> ApiResult {
    let plan = Plan::read(&api, &Params::parse(query.as_deref(), &KNOWN)?)?;
    let place = api.stream_place()?;
    let hello = sse::event("hello", &hello(&api, &plan)?);
    let (seat, moments) = Hub::sit(&api, plan.questions.clone());
    let stream = Stream {
        advice: LocalAdvice::new(&api),
        next: api.hub.feed.place(0),
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
    let wall = plan.wall.and_then(|c| api.hub.feed.wall(c, now));
    let wall = wall.map(|w| json!({"dimension": plan.wall_name, "keys": *w.keys}));
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
    /// Place in the feed.
    next: u64,
    wall_keys: Option<Arc<Vec<Option<Box<str>>>>>,
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
        // The next frame is due one period after this one was, so that ticks and frames do not drift apart.
        let now = tokio::time::Instant::now();
        self.due = (self.due + self.plan.period).max(now);
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
        if let Some(column) = self.plan.wall {
            self.wall(column, moment.at, &mut out);
        }
        if self.plan.tail.is_some() {
            self.tail(moment.at, &mut out);
        }
        out.push('}');
        out
    }

    fn wall(&mut self, column: usize, now: Millis, out: &mut String) {
        let feed = &self.api.hub.feed;
        let Some(wall) = feed.wall(column, now) else { return };
        let seconds = feed.seconds(now);
        let WallView { keys, events, failed, last } = wall;
        out.push_str(",\"wall\":{");
        if self.wall_keys.as_ref().is_none_or(|known| known.len() != keys.len()) {
            out.push_str("\"keys\":[");
            for (i, key) in keys.iter().enumerate() {
                if i > 0 {
                    out.push(',');
                }
                match key {
                    Some(key) => write_string(key, out),
                    None => out.push_str("null"),
                }
            }
            let times = last.iter().map(|at| if *at > 0 { json!(at) } else { json!(null) }).collect();
            let _ = write!(out, "],\"last\":{},", serde_json::Value::Array(times));
            self.wall_keys = Some(keys);
        }
        let rate = |n: &u64| super::facts::round(*n as f64 / seconds);
        let list = |values: Vec<serde_json::Value>| serde_json::Value::Array(values).to_string();
        let v = list(events.iter().map(|n| json!(rate(n))).collect());
        let f = list(failed.iter().map(|n| json!(rate(n))).collect());
        let _ = write!(out, "\"v\":{v},\"failed\":{f}}}");
    }

    fn tail(&mut self, now: Millis, out: &mut String) {
        let Some(selection) = &self.plan.tail else { return };
        let news = self.api.hub.feed.since(self.next);
        self.next = news.next;
        let (seen, rows) = choose(&news.chunks, selection);
        let _ = write!(out, ",\"tail\":{{\"seen\":{seen},\"shown\":{},\"gap\":{},\"rows\":[", rows.len(), news.gap);
        for (i, event) in rows.into_iter().enumerate() {
            if i > 0 {
                out.push(',');
            }
            event_row::write(event, &self.plan.columns, now, &self.advice, out);
        }
        out.push_str("]}");
    }
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

/// The events to show: failed ones first, the rest spread evenly over what came; in the order of arrival.
fn choose<'c>(chunks: &'c [Arc<Chunk>], selection: &Selection) -> (usize, Vec<&'c Processed>) {
    let wanted: Vec<&Processed> = chunks.iter().flat_map(|c| &c.items).filter(|i| selection.takes(i)).collect();
    let is_failed = |e: &Processed| matches!(e.outcome, crate::event::Outcome::Failed(_));
    let failed: Vec<&Processed> = wanted.iter().copied().filter(|e| is_failed(e)).collect();
    let others: Vec<&Processed> = wanted.iter().copied().filter(|e| !is_failed(e)).collect();
    // Failed events come first, but a flood of them leaves a quarter of the places to the rest.
    let reserved = others.len().min(MAX_TAIL / 4);
    let mut rows = spread(&failed, MAX_TAIL - reserved);
    rows.extend(spread(&others, MAX_TAIL - rows.len()));
    rows.sort_by_key(|e| e.addr);
    (wanted.len(), rows)
}

fn spread<'c>(events: &[&'c Processed], most: usize) -> Vec<&'c Processed> {
    let n = events.len().min(most);
    (0..n).filter_map(|i| events.get(i * events.len() / n)).copied().collect()
}
