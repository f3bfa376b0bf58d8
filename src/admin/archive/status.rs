//! How the archive is, for the status page.

use crate::event::Offset;
use crate::platform::clock::Millis;
use parking_lot::Mutex;
use std::sync::Arc;

/// How the archive is at one moment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct State {
    /// All closed segments of the journal below this are archived.
    pub upto: Offset,
    /// When a segment was last archived, since the start.
    pub last_success_ms: Option<Millis>,
    /// Failed tries since then.
    pub retries: u64,
    /// Why the last try failed, while that stands.
    pub error: Option<String>,
    /// The thread has ended.
    pub ended: bool,
}

/// A view of the archive from outside. Clones share it.
#[derive(Clone, Debug, Default)]
pub struct Status(Arc<Mutex<State>>);

impl Status {
    /// Everything at this moment.
    pub fn state(&self) -> State {
        self.0.lock().clone()
    }

    pub(super) fn change(&self, change: impl FnOnce(&mut State)) {
        change(&mut self.0.lock());
    }
}
