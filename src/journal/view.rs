//! What readers see: the durable segments, and the newest groups in memory.
//!
//! The writer publishes a group here after its sync and never before, so a reader cannot meet a record that a crash may
//! take back. Groups are shared bytes: a reader at the tail gets slices of the very buffer that was written.

use super::frame::Seal;
use super::index::Index;
use crate::event::Offset;
use bytes::Bytes;
use parking_lot::{Condvar, Mutex};
use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

/// A segment as far as it is durable.
#[derive(Clone, Debug)]
pub(super) struct SegmentView {
    /// First record.
    pub(super) first: Offset,
    /// Record after the last durable one.
    pub(super) end: Offset,
    /// Length of the durable part in bytes.
    pub(super) bytes: u64,
    /// When it was made.
    pub(super) created_ms: i64,
    /// When it was closed; `None` for the open one.
    pub(super) closed_ms: Option<i64>,
    /// What its frames begin with.
    pub(super) seal: Seal,
    /// The open segment's index; a closed one has a file.
    pub(super) index: Option<Index>,
}

#[derive(Clone, Debug)]
struct Group {
    first: Offset,
    bytes: Bytes,
}

#[derive(Debug, Default)]
struct State {
    segments: VecDeque<SegmentView>,
    ring: VecDeque<Group>,
    ring_bytes: usize,
    end: Offset,
    closed: bool,
}

/// Where a reader finds what it wants.
#[derive(Debug)]
pub(super) enum Found {
    /// In memory: groups that follow one another, the first of which holds the record.
    Memory(Vec<Bytes>),
    /// In this segment's file.
    File(SegmentView),
    /// Nowhere: an operator gave these records up; the next one is this.
    Skipped(Offset),
    /// Removed; the first record still there is this.
    Gone(Offset),
    /// Not written yet.
    Ahead,
    /// Not written, and it never will be: the journal is closed.
    Closed,
}

/// The shared view.
#[derive(Debug)]
pub(super) struct View {
    state: Mutex<State>,
    grown: Condvar,
    /// A segment was closed.
    sealed: Condvar,
    end: AtomicU64,
    ring_limit: usize,
}

impl View {
    pub(super) fn new(segments: Vec<SegmentView>, end: Offset, ring_limit: usize) -> Self {
        let state = State { segments: segments.into(), end, ..State::default() };
        View {
            state: Mutex::new(state),
            grown: Condvar::new(),
            sealed: Condvar::new(),
            end: AtomicU64::new(end.0),
            ring_limit,
        }
    }

    /// Next record to be written; all below are durable.
    pub(super) fn end(&self) -> Offset {
        Offset(self.end.load(Ordering::Acquire))
    }

    /// First record that is still there; the end if there is none.
    pub(super) fn first(&self) -> Offset {
        let state = self.state.lock();
        state.segments.front().map_or(state.end, |segment| segment.first)
    }

    /// Adds a durable group to the open segment and wakes the readers.
    pub(super) fn publish(&self, first: Offset, end: Offset, at: u64, bytes: Bytes) {
        let evicted;
        {
            let mut state = self.state.lock();
            if let Some(open) = state.segments.back_mut() {
                open.end = end;
                open.bytes = at + bytes.len() as u64;
                if let Some(index) = &mut open.index {
                    index.note(first, at);
                }
            }
            state.end = end;
            state.ring_bytes += bytes.len();
            state.ring.push_back(Group { first, bytes });
            evicted = state.trim(self.ring_limit);
            self.end.store(end.0, Ordering::Release);
        }
        self.grown.notify_all();
        drop(evicted);
    }

    /// Adds a segment that was just made.
    pub(super) fn open_segment(&self, segment: SegmentView) {
        let mut state = self.state.lock();
        if segment.first > state.end {
            // Records were given up: what is in memory does not join on to what comes.
            state.ring.clear();
            state.ring_bytes = 0;
            state.end = segment.first;
        }
        self.end.store(state.end.0, Ordering::Release);
        state.segments.push_back(segment);
    }

