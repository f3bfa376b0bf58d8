//! A record that is too large for one message: its batch is cut into several records, or it becomes a size_violation row.
//!
//! Sizes are counted as the reference counts them (`S` the whole record, `D` the compact `data` array, `M` the limit), so
//! that a batch is cut where it would be cut there; only the order of events is kept, which the reference turns round.

use super::bad_row;
use super::record::{Captured, Records};
use crate::event::json::{self, Json};
use crate::event::schema_key::SchemaKey;
use crate::journal::RecordKind;
use crate::platform::clock::Millis;

/// Deeper JSON is taken for no JSON at all.
pub const MAX_DEPTH: usize = 512;

/// Limits, and the time for rows.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// M.
    pub record: usize,
    /// P.
    pub payload: usize,
    /// When the request came.
    pub now_ms: Millis,
}

/// Adds the record, or what it is to be replaced by.
#[inline]
pub fn store(captured: &Captured<'_>, limits: Limits, out: &mut Records) {
    let body = captured.body.as_deref();
    let size = captured.encoded_len(body.map_or(0, <[u8]>::len));
    if size < limits.record {
        out.add(RecordKind::Payload, size, |block| captured.encode(body, block));
    } else {
        store_large(captured, size, limits, out);
    }
}

#[cold]
fn store_large(captured: &Captured<'_>, size: usize, limits: Limits, out: &mut Records) {
    let violation = |limit: usize, actual: usize, expectation: &str, out: &mut Records| {
        let record = captured.to_bytes(captured.body.as_deref());
        add_row(&bad_row::size_violation(limits.now_ms, limit, actual, expectation, &record), out);
    };
    if size > limits.payload {
        return violation(limits.payload, size, "a request below the limit for payloads", out);
    }
    let batch = match Batch::read(captured, size, limits.record) {
        Ok(batch) => batch,
        Err(expectation) => return violation(limits.record, size, expectation, out),
    };
    let mut events = Packer { open: Vec::new(), total: 0, limit: batch.room };
    for event in batch.events {
        let actual = event.len();
        if actual + 1 > batch.room {
            let record = captured.to_bytes(Some(event.as_bytes()));
            let expectation = "an event that fits into a record by itself";
            add_row(&bad_row::size_violation(limits.now_ms, limits.record, actual, expectation, &record), out);
        } else if let Some(full) = events.push(event) {
            add_part(captured, &batch.schema, &full, out);
        }
    }
    if !events.open.is_empty() {
        add_part(captured, &batch.schema, &events.open, out);
    }
}

/// A batch that can be cut.
struct Batch {
    schema: String,
    events: Vec<String>,
    /// L: what the events of one record may take, a comma counted for each.
    room: usize,
}

impl Batch {
    fn read(captured: &Captured<'_>, size: usize, limit: usize) -> Result<Self, &'static str> {
        let body = captured.body.as_deref().ok_or("a request whose record is below the limit: GET cannot be split")?;
        // As enrichment will read it: one odd byte is no reason to lose the events around it.
        let text = String::from_utf8_lossy(body);
        let size = size - body.len() + text.len();
        let text = text.strip_prefix('\u{FEFF}').unwrap_or(&text);
        let mut json = json::parse(text, MAX_DEPTH).map_err(|_| "a body that is JSON, so that it can be split")?;
        let schema = match json.get("schema") {
            Some(Json::String(schema)) if SchemaKey::parse(schema).is_ok() => schema.to_string(),
            _ => return Err("self-describing JSON, so that it can be split"),
        };
        let Some(data) = json.take("data") else { return Err("self-describing JSON, so that it can be split") };
        let Some(items) = data.as_array().filter(|items| !items.is_empty()) else {
            return Err("an array of events, so that it can be split");
        };
        let events: Vec<String> = items.iter().map(Json::to_text).collect();
        let array = 2 + events.iter().map(String::len).sum::<usize>() + events.len().saturating_sub(1);
        let envelope = size.saturating_sub(array);
        if envelope >= limit {
            return Err("headers and query string that leave room for events");
        }
        Ok(Batch { schema, events, room: limit - envelope })
    }
}

struct Packer {
    open: Vec<String>,
    total: usize,
    limit: usize,
}

impl Packer {
    /// Takes an event; gives back the batch that it did not fit into any more.
    fn push(&mut self, event: String) -> Option<Vec<String>> {
        let cost = event.len() + 1;
        let full = (self.total + cost > self.limit).then(|| {
            self.total = 0;
            std::mem::take(&mut self.open)
        });
        self.total += cost;
        self.open.push(event);
        full
    }
}

fn add_part(captured: &Captured<'_>, schema: &str, events: &[String], out: &mut Records) {
    let mut body = String::from("{\"schema\":");
    json::write_string(schema, &mut body);
    body.push_str(",\"data\":[");
    body.push_str(&events.join(","));
    body.push_str("]}");
    let len = captured.encoded_len(body.len());
    out.add(RecordKind::Payload, len, |block| captured.encode(Some(body.as_bytes()), block));
}

/// Adds a bad row.
pub fn add_row(row: &str, out: &mut Records) {
    out.add(RecordKind::BadRow, row.len(), |block| block.extend_from_slice(row.as_bytes()));
}
