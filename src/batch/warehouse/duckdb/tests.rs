//! The warehouse against a real DuckDB file.

use super::instance::abort_next_checkpoint;
use crate::batch::error::{CommitError, ReadError};
use crate::batch::lake::Table;
use crate::batch::testing::*;
use crate::batch::warehouse::{Load, SqlParam, SqlRequest, SqlTail};
use crate::event::rows::Rows;
use crate::event::{Cell, EventAddr, Offset, Outcome, Processed, columns};
use crate::platform::clock::Clock;
use crate::platform::units::{ByteSize, Span};
use crate::view::{Fold, Group, Groups, Value, ViewQuery};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

#[test]
fn a_commit_is_whole_and_a_second_one_changes_nothing() {
    let rig = Rig::new();
    let mut opened = rig.open();
    let first = rig.load(&[chunk(0, 0..300, 0), chunk(0, 300..1000, 11)]);
    let outcome = opened.writer.commit(&first).unwrap();
    assert!(outcome.was_new);
    assert_eq!(outcome.boundary.offset, Offset(1000));
    let again = opened.writer.commit(&first).unwrap();
    assert!(!again.was_new);
    assert_eq!(again.boundary, outcome.boundary);
    let gap = rig.load_range(2000..2100);
    assert!(matches!(opened.writer.commit(&gap), Err(CommitError::Gap { stored: Offset(1000), .. })));
    let overlap = rig.load_range(900..1100);
    assert!(matches!(opened.writer.commit(&overlap), Err(CommitError::Gap { .. })));

    let reader = &opened.reader;
    let t = first.tally;
    assert_eq!(t.payload_events, 1000);
    assert!(t.failed > 0 && t.duplicates > 0);
    assert_eq!(number(reader, "SELECT count(*) FROM atomic.events"), t.enriched as i64);
    assert_eq!(number(reader, "SELECT count(DISTINCT event_id) FROM events"), t.enriched as i64);
    assert_eq!(number(reader, "SELECT count(*) FROM atomic.bad_rows"), t.failed as i64);
    let failed = first.files.iter().find(|f| f.lake.path.starts_with("failed/")).unwrap();
    assert_eq!(number(reader, "SELECT count(*) FROM events_failed"), failed.lake.rows as i64);
    assert_eq!(number(reader, "SELECT count(*) FROM snowshed.batches"), 1);
    assert_eq!(reader.snapshot(Duration::ZERO).unwrap().tally().unwrap(), t);
    let described = ask(reader, "DESCRIBE atomic.events");
    let names: Vec<&str> = described.iter().map(|r| r[0].as_str()).collect();
    assert_eq!(names.len(), 129 + 3 + 1);
    assert_eq!((names[0], names[127], names[128]), ("app_id", "true_tstamp", "load_tstamp"));
    let stored = ask(reader, "DESCRIBE snowshed.events");
    assert!(described.iter().skip(129).all(|r| r[1] == "VARIANT"));
    let required: Vec<&str> = stored.iter().filter(|r| r[2] == "NO").map(|r| r[0].as_str()).collect();
    assert_eq!(required, ["collector_tstamp", "event_id", "v_collector", "v_etl"]);
    let cart = ask(
        reader,
        &format!(
            "SELECT {CART}.sku::VARCHAR, tr_total, contexts_com_acme_user_1[1]._schema_version::VARCHAR, {WEB_PAGE}[1].id IS NOT NULL FROM events WHERE event_id LIKE '%000000000004'"
        ),
    );
    assert_eq!(cart, [["item-4", "4.12", "1-0-2", "true"]]);
}

