//! The rows of one live question, each with the moment at which it last changed.
//!
//! A stream says what it has, as a number, and gets the rows that changed since. The table is shared by all streams that
//! ask the same, and rows that did not change are not copied.

use crate::event::json::write_string;
use crate::view::answer::Cell;
use crate::view::{Row, Value};
use std::collections::BTreeMap;
use std::fmt::Write;
use std::sync::Arc;

/// Rows that a live question may have.
pub const MAX_ROWS: usize = 2000;

type RowKey = (i64, Box<[Option<Arc<str>>]>);

/// See the file header.
#[derive(Clone, Debug, Default)]
pub struct SplitTable {
    rows: BTreeMap<RowKey, Held>,
    cut: bool,
    lists: bool,
}

#[derive(Clone, Debug)]
struct Held {
    changed: u64,
    /// The row as JSON, without its braces and without the number of the question.
    text: Arc<str>,
}

impl SplitTable {
    /// Takes in all rows of the answer at moment `stamp`. `cut` tells that there would be more.
    pub fn update(&mut self, rows: &[Row], cut: bool, stamp: u64) {
        self.cut = cut;
        self.lists = rows.iter().flat_map(|row| row.cells.iter()).any(is_list);
        let mut next = BTreeMap::new();
        for row in rows {
            let key: RowKey = (row.time, row.dims.clone());
            let text = text(row);
            let held = match self.rows.remove(&key) {
                Some(held) if *held.text == *text => held,
                _ => Held { changed: stamp, text: text.into() },
            };
            next.insert(key, held);
        }
        self.rows = next;
    }

    /// Whether rows were left out.
    pub fn is_cut(&self) -> bool {
        self.cut
    }

    /// Whether its measures hold lists: such a row is longer than all the rest of a frame.
    pub fn has_lists(&self) -> bool {
        self.lists
    }

    /// Appends the rows that changed after moment `since` (all of them when there was none before), as items of a JSON array.
    pub fn write_since(&self, q: usize, since: Option<u64>, first: &mut bool, out: &mut String) {
        for held in self.rows.values().filter(|h| since.is_none_or(|s| h.changed > s)) {
            if !std::mem::take(first) {
                out.push(',');
            }
            // Writing to a String cannot fail.
            let _ = write!(out, "{{\"q\":{q},{}}}", held.text);
        }
    }
}

fn is_list(cell: &Cell) -> bool {
    let (Cell::One(value) | Cell::Split { merged: value, .. }) = cell;
    matches!(value, Value::Top(_))
}

fn text(row: &Row) -> String {
    let mut out = String::with_capacity(96);
    let _ = write!(out, "\"t\":{},\"d\":[", row.time.div_euclid(1000));
    for (i, dim) in row.dims.iter().enumerate() {
        if i > 0 {
            out.push(',');
        }
        match dim {
            Some(text) => write_string(text, &mut out),
            None => out.push_str("null"),
        }
    }
    out.push(']');
    for part in ["batch", "speed", "merged"] {
        let _ = write!(out, ",\"{part}\":[");
        for (i, cell) in row.cells.iter().enumerate() {
            if i > 0 {
                out.push(',');
            }
            let value = match (cell, part) {
                (Cell::One(value), _) | (Cell::Split { merged: value, .. }, "merged") => value,
                (Cell::Split { batch, .. }, "batch") => batch,
                (Cell::Split { speed, .. }, _) => speed,
            };
            out.push_str(&serde_json::to_string(value).unwrap_or_else(|_| "null".to_owned()));
        }
        out.push(']');
    }
    out
}
