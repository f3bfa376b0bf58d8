//! Segments whose blocks were written ahead: used when they are ready, never needed, and never mistaken for damage.

use super::*;
use crate::platform::fs_sim::SimFs;
use crate::platform::testing::PATIENCE;
use std::time::Instant;

const SEGMENT: u64 = 256 << 10;

fn config() -> Config {
    Config { segment_bytes: ByteSize(SEGMENT), pack: false, ..Config::default() }
}

fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !holds() {
        assert!(begun.elapsed() < PATIENCE, "{what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

fn size(fs: &dyn Fs, dir: &Path, name: &str) -> Option<u64> {
    fs.open(&dir.join(name), crate::platform::fs::Access::Read).and_then(|file| file.size()).ok()
}

/// A journal whose open segment is a prepared one, and how many records are in it.
fn prepared(dir: &Path, fs: Arc<dyn Fs>) -> (Journal, u64) {
    let (journal, _) = open(&config(), dir, fs.clone());
    let appender = journal.appender();
    let mut records = 0;
    while journal.segments().len() < 2 {
        // A quarter of the segment makes the writer want the next one.
        if journal.segments().last().unwrap().bytes < SEGMENT / 2 {
            appender.append_blocking(vec![record(vec![b'x'; 20_000])]).unwrap();
        } else {
            until("a file lies ready", || size(fs.as_ref(), dir, "spare.tmp") == Some(SEGMENT));
            appender.append_blocking(vec![record("the first of the next segment")]).unwrap();
        }
        records += 1;
    }
    (journal, records)
}

fn open_segment(journal: &Journal) -> String {
    journal.segments().last().unwrap().path.file_name().unwrap().to_str().unwrap().to_owned()
}

#[test]
fn the_next_segment_lies_ready_and_is_cut_when_the_journal_closes_in_order() {
    let dir = tempfile::tempdir().unwrap();
    let (journal, records) = prepared(dir.path(), RealFs::shared());
    let name = open_segment(&journal);
    assert_eq!(size(&RealFs, dir.path(), &name), Some(SEGMENT), "its blocks are there");
    assert_eq!(size(&RealFs, dir.path(), "spare.tmp"), None);
    assert_eq!(read(&journal, 0).len() as u64, records);
    let seen = Journal::read_only(dir.path(), RealFs::shared()).unwrap();
    assert!(seen.end() == Offset(records) && seen.torn().is_none(), "{:?}", seen.torn());
    journal.close();
    assert!(size(&RealFs, dir.path(), &name).unwrap() < SEGMENT, "at rest it takes no room");
    let (journal, found) = open(&config(), dir.path(), RealFs::shared());
    assert!(found.torn.is_none() && found.notes.is_empty(), "{found:?}");
    assert_eq!(read(&journal, 0).len() as u64, records);
}

#[test]
fn what_was_not_reached_of_a_prepared_segment_is_no_torn_write_and_is_used_after_a_crash() {
    let fs = SimFs::new(3);
    let (journal, records) = prepared(Path::new(DIR), fs.shared());
    let name = open_segment(&journal);
    let fs = fs.crash();
    let (journal, found) = open(&config(), Path::new(DIR), fs.shared());
    assert!(found.torn.is_none(), "{found:?}");
    assert_eq!(found.end, Offset(records));
    journal.appender().append_blocking(vec![record("after")]).unwrap();
    assert_eq!(size(&fs, Path::new(DIR), &name), Some(SEGMENT), "the same segment goes on");
    assert_eq!(read(&journal, 0).len() as u64, records + 1);
}

#[test]
fn a_prepared_segment_holds_what_a_full_disk_has_no_room_for() {
    let fs = SimFs::new(4);
    let (journal, _) = prepared(Path::new(DIR), fs.shared());
    fs.set_capacity(Some(fs.used()));
    journal.appender().append_blocking(vec![record(vec![1; 50_000])]).unwrap();
}

#[test]
fn a_small_disk_is_not_filled_with_zeros_and_the_journal_goes_on_without() {
    let fs = SimFs::new(5);
    fs.set_capacity(Some(3 * SEGMENT as usize));
    let (journal, _) = open(&config(), Path::new(DIR), fs.shared());
    for _ in 0..20 {
        journal.appender().append_blocking(vec![record(vec![b'x'; 20_000])]).unwrap();
        assert_eq!(size(&fs, Path::new(DIR), "spare.tmp"), None);
    }
    assert_eq!(read(&journal, 0).len(), 20);
}

#[test]
fn a_file_that_a_crash_left_half_prepared_goes() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("spare.tmp"), [0; 5000]).unwrap();
    let (journal, _) = open(&config(), dir.path(), RealFs::shared());
    journal.appender().append_blocking(vec![record("x")]).unwrap();
    assert_eq!(size(&RealFs, dir.path(), "spare.tmp"), None);
}
