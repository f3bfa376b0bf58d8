//! Retention and idle checks: what has to happen from time to time and must not hold the writer up.
//!
//! A closed segment is removed when every registered consumer is past it **and** it is old enough (or the disk limit asks
//! for it). Removal goes from the oldest on, one at a time with the folder synced in between, so that a crash leaves a
//! journal without a hole.

use super::config::Config;
use super::index;
use super::metrics::JournalMetrics;
use super::queue::Queue;
use super::segment;
use super::view::{SegmentView, View};
use crate::event::Offset;
use crate::platform::clock::{Clock, Millis};
use crate::platform::fs::Fs;
use parking_lot::{Condvar, Mutex};
use std::collections::BTreeMap;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Time between two rounds.
const ROUND: Duration = Duration::from_secs(5);
/// No segment is removed before this much time has passed since the start: all consumers are registered by then.
/// Tests call [`Keeper::sweep`] when they mean it.
const GRACE: Duration = Duration::from_secs(if cfg!(test) { 3600 } else { 30 });
/// Bytes that the idle check writes.
const PROBE_BYTES: usize = 4096;
const PROBE_NAME: &str = "probe.tmp";

/// The keeper's state, shared with the journal's handle.
#[derive(Debug)]
pub(super) struct Keeper {
    pub(super) config: Config,
    pub(super) fs: Arc<dyn Fs>,
    pub(super) dir: PathBuf,
    pub(super) clock: Clock,
    pub(super) metrics: JournalMetrics,
    pub(super) queue: Arc<Queue>,
    pub(super) view: Arc<View>,
    pub(super) consumers: Mutex<BTreeMap<String, Offset>>,
    pub(super) idle_trouble: Mutex<Option<String>>,
    pub(super) stop: Mutex<bool>,
    pub(super) stopped: Condvar,
}

impl Keeper {
    /// Runs until [`Keeper::stop`].
    pub(super) fn run(&self) {
        let begun = Instant::now();
        let mut seen = self.view.end();
        loop {
            {
                let mut stop = self.stop.lock();
                if !*stop {
                    self.stopped.wait_for(&mut stop, ROUND);
                }
                if *stop {
                    return;
                }
            }
            let now = self.clock.now_ms();
            self.roll_by_age(now);
            if begun.elapsed() >= GRACE {
                self.sweep(now);
            }
            let end = self.view.end();
            if end == seen {
                self.check_idle();
            } else {
                *self.idle_trouble.lock() = None;
            }
            seen = end;
        }
    }

    /// Ends [`Keeper::run`].
    pub(super) fn stop(&self) {
        *self.stop.lock() = true;
        self.stopped.notify_all();
    }

    /// Has the open segment closed when it holds records and is old enough.
    pub(super) fn roll_by_age(&self, now: Millis) {
        let segments = self.view.segments();
        let old = segments.last().is_some_and(|open| {
            open.closed_ms.is_none()
                && open.end > open.first
                && now - open.created_ms >= self.config.segment_age.as_millis()
        });
        if old {
            self.queue.ask_to_roll();
        }
    }

    /// Removes what may go.
    pub(super) fn sweep(&self, now: Millis) {
        let floor = self.consumers.lock().values().min().copied();
        let segments = self.view.segments();
        let mut total: u64 = segments.iter().map(|segment| segment.bytes).sum();
        if let Some(floor) = floor {
            for segment in &segments {
                if !self.may_go(segment, floor, total, now) {
                    break;
                }
                if let Err(e) = self.remove(segment) {
                    tracing::warn!("cannot remove journal segment {}: {e}", segment.first);
                    break;
                }
                total -= segment.bytes;
            }
        }
        self.metrics.segments.set(self.view.segments().len() as i64);
        self.metrics.disk.set(total as i64);
    }

    fn may_go(&self, segment: &SegmentView, floor: Offset, total: u64, now: Millis) -> bool {
        let Some(closed) = segment.closed_ms else { return false };
        let old = now - closed >= self.config.retention.as_millis();
        let limit = self.config.retention_bytes.0;
        segment.end <= floor && (old || (limit > 0 && total > limit))
    }

    fn remove(&self, segment: &SegmentView) -> io::Result<()> {
        if !self.view.forget(segment.first) {
            return Ok(());
        }
        self.fs.remove(&segment::path(&self.dir, segment.first))?;
        self.fs.sync_dir(&self.dir)?;
        match self.fs.remove(&index::path(&self.dir, segment.first)) {
            Err(e) if e.kind() != io::ErrorKind::NotFound => Err(e),
            _ => Ok(()),
        }
    }

    /// With no traffic nothing else would notice that the disk went away: writes and syncs a small file.
    fn check_idle(&self) {
        let path = self.dir.join(PROBE_NAME);
        let checked = match self.fs.remove(&path) {
            Err(e) if e.kind() != io::ErrorKind::NotFound => Err(e),
            _ => Ok(()),
        }
        .and_then(|()| self.fs.create_new(&path))
        .and_then(|file| {
            file.write_all_at(&[0; PROBE_BYTES], 0)?;
            file.sync_data()
        })
        .and_then(|()| self.fs.remove(&path));
        *self.idle_trouble.lock() = checked.err().map(|e| e.to_string());
    }
}
