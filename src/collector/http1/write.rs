//! The writing half of a connection: replies that may be sent now, and the end.

use super::render::{Persistence, render};
use super::requests::Ready;
use super::{CONTINUE, Connection, End, Phase};
use crate::collector::gather::Outcome;
use crate::collector::metrics::{CollectorMetrics, Refusal};
use crate::collector::reply::Reply;
use crate::collector::worker::Hot;
use crate::journal::{AppendError, Full};
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// How long a client may go on sending after it was refused, so that it can read why (milliseconds).
const LINGER: i64 = 1_000;
/// How many bytes of it are read over.
const LINGER_BYTES: usize = 256 * 1024;

impl<S: AsyncRead + AsyncWrite + Unpin> Connection<S> {
    /// Renders every reply of this round and sends as much as goes at once.
    pub(super) fn answer(&mut self, cx: &mut Context<'_>, waited: Option<Waited>, hot: &mut Hot) {
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
            // The client did not ask for the end: it may be sending the next request.
            self.linger |= queued.linger || (close && !queued.close);
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

    pub(super) fn poll_write(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
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
    pub(super) fn poll_end(&mut self, cx: &mut Context<'_>) -> Poll<End> {
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
pub(super) enum Waited {
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
            metrics.refused(Refusal::Stalled, 1);
            recipe.overloaded()
        }
    }
}

/// Why records were refused, as it is counted.
pub fn refusal(e: &AppendError) -> Refusal {
    match e {
        AppendError::Full(Full::Bytes) => Refusal::JournalBytes,
        AppendError::Full(Full::Requests) => Refusal::JournalRequests,
        AppendError::Full(Full::Stalled) => Refusal::JournalStalled,
        AppendError::Unavailable { .. } | AppendError::Closed => Refusal::Unavailable,
        AppendError::TooLarge { .. } => Refusal::TooLarge,
    }
}
