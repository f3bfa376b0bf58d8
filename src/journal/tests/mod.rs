//! Tests of the journal as a whole; those of one file are in that file.

use super::*;
use crate::event::Offset;
use crate::platform::clock::Clock;
use crate::platform::fs::{Fs, RealFs};
use crate::platform::units::ByteSize;
use crate::telemetry::Metrics;
use bytes::Bytes;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

mod appending;
mod codec;
mod crash;
mod damage;
mod faults;
mod kill;
mod packing;
mod prepared;
mod reading;
mod retention;
mod stream;

/// A folder of the simulated file system.
const DIR: &str = "/data/journal";

fn small() -> Config {
    Config { segment_bytes: ByteSize(2000), tail_bytes: ByteSize(1000), prepare: false, ..Config::default() }
}

fn try_open(config: &Config, dir: &Path, fs: Arc<dyn Fs>) -> Result<(Journal, Recovery), OpenError> {
    Journal::open(config, dir, fs, Clock::System, &Metrics::new())
}

fn open(config: &Config, dir: &Path, fs: Arc<dyn Fs>) -> (Journal, Recovery) {
    try_open(config, dir, fs).unwrap_or_else(|e| panic!("{e}"))
}

fn open_real(dir: &Path) -> (Journal, Recovery) {
    open(&Config::default(), dir, RealFs::shared())
}

fn record(text: impl AsRef<[u8]>) -> Record {
    Record { kind: RecordKind::Payload, body: Bytes::copy_from_slice(text.as_ref()) }
}

/// Everything that a reader gets from `from` up to the end, as (number, body).
fn read(journal: &Journal, from: u64) -> Vec<(u64, Vec<u8>)> {
    let reader = journal.reader(Offset(from)).unwrap();
    read_on(reader, journal.durable_end())
}

fn read_on(mut reader: Reader, end: Offset) -> Vec<(u64, Vec<u8>)> {
    let mut out = Vec::new();
    while reader.position() < end {
        let before = reader.position();
        let batch = reader.next(4096, Duration::ZERO).unwrap().expect("records below the durable end");
        assert_eq!(batch.range.from, before);
        out.extend(batch.records.into_iter().map(|e| (e.offset.0, e.body.to_vec())));
    }
    out
}
