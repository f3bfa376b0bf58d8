//! The appending end: what the collector holds.

use super::error::AppendError;
use super::frame;
use super::metrics::JournalMetrics;
use super::queue::{Queue, Ticket};
use super::record::{Receipt, Record};
use crate::event::Offset;
use crate::pipeline::bound::Bound;
use std::future::Future;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::thread::Thread;
use std::time::Duration;

/// What a waiting record costs beside its body.
const OVERHEAD: u64 = (size_of::<Record>() + frame::HEADER) as u64;

/// Appends records. Clones append to the same journal; any thread, any async runtime.
#[derive(Clone, Debug)]
pub struct Appender {
    pub(super) queue: Arc<Queue>,
    pub(super) max_record: u64,
    pub(super) metrics: JournalMetrics,
}

impl Appender {
    /// How long a write or sync may take before appends are refused (`journal.stalled_after`); a caller that waits longer
    /// for an append waits for a disk that does not answer.
    pub fn stalled_after(&self) -> Duration {
        self.queue.stalled_after()
    }

    /// The longest body that is taken (`journal.max_record_bytes`).
    pub fn max_record_bytes(&self) -> usize {
        usize::try_from(self.max_record).unwrap_or(usize::MAX)
    }

    /// Queues the records at once and resolves when they are durable. They get numbers that follow one another, and stand
    /// or fall together. Dropping the future does not take them back.
    ///
    /// There is no time limit inside: a caller that must answer within one puts it around the future, and what it gave up
    /// on may become durable later.
    ///
    /// # Errors
    /// See [`AppendError`]; refusals for want of room come at once, without waiting.
    pub fn append(&self, records: Vec<Record>) -> Append {
        Append(match self.enter(records) {
            Ok(ticket) => State::Queued(ticket),
            Err(e) => State::Refused(Some(e)),
        })
    }

    /// As [`Appender::append`], on the calling thread.
    ///
    /// # Errors
    /// As [`Appender::append`].
    pub fn append_blocking(&self, records: Vec<Record>) -> Result<Receipt, AppendError> {
        wait(self.append(records))
    }

    /// The bounds that make appends be refused, and where they stand.
    pub fn bounds(&self) -> [Bound; 3] {
        self.queue.bounds()
    }

    /// Goes on with number `to`, if that is higher than the next one.
    pub(super) fn skip_to(&self, to: Offset) -> Result<Receipt, AppendError> {
        wait(Append(State::Queued(self.queue.push(Vec::new(), 0, Some(to))?)))
    }

    fn enter(&self, records: Vec<Record>) -> Result<Arc<Ticket>, AppendError> {
        let mut bytes = 0u64;
        for record in &records {
            let len = record.body.len() as u64;
            if len > self.max_record {
                return Err(AppendError::TooLarge { bytes: len, limit: self.max_record });
            }
            bytes += len + OVERHEAD;
        }
        if bytes > self.queue.max_bytes() {
            return Err(AppendError::TooLarge { bytes, limit: self.queue.max_bytes() });
        }
        let ticket = self.queue.push(records, bytes, None);
        if ticket.is_err() {
            self.metrics.refused.inc();
        }
        ticket
    }
}

/// An append under way.
#[derive(Debug)]
#[must_use = "the records are queued, but only the future tells whether they became durable"]
pub struct Append(State);

#[derive(Debug)]
enum State {
    Queued(Arc<Ticket>),
    Refused(Option<AppendError>),
}

impl Future for Append {
    type Output = Result<Receipt, AppendError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        match &mut self.0 {
            State::Queued(ticket) => ticket.poll(cx),
            // Polled again after it was ready: the answer stays a refusal.
            State::Refused(error) => Poll::Ready(Err(error.take().unwrap_or(AppendError::Closed))),
        }
    }
}

/// Waits for an append on the calling thread.
fn wait(append: Append) -> Result<Receipt, AppendError> {
    struct Unpark(Thread);
    impl Wake for Unpark {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }
    let waker = Waker::from(Arc::new(Unpark(std::thread::current())));
    let mut append = pin!(append);
    loop {
        match append.as_mut().poll(&mut Context::from_waker(&waker)) {
            Poll::Ready(result) => return result,
            Poll::Pending => std::thread::park(),
        }
    }
}
