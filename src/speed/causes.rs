//! Why events fail, grouped: the last hour of failures by cause.

use crate::event::{BadRowKind, Cause, EventAddr, Failure};
use crate::platform::clock::Millis;
use serde::Serialize;
use sha1::{Digest, Sha1};
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

const SLOT_MS: i64 = 10_000;
/// An hour and the slot that is begun.
const SLOTS: usize = 361;
const EXAMPLES: usize = 3;
const MAX_APPS: usize = 20;
/// Failures of which it is kept where they were counted, so that a repair can take them out again: the newest ones.
const MAX_PLACES: usize = 200_000;
/// Bytes of an example's bad row that are kept.
pub const MAX_EXAMPLE_BYTES: usize = 65_536;
/// Points of a cause's series.
pub const SERIES: usize = 30;

/// What makes two failures the same: the cause without its sentence, which may hold values.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
struct Key {
    kind: BadRowKind,
    failure: String,
    schema: Option<String>,
    path: Option<String>,
    keyword: Option<String>,
}

impl Key {
    fn of(c: &Cause) -> Key {
        Key {
            kind: c.kind,
            failure: c.failure.clone(),
            schema: c.schema.clone(),
            path: c.path.clone(),
            keyword: c.keyword.clone(),
        }
    }

    /// The same on every machine and after every restart.
    fn id(&self) -> String {
        let mut hash = Sha1::new();
        let parts = [Some(self.kind.name()), Some(self.failure.as_str())];
        let rest = [self.schema.as_deref(), self.path.as_deref(), self.keyword.as_deref()];
        for part in parts.into_iter().chain(rest) {
            hash.update(part.unwrap_or("\u{1}").as_bytes());
            hash.update([0]);
        }
        hash.finalize().iter().take(8).map(|b| format!("{b:02x}")).collect()
    }
}

/// One failed event as an example.
#[derive(Clone, Debug, Serialize)]
pub struct Example {
    /// Where it stands.
    #[serde(flatten)]
    pub addr: EventAddr,
    /// Its application, as far as that was known when it failed.
    pub app_id: Option<String>,
    /// Its arrival.
    pub collector_ms: Millis,
    /// Its bad row, compact JSON; cut off after [`MAX_EXAMPLE_BYTES`].
    pub bad_row: Arc<str>,
    /// Whether it was cut off.
    pub cut: bool,
}

/// Failures with one cause.
#[derive(Clone, Debug, Serialize)]
pub struct CauseGroup {
    /// Stable name of the cause.
    pub cause_id: String,
    /// The cause, with the sentence of the newest failure.
    pub cause: Cause,
    /// Failures in the window asked for.
    pub count: u64,
    /// Failures since the start of the process, or since the cause was last forgotten.
    pub total: u64,
    /// Arrival of the first of them.
    pub first_ms: Millis,
    /// Arrival of the newest.
    pub last_ms: Millis,
    /// `app_id` → failures since the start; at most 20 are told apart, the rest is `(other)`.
    pub apps: BTreeMap<String, u64>,
    /// Failures in equal parts of the window, oldest first.
    pub series: Vec<u64>,
    /// The newest failures.
    pub examples: Vec<Example>,
}

/// Where a failure was counted.
#[derive(Debug)]
struct Place {
    /// Number of its group.
    group: u64,
    slot: i64,
    app: Option<Box<str>>,
}

#[derive(Debug)]
struct Group {
    number: u64,
    id: String,
    cause: Cause,
    total: u64,
    first: Millis,
    last: Millis,
    apps: BTreeMap<String, u64>,
    slots: Box<[(i64, u32); SLOTS]>,
    examples: Vec<Example>,
}

/// All causes.
#[derive(Debug)]
pub(super) struct Causes {
    groups: HashMap<Key, Group, ahash::RandomState>,
    max: usize,
    /// Groups made so far.
    made: u64,
    places: BTreeMap<EventAddr, Place>,
}

impl Causes {
    pub(super) fn new(max: usize) -> Causes {
        Causes { groups: HashMap::default(), max: max.max(1), made: 0, places: BTreeMap::new() }
    }

