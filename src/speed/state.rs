//! Everything that one lock guards: the micro-batches that are not committed, and up to where they are applied.
//!
//! Invariants: micro-batches are in offset order without a gap between `floor` and `applied`; only the last one may be open;
//! a read at a boundary sees whole micro-batches.

use super::batch::{Aggregates, BatchInfo, FailedEvent, Files, MicroBatch, Prepared, Shed, State};
use super::config::Config;
use super::error::SpeedError;
use super::spill::Spilled;
use crate::event::rows::Rows;
use crate::event::{BatchId, Boundary, Chunk, EventAddr, Offset, Tally};
use crate::platform::clock::Millis;
use crate::view::{Fold, Half, Plan, Reducer, View};
use std::collections::{HashSet, VecDeque};
use std::sync::Arc;

/// What the lock guards.
#[derive(Debug)]
pub(super) struct Inner {
    pub(super) views: Vec<Arc<View>>,
    pub(super) batches: VecDeque<MicroBatch>,
    /// First offset that was not applied.
    pub(super) applied: Option<Offset>,
    /// State below this offset is gone (or was never here).
    pub(super) floor: Offset,
    pub(super) boundary: Boundary,
    /// Counts chunks; marks what they changed.
    pub(super) stamp: u64,
    pub(super) tail_bytes: usize,
    /// The most that `tail_bytes` ever was.
    pub(super) tail_highest: usize,
    /// Files of micro-batches whose seal has not come by here yet: the batch layer was faster. No more than it may hold.
    early: Vec<(BatchId, Files)>,
}

/// The rows that are not committed yet, as of one moment.
#[derive(Clone, Debug, Default)]
pub struct Tail {
    /// Enriched events in memory.
    pub rows: Vec<Arc<Rows>>,
    /// Incomplete events in memory.
    pub failed_rows: Vec<Arc<Rows>>,
    /// Failed events in memory that still stand, with their bad rows.
    pub failures: Vec<Arc<FailedEvent>>,
    /// Failures, in memory or committed, that are repaired above the boundary: the warehouse does not know it yet.
    pub repaired: Vec<EventAddr>,
    /// Failed events whose bad row was not kept, beyond `speed.max_failures`.
    pub failures_left_out: u64,
    /// Files of micro-batches that are read from there instead.
    pub files: Vec<Files>,
}

/// What a reader asks for.
#[derive(Clone, Copy, Debug, Default)]
pub struct Wanted<'a> {
    /// Views by name, each with a plan of that view.
    pub views: &'a [(&'a str, Arc<Plan>)],
    /// The rows.
    pub tail: bool,
}

/// What is in memory at and above a boundary, as of one moment.
#[derive(Clone, Debug)]
pub struct Memory {
    /// One per view asked for.
    pub halves: Vec<Half>,
    /// First offset that is not in it; never below the boundary asked for.
    pub applied: Offset,
    /// Counts of all outcomes from the boundary up to `applied`.
    pub tally: Tally,
    /// The micro-batches at and above the boundary, oldest first.
    pub batches: Vec<BatchInfo>,
    /// The rows, if asked for.
    pub tail: Option<Tail>,
}

/// What was taken under the lock; [`Pending::finish`] does the work, without it.
pub(super) struct Pending {
    memory: Memory,
    parts: Vec<Part>,
}

/// What makes up the half of one view.
struct Part {
    view: Arc<View>,
    plan: Arc<Plan>,
    held: Vec<Arc<Fold>>,
    spilled: Vec<Arc<Spilled>>,
}

impl Pending {
    pub(super) fn finish(mut self) -> Result<Memory, SpeedError> {
        for part in self.parts {
            let mut reducer = Reducer::new(&part.view, part.plan);
            for fold in &part.held {
                reducer.add(fold.groups())?;
            }
            // Let go at once: what is held when the next chunk comes has to be copied.
            drop(part.held);
            for file in &part.spilled {
                reducer.add(&file.read(&part.view)?)?;
            }
            self.memory.halves.push(reducer.finish());
        }
        Ok(self.memory)
    }
}

impl Inner {
    pub(super) fn new(views: Vec<Arc<View>>, start: Boundary) -> Inner {
        Inner {
            views,
            batches: VecDeque::new(),
            applied: None,
            floor: start.offset,
            boundary: start,
            stamp: 0,
            tail_bytes: 0,
            tail_highest: 0,
            early: Vec::new(),
        }
    }

    /// First offset that is not in the answers.
    pub(super) fn applied(&self) -> Offset {
        self.applied.unwrap_or(self.floor).max(self.floor)
    }

