//! An HTTP/1.1 connection: bytes in, answers out.
//!
//! A hand-written state machine and one poll function, because this is the hot path. A connection that rests holds no buffer:
//! bytes are read into a buffer of the worker, requests that are complete in it are answered from there, and only what is
//! left over is copied. All requests of one read (pipelining) share one append and one write, and replies keep their order.

use super::gather::Outcome;
use super::metrics::{CollectorMetrics, Refusal};
use super::render::{Persistence, render};
use super::reply::Reply;
use super::requests::{Progress, Queued, Ready, Requests};
use super::worker::{Hot, SCRATCH, SlotTicket, Worker};
use crate::journal::AppendError;
use crate::net::Held;
use std::io;
use std::net::IpAddr;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Instant;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, ReadBuf};

/// A buffer of this size is not counted against the budget, and is kept between requests.
const FREE_BUFFER: usize = 4 * 1024;
/// Least room for a read into a connection's own buffer.
const READ_STEP: usize = 16 * 1024;
/// How long a client may go on sending after it was refused, so that it can read why (milliseconds).
const LINGER: i64 = 1_000;
/// How many bytes of it are read over.
const LINGER_BYTES: usize = 256 * 1024;

const CONTINUE: &[u8] = b"HTTP/1.1 100 Continue\r\n\r\n";

