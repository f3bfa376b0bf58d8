//! Rows in the table, in memory and in staged files as one.

use super::*;
use crate::platform::testing::PATIENCE;

#[test]
fn the_tail_and_the_table_are_one() {
    let rig = Rig::new();
    let mut opened = rig.open();
    opened.writer.commit(&rig.load_range(0..400)).unwrap();
    let parts: Vec<_> = [400..410u64, 410..3000, 3000..9000].into_iter().map(|r| chunk(400, r, 0)).collect();
    let tail = SqlTail {
        events: parts.iter().map(|c| c.rows.clone()).chain([Arc::new(Rows::empty())]).collect(),
        failed: parts.iter().map(|c| c.failed_rows.clone()).collect(),
        ..SqlTail::default()
    };
    let whole = Rig::new();
    let mut committed = whole.open();
    committed.writer.commit(&whole.load_range(0..9000)).unwrap();
    for sql in [
        "SELECT count(*) FROM events",
        "SELECT count(*), count(DISTINCT event_id), min(collector_tstamp), max(derived_tstamp) FROM events",
        "SELECT app_id, event_name, count(*), sum(tr_total), max(page_url), bool_and(br_cookies) FROM events GROUP BY ALL ORDER BY ALL",
        "SELECT contexts_com_acme_user_1[1].seats::INT AS s, count(*) FROM events GROUP BY s ORDER BY s",
        "SELECT unstruct_event_com_acme_cart_action_1 AS cart FROM events WHERE event_name = 'cart_action' ORDER BY event_id LIMIT 50",
        "SELECT * EXCLUDE (load_tstamp) FROM events ORDER BY event_id LIMIT 20",
        "SELECT count(*), max(contexts_com_snowplowanalytics_snowplow_failure_1[1].failureType::VARCHAR) FROM events_failed",
        "WITH e AS (FROM events) SELECT a.app_id, count(*) FROM e a JOIN events b USING (event_id) GROUP BY ALL ORDER BY ALL",
    ] {
        let merged = ask_with(&opened.reader, sql, &tail).unwrap();
        assert_eq!(merged, ask(&committed.reader, sql), "{sql}");
        assert!(!merged.is_empty());
        for in_files in 1..=parts.len() {
            let (tail, _loads) = tail_of(&rig, &parts, in_files);
            assert_eq!(ask_with(&opened.reader, sql, &tail).unwrap(), merged, "{in_files} in files: {sql}");
        }
    }
    assert_eq!(number(&opened.reader, "SELECT count(*) FROM events"), 377, "without a tail only what is committed");
}

/// Each chunk as a micro-batch of its own: the rows of the first `in_files` are in staged files, of the others in memory.
fn tail_of(rig: &Rig, parts: &[Arc<crate::event::Chunk>], in_files: usize) -> (SqlTail, Vec<Load>) {
    let (staged, held) = parts.split_at(in_files);
    let loads: Vec<_> = staged.iter().map(|c| rig.load_range(c.range.from.0..c.range.to.0)).collect();
    let files = |table| {
        let of = loads.iter().flat_map(|l| &l.files).filter(move |f| f.lake.table == table);
        of.map(|f| f.path.clone()).collect::<Vec<_>>()
    };
    let tail = SqlTail {
        events: held.iter().map(|c| c.rows.clone()).collect(),
        failed: held.iter().map(|c| c.failed_rows.clone()).collect(),
        event_files: files(Table::Events),
        failed_files: files(Table::Failed),
        bad_row_files: files(Table::Bad),
    };
    (tail, loads)
}

