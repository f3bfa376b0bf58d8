//! The driver: judges events in order, cuts micro-batches, builds rows and feeds the fork.

use super::index::{Index, Verdict, entry_of};
use super::mark;
use super::metrics::DedupeMetrics;
use super::redone::Redone;
use crate::event::{BatchPlanner, Chunk, EnrichedBatch, Flow, Offset, OffsetRange, Outcome, Processed, Tally, rows};
use crate::pipeline::backoff::Backoff;
use crate::pipeline::drain::Drain;
use crate::pipeline::link::{LinkReceiver, LinkSender, Received};
use crate::platform::clock::Clock;
use crate::telemetry::Metrics;
use std::io;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;
use uuid::Uuid;

/// How often the age of the open micro-batch is looked at when nothing flows.
const TICK: Duration = Duration::from_millis(25);

/// What the stage is given.
pub struct Deps {
    /// What is known of past events.
    pub index: Index,
    /// Where micro-batches end.
    pub planner: Box<dyn BatchPlanner>,
    /// End of the journal at the start: what stands below it was enriched before, maybe with other schemas.
    pub redone_to: Offset,
    /// Name space of made-up ids.
    pub journal_id: Uuid,
    /// Enriched events.
    pub input: LinkReceiver<EnrichedBatch>,
    /// Everybody behind the fork.
    pub outputs: Vec<LinkSender<Flow>>,
    /// Wall clock: only for the age of micro-batches.
    pub clock: Clock,
    /// Metrics.
    pub metrics: Metrics,
    /// Raised when something outside stops the process; ends waiting for a disk that does not come back.
    pub drain: Drain,
}

/// The running stage.
#[derive(Debug)]
pub struct Dedupe(JoinHandle<()>);

impl Dedupe {
    /// Whether its thread has ended.
    pub fn is_finished(&self) -> bool {
        self.0.is_finished()
    }

    /// Waits until everything that came in has gone on.
    pub fn join(self) {
        let _ = self.0.join();
    }
}

/// Starts the stage. It ends when its input ends; the open micro-batch is then sealed.
///
/// # Errors
/// When no thread can be made.
pub fn build(deps: Deps) -> io::Result<Dedupe> {
    let metrics = DedupeMetrics::new(&deps.metrics);
    let grown_to = deps.planner.open_from();
    let redone = Redone::new(OffsetRange::new(grown_to, deps.redone_to));
    let mut stage = Stage { metrics, grown_to, redone, deps };
    std::thread::Builder::new().name("dedupe".into()).spawn(move || stage.run()).map(Dedupe)
}

struct Stage {
    deps: Deps,
    metrics: DedupeMetrics,
    /// How far the open micro-batch reaches.
    grown_to: Offset,
    redone: Redone,
}

/// The process stops, or everybody behind the fork has.
struct Stopped;

impl Stage {
    fn run(&mut self) {
        loop {
            let done = match self.deps.input.recv_timeout(TICK) {
                Received::Message(batch) => self.take(batch),
                Received::Nothing => Ok(()),
                Received::Closed => break,
            };
            if done.and_then(|()| self.seal_if_due()).is_err() {
                return;
            }
        }
        // An orderly end: what is open becomes a micro-batch, so that the next start has little to read again. Where a
        // restart has not come as far as the end that was decided before it, the micro-batch stays open.
        let whole = self.deps.planner.decided_end().is_none_or(|end| self.grown_to >= end);
        if whole && self.grown_to > self.deps.planner.open_from() {
            let _ = self.seal();
        }
    }

    fn take(&mut self, mut batch: EnrichedBatch) -> Result<(), Stopped> {
        while let Some(end) = self.deps.planner.decided_end().filter(|end| *end < batch.range.to) {
            let rest = split(&mut batch, end);
            self.pass_on(batch)?;
            self.seal_if_due()?;
            batch = rest;
        }
        self.pass_on(batch)
    }

