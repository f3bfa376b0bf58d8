//! Rows against the facts of the warehouse layout.

use super::*;
use crate::event::columns::*;
use crate::event::model::{Cell, Event, SelfDescribing};
use crate::event::outcome::{BadRowKind, Cause, Failure, Outcome, Processed};
use crate::event::{EventAddr, SchemaKey};
use arrow::array::{AsArray, Decimal128Array};
use arrow::datatypes::{Float64Type, Int32Type, TimestampMicrosecondType};

fn rows(events: &[&Event], max: usize) -> Rows {
    super::build::rows(events, &move |_, have| have < max)
}

fn datum(uri: &str, data: &str) -> SelfDescribing {
    SelfDescribing { schema: SchemaKey::parse(uri).unwrap(), data: data.into() }
}

fn page_view(id: &str) -> Event {
    let mut e = Event::new();
    e.set_text(EVENT_ID, id);
    e.set(COLLECTOR_TSTAMP, Cell::Time(1_700_000_000_123));
    e.set_text(V_COLLECTOR, "c");
    e.set_text(V_ETL, "e");
    e
}

fn one(rows: &Rows, column: &str) -> Option<String> {
    let array = rows.column(column)?.as_string::<i32>();
    array.is_valid(0).then(|| array.value(0).to_owned())
}

#[test]
fn the_shape_is_that_of_the_atomic_table() {
    let names: Vec<&str> = ATOMIC_SCHEMA.fields().iter().map(|f| f.name().as_str()).collect();
    assert_eq!(names.len(), 128);
    assert_eq!((names[0], names[51], names[52], names[127]), ("app_id", "mkt_campaign", "se_category", "true_tstamp"));
    assert!(!names.iter().any(|n| ["contexts", "unstruct_event", "derived_contexts"].contains(n)));
    let count = |t: &DataType| ATOMIC_SCHEMA.fields().iter().filter(|f| f.data_type() == t).count();
    assert_eq!(count(&DataType::Timestamp(TimeUnit::Microsecond, None)), 7);
    assert_eq!(count(&DataType::Int32), 15);
    assert_eq!(count(&DataType::Float64), 3);
    assert_eq!(count(&DataType::Decimal128(18, 2)), 8);
    assert_eq!(count(&DataType::Boolean), 11);
    for (c, column) in COLUMNS.iter().enumerate() {
        match atomic_position(c) {
            Some(at) => assert_eq!(names[at], column.name),
            None => assert_eq!(column.kind, Kind::Json),
        }
    }
}

#[test]
fn cells_become_typed_values() {
    let mut e = page_view("a");
    e.set(DOMAIN_SESSIONIDX, Cell::Int(-3));
    e.set(BR_COOKIES, Cell::Bool(false));
    e.set(GEO_LATITUDE, Cell::Float(51.5074));
    e.set_text(TR_TOTAL, "10.125");
    e.set_text(TI_PRICE, "1E+30");
    e.set_text(SE_VALUE, "-1.5E-7");
    e.set(TRUE_TSTAMP, Cell::Time(i64::MAX / 10));
    let rows = rows(&[&e], 9);
    let at = |c| rows.atomic(c).unwrap();
    assert_eq!(at(COLLECTOR_TSTAMP).as_primitive::<TimestampMicrosecondType>().value(0), 1_700_000_000_123_000);
    assert_eq!(at(DOMAIN_SESSIONIDX).as_primitive::<Int32Type>().value(0), -3);
    assert!(!at(BR_COOKIES).as_boolean().value(0));
    assert_eq!(at(GEO_LATITUDE).as_primitive::<Float64Type>().value(0), 51.5074);
    let money = at(TR_TOTAL).as_any().downcast_ref::<Decimal128Array>().unwrap();
    assert_eq!((money.value(0), money.precision(), money.scale()), (1012, 18, 2));
    assert_eq!(at(SE_VALUE).as_primitive::<Float64Type>().value(0), -1.5e-7);
    assert!(at(TI_PRICE).is_null(0) && at(TRUE_TSTAMP).is_null(0) && at(APP_ID).is_null(0));
    assert_eq!(rows.unfit, 2);
}