#[test]
fn a_commit_marks_the_failures_that_it_repairs_once() {
    let rig = Rig::new();
    let mut opened = rig.open();
    opened.writer.commit(&rig.load_range(0..100)).unwrap();
    let failed = number(&opened.reader, "SELECT count(*) FROM atomic.bad_rows");
    // One failure of the micro-batch before, one of this one; both at offsets whose outcome is a failure.
    let at = |offset| EventAddr { offset: Offset(offset), index: 0 };
    let repair = |addr, of: u64| {
        let id = uuid::Uuid::try_parse(event(of).text(columns::EVENT_ID).unwrap()).unwrap();
        let repairs = Some(crate::event::Repair { of: at(of), event_id: Some(id) });
        Processed { addr, repairs, outcome: Outcome::Enriched(Box::new(event(of))) }
    };
    let mut items = chunk(100, 100..120, 0).items.clone();
    items.extend([repair(at(120), 30), repair(at(121), 115)]);
    let load = rig.load(&[chunk_of(100, 100..122, items)]);
    assert_eq!((load.tally.payload_events, load.tally.failed, load.tally.repaired), (20, 1, 2));
    for _ in 0..2 {
        opened.writer.commit(&load).unwrap();
        let reader = &opened.reader;
        let marked = "SELECT journal_offset FROM atomic.bad_rows WHERE repaired_at IS NOT NULL ORDER BY 1";
        assert_eq!(ask(reader, marked), [["30"], ["115"]]);
        assert_eq!(number(reader, "SELECT count(*) FROM atomic.bad_rows"), failed + 1);
        let repairs =
            "SELECT journal_offset, repaired_offset, load_tstamp IS NOT NULL FROM snowshed.repairs ORDER BY 1";
        assert_eq!(ask(reader, repairs), [["30", "120", "true"], ["115", "121", "true"]]);
        let join = "FROM snowshed.repairs SEMI JOIN atomic.events_failed USING (event_id, load_tstamp) SELECT count(*)";
        assert_eq!(number(reader, join), 2);
        let t = reader.snapshot(Duration::ZERO).unwrap().tally().unwrap();
        assert_eq!((t.payload_events + t.repaired, t.repaired), (t.enriched + t.failed, 2));
        opened = rig.open();
    }
}

#[test]
fn a_file_of_the_format_before_is_taken_over() {
    let rig = Rig::new();
    rig.open().writer.commit(&rig.load_range(0..50)).unwrap();
    let path = rig.dir.path().join("warehouse.duckdb");
    let con = ::duckdb::Connection::open(&path).unwrap();
    con.execute_batch(
        "ALTER TABLE snowshed.batches DROP COLUMN repaired; DROP TABLE snowshed.repairs;
         DELETE FROM snowshed.format; INSERT INTO snowshed.format VALUES (1)",
    )
    .unwrap();
    drop(con);
    let mut opened = rig.open();
    opened.writer.commit(&rig.load_range(50..100)).unwrap();
    let reader = &opened.reader;
    assert_eq!(reader.snapshot(Duration::ZERO).unwrap().tally().unwrap().payload_events, 100);
    assert_eq!(number(reader, "SELECT max(version) FROM snowshed.format"), 2);
}

#[test]
fn everything_is_there_after_opening_again() {
    let rig = Rig::new();
    let load = rig.load_range(0..500);
    rig.open().writer.commit(&load).unwrap();
    let mut opened = rig.open();
    assert_eq!(opened.boundary.offset, Offset(500));
    assert_eq!(opened.last_load_ms, load.load_ms);
    assert_eq!(opened.fields.len(), 4);
    assert!(!opened.writer.commit(&load).unwrap().was_new);
    assert_eq!(number(&opened.reader, "SELECT count(*) FROM events"), load.tally.enriched as i64);
}

