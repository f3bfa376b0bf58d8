//! The sink for looking: one JSON line a record on standard output.

use super::{Message, Pending, StreamSink};
use std::io::{self, Write};
use std::sync::Arc;
use std::time::Duration;

/// Writes to standard output; a record is delivered when it is written.
#[derive(Debug, Default)]
pub struct Stdout;

impl StreamSink for Stdout {
    fn send(&mut self, message: &Message<'_>, pending: &Arc<Pending>) -> io::Result<bool> {
        let line = serde_json::json!({
            "topic": message.topic,
            "key": message.key,
            "address": message.address,
            "value": String::from_utf8_lossy(message.value),
        });
        writeln!(io::stdout().lock(), "{line}")?;
        pending.sent();
        pending.acknowledged();
        Ok(true)
    }

    fn poll(&mut self, _time: Duration) {}

    fn trouble(&self) -> Option<String> {
        None
    }

    fn failures(&self) -> u64 {
        0
    }
}