    fn pass_on(&mut self, batch: EnrichedBatch) -> Result<(), Stopped> {
        if batch.range.is_empty() {
            return Ok(());
        }
        let mut items = batch.items;
        items.retain(|item| self.redone.takes(item));
        for item in &mut items {
            self.judge(item)?;
        }
        let mut tally = Tally::default();
        items.iter().for_each(|item| tally.count(item));
        self.metrics.events.inc_by(tally.enriched + tally.duplicates);
        self.metrics.duplicates.inc_by(tally.duplicates);
        let (rows, failed_rows) = rows::build(&items);
        let chunk = Arc::new(Chunk {
            range: batch.range,
            batch_from: self.deps.planner.open_from(),
            items,
            rows: rows.share(),
            failed_rows: failed_rows.share(),
            tally,
            received_ms: batch.received_ms,
            bytes: batch.bytes,
        });
        self.send(&Flow::Chunk(chunk))?;
        self.grown_to = batch.range.to;
        let now = self.deps.clock.now_ms();
        self.deps.planner.grew(batch.range.to, tally.enriched + tally.failed, batch.bytes, now);
        Ok(())
    }

    fn judge(&mut self, item: &mut Processed) -> Result<(), Stopped> {
        let Some(entry) = entry_of(item) else { return Ok(()) };
        let journal = self.deps.journal_id;
        let own = || mark::own_id(&journal, entry.addr);
        let verdict = self.insist("a file of event ids cannot be read", |deps| deps.index.judge(entry, own))?;
        match (verdict, &mut item.outcome) {
            (Verdict::Duplicate(first), outcome) => *outcome = Outcome::Duplicate(first),
            (Verdict::TakenId, Outcome::Enriched(event)) => {
                self.metrics.taken_ids.inc();
                mark::rename(event, own());
            }
            _ => {}
        }
        Ok(())
    }

    fn seal_if_due(&mut self) -> Result<(), Stopped> {
        if self.deps.planner.is_due(self.deps.clock.now_ms()) { self.seal() } else { Ok(()) }
    }

    fn seal(&mut self) -> Result<(), Stopped> {
        let from = self.deps.planner.open_from();
        let id = self.insist("the end of a micro-batch cannot be recorded", |deps| deps.planner.seal())?;
        debug_assert_eq!(id.from, from);
        self.insist("the ids of a micro-batch cannot be stored", |deps| deps.index.seal(id))?;
        let (bytes, forgotten) = self.deps.index.usage();
        self.metrics.filter_bytes.set(bytes as i64);
        self.metrics.forgotten.set(forgotten as i64);
        self.send(&Flow::Seal(id))
    }

    fn send(&self, flow: &Flow) -> Result<(), Stopped> {
        let mut open = false;
        for output in &self.deps.outputs {
            open |= output.send(flow.clone()).is_ok();
        }
        if open || self.deps.outputs.is_empty() { Ok(()) } else { Err(Stopped) }
    }

    /// Tries until it works: going on without would lose or repeat events. Meanwhile the links fill and the collector says
    /// 503.
    fn insist<T>(&mut self, what: &str, mut f: impl FnMut(&mut Deps) -> io::Result<T>) -> Result<T, Stopped> {
        let mut backoff = Backoff::new(Duration::from_millis(100), Duration::from_secs(5));
        loop {
            match f(&mut self.deps) {
                Ok(value) => return Ok(value),
                // A damaged file was removed; what it held comes back from the journal at the next start, and only then.
                Err(e) if e.kind() == io::ErrorKind::InvalidData => {
                    tracing::error!("dedupe: {what}: {e}; the stage stops");
                    return Err(Stopped);
                }
                Err(e) => {
                    tracing::error!("dedupe: {what}: {e}; trying again");
                    if self.deps.drain.sleep(backoff.pause()) {
                        return Err(Stopped);
                    }
                }
            }
        }
    }
}

/// Cuts a batch at `end`, which lies inside it; gives the second part.
fn split(batch: &mut EnrichedBatch, end: Offset) -> EnrichedBatch {
    let at = batch.items.partition_point(|item| item.addr.offset < end);
    let whole = batch.range;
    let items = batch.items.split_off(at);
    let share =
        |range: OffsetRange| (batch.bytes as u128 * u128::from(range.len()) / u128::from(whole.len().max(1))) as u64;
    let second = OffsetRange::new(end, whole.to);
    let rest = EnrichedBatch { range: second, items, received_ms: batch.received_ms, bytes: share(second) };
    batch.range = OffsetRange::new(whole.from, end);
    batch.bytes = batch.bytes.saturating_sub(rest.bytes);
    rest
}

#[cfg(test)]
mod tests;
