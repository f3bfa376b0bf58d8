//! One computation for all live streams.
//!
//! A tick takes both halves of every question that some stream asks, as of one moment, and publishes the result; streams
//! only write what changed for them. The committed half is read once per commit and kept, together with the lease that
//! belongs to its boundary, so that a tick in between touches memory only and still adds up. Without a stream nothing runs.

use super::split::{MAX_ROWS, SplitTable};
use super::windows::WindowTotals;
use crate::event::{Boundary, Offset, Tally};
use crate::platform::clock::Millis;
use crate::serving::api::{Api, Shared};
use crate::serving::error::ApiResult;
use crate::serving::facts;
use crate::serving::merge::{self, Seam};
use crate::serving::params::rfc3339;
use crate::serving::question::{Planned, Question};
use crate::speed::{Lease, Memory, Site};
use crate::view::{Half, Layer, answer};
use parking_lot::Mutex;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{Notify, watch};
use tokio::task::JoinHandle;
use tokio::time::Instant;

/// Pause after the warehouse could not be read.
const AWAY: Duration = Duration::from_millis(500);
/// Span over which refusals are counted.
const RATE_MS: i64 = 10_000;
/// Ranges such as `from=-3m` are resolved with every read of the committed half; without a commit that happens this often.
const SLIDE_MS: i64 = 15_000;

/// What the streams share. See the file header.
#[derive(Debug)]
pub struct Hub {
    wanted: Mutex<BTreeMap<Arc<Question>, usize>>,
    /// Streams by the time between their frames.
    periods: Mutex<BTreeMap<Duration, usize>>,
    wake: Notify,
    moment: watch::Sender<Option<Arc<Moment>>>,
    refused: Mutex<Refusals>,
    windows: WindowTotals,
}

/// Everything that a frame is made of, as of one moment.
#[derive(Debug)]
pub struct Moment {
    /// Grows by one with every tick of this process.
    pub seq: u64,
    /// When it was taken.
    pub at: Millis,
    /// Up to where the committed half goes.
    pub boundary: Offset,
    /// The members that are the same in every stream's frame, without braces.
    pub common: String,
    /// The wall.
    pub sites: Arc<Vec<Site>>,
    /// One table per question.
    pub tables: BTreeMap<Arc<Question>, Arc<SplitTable>>,
}

/// A stream's place in the hub; what it asked is forgotten when it goes.
#[derive(Debug)]
pub struct Seat {
    api: Shared,
    questions: Vec<Arc<Question>>,
    period: Duration,
}

/// The committed half as of one boundary.
struct Base {
    read: Millis,
    lease: Lease,
    boundary: Boundary,
    committed: Tally,
    halves: Arc<BTreeMap<Arc<Question>, (Planned, Half)>>,
}

impl Base {
    /// The same half under a fresh lease, for when the warehouse cannot be read for longer than a lease lives. `None` when
    /// something was committed since: what is in memory then no longer fits to this half.
    fn renewed(&self, api: &Api) -> Option<Base> {
        let lease = api.deps.speed.lease();
        // After the lease: a commit that is announced later leaves what the lease holds.
        let same = api.deps.speed.boundary().offset == self.boundary.offset;
        same.then(|| Base {
            read: api.deps.clock.now_ms(),
            lease,
            boundary: self.boundary,
            committed: self.committed,
            halves: self.halves.clone(),
        })
    }
}

#[derive(Debug, Default)]
struct Refusals {
    seen: BTreeMap<&'static str, u64>,
    /// Time, bound and number of the refusals of the last ten seconds.
    recent: Vec<(Millis, &'static str, u64)>,
}

impl Hub {
    /// A hub without streams.
    pub fn new() -> Self {
        Hub {
            wanted: Mutex::default(),
            periods: Mutex::default(),
            wake: Notify::new(),
            moment: watch::channel(None).0,
            refused: Mutex::default(),
            windows: WindowTotals::default(),
        }
    }

    /// Takes a seat: from the next tick on the moments hold these questions, and come at least once a `period`.
    pub fn sit(
        api: &Shared,
        questions: Vec<Arc<Question>>,
        period: Duration,
    ) -> (Seat, watch::Receiver<Option<Arc<Moment>>>) {
        let hub = &api.hub;
        let mut wanted = hub.wanted.lock();
        for q in &questions {
            *wanted.entry(q.clone()).or_insert(0) += 1;
        }
        drop(wanted);
        *hub.periods.lock().entry(period).or_insert(0) += 1;
        let mut moments = hub.moment.subscribe();
        moments.mark_unchanged();
        hub.wake.notify_one();
        (Seat { api: api.clone(), questions, period }, moments)
    }

