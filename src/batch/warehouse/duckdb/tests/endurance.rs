//! Many readers, a long log, a database that has broken, and everything at once.

use super::*;
use crate::platform::testing::PATIENCE;

#[test]
fn snapshots_are_bounded_in_number_and_time() {
    let mut rig = Rig::new();
    rig.config.readers = 2;
    rig.config.max_snapshot = Span::from_secs(1);
    let opened = rig.open();
    let mut a = opened.reader.snapshot(Duration::ZERO).unwrap();
    let b = opened.reader.snapshot(Duration::ZERO).unwrap();
    assert!(matches!(opened.reader.snapshot(Duration::from_millis(50)), Err(ReadError::Busy(2))));
    let slow = "SELECT count(*) FROM range(1000000) a, range(1000000) b WHERE (a.range * b.range) % 7 = 3";
    let mut out = Collected::default();
    let stopped = a.sql(&request(slow), &SqlTail::default(), &mut out);
    assert_eq!(stopped, Err(ReadError::Expired), "a running query ends with its snapshot");
    std::thread::sleep(Duration::from_millis(200));
    let mut c = opened.reader.snapshot(Duration::ZERO).expect("an unused one was taken back");
    assert!(matches!(a.tally(), Err(ReadError::Expired)));
    assert!(c.tally().is_ok());
    drop((a, b, c));
    for _ in 0..5 {
        assert_eq!(number(&opened.reader, "SELECT 1"), 1);
    }
}

#[test]
fn the_write_ahead_log_is_folded_in_although_someone_always_reads() {
    let mut rig = Rig::new();
    rig.config.checkpoint_at = ByteSize::mib(1);
    rig.config.max_snapshot = Span::from_secs(1);
    // A hundred columns that come one by one under an open reader hold every version of the table.
    rig.config.memory_limit = ByteSize::mib(2048);
    let mut opened = rig.open();
    let log = rig.dir.path().join("warehouse.duckdb.wal");
    let length = || std::fs::metadata(&log).map_or(0, |m| m.len());
    // DuckDB folds by itself whenever no snapshot is in its way, so how long the log gets is a matter of timing.
    let commits = 60;
    let mut readers = Vec::new();
    for n in 0..commits {
        readers.push(opened.reader.snapshot(PATIENCE).unwrap());
        readers.truncate(1);
        let mut e = event(n);
        e.contexts.push(datum(
            &format!("iglu:com.new/c{n}/jsonschema/1-0-0"),
            format!("{{\"text\":\"{}\"}}", "x".repeat(9000)),
        ));
        let addr = EventAddr { offset: Offset(n), index: 0 };
        let item = Processed::new(addr, Outcome::Enriched(Box::new(e)));
        opened.writer.commit(&rig.load(&[chunk_of(n, n..n + 1, vec![item])])).unwrap();
    }
    let start = Instant::now();
    while opened.writer.maintain().unwrap() {}
    assert!(length() < 1 << 20, "{} bytes after {:?}", length(), start.elapsed());
    drop(readers);
    assert_eq!(number(&opened.reader, "SELECT count(*) FROM events"), commits as i64);
}

#[test]
fn an_invalidated_database_is_opened_again() {
    let rig = Rig::new();
    let staging = rig.staging();
    let needs = Needs {
        data_dir: rig.dir.path(),
        staging: &staging,
        views: &rig.views,
        clock: Clock::fixed(EPOCH),
        config_hash: String::new(),
    };
    let (database, mut opened) = open_parts(&rig.config, needs).unwrap();
    opened.writer.commit(&rig.load_range(0..100)).unwrap();
    let reader = opened.reader.clone();
    let held = reader.snapshot(Duration::ZERO).unwrap();
    let idle = reader.snapshot(Duration::ZERO).unwrap();
    drop(idle);
    database.break_now();
    assert!(matches!(reader.snapshot(Duration::ZERO), Err(ReadError::Failed(_))), "someone still holds the old one");
    drop(held);
    assert_eq!(number(&reader, "SELECT count(*) FROM events"), 94);
    assert!(opened.writer.commit(&rig.load_range(100..200)).unwrap().was_new);
    assert_eq!(number(&reader, "SELECT count(*) FROM snowshed.batches"), 2);
}

