//! What a view publishes: its rolling windows, and the buckets of the micro-batches that are not committed.
//!
//! A record is a state, to be put in the place of the last one with the same key:
//! * `{"kind":"bucket","view":…,"batch":FROM,"final":false,"time":…,<dimensions>,<measures>,"state":{…}}`: one group of one
//!   micro-batch, sent when it changed. Whoever adds up all micro-batches has the view's answer, as the readers of
//!   `derived.<view>` have it. When the micro-batch is sealed all of its groups are sent once more with `"final":true` and
//!   its end as `batch_to`. `state` has what is needed to merge measures that do not add up: sum and count of a mean, and the
//!   stored form of a sketch in base64.
//! * `{"kind":"window","view":…,"window":"10s","at":…,<dimensions>,<measures>}`: one group of one window, sent every tenth of
//!   the window. A group that left the window is sent once with empty measures.
//!
//! The publisher holds a lease from one call to the next, so no micro-batch goes before its last state was seen.

use super::batch::{Aggregates, State};
use super::error::SpeedError;
use super::handle::Speed;
use super::lease::Lease;
use super::spill::Spilled;
use super::windows::Window;
use crate::event::BatchId;
use crate::platform::clock::Millis;
use crate::platform::units::Span;
use crate::view::{Aggregate, Fold, Group, Key, View, time_text};
use serde_json::{Map, Value, json};
use std::collections::{HashMap, HashSet};
use std::sync::Arc;

/// Makes the records of one view.
#[derive(Debug)]
pub struct Publisher {
    speed: Speed,
    at: usize,
    lease: Lease,
    /// Everything up to this stamp was sent.
    since: u64,
    /// Window → when it was sent last, and which groups.
    sent: HashMap<i64, (Millis, HashSet<Key>)>,
}

/// A record: its key and its JSON.
pub type Record = (String, String);

/// A micro-batch that has something to send.
struct Changed {
    id: BatchId,
    last: bool,
    groups: Source,
}

enum Source {
    Held(Arc<Fold>),
    Spilled(Arc<Spilled>),
}

impl Speed {
    /// A publisher of a view; it begins with everything that is in memory.
    ///
    /// # Errors
    /// [`SpeedError::NoSuchView`].
    pub fn publisher(&self, view: &str) -> Result<Publisher, SpeedError> {
        let at = self.0.views.iter().position(|v| v.name() == view);
        let at = at.ok_or_else(|| SpeedError::NoSuchView(view.to_owned()))?;
        Ok(Publisher { speed: self.clone(), at, lease: self.lease(), since: 0, sent: HashMap::new() })
    }
}

impl Publisher {
    /// Hands every record that is due to `send`, until it returns false (no room); what was not taken is due again at the
    /// next call.
    ///
    /// # Errors
    /// When aggregates in a file cannot be read; the rest is due again.
    pub fn poll(&mut self, send: &mut dyn FnMut(Record) -> bool) -> Result<(), SpeedError> {
        // The new lease is taken before the old one is given back, so that there is no moment without.
        let lease = self.speed.lease();
        let (upto, changed) = self.changed();
        let view = self.speed.0.views[self.at].clone();
        for batch in changed {
            for record in self.buckets(&view, &batch)? {
                if !send(record) {
                    return Ok(());
                }
            }
        }
        self.since = upto;
        self.lease = lease;
        self.windows(&view, send)
    }

    /// Micro-batches that changed, as they are now.
    fn changed(&self) -> (u64, Vec<Changed>) {
        let inner = self.speed.0.inner.read();
        let changed = inner.batches.iter().filter_map(|b| {
            let last = b.state > State::Open && b.stamps.1 > self.since;
            let groups = match b.views.get(self.at)? {
                _ if !last && b.stamps.0 <= self.since => return None,
                Aggregates::Held(fold) => Source::Held(fold.clone()),
                Aggregates::Spilled(file) => Source::Spilled(file.clone()),
                Aggregates::Broken(_) => return None,
            };
            Some(Changed { id: b.id, last, groups })
        });
        (inner.stamp, changed.collect())
    }

