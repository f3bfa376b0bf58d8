//! Views as a whole: any cut gives one answer, the stored form says the same, questions are checked.

use super::testing::{self, Row as Event};
use super::*;
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

const DAY: i64 = 86_400_000;

/// All kinds of measures over all kinds of fields.
const EVERYTHING: &str = r#"
name = "everything"
grain = "1m"
dimensions = ["app_id", "page_urlport", "dvce_ismobile", "unstruct_event_com_acme_search_1.lang"]
where = { event_name = ["page_view", "search"] }
windows = ["1s", "10s"]
[measures]
events = "count"
paid = "count(tr_total)"
revenue = "sum(tr_total)"
value = "sum(se_value)"
ports = "sum(page_urlport)"
mean = "avg(tr_total)"
least = "min(se_value)"
most = "max(tr_total)"
last = "max(derived_tstamp)"
users = "distinct(domain_userid)"
load_p95 = "quantile(contexts_org_w3_performance_timing_1.loadEventEnd, 0.95)"
pages = "top(page_urlpath, 5)"
"#;

fn view(text: &str) -> Arc<View> {
    toml_edit::de::from_str::<ViewDef>(text).unwrap().compile().unwrap()
}

fn fold(view: &Arc<View>, events: &[Event]) -> Fold {
    let mut fold = Fold::new(view.clone());
    fold.add(&testing::rows(events)).unwrap();
    fold
}

fn pick(of: &'static [Option<&'static str>]) -> impl Strategy<Value = Option<String>> {
    proptest::sample::select(of).prop_map(|v| v.map(str::to_owned))
}

