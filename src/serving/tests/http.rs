//! Status, views, audit, failures, schemas, session, demo, page: over HTTP.

use super::*;
use crate::platform::testing::PATIENCE;
use serde_json::json;

#[tokio::test(flavor = "multi_thread")]
async fn status_adds_up_and_names_every_micro_batch() {
    let bench = Bench::start(&config());
    bench.grow(100);
    bench.seal();
    bench.commit();
    bench.grow(50);
    bench.seal();
    bench.grow(7);
    let s = bench.ok("/v1/status").await;
    conforms("Status", &s);
    let (good, failed) = expected(157);
    assert_eq!((&s["journal_end"], &s["enriched"], &s["boundary"]["offset"]), (&json!(157), &json!(157), &json!(100)));
    assert_eq!(
        s["equation"],
        json!({"payload_events": 157, "enriched": good, "failed": failed, "duplicates": 0, "dropped": 0, "repaired": 0})
    );
    assert_eq!(s["difference"], 0);
    assert_eq!(s["committed"]["payload_events"], 100);
    let ranges: Vec<_> = s["batches"]
        .as_array()
        .unwrap()
        .iter()
        .map(|b| (b["from"].clone(), b["to"].clone(), b["state"].clone()))
        .collect();
    assert_eq!(
        ranges,
        [
            (json!(100), json!(150), json!("sealed")),
            (json!(150), json!(157), json!("open")),
            (json!(0), json!(100), json!("committed"))
        ]
    );
    assert!(
        s["batches"][2]["times"]["committed"].is_string() && s["batches"][2]["files"].is_object()
            || s["batches"][2]["files"].is_array()
    );
    assert_eq!((&s["links"][0]["name"], &s["links"][0]["bound"]), (&json!("enriched"), &json!(8)));
    assert_eq!(s["ui"]["collector_url"], "http://127.0.0.1:8080");
    assert_eq!(s["assets"], json!([{"step": "ua-parser", "name": "r.yaml", "checksum": "0badcafe", "bytes": 7}]));
    assert!(s["lag_ms"]["commit"].as_i64().unwrap() > 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_view_answers_by_layer_and_verifies_itself() {
    let bench = Bench::start(&config());
    bench.grow(2000);
    bench.seal();
    bench.commit();
    bench.grow(1000);
    let (good, _) = expected(3000);
    let (committed, _) = expected(2000);
    let sum = |v: &Value, of: fn(&Value) -> &Value| -> u64 {
        v["rows"].as_array().unwrap().iter().map(|r| of(r).as_u64().unwrap()).sum()
    };
    let merged = bench.ok("/v1/views/pulse").await;
    assert_eq!(sum(&merged, |r| &r["events"]), good);
    assert_eq!((&merged["boundary"]["offset"], &merged["enriched"]), (&json!(2000), &json!(3000)));
    assert!(merged["rows"][0]["time"].as_str().unwrap().ends_with(".000Z"));
    let batch = bench.ok("/v1/views/pulse?layer=batch").await;
    assert_eq!((sum(&batch, |r| &r["events"]), &batch["enriched"]), (committed, &json!(2000)));
    let speed = bench.ok("/v1/views/pulse?layer=speed&grain=all").await;
    assert_eq!(sum(&speed, |r| &r["events"]), good - committed);
    let split = bench.ok("/v1/views/traffic?layer=split&by=app_id&grain=1h&verify=1&from=-2h").await;
    assert_eq!(split["verify"]["equal"], true, "{}", split["verify"]);
    conforms("ViewAnswer", &split);
    conforms("ViewAnswer", &merged);
    assert!(split["verify"]["compared"].as_u64().unwrap() >= 5);
    for row in split["rows"].as_array().unwrap() {
        let m = &row["events"];
        assert_eq!(m["batch"].as_u64().unwrap() + m["speed"].as_u64().unwrap(), m["merged"].as_u64().unwrap());
        assert!(row.get("event_name").is_none());
    }
    assert_eq!(sum(&split, |r| &r["events"]["merged"]), good);
    assert!(split["error"]["users"].as_f64().unwrap() > 0.0);
    let one = bench.ok("/v1/views/traffic?f.app_id=site1&f.event_name=!cart_action&grain=all&by=").await;
    let site1 = (0..3000).filter(|n| n % 17 != 13 && n % 5 == 1).count();
    assert_eq!(one["rows"][0]["events"], site1);
    assert_eq!(one["rows"].as_array().unwrap().len(), 1);
    let views = bench.ok("/v1/views").await;
    views["views"].as_array().unwrap().iter().for_each(|v| conforms("View", v));
    assert_eq!(views["views"][0]["name"], "pulse");
    assert_eq!(views["views"][1]["dimensions"], json!(["app_id", "platform", "event_name"]));
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_questions_are_explained() {
    let bench = Bench::start(&Config { view_max_rows: 3, ..config() });
    bench.grow(3000);
    for (path, status, code, word) in [
        ("/v1/views/trafic", 404, "not_found", "pulse, traffic"),
        ("/v1/views/pulse?grian=1h", 400, "bad_parameter", "grian"),
        ("/v1/views/pulse?grain=7s", 400, "bad_parameter", "grain"),
        ("/v1/views/pulse?by=app_id", 400, "bad_parameter", "by"),
        ("/v1/views/pulse?layer=both", 400, "bad_parameter", "split"),
        ("/v1/views/pulse?from=never", 400, "bad_parameter", "RFC 3339"),
        ("/v1/views/pulse?from=now&to=-1h", 400, "bad_parameter", "range"),
        ("/v1/views/pulse?tz=Mars/Olympus", 400, "bad_parameter", "IANA"),
        ("/v1/views/pulse?verify=1", 400, "bad_parameter", "24 h"),
        ("/v1/views/pulse", 400, "bad_parameter", "view_max_rows"),
        ("/v1/nothing", 404, "not_found", "openapi"),
        ("/v1/views/%FF", 400, "bad_parameter", "percent-encode"),
        ("/v1/events/%FF", 400, "bad_parameter", "percent-encode"),
        ("/iglu/schemas/%FF/a/jsonschema/1-0-0", 400, "bad_parameter", "percent-encode"),
        ("/assets/%FF/a", 400, "bad_parameter", "percent-encode"),
        ("/v1/events/nonsense", 400, "bad_parameter", "UUID"),
        ("/v1/events/00000000-0000-4000-8000-ffffffffffff", 404, "not_found", "never accepted"),
        ("/iglu/schemas/a/b/jsonschema/x", 400, "bad_parameter", "1-0-0"),
        ("/v1/live?q=nothing", 404, "not_found", "pulse"),
        ("/v1/live?hz=100", 400, "bad_parameter", "hz"),
        ("/v1/tail?st=odd", 400, "bad_parameter", "duplicate"),
        ("/v1/tail?f.contexts=1", 400, "bad_parameter", "contexts"),
    ] {
        let (got, body) = bench.get(path).await;
        assert_eq!((got, body["error"]["code"].as_str()), (status, Some(code)), "{path}: {body}");
        assert!(body["error"].to_string().contains(word), "{path}: {body}");
        conforms("Error", &body);
    }
    let deleted = bench.client.delete(bench.url("/v1/status")).send().await.unwrap();
    assert_eq!(deleted.status(), 405);
    assert!(deleted.text().await.unwrap().contains("method_not_allowed"));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_is_followed_from_request_to_commit() {
    let bench = Bench::start(&config());
    bench.grow(40);
    bench.seal();
    bench.commit();
    bench.grow(40);
    let id = |n: u64| testing::event(n).text(crate::event::columns::EVENT_ID).unwrap().to_owned();
    let a = bench.ok(&format!("/v1/events/{}", id(7))).await;
    conforms("Audit", &a);
    let o = &a["occurrences"][0];
    assert_eq!(
        (&o["address"], &o["outcome"]["state"], &o["batch"]["state"]),
        (&json!("7.0"), &json!("good"), &json!("committed"))
    );
    assert_eq!(o["request"]["path"], "/com.snowplowanalytics.snowplow/tp2");
    assert_eq!(o["batch"]["to"], 40);
    assert_eq!((a["rows"].as_array().unwrap().len(), &a["rows"][0]["table"]), (1, &json!("events")));
    assert_eq!(a["rows"][0]["row"]["event_id"], id(7));
    let open = bench.ok(&format!("/v1/events/{}", id(70).to_uppercase())).await;
    assert_eq!(open["occurrences"][0]["batch"]["state"], "open");
    assert_eq!(open["rows"].as_array().unwrap().len(), 1);
    // Number 30 failed; the dedupe index does not know it, its address does.
    let failed = bench.ok("/v1/events/30.0").await;
    assert_eq!(failed["occurrences"][0]["outcome"]["state"], "failed");
    assert_eq!(failed["rows"][0]["table"], "events_failed");
    let (status, _) = bench.get("/v1/events/9999.0").await;
    assert_eq!(status, 404);
}

#[tokio::test(flavor = "multi_thread")]
async fn failures_are_grouped_alike_in_both_halves() {
    let bench = Bench::start(&config());
    bench.grow(1000);
    bench.seal();
    bench.commit();
    bench.grow(500);
    let (_, failed) = expected(1500);
    let recent = bench.ok("/v1/failed").await;
    assert_eq!((&recent["total"], recent["failed"].as_array().unwrap().len()), (&json!(failed), 1));
    conforms("Failed", &recent);
    let cause = &recent["failed"][0];
    assert!(cause["title"].as_str().unwrap().starts_with("user/1-0-2"), "{cause}");
    assert_eq!((&cause["count"], &cause["path"]), (&json!(failed), &json!("$.seats")));
    assert_eq!(cause["apps"].as_array().unwrap().len(), 5);
    assert_eq!(cause["examples"].as_array().unwrap().len(), 3);
    for example in cause["examples"].as_array().unwrap() {
        let n = example["offset"].as_u64().unwrap();
        let time = super::super::params::rfc3339(testing::EPOCH + n as i64 * 7);
        assert_eq!((&example["app_id"], &example["time"]), (&json!(format!("site{}", n % 5)), &json!(time)));
    }
    let id = bench.speed.failed_causes(3_600_000)[0].cause_id.clone();
    assert_eq!(cause["cause_id"], id, "both layers name causes alike");

    let range = bench.ok("/v1/failed?from=-2h&examples=5").await;
    assert_eq!(
        (&range["total"], &range["boundary"]["offset"], &range["enriched"]),
        (&json!(failed), &json!(1000), &json!(1500))
    );
    conforms("Failed", &range);
    let wide = &range["failed"][0];
    assert_eq!((&wide["cause_id"], &wide["count"]), (&json!(id), &json!(failed)));
    let series: u64 = wide["series"].as_array().unwrap().iter().map(|n| n.as_u64().unwrap()).sum();
    assert_eq!(series, failed);
    assert_eq!(wide["examples"].as_array().unwrap().len(), 5);
    let one = bench.ok("/v1/failed?from=-2h&app=site3").await;
    let site3 = (0..1500).filter(|n| n % 17 == 13 && n % 5 == 3).count();
    assert_eq!(one["total"], site3);
    let none = bench.ok("/v1/failed?cause=0000000000000000").await;
    assert_eq!(none["failed"], json!([]));
}

const SCHEMA: &str = r#"{"$schema":"http://iglucentral.com/schemas/com.snowplowanalytics.self-desc/schema/jsonschema/1-0-0#",
  "description":"A cart","self":{"vendor":"com.acme","name":"cart","format":"jsonschema","version":"1-0-0"},
  "type":"object","properties":{"sku":{"type":"string","maxLength":64}},"required":["sku"],"additionalProperties":false}"#;

#[tokio::test(flavor = "multi_thread")]
async fn schemas_are_served_listed_and_published() {
    let bench = Bench::start(&config());
    let path = "/iglu/schemas/com.acme/cart/jsonschema/1-0-0";
    assert_eq!(bench.get(path).await.0, 404);
    let put = |body: &'static str| bench.client.put(bench.url(path)).body(body).send();
    assert_eq!(put(SCHEMA).await.unwrap().status(), 201);
    assert_eq!(put(SCHEMA).await.unwrap().status(), 200);
    let conflict = put(
        r#"{"$schema":"http://iglucentral.com/schemas/com.snowplowanalytics.self-desc/schema/jsonschema/1-0-0#","self":{"vendor":"com.acme","name":"cart","format":"jsonschema","version":"1-0-0"},"type":"object"}"#,
    );
    assert_eq!(conflict.await.unwrap().status(), 409);
    let wrong = put("{").await.unwrap();
    assert_eq!(wrong.status(), 400);
    assert!(wrong.text().await.unwrap().contains("schema_refused"));
    assert_eq!(bench.ok(path).await["self"]["name"], "cart");
    for list in [
        "/iglu/schemas/com.acme",
        "/iglu/schemas/com.acme/cart",
        "/iglu/schemas/com.acme/cart/jsonschema",
        "/iglu/schemas/com.acme/cart/jsonschema/1",
    ] {
        assert_eq!(bench.ok(list).await, json!(["iglu:com.acme/cart/jsonschema/1-0-0"]), "{list}");
    }
    assert!(bench.ok("/iglu/schemas").await.as_array().unwrap().len() > 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_opens_the_port_and_a_cookie_stands_for_it() {
    let token = "0123456789abcdef0123";
    let bench = Bench::start(&Config { tokens: vec![super::super::Token::from(token)], ..config() });
    assert_eq!(bench.get("/v1/status").await.0, 401);
    assert_eq!(bench.get("/metrics").await.0, 401);
    assert_eq!(bench.get("/").await.0, 200);
    assert_eq!(bench.get("/health/live").await.0, 200);
    let with = bench.client.get(bench.url("/v1/status")).bearer_auth(token).send().await.unwrap();
    assert_eq!(with.status(), 200);
    assert_eq!(bench.post("/v1/session", &json!({"token": "wrong"})).await.0, 401);
    let signed = bench.client.post(bench.url("/v1/session")).json_body(&json!({"token": token})).send().await.unwrap();
    assert_eq!(signed.status(), 200);
    let cookie = signed.headers()["set-cookie"].to_str().unwrap().to_owned();
    assert!(cookie.contains("HttpOnly") && cookie.contains("SameSite=Strict") && !cookie.contains("Path"), "{cookie}");
    assert!(!cookie.contains(token));
    let pair = cookie.split(';').next().unwrap();
    let by_cookie = bench.client.get(bench.url("/v1/status")).header("cookie", pair).send().await.unwrap();
    assert_eq!(by_cookie.status(), 200);
    bench.clock.set(testing::EPOCH + 31 * 86_400_000);
    let late = bench.client.get(bench.url("/v1/status")).header("cookie", pair).send().await.unwrap();
    assert_eq!(late.status(), 401);
}

#[tokio::test(flavor = "multi_thread")]
async fn foreign_hosts_and_origins_get_nothing() {
    let bench = Bench::start(&config());
    let get =
        |name: &'static str, value: &'static str| bench.client.get(bench.url("/v1/status")).header(name, value).send();
    assert_eq!(get("host", "evil.example.com").await.unwrap().status(), 421);
    assert_eq!(get("sec-fetch-site", "cross-site").await.unwrap().status(), 403);
    let sql = || bench.client.post(bench.url("/v1/sql")).body(r#"{"sql":"SELECT 1"}"#);
    assert_eq!(sql().header("content-type", "text/plain").send().await.unwrap().status(), 415);
    let foreign = sql().header("content-type", "application/json").header("origin", "https://evil.example.com");
    assert_eq!(foreign.send().await.unwrap().status(), 403);
    let options =
        bench.client.request(reqwest::Method::OPTIONS, bench.url("/v1/sql")).header("origin", "https://x.example");
    let options = options.send().await.unwrap();
    assert!(options.headers().get("access-control-allow-origin").is_none());
    let page = bench.client.get(bench.url("/")).send().await.unwrap();
    let policy = page.headers()["content-security-policy"].to_str().unwrap();
    assert!(policy.contains("require-trusted-types-for 'script'") && policy.contains("frame-ancestors 'none'"));
    assert_eq!(page.headers()["cache-control"], "no-cache");
    let html = page.text().await.unwrap();
    let script = html.split("src=\"").nth(1).unwrap().split('"').next().unwrap().to_owned();
    let asset = bench.client.get(bench.url(&format!("/{script}"))).send().await.unwrap();
    assert_eq!(asset.status(), 200);
    assert!(asset.headers()["cache-control"].to_str().unwrap().contains("immutable"));
    let status = bench.client.get(bench.url("/v1/status")).send().await.unwrap();
    assert_eq!(status.headers()["cache-control"], "no-store");
    assert_eq!(status.headers()["x-content-type-options"], "nosniff");
}

#[tokio::test(flavor = "multi_thread")]
async fn bodies_and_connections_are_bounded() {
    let bench = Bench::start(&Config {
        max_body: crate::platform::units::ByteSize::kib(2),
        request_timeout: crate::platform::units::Span::from_millis(300),
        ..config()
    });
    let big = "x".repeat(4096);
    assert_eq!(bench.post("/v1/sql", &json!({"sql": big})).await.0, 413);
    // A request that never ends is cut off.
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let mut slow = tokio::net::TcpStream::connect(bench.address).await.unwrap();
    slow.write_all(
        b"POST /v1/sql HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ncontent-length: 20\r\n\r\n{",
    )
    .await
    .unwrap();
    let mut answer = String::new();
    let read = tokio::time::timeout(PATIENCE, slow.read_to_string(&mut answer)).await;
    assert!(answer.starts_with("HTTP/1.1 408"), "{read:?} {answer}");
    let mut silent = tokio::net::TcpStream::connect(bench.address).await.unwrap();
    silent.write_all(b"GET /v1/status HT").await.unwrap();
    let mut rest = Vec::new();
    let closed = tokio::time::timeout(PATIENCE, silent.read_to_end(&mut rest)).await;
    assert!(closed.is_ok(), "a head that never ends holds a connection");
}

#[tokio::test(flavor = "multi_thread")]
async fn demo_traffic_only_where_nothing_real_is() {
    let bench = Bench::start(&config());
    assert_eq!(bench.ok("/v1/status").await["ui"]["demo"], true);
    assert_eq!(bench.post("/v1/demo", &json!({"events": 1})).await.0, 200);
    assert_eq!(bench.post("/v1/demo", &json!({"seconds": 13})).await.0, 503);
    assert_eq!(bench.post("/v1/demo", &json!({"events": 0})).await.0, 400);
    assert_eq!(bench.post("/v1/demo", &json!({"events": 1, "seconds": 1})).await.0, 400);
    bench.grow(1);
    assert_eq!(bench.post("/v1/demo", &json!({"events": 1})).await.0, 403);
    assert_eq!(bench.ok("/v1/status").await["ui"]["demo"], false);
}

#[tokio::test(flavor = "multi_thread")]
async fn probes_and_metrics_tell_the_state() {
    let bench = Bench::start(&config());
    bench.grow(34);
    let text = bench.client.get(bench.url("/metrics")).send().await.unwrap().text().await.unwrap();
    for line in [
        "snowshed_events{name=\"enriched\"} 32",
        "snowshed_events{name=\"failed\"} 2",
        "snowshed_events_difference 0",
        "snowshed_enriched_offset 34",
    ] {
        assert!(text.contains(line), "{line}\n{text}");
    }
    assert_eq!(bench.ok("/health/ready").await["ready"], true);
    bench.drain.raise();
    let ended = tokio::time::timeout(PATIENCE, bench.task).await;
    assert!(ended.is_ok(), "the port does not stop");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_port_in_use_names_the_key() {
    let bench = Bench::start(&config());
    let dir = tempfile::tempdir().unwrap();
    let deps = deps_of(dir.path(), &bench.clock, &bench.speed, bench.reader.clone(), &bench.end);
    let taken = Config { listen: bench.address.to_string(), ..Config::default() };
    let error = build(&taken, deps).unwrap_err().to_string();
    assert!(error.contains("serving.listen") && error.contains("in use"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replay_answers_line_by_line_and_one_at_a_time() {
    let bench = Bench::start(&config());
    let ask = |body: serde_json::Value| bench.client.post(bench.url("/v1/replay")).json_body(&body).send();
    let reply = ask(json!({"failed": true, "since": "2h", "dry_run": true})).await.unwrap();
    assert_eq!(
        (reply.status().as_u16(), &reply.headers()["content-type"]),
        (200, &"application/x-ndjson".parse().unwrap())
    );
    let text = reply.text().await.unwrap();
    let lines: Vec<serde_json::Value> = text.lines().map(|l| serde_json::from_str(l).unwrap()).collect();
    assert_eq!(lines.len(), 2, "{text}");
    lines.iter().for_each(|line| conforms("ReplayLine", line));
    assert_eq!((&lines[1]["summary"]["looked_at"], &lines[1]["summary"]["dry_run"]), (&json!(3), &json!(true)));
    for (body, status, code, word) in [
        (json!({"failed": true}), 409, "replay_running", "already"),
        (json!({"failed": false, "since": "2h"}), 400, "bad_parameter", "failed"),
        (json!({"failed": true, "since": "soon"}), 400, "bad_parameter", "2h"),
        (json!({"failed": true, "schema": "cart"}), 400, "bad_parameter", "1-*-*"),
        (json!({"failed": true, "all": true}), 400, "bad_parameter", "unknown field"),
    ] {
        let (got, reply) = bench.post("/v1/replay", &body).await;
        assert_eq!((got, reply["error"]["code"].as_str()), (status, Some(code)), "{body}: {reply}");
        assert!(reply.to_string().contains(word), "{body}: {reply}");
        conforms("Error", &reply);
    }
}
