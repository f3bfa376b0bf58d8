//! A disk that is full, read-only, failing or silent: refused with a reason, and back by itself.

use super::*;
use crate::platform::fs_sim::SimFs;
use crate::platform::testing::PATIENCE;
use std::thread;
use std::time::Instant;

fn unavailable(result: Result<Receipt, AppendError>) -> String {
    match result {
        Err(AppendError::Unavailable { reason }) => reason.to_string(),
        other => panic!("{other:?}"),
    }
}

/// Bodies take the room that their length says.
fn plain() -> Config {
    Config { pack: false, ..Config::default() }
}

fn recovers(journal: &Journal) {
    let begun = Instant::now();
    while let Err(why) = journal.health() {
        assert!(begun.elapsed() < PATIENCE, "still ill: {why}");
        thread::sleep(Duration::from_millis(20));
    }
}

fn ill_then_well(ill: impl Fn(&SimFs), well: impl Fn(&SimFs), size: usize) {
    let fs = SimFs::new(1);
    let (journal, _) = open(&plain(), Path::new(DIR), fs.shared());
    let appender = journal.appender();
    appender.append_blocking(vec![record("before")]).unwrap();
    ill(&fs);
    let reason = unavailable(appender.append_blocking(vec![record(vec![1; size])]));
    assert!(journal.health().unwrap_err().contains(&reason));
    // Refused at the door from now on, without a wait.
    unavailable(appender.append_blocking(vec![record("x")]));
    thread::sleep(Duration::from_millis(60));
    assert!(journal.health().is_err(), "nothing has changed");
    assert_eq!(read(&journal, 0), [(0, b"before".into())], "readers see nothing of what was refused");
    well(&fs);
    recovers(&journal);
    assert_eq!(appender.append_blocking(vec![record("after")]).unwrap().first(), Offset(1));
    let expected = [(0, b"before".to_vec()), (1, b"after".to_vec())];
    assert_eq!(read(&journal, 0), expected);
    for fs in [fs.kill(), fs.crash()] {
        let (journal, _) = open(&plain(), Path::new(DIR), fs.shared());
        assert_eq!(
            read(&journal, 0),
            expected,
            "what was refused does not come back in front of what was acknowledged"
        );
    }
}

#[test]
fn a_full_disk() {
    ill_then_well(|fs| fs.set_capacity(Some(fs.used() + 100)), |fs| fs.set_capacity(None), 5000);
}

#[test]
fn a_disk_with_room_for_a_header_only_is_still_full() {
    ill_then_well(|fs| fs.set_capacity(Some(fs.used() + 3000)), |fs| fs.set_capacity(Some(1 << 30)), 5000);
}

#[test]
fn a_read_only_disk() {
    ill_then_well(|fs| fs.set_read_only(true), |fs| fs.set_read_only(false), 10);
}

#[test]
fn syncs_that_fail() {
    ill_then_well(|fs| fs.fail_syncs(u32::MAX), |fs| fs.fail_syncs(0), 10);
}

#[test]
fn writes_that_fail() {
    ill_then_well(|fs| fs.fail_writes(u32::MAX), |fs| fs.fail_writes(0), 10);
}

#[test]
fn one_failed_sync_costs_a_segment_and_nobody_notices() {
    let fs = SimFs::new(7);
    let (journal, _) = open(&Config::default(), Path::new(DIR), fs.shared());
    let appender = journal.appender();
    appender.append_blocking(vec![record("a")]).unwrap();
    fs.fail_syncs(1);
    assert_eq!(appender.append_blocking(vec![record("b"), record("c")]).unwrap().first(), Offset(1));
    assert_eq!(journal.segments().len(), 2, "the file whose sync failed is not used again");
    assert!(journal.health().is_ok());
    appender.append_blocking(vec![record("d")]).unwrap();
    let expected = [(0, b"a".to_vec()), (1, b"b".to_vec()), (2, b"c".to_vec()), (3, b"d".to_vec())];
    assert_eq!(read(&journal, 0), expected);
    let (journal, _) = open(&Config::default(), Path::new(DIR), fs.crash().shared());
    assert_eq!(read(&journal, 0), expected);
}

