//! Questions of users: what they get, and what they are refused.

use super::*;
use crate::platform::testing::PATIENCE;

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
    assert!(start.elapsed() < PATIENCE);
    assert_eq!(number(&opened.reader, "SELECT 42"), 42, "the connection is usable again");
    let (done, _) = run(request("SELECT nonsense FROM events"));
    assert!(matches!(done, Err(ReadError::Sql(text)) if text.contains("nonsense")));
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
    let settings = Settings {
        path: rig.dir.path().join("warehouse.duckdb"),
        staging: rig.staging().canonicalize().unwrap(),
        config: rig.config.clone(),
    };
    let database = Database::open(settings).unwrap();
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
