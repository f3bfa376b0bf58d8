//! Appending: receipts, sharing of syncs, bounds, restart, the lock.

use super::*;
use crate::platform::fs_sim::SimFs;
use std::thread;

#[test]
fn what_is_appended_is_read_back_in_order_after_a_restart_too() {
    let dir = tempfile::tempdir().unwrap();
    let id = {
        let (journal, found) = open_real(dir.path());
        assert!(found.created);
        let appender = journal.appender();
        let receipt = appender.append_blocking(vec![record("a"), record("b")]).unwrap();
        assert_eq!((receipt.first(), receipt.count()), (Offset(0), 2));
        assert_eq!(appender.append_blocking(vec![record("c")]).unwrap().first(), Offset(2));
        assert_eq!(appender.append_blocking(vec![]).unwrap().count(), 0);
        assert_eq!(journal.durable_end(), Offset(3));
        assert_eq!(read(&journal, 0), [(0, b"a".into()), (1, b"b".into()), (2, b"c".into())]);
        journal.id()
    };
    let (journal, found) = open_real(dir.path());
    assert_eq!((found.created, found.end, found.torn, found.notes), (false, Offset(3), None, vec![]));
    assert_eq!(journal.id(), id);
    assert_eq!(journal.appender().append_blocking(vec![record("d")]).unwrap().first(), Offset(3));
    assert_eq!(read(&journal, 1), [(1, b"b".into()), (2, b"c".into()), (3, b"d".into())]);
}

#[test]
fn a_second_process_is_refused_and_told_who_has_it() {
    let dir = tempfile::tempdir().unwrap();
    let (journal, _) = open_real(dir.path());
    let refused = try_open(&Config::default(), dir.path(), RealFs::shared()).unwrap_err();
    assert!(matches!(refused, OpenError::Locked { pid: Some(pid), .. } if pid == std::process::id()), "{refused}");
    journal.close();
    open_real(dir.path());
}

#[test]
fn appends_that_wait_share_one_sync() {
    let fs = SimFs::new(1);
    let (journal, _) = open(&Config::default(), Path::new(DIR), fs.shared());
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let before = fs.syncs();
    fs.hold_syncs(true);
    let receipts = runtime.block_on(async {
        let tasks: Vec<_> = (0..500)
            .map(|i| {
                let append = journal.appender().append(vec![record(format!("{i}")), record("x")]);
                tokio::spawn(append)
            })
            .collect();
        tokio::task::yield_now().await;
        fs.hold_syncs(false);
        let mut receipts = Vec::new();
        for task in tasks {
            receipts.push(task.await.unwrap().unwrap());
        }
        receipts
    });
    assert!(fs.syncs() - before <= 2, "{} syncs for 500 appends", fs.syncs() - before);
    for (i, receipt) in receipts.iter().enumerate() {
        assert_eq!((receipt.first().0, receipt.count()), (2 * i as u64, 2));
    }
}

#[test]
fn many_threads_get_numbers_of_their_own() {
    let dir = tempfile::tempdir().unwrap();
    let (journal, _) = open_real(dir.path());
    let mut got: Vec<(u64, String)> = thread::scope(|scope| {
        let threads: Vec<_> = (0..16)
            .map(|t| {
                let appender = journal.appender();
                scope.spawn(move || {
                    let one = |i| {
                        let text = format!("{t}-{i}");
                        (appender.append_blocking(vec![record(&text)]).unwrap().first().0, text)
                    };
                    (0..50).map(one).collect::<Vec<_>>()
                })
            })
            .collect();
        threads.into_iter().flat_map(|t| t.join().unwrap()).collect()
    });
    got.sort();
    let stored: Vec<(u64, String)> =
        read(&journal, 0).into_iter().map(|(n, body)| (n, String::from_utf8(body).unwrap())).collect();
    assert_eq!(stored, got);
}

