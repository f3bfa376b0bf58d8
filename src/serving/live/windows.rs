//! The rolling windows of every view, summed over all groups.
//!
//! Merging the sketches of hundreds of groups costs milliseconds, so it is done once a second for all streams; a window of
//! five minutes does not look different a quarter of a second later.

use crate::platform::clock::Millis;
use crate::platform::units::Span;
use crate::serving::api::Api;
use crate::speed::Window;
use crate::view::{Aggregate, Function, View};
use parking_lot::Mutex;
use serde_json::{Map, Value, json};
use std::sync::Arc;

/// How old the sums may be.
const FRESH_MS: i64 = 1000;

/// View → window → measure → value.
#[derive(Debug, Default)]
pub struct WindowTotals(Mutex<(Millis, Arc<Value>)>);

impl WindowTotals {
    /// The sums, at most a second old.
    pub fn read(&self, api: &Api, now: Millis) -> Arc<Value> {
        let mut held = self.0.lock();
        if (now - held.0).abs() >= FRESH_MS || held.1.is_null() {
            *held = (now, Arc::new(totals(api)));
        }
        held.1.clone()
    }
}

fn totals(api: &Api) -> Value {
    let mut views = Map::new();
    for view in &api.deps.views {
        let windows = api.deps.speed.windows(view.name()).unwrap_or_default();
        if windows.is_empty() {
            continue;
        }
        let by_width = windows.iter().map(|w| (Span::from_millis(w.window_ms).to_string(), total(view, w)));
        views.insert(view.name().to_owned(), Value::Object(by_width.collect()));
    }
    Value::Object(views)
}

/// Every measure over all groups; lists of most frequent values are too long for a frame.
fn total(view: &View, window: &Window) -> Value {
    let mut sums: Vec<Aggregate> = view.measures().iter().map(|m| Aggregate::zero(m.function)).collect();
    for group in window.groups.iter() {
        sums.iter_mut().zip(group.aggregates).for_each(|(sum, part)| sum.merge(part));
    }
    let measures = view.measures().iter().zip(&sums).filter(|(m, _)| !matches!(m.function, Function::Top(_)));
    Value::Object(measures.map(|(m, sum)| (m.name.clone(), json!(sum.value(m)))).collect())
}