prop_compose! {
    fn event()(
        arrival in 0i64..200_000,
        derived in proptest::option::weighted(0.9, -100_000i64..400_000),
        app in pick(&[Some("shop"), Some("blog"), None, Some("it's"), Some("")]),
        event in pick(&[Some("page_view"), Some("search"), Some("page_ping"), None]),
        user in proptest::option::weighted(0.8, 0u32..80),
        page in pick(&[Some("/"), Some("/cars"), Some("/cars/42"), None, Some("/ü")]),
        port in proptest::option::of(proptest::sample::select(vec![80, 443, -1])),
        mobile in proptest::option::of(any::<bool>()),
        total_cents in proptest::option::of(-1_000_000i64..1_000_000_000_000),
        value in proptest::option::of(prop_oneof![-1e6..1e6, Just(0.1), Just(f64::NAN), Just(1e300), Just(-0.0)]),
        load in proptest::option::of(prop_oneof![
            (0u32..60_000).prop_map(|v| v.to_string()), Just("12.75".to_owned()), Just("\"slow\"".to_owned())]),
        lang in proptest::option::of(proptest::sample::select(vec!["\"en\"", "7", "7.5", "true", "null", "[1]"])),
    ) -> Event {
        Event {
            arrival, derived, app, event, page, port, mobile, total_cents, value,
            user: user.map(|u| format!("user-{u}")),
            timing: load.map(|v| format!(r#"[{{"_schema_version":"1-0-0","loadEventEnd":{v}}},{{"loadEventEnd":1}}]"#)),
            search: lang.map(|v| format!(r#"{{"query":{{"lang":1}},"lang":{v}}}"#)),
        }
    }
}

type NaiveKey = (i64, Vec<Option<String>>);

/// The same numbers the long way round.
#[derive(Default, Debug)]
struct Naive {
    events: u64,
    cents: Vec<i64>,
    values: Vec<f64>,
    ports: Vec<i64>,
    last: Option<i64>,
    users: BTreeSet<String>,
    loads: Vec<f64>,
    pages: BTreeMap<String, u64>,
}

fn naive(events: &[Event]) -> BTreeMap<NaiveKey, Naive> {
    let mut all: BTreeMap<NaiveKey, Naive> = BTreeMap::new();
    for e in events {
        if !matches!(e.event.as_deref(), Some("page_view" | "search")) {
            continue;
        }
        let lang =
            e.search.as_ref().and_then(|s| serde_json::from_str::<serde_json::Value>(s).unwrap().get("lang").cloned());
        let lang = match lang {
            Some(serde_json::Value::String(s)) => Some(s),
            Some(v @ (serde_json::Value::Number(_) | serde_json::Value::Bool(_))) => Some(v.to_string()),
            _ => None,
        };
        let dims = vec![e.app.clone(), e.port.map(|p| p.to_string()), e.mobile.map(|m| m.to_string()), lang];
        let group = all.entry((e.derived.unwrap_or(e.arrival).div_euclid(60_000) * 60_000, dims)).or_default();
        group.events += 1;
        group.cents.extend(e.total_cents);
        group.values.extend(e.value.filter(|v| v.is_finite()));
        group.ports.extend(e.port.map(i64::from));
        group.last = group.last.max(e.derived);
        group.users.extend(e.user.clone());
        if let Some(t) = &e.timing {
            let first = serde_json::from_str::<serde_json::Value>(t).unwrap()[0]["loadEventEnd"].as_f64();
            group.loads.extend(first);
        }
        if let Some(p) = &e.page {
            *group.pages.entry(p.clone()).or_default() += 1;
        }
    }
    all
}

fn check_group(group: &Group<'_>, naive: &Naive, view: &View) {
    let value = |name: &str| {
        let m = view.measures().iter().position(|m| m.name == name).unwrap();
        group.aggregates[m].value(&view.measures()[m])
    };
    assert_eq!(group.rows, naive.events);
    assert_eq!(value("events"), Value::Whole(i128::from(naive.events)));
    assert_eq!(value("paid"), Value::Whole(naive.cents.len() as i128));
    let some = |n: usize, v: Value| if n == 0 { Value::Null } else { v };
    let cents: i128 = naive.cents.iter().map(|c| i128::from(*c)).sum();
    assert_eq!(value("revenue"), some(naive.cents.len(), Value::Decimal(cents, 2)));
    let small: Vec<i128> =
        naive.values.iter().filter(|v| v.abs() < 1e20).map(|v| (v * 1e9).round_ties_even() as i128).collect();
    assert_eq!(value("value"), some(small.len(), Value::Decimal(small.iter().sum(), 9)));
    assert_eq!(value("ports"), some(naive.ports.len(), Value::Decimal(naive.ports.iter().sum::<i64>().into(), 0)));
    let mean = cents as f64 / 100.0 / naive.cents.len() as f64;
    assert_eq!(value("mean"), some(naive.cents.len(), Value::Double(mean)));
    let least = naive.values.iter().copied().min_by(f64::total_cmp).map_or(Value::Null, |v| Value::Double(v + 0.0));
    assert_eq!(value("least"), least);
    let most = naive.cents.iter().max().map_or(Value::Null, |v| Value::Decimal(i128::from(*v), 2));
    assert_eq!(value("most"), most);
    assert_eq!(value("last"), naive.last.map_or(Value::Null, |v| Value::Time(v * 1000)));
    assert_eq!(value("users"), Value::Whole(naive.users.len() as i128));
    match value("load_p95") {
        Value::Double(got) => {
            let mut loads = naive.loads.clone();
            loads.sort_by(f64::total_cmp);
            let exact = loads[(loads.len() * 95).div_ceil(100).max(1) - 1];
            assert!((got - exact).abs() <= 0.008 * exact, "{got} for {exact}");
        }
        other => assert_eq!((other, naive.loads.len()), (Value::Null, 0)),
    }
    let mut pages: Vec<(u64, &String)> = naive.pages.iter().map(|(p, n)| (*n, p)).collect();
    pages.sort_by(|a, b| b.0.cmp(&a.0).then(a.1.cmp(b.1)));
    let Value::Top(top) = value("pages") else { panic!("no list") };
    assert_eq!(top.iter().map(|i| (i.count, &i.value)).collect::<Vec<_>>(), pages);
}

fn words(key: &Key) -> NaiveKey {
    (key.time, key.dims.iter().map(|d| d.as_deref().map(str::to_owned)).collect())
}

fn as_json(groups: &Groups) -> String {
    serde_json::to_string(&answer::rows(groups, groups.sorted())).unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    /// The law of the folder: chunks, micro-batches, layers, stored or not, in any order, are one answer.
    #[test]
    fn any_cut_in_any_order_is_the_naive_answer(
        events in prop::collection::vec(event(), 1..250),
        cuts in prop::collection::vec((0usize..250, any::<bool>(), any::<bool>()), 0..8),
        seed in any::<u64>(),
    ) {
        let view = view(EVERYTHING);
        let expected = naive(&events);
        let whole = fold(&view, &events);
        prop_assert_eq!(whole.groups().len(), expected.len());
        for group in whole.groups().iter() {
            check_group(&group, &expected[&words(group.key)], &view);
        }
        let mut cuts: Vec<_> = cuts.into_iter().map(|(at, new, stored)| (at.min(events.len()), new, stored)).collect();
        cuts.push((events.len(), true, true));
        cuts.sort_unstable();
        let (mut parts, mut at) = (Vec::new(), 0);
        let mut open = Fold::new(view.clone());
        for (to, new, stored) in cuts {
            open.add(&testing::rows(&events[at..to])).unwrap();
            at = to;
            if new || to == events.len() {
                let done = std::mem::replace(&mut open, Fold::new(view.clone()));
                parts.push(if stored {
                    Groups::from_record_batch(&view, &done.to_record_batch().unwrap()).unwrap()
                } else {
                    done.into_groups()
                });
            }
        }
        let mut rest = seed;
        let mut merged = Groups::new(view.clone());
        while !parts.is_empty() {
            merged.merge(&parts.swap_remove(rest as usize % parts.len()));
            rest = rest.rotate_right(7);
        }
        prop_assert_eq!(as_json(&merged), as_json(whole.groups()));
        let (a, b) = (merged.to_record_batch().unwrap(), whole.to_record_batch().unwrap());
        for column in ["time", "app_id", "_rows", "events", "revenue", "value", "mean_sum", "mean_count", "least", "load_p95"] {
            prop_assert_eq!(a.column_by_name(column).unwrap(), b.column_by_name(column).unwrap(), "{}", column);
        }
    }

    /// Coarser buckets, fewer dimensions, filters and zones are folds of the stored groups.
    #[test]
    fn questions_are_folds_of_the_stored_groups(
        events in prop::collection::vec(event(), 1..200),
        cut in 0usize..200,
        grain in proptest::sample::select(vec!["1m", "5m", "1h", "1d", "all"]),
        by in proptest::sample::subsequence(vec!["app_id", "page_urlport"], 0..=2),
        exclude in any::<bool>(),
        from in -90_000i64..100_000,
    ) {
        let view = view(EVERYTHING);
        let cut = cut.min(events.len());
        let (old, new) = (fold(&view, &events[..cut]), fold(&view, &events[cut..]));
        let query = ViewQuery {
            grain: Some(Grain::parse(grain).unwrap()),
            by: Some(by.iter().map(|b| (*b).to_owned()).collect()),
            filter: vec![Filter { dimension: "app_id".to_owned(), values: vec![Some("shop".to_owned()), None], exclude }],
            tz: Some("Asia/Kolkata".to_owned()),
            ..ViewQuery::range(from, 300_000)
        };
        let answer = answer::reduce(&view, &query, Layer::Split, [old.groups()], [new.groups()], 10_000).unwrap();
        let from = from.div_euclid(60_000) * 60_000;
        let mut expected: BTreeMap<NaiveKey, [u64; 2]> = BTreeMap::new();
        for (half, part) in [&events[..cut], &events[cut..]].into_iter().enumerate() {
            for ((time, dims), group) in naive(part) {
                let named = matches!(dims[0].as_deref(), None | Some("shop"));
                if !(from..300_000).contains(&time) || named == exclude {
                    continue;
                }
                const KOLKATA: i64 = 19_800_000;
                let bucket = match grain {
                    "all" => from,
                    "1d" => (time + KOLKATA).div_euclid(DAY) * DAY - KOLKATA,
                    "1h" => (time + KOLKATA).div_euclid(3_600_000) * 3_600_000 - KOLKATA,
                    "5m" => time.div_euclid(300_000) * 300_000,
                    _ => time,
                };
                let kept = ["app_id", "page_urlport"].iter().zip(&dims).filter(|(d, _)| by.contains(d));
                expected.entry((bucket, kept.map(|(_, v)| v.clone()).collect())).or_default()[half] += group.events;
            }
        }
        let got: Vec<(NaiveKey, [u64; 2], u64)> = answer.rows.iter().map(|row| {
            let json = serde_json::to_value(row).unwrap();
            let n = |part: &str| json["events"][part].as_u64().unwrap();
            let dims = row.dims.iter().map(|d| d.as_deref().map(str::to_owned)).collect();
            ((row.time, dims), [n("batch"), n("speed")], n("merged"))
        }).collect();
        let want: Vec<_> = expected.into_iter().map(|(k, v)| (k, v, v[0] + v[1])).collect();
        prop_assert_eq!(got, want);
        prop_assert_eq!(answer.total_rows, answer.rows.len());
    }

    /// The bound is applied in the order of the events, so chunking does not matter, and nothing is lost by it.
    #[test]
    fn overflow_does_not_depend_on_chunks(
        events in prop::collection::vec(event(), 1..150), cut in 0usize..150, max in 1usize..6,
    ) {
        let text = EVERYTHING.replace("grain = \"1m\"", &format!("grain = \"1m\"\nmax_groups = {max}"));
        let view = view(&text);
        let whole = fold(&view, &events);
        let mut chunked = Fold::new(view.clone());
        let cut = cut.min(events.len());
        chunked.add(&testing::rows(&events[..cut])).unwrap();
        chunked.add(&testing::rows(&events[cut..])).unwrap();
        prop_assert_eq!(as_json(whole.groups()), as_json(chunked.groups()));
        let expected = naive(&events);
        let rows: u64 = expected.values().map(|n| n.events).sum();
        prop_assert_eq!(whole.groups().total_rows(), rows);
        prop_assert!(whole.groups().len() <= 2 * max + 1);
        prop_assert_eq!(whole.groups().other_rows() > 0, expected.len() > max);
        let all = ViewQuery { by: Some(vec![]), grain: Some(Grain::Whole), ..ViewQuery::range(-DAY, DAY) };
        let answer = answer::reduce(&view, &all, Layer::Speed, [], [whole.groups()], 10).unwrap();
        prop_assert_eq!(answer.other_rows, whole.groups().other_rows());
        if rows > 0 {
            prop_assert_eq!(&serde_json::to_value(&answer.rows[0]).unwrap()["events"], &serde_json::json!(rows));
        }
    }
}

#[test]
fn the_view_of_the_manual_is_read_and_answers_as_written() {
    let view = view(
        r#"
        name       = "traffic"
        grain      = "1m"
        time       = "derived_tstamp"
        dimensions = ["app_id", "event_name"]
        where      = { platform = ["web", "mob"] }
        windows    = ["1s", "10s", "1m", "5m", "1h"]
        publish    = "250ms"
          [measures]
          events   = "count"
          users    = "distinct(domain_userid)"
          revenue  = "sum(tr_total)"
          load_p95 = "quantile(contexts_org_w3_performance_timing_1.loadEventEnd, 0.95)"
          pages    = "top(page_urlpath, 20)"
        "#,
    );
    assert_eq!(view.windows(), [1000, 10_000, 60_000, 300_000, 3_600_000]);
    assert_eq!(view.publish_ms(), Some(250));
    let names: Vec<String> = view.storage_schema().fields().iter().map(|f| f.name().clone()).collect();
    assert_eq!(names, ["time", "app_id", "event_name", "_rows", "events", "users", "revenue", "load_p95", "pages"]);
    assert_eq!(view.self_describing_columns().collect::<Vec<_>>(), ["contexts_org_w3_performance_timing_1"]);
    let none = answer::reduce(&view, &ViewQuery::range(0, 60_000), Layer::Merged, [], [], 10).unwrap();
    assert_eq!(none.rows.len(), 0);
    assert_eq!(serde_json::to_value(&none.error).unwrap()["users"], serde_json::json!(0.016));
}

#[test]
fn rows_are_flat_objects_with_exact_digits() {
    let view = view(EVERYTHING);
    let event = Event {
        arrival: 1_000,
        app: Some("shop".to_owned()),
        event: Some("page_view".to_owned()),
        user: Some("u".to_owned()),
        page: Some("/cars".to_owned()),
        total_cents: Some(123_456_789_012_345_678),
        value: Some(0.1),
        ..Event::default()
    };
    let fold = fold(&view, &[event.clone(), event]);
    let query = ViewQuery { by: Some(vec!["app_id".to_owned()]), ..ViewQuery::range(0, 1) };
    let answer = answer::reduce(&view, &query, Layer::Merged, [fold.groups()], [], 10).unwrap();
    assert_eq!(
        serde_json::to_string(&answer.rows).unwrap(),
        r#"[{"time":"1970-01-01T00:00:00.000Z","app_id":"shop","events":2,"paid":2,"revenue":2469135780246913.56,"value":0.2,"ports":null,"mean":1234567890123456.8,"least":0.1,"most":1234567890123456.78,"last":null,"users":1,"load_p95":null,"pages":[{"value":"/cars","count":2}]}]"#
    );
    let cut = answer::reduce(&view, &query, Layer::Merged, [fold.groups()], [], 0).unwrap();
    assert_eq!((cut.rows.len(), cut.total_rows), (0, 1));
}

#[test]
fn wrong_definitions_are_refused_with_key_and_remedy() {
    let def = |change: &dyn Fn(&mut ViewDef)| {
        let mut def: ViewDef = toml_edit::de::from_str(EVERYTHING).unwrap();
        change(&mut def);
        def.compile().unwrap_err().to_string()
    };
    let span = |t: &str| crate::platform::units::Span::parse(t).unwrap();
    let cases = [
        (def(&|d| d.name = "Traffic".to_owned()), "name"),
        (def(&|d| d.name = "sessions".to_owned()), "name"),
        (def(&|d| d.grain = span("7s")), "grain"),
        (def(&|d| d.grain = span("2d")), "grain"),
        (def(&|d| d.max_groups = 0), "max_groups"),
        (def(&|d| d.publish = Some(span("1ms"))), "publish"),
        (def(&|d| d.windows = vec![span("2h")]), "windows"),
        (def(&|d| d.dimensions.push("tr_total".to_owned())), "dimensions"),
        (def(&|d| d.dimensions.push("nonsense".to_owned())), "dimensions"),
        (def(&|d| d.dimensions.push("app_id".to_owned())), "app_id"),
        (def(&|d| d.only.0.push(("page_urlpath".to_owned(), Allowed::Any(vec![])))), "where.page_urlpath"),
        (def(&|d| d.measures.0.clear()), "measures"),
        (def(&|d| d.measures.0.push(("time".to_owned(), "count".to_owned()))), "time"),
        (def(&|d| d.measures.0.push(("x".to_owned(), "median(tr_total)".to_owned()))), "measures.x"),
    ];
    for (why, key) in cases {
        assert!(why.contains(key) && why.contains("allowed") && why.contains("view \""), "{key}: {why}");
    }
    assert!(toml_edit::de::from_str::<ViewDef>(&format!("colour = 1\n{EVERYTHING}")).is_err());
}

#[test]
fn wrong_questions_are_the_askers_fault_and_say_what_works() {
    let hourly = view(&EVERYTHING.replace("\"1m\"", "\"1h\""));
    let ask = |change: &dyn Fn(&mut ViewQuery)| {
        let mut query = ViewQuery::range(0, DAY);
        change(&mut query);
        let why = hourly.plan(&query).unwrap_err();
        assert!(why.is_askers_fault());
        (why.to_string(), why.hint().unwrap().to_owned())
    };
    let (why, hint) = ask(&|q| q.tz = Some("Asia/Kolkata".to_owned()));
    assert!(why.contains("+05:30") && hint.contains("finer grain"), "{why} / {hint}");
    assert!(ask(&|q| q.tz = Some("Atlantis".to_owned())).1.contains("Europe/Paris"));
    assert!(ask(&|q| q.grain = Some(Grain::Every(1_800_000))).1.contains("multiple of \"1h\""));
    assert!(ask(&|q| q.by = Some(vec!["user_id".to_owned()])).1.contains("app_id"));
    assert!(ask(&|q| q.to_ms = 0).0.contains("empty"));
    assert!(Grain::parse("soon").unwrap_err().hint().unwrap().contains("all"));
    assert!(hourly.plan(&ViewQuery { tz: Some("Europe/Paris".to_owned()), ..ViewQuery::range(0, DAY) }).is_ok());
}

#[test]
fn foreign_tables_and_rows_are_refused_by_column() {
    let full = view(EVERYTHING);
    let stored = fold(&full, &[]).to_record_batch().unwrap();
    let why = Groups::from_record_batch(&full, &stored.project(&[0, 1, 2, 3, 4]).unwrap()).unwrap_err();
    assert!(why.to_string().contains("derived.everything, column _rows"), "{why}");
    let events = testing::rows(&[Event::default()]);
    let few = events.batch.project(&[0, 1, 2]).unwrap();
    assert!(matches!(Fold::new(full).add_batch(&few), Err(ViewError::Rows { .. })));
}

#[test]
fn changed_groups_are_those_of_later_stamps() {
    let view = view(EVERYTHING);
    let at = |app: &str| Event { app: Some(app.to_owned()), event: Some("search".to_owned()), ..Event::default() };
    let mut fold = Fold::new(view);
    fold.set_stamp(1);
    fold.add(&testing::rows(&[at("a"), at("b")])).unwrap();
    fold.set_stamp(2);
    fold.add(&testing::rows(&[at("b"), at("c")])).unwrap();
    let changed =
        |since| fold.changed_since(since).map(|g| g.key.dims[0].clone().unwrap().to_string()).collect::<Vec<_>>();
    assert_eq!(changed(0), ["a", "b", "c"]);
    assert_eq!(changed(1), ["b", "c"]);
    assert_eq!(changed(2), Vec::<String>::new());
}

#[test]
fn long_values_make_groups_by_their_first_characters() {
    let view = view(EVERYTHING);
    let long = |tail: &str| Event {
        app: Some(format!("{}{tail}", "ü".repeat(1000))),
        event: Some("search".to_owned()),
        search: Some(format!("{{\"lang\":\"{}{tail}\"}}", "x".repeat(1000))),
        ..Event::default()
    };
    let fold = fold(&view, &[long("a"), long("b")]);
    assert_eq!(fold.groups().len(), 1);
    let key = fold.groups().iter().next().unwrap().key.clone();
    assert_eq!((key.dims[0].as_ref().unwrap().len(), key.dims[3].as_ref().unwrap().len()), (2000, 1000));
}

#[test]
fn the_views_that_come_along_compile() {
    for def in builtin().into_iter().chain(defaults()) {
        def.compile().unwrap();
    }
    assert_eq!(builtin()[0].name, PULSE);
}
