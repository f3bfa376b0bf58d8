//! `GET /v1/tail`: every wanted event as it is enriched, for terminals and scripts.
//!
//! A reader that is too slow misses events and is told how many; it never holds the
//! pipeline up.

use super::api::Shared;
use super::error::ApiResult;
use super::event_row::{self, Selection, States};
use super::failures::LocalAdvice;
use super::params::Params;
use super::sse;
use crate::speed::{Item, Progress};
use axum::extract::{RawQuery, State};
use bytes::{Bytes, BytesMut};
use std::collections::VecDeque;
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, watch};

const KNOWN: [&str; 6] = ["st", "cols", "full", "last", "where", "f."];
/// Silence after which a comment is sent.
const KEEP_ALIVE: Duration = Duration::from_secs(10);
/// Bytes that are written at once.
const PIECE: usize = 64 * 1024;

struct Stream {
    api: Shared,
    advice: LocalAdvice,
    selection: Selection,
    columns: Vec<usize>,
    full: bool,
    /// Number of the next event that was not taken.
    next: u64,
    progress: watch::Receiver<Progress>,
    /// Events that were taken and not written yet.
    waiting: VecDeque<Item>,
    _place: OwnedSemaphorePermit,
}

pub(super) async fn get(State(api): State<Shared>, RawQuery(query): RawQuery) -> ApiResult {
    let params = Params::parse(query.as_deref(), &KNOWN)?;
    let states = params.list("st")?.unwrap_or_else(|| vec!["good", "failed"]);
    let selection = Selection::new(States::parse("st", &states)?, &params.conditions()?)?;
    let columns = event_row::columns(&params.list("cols")?.unwrap_or_default())?;
    let last = params.number("last", 0, 1000)?.unwrap_or(0);
    let full = params.flag("full")?;
    let place = api.stream_place()?;
    let stream = Stream {
        advice: LocalAdvice::new(&api),
        progress: api.deps.speed.subscribe(),
        next: api.deps.speed.recent_end().saturating_sub(last),
        api,
        selection,
        columns,
        full,
        waiting: VecDeque::new(),
        _place: place,
    };
    Ok(sse::response(futures_util::stream::unfold(stream, Stream::step)))
}

impl Stream {
    async fn step(mut self) -> Option<(Bytes, Self)> {
        let drain = self.api.deps.drain.clone();
        loop {
            if drain.is_raised() {
                return None;
            }
            let piece = self.piece();
            if !piece.is_empty() {
                return Some((piece, self));
            }
            self.progress.borrow_and_update();
            let selection = &self.selection;
            let passed = self.api.deps.speed.passed(self.next, usize::MAX / 2, &|event| selection.takes(event));
            self.next = passed.next;
            self.waiting = passed.shown.into();
            if passed.missed > 0 {
                return Some((sse::event("skipped", &format!("{{\"skipped\":{}}}", passed.missed)), self));
            }
            if self.waiting.is_empty() {
                tokio::select! {
                    changed = self.progress.changed() => changed.ok()?,
                    () = tokio::time::sleep(KEEP_ALIVE) => return Some((sse::keep_alive(), self)),
                    () = drain.raised() => return None,
                }
            }
        }
    }

    /// Writes what was taken, up to about [`PIECE`] bytes.
    fn piece(&mut self) -> Bytes {
        let now = self.api.deps.clock.now_ms();
        let mut out = BytesMut::new();
        let mut text = String::new();
        while out.len() < PIECE
            && let Some(item) = self.waiting.pop_front()
        {
            let event = item.processed();
            text.clear();
            if self.full {
                event_row::write_full(event, now, &self.advice, &mut text);
            } else {
                event_row::write(event, &self.columns, now, &self.advice, &mut text);
            }
            out.extend_from_slice(&sse::event(event_row::state(&event.outcome), &text));
        }
        out.freeze()
    }
}
