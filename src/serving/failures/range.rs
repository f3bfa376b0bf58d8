//! Failures of any range: the bad rows in the warehouse and in staged files, and those in memory, grouped alike.

use super::{Ask, Example, Found, Group, POINTS};
use crate::batch::warehouse::SqlParam;
use crate::event::{BadRowKind, Cause, EventAddr, Offset};
use crate::platform::clock::Millis;
use crate::serving::api::Api;
use crate::serving::error::ApiResult;
use crate::serving::merge::Seam;
use crate::serving::{facts, records};
use crate::speed::{FailedEvent, Memory};
use serde_json::{Map, Value};
use std::collections::HashMap;
use std::sync::Arc;

/// Causes of one range; beyond it the rarest are only counted.
const MAX_CAUSES: u64 = 5000;
/// What makes a cause, as columns of `atomic.bad_rows`.
const KEY: &str = "kind, failure, schema, path, keyword";

type Key = (String, String, Option<String>, Option<String>, Option<String>);

/// Reads a range from both halves, as of one moment.
pub(super) fn read(api: &Api, ask: &Ask) -> ApiResult<Found> {
    let mut seam = Seam::open(api)?;
    let memory = seam.memory(&[], true)?;
    let mut groups: HashMap<Key, Group> = HashMap::new();
    let mut range = condition(ask);
    without(&mut range, memory.tail.as_ref().map_or(&[], |t| t.repaired.as_slice()));
    for row in causes(api, &mut seam, &memory, ask, range.clone())? {
        if let Some((key, group)) = committed(&row, ask) {
            groups.insert(key, group);
        }
    }
    for row in series(api, &mut seam, &memory, ask, range)? {
        let at = number(&row, "point").unwrap_or(0) as usize;
        if let Some(cell) = groups.get_mut(&key_of(&row)).and_then(|g| g.series.get_mut(at.min(POINTS - 1))) {
            *cell += number(&row, "n").unwrap_or(0);
        }
    }
    let tail = memory.tail.unwrap_or_default();
    for failed in &tail.failures {
        add(&mut groups, failed, ask);
    }
    groups.retain(|_, g| ask.wants(&g.cause));
    let boundary = Some((facts::boundary(&seam.boundary), memory.applied));
    Ok(Found { groups: groups.into_values().collect(), uncaused: tail.failures_left_out, boundary })
}

/// A condition in SQL and its parameters.
type Condition = (String, Vec<SqlParam>);

/// The range.
fn condition(ask: &Ask) -> Condition {
    let micros = |ms: Millis| ms.saturating_mul(1000);
    let mut sql = format!(
        "repaired_at IS NULL AND collector_tstamp >= make_timestamp({}) AND collector_tstamp < make_timestamp({})",
        micros(ask.from),
        micros(ask.to)
    );
    let mut params = Vec::new();
    for (column, value) in [("app_id", &ask.app), ("schema", &ask.schema)] {
        if let Some(value) = value {
            sql.push_str(&format!(" AND coalesce({column}, '') = ?"));
            params.push(SqlParam::Text(value.clone()));
        }
    }
    (sql, params)
}

/// Leaves out what is repaired in memory: the warehouse learns of it with the next commit.
fn without((sql, params): &mut Condition, repaired: &[EventAddr]) {
    if repaired.is_empty() {
        return;
    }
    sql.push_str(" AND (journal_offset || '.' || event_index) NOT IN (SELECT unnest(string_split(?, ',')))");
    let list: Vec<String> = repaired.iter().map(EventAddr::to_string).collect();
    params.push(SqlParam::Text(list.join(",")));
}

/// Rows of an answer.
type Records = ApiResult<Vec<Map<String, Value>>>;

fn causes(api: &Api, seam: &mut Seam, memory: &Memory, ask: &Ask, (range, params): Condition) -> Records {
    let examples = ask.examples.max(1);
    let sql = format!(
        "SELECT {KEY}, count(*) AS n, epoch_ms(min(collector_tstamp)) AS first, epoch_ms(max(collector_tstamp)) AS last, \
         arg_max(message, collector_tstamp) AS message, list(DISTINCT coalesce(app_id, ''))[1:{apps}] AS apps, \
         arg_max({{'offset': journal_offset, 'index': event_index, 'app': app_id, 'time': epoch_ms(collector_tstamp), \
         'bad_row': bad_row::VARCHAR}}, collector_tstamp, {examples}) AS examples \
         FROM stored_bad_rows WHERE {range} GROUP BY {KEY} ORDER BY n DESC LIMIT {MAX_CAUSES}",
        apps = super::MAX_APPS,
    );
    records::select(api, seam, Some(memory), &sql, params, MAX_CAUSES)
}

