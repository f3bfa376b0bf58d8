//! The driver: one thread reads the journal, CPU threads enrich stretches of it, one thread sends them on in offset order.
//!
//! A stretch is a few records when little arrives, so that an event is through in milliseconds, and up to a mebibyte when
//! there is a backlog. The number of stretches under way is bounded; who waits for room is the reader, and so the journal.
//! A schema registry that does not answer makes a worker wait with its stretch: nothing is decided, nothing is lost.

use super::enricher::Enricher;
use super::error::{BuildError, StageError};
use super::metrics::EnrichMetrics;
use crate::event::{EnrichedBatch, Offset};
use crate::journal::{Entry, JournalBatch, ReadError, Reader};
use crate::pipeline::backoff::Backoff;
use crate::pipeline::drain::Drain;
use crate::pipeline::link::LinkSender;
use crate::platform::clock::Clock;
use crate::schema::Outage;
use crossbeam_channel::{Receiver, Sender, bounded};
use parking_lot::Mutex;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

/// Bytes of a stretch when nothing waits.
const SMALL: u64 = 256 << 10;
/// Bytes of a stretch when there is a backlog.
const LARGE: u64 = 1 << 20;
/// Shortest time between two stretches at the tail of the journal. A first event does not wait. Every stretch becomes one
/// chunk of more than a hundred Arrow columns, which costs memory and time whatever it holds.
const LINGER: Duration = Duration::from_millis(15);
/// How soon a stop is noticed while nothing arrives.
const IDLE: Duration = Duration::from_millis(100);
/// Pauses while a registry does not answer, and while the journal cannot be read.
const PAUSE: (Duration, Duration) = (Duration::from_millis(200), Duration::from_secs(10));

struct Job {
    batch: JournalBatch,
    reply: Sender<EnrichedBatch>,
}

/// What all threads share.
struct Shared {
    enricher: Arc<Enricher>,
    clock: Clock,
    drain: Drain,
    metrics: EnrichMetrics,
    enriched: AtomicU64,
    outage: Mutex<Option<Outage>>,
}

/// The running stage.
pub struct Enrich {
    shared: Arc<Shared>,
    reader: JoinHandle<Result<(), StageError>>,
    others: Vec<JoinHandle<()>>,
}

impl std::fmt::Debug for Enrich {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Enrich").field("enriched", &self.enriched()).finish_non_exhaustive()
    }
}

impl Enrich {
    /// First record that has not been sent on yet.
    pub fn enriched(&self) -> Offset {
        Offset(self.shared.enriched.load(Ordering::Acquire))
    }

    /// The registry that a worker is waiting for.
    pub fn outage(&self) -> Option<Outage> {
        self.shared.outage.lock().clone()
    }

    /// The pure core, for whoever has to read a stretch of the journal again.
    pub fn enricher(&self) -> Arc<Enricher> {
        self.shared.enricher.clone()
    }

    /// Whether a thread of the stage has ended; before the drain that is a fault, and [`Enrich::join`] tells which.
    pub fn is_finished(&self) -> bool {
        self.reader.is_finished() || self.others.iter().any(JoinHandle::is_finished)
    }

    /// Waits until the stage has sent on what it holds and stopped.
    ///
    /// # Errors
    /// Why it stopped before it was told to.
    pub fn join(self) -> Result<(), StageError> {
        let read = self.reader.join();
        let mut fault = false;
        for other in self.others {
            fault |= other.join().is_err();
        }
        match read {
            Ok(Ok(())) if !fault => Ok(()),
            Ok(Err(e)) => Err(e),
            _ => Err(StageError::Thread),
        }
    }
}

/// What [`start`] needs beside the core.
pub(super) struct Parts {
    pub enricher: Arc<Enricher>,
    pub reader: Reader,
    pub clock: Clock,
    pub metrics: EnrichMetrics,
    pub drain: Drain,
    pub out: LinkSender<EnrichedBatch>,
    pub workers: usize,
}

/// Starts the threads.
pub(super) fn start(parts: Parts) -> Result<Enrich, BuildError> {
    let Parts { enricher, reader, clock, metrics, drain, out, workers } = parts;
    let shared = Arc::new(Shared {
        enricher,
        clock,
        drain,
        metrics,
        enriched: AtomicU64::new(reader.position().0),
        outage: Mutex::new(None),
    });
    let (jobs, work) = bounded::<Job>(workers);
    let (line, replies) = bounded::<Receiver<EnrichedBatch>>(2 * workers + 2);
    let mut others = Vec::with_capacity(workers + 1);
    for i in 0..workers {
        let (shared, work) = (shared.clone(), work.clone());
        let run = move || work_on(&shared, &work);
        others.push(thread::Builder::new().name(format!("enrich-{i}")).spawn(run).map_err(BuildError::Thread)?);
    }
    drop(work);
    let order = shared.clone();
    let run = move || send_in_order(&order, &replies, &out);
    others.push(thread::Builder::new().name("enrich-order".to_owned()).spawn(run).map_err(BuildError::Thread)?);
    let read = shared.clone();
    let run = move || read_journal(&read, reader.with_linger(LINGER), &jobs, &line);
    let reader = thread::Builder::new().name("enrich-read".to_owned()).spawn(run).map_err(BuildError::Thread)?;
    Ok(Enrich { shared, reader, others })
}

