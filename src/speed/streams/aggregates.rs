//! Rolling windows of a view as records for the aggregates topic.
//!
//! A record is the state of one window and group, not a change of it: whoever reads the newest record of each key knows the
//! window. Only what changed since the last time is published, so a quiet site costs nothing.

use crate::platform::units::Span;
use crate::speed::Speed;
use crate::view::answer::rows;
use crate::view::time_text;
use ahash::AHashMap;
use serde_json::{Map, Value};
use std::sync::Arc;

/// What is published of one view.
#[derive(Debug)]
pub struct Feed {
    speed: Speed,
    view: String,
    /// Checksum of what was published last, by key.
    last: AHashMap<String, u32>,
}

impl Feed {
    /// A feed that has published nothing yet.
    pub fn new(speed: Speed, view: &crate::view::View) -> Self {
        Feed { speed, view: view.name().to_owned(), last: AHashMap::new() }
    }

    /// Key and JSON of every window and group that changed since the last call.
    pub fn changed(&mut self) -> Vec<(String, String)> {
        let Ok(windows) = self.speed.windows(&self.view) else { return Vec::new() };
        let mut seen = AHashMap::with_capacity(self.last.len());
        let mut out = Vec::new();
        for window in windows {
            let length = Span::from_millis(window.window_ms).to_string();
            for row in rows(&window.groups, window.groups.iter()) {
                let text = serde_json::to_string(&row).unwrap_or_default();
                let Ok(Value::Object(mut members)) = serde_json::from_str(&text) else { continue };
                // A window has no bucket.
                members.shift_remove("time");
                let key = self.key(&length, &row.dims);
                let sum = crc32c::crc32c(text.as_bytes());
                if self.last.get(&key) != Some(&sum) {
                    out.push((key.clone(), self.record(&length, window.to_ms, members)));
                }
                seen.insert(key, sum);
            }
        }
        self.last = seen;
        out
    }

    fn key(&self, window: &str, dims: &[Option<Arc<str>>]) -> String {
        let mut key = format!("{}|{window}", self.view);
        for dim in dims {
            key.push('|');
            key.push_str(dim.as_deref().unwrap_or_default());
        }
        key
    }

    fn record(&self, window: &str, to_ms: i64, members: Map<String, Value>) -> String {
        let mut record = Map::new();
        record.insert("view".to_owned(), self.view.clone().into());
        record.insert("window".to_owned(), window.into());
        record.insert("to".to_owned(), time_text(to_ms).into());
        record.extend(members);
        Value::Object(record).to_string()
    }
}
