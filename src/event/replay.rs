//! A replay: the journal record that has failed events of an earlier record processed again.
//!
//! The record is whole in itself. It carries the bytes of the record that the events came in, so that enrichment needs nothing
//! else and retention of the older record does not matter. Form: one line of JSON (the header), a line feed, the bytes.
//!
//! ```text
//! {"offset":812,"kind":"payload","indexes":[0,3]}\n<Thrift>
//! ```

use super::columns;
use super::offset::{EventAddr, Offset};
use super::outcome::{Outcome, Processed, Repair};
use bytes::{BufMut, Bytes, BytesMut};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// Longest header; what is longer was not written by us.
const MAX_HEADER: usize = 1 << 20;
/// Events that one record may list, so that its header stays below its bound.
pub const MAX_INDEXES: usize = 100_000;

/// What the carried record is.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Carried {
    /// A Thrift `CollectorPayload`.
    Payload,
    /// A bad row that the collector itself recorded.
    BadRow,
}

/// The header.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Replay {
    /// Where the carried record first stood. Its events are made as if they stood there still, made-up ids included.
    pub offset: Offset,
    /// What it is.
    pub kind: Carried,
    /// Where the failures stand, when that is not `offset`: events of a replay that failed in their turn.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub repairs: Option<Offset>,
    /// Indexes of the events that failed, ascending.
    pub indexes: Vec<u32>,
    /// The record had failed as a whole, as its one outcome: every event that is in it now counts.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub whole: bool,
}

/// Why a record is no replay.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum ReplayError {
    /// There is no header, or it is too long.
    #[error("the replay has no header line")]
    NoHeader,
    /// The header cannot be read.
    #[error("the header of the replay cannot be read: {0}")]
    Header(String),
    /// Indexes are missing, not ascending, or too many.
    #[error("the replay does not list its events in ascending order")]
    Indexes,
}

impl Replay {
    /// The record's body. `carried` are the bytes of the original record.
    ///
    /// # Errors
    /// [`ReplayError::Indexes`].
    pub fn encode(&self, carried: &[u8]) -> Result<Bytes, ReplayError> {
        self.check()?;
        let header = serde_json::to_vec(self).map_err(|e| ReplayError::Header(e.to_string()))?;
        let mut out = BytesMut::with_capacity(header.len() + 1 + carried.len());
        out.put_slice(&header);
        out.put_u8(b'\n');
        out.put_slice(carried);
        Ok(out.freeze())
    }

    /// Header and carried record of a body.
    ///
    /// # Errors
    /// [`ReplayError`].
    pub fn decode(body: &Bytes) -> Result<(Replay, Bytes), ReplayError> {
        let end = body.iter().take(MAX_HEADER).position(|b| *b == b'\n').ok_or(ReplayError::NoHeader)?;
        let header = serde_json::from_slice::<Replay>(&body[..end]).map_err(|e| ReplayError::Header(e.to_string()))?;
        header.check()?;
        Ok((header, body.slice(end + 1..)))
    }

    fn check(&self) -> Result<(), ReplayError> {
        let ascending = self.indexes.is_sorted_by(|a, b| a < b);
        let many = if self.whole { self.indexes.len() == 1 } else { (1..=MAX_INDEXES).contains(&self.indexes.len()) };
        if ascending && many { Ok(()) } else { Err(ReplayError::Indexes) }
    }

    /// What of the carried record's outcomes counts, at the place of the replay: listed events that are enriched now. An
    /// event that still fails has no new outcome; its failure stands.
    ///
    /// A record that had failed as a whole counts when any event of it is enriched now, and then with all its events: the
    /// first takes the place of the failure, the others are new.
    pub fn choose(&self, at: Offset, outcomes: Vec<Processed>) -> Vec<Processed> {
        let enriched = |item: &Processed| matches!(item.outcome, Outcome::Enriched(_));
        if self.whole && !outcomes.iter().any(enriched) {
            return Vec::new();
        }
        let mut chosen = Vec::with_capacity(self.indexes.len());
        for mut item in outcomes {
            let counts = self.whole || self.indexes.binary_search(&item.addr.index).is_ok() && enriched(&item);
            if !counts {
                continue;
            }
            let failed = if self.whole {
                self.indexes.first().filter(|_| chosen.is_empty()).copied()
            } else {
                Some(item.addr.index)
            };
            item.repairs = failed.map(|index| Repair {
                of: EventAddr { offset: self.repairs.unwrap_or(self.offset), index },
                event_id: id_of(&item.outcome),
            });
            item.addr.offset = at;
            chosen.push(item);
        }
        chosen
    }
}

