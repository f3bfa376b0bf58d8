//! One run: read the original record, enrich it again, append what passes, wait until it is answered.

use super::ask::Ask;
use super::choose::{Choice, Chosen};
use super::report::{Tally, Update};
use super::source::{Found, Source};
use super::{Deps, report};
use crate::event::replay::{Carried, Replay};
use crate::event::{Offset, Outcome, Processed, SchemaKey};
use crate::journal::{AppendError, Entry, Record, RecordKind};
use crate::pipeline::backoff::Backoff;
use std::collections::HashSet;
use std::time::{Duration, Instant};
use tokio::sync::mpsc::Sender;

/// Replays of one append.
const MAX_RECORDS: usize = 256;
/// … and their bytes.
const MAX_BYTES: usize = 1 << 20;
/// Time between two progress lines.
const TELL: Duration = Duration::from_millis(500);
/// How often it is looked whether replays are answered.
const LOOK: Duration = Duration::from_millis(5);
/// Schemas that one run asks registries for again.
const MAX_ASKED: usize = 10_000;

/// Why a run ends early.
#[derive(Debug)]
struct Stop(String);

impl<E: std::fmt::Display> From<E> for Stop {
    fn from(e: E) -> Self {
        Stop(e.to_string())
    }
}

/// Does a run; gives its last update.
pub(super) fn run(deps: &Deps, ask: &Ask, updates: &Sender<Update>) -> Update {
    let mut run = Run {
        deps,
        ask,
        updates,
        tally: Tally::default(),
        told: Instant::now(),
        source: Source::new(&deps.journal, &deps.archive, &deps.drain),
        waiting: Waiting::default(),
        asked: HashSet::new(),
    };
    match run.all() {
        Ok(()) => {
            let summary = run.tally.summary(ask.dry_run);
            tracing::info!(
                looked_at = summary.looked_at,
                repaired = summary.repaired,
                still_failing = summary.still_failing,
                gone = summary.gone,
                dry_run = ask.dry_run,
                "failed events were replayed"
            );
            Update::Summary(summary)
        }
        Err(Stop(message)) => {
            tracing::warn!(%message, repaired = run.tally.progress.repaired, "a replay ended early");
            Update::Error { message, repaired: run.tally.progress.repaired }
        }
    }
}

/// Replays that are not appended yet.
#[derive(Default)]
struct Waiting {
    /// With the number of failures that each ends.
    records: Vec<(Record, u64)>,
    bytes: usize,
}

struct Run<'a> {
    deps: &'a Deps,
    ask: &'a Ask,
    updates: &'a Sender<Update>,
    tally: Tally,
    told: Instant,
    source: Source,
    waiting: Waiting,
    /// Schemas that registries were asked for again.
    asked: HashSet<SchemaKey>,
}