    /// Marks the open segment closed and gives back what is known of it, for its index file. One without a record
    /// disappears.
    pub(super) fn close_segment(&self, now_ms: i64) -> Option<SegmentView> {
        let mut state = self.state.lock();
        let open = state.segments.back_mut().filter(|segment| segment.closed_ms.is_none())?;
        if open.end == open.first {
            return state.segments.pop_back();
        }
        open.closed_ms = Some(now_ms);
        let closed = open.clone();
        open.index = None;
        drop(state);
        self.sealed.notify_all();
        Some(closed)
    }

    /// The first closed segment that ends beyond `from`. Waits for one; `None` when the journal closes before.
    pub(super) fn closed_beyond(&self, from: Offset) -> Option<SegmentView> {
        let mut state = self.state.lock();
        loop {
            if let Some(segment) = state.segments.iter().find(|s| s.closed_ms.is_some() && s.end > from) {
                return Some(SegmentView { index: None, ..segment.clone() });
            }
            if state.closed {
                return None;
            }
            self.sealed.wait(&mut state);
        }
    }

    /// All segments, oldest first.
    pub(super) fn segments(&self) -> Vec<SegmentView> {
        self.state.lock().segments.iter().map(|s| SegmentView { index: None, ..s.clone() }).collect()
    }

    /// Takes the oldest segment out, if it is the one that begins at `first` and is closed.
    pub(super) fn forget(&self, first: Offset) -> bool {
        let mut state = self.state.lock();
        let oldest = state.segments.front().is_some_and(|s| s.first == first && s.closed_ms.is_some());
        if oldest {
            state.segments.pop_front();
        }
        oldest
    }

    /// No more will come.
    pub(super) fn close(&self) {
        self.state.lock().closed = true;
        self.grown.notify_all();
        self.sealed.notify_all();
    }

    /// Where record `wanted` is; from memory at most about `max_bytes` and at least one group.
    pub(super) fn find(&self, wanted: Offset, max_bytes: u64) -> Found {
        self.state.lock().find(wanted, max_bytes)
    }

    /// Waits until record `wanted` is durable, the journal closes, or `until` passes.
    pub(super) fn wait(&self, wanted: Offset, until: Instant) -> bool {
        let mut state = self.state.lock();
        while state.end <= wanted && !state.closed {
            if self.grown.wait_until(&mut state, until).timed_out() {
                return state.end > wanted;
            }
        }
        true
    }
}

impl State {
    fn find(&self, wanted: Offset, max_bytes: u64) -> Found {
        if wanted >= self.end {
            return if self.closed { Found::Closed } else { Found::Ahead };
        }
        let after = self.ring.partition_point(|group| group.first <= wanted);
        if let Some(start) = after.checked_sub(1) {
            let mut total = 0;
            let groups = self.ring.iter().skip(start).take_while(|group| {
                let more = total == 0 || total < max_bytes;
                total += group.bytes.len() as u64;
                more
            });
            return Found::Memory(groups.map(|group| group.bytes.clone()).collect());
        }
        let after = self.segments.partition_point(|segment| segment.first <= wanted);
        match after.checked_sub(1).and_then(|i| self.segments.get(i)) {
            None => Found::Gone(self.segments.front().map_or(self.end, |segment| segment.first)),
            Some(segment) if wanted < segment.end => Found::File(segment.clone()),
            Some(_) => Found::Skipped(self.segments.get(after).map_or(self.end, |segment| segment.first)),
        }
    }

    fn trim(&mut self, limit: usize) -> Vec<Group> {
        let mut out = Vec::new();
        while self.ring_bytes > limit
            && let Some(oldest) = self.ring.pop_front()
        {
            self.ring_bytes -= oldest.bytes.len();
            out.push(oldest);
        }
        out
    }
}
