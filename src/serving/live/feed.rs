//! What has just been enriched: rates, lags, the wall of keys and the newest events, from the chunks that the speed layer
//! has taken in.
//!
//! One thread adds, all streams read. Bounded in keys and in events: whoever reads too slowly misses events of the tail
//! (and is told so), never numbers.

use super::rolling::{Lags, RATE_MS, Rolling, pane};
use crate::event::columns::{self, COLUMNS, Kind};
use crate::event::{Chunk, Event, Outcome, tsv};
use crate::platform::clock::Millis;
use ahash::AHashMap;
use parking_lot::Mutex;
use std::collections::VecDeque;
use std::sync::Arc;
use tokio::sync::watch;

/// Events that are kept however old they are, for readers that begin.
const KEEP: usize = 1000;
/// Events that are kept at most, for readers that lag.
const MOST: usize = 8000;
/// How long events beyond [`KEEP`] are kept.
const KEEP_MS: i64 = 500;
/// Keys of a wall; further ones are counted under the last.
const MAX_KEYS: usize = 2000;
/// Walls beside the one by `app_id`.
const MAX_WALLS: usize = 8;
/// Name of the key that stands for all beyond the bound.
const OTHER: &str = "(other)";

/// The feed. See the file header.
#[derive(Debug)]
pub struct Feed {
    state: Mutex<State>,
    /// Number of the newest chunk, for those who wait.
    newest: watch::Sender<u64>,
    started: Millis,
}

#[derive(Debug)]
struct State {
    pane: i64,
    events: Rolling,
    failed: Rolling,
    lags: Lags,
    walls: Vec<Wall>,
    /// Oldest first, with the number and the time at which it came.
    chunks: VecDeque<(u64, Millis, Arc<Chunk>)>,
    kept: usize,
    next: u64,
}

/// Rates by the values of one column.
#[derive(Debug)]
struct Wall {
    column: usize,
    index: AHashMap<Box<str>, usize>,
    /// Place of the events that have no value.
    absent: Option<usize>,
    keys: Arc<Vec<Option<Box<str>>>>,
    events: Vec<Rolling>,
    failed: Vec<Rolling>,
    last: Vec<Millis>,
    /// When somebody last looked.
    asked: Millis,
}

/// What a wall shows.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct WallView {
    /// The keys; the list only grows, so that a place means the same key for ever.
    pub keys: Arc<Vec<Option<Box<str>>>>,
    /// Enriched events in the last ten seconds.
    pub events: Vec<u64>,
    /// Failed events in the last ten seconds.
    pub failed: Vec<u64>,
    /// Time of the last one, 0 when it is not known.
    pub last: Vec<Millis>,
}

/// Chunks that came after a place in the feed.
#[derive(Debug, Default)]
pub struct News {
    /// The chunks in order.
    pub chunks: Vec<Arc<Chunk>>,
    /// The oldest place that is still kept.
    pub first: u64,
    /// The place to ask from next time.
    pub next: u64,
    /// Whether chunks between were forgotten.
    pub gap: bool,
}

impl Feed {
    /// An empty feed. `started` is the start of the process: lags of events from before it say nothing about it.
    pub fn new(started: Millis) -> Self {
        let state = State {
            pane: pane(started),
            events: Rolling::default(),
            failed: Rolling::default(),
            lags: Lags::default(),
            walls: vec![Wall::new(columns::APP_ID, started)],
            chunks: VecDeque::new(),
            kept: 0,
            next: 0,
        };
        Feed { state: Mutex::new(state), newest: watch::channel(0).0, started }
    }

    /// Takes a chunk in that has just become visible.
    pub fn add(&self, chunk: Arc<Chunk>, now: Millis) {
        let mut state = self.state.lock();
        state.advance(now);
        let at = state.pane;
        let count = |n: u64| u32::try_from(n).unwrap_or(u32::MAX);
        state.events.add(at, count(chunk.tally.enriched));
        state.failed.add(at, count(chunk.tally.failed));
        for item in &chunk.items {
            let (event, failed, received) = match &item.outcome {
                Outcome::Enriched(event) => (Some(event.as_ref()), false, event.time(columns::COLLECTOR_TSTAMP)),
                Outcome::Failed(failure) => (failure.incomplete.as_deref(), true, Some(failure.collector_ms)),
                Outcome::Duplicate(_) | Outcome::Dropped { .. } => continue,
            };
            if let Some(received) = received.filter(|r| *r >= self.started) {
                state.lags.add(now, now - received);
            }
            let app = match &item.outcome {
                Outcome::Failed(failure) => failure.app_id.as_deref(),
                _ => None,
            };
            let time = received.unwrap_or(now);
            state.walls.iter_mut().for_each(|wall| wall.add(event, app, failed, at, time));
        }
        state.keep(chunk, now, self.newest.receiver_count() > 0);
        let newest = state.next;
        drop(state);
        self.newest.send_replace(newest);
    }

