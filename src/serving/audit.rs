//! `GET /v1/events/{event_id}`: everything that is known of one event, from the raw request to the commit.
//!
//! The journal is the truth, so the outcome is worked out again from the raw record; beside it stands what the answers
//! really hold. An event that is older than the dedupe window has no known address any more; then the warehouse row and the
//! micro-batch that it was loaded with are shown without the request.
//!
//! What trackers wrote stays text from end to end: a number of theirs may have more digits than a double.

use super::api::Shared;
use super::deps::{RawKind, RawRecord};
use super::error::{ApiError, ApiResult};
use super::event_row;
use super::failures::LocalAdvice;
use super::merge::Seam;
use super::reply::{self, verbatim};
use super::segments::Segments;
use super::{facts, records};
use crate::batch::warehouse::{SqlColumn, SqlParam, SqlRequest, SqlSink};
use crate::event::{EventAddr, Offset, Outcome, Processed, Replay, columns, payload_json, replay_json, thrift};
use crate::speed::Memory;
use arrow::array::RecordBatch;
use axum::extract::State;
use serde::{Serialize, Serializer};
use serde_json::value::RawValue;
use serde_json::{Map, Value, json};
use uuid::Uuid;

/// Addresses of one id that are shown.
const MAX_ADDRESSES: usize = 20;
/// Rows of one id that are shown.
const MAX_ROWS: u64 = 20;

/// The reply.
#[derive(Serialize)]
struct Audit {
    event_id: Option<String>,
    occurrences: Vec<Occurrence>,
    rows: Vec<Stored>,
    boundary: Value,
    enriched: Offset,
}

/// One place in the journal: the request, what became of the event, and its micro-batch.
#[derive(Serialize)]
struct Occurrence {
    address: String,
    received: Option<String>,
    request: Option<Box<RawValue>>,
    outcome: Option<Box<RawValue>>,
    problem: Option<String>,
    batch: Value,
}

/// A row that the answers hold.
#[derive(Serialize)]
struct Stored {
    table: &'static str,
    row: Filled,
}

pub(super) async fn get(State(api): State<Shared>, Segments(asked): Segments<String>) -> ApiResult {
    let found = api.read("serving.view_timeout", move |api| audit(api, &asked)).await?;
    Ok(reply::json(&found))
}

fn audit(api: &Shared, asked: &str) -> ApiResult<Audit> {
    let address = asked.split_once('.').and_then(|(offset, index)| {
        Some(EventAddr { offset: Offset(offset.parse().ok()?), index: index.parse().ok()? })
    });
    let id = Uuid::try_parse(asked).ok().map(|id| id.hyphenated().to_string());
    if address.is_none() && id.is_none() {
        let shown: String = asked.chars().take(80).collect();
        return Err(ApiError::bad(format!("\"{shown}\" is neither an event id nor an address"))
            .hint("write a UUID, or offset.index as in 9118204.3"));
    }
    let mut seam = Seam::open(api)?;
    let memory = seam.memory(&[], true)?;
    let mut addresses = match (address, &id) {
        (Some(address), _) => vec![address],
        (None, Some(id)) => (api.deps.find)(id)
            .map_err(|e| ApiError::unavailable(format!("the ids of past events cannot be read: {e}")))?,
        (None, None) => Vec::new(),
    };
    if let (true, Some(id)) = (addresses.is_empty(), &id) {
        addresses = failed_with(api, &mut seam, &memory, id)?;
    }
    addresses.truncate(MAX_ADDRESSES);
    let mut occurrences = Vec::new();
    let mut known = id.clone();
    for at in addresses {
        let (occurrence, event_id) = occurrence(api, &mut seam, &memory, at)?;
        known = known.or(event_id);
        occurrences.push(occurrence);
    }
    let rows = match &known {
        Some(id) => rows(api, &mut seam, &memory, id)?,
        None => Vec::new(),
    };
    if rows.is_empty() && occurrences.iter().all(|o| o.request.is_none() && o.outcome.is_none()) {
        return Err(ApiError::not_found(format!("nothing is known of {asked}"))
            .hint("it was never accepted, or it is older than the dedupe window and not in the warehouse"));
    }
    let boundary = facts::boundary(&seam.boundary);
    Ok(Audit { event_id: known, occurrences, rows, boundary, enriched: memory.applied })
}

/// What is known of one place, and the event's id.
fn occurrence(
    api: &Shared,
    seam: &mut Seam,
    memory: &Memory,
    at: EventAddr,
) -> ApiResult<(Occurrence, Option<String>)> {
    let raw = (api.deps.journal.read_at)(at.offset)
        .map_err(|e| ApiError::unavailable(format!("journal record {} cannot be read: {e}", at.offset)))?;
    let mut outcome = None;
    let mut problem = None;
    let mut event_id = None;
    if let Some(raw) = &raw {
        match (api.deps.enrich)(at.offset, raw) {
            Ok(all) => {
                if let Some(event) = all.iter().find(|p| p.addr == at) {
                    event_id = id_of(event);
                    outcome = Some(short(api, event));
                }
            }
            Err(e) => problem = Some(e),
        }
    }
    let batch = match memory.batches.iter().find(|b| b.from <= at.offset && at.offset < b.to) {
        Some(batch) => facts::batch(batch),
        None => records::batch_of(api, seam, at.offset)?.unwrap_or(Value::Null),
    };
    let received = raw.as_ref().and_then(received);
    let request = raw.as_ref().map(request);
    let received = received.and_then(facts::time);
    let occurrence = Occurrence { address: at.to_string(), received, request, outcome, problem, batch };
    Ok((occurrence, event_id))
}

