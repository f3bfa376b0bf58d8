//! Rolling windows: what arrived in the last second, ten seconds, minute, hour.
//!
//! A view's events are folded by arrival into panes of 100 ms; ten panes make a block of 1 s, ten of those one of 10 s, then
//! 60 s, then 120 s. A level keeps its blocks for as long as a window's old edge needs them that fine: a thirtieth of the
//! window, but never finer than a pane. A window is the sum of the largest blocks that fit into it, and the block that its
//! edge cuts is in it if more than half of it is: so the edge is off by at most a sixtieth of the window (1.7 %), or 50 ms.
//!
//! A late event is added to every block that covers its arrival, so windows are exact at their young end whatever the order;
//! but a sum is made anew only every thousandth of the window (3.6 s of an hour; never more often than every pane), or every
//! 200th if it has sketches (18 s of an hour, 1.5 s of five minutes), which are costly to add up.
//! The old part of a sum is kept, since it changes only when a block comes or goes.

use crate::platform::clock::Millis;
use crate::view::{Fold, Groups, KeyTable, Reading, View};
use std::collections::VecDeque;
use std::sync::Arc;

/// Width of a pane, milliseconds.
pub const PANE_MS: i64 = 100;

const WIDTHS: [i64; 5] = [PANE_MS, 1_000, 10_000, 60_000, 120_000];
/// Blocks this wide are kept for long, so they are made small at the price of slower sums.
const COMPACT_MS: i64 = 60_000;
/// How long after its end a block is made of smaller ones: most late events have come by then.
const GRACE_MS: i64 = 1_000;
/// An arrival further ahead of the clock than this counts as now.
const AHEAD_MS: i64 = 10_000;
const EDGE_PARTS: i64 = 30;
/// A sum is shown again until it is older than this part of its window (or a pane): plain numbers, and sketches.
const SUM_PARTS: (i64, i64) = (1_000, 200);

/// One level of blocks of the same width.
#[derive(Debug)]
struct Level {
    width: i64,
    keep: i64,
    /// Blocks that start before this have been made, if anything came then.
    made_to: i64,
    blocks: VecDeque<(i64, Arc<Fold>)>,
}

/// The windows of one view.
#[derive(Debug)]
pub(super) struct Windows {
    view: Arc<View>,
    keys: Arc<KeyTable>,
    levels: Vec<Level>,
    /// The newest sum of each window, in the order of the view's windows.
    sums: Vec<Option<Kept>>,
}

/// A sum and its old part.
#[derive(Clone, Debug)]
struct Kept {
    window: Window,
    old: Vec<Arc<Fold>>,
    old_sum: Arc<Groups>,
}

/// A window to be summed up, outside the lock.
#[derive(Debug)]
pub(super) struct Cover {
    at: usize,
    window_ms: i64,
    to_ms: Millis,
    blocks: Vec<Arc<Fold>>,
    /// How many of the blocks change seldom: they are as large as the block that the edge cuts, or larger.
    old: usize,
    old_sum: Option<Arc<Groups>>,
}

/// What arrived in one window.
#[derive(Clone, Debug)]
pub struct Window {
    /// Its width, milliseconds.
    pub window_ms: i64,
    /// Where it ends: when it was summed up.
    pub to_ms: Millis,
    /// The groups; their keys have the time 0.
    pub groups: Arc<Groups>,
}

impl Windows {
    /// The windows of a view, if it has any.
    pub(super) fn of(view: &Arc<View>, max_groups: usize, now: Millis) -> Option<Windows> {
        let longest = *view.windows().last()?;
        let top = edge_level(longest);
        let levels = (0..=top)
            .map(|i| {
                let need = view.windows().iter().copied().filter(|w| edge_level(*w) == i).max().unwrap_or(0);
                let parent = if i < top { WIDTHS[i + 1] } else { WIDTHS[i] };
                Level {
                    width: WIDTHS[i],
                    keep: need + parent + GRACE_MS + WIDTHS[i],
                    made_to: if i == 0 { i64::MAX } else { now.div_euclid(WIDTHS[i]) * WIDTHS[i] },
                    blocks: VecDeque::new(),
                }
            })
            .collect();
        let keys = Arc::new(KeyTable::new(view.dimension_names().count(), max_groups));
        let sums = vec![None; view.windows().len()];
        Some(Windows { view: view.clone(), keys, levels, sums })
    }