    /// Enriched and failed events a second, over the last ten seconds.
    pub fn rates(&self, now: Millis) -> (f64, f64) {
        let mut state = self.state.lock();
        state.advance(now);
        let seconds = self.seconds(now);
        (state.events.sum() as f64 / seconds, state.failed.sum() as f64 / seconds)
    }

    /// Seconds that the sums cover: ten, or fewer right after the start.
    pub fn seconds(&self, now: Millis) -> f64 {
        (now - self.started).clamp(1000, RATE_MS) as f64 / 1000.0
    }

    /// 99th percentile of the time from receipt to visibility, over the last minute.
    pub fn visible_p99(&self, now: Millis) -> Option<i64> {
        self.state.lock().lags.quantile(now, 0.99)
    }

    /// The wall of a column; it begins to count when it is first asked for. `None` when too many others are counted.
    pub fn wall(&self, column: usize, now: Millis) -> Option<WallView> {
        let mut state = self.state.lock();
        state.advance(now);
        let at = match state.walls.iter().position(|w| w.column == column) {
            Some(at) => at,
            None => {
                // Places after the first belong to whoever looked last.
                state.walls.retain(|w| w.column == columns::APP_ID || now - w.asked < 60_000);
                if state.walls.len() > MAX_WALLS {
                    return None;
                }
                state.walls.push(Wall::new(column, now));
                state.walls.len() - 1
            }
        };
        let wall = state.walls.get_mut(at)?;
        wall.asked = now;
        Some(wall.view())
    }

    /// The place at which the newest `last` events begin; the end for 0.
    pub fn place(&self, last: usize) -> u64 {
        let state = self.state.lock();
        let mut events = 0;
        let mut place = state.next;
        for (number, _, chunk) in state.chunks.iter().rev() {
            if events >= last {
                break;
            }
            events += chunk.items.len();
            place = *number;
        }
        place
    }

    /// What came at and after a place.
    pub fn since(&self, place: u64) -> News {
        let state = self.state.lock();
        let first = state.chunks.front().map_or(state.next, |c| c.0);
        let chunks = state.chunks.iter().filter(|c| c.0 >= place).map(|c| c.2.clone()).collect();
        News { chunks, first, next: state.next, gap: place < first }
    }

    /// Tells when something comes.
    pub fn watch(&self) -> watch::Receiver<u64> {
        self.newest.subscribe()
    }
}

impl State {
    fn advance(&mut self, now: Millis) {
        let to = pane(now);
        // After a pause of more than ten seconds every pane is begun once, which is enough.
        let from = (self.pane + 1).max(to - RATE_MS / 250 + 1);
        for p in from..=to {
            self.events.begin(p);
            self.failed.begin(p);
            self.walls.iter_mut().for_each(|w| w.begin(p));
        }
        self.pane = self.pane.max(to);
    }

    fn keep(&mut self, chunk: Arc<Chunk>, now: Millis, watched: bool) {
        self.kept += chunk.items.len();
        self.chunks.push_back((self.next, now, chunk));
        self.next += 1;
        let most = if watched { MOST } else { KEEP };
        while self.chunks.len() > 1 && self.kept > KEEP {
            let young = self.chunks.front().is_some_and(|(_, at, _)| now - at < KEEP_MS);
            if young && self.kept <= most {
                break;
            }
            if let Some((_, _, old)) = self.chunks.pop_front() {
                self.kept -= old.items.len();
            }
        }
    }
}

impl Wall {
    fn new(column: usize, now: Millis) -> Self {
        Wall {
            column,
            index: AHashMap::new(),
            absent: None,
            keys: Arc::default(),
            events: Vec::new(),
            failed: Vec::new(),
            last: Vec::new(),
            asked: now,
        }
    }

    fn begin(&mut self, pane: i64) {
        self.events.iter_mut().chain(&mut self.failed).for_each(|r| r.begin(pane));
    }

    fn add(&mut self, event: Option<&Event>, app: Option<&str>, failed: bool, pane: i64, time: Millis) {
        let mut number = String::new();
        let key = match event {
            Some(event) if COLUMNS[self.column].kind == Kind::Text => event.text(self.column),
            Some(event) => {
                tsv::write_cell(event, self.column, &mut number);
                (!number.is_empty()).then_some(number.as_str())
            }
            None if self.column == columns::APP_ID => app,
            // Nothing is known of it, so it belongs to no key.
            None => return,
        };
        let at = self.place(key);
        let list = if failed { &mut self.failed } else { &mut self.events };
        if let Some(rolling) = list.get_mut(at) {
            rolling.add(pane, 1);
        }
        if let Some(last) = self.last.get_mut(at) {
            *last = time.max(*last);
        }
    }

