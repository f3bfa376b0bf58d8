//! How long the commit thread goes on once the program is to end.

use crate::pipeline::drain::Drain;
use std::time::{Duration, Instant};

/// Pause between tries while the last micro-batch is waited for.
const RETRY: Duration = Duration::from_millis(200);

/// How long to go on once the program is to end.
#[derive(Debug)]
pub(super) struct Patience {
    drain: Drain,
    time: Duration,
    until: Option<Instant>,
}

impl Patience {
    pub(super) fn new(drain: Drain, time: Duration) -> Self {
        Patience { drain, time, until: None }
    }

    /// False when the time is over.
    pub(super) fn lasts(&mut self) -> bool {
        if !self.drain.is_raised() {
            return true;
        }
        let until = *self.until.get_or_insert_with(|| Instant::now() + self.time);
        Instant::now() < until
    }

    /// Sleeps; false when the time is over.
    pub(super) fn sleep(&mut self, time: Duration) -> bool {
        if self.drain.sleep(time) && self.lasts() {
            std::thread::sleep(RETRY);
        }
        self.lasts()
    }
}
