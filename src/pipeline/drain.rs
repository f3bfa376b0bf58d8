//! One signal that tells every thread and task to finish what it holds and stop.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use tokio::sync::watch;

/// The signal. Clones share it; it is raised once and stays raised.
#[derive(Clone, Debug)]
pub struct Drain {
    raised: Arc<AtomicBool>,
    tx: Arc<watch::Sender<bool>>,
}

impl Default for Drain {
    fn default() -> Self {
        Drain { raised: Arc::default(), tx: Arc::new(watch::channel(false).0) }
    }
}

impl Drain {
    /// A signal that is not raised.
    pub fn new() -> Self {
        Self::default()
    }

    /// Tells everybody to stop.
    pub fn raise(&self) {
        self.raised.store(true, Ordering::SeqCst);
        self.tx.send_replace(true);
    }

    /// Whether it was raised. Cheap enough for a loop.
    pub fn is_raised(&self) -> bool {
        self.raised.load(Ordering::Relaxed)
    }

    /// Resolves when it is raised.
    pub async fn raised(&self) {
        let mut rx = self.tx.subscribe();
        // An error means that the sender is gone, which cannot happen while `self` holds it.
        let _ = rx.wait_for(|raised| *raised).await;
    }

    /// Sleeps on the calling thread for `time`, or until it is raised. True when it was raised.
    pub fn sleep(&self, time: Duration) -> bool {
        let end = Instant::now() + time;
        while !self.is_raised() {
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                break;
            }
            std::thread::sleep(left.min(Duration::from_millis(20)));
        }
        self.is_raised()
    }
}
