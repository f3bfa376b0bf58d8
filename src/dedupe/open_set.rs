//! Ids of the open micro-batch, exact and in memory.

use super::file::IdEntry;
use ahash::AHashMap;

/// Every event of the open micro-batch that was let through.
#[derive(Debug, Default)]
pub(super) struct OpenSet {
    ids: AHashMap<u128, Group>,
    len: usize,
}

/// The events of one id. Nearly always there is one; a hostile client may send one id with a million contents.
#[derive(Debug)]
struct Group {
    first: IdEntry,
    more: Option<Box<More>>,
}

#[derive(Debug, Default)]
struct More {
    /// The latest event of each content but that of `first`.
    by_fingerprint: AHashMap<u128, IdEntry>,
    /// Events whose content came again after the window.
    older: Vec<IdEntry>,
    latest_ms: i64,
}

impl OpenSet {
    /// Adds an event. Times never go back.
    pub(super) fn add(&mut self, entry: IdEntry) {
        self.len += 1;
        let Some(group) = self.ids.get_mut(&entry.id) else {
            self.ids.insert(entry.id, Group { first: entry, more: None });
            return;
        };
        let more = group.more.get_or_insert_default();
        more.latest_ms = entry.time_ms;
        let before = if group.first.fingerprint == entry.fingerprint {
            Some(std::mem::replace(&mut group.first, entry))
        } else {
            more.by_fingerprint.insert(entry.fingerprint, entry)
        };
        more.older.extend(before);
    }

    /// The latest event of this id and content.
    pub(super) fn exact(&self, id: u128, fingerprint: u128) -> Option<&IdEntry> {
        let group = self.ids.get(&id)?;
        if group.first.fingerprint == fingerprint {
            return Some(&group.first);
        }
        group.more.as_ref()?.by_fingerprint.get(&fingerprint)
    }

    /// When the latest event of this id came.
    pub(super) fn latest_ms(&self, id: u128) -> Option<i64> {
        let group = self.ids.get(&id)?;
        Some(group.more.as_ref().map_or(group.first.time_ms, |more| more.latest_ms))
    }

    /// The events of an id, or of an id and a content, in no order.
    pub(super) fn of(&self, id: u128, fingerprint: Option<u128>) -> impl Iterator<Item = &IdEntry> {
        let group = self.ids.get(&id);
        let more = group.and_then(|group| group.more.as_deref());
        let wanted = move |e: &&IdEntry| fingerprint.is_none_or(|wanted| e.fingerprint == wanted);
        // One content is looked up; only all of them are walked through.
        let (one, all) = match fingerprint {
            Some(fingerprint) => (more.and_then(|more| more.by_fingerprint.get(&fingerprint)), None),
            None => (None, more),
        };
        let all = all.into_iter().flat_map(|more| more.by_fingerprint.values());
        let older = more.into_iter().flat_map(|more| &more.older);
        group.map(|group| &group.first).into_iter().chain(one).chain(all).chain(older).filter(wanted)
    }

    /// Events in it.
    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// Everything, sorted.
    pub(super) fn sorted(&self) -> Vec<IdEntry> {
        let mut out = Vec::with_capacity(self.len);
        for group in self.ids.values() {
            out.push(group.first);
            if let Some(more) = &group.more {
                out.extend(more.by_fingerprint.values().chain(&more.older));
            }
        }
        out.sort_unstable();
        out
    }

    /// Empties it.
    pub(super) fn clear(&mut self) {
        // A new map: one that was once large must not stay so.
        *self = OpenSet { ids: AHashMap::with_capacity(self.ids.len() / 2), len: 0 };
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::{EventAddr, Offset};

    #[test]
    fn nothing_that_was_added_is_lost() {
        let mut set = OpenSet::default();
        let entry = |n: u64, id, fingerprint| IdEntry {
            id,
            fingerprint,
            addr: EventAddr { offset: Offset(n), index: 0 },
            time_ms: n as i64,
            renamed: false,
            replayed: false,
        };
        let all = [entry(0, 1, 1), entry(1, 1, 2), entry(2, 2, 1), entry(3, 1, 1), entry(4, 1, 2), entry(5, 1, 3)];
        all.iter().for_each(|e| set.add(*e));
        assert_eq!(set.exact(1, 1), Some(&all[3]));
        assert_eq!(set.exact(1, 2), Some(&all[4]));
        assert_eq!((set.exact(2, 2), set.latest_ms(1), set.latest_ms(2)), (None, Some(5), Some(2)));
        let mut sorted = all.to_vec();
        sorted.sort_unstable();
        assert_eq!(set.sorted(), sorted);
        let of = |fingerprint| {
            let mut seen: Vec<u64> = set.of(1, fingerprint).map(|e| e.addr.offset.0).collect();
            seen.sort_unstable();
            seen
        };
        assert_eq!((of(None), of(Some(1)), of(Some(2))), (vec![0, 1, 3, 4, 5], vec![0, 3], vec![1, 4]));
        assert_eq!((of(Some(3)), of(Some(9)), set.len()), (vec![5], vec![], 6));
        set.clear();
        assert_eq!((set.sorted(), set.len()), (vec![], 0));
    }
}
