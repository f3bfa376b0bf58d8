//! JSON text of the self-describing columns.
//!
//! What a column holds differs from what arrived in two ways: explicit nulls are gone (a missing key and a null read the
//! same in every warehouse), and an entity carries the version of its schema as `_schema_version`. Text that needs neither
//! change is checked and copied; text that is no JSON becomes a JSON string.

use crate::event::json::{self, Json};
use crate::event::model::SelfDescribing;
use crate::event::naming;
use crate::event::schema_key::SchemaKey;
use ahash::AHashMap;
use arrow::array::{Array, ArrayRef, StringBuilder};
use std::sync::Arc;

/// Most self-describing columns in one batch of rows; what comes later goes to the overflow columns.
pub const MAX_DYNAMIC: usize = 1000;
/// Overflow of unstruct events: one object `{"schema", "data"}`. No schema can have this name, which lacks a model.
pub const UNSTRUCT_OTHER: &str = "unstruct_event_other";
/// Overflow of contexts and derived contexts: an array of `{"schema", "data"}`.
pub const CONTEXTS_OTHER: &str = "contexts_other";

const VERSION_KEY: &str = "_schema_version";
/// Deeper than any configured limit of enrichment; only guards the stack.
const MAX_DEPTH: usize = 500;

struct Column {
    name: String,
    list: bool,
    text: StringBuilder,
    /// Rows that are complete.
    rows: usize,
    /// The value of the row being built.
    open: String,
}

/// The columns of one batch of rows while they are built row by row.
pub(super) struct Entities<'a> {
    columns: Vec<Column>,
    by_name: AHashMap<String, usize>,
    /// (is it a context, schema) → column and whether it is an overflow column.
    by_schema: AHashMap<(bool, SchemaKey), (usize, bool)>,
    touched: Vec<usize>,
    rows: usize,
    total: usize,
    admit: &'a Admit<'a>,
}

/// Whether a column may be made: its name, and how many there are already.
pub(super) type Admit<'a> = dyn Fn(&str, usize) -> bool + 'a;

impl<'a> Entities<'a> {
    pub(super) fn new(total: usize, admit: &'a Admit<'a>) -> Self {
        Entities {
            columns: Vec::new(),
            by_name: AHashMap::new(),
            by_schema: AHashMap::new(),
            touched: Vec::new(),
            rows: 0,
            total,
            admit,
        }
    }

    pub(super) fn unstruct(&mut self, datum: &SelfDescribing) {
        let (at, other) = self.column(false, &datum.schema);
        let Some(column) = self.columns.get_mut(at) else { return };
        column.open.clear();
        if other {
            write_envelope(datum, &mut column.open);
        } else {
            write_data(&datum.data, &mut column.open);
        }
        self.touched.push(at);
    }

    pub(super) fn context(&mut self, datum: &SelfDescribing) {
        let (at, other) = self.column(true, &datum.schema);
        let Some(column) = self.columns.get_mut(at) else { return };
        if column.open.is_empty() {
            column.open.push('[');
            self.touched.push(at);
        } else {
            column.open.push(',');
        }
        if other {
            write_envelope(datum, &mut column.open);
        } else {
            write_entity(datum, &mut column.open);
        }
    }

    /// Ends the row.
    pub(super) fn end_row(&mut self) {
        for at in self.touched.drain(..) {
            let Some(column) = self.columns.get_mut(at) else { continue };
            if column.open.is_empty() {
                continue;
            }
            if column.list {
                column.open.push(']');
            }
            column.text.append_nulls(self.rows.saturating_sub(column.rows));
            column.text.append_value(&column.open);
            column.rows = self.rows + 1;
            column.open.clear();
        }
        self.rows += 1;
    }

    /// The finished columns, by name.
    pub(super) fn finish(mut self) -> Vec<(String, ArrayRef)> {
        self.columns.sort_by(|a, b| a.name.cmp(&b.name));
        let finish = |mut c: Column| {
            c.text.append_nulls(self.rows.saturating_sub(c.rows));
            let mut text = c.text.finish();
            // It grew by doubling and is kept until its micro-batch is committed.
            text.shrink_to_fit();
            (c.name, Arc::new(text) as ArrayRef)
        };
        self.columns.into_iter().map(finish).collect()
    }