    /// Time between ticks: what the fastest stream wants; `None` without streams.
    fn period(&self) -> Option<Duration> {
        self.periods.lock().keys().next().copied()
    }

    fn questions(&self) -> Vec<Arc<Question>> {
        self.wanted.lock().keys().cloned().collect()
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let hub = &self.api.hub;
        let mut wanted = hub.wanted.lock();
        for q in &self.questions {
            if let Some(n) = wanted.get_mut(q) {
                *n -= 1;
                if *n == 0 {
                    wanted.remove(q);
                }
            }
        }
        drop(wanted);
        let mut periods = hub.periods.lock();
        if let Some(n) = periods.get_mut(&self.period) {
            *n -= 1;
            if *n == 0 {
                periods.remove(&self.period);
            }
        }
    }
}

/// Ticks as long as there are streams.
pub async fn run(api: Shared) {
    let mut ticker = Ticker { api, seq: 0, base: None, tables: BTreeMap::new(), reading: None, away: None };
    loop {
        let Some(period) = ticker.api.hub.period() else {
            ticker.base = None;
            ticker.tables = BTreeMap::new();
            ticker.api.hub.moment.send_replace(None);
            ticker.api.hub.wake.notified().await;
            continue;
        };
        let started = Instant::now();
        ticker.refresh().await;
        if ticker.tick().await {
            // A little early, so that a busy machine still gives as many frames as were asked for; and a stream that comes
            // does not wait for the tick of the others.
            let _ = tokio::time::timeout_at(started + period.mul_f64(0.9), ticker.api.hub.wake.notified()).await;
        } else {
            // The first picture does not wait for a tick.
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
}

/// What goes on from tick to tick.
struct Ticker {
    api: Shared,
    seq: u64,
    base: Option<Arc<Base>>,
    tables: BTreeMap<Arc<Question>, Arc<SplitTable>>,
    reading: Option<JoinHandle<ApiResult<Base>>>,
    /// When to try again, while the warehouse cannot be read.
    away: Option<Instant>,
}

impl Ticker {
    /// Takes in a committed half that has been read, and has the next one read when it is time. Never waits for the
    /// warehouse: until it has answered, the old half and its lease go on together.
    async fn refresh(&mut self) {
        if self.reading.as_ref().is_some_and(JoinHandle::is_finished)
            && let Some(done) = self.reading.take()
        {
            match done.await {
                Ok(Ok(new)) => {
                    if self.away.take().is_some() {
                        tracing::info!("the live view reads the warehouse again");
                    }
                    self.base = Some(Arc::new(new));
                }
                Ok(Err(e)) => {
                    if self.away.replace(Instant::now() + AWAY).is_none() {
                        tracing::warn!(problem = %e.body(), "the live view cannot read the warehouse");
                    }
                    self.base = self.base.as_ref().and_then(|b| b.renewed(&self.api)).map(Arc::new);
                }
                Err(e) => tracing::error!(problem = %e, "reading the warehouse for the live view failed"),
            }
        }
        let may = self.reading.is_none() && self.away.is_none_or(|at| at <= Instant::now());
        if may && is_stale(&self.api, self.base.as_deref()) {
            let (api, old) = (self.api.clone(), self.base.clone());
            self.reading = Some(tokio::task::spawn_blocking(move || read(&api, old.as_deref())));
        }
    }

    /// Publishes a moment; false when there is no committed half yet.
    async fn tick(&mut self) -> bool {
        let Some(base) = self.base.clone() else { return false };
        self.seq += 1;
        let (api, seq, mut tables) = (self.api.clone(), self.seq, std::mem::take(&mut self.tables));
        let ticked = tokio::task::spawn_blocking(move || {
            let moment = tick(&api, &base, &mut tables, seq);
            (tables, moment)
        });
        match ticked.await {
            Ok((tables, Ok(moment))) => {
                self.tables = tables;
                self.api.hub.moment.send_replace(Some(Arc::new(moment)));
            }
            Ok((_, Err(e))) => {
                tracing::debug!(problem = %e.body(), "no live frame");
                // What it stands on no longer holds, most likely its lease: begin anew.
                self.base = None;
            }
            Err(e) => tracing::error!(problem = %e, "a live tick failed"),
        }
        true
    }
}

/// Whether the committed half is to be read anew: something was committed, or a question has come.
fn is_stale(api: &Api, base: Option<&Base>) -> bool {
    let Some(base) = base else { return true };
    api.deps.speed.boundary().offset > base.boundary.offset
        || api.deps.clock.now_ms() - base.read > SLIDE_MS
        || api.hub.questions().iter().any(|q| !base.halves.contains_key(q))
}

fn read(api: &Api, old: Option<&Base>) -> ApiResult<Base> {
    let mut seam = Seam::open(api)?;
    let now = api.deps.clock.now_ms();
    // For the same boundary, only what is new is read.
    let kept = old.filter(|old| old.boundary == seam.boundary && now - old.read <= SLIDE_MS);
    let read = kept.map_or(now, |k| k.read);
    let mut halves = BTreeMap::new();
    for question in api.hub.questions() {
        let half = match kept.and_then(|k| k.halves.get(&question)) {
            Some(known) => known.clone(),
            None => {
                let planned = question.plan(api, now)?;
                let half = seam.batch(&planned)?;
                (planned, half)
            }
        };
        halves.insert(question, half);
    }
    let committed = seam.committed()?;
    let boundary = seam.boundary;
    Ok(Base { read, lease: seam.into_lease(), boundary, committed, halves: Arc::new(halves) })
}

fn tick(api: &Api, base: &Base, tables: &mut BTreeMap<Arc<Question>, Arc<SplitTable>>, seq: u64) -> ApiResult<Moment> {
    let now = api.deps.clock.now_ms();
    let planned: Vec<&Planned> = base.halves.values().map(|(planned, _)| planned).collect();
    let memory = merge::memory(&base.lease, base.boundary.offset, &planned, false)?;
    tables.retain(|q, _| base.halves.contains_key(q));
    for ((question, (_, batch)), speed) in base.halves.iter().zip(&memory.halves) {
        let answer = answer::answer(batch, speed, Layer::Split, MAX_ROWS);
        let table = tables.entry(question.clone()).or_default();
        Arc::make_mut(table).update(&answer.rows, answer.total_rows > MAX_ROWS, seq);
    }
    let common = common(api, base, now, &memory, seq);
    let sites = Arc::new(api.deps.speed.sites());
    Ok(Moment { seq, at: now, boundary: base.boundary.offset, common, sites, tables: tables.clone() })
}

fn common(api: &Api, base: &Base, now: Millis, memory: &Memory, seq: u64) -> String {
    // Read last, so that the end is never before what was enriched.
    let journal_end = (api.deps.journal.end)().max(memory.applied);
    let equation = merge::equation(&base.committed, &memory.tally);
    let members = serde_json::json!({
        "seq": seq,
        "at": rfc3339(now),
        "journal_end": journal_end,
        "enriched": memory.applied,
        "boundary": facts::boundary(&base.boundary),
        "equation": facts::equation(&equation),
        "rates": facts::rates(api),
        "lag_ms": facts::lag_ms(api, &memory.batches, now),
        "batches": memory.batches.iter().map(facts::batch).collect::<Vec<_>>(),
        "windows": &*api.hub.windows.read(api, now),
        "refused": refused(api, now),
    });
    let mut text = members.to_string();
    // Without its braces, so that every stream can add its own members.
    text.pop();
    text.remove(0);
    text
}

/// Refusals a second over the last ten, and the bound that refuses most.
fn refused(api: &Api, now: Millis) -> Option<serde_json::Value> {
    let mut refusals = api.hub.refused.lock();
    for bound in api.deps.bounds.iter().flat_map(|list| list()) {
        let seen = refusals.seen.insert(bound.name, bound.refused).unwrap_or(bound.refused);
        if bound.refused > seen {
            refusals.recent.push((now, bound.name, bound.refused - seen));
        }
    }
    refusals.recent.retain(|(at, _, _)| now - at < RATE_MS);
    let mut sums: BTreeMap<&str, u64> = BTreeMap::new();
    for (_, name, n) in &refusals.recent {
        *sums.entry(*name).or_insert(0) += n;
    }
    let total: u64 = sums.values().sum();
    let (name, _) = sums.into_iter().max_by_key(|(_, n)| *n)?;
    let rate = facts::round(total as f64 / (RATE_MS as f64 / 1000.0));
    Some(serde_json::json!({"rate": rate, "bound": name}))
}
