//! An HTTP/1.1 connection: bytes in, answers out.
//!
//! A hand-written state machine and one poll function, because this is the hot path. A connection that rests holds no buffer:
//! bytes are read into a buffer of the worker, requests that are complete in it are answered from there, and only what is
//! left over is copied. All requests of one read (pipelining) share one append and one write, and replies keep their order.

mod read;
mod render;
mod requests;
mod write;

use super::metrics::Refusal;
use super::reply::Reply;
use super::worker::{Hot, SlotTicket, Worker};
use crate::net::Held;
use requests::{Progress, Queued, Requests};
use std::net::IpAddr;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Instant;
use tokio::io::{AsyncRead, AsyncWrite};
use write::Waited;

/// A buffer of this size is not counted against the budget, and is kept between requests.
const FREE_BUFFER: usize = 4 * 1024;
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

pub(super) use render::{Persistence, render};
pub(super) use write::refusal;

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

    /// What to do after bytes were looked at.
    fn progressed(&mut self, cx: &mut Context<'_>, progress: Progress, hot: &mut Hot) -> Option<End> {
        let worker = self.worker.clone();
        let limits = &worker.shared.limits;
        match progress {
            Progress::Answered { stored: true } => {
                hot.open.submit(self.ticket.slot.clone());
                self.expire_in(limits.store_timeout);
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
}
