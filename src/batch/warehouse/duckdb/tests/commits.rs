//! What a commit leaves: rows, columns, repairs, formats.

use super::*;

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