    /// Counts a failure.
    pub(super) fn add(&mut self, addr: EventAddr, failure: &Failure) {
        let key = Key::of(&failure.cause);
        if !self.groups.contains_key(&key) && self.groups.len() >= self.max {
            let oldest = self.groups.iter().min_by_key(|(_, g)| g.last).map(|(k, _)| k.clone());
            if let Some(oldest) = oldest {
                self.groups.remove(&oldest);
            }
        }
        let at = failure.collector_ms;
        let made = &mut self.made;
        let group = self.groups.entry(key).or_insert_with_key(|key| Group {
            number: {
                *made += 1;
                *made
            },
            id: key.id(),
            cause: failure.cause.clone(),
            total: 0,
            first: at,
            last: at,
            apps: BTreeMap::new(),
            slots: Box::new([(i64::MIN, 0); SLOTS]),
            examples: Vec::new(),
        });
        group.add(addr, failure);
        let app = failure.app_id.as_deref().map(Box::from);
        self.places.insert(addr, Place { group: group.number, slot: at.div_euclid(SLOT_MS), app });
        if self.places.len() > MAX_PLACES {
            self.places.pop_first();
        }
    }

    /// Takes a failure out that no longer stands. One that was counted too long ago stays until its hour is over.
    pub(super) fn repaired(&mut self, addr: EventAddr) {
        let Some(place) = self.places.remove(&addr) else { return };
        if let Some(group) = self.groups.values_mut().find(|g| g.number == place.group) {
            group.remove(addr, &place);
        }
    }

    /// The causes seen in the last `window` milliseconds (an hour at most), most frequent first.
    pub(super) fn list(&self, now: Millis, window: i64) -> Vec<CauseGroup> {
        let mut list: Vec<CauseGroup> = self.groups.values().filter_map(|g| g.list(now, window)).collect();
        list.sort_by(|a, b| b.count.cmp(&a.count).then_with(|| a.cause_id.cmp(&b.cause_id)));
        list
    }
}

impl Group {
    fn add(&mut self, addr: EventAddr, failure: &Failure) {
        let at = failure.collector_ms;
        self.total += 1;
        self.first = self.first.min(at);
        if at >= self.last {
            self.last = at;
            self.cause.message.clone_from(&failure.cause.message);
        }
        let app = failure.app_id.as_deref().unwrap_or("");
        let known = self.apps.contains_key(app) || self.apps.len() < MAX_APPS;
        *self.apps.entry(if known { app } else { crate::view::OTHER }.to_owned()).or_default() += 1;
        let slot = at.div_euclid(SLOT_MS);
        // The remainder is below the number of slots.
        let counted = &mut self.slots[slot.rem_euclid(SLOTS as i64) as usize];
        if counted.0 < slot {
            *counted = (slot, 0);
        }
        if counted.0 == slot {
            counted.1 += 1;
        }
        let text = &failure.bad_row;
        let cut = text.len() > MAX_EXAMPLE_BYTES;
        let end = if cut { text.floor_char_boundary(MAX_EXAMPLE_BYTES) } else { text.len() };
        // The newest are kept; after a restart older ones come later.
        let place = self.examples.partition_point(|e| e.addr < addr);
        if self.examples.len() < EXAMPLES || place > 0 {
            let (app_id, bad_row) = (failure.app_id.clone(), Arc::from(&text[..end]));
            self.examples.insert(place, Example { addr, app_id, collector_ms: at, bad_row, cut });
            if self.examples.len() > EXAMPLES {
                self.examples.remove(0);
            }
        }
    }

    fn remove(&mut self, addr: EventAddr, place: &Place) {
        self.total = self.total.saturating_sub(1);
        let app = place.app.as_deref().unwrap_or("");
        let app = if self.apps.contains_key(app) { app } else { crate::view::OTHER };
        if let Some(n) = self.apps.get_mut(app) {
            *n = n.saturating_sub(1);
        }
        self.apps.retain(|_, n| *n > 0);
        // The remainder is below the number of slots.
        let counted = &mut self.slots[place.slot.rem_euclid(SLOTS as i64) as usize];
        if counted.0 == place.slot {
            counted.1 = counted.1.saturating_sub(1);
        }
        self.examples.retain(|e| e.addr != addr);
    }