    fn buckets(&self, view: &Arc<View>, batch: &Changed) -> Result<Vec<Record>, SpeedError> {
        let row = |group: Group<'_>| bucket(view, batch, &group);
        Ok(match &batch.groups {
            Source::Held(fold) if batch.last => fold.groups().iter().map(row).collect(),
            Source::Held(fold) => fold.changed_since(self.since).map(row).collect(),
            Source::Spilled(file) => file.read(view)?.iter().map(row).collect(),
        })
    }

    fn windows(&mut self, view: &Arc<View>, send: &mut dyn FnMut(Record) -> bool) -> Result<(), SpeedError> {
        let now = self.speed.0.clock.now_ms();
        let due = |w: &i64| self.sent.get(w).is_none_or(|(at, _)| now - at >= w / 10);
        if !view.windows().iter().any(due) {
            return Ok(());
        }
        for window in self.speed.windows(view.name())? {
            let width = window.window_ms;
            let (at, before) = self.sent.entry(width).or_default();
            if now - *at < width / 10 {
                continue;
            }
            let present: HashSet<Key> = window.groups.iter().map(|g| g.key.clone()).collect();
            let zeros: Vec<Aggregate> = view.measures().iter().map(|m| Aggregate::zero(m.function)).collect();
            let gone: Vec<Key> = before.iter().filter(|k| !present.contains(k)).cloned().collect();
            let gone = gone.iter().map(|key| Group { key, rows: 0, aggregates: &zeros });
            for group in window.groups.iter().chain(gone) {
                if !send(window_row(view, &window, &group)) {
                    return Ok(());
                }
            }
            (*at, *before) = (now, present);
        }
        Ok(())
    }
}

/// Dimensions and measures by name.
fn fields(view: &View, group: &Group<'_>, row: &mut Map<String, Value>) {
    for (name, dim) in view.dimension_names().zip(&group.key.dims) {
        row.insert(name.to_owned(), json!(dim.as_deref()));
    }
    for (measure, aggregate) in view.measures().iter().zip(group.aggregates) {
        row.insert(measure.name.clone(), json!(aggregate.value(measure)));
    }
}

fn key_of(head: String, group: &Group<'_>) -> String {
    group.key.dims.iter().fold(head, |mut key, dim| {
        key.push('|');
        key.push_str(dim.as_deref().unwrap_or_default());
        key
    })
}

fn bucket(view: &View, batch: &Changed, group: &Group<'_>) -> Record {
    let time = time_text(group.key.time);
    let mut row = Map::new();
    row.insert("kind".to_owned(), json!("bucket"));
    row.insert("view".to_owned(), json!(view.name()));
    row.insert("batch".to_owned(), json!(batch.id.from));
    if batch.last {
        row.insert("batch_to".to_owned(), json!(batch.id.to));
    }
    row.insert("final".to_owned(), json!(batch.last));
    row.insert("time".to_owned(), json!(time));
    fields(view, group, &mut row);
    let states = view.measures().iter().zip(group.aggregates);
    let states: Map<String, Value> =
        states.filter_map(|(m, a)| a.state(m).map(|state| (m.name.clone(), state))).collect();
    if !states.is_empty() {
        row.insert("state".to_owned(), Value::Object(states));
    }
    (key_of(format!("{}|{}|{time}", view.name(), batch.id.from), group), Value::Object(row).to_string())
}

fn window_row(view: &View, window: &Window, group: &Group<'_>) -> Record {
    let width = Span::from_millis(window.window_ms);
    let mut row = Map::new();
    row.insert("kind".to_owned(), json!("window"));
    row.insert("view".to_owned(), json!(view.name()));
    row.insert("window".to_owned(), json!(width));
    row.insert("at".to_owned(), json!(time_text(window.to_ms)));
    fields(view, group, &mut row);
    (key_of(format!("{}|{width}", view.name()), group), Value::Object(row).to_string())
}
