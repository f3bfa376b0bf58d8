//! The driver: one thread that takes the flow in, publishes it and moves the cursor.
//!
//! It takes from its link all the time, whatever the broker does, so a dead broker never slows the pipeline. What waits is
//! bounded; beyond the bound it lets go and reads again from the journal when the broker is back.

use super::config::{Config, Kind};
use super::cursor::Cursor;
use super::render::Renderer;
use super::status::{StreamState, StreamStatus, Watch};
use super::stdout::Stdout;
use super::stretch::{Source, Stretch, Unsent};
use super::{Message, Pending, StreamSink};
use crate::event::{Chunk, Flow, Offset, OffsetRange, Processed};
use crate::pipeline::backoff::Backoff;
use crate::pipeline::drain::Drain;
use crate::pipeline::link::{LinkReceiver, Received};
use crate::platform::clock::Clock;
use crate::platform::units::Span;
use crate::speed::publish::{Publisher, Record};
use crate::telemetry::Metrics;
use parking_lot::Mutex;
use prometheus_client::metrics::counter::Counter;
use std::collections::VecDeque;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// Reads outcomes again from the journal: the same enrichment, the same duplicate decisions. Called with a position and the
/// end (exclusive); gives the next stretch, or `None` if nothing is there yet.
pub type Refeed = Box<dyn FnMut(Offset, Offset) -> io::Result<Option<(OffsetRange, Vec<Processed>)>> + Send>;

/// A view that is published, and how often.
pub type Published = (Span, Publisher);

/// What the stage is given.
pub struct Deps {
    /// Folder for the cursor.
    pub state: std::path::PathBuf,
    /// Where the flow begins after this start: the warehouse boundary.
    pub boundary: Offset,
    /// For catching up.
    pub refeed: Refeed,
    /// Views to publish.
    pub views: Vec<Published>,
    /// Told how far the journal is no longer needed.
    pub on_cursor: Box<dyn Fn(Offset) + Send>,
    /// The time.
    pub clock: Clock,
    /// Metrics.
    pub metrics: Metrics,
    /// Orderly stop.
    pub drain: Drain,
}

/// The running stage.
pub struct Streams {
    thread: Option<JoinHandle<()>>,
    status: Arc<Mutex<StreamStatus>>,
    start: Offset,
}

impl Streams {
    /// A handle to the status.
    pub fn status(&self) -> Arc<Mutex<StreamStatus>> {
        self.status.clone()
    }

    /// Where the cursor stood at the start.
    pub fn start(&self) -> Offset {
        self.start
    }