#[test]
fn what_only_the_page_cache_holds_is_made_durable_before_it_is_shown() {
    for seed in 0..50 {
        let fs = SimFs::new(seed);
        let (journal, _) = open(&Config::default(), Path::new(DIR), fs.shared());
        let appender = journal.appender();
        appender.append_blocking(vec![record("acknowledged")]).unwrap();
        // The sync fails, the process dies before it can do anything about it. The cache still shows the record, and a
        // sync of the new process would "succeed" without writing it.
        fs.fail_syncs(1);
        fs.hold_syncs(true);
        let append = appender.append(vec![record("x".repeat(3000))]);
        thread::sleep(Duration::from_millis(5));
        let after = fs.kill_in_failed_sync();
        drop(append);
        let (journal, _) = open(&Config::default(), Path::new(DIR), after.shared());
        let shown = read(&journal, 0);
        assert_eq!(shown[0], (0, b"acknowledged".to_vec()));
        let (journal, _) = open(&Config::default(), Path::new(DIR), after.crash().shared());
        assert_eq!(read(&journal, 0), shown, "seed {seed}: what was shown once is there after a power cut");
    }
}

#[test]
fn a_segment_whose_creation_was_cut_short_is_made_durable_before_it_is_used() {
    for seed in 0..60 {
        let fs = SimFs::new(seed);
        let (journal, _) = open(&Config { pack: false, ..small() }, Path::new(DIR), fs.shared());
        let appender = journal.appender();
        appender.append_blocking(vec![record("x".repeat(1500))]).unwrap();
        fs.hold_syncs(true);
        // Does not fit: the writer makes a new segment and is stopped in the sync of its header.
        let append = appender.append(vec![record("y".repeat(1500))]);
        while fs.list(Path::new(DIR)).unwrap().iter().filter(|name| name.ends_with(".seg")).count() < 2 {
            thread::yield_now();
        }
        let after = if seed % 2 == 0 { fs.kill() } else { fs.kill_in_failed_sync() };
        drop(append);
        let (journal, _) = open(&small(), Path::new(DIR), after.shared());
        journal.appender().append_blocking(vec![record("z")]).unwrap();
        let shown = read(&journal, 0);
        assert_eq!(shown.last(), Some(&(1, b"z".to_vec())));
        let (journal, _) = open(&small(), Path::new(DIR), after.crash().shared());
        assert_eq!(read(&journal, 0), shown, "seed {seed}");
    }
}

#[test]
fn a_silent_disk_refuses_instead_of_piling_up() {
    let fs = SimFs::new(3);
    let config = Config { stalled_after: crate::platform::units::Span::from_millis(100), ..Config::default() };
    let (journal, _) = open(&config, Path::new(DIR), fs.shared());
    let appender = journal.appender();
    fs.hold_syncs(true);
    let waiting = appender.append(vec![record("a")]);
    thread::sleep(Duration::from_millis(250));
    assert_eq!(appender.append_blocking(vec![record("b")]), Err(AppendError::Full(Full::Stalled)));
    assert!(appender.bounds()[2].now >= 100);
    assert!(journal.health().unwrap_err().contains("has not answered"));
    fs.hold_syncs(false);
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    assert_eq!(runtime.block_on(waiting).unwrap().first(), Offset(0));
    recovers(&journal);
    assert_eq!(appender.append_blocking(vec![record("b")]).unwrap().first(), Offset(1));
}

#[test]
fn a_journal_that_cannot_be_made_says_so() {
    let fs = SimFs::new(3);
    fs.create_dir_all(Path::new(DIR)).unwrap();
    fs.set_capacity(Some(120));
    let e = try_open(&Config::default(), Path::new(DIR), fs.shared()).unwrap_err();
    assert!(matches!(&e, OpenError::Io { path, .. } if path.starts_with(DIR)), "{e}");
    fs.set_capacity(None);
    let (journal, _) = open(&Config::default(), Path::new(DIR), fs.shared());
    journal.appender().append_blocking(vec![record("a")]).unwrap();
}
