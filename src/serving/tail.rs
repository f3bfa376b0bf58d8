//! `GET /v1/tail`: every wanted event as it is enriched, for terminals and scripts.
//!
//! A reader that is too slow misses events and is told how many chunks of them it may have missed; it never holds the
//! pipeline up.

use super::api::Shared;
use super::error::{ApiError, ApiResult};
use super::event_row::{self, Selection, States};
use super::failures::LocalAdvice;
use super::params::Params;
use super::sse;
use crate::event::Chunk;
use axum::extract::{RawQuery, State};
use bytes::{Bytes, BytesMut};
use std::collections::VecDeque;
use std::sync::Arc;
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
    /// Place in the feed.
    next: u64,
    newest: watch::Receiver<u64>,
    /// Chunks that were taken and not written yet, and the first event of the first of them that was not.
    waiting: VecDeque<Arc<Chunk>>,
    at: usize,
    _place: OwnedSemaphorePermit,
}

pub(super) async fn get(State(api): State<Shared>, RawQuery(query): RawQuery) -> ApiResult {
    let params = Params::parse(query.as_deref(), &KNOWN)?;
    let states = params.list("st")?.unwrap_or_else(|| vec!["good", "failed"]);
    let selection = Selection::new(States::parse("st", &states)?, &params.conditions()?)?;
    let columns = event_row::columns(&params.list("cols")?.unwrap_or_default())?;
    let last = params.number("last", 0, 1000)?.unwrap_or(0);
    let last = usize::try_from(last).map_err(|_| ApiError::bad("last is too large"))?;
    let full = params.flag("full")?;
    let place = api.stream_place()?;
    let stream = Stream {
        advice: LocalAdvice::new(&api),
        newest: api.hub.feed.watch(),
        next: api.hub.feed.place(last),
        api,
        selection,
        columns,
        full,
        waiting: VecDeque::new(),
        at: 0,
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
            self.newest.borrow_and_update();
            let news = self.api.hub.feed.since(self.next);
            let missed = if news.gap { news.first - self.next } else { 0 };
            self.next = news.next;
            self.waiting = news.chunks.into();
            self.at = 0;
            if missed > 0 {
                return Some((sse::event("skipped", &format!("{{\"skipped\":{missed}}}")), self));
            }
            if self.waiting.is_empty() {
                tokio::select! {
                    changed = self.newest.changed() => changed.ok()?,
                    () = tokio::time::sleep(KEEP_ALIVE) => return Some((sse::keep_alive(), self)),
                    () = drain.raised() => return None,
                }
            }
        }
    }

    /// Writes what was taken, up to about [`PIECE`] bytes; empty when nothing of it was wanted.
    fn piece(&mut self) -> Bytes {
        let mut out = BytesMut::new();
        let mut text = String::new();
        while let Some(chunk) = self.waiting.front() {
            let received = chunk.received_ms.1;
            while let Some(event) = chunk.items.get(self.at) {
                self.at += 1;
                if !self.selection.takes(event) {
                    continue;
                }
                text.clear();
                if self.full {
                    event_row::write_full(event, received, &self.advice, &mut text);
                } else {
                    event_row::write(event, &self.columns, received, &self.advice, &mut text);
                }
                out.extend_from_slice(&sse::event(event_row::state(&event.outcome), &text));
                if out.len() >= PIECE {
                    return out.freeze();
                }
            }
            self.at = 0;
            self.waiting.pop_front();
        }
        out.freeze()
    }
}