/// How a connection ended.
#[derive(Debug)]
pub enum End {
    /// It is over.
    Closed,
    /// The client speaks HTTP/2; these bytes were read already.
    Http2(Vec<u8>),
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Phase {
    /// Waiting for bytes.
    Read,
    /// Waiting for the journal.
    Wait,
    /// Sending.
    Write,
    /// Ending, and reading over what a refused client still sends.
    Linger,
}

/// One connection.
pub struct Connection<S> {
    io: S,
    worker: Arc<Worker>,
    ticket: SlotTicket,
    requests: Requests,
    phase: Phase,
    /// Bytes that were read and not yet used.
    buf: Vec<u8>,
    held: Held,
    queue: Vec<Queued>,
    /// What could not be sent at once.
    unsent: Vec<u8>,
    sent: usize,
    close: bool,
    linger: bool,
    lingered: usize,
    is_shut: bool,
    /// No byte of the next request has come.
    resting: bool,
    since: Instant,
    waker_set: bool,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Connection<S> {
    /// A connection of `peer`.
    pub fn new(io: S, worker: Arc<Worker>, peer: IpAddr) -> Self {
        let ticket = worker.new_slot();
        let held = worker.shared.budget.account();
        let connection = Connection {
            io,
            requests: Requests::new(peer),
            ticket,
            phase: Phase::Read,
            buf: Vec::new(),
            held,
            queue: Vec::new(),
            unsent: Vec::new(),
            sent: 0,
            close: false,
            linger: false,
            lingered: 0,
            is_shut: false,
            resting: true,
            since: Instant::now(),
            waker_set: false,
            worker,
        };
        let idle = connection.worker.shared.limits.idle_timeout;
        connection.expire_in(idle);
        connection
    }

    /// Serves until the connection is over, and gives the socket back.
    pub async fn serve(mut self) -> (End, S) {
        let end = std::future::poll_fn(|cx| self.poll_drive(cx)).await;
        (end, self.io)
    }

    fn expire_in(&self, ms: i64) {
        self.ticket.slot.set_deadline(self.worker.coarse_ms().saturating_add(ms));
    }

    fn is_expired(&self) -> bool {
        self.ticket.slot.deadline() <= self.worker.coarse_ms()
    }

    /// Nothing of a request has arrived.
    fn is_resting(&self) -> bool {
        self.buf.is_empty() && !self.requests.is_inside()
    }

    fn poll_drive(&mut self, cx: &mut Context<'_>) -> Poll<End> {
        if !std::mem::replace(&mut self.waker_set, true) {
            self.ticket.slot.set_waker(cx.waker());
        }
        loop {
            match self.phase {
                Phase::Read => match ready!(self.poll_read(cx)) {
                    Ok(None) => {}
                    Ok(Some(end)) => return Poll::Ready(end),
                    // The client is gone; what it sent in part is nobody's request.
                    Err(_) => return Poll::Ready(End::Closed),
                },
                Phase::Wait => ready!(self.poll_outcome(cx)),
                Phase::Write => {
                    if ready!(self.poll_write(cx)).is_err() {
                        return Poll::Ready(End::Closed);
                    }
                    if self.close {
                        return self.poll_end(cx);
                    }
                    self.rest();
                }
                Phase::Linger => return self.poll_end(cx),
            }
        }
    }

    /// Back to waiting for bytes.
    fn rest(&mut self) {
        self.phase = Phase::Read;
        if self.buf.is_empty() && self.buf.capacity() > FREE_BUFFER {
            self.buf = Vec::new();
        }
        if self.held.bytes() > 0 && !self.requests.is_inside() {
            // Less than before, so there is room.
            let _ = self.count_held();
        }
        self.resting = self.is_resting();
        let limits = &self.worker.shared.limits;
        self.expire_in(match (self.resting, self.requests.is_inside()) {
            (true, _) => limits.idle_timeout,
            (false, true) => limits.body_timeout,
            (false, false) => limits.header_timeout,
        });
    }

    /// Reads and answers. `None`: go on with the phase that was set.
    fn poll_read(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<Option<End>>> {
        if self.requests.may_be_ready(&self.buf, &self.worker) {
            // Left over from the last read: whole requests may be in it.
            return Poll::Ready(Ok(self.use_own_buffer(cx)));
        }
        if self.is_resting() && (self.worker.is_stopping() || self.is_expired()) {
            return Poll::Ready(Ok(Some(End::Closed)));
        }
        if self.is_expired() {
            self.refuse(cx, Reply::request_timeout(), Refusal::RequestTimeout);
            return Poll::Ready(Ok(None));
        }
        if self.buf.is_empty() { self.poll_read_scratch(cx) } else { self.poll_read_own(cx) }
    }

    /// Reads into the worker's buffer and answers from there.
    fn poll_read_scratch(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<Option<End>>> {
        let worker = self.worker.clone();
        let mut hot = worker.hot();
        let mut scratch = std::mem::take(&mut hot.scratch);
        if scratch.is_empty() {
            // A panic of another connection took it along.
            scratch = vec![0; SCRATCH].into();
        }
        let mut room = ReadBuf::new(&mut scratch);
        let polled = Pin::new(&mut self.io).poll_read(cx, &mut room);
        let len = room.filled().len();
        let result = match polled {
            Poll::Ready(Ok(())) if len > 0 => {
                self.arrived(len);
                let (taken, progress) = self.requests.read(&scratch[..len], &worker, &mut hot, &mut self.queue);
                self.buf.extend_from_slice(&scratch[taken..len]);
                Poll::Ready(Ok(self.progressed(cx, progress, &mut hot)))
            }
            Poll::Ready(Ok(())) => Poll::Ready(Ok(Some(End::Closed))),
            Poll::Ready(Err(e)) => Poll::Ready(Err(e)),
            Poll::Pending => Poll::Pending,
        };
        hot.scratch = scratch;
        result
    }

    /// Reads more of a request that has come in part.
    fn poll_read_own(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<Option<End>>> {
        let wanted = self.requests.wanted(&self.buf);
        if wanted > 0 && wanted < self.buf.capacity() {
            // The end is near: doubling once more would be for nothing.
            self.buf.reserve_exact(wanted);
        } else {
            self.buf.reserve(wanted.clamp(READ_STEP, 4 * READ_STEP));
        }
        if !self.count_held() {
            self.refuse(cx, Reply::busy(), Refusal::Memory);
            return Poll::Ready(Ok(None));
        }
        let len = ready!(pin!(self.io.read_buf(&mut self.buf)).poll(cx))?;
        if len == 0 {
            return Poll::Ready(Ok(Some(End::Closed)));
        }
        self.arrived(len);
        Poll::Ready(Ok(None))
    }

    fn use_own_buffer(&mut self, cx: &mut Context<'_>) -> Option<End> {
        let worker = self.worker.clone();
        let mut hot = worker.hot();
        let mut buf = std::mem::take(&mut self.buf);
        let (taken, progress) = self.requests.read(&buf, &worker, &mut hot, &mut self.queue);
        buf.drain(..taken);
        self.buf = buf;
        self.progressed(cx, progress, &mut hot)
    }

    fn arrived(&mut self, len: usize) {
        self.since = Instant::now();
        self.worker.shared.metrics.bytes_in.inc_by(len as u64);
    }

    /// Counts what this connection buffers. False: there is no room for it.
    fn count_held(&mut self) -> bool {
        let bytes = self.buf.capacity() + self.requests.held_bytes();
        self.held.set(if bytes > FREE_BUFFER { bytes } else { 0 })
    }

    /// What to do after bytes were looked at.
    fn progressed(&mut self, cx: &mut Context<'_>, progress: Progress, hot: &mut Hot) -> Option<End> {
        let worker = self.worker.clone();
        let limits = &worker.shared.limits;
        match progress {
            Progress::Answered { stored: true } => {
                hot.open.submit(self.ticket.slot.clone());
                self.expire_in(limits.handler_timeout);
                self.phase = Phase::Wait;
            }
            Progress::Answered { stored: false } => self.answer(cx, None, hot),
            Progress::NeedHead if std::mem::replace(&mut self.resting, false) => self.expire_in(limits.header_timeout),
            Progress::NeedHead => {}
            Progress::BodyBegins => {
                self.resting = false;
                self.expire_in(limits.body_timeout);
                if self.requests.take_continue() {
                    self.unsent.extend_from_slice(CONTINUE);
                    self.phase = Phase::Write;
                }
            }
            Progress::NeedBody => {
                if !self.count_held() {
                    self.refuse_with(cx, Reply::busy(), Refusal::Memory, hot);
                }
            }
            Progress::Http2 => return Some(End::Http2(std::mem::take(&mut self.buf))),
        }
        None
    }

    /// A reply that ends the connection, for a request that did not become one.
    fn refuse(&mut self, cx: &mut Context<'_>, reply: Reply, refusal: Refusal) {
        let worker = self.worker.clone();
        self.refuse_with(cx, reply, refusal, &mut worker.hot());
    }

    fn refuse_with(&mut self, cx: &mut Context<'_>, reply: Reply, refusal: Refusal, hot: &mut Hot) {
        self.worker.shared.metrics.refused(refusal, 1);
        // Given back at once and not after the lingering: others may be waiting for just that.
        self.buf = Vec::new();
        self.requests.give_up();
        self.held.clear();
        self.queue.push(Queued::last(reply));
        self.answer(cx, None, hot);
    }

    fn poll_outcome(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let waited = match self.ticket.slot.take() {
            Some(outcome) => Waited::Outcome(outcome),
            None if self.is_expired() => Waited::TooLong,
            None => return Poll::Pending,
        };
        let worker = self.worker.clone();
        self.answer(cx, Some(waited), &mut worker.hot());
        Poll::Ready(())
    }

    /// Renders every reply of this round and sends as much as goes at once.
    fn answer(&mut self, cx: &mut Context<'_>, waited: Option<Waited>, hot: &mut Hot) {
        let shared = &self.worker.shared;
        let Hot { wall, out, .. } = hot;
        out.clear();
        let (mut accepted, mut left) = (0, self.queue.len());
        shared.metrics.requests.inc_by(left as u64);
        for queued in self.queue.drain(..) {
            left -= 1;
            let too_late = matches!(waited, Some(Waited::TooLong));
            let reply = settle(queued.ready, waited.as_ref(), &shared.metrics, &mut accepted);
            // After a time-out the journal may still answer; that must not be taken for the answer to another request.
            let close = queued.close || (left == 0 && (too_late || self.worker.is_draining()));
            self.close |= close;
            self.linger |= queued.linger;
            let persistence = match (close, queued.http10) {
                (true, _) => Persistence::Closes,
                (false, true) => Persistence::StaysTold,
                (false, false) => Persistence::Stays,
            };
            render(&reply, &shared.settings, wall, queued.head_only, persistence, out);
        }
        if self.requests.take_continue() && !self.close {
            out.extend_from_slice(CONTINUE);
        }
        shared.metrics.accepted.inc_by(accepted);
        shared.metrics.latency.observe(self.since.elapsed().as_secs_f64());
        let timeout = shared.limits.write_timeout;
        self.expire_in(timeout);
        self.phase = Phase::Write;
        // Nearly always everything goes at once and nothing needs to be kept.
        let sent = match Pin::new(&mut self.io).poll_write(cx, out) {
            Poll::Ready(Ok(n)) => n,
            // Shown again by the next write.
            Poll::Ready(Err(_)) | Poll::Pending => 0,
        };
        self.unsent.extend_from_slice(out.get(sent..).unwrap_or_default());
    }

    fn poll_write(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while self.sent < self.unsent.len() {
            match Pin::new(&mut self.io).poll_write(cx, &self.unsent[self.sent..]) {
                Poll::Ready(Ok(0)) => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                Poll::Ready(Ok(n)) => self.sent += n,
                Poll::Ready(Err(e)) => return Poll::Ready(Err(e)),
                Poll::Pending if self.is_expired() => return Poll::Ready(Err(io::ErrorKind::TimedOut.into())),
                Poll::Pending => return Poll::Pending,
            }
        }
        if self.sent > 0 {
            self.sent = 0;
            self.unsent = Vec::new();
        }
        match Pin::new(&mut self.io).poll_flush(cx) {
            Poll::Pending if self.is_expired() => Poll::Ready(Err(io::ErrorKind::TimedOut.into())),
            other => other,
        }
    }

    /// Says that nothing more will be sent, and for a refused client reads over what it still sends: closing at once would
    /// reset the connection, and the reply could be lost on the way.
    fn poll_end(&mut self, cx: &mut Context<'_>) -> Poll<End> {
        if self.phase == Phase::Write {
            self.phase = Phase::Linger;
            self.expire_in(LINGER);
        }
        if !self.is_shut {
            match Pin::new(&mut self.io).poll_shutdown(cx) {
                Poll::Pending if !self.is_expired() => return Poll::Pending,
                _ => self.is_shut = true,
            }
        }
        while self.linger && self.lingered < LINGER_BYTES && !self.is_expired() {
            let worker = self.worker.clone();
            let mut hot = worker.hot();
            let mut room = ReadBuf::new(&mut hot.scratch);
            if ready!(Pin::new(&mut self.io).poll_read(cx, &mut room)).is_err() || room.filled().is_empty() {
                break;
            }
            self.lingered += room.filled().len();
        }
        Poll::Ready(End::Closed)
    }
}

/// What waiting for the journal came to.
enum Waited {
    Outcome(Outcome),
    TooLong,
}

fn settle(ready: Ready, waited: Option<&Waited>, metrics: &CollectorMetrics, accepted: &mut u64) -> Reply {
    match (ready, waited) {
        (Ready::Now(reply), _) => reply,
        (Ready::Stored(recipe), Some(Waited::Outcome(Ok(receipt)))) => {
            *accepted += 1;
            recipe.acknowledged(*receipt)
        }
        (Ready::Stored(recipe), Some(Waited::Outcome(Err(e)))) => {
            metrics.refused(refusal(e), 1);
            recipe.overloaded()
        }
        (Ready::Stored(recipe), _) => {
            metrics.refused(Refusal::HandlerTimeout, 1);
            recipe.timed_out()
        }
    }
}

/// Why records were refused, as it is counted.
pub fn refusal(e: &AppendError) -> Refusal {
    match e {
        AppendError::Full => Refusal::Overload,
        AppendError::Unavailable { .. } | AppendError::Closed => Refusal::Unavailable,
        AppendError::TooLarge { .. } => Refusal::TooLarge,
    }
}