fn read_journal(
    shared: &Shared,
    mut reader: Reader,
    jobs: &Sender<Job>,
    line: &Sender<Receiver<EnrichedBatch>>,
) -> Result<(), StageError> {
    let mut limit = SMALL;
    let mut backoff = Backoff::new(PAUSE.0, PAUSE.1);
    while !shared.drain.is_raised() {
        let batch = match reader.next(limit, IDLE) {
            Ok(Some(batch)) => batch,
            Ok(None) => continue,
            Err(ReadError::Closed) => break,
            Err(e @ ReadError::Io { .. }) => {
                tracing::warn!(error = %e, "the journal cannot be read; trying again");
                shared.drain.sleep(backoff.pause());
                continue;
            }
            Err(source) => return Err(StageError::Read { at: reader.position(), source }),
        };
        backoff.reset();
        limit = if batch.bytes >= limit / 4 * 3 { (limit * 2).min(LARGE) } else { SMALL };
        let (reply, answer) = bounded(1);
        // The place in the line comes first: it is what bounds the work under way. Either end gone: the stage is stopping.
        if line.send(answer).is_err() || jobs.send(Job { batch, reply }).is_err() {
            break;
        }
    }
    Ok(())
}

fn work_on(shared: &Shared, work: &Receiver<Job>) {
    for job in work {
        let started = Instant::now();
        // A stretch that was given up for a stop stays in the journal and is done after the next start.
        let Some(batch) = enrich(shared, job.batch) else { return };
        shared.metrics.worked(started.elapsed());
        if job.reply.send(batch).is_err() {
            return;
        }
    }
}

fn enrich(shared: &Shared, batch: JournalBatch) -> Option<EnrichedBatch> {
    let etl_ms = shared.clock.now_ms();
    let mut out = EnrichedBatch {
        range: batch.range,
        items: Vec::with_capacity(batch.records.len()),
        received_ms: (0, 0),
        bytes: batch.bytes,
    };
    for entry in &batch.records {
        let done = process(shared, entry, etl_ms)?;
        if done.received_ms != 0 {
            if out.received_ms.0 == 0 {
                out.received_ms.0 = done.received_ms;
            }
            out.received_ms.1 = done.received_ms;
        }
        out.items.extend(done.items);
    }
    Some(out)
}

/// Does one record; waits as long as a registry does not answer. `None` when the stage is to stop.
fn process(shared: &Shared, entry: &Entry, etl_ms: i64) -> Option<super::enricher::Processing> {
    let mut backoff = Backoff::new(PAUSE.0, PAUSE.1);
    let mut waiting = false;
    loop {
        let result = shared.enricher.process_arriving(entry.offset, entry.kind, &entry.body, etl_ms);
        let outage = match result {
            Ok(done) => {
                if waiting {
                    shared.metrics.waiting.dec();
                    *shared.outage.lock() = None;
                    tracing::info!(offset = entry.offset.0, "the schema registry answers again");
                }
                return Some(done);
            }
            Err(outage) => outage,
        };
        if !waiting {
            waiting = true;
            shared.metrics.waiting.inc();
            tracing::warn!(offset = entry.offset.0, %outage, "enrichment waits for a schema registry");
        }
        shared.metrics.outages.inc();
        let pause = backoff.pause().max(outage.retry_after.min(PAUSE.1));
        *shared.outage.lock() = Some(outage);
        if shared.drain.sleep(pause) {
            shared.metrics.waiting.dec();
            return None;
        }
    }
}

fn send_in_order(shared: &Shared, replies: &Receiver<Receiver<EnrichedBatch>>, out: &LinkSender<EnrichedBatch>) {
    for reply in replies {
        // No reply: that stretch was given up, and nothing after it may overtake it.
        let Ok(batch) = reply.recv() else { return };
        let to = batch.range.to;
        shared.metrics.left(&batch, shared.enricher.over_long());
        if out.send(batch).is_err() {
            return;
        }
        shared.enriched.store(to.0, Ordering::Release);
    }
}