fn id_of(outcome: &Outcome) -> Option<Uuid> {
    let Outcome::Enriched(event) = outcome else { return None };
    Uuid::try_parse(event.text(columns::EVENT_ID)?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::outcome::{BadRowKind, Cause, Failure};
    use crate::event::{Event, Tally};
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_replay_reads_back_whatever_it_carries(
            offset: u64, repairs: Option<u64>, carried: Vec<u8>,
            indexes in prop::collection::btree_set(any::<u32>(), 1..50), bad_row: bool,
        ) {
            let whole = indexes.len() == 1 && offset % 2 == 0;
            let replay = Replay {
                offset: Offset(offset),
                kind: if bad_row { Carried::BadRow } else { Carried::Payload },
                repairs: repairs.map(Offset),
                indexes: indexes.into_iter().collect(),
                whole,
            };
            let body = replay.encode(&carried).unwrap();
            let (header, back) = Replay::decode(&body).unwrap();
            prop_assert_eq!((header, back.as_ref()), (replay, carried.as_slice()));
        }

        #[test]
        fn no_bytes_make_the_reader_panic(bytes: Vec<u8>) {
            let _ = Replay::decode(&Bytes::from(bytes));
        }
    }

    #[test]
    fn what_is_no_replay_says_why() {
        for (body, why) in [
            ("", "no header"),
            ("{}", "no header"),
            ("{}\n", "missing field"),
            ("{\"offset\":1,\"kind\":\"payload\",\"indexes\":[]}\n", "ascending"),
            ("{\"offset\":1,\"kind\":\"payload\",\"indexes\":[2,1]}\n", "ascending"),
            ("{\"offset\":1,\"kind\":\"payload\",\"indexes\":[1,2],\"whole\":true}\n", "ascending"),
            ("{\"offset\":1,\"kind\":\"payload\",\"indexes\":[1],\"x\":1}\n", "unknown field"),
            ("{\"offset\":1,\"kind\":\"other\",\"indexes\":[1]}\n", "unknown variant"),
        ] {
            let error = Replay::decode(&Bytes::from(body)).unwrap_err().to_string();
            assert!(error.contains(why), "{body}: {error}");
        }
        let text = Replay { offset: Offset(7), kind: Carried::Payload, repairs: None, indexes: vec![0], whole: false };
        assert_eq!(text.encode(b"x").unwrap(), "{\"offset\":7,\"kind\":\"payload\",\"indexes\":[0]}\nx");
    }

    fn good(index: u32) -> Processed {
        let mut event = Event::new();
        event.set_text(columns::EVENT_ID, &Uuid::from_u128(u128::from(index)).to_string());
        Processed::new(EventAddr { offset: Offset(5), index }, Outcome::Enriched(Box::new(event)))
    }

    fn bad(index: u32) -> Processed {
        let cause = Cause {
            kind: BadRowKind::SchemaViolations,
            failure: "ValidationError".into(),
            schema: None,
            path: None,
            keyword: None,
            message: String::new(),
        };
        let failure = Failure { bad_row: "{}".into(), cause, app_id: None, collector_ms: 0, incomplete: None };
        Processed::new(EventAddr { offset: Offset(5), index }, Outcome::Failed(Box::new(failure)))
    }

    #[test]
    fn only_listed_events_that_pass_now_count_and_each_ends_its_failure() {
        let replay =
            Replay { offset: Offset(5), kind: Carried::Payload, repairs: None, indexes: vec![1, 2, 9], whole: false };
        let chosen = replay.choose(Offset(40), vec![good(0), good(1), bad(2), good(3)]);
        let [only] = chosen.as_slice() else { panic!("{chosen:?}") };
        assert_eq!(only.addr, EventAddr { offset: Offset(40), index: 1 });
        let of = EventAddr { offset: Offset(5), index: 1 };
        assert_eq!(only.repairs, Some(Repair { of, event_id: Some(Uuid::from_u128(1)) }));
        let mut tally = Tally { payload_events: 4, enriched: 1, failed: 3, ..Tally::default() };
        tally.count(only);
        assert_eq!((tally.payload_events, tally.enriched, tally.standing(), tally.repaired), (4, 2, 2, 1));
    }

    #[test]
    fn a_record_that_failed_as_a_whole_counts_with_all_its_events() {
        let replay = Replay {
            offset: Offset(5),
            kind: Carried::Payload,
            repairs: Some(Offset(9)),
            indexes: vec![0],
            whole: true,
        };
        assert!(replay.choose(Offset(40), vec![bad(0), bad(1)]).is_empty(), "nothing passes, so the failure stands");
        let chosen = replay.choose(Offset(40), vec![bad(0), good(1), good(2)]);
        let repairs: Vec<_> = chosen.iter().map(|c| c.repairs.map(|r| r.of)).collect();
        assert_eq!(repairs, [Some(EventAddr { offset: Offset(9), index: 0 }), None, None]);
        let mut tally = Tally { payload_events: 1, failed: 1, ..Tally::default() };
        chosen.iter().for_each(|c| tally.count(c));
        let shown = (tally.payload_events, tally.enriched, tally.standing(), tally.repaired);
        assert_eq!(shown, (3, 2, 1, 1));
    }
}
