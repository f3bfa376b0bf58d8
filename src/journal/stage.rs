//! The writer: the one thread that writes and syncs, and the only maker of receipts.
//!
//! It takes everything that is queued, lays it out in one buffer, writes it with one call, syncs once, shows it to the
//! readers and then answers everybody in the group. What arrives meanwhile is the next group: the slower the disk, the
//! larger the groups.
//!
//! After a write or sync that failed, nobody knows what the file holds: the file is given up at the last record that was
//! durable, and the group goes, once more, into a new segment that begins with the same number. Only if that fails too
//! are the appends refused; from then on the writer tries by itself to make a new segment until one holds.

use super::config::Config;
use super::error::AppendError;
use super::frame;
use super::herald::Callers;
use super::index::{self, Summary};
use super::metrics::JournalMetrics;
use super::queue::{Queue, Request, Taken};
use super::record::Receipt;
use super::segment;
use super::spare::Spare;
use super::view::{SegmentView, View};
use crate::event::Offset;
use crate::platform::clock::Clock;
use crate::platform::failpoint::fail_point;
use crate::platform::fs::{File, Fs};
use crate::platform::slice::take_short_turns;
use bytes::Bytes;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};
use uuid::Uuid;

/// How often the writer tries to make a segment while it cannot write.
const PROBE: Duration = Duration::from_millis(if cfg!(test) { 10 } else { 250 });
/// How often the log says again that nothing can be written.
const REMIND: Duration = Duration::from_secs(60);
/// How long it sleeps when there is nothing to do.
const IDLE: Duration = Duration::from_secs(60);
/// What a new segment must have room for before a journal that could not write says that it can again.
const ROOM: usize = 256 << 10;

/// The segment that is written.
#[derive(Debug)]
pub(super) struct Open {
    pub(super) file: Arc<dyn File>,
    pub(super) header: segment::Header,
    /// Where the next frame goes: all before it is durable.
    pub(super) len: u64,
    /// Whether the blocks behind that are written already, with zeros.
    pub(super) prepared: bool,
}

/// The writer's own state.
pub(super) struct Writer {
    pub(super) config: Config,
    pub(super) fs: Arc<dyn Fs>,
    pub(super) dir: PathBuf,
    pub(super) id: Uuid,
    pub(super) clock: Clock,
    pub(super) metrics: JournalMetrics,
    pub(super) queue: Arc<Queue>,
    pub(super) view: Arc<View>,
    /// Where the next segment lies ready.
    pub(super) spare: Arc<Spare>,
    /// `None` after a failure, until a new one is made.
    pub(super) open: Option<Open>,
    /// Next record.
    pub(super) end: Offset,
    /// Whether appends are refused because nothing could be written.
    pub(super) failing: bool,
    /// When the last group was begun.
    pub(super) last_commit: Instant,
    /// When the log last told that nothing can be written.
    pub(super) complained: Option<Instant>,
    /// Where groups are laid out, one after the other.
    pub(super) buffer: Vec<u8>,
}

impl Writer {
    /// Makes the first segment of a new journal, so that trouble shows at the start.
    pub(super) fn begin(&mut self) -> io::Result<()> {
        self.segment_for(0).map(|_| ())
    }

    /// Runs until the queue is closed and empty.
    pub(super) fn run(mut self) {
        take_short_turns();
        // However the thread ends, nobody waits for it afterwards.
        let _ends = EndGuard { queue: self.queue.clone(), view: self.view.clone(), spare: self.spare.clone() };
        let mut taken = Vec::new();
        loop {
            match self.queue.take(&mut taken, if self.failing { PROBE } else { IDLE }) {
                Taken::Closed => break,
                Taken::Requests => {
                    self.gather(&mut taken);
                    self.write_all(std::mem::take(&mut taken));
                }
                Taken::Nothing if self.failing => self.probe(),
                Taken::Nothing => {}
            }
            if self.queue.roll_asked() {
                self.roll_if_used();
            }
        }
        self.finish();
    }

    /// Waits for company, where that was configured and the last group is not long ago.
    fn gather(&mut self, taken: &mut Vec<Request>) {
        let interval = self.config.commit_interval.to_duration();
        let wait = interval.saturating_sub(self.last_commit.elapsed());
        if !wait.is_zero() {
            std::thread::sleep(wait);
            self.queue.take_more(taken);
        }
        self.last_commit = Instant::now();
    }