impl Run<'_> {
    fn all(&mut self) -> Result<(), Stop> {
        // Replays of a run that was cut short may still be on their way; only then is it known what stands.
        self.wait_for(self.deps.journal.durable_end())?;
        let deps = self.deps;
        let mut choice = Choice::open(&deps.speed, deps.warehouse.as_ref(), self.ask)?;
        self.tally.progress.total = choice.total;
        self.tally.not_yet = choice.not_yet;
        loop {
            let page = choice.next_page()?;
            if page.is_empty() {
                break;
            }
            for record in page.chunk_by(|a, b| a.addr.offset == b.addr.offset) {
                self.breathe()?;
                self.one(record)?;
                self.tally.progress.looked_at += record.len() as u64;
            }
        }
        self.tally.already_repaired = choice.already_repaired;
        self.append()
    }

    /// Tells how far it is, and notices that nobody wants it any more.
    fn breathe(&mut self) -> Result<(), Stop> {
        if self.deps.drain.is_raised() {
            return Err(Stop("the program is stopping".to_owned()));
        }
        if self.updates.is_closed() {
            return Err(Stop("whoever asked for it has left".to_owned()));
        }
        if self.told.elapsed() >= TELL {
            self.told = Instant::now();
            let progress = report::Progress { ..self.tally.progress };
            if self.updates.blocking_send(Update::Progress(progress)).is_err() {
                return Err(Stop("whoever asked for it has left".to_owned()));
            }
        }
        Ok(())
    }

    /// Waits until everything below `end` is in the answers.
    fn wait_for(&mut self, end: Offset) -> Result<(), Stop> {
        while self.deps.speed.applied() < end {
            self.breathe()?;
            self.deps.drain.sleep(LOOK);
        }
        Ok(())
    }

    /// The chosen failures of one journal record.
    fn one(&mut self, chosen: &[Chosen]) -> Result<(), Stop> {
        let Some(first) = chosen.first() else { return Ok(()) };
        let all = chosen.len() as u64;
        let at = first.addr.offset;
        let entry = match self.source.read(at)? {
            Found::Record(entry) => entry,
            Found::Gone => {
                self.tally.gone += all;
                return Ok(());
            }
            Found::Damaged(what) => {
                self.tally.cannot("not_replayable", &what, all);
                return Ok(());
            }
        };
        let (mut replay, carried) = match entry.kind {
            RecordKind::Payload => (header(at, Carried::Payload), entry.body),
            RecordKind::BadRow => (header(at, Carried::BadRow), entry.body),
            // A replay whose events failed in their turn: the record that it carries is the one to be enriched.
            RecordKind::Replay => match Replay::decode(&entry.body) {
                Ok((older, carried)) => (Replay { repairs: Some(at), ..header(older.offset, older.kind) }, carried),
                Err(e) => {
                    self.tally.cannot("not_replayable", &e.to_string(), all);
                    return Ok(());
                }
            },
        };
        replay.whole = first.whole;
        replay.indexes = chosen.iter().map(|c| c.addr.index).collect();
        let mixed = chosen.iter().any(|c| c.whole != first.whole);
        if mixed || replay.whole && replay.indexes != [0] {
            self.tally.cannot("not_replayable", "the request has several failures as a whole", all);
            return Ok(());
        }
        if replay.kind == Carried::Payload && self.deps.enricher.is_bundle(&carried) {
            self.tally.cannot(
                "not_replayable",
                "the record holds several requests, whose events cannot be told apart",
                all,
            );
            return Ok(());
        }
        let kind = if replay.kind == Carried::Payload { RecordKind::Payload } else { RecordKind::BadRow };
        let outcomes = self.enrich(&Entry { offset: replay.offset, kind, body: carried.clone() }, &replay)?;
        self.judge(&replay, &outcomes);
        let passing = replay.choose(at, outcomes);
        let ends: Vec<u32> = passing.iter().filter_map(|item| item.repairs).map(|repair| repair.of.index).collect();
        if ends.is_empty() {
            return Ok(());
        }
        self.tally.progress.passing += ends.len() as u64;
        if self.ask.dry_run {
            return Ok(());
        }
        let n = ends.len() as u64;
        replay.indexes = ends;
        let body = replay.encode(&carried)?;
        self.waiting.bytes += body.len();
        self.waiting.records.push((Record { kind: RecordKind::Replay, body }, n));
        if self.waiting.records.len() >= MAX_RECORDS || self.waiting.bytes >= MAX_BYTES {
            self.append()?;
        }
        Ok(())
    }

    /// Today's outcomes. A failure may come from an answer that a registry gave long ago: the registries are asked once more
    /// for each schema that still makes a chosen event fail.
    fn enrich(&mut self, entry: &Entry, replay: &Replay) -> Result<Vec<Processed>, Stop> {
        let now = self.deps.clock.now_ms();
        loop {
            let done = self.deps.enricher.process(entry.offset, entry.kind, &entry.body, now)?;
            let schemas: Vec<SchemaKey> = done
                .items
                .iter()
                .filter(|item| replay.whole || replay.indexes.binary_search(&item.addr.index).is_ok())
                .filter_map(|item| match &item.outcome {
                    Outcome::Failed(failure) => SchemaKey::parse(failure.cause.schema.as_deref()?).ok(),
                    _ => None,
                })
                .filter(|key| !self.asked.contains(key))
                .collect();
            if schemas.is_empty() || self.asked.len() >= MAX_ASKED {
                return Ok(done.items);
            }
            for key in schemas {
                self.deps.resolver.ask_again(&key)?;
                self.asked.insert(key);
            }
        }
    }

    /// Counts the chosen events that do not pass.
    fn judge(&mut self, replay: &Replay, outcomes: &[Processed]) {
        if replay.whole {
            let enriched = outcomes.iter().any(|item| matches!(item.outcome, Outcome::Enriched(_)));
            if !enriched {
                self.count(outcomes.first());
            }
            return;
        }
        for index in &replay.indexes {
            self.count(outcomes.get(*index as usize));
        }
    }

    fn count(&mut self, item: Option<&Processed>) {
        match item.map(|item| &item.outcome) {
            Some(Outcome::Enriched(_)) => {}
            Some(Outcome::Failed(failure)) => self.tally.fails(&failure.cause),
            Some(Outcome::Dropped { by }) => self.tally.cannot("dropped", &format!("it would be dropped by {by}"), 1),
            Some(Outcome::Duplicate(_)) | None => {
                self.tally.cannot("not_replayable", "the request no longer holds this event", 1);
            }
        }
    }

    /// Appends what waits, and waits until it is in the answers.
    fn append(&mut self) -> Result<(), Stop> {
        let Waiting { records, .. } = std::mem::take(&mut self.waiting);
        if records.is_empty() {
            return Ok(());
        }
        let (records, ends): (Vec<Record>, Vec<u64>) = records.into_iter().unzip();
        if let Ok(end) = self.append_now(&records)? {
            return self.answered(end, ends.iter().sum());
        }
        for (record, n) in records.into_iter().zip(ends) {
            match self.append_now(std::slice::from_ref(&record))? {
                Ok(end) => self.answered(end, n)?,
                Err(too_large) => {
                    self.tally.progress.passing -= n;
                    self.tally.cannot("not_replayable", &too_large, n);
                }
            }
        }
        Ok(())
    }

    fn answered(&mut self, end: Offset, failures: u64) -> Result<(), Stop> {
        self.wait_for(end)?;
        self.tally.progress.repaired += failures;
        Ok(())
    }

    /// Events of trackers come first: while the journal has no room, this waits. The inner error says that the
    /// records are larger than what it takes at all.
    fn append_now(&mut self, records: &[Record]) -> Result<Result<Offset, String>, Stop> {
        let appender = self.deps.journal.appender();
        let mut backoff = Backoff::new(Duration::from_millis(50), Duration::from_secs(2));
        loop {
            match appender.append_blocking(records.to_vec()) {
                Ok(receipt) => return Ok(Ok(receipt.range().to)),
                Err(e @ AppendError::TooLarge { .. }) => return Ok(Err(e.to_string())),
                Err(AppendError::Full(_)) => {
                    self.breathe()?;
                    self.deps.drain.sleep(backoff.pause());
                }
                Err(e) => return Err(e.into()),
            }
        }
    }
}

fn header(offset: Offset, kind: Carried) -> Replay {
    Replay { offset, kind, repairs: None, indexes: Vec::new(), whole: false }
}