    /// Takes the events of a chunk in; after [`Windows::advance`] with the same `now`.
    pub(super) fn add(&mut self, reading: &Reading<'_>, now: Millis) {
        let rows = reading.chosen();
        let pane = |row: u32| {
            let at = reading.arrival(row as usize);
            let at = if at > now + AHEAD_MS { now } else { at };
            at.div_euclid(PANE_MS) * PANE_MS
        };
        let mut start = 0;
        while let Some(first) = rows.get(start) {
            let at = pane(*first);
            let end = rows[start..].iter().position(|r| pane(*r) != at).map_or(rows.len(), |n| start + n);
            self.add_pane(reading, &rows[start..end], at, now);
            start = end;
        }
    }

    fn add_pane(&mut self, reading: &Reading<'_>, rows: &[u32], at: i64, now: Millis) {
        for level in &mut self.levels {
            let start = at.div_euclid(level.width) * level.width;
            if start >= level.made_to || start + level.width <= now - level.keep {
                continue;
            }
            let place = level.blocks.partition_point(|(s, _)| *s < start);
            if level.blocks.get(place).is_none_or(|(s, _)| *s != start) {
                let fold = Fold::timeless(self.view.clone(), self.keys.clone());
                level.blocks.insert(place, (start, Arc::new(fold)));
            }
            // The block at this place is the one of `start`: it was found or just put in. A reader that still looks at it
            // keeps the copy as it was.
            Arc::make_mut(&mut level.blocks[place].1).add_rows(reading, rows);
        }
    }

    /// Makes larger blocks of smaller ones and drops what no window needs. Gives back what is dropped, so that it can be
    /// freed outside the lock.
    pub(super) fn advance(&mut self, now: Millis) -> Vec<Arc<Fold>> {
        for i in 1..self.levels.len() {
            let (finer, coarser) = self.levels.split_at_mut(i);
            // Both halves have at least one level, since 1 <= i < len.
            make_blocks(&self.view, &self.keys, &finer[i - 1], &mut coarser[0], now);
        }
        let mut gone = Vec::new();
        for level in &mut self.levels {
            while level.blocks.front().is_some_and(|(start, _)| start + level.width <= now - level.keep) {
                gone.extend(level.blocks.pop_front().map(|b| b.1));
            }
        }
        gone
    }

    /// Forgets keys that no block has any more.
    pub(super) fn tidy(&self) {
        self.keys.tidy();
    }

    /// The newest sum of a window if it is young enough, else what has to be summed up.
    pub(super) fn look(&self, at: usize, now: Millis) -> Result<Window, Cover> {
        let window_ms = self.view.windows().get(at).copied().unwrap_or(0);
        let kept = self.sums.get(at).and_then(Option::as_ref);
        let parts = if self.view.is_scalar() { SUM_PARTS.0 } else { SUM_PARTS.1 };
        let age = (window_ms / parts).max(PANE_MS);
        if let Some(kept) = kept
            && (0..age).contains(&(now - kept.window.to_ms))
        {
            return Ok(kept.window.clone());
        }
        let edge = Edge { at: now - window_ms, level: edge_level(window_ms) };
        let mut found = Vec::new();
        self.collect(self.levels.len() - 1, (i64::MIN, i64::MAX), &edge, &mut found);
        let seldom = |f: &(usize, Arc<Fold>)| edge.level > 0 && f.0 >= edge.level;
        let old = found.iter().rposition(seldom).map_or(0, |n| n + 1);
        let blocks: Vec<Arc<Fold>> = found.into_iter().map(|f| f.1).collect();
        let same = |k: &&Kept| k.old.len() == old && k.old.iter().zip(&blocks).all(|(a, b)| Arc::ptr_eq(a, b));
        let old_sum = kept.filter(same).map(|k| k.old_sum.clone());
        Err(Cover { at, window_ms, to_ms: now, blocks, old, old_sum })
    }

