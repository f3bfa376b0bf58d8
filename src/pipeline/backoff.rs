//! Growing pauses between retries of something outside that is away.

use std::time::Duration;

/// Doubles from `first` up to `most`; starts again after [`Backoff::reset`].
#[derive(Clone, Debug)]
pub struct Backoff {
    first: Duration,
    most: Duration,
    next: Duration,
}

impl Backoff {
    /// Pauses of `first`, 2 × `first`, … never longer than `most`.
    pub fn new(first: Duration, most: Duration) -> Self {
        Backoff { first, most, next: first }
    }

    /// The pause to make now, with up to a fifth of jitter so that many clients do not come back together.
    pub fn pause(&mut self) -> Duration {
        let now = self.next;
        self.next = (self.next * 2).min(self.most);
        now.mul_f64(rand::random_range(0.8..=1.0))
    }

    /// Call after a success.
    pub fn reset(&mut self) {
        self.next = self.first;
    }
}