    /// Waits for the thread.
    pub fn join(mut self) {
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// Starts the stage; `None` when nothing is to be published.
///
/// # Errors
/// When the cursor cannot be read, or the sink does not take its configuration.
pub fn build(config: &Config, flow: LinkReceiver<Flow>, deps: Deps) -> io::Result<Streams> {
    let config_of_sink = config.clone();
    start(config, flow, deps, Box::new(move || sink(&config_of_sink)))
}

/// Makes a sink, at the start and again after an error.
pub(super) type MakeSink = Box<dyn FnMut() -> io::Result<Box<dyn StreamSink>> + Send>;

pub(super) fn start(
    config: &Config,
    flow: LinkReceiver<Flow>,
    deps: Deps,
    mut make_sink: MakeSink,
) -> io::Result<Streams> {
    let cursor = Cursor::open(&deps.state.join(format!("{}.cursor", name(config.kind))), deps.boundary)?;
    let sink = make_sink()?;
    let start = cursor.at();
    (deps.on_cursor)(start);
    let status = Arc::new(Mutex::new(StreamStatus {
        kind: name(config.kind).to_owned(),
        cursor: start.0,
        ..StreamStatus::default()
    }));
    let published = deps.metrics.counter("streams_published", "Records that the broker has acknowledged");
    let refused = deps.metrics.counter("streams_refused", "Records that the broker will never take");
    let mut stage = Stage {
        config: config.clone(),
        renderer: Renderer::new(config),
        sink,
        make_sink,
        watch: Watch::new(),
        acknowledged: Arc::default(),
        cursor,
        stored: Instant::now(),
        buffer: VecDeque::new(),
        buffered: 0,
        next: start,
        seen: deps.boundary,
        unsent: None,
        in_flight: VecDeque::new(),
        due: deps.views.iter().map(|_| Instant::now()).collect(),
        deps,
        status: status.clone(),
        published,
        refused,
    };
    let thread = std::thread::Builder::new().name("streams".into()).spawn(move || stage.run(&flow))?;
    Ok(Streams { thread: Some(thread), status, start })
}

fn name(kind: Kind) -> &'static str {
    match kind {
        Kind::None => "none",
        Kind::Kafka => "kafka",
        Kind::Stdout => "stdout",
    }
}

fn sink(config: &Config) -> io::Result<Box<dyn StreamSink>> {
    match config.kind {
        #[cfg(feature = "kafka")]
        Kind::Kafka => Ok(Box::new(super::kafka::Kafka::new(config)?)),
        _ => Ok(Box::new(Stdout)),
    }
}

/// Stretches on their way at once.
const MAX_IN_FLIGHT: usize = 64;
/// How long an orderly stop waits for acknowledgements.
const DRAIN: Duration = Duration::from_secs(5);

struct Stage {
    config: Config,
    renderer: Renderer,
    sink: Box<dyn StreamSink>,
    make_sink: MakeSink,
    watch: Watch,
    /// Records that were acknowledged.
    acknowledged: Arc<AtomicU64>,
    cursor: Cursor,
    stored: Instant,
    /// Live chunks that wait, in order, without a gap between them.
    buffer: VecDeque<Arc<Chunk>>,
    buffered: u64,
    /// The next offset to hand to the sink.
    next: Offset,
    /// How far the flow has come; below it, what is not in the buffer is read from the journal.
    seen: Offset,
    /// What the sink had no room for yet.
    unsent: Option<Unsent>,
    in_flight: VecDeque<Stretch>,
    due: Vec<Instant>,
    deps: Deps,
    status: Arc<Mutex<StreamStatus>>,
    published: Counter,
    refused: Counter,
}

impl Stage {
    fn run(&mut self, flow: &LinkReceiver<Flow>) {
        let mut backoff = Backoff::new(Duration::from_millis(200), Duration::from_secs(10));
        let mut open = true;
        while open && !self.deps.drain.is_raised() {
            open = self.take_in(flow);
            match self.publish_next() {
                Ok(()) => backoff.reset(),
                Err(error) => {
                    tracing::warn!("streams: {error}; trying again");
                    self.status.lock().trouble = Some(error.to_string());
                    self.start_again();
                    let pause = Instant::now() + backoff.pause();
                    while open && Instant::now() < pause && !self.deps.drain.is_raised() {
                        open = self.take_in(flow);
                    }
                }
            }
            self.publish_views();
            self.settle(false);
        }
        // What the pipeline still hands over at an orderly stop is published too, as far as the broker answers.
        let end = Instant::now() + DRAIN;
        while Instant::now() < end {
            let more = self.take_in(flow);
            let idle = self.buffer.is_empty() && self.in_flight.is_empty() && self.unsent.is_none();
            if self.publish_next().is_err() || (!more && idle) {
                break;
            }
            self.settle(false);
        }
        self.settle(true);
    }

    /// Takes what the flow has; false when the flow has ended.
    fn take_in(&mut self, flow: &LinkReceiver<Flow>) -> bool {
        let mut wait =
            if self.buffer.is_empty() && !self.is_behind() { Duration::from_millis(5) } else { Duration::ZERO };
        self.sink.poll(Duration::ZERO);
        loop {
            let received = if wait.is_zero() { flow.try_recv() } else { flow.recv_timeout(wait) };
            match received {
                Received::Message(Flow::Chunk(chunk)) => self.keep(chunk),
                Received::Message(Flow::Seal(_)) => {}
                Received::Nothing => return true,
                Received::Closed => return false,
            }
            wait = Duration::ZERO;
        }
    }

    fn keep(&mut self, chunk: Arc<Chunk>) {
        self.seen = self.seen.max(chunk.range.to);
        if chunk.range.to <= self.next {
            return;
        }
        self.buffered += chunk.bytes;
        self.buffer.push_back(chunk);
        while self.buffered > self.config.max_buffer.0 && self.buffer.len() > 1 {
            // The oldest goes first; the gap that this leaves is read again from the journal.
            if let Some(dropped) = self.buffer.pop_front() {
                self.buffered = self.buffered.saturating_sub(dropped.bytes);
            }
        }
    }

    /// Whether the next offset to publish is no longer, or not yet, in the buffer but below it.
    fn is_behind(&self) -> bool {
        self.next < self.buffer.front().map_or(self.seen, |chunk| chunk.range.from)
    }

