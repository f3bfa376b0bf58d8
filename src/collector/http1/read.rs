//! The reading half of a connection: from the socket, through the worker's buffer or its own, to the requests.

use super::{Connection, End, FREE_BUFFER};
use crate::collector::metrics::Refusal;
use crate::collector::reply::Reply;
use crate::collector::worker::SCRATCH;
use std::io;
use std::pin::{Pin, pin};
use std::task::{Context, Poll, ready};
use std::time::Instant;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, ReadBuf};

/// Least room for a read into a connection's own buffer.
const READ_STEP: usize = 16 * 1024;

impl<S: AsyncRead + AsyncWrite + Unpin> Connection<S> {
    /// Reads and answers. `None`: go on with the phase that was set.
    pub(super) fn poll_read(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<Option<End>>> {
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

    pub(super) fn use_own_buffer(&mut self, cx: &mut Context<'_>) -> Option<End> {
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
    pub(super) fn count_held(&mut self) -> bool {
        let bytes = self.buf.capacity() + self.requests.held_bytes();
        self.held.set(if bytes > FREE_BUFFER { bytes } else { 0 })
    }
}
