//! Ids of the open micro-batch, exact and in memory.

use super::file::IdEntry;
use crate::event::EventAddr;
use ahash::{AHashMap, AHashSet};

/// Every event of the open micro-batch that was let through.
#[derive(Debug, Default)]
pub(super) struct OpenSet {
    exact: AHashMap<(u128, u128), (EventAddr, i64)>,
    ids: AHashSet<u128>,
}

impl OpenSet {
    pub(super) fn add(&mut self, entry: &IdEntry) {
        self.exact.insert((entry.id, entry.fingerprint), (entry.addr, entry.time_ms));
        self.ids.insert(entry.id);
    }

    /// The entry of this id and content.
    pub(super) fn exact(&self, id: u128, fingerprint: u128) -> Option<(EventAddr, i64)> {
        if !self.ids.contains(&id) {
            return None;
        }
        self.exact.get(&(id, fingerprint)).copied()
    }

    /// Whether any event has this id.
    pub(super) fn has_id(&self, id: u128) -> bool {
        self.ids.contains(&id)
    }

    /// All entries of an id; slow, for audits.
    pub(super) fn of_id(&self, id: u128) -> Vec<IdEntry> {
        if !self.ids.contains(&id) {
            return Vec::new();
        }
        let of = self.exact.iter().filter(|((i, _), _)| *i == id);
        of.map(|(&(id, fingerprint), &(addr, time_ms))| IdEntry { id, fingerprint, addr, time_ms }).collect()
    }

    /// Takes everything out.
    pub(super) fn take(&mut self) -> Vec<IdEntry> {
        self.ids.clear();
        self.exact
            .drain()
            .map(|((id, fingerprint), (addr, time_ms))| IdEntry { id, fingerprint, addr, time_ms })
            .collect()
    }
}