/// A checkpoint that fails leaves DuckDB with "database has been invalidated"; where in it the failure comes decides
/// whether the commit before it got through.
#[test]
fn commits_go_on_after_a_checkpoint_that_invalidated_the_database() {
    for place in ["before_wal_finish", "before_header", "after_free_list_write", "before_truncate"] {
        let mut rig = Rig::new();
        rig.config.checkpoint_at = ByteSize::kib(512);
        let mut opened = rig.open();
        opened.writer.commit(&rig.load_range(0..100)).unwrap();
        drop(opened);
        abort_next_checkpoint(place);
        let mut opened = rig.open();
        let reader = opened.reader.clone();
        let with_context = |n: u64, len: u64| {
            let mut items = chunk(n, n..n + len, 0).items.clone();
            if let Outcome::Enriched(e) = &mut items[0].outcome {
                e.contexts.push(datum("iglu:com.new/thing/jsonschema/1-0-0", "{}".to_owned()));
            }
            rig.load(&[chunk_of(n, n..n + len, items)])
        };
        let large = with_context(100, 4000);
        let error = opened.writer.commit(&large).unwrap_err().to_string();
        assert!(error.contains("FATAL") || error.contains("invalidated"), "{place}: {error}");
        // No restart: the next try opens the file again.
        let again = opened.writer.commit(&large).unwrap();
        println!("{place}: committed by the {} try", if again.was_new { "second" } else { "first" });
        assert_eq!(again.boundary.offset.0, 4100);
        assert!(opened.writer.commit(&with_context(4100, 200)).unwrap().was_new);
        let good = (0..4300u64).filter(|n| n % 17 != 13).count() as i64;
        assert_eq!(number(&reader, "SELECT count(DISTINCT event_id) FROM events"), good, "{place}");
        assert_eq!(number(&reader, "SELECT count(*) FROM events"), good, "{place}");
        assert_eq!(number(&reader, "SELECT count(*) FROM snowshed.batches"), 3, "{place}");
        let twice = "SELECT count(*) - count(DISTINCT name) FROM snowshed.columns";
        assert_eq!(number(&reader, twice), 0, "{place}: a column is noted once");
        drop((opened, reader));
        let opened = rig.open();
        assert_eq!(number(&opened.reader, "SELECT count(*) FROM events"), good, "{place}: after a restart");
        assert_eq!(number(&opened.reader, "SELECT count(contexts_com_new_thing_1) FROM events"), 2, "{place}");
    }
}

/// Commits, folds, new columns and every kind of read at once, for `STRESS` seconds; run with `--ignored`.
#[test]
#[ignore = "takes as long as it is told"]
fn stress() {
    let seconds = std::env::var("STRESS").ok().and_then(|s| s.parse().ok()).unwrap_or(30);
    let mut rig = Rig::new();
    rig.config.checkpoint_at = ByteSize::mib(4);
    let mut opened = rig.open();
    let reader = opened.reader.clone();
    let end = Instant::now() + Duration::from_secs(seconds);
    let next = AtomicU64::new(0);
    let answers = AtomicU64::new(0);
    std::thread::scope(|scope| {
        for worker in 0..6u64 {
            let (reader, rig, next, answers) = (&reader, &rig, &next, &answers);
            scope.spawn(move || {
                let mut turn = worker;
                while Instant::now() < end {
                    turn += 1;
                    let mut snapshot = reader.snapshot(PATIENCE).unwrap();
                    let from = snapshot.boundary().offset.0;
                    let above = chunk(from, from..from + 700, 0);
                    let (events, failed) = (vec![above.rows.clone()], vec![above.failed_rows.clone()]);
                    let tail = SqlTail { events, failed, ..SqlTail::default() };
                    let committed = (0..from).filter(|n| n % 17 != 13).count();
                    let sql = [
                        "SELECT count(*) FROM events",
                        "SELECT sum(n) FROM (SELECT contexts_com_acme_user_1[1].seats::VARCHAR AS s, count(*) AS n FROM events GROUP BY s)",
                        "SELECT count(*) FROM (SELECT * FROM events ORDER BY collector_tstamp DESC)",
                        "SELECT count(a.event_id) FROM events a JOIN events b USING (event_id)",
                    ][(turn % 4) as usize];
                    let mut out = Collected::default();
                    if turn % 5 == 0 {
                        for view in rig.views.iter().filter(|v| v.def().only.0.is_empty()) {
                            let question = ViewQuery::range(EPOCH - 86_400_000, EPOCH + 86_400_000);
                            let mut groups = Groups::new(view.clone());
                            for batch in snapshot.view_groups(view, &question).unwrap() {
                                groups.add_record_batch(&batch).unwrap();
                            }
                            assert_eq!(groups.total_rows(), committed as u64, "view {}", view.name());
                        }
                    } else {
                        snapshot.sql(&request(sql), &tail, &mut out).unwrap();
                        assert_eq!(out.cells()[0][0], (committed + above.rows.len()).to_string(), "{sql} at {from}");
                    }
                    assert!(from <= next.load(Ordering::SeqCst));
                    answers.fetch_add(1, Ordering::SeqCst);
                }
            });
        }
        let mut n = 0u64;
        while Instant::now() < end {
            let size = [1, 30, 400, 3000][(n % 4) as usize];
            let mut items = chunk(n, n..n + size, 0).items.clone();
            if let Outcome::Enriched(e) = &mut items[0].outcome
                && n.is_multiple_of(3)
            {
                let schema = format!("iglu:com.new/c{}/jsonschema/1-0-0", n % 100);
                e.contexts.push(datum(&schema, format!("{{\"text\":\"{}\"}}", "x".repeat((n % 9000) as usize))));
            }
            let load = rig.load(&[chunk_of(n, n..n + size, items)]);
            next.fetch_add(size, Ordering::SeqCst);
            opened.writer.commit(&load).unwrap();
            while opened.writer.maintain().unwrap() {}
            n += size;
        }
    });
    println!("{} offsets committed, {} answers", next.load(Ordering::SeqCst), answers.load(Ordering::SeqCst));
    assert!(answers.load(Ordering::SeqCst) > seconds);
}
