//! A view's two compilations agree: the fold over the rows, and SQL over the same rows in DuckDB.

use arrow::record_batch::RecordBatch;
use duckdb::Connection;
use serde_json::Value as Json;
use snowshed::event::rows;
use snowshed::event::{Cell, Event, EventAddr, Offset, Outcome, Processed, SchemaKey, SelfDescribing, columns};
use snowshed::view::{Filter, Fold, Grain, Layer, Pairs, Reducer, ViewDef, ViewQuery, answer};
use std::sync::Arc;

const VIEW: &str = r#"
name = "everything"
grain = "1m"
dimensions = ["app_id", "page_urlport", "dvce_ismobile", "unstruct_event_com_acme_search_1.lang"]
where = { event_name = ["page_view", "search"] }
[measures]
events = "count"
paid = "count(tr_total)"
revenue = "sum(tr_total)"
value = "sum(se_value)"
ports = "sum(page_urlport)"
mean = "avg(tr_total)"
vmean = "avg(se_value)"
least = "min(se_value)"
most = "max(tr_total)"
last = "max(derived_tstamp)"
users = "distinct(domain_userid)"
load_p95 = "quantile(contexts_org_w3_performance_timing_1.loadEventEnd, 0.95)"
load_sum = "sum(contexts_org_w3_performance_timing_1.loadEventEnd)"
pages = "top(page_urlpath, 3)"
"#;

fn events(n: usize) -> Vec<Processed> {
    let mut s = 88172645463325252u64;
    let mut rnd = move |m: usize| {
        s ^= s << 13;
        s ^= s >> 7;
        s ^= s << 17;
        (s >> 11) as usize % m
    };
    let sd = |vendor: &str, name: &str, data: String| SelfDescribing {
        schema: SchemaKey::new(vendor, name, "jsonschema", (1, 0, 0)),
        data: Arc::from(data.as_str()),
    };
    (0..n)
        .map(|i| {
            let mut e = Event::new();
            e.set_text(columns::APP_ID, ["shop", "it's", "", "(other"][rnd(4)]);
            e.set_text(columns::EVENT_NAME, ["page_view", "search", "page_ping"][rnd(3)]);
            e.set_text(columns::DOMAIN_USERID, &format!("u{}", rnd(60)));
            e.set_text(columns::PAGE_URLPATH, &format!("/{}", rnd(6)));
            if rnd(3) > 0 {
                e.set(columns::PAGE_URLPORT, Cell::Int([80, 443][rnd(2)]))
            }
            if rnd(3) > 0 {
                e.set(columns::DVCE_ISMOBILE, Cell::Bool(rnd(2) == 0))
            }
            if rnd(2) > 0 {
                e.set_text(columns::TR_TOTAL, &format!("{}.{:02}", rnd(100_000), rnd(100)))
            }
            if rnd(2) > 0 {
                e.set_text(columns::SE_VALUE, ["0.1", "-7", "1e3", "19.99", "123456.789012345"][rnd(5)])
            }
            // From a day before the end of summer time in Paris to a day after.
            let t = 1_792_800_000_000 + rnd(3 * 86_400) as i64 * 1000 + i as i64 % 1000;
            e.set(columns::COLLECTOR_TSTAMP, Cell::Time(t));
            if rnd(10) > 0 {
                e.set(columns::DERIVED_TSTAMP, Cell::Time(t - rnd(100_000) as i64))
            }
            if rnd(2) > 0 {
                let v = ["1", "2500", "12.75", "\"slow\"", "\"17\"", "true", "3e2", "18446744073709551615"][rnd(8)];
                e.contexts.push(sd("org.w3", "PerformanceTiming", format!("{{\"loadEventEnd\":{v}}}")));
                e.contexts.push(sd("org.w3", "PerformanceTiming", "{\"loadEventEnd\":5}".to_owned()));
            }
            if rnd(2) > 0 {
                let v = ["\"en\"", "\"é'\\n\"", "7", "7.5", "true", "[1]", "{\"a\":1}", "-3"][rnd(8)];
                e.unstruct = Some(sd("com.acme", "search", format!("{{\"x\":{{\"lang\":1}},\"lang\":{v}}}")));
            }
            Processed::new(EventAddr { offset: Offset(i as u64), index: 0 }, Outcome::Enriched(Box::new(e)))
        })
        .collect()
}

fn load(db: &Connection, table: &str, batch: &RecordBatch, json: bool) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("x.parquet");
    let mut w =
        parquet::arrow::ArrowWriter::try_new(std::fs::File::create(&path).unwrap(), batch.schema(), None).unwrap();
    w.write(batch).unwrap();
    w.close().unwrap();
    let cols: Vec<String> = batch
        .schema()
        .fields()
        .iter()
        .map(|f| {
            let sd = json && (f.name().starts_with("contexts_") || f.name().starts_with("unstruct_event_"));
            if sd { format!("\"{0}\"::JSON::VARIANT AS \"{0}\"", f.name()) } else { format!("\"{}\"", f.name()) }
        })
        .collect();
    db.execute_batch(&format!(
        "CREATE TABLE {table} AS SELECT {} FROM read_parquet('{}')",
        cols.join(", "),
        path.display()
    ))
    .unwrap();
}

fn query(db: &Connection, sql: &str) -> Vec<Json> {
    let sql = format!("SELECT to_json(r)::VARCHAR FROM ({sql}) r");
    let mut s = db.prepare(&sql).unwrap_or_else(|e| panic!("{e}\n{sql}"));
    let rows = s.query_map([], |r| r.get::<_, String>(0)).unwrap_or_else(|e| panic!("{e}\n{sql}"));
    rows.map(|t| serde_json::from_str(&t.unwrap()).unwrap()).collect()
}