    fn write_all(&mut self, requests: Vec<Request>) {
        let mut rest = requests.into_iter().peekable();
        while let Some(request) = rest.next() {
            if let Some(to) = request.skip_to {
                self.skip(request, to);
                continue;
            }
            let mut bytes = request.bytes;
            let mut group = vec![request];
            while let Some(next) =
                rest.next_if(|next| next.skip_to.is_none() && bytes + next.bytes <= self.config.group_bytes.0)
            {
                bytes += next.bytes;
                group.push(next);
            }
            self.commit(group, bytes);
        }
    }

    /// Makes a group durable and answers it.
    fn commit(&mut self, group: Vec<Request>, bytes: u64) {
        let first = self.end;
        let result = self.try_commit(&group, bytes).or_else(|e| {
            self.give_up(&e);
            self.try_commit(&group, bytes)
        });
        let failed = result.err().map(|e| {
            self.give_up(&e);
            Arc::<str>::from(e.to_string())
        });
        self.set_failing(failed.clone());
        self.queue.release(group.len() as u64, bytes);
        let mut next = first;
        let mut callers = Callers::default();
        for request in group {
            let count = request.records.len() as u32;
            let result = match &failed {
                None => Ok(Receipt::new(next, count)),
                Some(reason) => Err(AppendError::Unavailable { reason: reason.clone() }),
            };
            request.finish(result, &mut callers);
            next = Offset(next.0 + u64::from(count));
        }
        callers.wake();
        self.metrics.waiting.set(self.queue.held().1 as i64);
    }

    /// Goes on with a higher number, in a new segment.
    fn skip(&mut self, request: Request, to: Offset) {
        let mut result = Ok(());
        if to > self.end {
            self.close_open();
            result = self.new_segment(to).map(|open| self.open = Some(open));
        }
        let result = match result {
            Ok(()) => {
                self.end = self.end.max(to);
                Ok(Receipt::new(self.end, 0))
            }
            Err(e) => Err(AppendError::Unavailable { reason: e.to_string().into() }),
        };
        self.queue.release(1, 0);
        let mut callers = Callers::default();
        request.finish(result, &mut callers);
        callers.wake();
    }

    fn try_commit(&mut self, group: &[Request], bytes: u64) -> io::Result<()> {
        let open = self.segment_for(bytes)?;
        let (file, at, seal) = (open.file.clone(), open.len, open.header.seal);
        let records = || group.iter().flat_map(|request| &request.records);
        let write = if self.config.pack { frame::write_packed } else { frame::write };
        let mut buffer = std::mem::take(&mut self.buffer);
        buffer.clear();
        let mut next = self.end;
        for record in records() {
            // The flag says that all before it was synced; without syncs nothing may say so.
            let group_start = buffer.is_empty() && self.config.fsync;
            write(&mut buffer, seal, next.0, record.kind.number(), group_start, &record.body);
            next = next.next();
        }
        if buffer.is_empty() {
            return Ok(());
        }
        let begun = Instant::now();
        file.write_all_at(&buffer, at)?;
        fail_point("journal-written");
        if self.config.fsync {
            file.sync_data()?;
        }
        fail_point("journal-synced");
        self.metrics.commit.observe(begun.elapsed().as_secs_f64());
        self.metrics.groups.inc();
        self.metrics.records.inc_by(next.0 - self.end.0);
        self.metrics.bytes.inc_by(buffer.len() as u64);
        self.metrics.end.set(next.0 as i64);
        if let Some(open) = &mut self.open {
            open.len = at + buffer.len() as u64;
            if self.config.prepares() && open.len >= self.config.segment_bytes.0 / 4 {
                self.spare.want();
            }
        }
        self.spare.wrote(buffer.len() as u64);
        self.view.publish(self.end, next, at, Bytes::copy_from_slice(&buffer));
        self.end = next;
        if buffer.capacity() as u64 <= 2 * self.config.group_bytes.0 {
            self.buffer = buffer;
        }
        Ok(())
    }

    /// The open segment with room for `bytes` more, or a new one: also where the next one lies ready and this one was not
    /// prepared.
    fn segment_for(&mut self, bytes: u64) -> io::Result<&mut Open> {
        let full = self.open.as_ref().is_some_and(|open| {
            let large = open.len + bytes > self.config.segment_bytes.0.max(segment::HEADER);
            open.len > segment::HEADER && (large || (!open.prepared && self.spare.is_ready()))
        });
        if full {
            self.close_open();
        }
        match self.open.take() {
            Some(open) => Ok(self.open.insert(open)),
            None => {
                let open = self.new_segment(self.end)?;
                Ok(self.open.insert(open))
            }
        }
    }

