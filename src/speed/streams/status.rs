//! What the status page shows of a stream: where it stands, and whether the other side still answers.

use crate::platform::clock::Millis;
use serde::Serialize;
use std::time::{Duration, Instant};

/// How long records may wait without any being acknowledged before the stream counts as cut off.
const SILENCE: Duration = Duration::from_secs(3);

/// How a stream does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum StreamState {
    /// What comes in goes out, or nothing comes in.
    #[default]
    Live,
    /// It reads the journal for what did not fit into memory.
    #[serde(rename = "catching up")]
    CatchingUp,
    /// Records wait and the other side takes none.
    Retrying,
}

impl StreamState {
    /// As text.
    pub const fn name(self) -> &'static str {
        match self {
            StreamState::Live => "live",
            StreamState::CatchingUp => "catching up",
            StreamState::Retrying => "retrying",
        }
    }
}

/// What the status page shows.
#[derive(Clone, Debug, Default, Serialize)]
pub struct StreamStatus {
    /// `kafka` or `stdout`.
    pub kind: String,
    /// First offset that is not acknowledged.
    pub cursor: u64,
    /// How it does.
    pub state: StreamState,
    /// Records acknowledged since the start.
    pub published: u64,
    /// Records refused for good since the start.
    pub refused: u64,
    /// When the other side last acknowledged something, since the start.
    pub acknowledged_ms: Option<Millis>,
    /// Failed tries since then.
    pub retries: u64,
    /// What is wrong with the other side.
    pub trouble: Option<String>,
}

/// Watches acknowledgements.
#[derive(Debug)]
pub(super) struct Watch {
    /// When something was acknowledged, or nothing waited.
    at_ease: Instant,
    /// Acknowledgements that were seen.
    acknowledged: u64,
    /// Failed tries that the sink has reported, as far as they are counted.
    reported: u64,
    retries: u64,
}

impl Watch {
    pub(super) fn new() -> Self {
        Watch { at_ease: Instant::now(), acknowledged: 0, reported: 0, retries: 0 }
    }

    /// The sink was made anew after an error.
    pub(super) fn restarted(&mut self) {
        self.reported = 0;
        self.retries += 1;
    }

    /// Looks at what is under way: all acknowledgements so far, whether anything waits, and how many failed tries the sink
    /// has reported. True when something was acknowledged since the last look.
    pub(super) fn look(&mut self, acknowledged: u64, waiting: bool, reported: u64) -> bool {
        let progress = acknowledged > self.acknowledged;
        self.acknowledged = acknowledged;
        self.retries += reported.saturating_sub(self.reported);
        self.reported = reported;
        if progress || !waiting {
            self.at_ease = Instant::now();
        }
        if progress {
            self.retries = 0;
        }
        progress
    }

    /// Failed tries since the last acknowledgement.
    pub(super) fn retries(&self) -> u64 {
        self.retries
    }

    /// For how long records have waited in vain, if that is long.
    pub(super) fn silence(&self) -> Option<Duration> {
        Some(self.at_ease.elapsed()).filter(|time| *time > SILENCE)
    }
}
