//! SQL over HTTP: both halves, forms, limits, refusals.

use super::*;
use arrow::ipc::reader::StreamReader;
use serde_json::json;

async fn form(bench: &Bench, accept: &str, body: &Value) -> (u16, reqwest::header::HeaderMap, bytes::Bytes) {
    let request = bench.client.post(bench.url("/v1/sql")).json_body(body).header("accept", accept);
    let response = request.send().await.unwrap();
    let (status, headers) = (response.status().as_u16(), response.headers().clone());
    (status, headers, response.bytes().await.unwrap())
}

fn world() -> Bench {
    let bench = Bench::start(&Config { sql_max_rows: 100, sql_stream_max_rows: 5000, ..config() });
    bench.grow(300);
    bench.seal();
    bench.commit();
    bench.grow(200);
    bench
}

#[tokio::test(flavor = "multi_thread")]
async fn both_halves_answer_in_every_form() {
    let bench = world();
    let (good, _) = expected(500);
    let count = json!({"sql": "SELECT count(*) AS n, count(DISTINCT app_id) AS apps FROM events"});
    let (status, headers, body) = form(&bench, "application/json", &count).await;
    assert_eq!(status, 200);
    assert_eq!(
        (&headers["x-boundary"], &headers["x-enriched"]),
        (&"300".parse().unwrap(), &"500".parse::<reqwest::header::HeaderValue>().unwrap())
    );
    let answer: Value = serde_json::from_slice(&body).unwrap();
    conforms("SqlAnswer", &answer);
    assert_eq!(answer["columns"], json!([{"name": "n", "type": "BIGINT"}, {"name": "apps", "type": "BIGINT"}]));
    assert_eq!((&answer["rows"], &answer["truncated"]), (&json!([[good, 5]]), &json!(false)));

    let rows = json!({"sql": "SELECT event_id, collector_tstamp, domain_sessionidx FROM events ORDER BY collector_tstamp LIMIT 2"});
    let (_, _, csv) = form(&bench, "text/csv", &rows).await;
    let csv = String::from_utf8(csv.to_vec()).unwrap();
    assert_eq!(csv.lines().next(), Some("event_id,collector_tstamp,domain_sessionidx"));
    assert_eq!(csv.lines().nth(1).unwrap().split(',').nth(1), Some("2025-11-24T16:00:00.000Z"));
    let (_, headers, lines) = form(&bench, "application/x-ndjson", &rows).await;
    assert_eq!(headers["content-type"], "application/x-ndjson");
    let first: Value = serde_json::from_str(std::str::from_utf8(&lines).unwrap().lines().next().unwrap()).unwrap();
    assert_eq!(first["collector_tstamp"], "2025-11-24T16:00:00.000Z");
    let (_, _, arrow) = form(
        &bench,
        "application/vnd.apache.arrow.stream",
        &json!({"sql": "SELECT event_id, collector_tstamp FROM events"}),
    )
    .await;
    let total: usize = StreamReader::try_new(&arrow[..], None).unwrap().map(|b| b.unwrap().num_rows()).sum();
    assert_eq!(total as u64, good);
    let empty =
        json!({"sql": "SELECT event_id, tr_total, count(*) AS n FROM events WHERE app_id = 'none' GROUP BY ALL"});
    let (_, _, csv) = form(&bench, "text/csv", &empty).await;
    assert_eq!(&csv[..], b"event_id,tr_total,n\n");
    let (_, _, arrow) = form(&bench, "application/vnd.apache.arrow.stream", &empty).await;
    let reader = StreamReader::try_new(&arrow[..], None).unwrap();
    assert_eq!(reader.schema().field(1).data_type(), &arrow::datatypes::DataType::Decimal128(18, 2));
    assert_eq!(form(&bench, "image/png", &count).await.0, 406);
}