    /// Takes a chunk in. A chunk below the boundary of the start is history: its rows are in the warehouse.
    pub(super) fn apply(
        &mut self,
        chunk: &Chunk,
        prepared: &mut Prepared<'_>,
        now: Millis,
        config: &Config,
    ) -> Result<(), SpeedError> {
        let expected = self.applied.unwrap_or(chunk.range.from.min(self.floor));
        if chunk.range.from != expected {
            return Err(SpeedError::Gap { expected, got: chunk.range });
        }
        self.stamp += 1;
        if chunk.batch_from >= self.floor {
            if self.batches.back().is_none_or(|b| b.state != State::Open) {
                self.batches.push_back(MicroBatch::open(chunk.batch_from, &self.views, now));
            }
            // The line above leaves an open micro-batch at the end.
            if let Some(batch) = self.batches.back_mut() {
                if batch.id.from != chunk.batch_from {
                    return Err(SpeedError::Gap { expected: batch.id.from, got: chunk.range });
                }
                let before = batch.tail_bytes;
                batch.apply(chunk, prepared, self.stamp, config.max_failures);
                self.tail_bytes += batch.tail_bytes - before;
                self.tail_highest = self.tail_highest.max(self.tail_bytes);
            }
        }
        self.applied = Some(chunk.range.to);
        Ok(())
    }

    /// Closes the open micro-batch. It may be committed already, if the batch layer was faster.
    pub(super) fn seal(&mut self, id: BatchId, now: Millis, next_lease: u64) -> Result<(), SpeedError> {
        let early = self.early.iter().position(|(of, _)| *of == id).map(|at| self.early.swap_remove(at).1);
        if id.from < self.floor {
            return Ok(());
        }
        match self.batches.back_mut() {
            Some(batch) if batch.state == State::Open && batch.id == id => {
                batch.advance(State::Sealed, now);
                if early.is_some() {
                    batch.advance(State::Written, now);
                    batch.files = early;
                }
                batch.weigh();
                self.stamp += 1;
                batch.stamps.1 = self.stamp;
                self.mark_committed(next_lease);
                Ok(())
            }
            Some(batch) => Err(SpeedError::WrongSeal { open: batch.id, got: id }),
            None => Err(SpeedError::WrongSeal { open: BatchId::new(self.applied(), self.applied()), got: id }),
        }
    }

    /// Marks everything below the boundary as committed; `next_lease` is the first lease that will know.
    pub(super) fn boundary_moved(&mut self, boundary: Boundary, next_lease: u64) {
        if boundary.offset < self.boundary.offset {
            return;
        }
        self.boundary = boundary;
        self.mark_committed(next_lease);
    }

    fn mark_committed(&mut self, next_lease: u64) {
        for batch in &mut self.batches {
            if batch.id.to <= self.boundary.offset && batch.state > State::Open && batch.free_after.is_none() {
                batch.state = State::Committed;
                batch.free_after = Some(next_lease);
            }
        }
    }

    /// Takes out what no lease holds; to be dropped after the lock is given back.
    pub(super) fn free(&mut self, oldest_lease: u64) -> Vec<MicroBatch> {
        let mut freed = Vec::new();
        while self.batches.front().is_some_and(|b| b.free_after.is_some_and(|n| n <= oldest_lease)) {
            if let Some(batch) = self.batches.pop_front() {
                self.floor = batch.id.to;
                self.tail_bytes = self.tail_bytes.saturating_sub(batch.tail_bytes);
                freed.push(batch);
            }
        }
        freed
    }

    pub(super) fn batch_mut(&mut self, id: BatchId) -> Option<&mut MicroBatch> {
        self.batches.iter_mut().find(|b| b.id == id && b.state > State::Open)
    }

    /// Has micro-batches give their rows up, the oldest first, until the tail is below `max`. What they gave up is to be
    /// dropped after the lock is given back.
    pub(super) fn shed_rows(&mut self, max: usize) -> Shed {
        let mut shed = Shed::default();
        for batch in &mut self.batches {
            if self.tail_bytes <= max {
                break;
            }
            self.tail_bytes = self.tail_bytes.saturating_sub(batch.drop_rows(&mut shed));
        }
        shed
    }

    /// Files arrived for a micro-batch.
    pub(super) fn staged(&mut self, id: BatchId, files: Files, now: Millis) {
        if let Some(batch) = self.batch_mut(id) {
            batch.advance(State::Written, now);
            batch.files = Some(files);
        } else if id.from >= self.floor {
            self.early.push((id, files));
        }
    }