    fn place(&mut self, key: Option<&str>) -> usize {
        let known = |wall: &Self, key: Option<&str>| match key {
            Some(key) => wall.index.get(key).copied(),
            None => wall.absent,
        };
        if let Some(at) = known(self, key) {
            return at;
        }
        let key = if self.keys.len() < MAX_KEYS { key } else { Some(OTHER) };
        if let Some(at) = known(self, key) {
            return at;
        }
        let at = self.keys.len();
        match key {
            Some(key) => {
                self.index.insert(key.into(), at);
            }
            None => self.absent = Some(at),
        }
        Arc::make_mut(&mut self.keys).push(key.map(Into::into));
        self.events.push(Rolling::default());
        self.failed.push(Rolling::default());
        self.last.push(0);
        at
    }

    fn view(&self) -> WallView {
        WallView {
            keys: self.keys.clone(),
            events: self.events.iter().map(Rolling::sum).collect(),
            failed: self.failed.iter().map(Rolling::sum).collect(),
            last: self.last.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::rows::Rows;
    use crate::event::{BadRowKind, Cause, EventAddr, Failure, Offset, OffsetRange, Processed, Tally};

    fn chunk(offset: u64, apps: &[Option<&str>], failed: &[&str], at: Millis) -> Arc<Chunk> {
        let addr = |i: usize| EventAddr { offset: Offset(offset), index: i as u32 };
        let mut items = Vec::new();
        for app in apps {
            let mut event = Event::new();
            event.set_text(columns::APP_ID, app.unwrap_or(""));
            event.set(columns::COLLECTOR_TSTAMP, crate::event::Cell::Time(at));
            items.push(Processed { addr: addr(items.len()), outcome: Outcome::Enriched(Box::new(event)) });
        }
        for app in failed {
            let cause = Cause {
                kind: BadRowKind::GenericError,
                failure: String::new(),
                schema: None,
                path: None,
                keyword: None,
                message: String::new(),
            };
            let app_id = Some((*app).to_owned());
            let failure = Failure { bad_row: "{}".to_owned(), cause, app_id, collector_ms: at, incomplete: None };
            items.push(Processed { addr: addr(items.len()), outcome: Outcome::Failed(Box::new(failure)) });
        }
        let mut tally = Tally::default();
        items.iter().for_each(|i| tally.count(&i.outcome));
        let empty = || Arc::new(Rows::empty());
        Arc::new(Chunk {
            range: OffsetRange::new(Offset(offset), Offset(offset + 1)),
            batch_from: Offset(0),
            items,
            rows: empty(),
            failed_rows: empty(),
            tally,
            received_ms: (at, at),
            bytes: 1,
        })
    }

    #[test]
    fn a_wall_counts_both_kinds_and_keeps_its_places() {
        let feed = Feed::new(0);
        feed.add(chunk(0, &[Some("shop"), None, Some("shop")], &["blog"], 99_900), 100_000);
        let wall = feed.wall(columns::APP_ID, 100_000).unwrap();
        assert_eq!(*wall.keys, [Some("shop".into()), None, Some("blog".into())]);
        assert_eq!((wall.events, wall.failed), (vec![2, 1, 0], vec![0, 0, 1]));
        assert_eq!(wall.last, vec![99_900; 3]);
        assert_eq!(feed.rates(100_000), (0.3, 0.1));
        assert_eq!(feed.visible_p99(100_000).map(|l| (100..113).contains(&l)), Some(true));
        feed.add(chunk(1, &[Some("blog")], &[], 120_000), 120_000);
        let wall = feed.wall(columns::APP_ID, 120_000).unwrap();
        assert_eq!(wall.events, vec![0, 0, 1]);
        assert_eq!(feed.rates(131_000), (0.0, 0.0));
    }

    #[test]
    fn keys_are_bounded() {
        let feed = Feed::new(0);
        for i in 0..MAX_KEYS + 10 {
            feed.add(chunk(i as u64, &[Some(&format!("app{i}"))], &[], 1000), 1000);
        }
        let wall = feed.wall(columns::APP_ID, 1000).unwrap();
        assert_eq!(wall.keys.len(), MAX_KEYS + 1);
        assert_eq!((wall.keys[MAX_KEYS].as_deref(), wall.events[MAX_KEYS]), (Some(OTHER), 10));
    }

    #[test]
    fn readers_get_every_chunk_once_or_hear_of_the_gap() {
        let feed = Feed::new(0);
        let place = feed.place(0);
        for i in 0..5 {
            feed.add(chunk(i, &[Some("a")], &[], 1000), 1000);
        }
        let news = feed.since(place);
        assert_eq!((news.chunks.len(), news.gap), (5, false));
        assert!(feed.since(news.next).chunks.is_empty());
        assert_eq!(feed.since(feed.place(2)).chunks.len(), 2);
        let many: Vec<Option<&str>> = vec![Some("a"); 900];
        for i in 5..10 {
            feed.add(chunk(i, &many, &[], 2000), 2000);
        }
        let late = feed.since(news.next);
        assert!(late.gap && late.chunks.len() < 5);
    }
}