    fn new_segment(&self, first: Offset) -> io::Result<Open> {
        let header = segment::Header {
            journal: self.id,
            first,
            previous_end: self.end,
            created_ms: self.clock.now_ms(),
            seal: frame::Seal::random(),
        };
        let ready = self.spare.take().and_then(|file| {
            let adopted = segment::adopt(self.fs.as_ref(), &self.dir, file.as_ref(), &header);
            // Whatever was the matter with it, an ordinary one is tried.
            adopted.map(|()| file).inspect_err(|e| tracing::debug!("the prepared segment cannot be used: {e}")).ok()
        });
        let prepared = ready.is_some();
        let file = match ready {
            Some(file) => file,
            None => segment::create(self.fs.as_ref(), &self.dir, &header)?,
        };
        self.view.open_segment(view_of(&header));
        Ok(Open { file, header, len: segment::HEADER, prepared })
    }

    /// Closes the open segment for good, with its index file. All in it is durable.
    fn close_open(&mut self) {
        if let Some(open) = self.open.take().filter(|open| open.prepared) {
            // Best effort: zeros behind the end are void, and only take room.
            let _ = open.file.set_len(open.len);
        }
        let Some(closed) = self.view.close_segment(self.clock.now_ms()) else { return };
        if closed.end == closed.first {
            return;
        }
        let summary = Summary {
            first: closed.first,
            end: closed.end,
            bytes: closed.bytes,
            index: closed.index.unwrap_or_default(),
        };
        if let Err(e) = index::write(self.fs.as_ref(), &self.dir, closed.seal, &summary) {
            tracing::warn!("cannot write the index of journal segment {}: {e}; it will be made again", closed.first);
        }
    }

    /// Leaves the open file as it is after a failure: nothing on it is acknowledged again.
    fn give_up(&mut self, why: &io::Error) {
        self.metrics.failures.inc();
        // While it goes on trying, four times a second, the log is not filled with it, perhaps on the very disk that is full.
        if self.complained.is_none_or(|at| at.elapsed() > REMIND) {
            tracing::error!("the journal cannot write at record {}: {why}", self.end);
            self.complained = Some(Instant::now());
        }
        let Some(open) = self.open.take() else { return };
        // Best effort, so that what was refused does not stay. The header of the next segment makes it void in any case.
        let _ = open.file.set_len(open.len);
        let empty = open.len == segment::HEADER;
        self.close_open();
        if empty {
            let _ = self.fs.remove(&segment::path(&self.dir, open.header.first));
        }
    }

    /// Tries to make a segment that has room.
    fn probe(&mut self) {
        let probed = self.new_segment(self.end).and_then(|open| {
            let (file, len, prepared) = (open.file.clone(), open.len, open.prepared);
            self.open = Some(open);
            file.write_all_at(&vec![0; ROOM], len)?;
            file.sync_data()?;
            if prepared {
                return Ok(());
            }
            file.set_len(len)?;
            file.sync_data()
        });
        match probed {
            Ok(()) => {
                tracing::info!("the journal can be written again, from record {}", self.end);
                self.complained = None;
                self.set_failing(None);
            }
            Err(e) => {
                self.give_up(&e);
                self.set_failing(Some(e.to_string().into()));
            }
        }
    }

    fn set_failing(&mut self, reason: Option<Arc<str>>) {
        if self.failing || reason.is_some() {
            self.failing = reason.is_some();
            self.metrics.healthy.set(i64::from(!self.failing));
            self.queue.set_unavailable(reason);
        }
    }

    fn roll_if_used(&mut self) {
        if self.open.as_ref().is_some_and(|open| open.len > segment::HEADER) {
            self.close_open();
        }
    }

    /// The orderly end: says in the file that all before was synced.
    fn finish(mut self) {
        if let Some(open) = self.open.take() {
            let mut close = Vec::new();
            frame::write(&mut close, open.header.seal, self.end.0, frame::CLOSE, true, &[]);
            let len = open.len + close.len() as u64;
            let written = open
                .file
                .write_all_at(&close, open.len)
                .and_then(|()| if open.prepared { open.file.set_len(len) } else { Ok(()) })
                .and_then(|()| open.file.sync_data());
            if let Err(e) = written {
                tracing::warn!("the journal could not note its orderly end: {e}");
            }
        }
    }
}

struct EndGuard {
    queue: Arc<Queue>,
    view: Arc<View>,
    spare: Arc<Spare>,
}

impl Drop for EndGuard {
    fn drop(&mut self) {
        self.spare.close();
        self.queue.abandon();
        self.view.close();
    }
}

/// A new segment as readers see it.
fn view_of(header: &segment::Header) -> SegmentView {
    SegmentView {
        first: header.first,
        end: header.first,
        bytes: segment::HEADER,
        created_ms: header.created_ms,
        closed_ms: None,
        seal: header.seal,
        index: Some(index::Index::default()),
    }
}