fn short(api: &Shared, event: &Processed) -> Box<RawValue> {
    let mut text = String::new();
    event_row::write_full(event, api.deps.clock.now_ms(), &LocalAdvice::new(api), &mut text);
    verbatim(text)
}

fn id_of(event: &Processed) -> Option<String> {
    let event = match &event.outcome {
        Outcome::Enriched(event) => Some(event),
        Outcome::Failed(failure) => failure.incomplete.as_ref(),
        Outcome::Duplicate(_) | Outcome::Dropped { .. } => None,
    };
    event.and_then(|e| e.text(columns::EVENT_ID)).map(str::to_owned)
}

/// The request as `snowshed journal cat` prints it.
fn request(raw: &RawRecord) -> Box<RawValue> {
    let unreadable = |e: &dyn std::fmt::Display| verbatim(json!({"unreadable": e.to_string()}).to_string());
    let mut text = String::new();
    match raw.kind {
        RawKind::Payload => match thrift::decode(&raw.body) {
            Ok(payload) => payload_json::write_object(&payload, &mut text),
            Err(e) => return unreadable(&e),
        },
        RawKind::BadRow => text = String::from_utf8_lossy(&raw.body).into_owned(),
        RawKind::Replay => match Replay::decode(&raw.body) {
            Ok((replay, carried)) => replay_json::write_replay_object(&replay, &carried, &mut text),
            Err(e) => return unreadable(&e),
        },
    }
    verbatim(text)
}

fn received(raw: &RawRecord) -> Option<i64> {
    match raw.kind {
        RawKind::Payload => thrift::decode(&raw.body).ok().map(|p| p.timestamp_ms),
        RawKind::BadRow | RawKind::Replay => None,
    }
}

/// Addresses of failed events that carry this id; the dedupe index does not know failed ones.
fn failed_with(api: &Shared, seam: &mut Seam, memory: &Memory, id: &str) -> ApiResult<Vec<EventAddr>> {
    let failures = memory.tail.iter().flat_map(|t| &t.failures);
    let mut found: Vec<EventAddr> = failures.filter(|f| f.failure.bad_row.contains(id)).map(|f| f.addr).collect();
    let sql = format!(
        "SELECT journal_offset, event_index FROM stored_bad_rows WHERE contains(bad_row::VARCHAR, ?) \
         ORDER BY journal_offset DESC LIMIT {MAX_ADDRESSES}"
    );
    let rows =
        records::select(api, seam, Some(memory), &sql, vec![SqlParam::Text(id.to_owned())], MAX_ADDRESSES as u64)?;
    let address = |row: &Map<String, Value>| {
        let offset = row.get("journal_offset")?.as_u64()?;
        Some(EventAddr { offset: Offset(offset), index: u32::try_from(row.get("event_index")?.as_u64()?).ok()? })
    };
    found.extend(rows.iter().filter_map(address));
    found.sort_unstable_by(|a, b| b.cmp(a));
    found.dedup();
    Ok(found)
}

/// What the answers hold under this id: rows of `events` and of `events_failed`, empty columns left out.
fn rows(api: &Shared, seam: &mut Seam, memory: &Memory, id: &str) -> ApiResult<Vec<Stored>> {
    let mut all = Vec::new();
    for table in ["events", "events_failed"] {
        let request = SqlRequest {
            sql: format!("SELECT * FROM {table} WHERE event_id = ? LIMIT {MAX_ROWS}"),
            params: vec![SqlParam::Text(id.to_owned())],
            max_rows: MAX_ROWS,
            max_bytes: 16 << 20,
            timeout: api.config.view_timeout.to_duration(),
        };
        let mut sink = Gathered::default();
        seam.sql(&request, memory, &mut sink)?;
        all.extend(sink.rows.into_iter().map(|row| Stored { table, row }));
    }
    Ok(all)
}

/// The columns of a row that are not null, in the order of the table, each as JSON.
#[derive(Default)]
struct Filled(Vec<(String, Box<RawValue>)>);

impl Serialize for Filled {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(name, value)| (name, value)))
    }
}

/// Rows with what is filled in them.
#[derive(Default)]
struct Gathered {
    names: Vec<(String, bool)>,
    rows: Vec<Filled>,
}

impl SqlSink for Gathered {
    fn columns(&mut self, columns: &[SqlColumn]) -> bool {
        self.names = columns.iter().map(|c| (c.name.clone(), c.kind == "JSON")).collect();
        true
    }

    fn rows(&mut self, batch: RecordBatch) -> bool {
        for row in 0..batch.num_rows() {
            let mut filled = Filled::default();
            for ((name, is_json), column) in self.names.iter().zip(batch.columns()) {
                let mut text = String::new();
                super::sql::write_json(column.as_ref(), row, super::sql::Ints::Number, &mut text);
                // A semi-structured column comes as text that holds JSON.
                let inner = if *is_json { serde_json::from_str::<String>(&text).ok() } else { None };
                let value = verbatim(inner.unwrap_or(text));
                if value.get() != "null" {
                    filled.0.push((name.clone(), value));
                }
            }
            self.rows.push(filled);
        }
        true
    }
}