#[test]
fn new_columns_come_with_their_batch() {
    let rig = Rig::new();
    let mut opened = rig.open();
    opened.writer.commit(&rig.load_range(0..50)).unwrap();
    let mut before = opened.reader.snapshot(Duration::ZERO).unwrap();
    let mut e = event(50);
    e.contexts.push(datum("iglu:com.new/Thing/jsonschema/3-0-0", r#"{"deep":{"n":[1,2]}}"#.into()));
    let item = Processed::new(EventAddr { offset: Offset(50), index: 0 }, Outcome::Enriched(Box::new(e)));
    opened.writer.commit(&rig.load(&[chunk_of(50, 50..51, vec![item])])).unwrap();
    let mut out = Collected::default();
    let sql = "SELECT count(*), count(COLUMNS('contexts_com_new.*')) FROM events";
    assert!(before.sql(&request(sql), &SqlTail::default(), &mut out).is_err(), "an old snapshot has no such column");
    assert_eq!(before.boundary().offset, Offset(50));
    drop(before);
    let rows =
        ask(&opened.reader, "SELECT contexts_com_new_thing_3 FROM events WHERE contexts_com_new_thing_3 IS NOT NULL");
    assert_eq!(rows, [[r#"[{"deep":{"n":[1,2]},"_schema_version":"3-0-0"}]"#]]);
    let audit =
        ask(&opened.reader, "SELECT new_columns, to_offset FROM snowshed.batches ORDER BY to_offset DESC LIMIT 1");
    assert_eq!(audit, [["[contexts_com_new_thing_3]", "51"]]);
    let mut snapshot = opened.reader.snapshot(Duration::ZERO).unwrap();
    assert!(snapshot.dynamic_columns().unwrap().contains(&"contexts_com_new_thing_3".to_owned()));
}

#[test]
fn odd_values_stop_no_commit_and_are_kept() {
    let rig = Rig::new();
    let mut opened = rig.open();
    let odd = ["{\"a\":1e999}", "\"\\ud800\"", "nope", "[null]", "{\"\\u0000\":\"\u{0}\"}"];
    let items = odd.iter().enumerate().map(|(i, text)| {
        let mut e = event(i as u64);
        e.clear(columns::V_ETL);
        e.clear(columns::COLLECTOR_TSTAMP);
        e.set_text(columns::PAGE_TITLE, "nul \u{0} and 'quote'");
        e.set(columns::TRUE_TSTAMP, Cell::Time(i64::MIN));
        e.unstruct = Some(datum("iglu:o/d/jsonschema/1-0-0", (*text).into()));
        Processed::new(EventAddr { offset: Offset(i as u64), index: 0 }, Outcome::Enriched(Box::new(e)))
    });
    let chunk = chunk_of(0, 0..odd.len() as u64, items.collect());
    let load = rig.load(std::slice::from_ref(&chunk));
    assert_eq!(load.unfit, odd.len() as u64);
    opened.writer.commit(&load).unwrap();
    let committed = ask(&opened.reader, "SELECT unstruct_event_o_d_1 FROM events ORDER BY event_id");
    assert_eq!(committed.len(), odd.len());
    let nope =
        ask(&opened.reader, "SELECT count(*) FROM events WHERE unstruct_event_o_d_1::VARCHAR = 'nope' AND v_etl = ''");
    assert_eq!(nope, [["1"]]);
    let fresh = Rig::new().open();
    let tail = SqlTail { events: vec![chunk.rows.clone()], ..SqlTail::default() };
    let in_memory =
        ask_with(&fresh.reader, "SELECT unstruct_event_o_d_1 FROM events ORDER BY event_id", &tail).unwrap();
    assert_eq!(in_memory, committed, "both halves show a value the same way");
}

#[test]
fn columns_beyond_the_bound_go_to_the_overflow() {
    let mut rig = Rig::new();
    rig.max_columns = 2;
    let mut opened = rig.open();
    opened.writer.commit(&rig.load_range(0..100)).unwrap();
    let names = opened.reader.snapshot(Duration::ZERO).unwrap().dynamic_columns().unwrap();
    assert_eq!(names.len(), 4, "{names:?}");
    assert!(names.contains(&"unstruct_event_other".to_owned()), "{names:?}");
    let n = number(&opened.reader, "SELECT count(*) FROM events WHERE unstruct_event_other.data.sku IS NOT NULL");
    assert!(n > 10);
}

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
                        let mut snapshot = reader.snapshot(Duration::from_secs(5)).unwrap();
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

fn all_of(rig: &Rig, chunks: &[Arc<crate::event::Chunk>]) -> Vec<Groups> {
    rig.views
        .iter()
        .map(|view| {
            let mut fold = Fold::new(view.clone());
            chunks.iter().for_each(|c| fold.add(&c.rows).unwrap());
            fold.into_groups()
        })
        .collect()
}

fn stored(rig: &Rig, opened: &super::Opened) -> Vec<Groups> {
    let mut snapshot = opened.reader.snapshot(Duration::ZERO).unwrap();
    rig.views
        .iter()
        .map(|view| {
            let mut groups = Groups::new(view.clone());
            let question = ViewQuery::range(EPOCH - 86_400_000, EPOCH + 86_400_000);
            for batch in snapshot.view_groups(view, &question).unwrap() {
                groups.add_record_batch(&batch).unwrap();
            }
            groups
        })
        .collect()
}

fn assert_same(a: &[Groups], b: &[Groups]) {
    for (a, b) in a.iter().zip(b) {
        let view = a.view();
        assert!(!a.is_empty());
        assert_eq!(a.len(), b.len());
        for (a, b) in a.sorted().iter().zip(b.sorted()) {
            let values = |g: &Group<'_>| -> Vec<Value> {
                view.measures().iter().zip(g.aggregates).map(|(m, a)| a.value(m)).collect()
            };
            assert_eq!((a.key, a.rows, values(a)), (b.key, b.rows, values(&b)), "view {}", view.name());
        }
    }
}

#[test]
fn view_tables_hold_what_a_fold_over_all_events_gives() {
    let mut rig = Rig::new();
    let mut opened = rig.open();
    let chunks: Vec<_> = (0..21u64).map(|i| chunk(i * 150, i * 150..(i + 1) * 150, 0)).collect();
    for c in &chunks {
        opened.writer.commit(&rig.load(std::slice::from_ref(c))).unwrap();
    }
    let expected = all_of(&rig, &chunks);
    assert_same(&expected, &stored(&rig, &opened));
    let table = format!("derived.{}", rig.views[0].name());
    let before = number(&opened.reader, &format!("SELECT count(*) FROM {table}"));
    let mut folds = 0;
    while opened.writer.maintain().unwrap() {
        folds += 1;
    }
    // 21 sets by four: five folds of level 0, one of level 1, per view.
    assert_eq!(folds, 6 * rig.views.len());
    assert_same(&expected, &stored(&rig, &opened));
    assert!(number(&opened.reader, &format!("SELECT count(*) FROM {table}")) < before);
    let sets = ask(
        &opened.reader,
        &format!(
            "SELECT batch_from, batch_to, level FROM snowshed.deltas WHERE view = '{}' ORDER BY 1",
            rig.views[0].name()
        ),
    );
    assert_eq!(sets, [["0", "2400", "2"], ["2400", "3000", "1"], ["3000", "3150", "0"]]);
    drop(opened);

    // A definition that changed, and a view that was away: made again from the events.
    let mut def = rig.views[0].def().clone();
    def.grain = Span::from_secs(1);
    let away = std::mem::replace(&mut rig.views, vec![def.compile().unwrap()]);
    let mut opened = rig.open();
    assert_same(&all_of(&rig, &chunks), &stored(&rig, &opened));
    opened.writer.commit(&rig.load_range(3150..3300)).unwrap();
    drop(opened);
    rig.views = away;
    let opened = rig.open();
    let chunks: Vec<_> = chunks.into_iter().chain([chunk(3150, 3150..3300, 0)]).collect();
    assert_same(&all_of(&rig, &chunks), &stored(&rig, &opened));
}

#[test]
fn answers_are_typed_limited_and_parametrised() {
    let rig = Rig::new();
    let mut opened = rig.open();
    opened.writer.commit(&rig.load_range(0..1000)).unwrap();
    let run = |request: SqlRequest| {
        let mut out = Collected::default();
        let done = opened.reader.snapshot(Duration::ZERO).unwrap().sql(&request, &SqlTail::default(), &mut out);
        (done, out)
    };
    let (done, out) = run(SqlRequest {
        params: vec![SqlParam::Text("site1".into()), SqlParam::Int(3)],
        ..request(
            "SELECT count(*) AS n, sum(tr_total) AS s, ? AS site FROM events WHERE app_id = $1 AND domain_sessionidx > ?2",
        )
    });
    assert!(done.is_err() || out.columns.len() == 3);
    let (done, out) = run(SqlRequest {
        params: vec![SqlParam::Text("site1".into()), SqlParam::Int(3)],
        ..request("SELECT count(*) AS n, sum(tr_total) AS s FROM events WHERE app_id = ? AND domain_sessionidx > ?")
    });
    done.unwrap();
    let kinds: Vec<_> = out.columns.iter().map(|c| (c.name.as_str(), c.kind.as_str())).collect();
    assert_eq!(kinds, [("n", "BIGINT"), ("s", "DECIMAL(38,2)")]);
    assert_ne!(out.cells()[0][0], "0");

    let nested = "SELECT [{'k': unstruct_event_com_acme_cart_action_1}] AS x, 1 AS x, event_id FROM events WHERE event_name='cart_action' ORDER BY event_id LIMIT 1 ; -- the end";
    let (done, out) = run(request(nested));
    done.unwrap();
    let kinds: Vec<_> = out.columns.iter().map(|c| (c.name.as_str(), c.kind.as_str())).collect();
    assert_eq!(kinds, [("x", "JSON"), ("x", "INTEGER"), ("event_id", "VARCHAR")]);
    assert!(out.cells()[0][0].starts_with(r#"[{"k":{"#), "{:?}", out.cells());

    let (done, out) = run(SqlRequest { max_rows: 100, ..request("FROM events") });
    let done = done.unwrap();
    assert!(done.truncated);
    assert_eq!((done.rows, out.cells().len()), (100, 100));
    let (done, _) = run(SqlRequest { max_bytes: 1000, ..request("FROM range(1000000)") });
    assert!(done.unwrap().truncated);

    let slow = "SELECT count(*) FROM range(1000000) a, range(1000000) b WHERE (a.range * b.range) % 7 = 3";
    let start = Instant::now();
    let (done, _) = run(SqlRequest { timeout: Duration::from_millis(200), ..request(slow) });
    assert_eq!(done, Err(ReadError::Timeout(200)));
    assert!(start.elapsed() < Duration::from_secs(5));
    assert_eq!(number(&opened.reader, "SELECT 42"), 42, "the connection is usable again");
    let (done, _) = run(request("SELECT nonsense FROM events"));
    assert!(matches!(done, Err(ReadError::Sql(text)) if text.contains("nonsense")));
}

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
        readers.push(opened.reader.snapshot(Duration::from_secs(5)).unwrap());
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
fn hostile_statements_are_refused() {
    let rig = Rig::new();
    let mut opened = rig.open();
    let load = rig.load_range(0..100);
    opened.writer.commit(&load).unwrap();
    let staged = load.files[0].path.display().to_string();
    for sql in [
        "DROP TABLE atomic.events",
        "SELECT 1; DROP TABLE atomic.events",
        "SELECT 1; SELECT 2",
        "INSERT INTO atomic.events (app_id) VALUES ('x')",
        "DELETE FROM atomic.events",
        "UPDATE snowshed.boundary SET next_offset = 0",
        "CREATE TABLE t (a INT)",
        "CREATE TEMP TABLE t AS SELECT 1",
        "COPY atomic.events TO 'x.csv'",
        "COPY (SELECT 1) TO '/tmp/x.csv'",
        "EXPORT DATABASE 'x'",
        "ATTACH ':memory:' AS x",
        "ATTACH 'other.duckdb'",
        "DETACH warehouse",
        "USE memory",
        "INSTALL httpfs",
        "LOAD httpfs",
        "SET memory_limit = '100GB'",
        "SET enable_external_access = true",
        "RESET allowed_directories",
        "PRAGMA database_list",
        "CALL force_checkpoint()",
        "CHECKPOINT",
        "VACUUM",
        "BEGIN",
        "COMMIT",
        "ROLLBACK",
        "PREPARE p AS SELECT 1",
        "EXECUTE p",
        "EXPLAIN ANALYZE SELECT 1",
        "SELECT * FROM read_csv('/etc/passwd')",
        "SELECT * FROM read_text('/etc/hostname')",
        "SELECT * FROM read_blob('/etc/hostname')",
        "SELECT * FROM glob('/etc/*')",
        "SELECT * FROM '/etc/passwd'",
        "SELECT * FROM \"x.parquet\"",
        "SELECT * FROM x.csv",
        "SELECT * FROM \"/etc/x\".csv",
        "DESCRIBE 'x.parquet'",
        "SUMMARIZE 'x.csv'",
        "SELECT * FROM parquet_metadata('x')",
        "SELECT * FROM query('SELECT 1')",
        "SELECT * FROM query_table('x')",
        "SELECT * FROM json_execute_serialized_sql('{}')",
        "SELECT * FROM arrow_scan(1, 2, 3)",
        "SELECT * FROM seq_scan()",
        "SELECT * FROM snowshed_tail(0)",
        "SELECT * FROM duckdb_settings()",
        "SELECT * FROM duckdb_secrets()",
        "SELECT * FROM enable_logging()",
        "SELECT * FROM enable_profiling()",
        "SELECT * FROM checkpoint()",
        "SELECT * FROM (SELECT * FROM (SELECT * FROM force_checkpoint()))",
        "SELECT (SELECT max(content) FROM read_text('/etc/hostname'))",
        "SELECT 1 WHERE EXISTS (FROM glob('/*'))",
        "WITH x AS (FROM read_text('/etc/hostname')) FROM x",
        "SELECT * FROM events, LATERAL (FROM glob(page_url))",
        "SELECT write_log('x')",
        "SELECT list_transform([1], x -> write_log('y'))",
        "SELECT setseed(0.5)",
        "SELECT nextval('s')",
        "SELECT sleep_ms(100000)",
        "SELECT pg_sleep(10000)",
        "SELECT variant_bytes_to_variant('x', 'y')",
        "SELECT json_serialize_plan('SELECT 1')",
        "SELECT * FROM memory.main.x",
        "SELECT * FROM other.schema.t",
        "SELECT 1 /* \0 */",
        "",
        ";",
        "SELECT",
    ] {
        let refused = ask_with(&opened.reader, sql, &SqlTail::default());
        assert!(matches!(refused, Err(ReadError::Refused(_) | ReadError::Sql(_))), "{sql}: {refused:?}");
    }
    let staging = format!("SELECT * FROM read_parquet('{staged}')");
    assert!(ask_with(&opened.reader, &staging, &SqlTail::default()).is_err());
    let deep = format!("SELECT {}1{}", "(".repeat(5000), ")".repeat(5000));
    let _ = ask_with(&opened.reader, &deep, &SqlTail::default());
    let deep = format!("SELECT {}", "-(".repeat(400) + &"1+".repeat(3000) + "1" + &")".repeat(400));
    assert!(ask_with(&opened.reader, &deep, &SqlTail::default()).is_err());
    let long = format!("SELECT {}", "1,".repeat(2_000_000));
    assert!(ask_with(&opened.reader, &long, &SqlTail::default()).is_err());
    // All of that left the warehouse as it was.
    assert_eq!(number(&opened.reader, "SELECT count(*) FROM events"), load.tally.enriched as i64);
    assert!(opened.writer.commit(&rig.load_range(100..200)).unwrap().was_new);
    for fine in [
        "FROM events LIMIT 1",
        "VALUES (1)",
        "SHOW TABLES",
        "DESCRIBE events",
        "SUMMARIZE atomic.bad_rows",
        "SELECT * FROM information_schema.tables",
        "SELECT * FROM range(3)",
        "SELECT unnest([1, 2])",
        "SELECT * FROM duckdb_columns() LIMIT 1",
        "(SELECT 1) UNION ALL (SELECT 2) ORDER BY 1",
        "SELECT event_id FROM events ORDER BY collector_tstamp DESC LIMIT 3 -- last",
        "SELECT * FROM (PIVOT events ON app_id IN ('site1') USING count(*) GROUP BY event_name)",
    ] {
        ask(&opened.reader, fine);
    }
}

#[test]
fn the_layers_below_the_guard_hold_on_their_own() {
    let rig = Rig::new();
    let opened = rig.open();
    drop(opened);
    let settings = super::Settings {
        path: rig.dir.path().join("warehouse.duckdb"),
        staging: rig.staging().canonicalize().unwrap(),
        config: rig.config.clone(),
    };
    let database = super::Database::open(settings).unwrap();
    let con = database.connect().unwrap();
    for sql in [
        "SELECT * FROM read_text('/etc/hostname')",
        "COPY (SELECT 1) TO '/tmp/snowshed-test.csv'",
        "ATTACH '/tmp/snowshed-test.duckdb'",
        "SET enable_external_access = true",
        "SET allowed_directories = ['/']",
        "INSTALL httpfs",
    ] {
        assert!(con.execute_batch(sql).is_err(), "{sql}");
    }
    con.execute_batch("BEGIN TRANSACTION READ ONLY; FROM snowshed.boundary").unwrap();
    assert!(con.execute_batch("UPDATE snowshed.boundary SET next_offset = 7").is_err());
}

#[test]
fn an_invalidated_database_is_opened_again() {
    let rig = Rig::new();
    let staging = rig.staging();
    let needs = super::Needs {
        data_dir: rig.dir.path(),
        staging: &staging,
        views: &rig.views,
        clock: Clock::fixed(EPOCH),
        config_hash: String::new(),
    };
    let (database, mut opened) = super::open_parts(&rig.config, needs).unwrap();
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

#[test]
fn a_file_of_a_newer_program_is_refused() {
    let rig = Rig::new();
    drop(rig.open());
    let con = duckdb::Connection::open(rig.dir.path().join("warehouse.duckdb")).unwrap();
    con.execute_batch("UPDATE snowshed.format SET version = 99").unwrap();
    drop(con);
    let error = rig.try_open().err().unwrap().to_string();
    assert!(error.contains("99") && error.contains("newer"), "{error}");
    std::fs::write(rig.dir.path().join("warehouse.duckdb"), b"not a database").unwrap();
    assert!(rig.try_open().is_err());
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
                    let mut snapshot = reader.snapshot(Duration::from_secs(30)).unwrap();
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
