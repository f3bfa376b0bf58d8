//! The canonical event.
//!
//! One event is one text buffer and 131 small cells that point into it: setting a column is an append, copying an event is
//! two allocations, and nothing is parsed twice. Self-describing data stay the compact JSON text that arrived (key order and
//! number text are part of the contract), beside their schema names.

use super::columns::{self, COUNT};
use super::schema_key::SchemaKey;
use std::sync::Arc;

/// What one column holds.
#[derive(Clone, Copy, PartialEq, Debug, Default)]
pub enum Cell {
    /// Absent; the same as empty text.
    #[default]
    Null,
    /// Text (also decimals, as Java prints them): a stretch of the event's buffer.
    Text {
        /// Start in bytes.
        at: u32,
        /// Length in bytes.
        len: u32,
    },
    /// A 32-bit integer.
    Int(i32),
    /// A flag.
    Bool(bool),
    /// Milliseconds since the epoch, UTC.
    Time(i64),
    /// Latitude or longitude.
    Float(f32),
}

/// A self-describing datum that passed its schema: the schema's name and the compact JSON text of `data`.
#[derive(Clone, PartialEq, Debug)]
pub struct SelfDescribing {
    /// The schema that it was validated with.
    pub schema: SchemaKey,
    /// Compact JSON; keys in the order received, numbers as they were written.
    pub data: Arc<str>,
}

/// The canonical event. The three JSON columns are the fields `contexts`, `unstruct` and `derived`; their cells stay null.
#[derive(Clone, PartialEq, Debug)]
pub struct Event {
    buffer: String,
    cells: Box<[Cell; COUNT]>,
    /// Column `unstruct_event`.
    pub unstruct: Option<SelfDescribing>,
    /// Column `contexts`.
    pub contexts: Vec<SelfDescribing>,
    /// Column `derived_contexts`.
    pub derived: Vec<SelfDescribing>,
    /// Our own fingerprint: a hash of all tracker parameters but `eid`, `nuid`, `stm` and `cv`, so that a tracker's retry
    /// has the fingerprint of the first try. Kept whatever enrichments are configured; deduplication goes by it.
    pub fingerprint: u128,
}

impl Default for Event {
    fn default() -> Self {
        Event {
            buffer: String::with_capacity(1024),
            cells: Box::new([Cell::Null; COUNT]),
            unstruct: None,
            contexts: Vec::new(),
            derived: Vec::new(),
            fingerprint: 0,
        }
    }
}

impl Event {
    /// An event with every column absent.
    pub fn new() -> Self {
        Self::default()
    }

    /// The cell of a column.
    pub fn cell(&self, column: usize) -> Cell {
        self.cells[column]
    }

    /// Whether the column is absent.
    pub fn is_null(&self, column: usize) -> bool {
        matches!(self.cells[column], Cell::Null)
    }

    /// Text of a text or decimal column; `None` when absent or of another type.
    pub fn text(&self, column: usize) -> Option<&str> {
        match self.cells[column] {
            Cell::Text { at, len } => self.buffer.get(at as usize..(at + len) as usize),
            _ => None,
        }
    }

    /// Value of an integer column.
    pub fn int(&self, column: usize) -> Option<i32> {
        match self.cells[column] {
            Cell::Int(v) => Some(v),
            _ => None,
        }
    }

    /// Value of a flag column.
    pub fn bool(&self, column: usize) -> Option<bool> {
        match self.cells[column] {
            Cell::Bool(v) => Some(v),
            _ => None,
        }
    }

    /// Value of a time column, milliseconds since the epoch.
    pub fn time(&self, column: usize) -> Option<i64> {
        match self.cells[column] {
            Cell::Time(v) => Some(v),
            _ => None,
        }
    }

    /// Value of a float column.
    pub fn float(&self, column: usize) -> Option<f32> {
        match self.cells[column] {
            Cell::Float(v) => Some(v),
            _ => None,
        }
    }

    /// Sets a text column; empty text is the same as absent.
    pub fn set_text(&mut self, column: usize, text: &str) {
        debug_assert!(!matches!(columns::COLUMNS[column].kind, columns::Kind::Json));
        if text.is_empty() {
            self.cells[column] = Cell::Null;
            return;
        }
        let at = self.buffer.len() as u32;
        self.buffer.push_str(text);
        self.cells[column] = Cell::Text { at, len: text.len() as u32 };
    }

    /// Sets a text column to what `write` appends to the buffer; nothing appended means absent.
    pub fn set_text_with(&mut self, column: usize, write: impl FnOnce(&mut String)) {
        let at = self.buffer.len();
        write(&mut self.buffer);
        let len = self.buffer.len().saturating_sub(at);
        self.cells[column] = if len == 0 { Cell::Null } else { Cell::Text { at: at as u32, len: len as u32 } };
    }

    /// Makes `to` the same text as `from` without copying it.
    pub fn share_text(&mut self, from: usize, to: usize) {
        self.cells[to] = self.cells[from];
    }

    /// Sets a column that is not text.
    pub fn set(&mut self, column: usize, cell: Cell) {
        self.cells[column] = cell;
    }

    /// Makes a column absent.
    pub fn clear(&mut self, column: usize) {
        self.cells[column] = Cell::Null;
    }

    /// Bytes that the event holds in memory, roughly; for the bounds of links and micro-batches.
    pub fn weight(&self) -> usize {
        let json = |s: &SelfDescribing| s.data.len() + 32;
        self.buffer.len()
            + size_of::<[Cell; COUNT]>()
            + self.unstruct.iter().map(json).sum::<usize>()
            + self.contexts.iter().map(json).sum::<usize>()
            + self.derived.iter().map(json).sum::<usize>()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_column_reads_back_what_was_set() {
        let mut e = Event::new();
        e.set_text(columns::APP_ID, "shop");
        e.set(columns::DOMAIN_SESSIONIDX, Cell::Int(7));
        e.set_text(columns::PAGE_TITLE, "");
        assert_eq!(e.text(columns::APP_ID), Some("shop"));
        assert_eq!(e.int(columns::DOMAIN_SESSIONIDX), Some(7));
        assert!(e.is_null(columns::PAGE_TITLE));
        e.set_text(columns::APP_ID, "blog");
        assert_eq!(e.text(columns::APP_ID), Some("blog"));
    }
}