#[test]
fn self_describing_data_keep_their_text_but_for_nulls_and_version() {
    let mut e = page_view("a");
    e.unstruct =
        Some(datum("iglu:com.acme/CartAdd/jsonschema/1-0-2", r#"{"z":1.10,"a":null,"o":{"n":null,"k":[null,1]}}"#));
    e.contexts.push(datum("iglu:org.w3/PerformanceTiming/jsonschema/1-0-0", r#"{"t":"null and void"}"#));
    e.contexts.push(datum("iglu:com.acme/user/jsonschema/2-0-0", "{}"));
    e.contexts.push(datum("iglu:com.acme/user/jsonschema/2-1-3", r#"{"_schema_version":"x","id":7}"#));
    e.derived.push(datum("iglu:com.acme/user/jsonschema/2-0-1", r#"{"d":1}"#));
    e.derived.push(datum("iglu:com.acme/odd/jsonschema/1-0-0", "[1]"));
    let rows = rows(&[&e], 9);
    assert_eq!(one(&rows, "unstruct_event_com_acme_cart_add_1").unwrap(), r#"{"z":1.10,"o":{"k":[null,1]}}"#);
    assert_eq!(
        one(&rows, "contexts_org_w3_performance_timing_1").unwrap(),
        r#"[{"t":"null and void","_schema_version":"1-0-0"}]"#
    );
    assert_eq!(
        one(&rows, "contexts_com_acme_user_2").unwrap(),
        r#"[{"_schema_version":"2-0-0"},{"id":7,"_schema_version":"2-1-3"},{"d":1,"_schema_version":"2-0-1"}]"#
    );
    assert_eq!(one(&rows, "contexts_com_acme_odd_1").unwrap(), "[[1]]");
    let names: Vec<_> = rows.dynamic().map(|d| d.0.to_owned()).collect();
    assert!(names.is_sorted() && names.len() == 4);
}

#[test]
fn what_a_strict_reader_refuses_is_made_acceptable() {
    for (data, want) in [
        (r#"{"a":"\ud800"}"#, "{\"a\":\"\u{fffd}\"}"),
        (r#"{"a":"\u00e9"}"#, r#"{"a":"\u00e9"}"#),
        ("nope", "\"nope\""),
        ("{\"a\":\"\u{1}\"}", r#""{\"a\":\"\u0001\"}""#),
        ("", "\"\""),
    ] {
        let mut e = page_view("a");
        e.unstruct = Some(datum("iglu:v/a/jsonschema/1-0-0", data));
        let rows = rows(&[&e], 9);
        assert_eq!(one(&rows, "unstruct_event_v_a_1").as_deref(), Some(want));
    }
}

#[test]
fn columns_beyond_the_cap_go_to_the_overflow() {
    let mut e = page_view("a");
    e.unstruct = Some(datum("iglu:v/a/jsonschema/1-0-0", "{\"x\":null}"));
    e.contexts.push(datum("iglu:v/b/jsonschema/1-0-0", "{}"));
    e.contexts.push(datum("iglu:v/c/jsonschema/1-0-0", r#"{"i":1}"#));
    e.contexts.push(datum("iglu:v/d/jsonschema/3-0-1", r#"{"i":2}"#));
    let mut second = page_view("b");
    second.unstruct = Some(datum("iglu:v/z/jsonschema/1-0-0", "{}"));
    let rows = rows(&[&e, &second], 2);
    let names: Vec<_> = rows.dynamic().map(|d| d.0.to_owned()).collect();
    assert_eq!(names, ["contexts_other", "contexts_v_b_1", "unstruct_event_other", "unstruct_event_v_a_1"]);
    assert_eq!(
        one(&rows, CONTEXTS_OTHER).unwrap(),
        r#"[{"schema":"iglu:v/c/jsonschema/1-0-0","data":{"i":1}},{"schema":"iglu:v/d/jsonschema/3-0-1","data":{"i":2}}]"#
    );
    let other = rows.column(UNSTRUCT_OTHER).unwrap().as_string::<i32>();
    assert!(other.is_null(0));
    assert_eq!(other.value(1), r#"{"schema":"iglu:v/z/jsonschema/1-0-0","data":{}}"#);
}

#[test]
fn outcomes_are_sorted_into_the_two_tables() {
    let cause = Cause {
        kind: BadRowKind::SchemaViolations,
        failure: "f".into(),
        schema: None,
        path: None,
        keyword: None,
        message: String::new(),
    };
    let failure = |incomplete: Option<Event>| Failure {
        bad_row: "{}".into(),
        cause: cause.clone(),
        app_id: None,
        collector_ms: 0,
        incomplete: incomplete.map(Box::new),
    };
    let outcomes = [
        Outcome::Enriched(Box::new(page_view("a"))),
        Outcome::Failed(Box::new(failure(Some(page_view("b"))))),
        Outcome::Duplicate(EventAddr::default()),
        Outcome::Failed(Box::new(failure(None))),
        Outcome::Dropped { by: "x".into() },
        Outcome::Enriched(Box::new(page_view("c"))),
    ];
    let items: Vec<_> = outcomes.map(|outcome| Processed::new(EventAddr::default(), outcome)).into();
    let (good, failed) = build(&items);
    let ids = |r: &Rows| -> Vec<String> {
        r.atomic(EVENT_ID).unwrap().as_string::<i32>().iter().map(|v| v.unwrap().to_owned()).collect()
    };
    assert_eq!(ids(&good), ["a", "c"]);
    assert_eq!(ids(&failed), ["b"]);
    let (none, neither) = build(&[]);
    assert!(none.is_empty() && neither.is_empty());
}

#[test]
fn concat_unites_the_columns() {
    let (mut a, mut b) = (page_view("a"), page_view("b"));
    a.unstruct = Some(datum("iglu:v/x/jsonschema/1-0-0", r#"{"i":1}"#));
    b.contexts.push(datum("iglu:v/y/jsonschema/1-0-0", "{}"));
    b.set_text(APP_ID, "shop");
    let parts = [Arc::new(rows(&[&a], 9)), Arc::new(Rows::empty()), Arc::new(rows(&[&b, &a], 9))];
    let all = Rows::concat(&parts).unwrap();
    let direct = rows(&[&a, &b, &a], 9);
    assert_eq!(all.batch, direct.batch);
    assert_eq!(Rows::concat(&[]).unwrap().batch, Rows::empty().batch);
    assert!(all.weight() > 0 && all.weight() < 40_000, "{}", all.weight());
}

/// Prints the price of a row; run with `--ignored --nocapture` and full optimisation.
#[test]
#[ignore = "measures, proves nothing"]
fn price_of_a_row() {
    let mut e = page_view("00000000-0000-4000-8000-000000000000");
    for c in [APP_ID, PLATFORM, EVENT, NAME_TRACKER, V_TRACKER, USER_ID, USER_IPADDRESS, DOMAIN_USERID, NETWORK_USERID]
    {
        e.set_text(c, "some value 123");
    }
    for c in (PAGE_URL..PAGE_URLFRAGMENT).filter(|&c| c != PAGE_URLPORT).chain(BR_NAME..BR_FEATURES_PDF) {
        e.set_text(c, "https://example.com/a/page?with=some&query=1");
    }
    for c in [DVCE_CREATED_TSTAMP, DVCE_SENT_TSTAMP, DERIVED_TSTAMP, ETL_TSTAMP] {
        e.set(c, Cell::Time(1_700_000_000_000));
    }
    e.contexts.push(datum("iglu:com.snowplowanalytics.snowplow/web_page/jsonschema/1-0-0", r#"{"id":"a"}"#));
    e.contexts.push(datum("iglu:com.acme/user/jsonschema/1-0-0", r#"{"id":"a","plan":"b","seats":3}"#));
    let event = Outcome::Enriched(Box::new(e));
    let items: Vec<_> = (0..2000).map(|_| Processed::new(EventAddr::default(), event.clone())).collect();
    let start = std::time::Instant::now();
    for _ in 0..50 {
        std::hint::black_box(build(std::hint::black_box(&items)));
    }
    println!("{} ns a row", start.elapsed().as_nanos() / 100_000);
    println!("{} bytes a row", build(&items).0.weight() / 2000);
}