    fn publish_next(&mut self) -> io::Result<()> {
        if self.in_flight.len() >= MAX_IN_FLIGHT {
            self.sink.poll(Duration::from_millis(5));
            return Ok(());
        }
        if let Some(unsent) = self.unsent.take() {
            return self.publish(unsent);
        }
        if self.is_behind() {
            let end = self.buffer.front().map_or(self.seen, |chunk| chunk.range.from);
            if let Some((range, items)) = (self.deps.refeed)(self.next, end)? {
                self.publish(Unsent::new(Source::Journal(items), 0, range.to, &self.acknowledged))?;
            }
            return Ok(());
        }
        let Some(chunk) = self.buffer.pop_front() else { return Ok(()) };
        self.buffered = self.buffered.saturating_sub(chunk.bytes);
        if chunk.range.to <= self.next {
            return Ok(());
        }
        let (from, to) = (self.next, chunk.range.to);
        let first = chunk.items.partition_point(|item| item.addr.offset < from);
        self.publish(Unsent::new(Source::Live(chunk), first, to, &self.acknowledged))
    }

    /// Hands over as much as the sink has room for. It never waits for more: the flow has to be taken in meanwhile.
    fn publish(&mut self, mut unsent: Unsent) -> io::Result<()> {
        while let Some(item) = unsent.next() {
            if let Some(message) = self.renderer.event(item) {
                if !self.sink.send(&message, &unsent.stretch.pending)? {
                    self.unsent = Some(unsent);
                    self.sink.poll(Duration::from_millis(5));
                    return Ok(());
                }
                unsent.stretch.records += 1;
            }
            unsent.at += 1;
        }
        self.next = unsent.stretch.to;
        self.in_flight.push_back(unsent.stretch);
        Ok(())
    }

    fn publish_views(&mut self) {
        let topic = &self.config.topics.aggregates;
        if topic.is_empty() {
            return;
        }
        let now = Instant::now();
        // Aggregates are states: what the broker does not take now is sent again, newer, at the next turn.
        let pending = Pending::new(&self.acknowledged);
        for ((every, publisher), due) in self.deps.views.iter_mut().zip(&mut self.due).filter(|(_, due)| **due <= now) {
            *due = now + every.to_duration().max(Duration::from_millis(50));
            let sink = &mut self.sink;
            let mut send = |(key, row): Record| {
                let message = Message { topic, key: Some(&key), value: row.as_bytes(), address: None };
                matches!(sink.send(&message, &pending), Ok(true))
            };
            if let Err(error) = publisher.poll(&mut send) {
                tracing::warn!("streams: aggregates: {error}");
            }
        }
    }

    /// Moves the cursor over every stretch that is acknowledged, and stores it when it is time.
    fn settle(&mut self, now: bool) {
        if now {
            self.sink.poll(Duration::from_millis(10));
        }
        let mut at = None;
        while self.in_flight.front().is_some_and(|s| s.pending.is_done()) {
            let Some(stretch) = self.in_flight.pop_front() else { break };
            let refused = stretch.pending.refusals();
            self.published.inc_by(stretch.records - refused.min(stretch.records));
            self.refused.inc_by(refused);
            at = Some(stretch.to);
        }
        let behind = self.is_behind();
        let waiting = behind || self.unsent.is_some() || !(self.in_flight.is_empty() && self.buffer.is_empty());
        let acknowledged = self.acknowledged.load(Ordering::Relaxed);
        let progress = self.watch.look(acknowledged, waiting, self.sink.failures());
        let silence = self.watch.silence();
        let mut status = self.status.lock();
        if progress {
            status.acknowledged_ms = Some(self.deps.clock.now_ms());
        }
        status.retries = self.watch.retries();
        status.state = match silence {
            Some(_) => StreamState::Retrying,
            None if behind => StreamState::CatchingUp,
            None => StreamState::Live,
        };
        status.published = self.published.get();
        status.refused = self.refused.get();
        let silent = |time: Duration| format!("no acknowledgement for {} s while records wait", time.as_secs());
        status.trouble = self.sink.trouble().or_else(|| silence.map(silent));
        if let Some(at) = at {
            status.cursor = at.0;
        }
        let cursor = Offset(status.cursor);
        drop(status);
        let due = now || self.stored.elapsed() >= self.config.cursor_interval.to_duration();
        if !due || cursor == self.cursor.at() {
            return;
        }
        self.stored = Instant::now();
        match self.cursor.store(cursor) {
            Ok(()) => (self.deps.on_cursor)(cursor),
            Err(error) => tracing::warn!("streams: the cursor cannot be stored: {error}"),
        }
    }

    /// After an error the sink is made new; what was not acknowledged is read again from the journal.
    fn start_again(&mut self) {
        match (self.make_sink)() {
            Ok(sink) => self.sink = sink,
            Err(error) => tracing::warn!("streams: {error}"),
        }
        self.watch.restarted();
        self.in_flight.clear();
        self.unsent = None;
        self.next = Offset(self.status.lock().cursor);
    }
}
