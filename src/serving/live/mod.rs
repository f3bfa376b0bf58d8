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
use crate::event::Offset;
use crate::platform::clock::Millis;
use crate::speed::Site;
use axum::extract::{RawQuery, State};
use bytes::Bytes;
use hub::{Hub, Moment, Seat};
use serde_json::json;
use split::SplitTable;
use std::fmt::Write;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, watch};

/// Questions of one stream.
const MAX_QUESTIONS: usize = 4;
/// The column that the wall is by.
const WALL: &str = "app_id";
/// Events of the tail in one frame, and in one second of a steady flow.
const MAX_TAIL: usize = 20;
/// The size that a frame of a steady flow keeps to, and what an event of the tail takes of it.
const FRAME_AIM: usize = 4096;
const TAIL_ROW: usize = 320;
/// How often what is long and hardly changes in a frame's time is told: rates over ten seconds, lists of most frequent values.
const SLOW: Millis = 1000;
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
        sent: plan.questions.iter().map(|_| Sent::default()).collect(),
        wall_at: 0,
        tail_at: 0,
        tail_room: MAX_TAIL as f64,
        api,
        plan,
        moments,
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

/// Up to where the rows of one question were sent.
#[derive(Clone, Copy, Debug, Default)]
struct Sent {
    /// Number of the moment; `None` before the first.
    seq: Option<u64>,
    at: Millis,
    boundary: Offset,
}

/// One stream: what it has been sent already.
struct Stream {
    api: Shared,
    plan: Plan,
    advice: LocalAdvice,
    moments: watch::Receiver<Option<Arc<Moment>>>,
    /// What was sent of every question.
    sent: Vec<Sent>,
    /// When the wall was sent.
    wall_at: Millis,
    /// When events of the tail were sent, and how many may be now.
    tail_at: Millis,
    tail_room: f64,
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
        Some((sse::event("frame", &frame), self))
    }

    /// Whether what is told once a second is due; a frame that comes a little early must not make it two seconds.
    fn is_due(&self, last: Millis, now: Millis) -> bool {
        let half = i64::try_from(self.plan.period.as_millis() / 2).unwrap_or(0);
        now - last >= SLOW - half
    }

    /// Whether the rows of a question are due. Where they carry lists, they come once a second and not in the frame of the
    /// wall; but with a new boundary always, so that both halves of a frame are of one moment.
    fn rows_are_due(&self, q: usize, table: &SplitTable, moment: &Moment, wall: bool) -> bool {
        let Sent { seq, at, boundary } = self.sent[q];
        !table.has_lists() || seq.is_none() || boundary != moment.boundary || (!wall && self.is_due(at, moment.at))
    }

    fn frame(&mut self, moment: &Moment) -> String {
        let mut out = String::with_capacity(4096);
        out.push('{');
        out.push_str(&moment.common);
        out.push_str(",\"split\":[");
        let mut first = true;
        let mut cut = Vec::new();
        let wall = self.plan.wall && self.is_due(self.wall_at, moment.at);
        for (q, question) in self.plan.questions.iter().enumerate() {
            if let Some(table) = moment.tables.get(question) {
                if self.rows_are_due(q, table, moment, wall) {
                    table.write_since(q, self.sent[q].seq, &mut first, &mut out);
                    self.sent[q] = Sent { seq: Some(moment.seq), at: moment.at, boundary: moment.boundary };
                }
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
            self.wall(moment, wall, &mut out);
        }
        if self.plan.tail.is_some() {
            self.tail(moment.at, &mut out);
        }
        out.push('}');
        out
    }

    fn wall(&mut self, moment: &Moment, due: bool, out: &mut String) {
        let sites = &moment.sites;
        let same = self.wall_keys.as_ref().is_some_and(|known| known.iter().eq(sites.iter().map(|s| &s.app_id)));
        if same && !due {
            return;
        }
        self.wall_at = moment.at;
        out.push_str(",\"wall\":{");
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
        let refill = (now - self.tail_at).max(0) as f64 * MAX_TAIL as f64 / 1000.0;
        self.tail_room = (self.tail_room + refill).min(MAX_TAIL as f64);
        self.tail_at = now;
        let most = match self.tail_room as usize {
            // What comes after a calm is shown at once.
            MAX_TAIL => MAX_TAIL,
            room => room.min((FRAME_AIM.saturating_sub(out.len()) / TAIL_ROW).max(1)),
        };
        let passed = self.api.deps.speed.passed(self.next, most, &|event| selection.takes(event));
        self.tail_room -= passed.shown.len() as f64;
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
