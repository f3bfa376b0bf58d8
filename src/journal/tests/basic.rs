//! Appending, reading back, starting again.

use super::super::*;
use crate::event::Offset;
use crate::platform::clock::Clock;
use crate::platform::fs::RealFs;
use crate::telemetry::Metrics;
use bytes::Bytes;
use std::path::Path;
use std::time::Duration;

fn open(dir: &Path) -> (Journal, Recovery) {
    Journal::open(&Config::default(), dir, RealFs::shared(), Clock::System, &Metrics::new()).unwrap()
}

fn record(text: &str) -> Record {
    Record { kind: RecordKind::Payload, body: Bytes::copy_from_slice(text.as_bytes()) }
}

#[test]
fn what_is_appended_is_read_back_in_order_after_a_restart_too() {
    let dir = tempfile::tempdir().unwrap();
    let id = {
        let (journal, found) = open(dir.path());
        assert!(found.created);
        let appender = journal.appender();
        let receipt = appender.append_blocking(vec![record("a"), record("b")]).unwrap();
        assert_eq!((receipt.first(), receipt.count()), (Offset(0), 2));
        assert_eq!(appender.append_blocking(vec![record("c")]).unwrap().first(), Offset(2));
        assert_eq!(journal.durable_end(), Offset(3));
        let mut reader = journal.reader(Offset(0)).unwrap();
        let batch = reader.next(1 << 20, Duration::ZERO).unwrap().unwrap();
        assert_eq!(batch.records.iter().map(|e| e.body.as_ref()).collect::<Vec<_>>(), [b"a", b"b", b"c"]);
        assert!(reader.next(1 << 20, Duration::from_millis(1)).unwrap().is_none());
        journal.id()
    };
    let (journal, found) = open(dir.path());
    assert_eq!((found.created, found.end, found.torn), (false, Offset(3), None));
    assert_eq!(journal.id(), id);
    assert_eq!(journal.appender().append_blocking(vec![record("d")]).unwrap().first(), Offset(3));
    let mut reader = journal.reader(Offset(1)).unwrap();
    let mut seen = Vec::new();
    while seen.len() < 3 {
        seen.extend(reader.next(1, Duration::ZERO).unwrap().unwrap().records);
    }
    assert_eq!(
        seen.iter().map(|e| (e.offset.0, e.body.as_ref())).collect::<Vec<_>>(),
        [(1, &b"b"[..]), (2, b"c"), (3, b"d")]
    );
    assert!(matches!(
        Journal::open(&Config::default(), dir.path(), RealFs::shared(), Clock::System, &Metrics::new()),
        Err(OpenError::Locked { pid: Some(pid), .. }) if pid == std::process::id()
    ));
}