#[test]
fn a_full_queue_refuses_at_once_and_takes_again_when_it_is_empty() {
    let fs = SimFs::new(2);
    let config = Config { queue_requests: 10, ..Config::default() };
    let (journal, _) = open(&config, Path::new(DIR), fs.shared());
    let appender = journal.appender();
    fs.hold_syncs(true);
    let waiting: Vec<Append> = (0..10).map(|_| appender.append(vec![record("x")])).collect();
    assert_eq!(appender.append_blocking(vec![record("y")]), Err(AppendError::Full(Full::Requests)));
    let [bytes, requests, _] = appender.bounds();
    assert_eq!((requests.name, requests.limit, requests.now), ("journal.queue_requests", 10, 10));
    assert!(bytes.now > 10 && bytes.highest >= bytes.now && bytes.limit == config.queue_bytes.0);
    fs.hold_syncs(false);
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    for append in waiting {
        runtime.block_on(append).unwrap();
    }
    assert_eq!(appender.append_blocking(vec![record("y")]).unwrap().first(), Offset(10));
    assert_eq!(appender.bounds()[1].highest, 10);

    let config = Config { queue_bytes: ByteSize::kib(64), max_record_bytes: ByteSize::kib(40), ..Config::default() };
    let (journal, _) = open(&config, Path::new("/data/other"), fs.shared());
    let appender = journal.appender();
    assert!(matches!(appender.append_blocking(vec![record([0; 41 << 10])]), Err(AppendError::TooLarge { .. })));
    let both = vec![record([0; 39 << 10]), record([0; 39 << 10])];
    assert!(matches!(appender.append_blocking(both), Err(AppendError::TooLarge { .. })));
    fs.hold_syncs(true);
    let first = appender.append(vec![record([0; 39 << 10])]);
    assert_eq!(appender.append_blocking(vec![record([0; 39 << 10])]), Err(AppendError::Full(Full::Bytes)));
    fs.hold_syncs(false);
    runtime.block_on(first).unwrap();
}

#[test]
fn closing_writes_what_is_queued_and_refuses_the_rest() {
    let fs = SimFs::new(3);
    let (journal, _) = open(&Config::default(), Path::new(DIR), fs.shared());
    let appender = journal.appender();
    let append = appender.append(vec![record("last")]);
    journal.close();
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    assert_eq!(runtime.block_on(append).unwrap().first(), Offset(0));
    assert_eq!(appender.append_blocking(vec![record("late")]), Err(AppendError::Closed));
    assert!(journal.health().is_err());
    let (journal, found) = open(&Config::default(), Path::new(DIR), fs.shared());
    assert_eq!(found.torn, None);
    assert_eq!(read(&journal, 0), [(0, b"last".into())]);
}

#[test]
fn a_runtime_that_ends_leaves_the_others_working() {
    let fs = SimFs::new(4);
    let (journal, _) = open(&Config::default(), Path::new(DIR), fs.shared());
    for round in 0..20u64 {
        let runtime = match round % 2 {
            0 => tokio::runtime::Builder::new_current_thread().build().unwrap(),
            _ => tokio::runtime::Builder::new_multi_thread().worker_threads(2).build().unwrap(),
        };
        let appender = journal.appender();
        runtime.block_on(async {
            // One that nobody waits for: its task is dropped with the runtime.
            let abandoned = appender.clone();
            tokio::spawn(async move { abandoned.append(vec![record("abandoned")]).await });
            let tasks: Vec<_> = (0..10).map(|_| tokio::spawn(appender.append(vec![record("kept")]))).collect();
            for task in tasks {
                task.await.unwrap().unwrap();
            }
        });
    }
    let kept = read(&journal, 0).into_iter().filter(|(_, body)| body == b"kept").count();
    assert_eq!(kept, 200);
}

#[test]
fn a_lost_journal_goes_on_behind_a_boundary() {
    let fs = SimFs::new(5);
    let (journal, _) = open(&small(), Path::new(DIR), fs.shared());
    journal.appender().append_blocking(vec![record("old")]).unwrap();
    journal.skip_to(Offset(1000)).unwrap();
    journal.skip_to(Offset(10)).unwrap();
    assert_eq!(journal.appender().append_blocking(vec![record("new")]).unwrap().first(), Offset(1000));
    let expected = [(0, b"old".to_vec()), (1000, b"new".to_vec())];
    assert_eq!(read(&journal, 0), expected);
    drop(journal);
    let (journal, _) = open(&small(), Path::new(DIR), fs.shared());
    assert_eq!(read(&journal, 0), expected);
    let batch = journal.reader(Offset(500)).unwrap().next(100, Duration::ZERO).unwrap().unwrap();
    assert_eq!((batch.range.from, batch.range.to, batch.records.len()), (Offset(500), Offset(1000), 0));
}