    /// Whether a sealed micro-batch has rows that no file holds yet: waiting for it can make room.
    pub(super) fn is_being_staged(&self) -> bool {
        self.batches.iter().any(|b| b.state > State::Open && b.state < State::Committed && b.files.is_none())
    }

    /// Reads everything at and above a boundary.
    pub(super) fn read(&self, above: Offset, wanted: &Wanted<'_>) -> Result<Pending, SpeedError> {
        if above < self.floor {
            return Err(SpeedError::BoundaryTooOld { asked: above, held: self.floor });
        }
        let inside = |b: &&MicroBatch| b.id.from < above && above < b.id.to;
        if let Some(batch) = self.batches.iter().find(inside) {
            return Err(SpeedError::NotABoundary { asked: above, batch: batch.id });
        }
        let held = || self.batches.iter().filter(|b| b.id.from >= above);
        let mut parts = Vec::with_capacity(wanted.views.len());
        for (name, plan) in wanted.views {
            let at = self.views.iter().position(|v| v.name() == *name);
            let at = at.ok_or_else(|| SpeedError::NoSuchView((*name).to_owned()))?;
            parts.push(self.part(at, plan, held())?);
        }
        let mut tally = Tally::default();
        held().for_each(|b| tally.add(&b.tally));
        let memory = Memory {
            halves: Vec::with_capacity(parts.len()),
            applied: self.applied().max(above),
            tally,
            batches: held().map(MicroBatch::info_above).collect(),
            tail: wanted.tail.then(|| tail_of(held())),
        };
        Ok(Pending { memory, parts })
    }

    fn part<'b>(
        &self,
        at: usize,
        plan: &Arc<Plan>,
        batches: impl Iterator<Item = &'b MicroBatch>,
    ) -> Result<Part, SpeedError> {
        let view = self.views[at].clone();
        let mut part = Part { view, plan: plan.clone(), held: Vec::new(), spilled: Vec::new() };
        for batch in batches {
            match batch.views.get(at) {
                Some(Aggregates::Held(fold)) => part.held.push(fold.clone()),
                Some(Aggregates::Spilled(file)) if file.touches(plan.from_ms, plan.to_ms) => {
                    part.spilled.push(file.clone());
                }
                Some(Aggregates::Spilled(_)) | None => {}
                Some(Aggregates::Broken(problem)) => {
                    let view = part.view.name().to_owned();
                    return Err(SpeedError::ViewBroken { view, problem: problem.clone() });
                }
            }
        }
        Ok(part)
    }

    /// The aggregates of the oldest sealed micro-batch that has any in memory, if all of them weigh more than `max`.
    pub(super) fn to_spill(&self, max: usize) -> Option<(BatchId, Vec<Option<Arc<Fold>>>)> {
        let total: usize = self.batches.iter().map(|b| b.state_bytes).sum();
        if total <= max {
            return None;
        }
        let heavy = |b: &&MicroBatch| b.state > State::Open && b.state < State::Committed && b.state_bytes > 0;
        let fold = |v: &Aggregates| if let Aggregates::Held(fold) = v { Some(fold.clone()) } else { None };
        self.batches.iter().find(heavy).map(|b| (b.id, b.views.iter().map(fold).collect()))
    }

    /// Puts files in the place of aggregates.
    pub(super) fn spilled(&mut self, id: BatchId, files: Vec<Option<Spilled>>) -> Vec<Aggregates> {
        let Some(batch) = self.batches.iter_mut().find(|b| b.id == id) else { return Vec::new() };
        batch.state_bytes = 0;
        let mut replaced = Vec::new();
        for (view, file) in batch.views.iter_mut().zip(files) {
            if let Some(file) = file {
                replaced.push(std::mem::replace(view, Aggregates::Spilled(Arc::new(file))));
            }
        }
        replaced
    }
}

fn tail_of<'b>(batches: impl Iterator<Item = &'b MicroBatch>) -> Tail {
    let mut tail = Tail::default();
    for batch in batches {
        tail.repaired.extend_from_slice(&batch.repaired);
        match &batch.files {
            Some(files) if batch.rows_dropped => tail.files.push(files.clone()),
            _ => {
                tail.rows.extend_from_slice(&batch.rows);
                tail.failed_rows.extend_from_slice(&batch.failed_rows);
                tail.failures.extend_from_slice(&batch.failures);
                tail.failures_left_out += batch.failures_left_out;
            }
        }
    }
    if !tail.repaired.is_empty() {
        let repaired: HashSet<EventAddr, ahash::RandomState> = tail.repaired.iter().copied().collect();
        tail.failures.retain(|f| !repaired.contains(&f.addr));
    }
    tail
}