fn same(name: &str, view: &Json, sql: &Json) {
    match (view, sql) {
        (Json::Number(a), Json::Number(b)) => {
            let (a, b) = (a.as_f64().unwrap(), b.as_f64().unwrap());
            let bound = match name {
                "load_p95" => 0.008,
                _ => 1e-13,
            };
            assert!((a - b).abs() <= bound * b.abs(), "{name}: view {a}, sql {b}");
        }
        (Json::String(a), Json::String(b)) if name == "time" || name == "last" => {
            let b: String = b.replace(' ', "T");
            let parse = |t: &str| format!("{}Z", t.trim_end_matches('Z')).parse::<jiff::Timestamp>().unwrap();
            assert_eq!(parse(a), parse(&b), "{name}");
        }
        _ => assert_eq!(view, sql, "{name}"),
    }
}

#[test]
fn the_fold_and_the_sql_give_the_same_numbers() {
    let built = rows::build(&events(6000)).0;
    let db = Connection::open_in_memory().unwrap();
    load(&db, "events", &built.batch, true);
    let def: ViewDef = toml_edit::de::from_str(VIEW).unwrap();
    let scalar = ViewDef {
        name: "scalar".into(),
        measures: Pairs(
            def.measures
                .0
                .iter()
                .filter(|m| !["users", "load_p95", "pages"].contains(&m.0.as_str()))
                .cloned()
                .collect(),
        ),
        ..def.clone()
    };
    for def in [def, scalar] {
        let view = def.compile().unwrap();
        let mut fold = Fold::new(view.clone());
        fold.add(&built).unwrap();
        let stored = fold.to_record_batch().unwrap();
        let table = format!("derived_{}", view.name());
        load(&db, &table, &stored, false);
        let range = ViewQuery::range(1_792_800_000_000 - 50_000, 1_792_800_000_000 + 3 * 86_400_000 - 7_000_000);
        let app = |values: &[Option<&str>], exclude| {
            vec![Filter {
                dimension: "app_id".into(),
                values: values.iter().map(|v| v.map(Into::into)).collect(),
                exclude,
            }]
        };
        let by = |names: &[&str]| Some(names.iter().map(|n| (*n).to_owned()).collect::<Vec<_>>());
        let paris = Some("Europe/Paris".to_owned());
        let cases = [
            range.clone(),
            ViewQuery { grain: Some(Grain::Whole), ..range.clone() },
            ViewQuery { grain: Some(Grain::Every(3_600_000)), by: by(&["app_id"]), tz: paris.clone(), ..range.clone() },
            ViewQuery { grain: Some(Grain::Every(6 * 3_600_000)), by: by(&[]), tz: paris.clone(), ..range.clone() },
            ViewQuery {
                grain: Some(Grain::Every(86_400_000)),
                by: by(&["page_urlport", "unstruct_event_com_acme_search_1.lang"]),
                tz: paris,
                ..range.clone()
            },
            ViewQuery {
                grain: Some(Grain::Every(86_400_000)),
                by: by(&[]),
                tz: Some("Asia/Kolkata".into()),
                filter: app(&[Some("it's"), None], false),
                ..range.clone()
            },
            ViewQuery {
                grain: Some(Grain::Every(900_000)),
                by: by(&["dvce_ismobile"]),
                filter: app(&[Some("shop"), None], true),
                ..range.clone()
            },
            ViewQuery { filter: app(&[], false), ..range.clone() },
        ];
        for (i, q) in cases.iter().enumerate() {
            let answer = answer::reduce(&view, q, Layer::Speed, [], [fold.groups()], usize::MAX).unwrap();
            let sql = view.sql(q).unwrap();
            let rows = query(&db, &sql);
            assert_eq!(rows.len(), answer.rows.len(), "case {i}: {sql}");
            if i != 7 {
                assert!(!rows.is_empty());
            }
            let mut ours: Vec<Json> = answer.rows.iter().map(|r| serde_json::to_value(r).unwrap()).collect();
            // SQL puts NULL last: same order by key for both.
            let key = |r: &Json| {
                let r = r.as_object().unwrap();
                let mut k = vec![r["time"].as_str().unwrap().replace(' ', "T")[..19].to_owned()];
                k.extend(r.iter().skip(1).take(answer.rows[0].dims.len()).map(|(_, v)| v.to_string()));
                k
            };
            let mut theirs = rows;
            ours.sort_by_key(key);
            theirs.sort_by_key(key);
            for (a, b) in ours.iter().zip(&theirs) {
                for (name, v) in a.as_object().unwrap() {
                    same(name, v, &b[name]);
                }
            }
            let plan = Arc::new(view.plan(q).unwrap());
            let stored_sql = view.stored_sql(&plan, &table);
            let mut s = db.prepare(&stored_sql).unwrap_or_else(|e| panic!("{e}\n{stored_sql}"));
            let mut reducer = Reducer::new(&view, plan.clone());
            for b in s.query_arrow([]).unwrap() {
                reducer.add_stored(&b).unwrap();
            }
            let half = reducer.finish();
            let empty = snowshed::view::Half::empty(&view, &plan);
            let again = snowshed::view::answer::answer(&half, &empty, Layer::Batch, usize::MAX);
            assert_eq!(
                serde_json::to_string(&again.rows).unwrap(),
                serde_json::to_string(&answer.rows).unwrap(),
                "stored, case {i}"
            );
        }
    }
}
