//! A bounded, named channel between two stages.
//!
//! The bound is what keeps memory bounded (promise P7): a sender that finds the link full waits, and the wait travels back
//! to the collector, which answers 503. [`LinkGauge`] lets the status page see depth and throughput from outside.

use crossbeam_channel::{Receiver, RecvTimeoutError, SendTimeoutError, Sender, TryRecvError, TrySendError};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Makes a link that holds at most `bound` messages.
pub fn link<T>(name: &'static str, bound: usize) -> (LinkSender<T>, LinkReceiver<T>) {
    let (tx, rx) = crossbeam_channel::bounded(bound);
    let meter = Arc::new(Meter { name, bound, sent: AtomicU64::new(0), received: AtomicU64::new(0) });
    (LinkSender { tx, meter: meter.clone() }, LinkReceiver { rx, meter })
}

#[derive(Debug)]
struct Meter {
    name: &'static str,
    bound: usize,
    sent: AtomicU64,
    received: AtomicU64,
}

/// What an onlooker sees of a link.
#[derive(Clone, Debug)]
pub struct LinkGauge(Arc<Meter>);

impl LinkGauge {
    /// The name given when the link was made.
    pub fn name(&self) -> &'static str {
        self.0.name
    }
    /// The most messages it holds.
    pub fn bound(&self) -> usize {
        self.0.bound
    }
    /// Messages in it now.
    pub fn depth(&self) -> u64 {
        let received = self.0.received.load(Ordering::Relaxed);
        self.0.sent.load(Ordering::Relaxed).saturating_sub(received)
    }
    /// Messages that have passed since the start.
    pub fn passed(&self) -> u64 {
        self.0.received.load(Ordering::Relaxed)
    }
}

/// The sending end. Clones send into the same link.
#[derive(Debug)]
pub struct LinkSender<T> {
    tx: Sender<T>,
    meter: Arc<Meter>,
}

impl<T> Clone for LinkSender<T> {
    fn clone(&self) -> Self {
        LinkSender { tx: self.tx.clone(), meter: self.meter.clone() }
    }
}

/// The other end is gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the stage at the other end of the link has stopped")]
pub struct Closed;

/// Why a message was not sent; the message comes back.
#[derive(Debug)]
pub enum NotSent<T> {
    /// The link is at its bound.
    Full(T),
    /// The other end is gone.
    Closed(T),
}

impl<T> LinkSender<T> {
    /// Waits for room and sends.
    ///
    /// # Errors
    /// [`Closed`] when the receiving stage has stopped.
    pub fn send(&self, message: T) -> Result<(), Closed> {
        self.tx.send(message).map_err(|_| Closed)?;
        self.meter.sent.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }

    /// Waits at most `time` for room.
    ///
    /// # Errors
    /// The message comes back with the reason.
    pub fn send_timeout(&self, message: T, time: Duration) -> Result<(), NotSent<T>> {
        self.tx.send_timeout(message, time).map_err(|e| match e {
            SendTimeoutError::Timeout(m) => NotSent::Full(m),
            SendTimeoutError::Disconnected(m) => NotSent::Closed(m),
        })?;
        self.meter.sent.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }

    /// Sends only if there is room now.
    ///
    /// # Errors
    /// The message comes back with the reason.
    pub fn try_send(&self, message: T) -> Result<(), NotSent<T>> {
        self.tx.try_send(message).map_err(|e| match e {
            TrySendError::Full(m) => NotSent::Full(m),
            TrySendError::Disconnected(m) => NotSent::Closed(m),
        })?;
        self.meter.sent.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }

    /// For the status page.
    pub fn gauge(&self) -> LinkGauge {
        LinkGauge(self.meter.clone())
    }
}

/// The receiving end.
#[derive(Debug)]
pub struct LinkReceiver<T> {
    rx: Receiver<T>,
    meter: Arc<Meter>,
}

/// What a timed receive gave.
#[derive(Debug)]
pub enum Received<T> {
    /// A message.
    Message(T),
    /// Nothing came in time.
    Nothing,
    /// All senders are gone and the link is empty.
    Closed,
}

impl<T> LinkReceiver<T> {
    /// Waits for the next message; `None` when all senders are gone and the link is empty.
    pub fn recv(&self) -> Option<T> {
        let message = self.rx.recv().ok()?;
        self.meter.received.fetch_add(1, Ordering::Relaxed);
        Some(message)
    }

    /// Waits at most `time`.
    pub fn recv_timeout(&self, time: Duration) -> Received<T> {
        match self.rx.recv_timeout(time) {
            Ok(m) => {
                self.meter.received.fetch_add(1, Ordering::Relaxed);
                Received::Message(m)
            }
            Err(RecvTimeoutError::Timeout) => Received::Nothing,
            Err(RecvTimeoutError::Disconnected) => Received::Closed,
        }
    }

    /// Takes a message only if one is there.
    pub fn try_recv(&self) -> Received<T> {
        match self.rx.try_recv() {
            Ok(m) => {
                self.meter.received.fetch_add(1, Ordering::Relaxed);
                Received::Message(m)
            }
            Err(TryRecvError::Empty) => Received::Nothing,
            Err(TryRecvError::Disconnected) => Received::Closed,
        }
    }

    /// For the status page.
    pub fn gauge(&self) -> LinkGauge {
        LinkGauge(self.meter.clone())
    }
}