fn series(api: &Api, seam: &mut Seam, memory: &Memory, ask: &Ask, (range, params): Condition) -> Records {
    let sql = format!(
        "SELECT {KEY}, (epoch_ms(collector_tstamp) - {from}) * {POINTS} // {width} AS point, count(*) AS n \
         FROM stored_bad_rows WHERE {range} GROUP BY ALL",
        from = ask.from,
        width = (ask.to - ask.from).max(1),
    );
    records::select(api, seam, Some(memory), &sql, params, MAX_CAUSES * POINTS as u64)
}

fn text(row: &Map<String, Value>, name: &str) -> Option<String> {
    row.get(name).and_then(Value::as_str).map(str::to_owned)
}

fn number(row: &Map<String, Value>, name: &str) -> Option<u64> {
    row.get(name).and_then(Value::as_u64)
}

fn key_of(row: &Map<String, Value>) -> Key {
    let text = |name| text(row, name);
    (
        text("kind").unwrap_or_default(),
        text("failure").unwrap_or_default(),
        text("schema"),
        text("path"),
        text("keyword"),
    )
}

fn committed(row: &Map<String, Value>, ask: &Ask) -> Option<(Key, Group)> {
    let key = key_of(row);
    let cause = Cause {
        kind: kind(&key.0)?,
        failure: key.1.clone(),
        schema: key.2.clone(),
        path: key.3.clone(),
        keyword: key.4.clone(),
        message: text(row, "message").unwrap_or_default(),
    };
    let time = |name: &str| row.get(name).and_then(Value::as_i64).unwrap_or(0);
    let list = |name: &str| row.get(name).and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
    let apps = list("apps").iter().filter_map(Value::as_str);
    let examples = list("examples").iter().filter_map(Value::as_object).filter_map(example);
    let group = Group {
        cause,
        count: number(row, "n")?,
        first: time("first"),
        last: time("last"),
        apps: apps.map(|a| (Some(a.to_owned()).filter(|a| !a.is_empty()), 1)).collect(),
        series: vec![0; POINTS],
        examples: examples.take(ask.examples.max(1)).collect(),
    };
    Some((key, group))
}

fn example(row: &Map<String, Value>) -> Option<Example> {
    let addr = EventAddr { offset: Offset(number(row, "offset")?), index: u32::try_from(number(row, "index")?).ok()? };
    let bad_row = text(row, "bad_row")?;
    Some(Example { addr, app_id: text(row, "app"), time: row.get("time").and_then(Value::as_i64), bad_row })
}

/// The kind with this name; a warehouse of a newer program may hold others.
fn kind(name: &str) -> Option<BadRowKind> {
    use BadRowKind::{
        AdapterFailures, CollectorPayloadFormatViolation, EnrichmentFailures, GenericError, SchemaViolations,
        SizeViolation, TrackerProtocolViolations,
    };
    let all = [
        CollectorPayloadFormatViolation,
        AdapterFailures,
        TrackerProtocolViolations,
        SchemaViolations,
        EnrichmentFailures,
        SizeViolation,
        GenericError,
    ];
    all.into_iter().find(|k| k.name() == name)
}

/// Counts a failure that is in memory.
fn add(groups: &mut HashMap<Key, Group>, failed: &Arc<FailedEvent>, ask: &Ask) {
    let failure = &failed.failure;
    let at = failure.collector_ms;
    let app = failure.app_id.as_deref().unwrap_or("");
    if at < ask.from || at >= ask.to || ask.app.as_deref().is_some_and(|a| a != app) {
        return;
    }
    let c = &failure.cause;
    let key = (c.kind.name().to_owned(), c.failure.clone(), c.schema.clone(), c.path.clone(), c.keyword.clone());
    let group = groups.entry(key).or_insert_with(|| Group {
        cause: c.clone(),
        count: 0,
        first: at,
        last: at,
        apps: Vec::new(),
        series: vec![0; POINTS],
        examples: Vec::new(),
    });
    group.count += 1;
    group.first = group.first.min(at);
    group.last = group.last.max(at);
    let point = (at - ask.from) * POINTS as i64 / (ask.to - ask.from).max(1);
    if let Some(cell) = usize::try_from(point).ok().and_then(|p| group.series.get_mut(p)) {
        *cell += 1;
    }
    match group.apps.iter().position(|(a, _)| a.as_deref().unwrap_or("") == app) {
        Some(known) => group.apps[known].1 += 1,
        None if group.apps.len() < 2 * super::MAX_APPS => group.apps.push((failure.app_id.clone(), 1)),
        None => {}
    }
    let example =
        Example { addr: failed.addr, app_id: failure.app_id.clone(), time: Some(at), bad_row: failure.bad_row.clone() };
    group.examples.insert(0, example);
    group.examples.truncate(ask.examples.max(1));
}