    /// Keeps a sum for those who look next.
    pub(super) fn keep(&mut self, summed: Summed) {
        if let Some(kept) = self.sums.get_mut(summed.at) {
            *kept = Some(summed.kept);
        }
    }

    fn collect(&self, level: usize, within: (i64, i64), edge: &Edge, out: &mut Vec<(usize, Arc<Fold>)>) {
        let (mut cursor, to) = within;
        let here = &self.levels[level];
        let first = here.blocks.partition_point(|(s, _)| *s < cursor);
        for (start, fold) in here.blocks.iter().skip(first).take_while(|(s, _)| *s < to) {
            let end = start + here.width;
            if level > 0 && cursor < *start && edge.at < *start {
                self.collect(level - 1, (cursor, *start), edge, out);
            }
            cursor = end;
            if *start >= edge.at {
                out.push((level, fold.clone()));
            } else if end > edge.at {
                if level > edge.level {
                    self.collect(level - 1, (*start, end), edge, out);
                } else if edge.at - start <= here.width / 2 {
                    out.push((level, fold.clone()));
                }
            }
        }
        if level > 0 && cursor < to {
            self.collect(level - 1, (cursor, to), edge, out);
        }
    }

    /// Blocks, groups in them and bytes, for the figures.
    #[cfg(test)]
    pub(super) fn size(&self) -> (usize, usize, usize) {
        let all = || self.levels.iter().flat_map(|l| l.blocks.iter());
        let groups = all().map(|(_, f)| f.groups().len()).sum();
        (all().count(), groups, all().map(|(_, f)| f.groups().weight()).sum())
    }
}

struct Edge {
    at: i64,
    level: usize,
}

/// The level whose blocks a window's old edge is cut by.
fn edge_level(window: i64) -> usize {
    WIDTHS.iter().rposition(|w| *w <= window / EDGE_PARTS).unwrap_or(0)
}

fn make_blocks(view: &Arc<View>, keys: &Arc<KeyTable>, finer: &Level, coarser: &mut Level, now: Millis) {
    while coarser.made_to + coarser.width + GRACE_MS <= now {
        let start = coarser.made_to;
        let end = start + coarser.width;
        let first = finer.blocks.partition_point(|(s, _)| *s < start);
        let mut parts = finer.blocks.iter().skip(first).take_while(|(s, _)| *s < end).peekable();
        if parts.peek().is_none() {
            // Nothing came for a while: go on where the next block is, or where the present is.
            let next = finer.blocks.get(first).map_or(now - GRACE_MS, |b| b.0.min(now - GRACE_MS));
            coarser.made_to = (next.div_euclid(coarser.width) * coarser.width).max(end);
            continue;
        }
        let mut sum = Fold::timeless(view.clone(), keys.clone());
        parts.for_each(|(_, fold)| sum.merge(fold));
        if coarser.width >= COMPACT_MS {
            sum.compact();
        }
        coarser.blocks.push_back((start, Arc::new(sum)));
        coarser.made_to = end;
    }
}

/// A window summed up.
#[derive(Debug)]
pub(super) struct Summed {
    at: usize,
    kept: Kept,
}

impl Summed {
    /// The window.
    pub(super) fn window(&self) -> Window {
        self.kept.window.clone()
    }
}

impl Cover {
    /// Sums the blocks up. They are shared: one that grows meanwhile is copied first.
    pub(super) fn sum(self, view: &Arc<View>) -> Summed {
        let (old, young) = self.blocks.split_at(self.old);
        let old_sum = self.old_sum.unwrap_or_else(|| Arc::new(add(Groups::new(view.clone()), old)));
        let groups = if young.is_empty() { old_sum.clone() } else { Arc::new(add(Groups::clone(&old_sum), young)) };
        let window = Window { window_ms: self.window_ms, to_ms: self.to_ms, groups };
        Summed { at: self.at, kept: Kept { window, old: old.to_vec(), old_sum } }
    }
}

fn add(mut groups: Groups, blocks: &[Arc<Fold>]) -> Groups {
    blocks.iter().for_each(|block| groups.merge(block.groups()));
    groups
}