    fn list(&self, now: Millis, window: i64) -> Option<CauseGroup> {
        let newest = now.div_euclid(SLOT_MS);
        // The begun slot and all that the window touches: at most ten seconds too many, never too few.
        let slots = (window.max(1).saturating_add(SLOT_MS - 1) / SLOT_MS + 1).min(SLOTS as i64);
        let points = (SERIES as i64).min(slots);
        let mut series = vec![0u64; points as usize];
        for (slot, n) in self.slots.iter() {
            let age = newest - slot.max(&(newest - slots));
            if age < slots && *n > 0 {
                let point = points - 1 - age.max(0) * points / slots;
                // The age is below the number of slots, so the point is one of the series.
                series[point as usize] += u64::from(*n);
            }
        }
        let count = series.iter().sum();
        (count > 0).then(|| CauseGroup {
            cause_id: self.id.clone(),
            cause: self.cause.clone(),
            count,
            total: self.total,
            first_ms: self.first,
            last_ms: self.last,
            apps: self.apps.clone(),
            series,
            examples: self.examples.iter().rev().cloned().collect(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::Offset;

    fn failure(path: &str, app: &str, at: i64) -> Failure {
        Failure {
            bad_row: format!("{{\"at\":{at}}}"),
            cause: Cause {
                kind: BadRowKind::SchemaViolations,
                failure: "ValidationError".to_owned(),
                schema: Some("iglu:com.acme/cart/jsonschema/1-0-0".to_owned()),
                path: Some(path.to_owned()),
                keyword: Some("required".to_owned()),
                message: format!("{path} is missing at {at}"),
            },
            app_id: Some(app.to_owned()),
            collector_ms: at,
            incomplete: None,
        }
    }

    #[test]
    fn failures_are_grouped_by_what_they_share() {
        let mut causes = Causes::new(10);
        for i in 0..100i64 {
            let addr = EventAddr { offset: Offset(i as u64), index: 0 };
            causes.add(
                addr,
                &failure(if i % 4 == 0 { "$.price" } else { "$.sku" }, &format!("app{}", i % 30), i * 6_000),
            );
        }
        let list = causes.list(600_000, 3_600_000);
        assert_eq!(list.iter().map(|c| c.count).collect::<Vec<_>>(), [75, 25]);
        assert_eq!(list[0].cause.message, "$.sku is missing at 594000");
        assert_eq!((list[0].first_ms, list[0].last_ms), (6_000, 594_000));
        assert_eq!(list[0].apps.values().sum::<u64>(), 75);
        assert!(list[0].apps.len() <= MAX_APPS + 1 && list[0].apps.contains_key(crate::view::OTHER));
        assert_eq!(list[0].examples.iter().map(|e| e.addr.offset.0).collect::<Vec<_>>(), [99, 98, 97]);
        assert_ne!(list[0].cause_id, list[1].cause_id);
        let recent = causes.list(600_000, 60_000);
        assert_eq!(recent[0].series.len(), 7);
        assert_eq!(recent.iter().map(|c| c.count).sum::<u64>(), 10);
        assert!(causes.list(8_000_000, 3_600_000).is_empty());
    }

    #[test]
    fn a_repaired_failure_counts_no_longer() {
        let mut causes = Causes::new(10);
        let addr = |i: u64| EventAddr { offset: Offset(i), index: 0 };
        for i in 0..10 {
            causes.add(addr(i), &failure("$.sku", if i < 3 { "blog" } else { "shop" }, i as i64 * 1000));
        }
        (0..3).chain(0..3).for_each(|i| causes.repaired(addr(i)));
        let list = causes.list(10_000, 60_000);
        assert_eq!((list[0].count, list[0].total), (7, 7));
        assert_eq!(list[0].apps.iter().map(|(a, n)| (a.as_str(), *n)).collect::<Vec<_>>(), [("shop", 7)]);
        (3..10).for_each(|i| causes.repaired(addr(i)));
        assert!(causes.list(10_000, 60_000).is_empty());
    }

    #[test]
    fn the_cause_seen_longest_ago_makes_room() {
        let mut causes = Causes::new(2);
        for (i, path) in ["a", "b", "c"].iter().enumerate() {
            causes.add(EventAddr::default(), &failure(path, "x", i as i64 * 1000));
        }
        let mut paths: Vec<_> = causes.list(3000, 60_000).into_iter().filter_map(|c| c.cause.path).collect();
        paths.sort();
        assert_eq!(paths, ["b", "c"]);
    }
}