#[tokio::test(flavor = "multi_thread")]
async fn parameters_nested_values_and_exact_numbers() {
    let bench = world();
    let ask = async |body: Value| bench.post("/v1/sql", &body).await.1;
    let by = "SELECT count(*) FROM events WHERE app_id = $1 AND domain_sessionidx > $2";
    let a = ask(json!({"sql": by, "params": ["site1", 3]})).await;
    let same = ask(json!({"sql": by.replace("$1", "?").replace("$2", "?"), "params": ["site1", 3]})).await;
    assert_eq!(a["rows"], same["rows"]);
    let want = (0..500).filter(|n| n % 17 != 13 && n % 5 == 1 && n % 9 > 3).count();
    assert_eq!(a["rows"], json!([[want]]), "{a}");
    let exact = json!({"sql": "SELECT 9007199254740993::BIGINT AS big, 1.10::DECIMAL(18,2) AS d, NULL AS nothing"});
    let (_, _, text) = form(&bench, "application/json", &exact).await;
    let text = String::from_utf8(text.to_vec()).unwrap();
    assert!(text.contains("[[9007199254740993,1.10,null]]"), "{text}");
    let a =
        ask(json!({"sql": "SELECT 9007199254740993::BIGINT AS big, 1.10::DECIMAL(18,2) AS d", "ints": "string"})).await;
    assert_eq!(a["rows"], json!([["9007199254740993", "1.10"]]));
    let a = ask(json!({"sql": "SELECT contexts_com_acme_user_1[1].seats AS seats, contexts_com_acme_user_1 AS user FROM events ORDER BY collector_tstamp DESC LIMIT 1"})).await;
    assert_eq!(a["columns"][1]["type"], "JSON", "{a}");
    let user: Value = serde_json::from_str(a["rows"][0][1].as_str().unwrap()).unwrap();
    assert_eq!(
        (&user[0]["plan"], &user[0]["seats"].to_string()),
        (&json!("basic"), &a["rows"][0][0].as_str().unwrap_or("").to_owned())
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn limits_are_named_and_cut_streams_are_broken_off() {
    let bench = world();
    let (_, a) = bench.post("/v1/sql", &json!({"sql": "SELECT event_id FROM events"})).await;
    assert_eq!((a["rows"].as_array().unwrap().len(), &a["truncated"]), (100, &json!(true)));
    let (_, a) = bench.post("/v1/sql", &json!({"sql": "SELECT event_id FROM events", "max_rows": 7})).await;
    assert_eq!((a["rows"].as_array().unwrap().len(), &a["truncated"]), (7, &json!(true)));
    let (_, a) = bench.post("/v1/sql", &json!({"sql": "SELECT event_id FROM events LIMIT 7", "max_rows": 7})).await;
    assert_eq!((a["rows"].as_array().unwrap().len(), &a["truncated"]), (7, &json!(false)));
    let request = bench.client.post(bench.url("/v1/sql")).header("accept", "text/csv");
    let response = request.json_body(&json!({"sql": "SELECT * FROM range(100000)"})).send().await.unwrap();
    assert_eq!(
        (response.status().as_u16(), &response.headers()["x-row-limit"]),
        (200, &"5000".parse::<reqwest::header::HeaderValue>().unwrap())
    );
    assert!(response.bytes().await.is_err(), "a cut stream must not look whole");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_that_is_broken_off_at_once_still_has_its_head_and_its_rows() {
    let bench = world();
    for round in 0..200 {
        let request = bench.client.post(bench.url("/v1/sql")).header("accept", "text/csv");
        let sent = request.json_body(&json!({"sql": "SELECT * FROM range(9)", "max_rows": 1})).send().await;
        let mut response = sent.unwrap_or_else(|e| panic!("round {round}: no head: {e}"));
        assert_eq!(response.headers()["x-row-limit"], "1");
        let mut text = Vec::new();
        let end = loop {
            match response.chunk().await {
                Ok(Some(piece)) => text.extend_from_slice(&piece),
                end => break end,
            }
        };
        assert_eq!(String::from_utf8_lossy(&text), "range\n0\n", "round {round}");
        assert!(end.is_err(), "a cut stream must not look whole");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn only_reading_and_only_our_tables() {
    let bench = world();
    for (sql, status) in [
        ("SELEC 1", 400),
        ("SELECT nothing FROM events", 400),
        ("DELETE FROM atomic.events", 403),
        ("CREATE TABLE x (a INT)", 403),
        ("COPY atomic.events TO '/tmp/x.csv'", 403),
        ("SELECT * FROM read_csv('/etc/passwd')", 403),
        ("SELECT * FROM '/etc/passwd'", 403),
        ("ATTACH '/tmp/x.db'", 403),
        ("SELECT 1; SELECT 2", 403),
    ] {
        let (got, body) = bench.post("/v1/sql", &json!({"sql": sql})).await;
        assert_eq!(got, status, "{sql}: {body}");
        assert!(body["error"]["hint"].is_string(), "{body}");
    }
    for body in [
        json!({}),
        json!({"sql": 1}),
        json!({"sql": "SELECT 1", "parms": []}),
        json!({"sql": "SELECT ?", "params": [[1]]}),
    ] {
        assert_eq!(bench.post("/v1/sql", &body).await.0, 400, "{body}");
    }
    let a = bench.post("/v1/sql", &json!({"sql": "SELECT count(*) FROM atomic.bad_rows"})).await.1;
    assert_eq!(a["rows"], json!([[expected(300).1]]));
}

#[tokio::test(flavor = "multi_thread")]
async fn statements_are_bounded_in_time_and_number() {
    let bench = Bench::start(&Config {
        sql_timeout: crate::platform::units::Span::from_millis(500),
        sql_max_concurrent: 1,
        queue_timeout: crate::platform::units::Span::from_millis(50),
        ..config()
    });
    let slow = json!({"sql": "SELECT sum(a.range * b.range) FROM range(1000000) a, range(1000000) b"});
    let (first, second) = tokio::join!(bench.post("/v1/sql", &slow), async {
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
        bench.post("/v1/sql", &json!({"sql": "SELECT 1"})).await
    });
    assert_eq!((first.0, first.1["error"]["code"].as_str()), (504, Some("timeout")), "{}", first.1);
    assert_eq!((second.0, second.1["error"]["code"].as_str()), (503, Some("busy")), "{}", second.1);
    assert_eq!(bench.post("/v1/sql", &json!({"sql": "SELECT 1"})).await.0, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_ends_of_the_number_line_show_as_they_are() {
    let bench = world();
    for (sql, shown) in [
        ("SELECT 170141183460469231731687303715884105727::HUGEINT", "170141183460469231731687303715884105727"),
        ("SELECT '-170141183460469231731687303715884105728'::HUGEINT", "-170141183460469231731687303715884105728"),
        ("SELECT 340282366920938463463374607431768211455::UHUGEINT", "\"340282366920938463463374607431768211455\""),
        ("SELECT 18446744073709551615::UBIGINT", "18446744073709551615"),
        ("SELECT 'infinity'::TIMESTAMP", "\"infinity\""),
        ("SELECT '-infinity'::TIMESTAMP", "\"-infinity\""),
    ] {
        let request = bench.client.post(bench.url("/v1/sql")).json_body(&json!({ "sql": sql }));
        let text = request.send().await.unwrap().text().await.unwrap();
        assert!(text.contains(&format!("\"rows\":[[{shown}]]")), "{sql}: {text}");
    }
    let body = r#"{"sql":"SELECT typeof(?), ?","params":[18446744073709551615,18446744073709551615]}"#;
    let request = bench.client.post(bench.url("/v1/sql")).header("content-type", "application/json").body(body);
    let text = request.send().await.unwrap().text().await.unwrap();
    assert!(text.contains(r#"[["UBIGINT",18446744073709551615]]"#), "{text}");
    let (_, wrong) = bench.post("/v1/sql", &json!({"sql": "SELECT nocol FROM events"})).await;
    assert!(!wrong["error"]["message"].as_str().unwrap().contains("DESCRIBE"), "{wrong}");
}
