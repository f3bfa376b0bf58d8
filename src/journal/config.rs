//! `[journal]`.

use crate::platform::units::{ByteSize, Span};
use serde::{Deserialize, Serialize};

/// `[journal]`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// A segment file is closed and the next one begun when it would grow beyond this.
    pub segment_bytes: ByteSize,
    /// A segment that holds records is closed at this age even if it is small, so that it can be archived and removed.
    pub segment_age: Span,
    /// The most bytes of records that wait to be written; beyond it an append is refused (503 with Retry-After).
    pub queue_bytes: ByteSize,
    /// The most appends that wait to be written; beyond it an append is refused.
    pub queue_requests: u32,
    /// The largest record that is taken.
    pub max_record_bytes: ByteSize,
    /// The most that one write and one sync carry; a larger single append still goes in one piece.
    pub group_bytes: ByteSize,
    /// The least time from the beginning of one write to that of the next. 0 writes whatever is there at once; appends
    /// that arrive during a sync share the next one in any case. More saves CPU and disk work at the price of latency.
    pub commit_interval: Span,
    /// When a write or sync has not come back for this long, appends are refused, requests that wait are answered 503, and
    /// readiness goes off.
    pub stalled_after: Span,
    /// How much of the newest records is kept in memory for readers that follow the end.
    pub tail_bytes: ByteSize,
    /// Closed segments are kept at least this long, even when every consumer is past them.
    pub retention: Span,
    /// When all segments together are larger than this, those that every consumer is past go before `retention` is over.
    /// `0` sets no such limit.
    pub retention_bytes: ByteSize,
    /// Whether closed segments are kept for good, compressed, in the lake below `journal/`. None is removed from local disk
    /// before it is there.
    pub archive: bool,
    /// How much of the newest closed segments is read and verified at start; older ones are verified when they are read.
    pub verify_bytes: ByteSize,
    /// Whether the next segment's blocks are written ahead, in the background: syncs are then faster and wait for no other
    /// file's. It takes up to `segment_bytes` more on the disk, and is left alone where that is scarce.
    pub prepare: bool,
    /// Whether bodies are packed (LZ4) where that makes them smaller: a batch of events takes a quarter of the disk's time.
    pub pack: bool,
    /// Whether an append waits for the disk. `false` breaks the promise that an accepted request survives a power cut.
    pub fsync: bool,
}

impl Default for Config {
    fn default() -> Self {
        Config {
            segment_bytes: ByteSize::mib(256),
            segment_age: Span::from_secs(3600),
            queue_bytes: ByteSize::mib(64),
            queue_requests: 65_536,
            max_record_bytes: ByteSize::mib(10),
            group_bytes: ByteSize::mib(4),
            commit_interval: Span::from_millis(0),
            stalled_after: Span::from_secs(5),
            tail_bytes: ByteSize::mib(32),
            retention: Span::from_secs(24 * 3600),
            retention_bytes: ByteSize(0),
            archive: true,
            verify_bytes: ByteSize::mib(1024),
            prepare: true,
            pack: true,
            fsync: true,
        }
    }
}

impl Config {
    /// Whether segments are prepared: without syncs it would only be work.
    pub(super) fn prepares(&self) -> bool {
        self.prepare && self.fsync
    }

    /// What is wrong with the values: key, and problem with what is allowed.
    pub fn check(&self) -> Vec<(String, String)> {
        let mut bad = Vec::new();
        let mut size = |key: &str, value: ByteSize, least: ByteSize, most: ByteSize| {
            if value < least || value > most {
                bad.push((key.to_owned(), format!("\"{value}\" is out of range: allowed is {least} to {most}")));
            }
        };
        size("segment_bytes", self.segment_bytes, ByteSize::kib(64), ByteSize::mib(4096));
        size("queue_bytes", self.queue_bytes, ByteSize::kib(64), ByteSize::mib(16 * 1024));
        size("max_record_bytes", self.max_record_bytes, ByteSize::kib(1), ByteSize::mib(256));
        size("group_bytes", self.group_bytes, ByteSize::kib(64), ByteSize::mib(1024));
        size("tail_bytes", self.tail_bytes, ByteSize(0), ByteSize::mib(16 * 1024));
        if self.queue_requests == 0 {
            bad.push(("queue_requests".to_owned(), "0 is out of range: allowed is 1 and more".to_owned()));
        }
        if self.max_record_bytes > self.queue_bytes {
            let problem = format!(
                "\"{}\" is more than journal.queue_bytes (\"{}\"): no such record could ever wait its turn",
                self.max_record_bytes, self.queue_bytes
            );
            bad.push(("max_record_bytes".to_owned(), problem));
        }
        let mut span = |key: &str, value: Span, least: Span, most: Span| {
            if value < least || value > most {
                bad.push((key.to_owned(), format!("\"{value}\" is out of range: allowed is {least} to {most}")));
            }
        };
        span("segment_age", self.segment_age, Span::from_secs(1), Span::from_secs(366 * 86_400));
        span("commit_interval", self.commit_interval, Span::from_millis(0), Span::from_millis(100));
        span("stalled_after", self.stalled_after, Span::from_millis(100), Span::from_secs(600));
        span("retention", self.retention, Span::from_millis(0), Span::from_secs(3660 * 86_400));
        bad
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_are_allowed_and_nonsense_is_named() {
        assert!(Config::default().check().is_empty());
        let bad = Config {
            segment_bytes: ByteSize(1),
            max_record_bytes: ByteSize::mib(200),
            retention: Span::from_secs(-1),
            ..Config::default()
        };
        let keys: Vec<String> = bad.check().into_iter().map(|(key, _)| key).collect();
        assert_eq!(keys, ["segment_bytes", "max_record_bytes", "retention"]);
    }
}
