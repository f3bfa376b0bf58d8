//! Readers: at the tail, far behind, from any place, without polling, and from outside.

use super::*;
use crate::platform::fs_sim::SimFs;
use crate::platform::testing::PATIENCE;
use std::thread;
use std::time::Instant;

fn filled(fs: &SimFs, records: u64) -> (Journal, Vec<(u64, Vec<u8>)>) {
    let (journal, _) = open(&small(), Path::new(DIR), fs.shared());
    let mut all = Vec::new();
    for n in 0..records {
        let body = format!("{n} {}", "y".repeat((n * 37 % 300) as usize)).into_bytes();
        journal.appender().append_blocking(vec![record(&body)]).unwrap();
        all.push((n, body));
    }
    (journal, all)
}

#[test]
fn every_place_can_be_read_from_in_batches_of_any_size() {
    let fs = SimFs::new(1);
    let (journal, all) = filled(&fs, 100);
    assert!(journal.segments().len() > 5);
    for from in 0..=100 {
        assert_eq!(read(&journal, from), all[from as usize..]);
    }
    for max in [1, 100, 1000, 100_000] {
        let mut reader = journal.reader(Offset(0)).unwrap();
        let mut got = Vec::new();
        while let Some(batch) = reader.next(max, Duration::ZERO).unwrap() {
            let bytes: u64 = batch.records.iter().map(|e| e.body.len() as u64).sum();
            assert_eq!((bytes, batch.records.len() as u64), (batch.bytes, batch.range.len()));
            assert!(batch.records.len() == 1 || bytes < max + 300);
            got.extend(batch.records.into_iter().map(|e| (e.offset.0, e.body.to_vec())));
        }
        assert_eq!(got, all);
    }
    assert!(matches!(journal.reader(Offset(101)), Err(ReadError::Beyond { .. })));
}

#[test]
fn a_reader_at_the_tail_gets_the_written_buffer_and_not_a_copy() {
    let fs = SimFs::new(1);
    let (journal, _) = open(&Config::default(), Path::new(DIR), fs.shared());
    journal.appender().append_blocking(vec![record("shared")]).unwrap();
    let next = || journal.reader(Offset(0)).unwrap().next(100, Duration::ZERO).unwrap().unwrap().records.remove(0).body;
    assert_eq!(next().as_ptr(), next().as_ptr());
}

#[test]
fn the_memory_for_the_tail_is_bounded_and_readers_fall_back_to_the_files() {
    let fs = SimFs::new(1);
    let (journal, all) = filled(&fs, 50);
    let mut reader = journal.reader(Offset(0)).unwrap();
    let first = reader.next(1, Duration::ZERO).unwrap().unwrap();
    assert_eq!(first.records[0].body.to_vec(), all[0].1);
    let more = read_on(reader, Offset(50));
    assert_eq!(more, all[1..]);
}

#[cfg(target_os = "linux")]
#[test]
fn a_waiting_reader_sleeps_until_there_is_something() {
    let fs = SimFs::new(1);
    let (journal, _) = open(&Config::default(), Path::new(DIR), fs.shared());
    let mut reader = journal.reader(Offset(0)).unwrap();
    let waiting = thread::spawn(move || {
        let switches = || {
            let status = std::fs::read_to_string("/proc/thread-self/status").unwrap();
            let line = status.lines().find_map(|l| l.strip_prefix("voluntary_ctxt_switches:")).unwrap();
            line.trim().parse::<u64>().unwrap()
        };
        let before = switches();
        let batch = reader.next(100, PATIENCE).unwrap().unwrap();
        (batch, switches() - before, Instant::now())
    });
    thread::sleep(Duration::from_millis(300));
    let appended = Instant::now();
    journal.appender().append_blocking(vec![record("wake up")]).unwrap();
    let (batch, switches, woken) = waiting.join().unwrap();
    assert_eq!(batch.records[0].body.as_ref(), b"wake up");
    assert!(switches <= 5, "{switches} wake-ups for one record");
    assert!(woken - appended < Duration::from_secs(2));
}

#[test]
fn a_wait_ends_in_time_and_with_the_journal() {
    let fs = SimFs::new(1);
    let (journal, _) = open(&Config::default(), Path::new(DIR), fs.shared());
    let mut reader = journal.reader(Offset(0)).unwrap();
    let begun = Instant::now();
    assert_eq!(reader.next(100, Duration::from_millis(30)).unwrap(), None);
    assert!(begun.elapsed() >= Duration::from_millis(30));
    journal.appender().append_blocking(vec![record("rest")]).unwrap();
    let waiting = thread::spawn(move || {
        let rest = reader.next(100, PATIENCE).unwrap().unwrap().records.len();
        (rest, reader.next(100, PATIENCE))
    });
    thread::sleep(Duration::from_millis(50));
    journal.close();
    let (rest, end) = waiting.join().unwrap();
    assert_eq!(rest, 1);
    assert!(matches!(end, Err(ReadError::Closed)));
}

#[test]
fn a_lingering_reader_is_woken_less_often_and_misses_nothing() {
    let fs = SimFs::new(1);
    let (journal, _) = open(&Config::default(), Path::new(DIR), fs.shared());
    let mut reader = journal.reader(Offset(0)).unwrap().with_linger(Duration::from_millis(20));
    let appender = journal.appender();
    let writing = thread::spawn(move || {
        for i in 0..300 {
            appender.append_blocking(vec![record(format!("{i}"))]).unwrap();
            thread::sleep(Duration::from_micros(300));
        }
    });
    let (mut batches, mut records) = (0, 0);
    while records < 300 {
        if let Some(batch) = reader.next(1 << 20, PATIENCE).unwrap() {
            batches += 1;
            records += batch.records.len();
        }
    }
    writing.join().unwrap();
    assert!(batches < 100, "{batches} batches for 300 records");
}

#[test]
fn the_outside_reads_a_journal_in_use_and_changes_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let (journal, _) = open(&small(), dir.path(), RealFs::shared());
    for n in 0..40 {
        journal.appender().append_blocking(vec![record(format!("{n} {}", "z".repeat(100)))]).unwrap();
    }
    let listing = || {
        let mut all: Vec<_> = std::fs::read_dir(dir.path())
            .unwrap()
            .map(|e| (e.as_ref().unwrap().file_name(), e.unwrap().metadata().unwrap().len()))
            .collect();
        all.sort();
        all
    };
    let before = listing();
    let outside = Journal::read_only(dir.path(), RealFs::shared()).unwrap();
    assert_eq!((outside.id(), outside.first(), outside.end()), (Some(journal.id()), Offset(0), Offset(40)));
    assert_eq!(read_on(outside.reader(Offset(3)).unwrap(), Offset(40)), read(&journal, 3));
    let mut reader = outside.reader(Offset(40)).unwrap();
    assert!(matches!(reader.next(1, Duration::from_secs(9)), Err(ReadError::Closed)));
    assert_eq!(listing(), before);
    journal.close();
    assert_eq!(Journal::read_only(dir.path(), RealFs::shared()).unwrap().end(), Offset(40));
    let empty = tempfile::tempdir().unwrap();
    assert_eq!(Journal::read_only(empty.path(), RealFs::shared()).unwrap().id(), None);
    assert!(Journal::read_only(Path::new("/no/such/folder"), RealFs::shared()).is_err());
}