    fn column(&mut self, list: bool, schema: &SchemaKey) -> (usize, bool) {
        if let Some(&found) = self.by_schema.get(&(list, schema.clone())) {
            return found;
        }
        let name = if list { naming::context_column(schema) } else { naming::unstruct_column(schema) };
        let other = !self.by_name.contains_key(&name) && !(self.admit)(&name, self.by_name.len());
        let name = match (other, list) {
            (false, _) => name,
            (true, true) => CONTEXTS_OTHER.to_owned(),
            (true, false) => UNSTRUCT_OTHER.to_owned(),
        };
        let at = match self.by_name.get(&name) {
            Some(&at) => at,
            None => {
                let at = self.columns.len();
                let text = StringBuilder::with_capacity(self.total, 0);
                self.columns.push(Column { name: name.clone(), list, text, rows: 0, open: String::new() });
                self.by_name.insert(name, at);
                at
            }
        };
        self.by_schema.insert((list, schema.clone()), (at, other));
        (at, other)
    }
}

fn write_data(data: &str, out: &mut String) {
    if is_plain(data) {
        return out.push_str(data);
    }
    match json::parse(data, MAX_DEPTH) {
        Ok(Json::Null) => {}
        Ok(value) => without_nulls(value).write(out),
        Err(_) => json::write_string(data, out),
    }
}

fn write_entity(datum: &SelfDescribing, out: &mut String) {
    let plain = is_plain(&datum.data) && memchr::memmem::find(datum.data.as_bytes(), VERSION_KEY.as_bytes()).is_none();
    let has_members = match plain.then(|| datum.data.strip_suffix('}')).flatten() {
        Some(open) => {
            out.push_str(open);
            open.trim_end() != "{"
        }
        None => {
            let Ok(value) = json::parse(&datum.data, MAX_DEPTH) else { return json::write_string(&datum.data, out) };
            let mut value = without_nulls(value);
            if !matches!(value, Json::Object(_)) {
                return value.write(out);
            }
            value.take(VERSION_KEY);
            value.write(out);
            out.pop();
            value.as_object().is_some_and(|members| !members.is_empty())
        }
    };
    if has_members {
        out.push(',');
    }
    let (m, r, a) = datum.schema.version();
    let mut number = itoa::Buffer::new();
    out.push('"');
    out.push_str(VERSION_KEY);
    out.push_str("\":\"");
    out.push_str(number.format(m));
    out.push('-');
    out.push_str(number.format(r));
    out.push('-');
    out.push_str(number.format(a));
    out.push_str("\"}");
}

fn write_envelope(datum: &SelfDescribing, out: &mut String) {
    out.push_str("{\"schema\":\"");
    out.push_str(&datum.schema.uri());
    out.push_str("\",\"data\":");
    let before = out.len();
    write_data(&datum.data, out);
    if out.len() == before {
        out.push_str("null");
    }
    out.push('}');
}

/// Whether the text can be taken as it is: JSON that every reader accepts, without an explicit null. One text that a reader
/// of the Parquet file refuses (DuckDB: a lone surrogate) would make the whole file unreadable.
fn is_plain(data: &str) -> bool {
    let bytes = data.as_bytes();
    let surrogate = |at: usize| bytes.get(at + 2).is_some_and(|b| b.eq_ignore_ascii_case(&b'd'));
    memchr::memmem::find(bytes, b"null").is_none()
        && !memchr::memmem::find_iter(bytes, b"\\u").any(surrogate)
        && serde_json::from_str::<serde::de::IgnoredAny>(data).is_ok()
}

fn without_nulls(value: Json<'_>) -> Json<'_> {
    match value {
        Json::Object(members) => Json::Object(
            members.into_iter().filter(|(_, v)| *v != Json::Null).map(|(k, v)| (k, without_nulls(v))).collect(),
        ),
        // A null in an array keeps its place: the index of the others is part of the data.
        Json::Array(items) => Json::Array(items.into_iter().map(without_nulls).collect()),
        other => other,
    }
}