#[test]
fn staged_files_are_read_typed_alike_and_reach_nobody_else() {
    let rig = Rig::new();
    let mut opened = rig.open();
    opened.writer.commit(&rig.load_range(0..50)).unwrap();
    // Only the second file has the column of the new context; the table has neither.
    let mut items = chunk(400, 400..600, 0).items.clone();
    if let Outcome::Enriched(e) = &mut items[0].outcome {
        e.contexts
            .push(datum("iglu:com.new/thing/jsonschema/1-0-0", r#"{"n":9007199254740993,"t":"é\u0001"}"#.to_owned()));
    }
    let odd = chunk_of(400, 400..600, items);
    let loads = [rig.load_range(50..400), rig.load(std::slice::from_ref(&odd))];
    let files = |table| {
        let of = loads.iter().flat_map(|l| &l.files).filter(move |f| f.lake.table == table);
        of.map(|f| f.path.clone()).collect::<Vec<_>>()
    };
    let staged = SqlTail {
        event_files: files(Table::Events),
        failed_files: files(Table::Failed),
        bad_row_files: files(Table::Bad),
        ..SqlTail::default()
    };
    let held = chunk(50, 50..400, 0);
    let memory = SqlTail {
        events: vec![held.rows.clone(), odd.rows.clone()],
        failed: vec![held.failed_rows.clone(), odd.failed_rows.clone()],
        ..SqlTail::default()
    };
    for sql in [
        "SELECT count(*), count(load_tstamp) FROM events",
        "SELECT contexts_com_new_thing_1 AS c, contexts_com_new_thing_1[1].n::BIGINT FROM events WHERE contexts_com_new_thing_1 IS NOT NULL",
        "SELECT DISTINCT typeof(contexts_com_new_thing_1), typeof(contexts_com_acme_user_1), typeof(tr_total), typeof(collector_tstamp) FROM events ORDER BY ALL",
        "SELECT column_name, column_type FROM (DESCRIBE events) ORDER BY ALL",
        "SELECT * FROM events_failed ORDER BY event_id",
    ] {
        let answer = ask_with(&opened.reader, sql, &staged).unwrap();
        assert_eq!(answer, ask_with(&opened.reader, sql, &memory).unwrap(), "{sql}");
        assert!(!answer.is_empty(), "{sql}");
    }
    let bad =
        |tail: &SqlTail| ask_with(&opened.reader, "SELECT count(*), max(journal_offset) FROM stored_bad_rows", tail);
    assert_eq!(bad(&staged).unwrap()[0], ["35", "591"]);
    assert_eq!(bad(&SqlTail::default()).unwrap()[0], ["3", "47"]);
    let path = loads[0].files[0].path.to_string_lossy().into_owned();
    for sql in [format!("SELECT * FROM read_parquet('{path}')"), format!("SELECT * FROM '{path}'")] {
        assert!(matches!(ask_with(&opened.reader, &sql, &staged), Err(ReadError::Refused(_))), "{sql}");
    }
}

#[test]
fn count_never_goes_back_while_commits_run() {
    let rig = Rig::new();
    let mut opened = rig.open();
    let chunks: Vec<_> = (0..14u64).map(|i| chunk(i * 100, i * 100..(i + 1) * 100, 0)).collect();
    let done = AtomicBool::new(false);
    let reader = opened.reader.clone();
    let expected: usize = chunks.iter().map(|c| c.rows.len()).sum();
    std::thread::scope(|scope| {
        let watchers: Vec<_> = (0..3)
            .map(|_| {
                scope.spawn(|| {
                    let mut counted = 0;
                    while !done.load(Ordering::SeqCst) {
                        let mut snapshot = reader.snapshot(PATIENCE).unwrap();
                        let from = snapshot.boundary().offset;
                        let above = chunks.iter().filter(|c| c.range.from >= from).map(|c| c.rows.clone());
                        let tail = SqlTail { events: above.collect(), ..SqlTail::default() };
                        let mut out = Collected::default();
                        snapshot.sql(&request("SELECT count(*) FROM events"), &tail, &mut out).unwrap();
                        assert_eq!(out.cells()[0][0], expected.to_string(), "at boundary {from}");
                        counted += 1;
                    }
                    counted
                })
            })
            .collect();
        for c in &chunks {
            opened.writer.commit(&rig.load(std::slice::from_ref(c))).unwrap();
            while opened.writer.maintain().unwrap() {}
        }
        done.store(true, Ordering::SeqCst);
        for watcher in watchers {
            assert!(watcher.join().unwrap() > 3);
        }
    });
}
