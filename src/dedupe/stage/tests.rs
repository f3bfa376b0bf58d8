//! The stage against a naive model: random repeats, random cuts, restarts at random points.

use super::*;
use crate::dedupe::Config;
use crate::event::{Cell, Event, EventAddr, columns};
use crate::pipeline::link::link;
use crate::platform::units::Span;
use proptest::prelude::*;
use std::collections::BTreeMap;
use std::path::Path;

/// A planner that seals after a number of rows and remembers what it decided.
struct Plan {
    open: OffsetRange,
    rows: u64,
    every: u64,
    decided: Arc<parking_lot::Mutex<Vec<Offset>>>,
}

impl BatchPlanner for Plan {
    fn open_from(&self) -> Offset {
        self.open.from
    }
    fn decided_end(&self) -> Option<Offset> {
        self.decided.lock().iter().copied().find(|end| *end > self.open.from)
    }
    fn grew(&mut self, to: Offset, rows: u64, _bytes: u64, _now: i64) {
        self.open.to = to;
        self.rows += rows;
    }
    fn is_due(&self, _now: i64) -> bool {
        !self.open.is_empty() && self.decided_end().map_or(self.rows >= self.every, |end| self.open.to >= end)
    }
    fn seal(&mut self) -> io::Result<OffsetRange> {
        let id = self.open;
        if self.decided_end().is_none() {
            self.decided.lock().push(id.to);
        }
        self.open = OffsetRange::new(id.to, id.to);
        self.rows = 0;
        Ok(id)
    }
}

fn event(addr: EventAddr, id: u8, content: u8, time_ms: i64) -> Processed {
    let mut event = Event::new();
    event.set_text(columns::EVENT_ID, &Uuid::from_u128(u128::from(id)).to_string());
    event.set(columns::COLLECTOR_TSTAMP, Cell::Time(time_ms));
    event.fingerprint = u128::from(content);
    Processed { addr, outcome: Outcome::Enriched(Box::new(event)) }
}

/// (id, content) of each event in order; two events a payload.
fn batches(events: &[(u8, u8)], from: u64) -> Vec<EnrichedBatch> {
    let payloads: Vec<_> = events.chunks(2).enumerate().skip(from as usize).collect();
    payloads
        .chunks(3)
        .map(|part| {
            let items = part.iter().flat_map(|(offset, pair)| {
                pair.iter().enumerate().map(move |(index, (id, content))| {
                    let addr = EventAddr { offset: Offset(*offset as u64), index: index as u32 };
                    event(addr, *id, *content, *offset as i64)
                })
            });
            let (first, last) = (part[0].0 as u64, part[part.len() - 1].0 as u64);
            EnrichedBatch {
                range: OffsetRange::new(Offset(first), Offset(last + 1)),
                items: items.collect(),
                received_ms: (1, 1),
                bytes: 10,
            }
        })
        .collect()
}

type Seen = BTreeMap<EventAddr, String>;

fn outcome(item: &Processed) -> String {
    match &item.outcome {
        Outcome::Enriched(e) => format!("event {} derived {}", e.text(columns::EVENT_ID).unwrap(), e.derived.len()),
        Outcome::Duplicate(first) => format!("duplicate of {first}"),
        other => format!("{other:?}"),
    }
}

/// Runs the stage over the events from `boundary` on; outcomes by address and the ranges that were sealed.
fn run(
    dir: &Path,
    events: &[(u8, u8)],
    boundary: u64,
    decided: &Arc<parking_lot::Mutex<Vec<Offset>>>,
    every: u64,
    window: i64,
) -> (Seen, Vec<OffsetRange>) {
    let config = Config { window: Span::from_millis(window), ..Config::default() };
    let all = batches(events, 0);
    let mut refeed = |from: Offset, to: Offset| {
        let found = all.iter().find(|b| b.range.contains(from));
        Ok(found.map(|b| {
            let end = b.range.to.min(to);
            let items = b.items.iter().filter(|i| i.addr.offset >= from && i.addr.offset < end).cloned().collect();
            (OffsetRange::new(from, end), items)
        }))
    };
    let index = Index::load(&config, dir, Offset(boundary), &mut refeed).unwrap();
    let (tx, input) = link("enriched", 1000);
    let (out, rx) = link("flow", 10_000);
    for batch in batches(events, boundary) {
        tx.send(batch).unwrap();
    }
    drop(tx);
    let planner =
        Plan { open: OffsetRange::new(Offset(boundary), Offset(boundary)), rows: 0, every, decided: decided.clone() };
    build(Deps {
        index,
        planner: Box::new(planner),
        journal_id: Uuid::from_u128(1),
        input,
        outputs: vec![out],
        clock: Clock::fixed(0),
        metrics: Metrics::new(),
        drain: Drain::new(),
    })
    .unwrap()
    .join();
    let (mut seen, mut sealed, mut at) = (Seen::new(), Vec::new(), Offset(boundary));
    while let Some(flow) = rx.recv() {
        match flow {
            Flow::Chunk(chunk) => {
                assert_eq!(chunk.range.from, at, "every offset is in exactly one chunk");
                at = chunk.range.to;
                let t = &chunk.tally;
                assert_eq!(t.payload_events, t.enriched + t.failed + t.duplicates + t.dropped);
                assert_eq!(t.enriched as usize, chunk.rows.len());
                for item in &chunk.items {
                    assert!(seen.insert(item.addr, outcome(item)).is_none());
                }
            }
            Flow::Seal(id) => {
                assert_eq!(id.to, at, "a seal stands behind its last chunk");
                sealed.push(id);
            }
        }
    }
    (seen, sealed)
}

/// What should come out, the slow way.
fn model(events: &[(u8, u8)], window: i64) -> Seen {
    let mut let_through: Vec<(u8, u8, EventAddr, i64)> = Vec::new();
    let mut out = Seen::new();
    for (n, (id, content)) in events.iter().enumerate() {
        let addr = EventAddr { offset: Offset(n as u64 / 2), index: n as u32 % 2 };
        let time = n as i64 / 2;
        let near = |t: i64| time - t <= window;
        let same = let_through.iter().filter(|e| e.0 == *id && e.1 == *content && near(e.3)).map(|e| e.2).min();
        let text = if let Some(first) = same {
            format!("duplicate of {first}")
        } else {
            let taken = let_through.iter().any(|e| e.0 == *id && near(e.3));
            let_through.push((*id, *content, addr, time));
            let own = if taken { mark::own_id(&Uuid::from_u128(1), addr) } else { Uuid::from_u128(u128::from(*id)) };
            format!("event {own} derived {}", u8::from(taken))
        };
        out.insert(addr, text);
    }
    out
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]
    #[test]
    fn outcomes_are_those_of_a_naive_model_whatever_the_cuts_and_restarts(
        events in proptest::collection::vec((0u8..12, 0u8..3), 1..120),
        every in 1u64..30,
        restart in 0usize..8,
        lost in 0usize..8,
    ) {
        let dir = tempfile::tempdir().unwrap();
        let decided = Arc::new(parking_lot::Mutex::new(Vec::new()));
        let window = 1_000_000;
        let expected = model(&events, window);
        let (seen, sealed) = run(dir.path(), &events, 0, &decided, every, window);
        prop_assert_eq!(&seen, &expected);
        // A restart from some boundary, with a file of ids lost, cuts alike and decides alike.
        let boundary = sealed.get(restart % sealed.len().max(1)).map_or(0, |id| id.to.0);
        if let Some(id) = sealed.get(lost % sealed.len().max(1)) {
            let _ = std::fs::remove_file(dir.path().join(crate::dedupe::file::file_name(*id)));
        }
        let (again, sealed_again) = run(dir.path(), &events, boundary, &decided, every, window);
        let rest: Seen = expected.into_iter().filter(|(addr, _)| addr.offset.0 >= boundary).collect();
        prop_assert_eq!(&again, &rest);
        let sealed_rest: Vec<_> = sealed.into_iter().filter(|id| id.from.0 >= boundary).collect();
        prop_assert_eq!(sealed_again, sealed_rest);
    }
}

#[test]
fn outside_the_window_an_event_is_new_again() {
    let dir = tempfile::tempdir().unwrap();
    let decided = Arc::new(parking_lot::Mutex::new(Vec::new()));
    let events: Vec<(u8, u8)> = (0..40).map(|_| (1, 1)).collect();
    let (seen, _) = run(dir.path(), &events, 0, &decided, 3, 5);
    let through = seen.values().filter(|o| o.starts_with("event")).count();
    // One in every six payloads: 0, 6, 12, 18.
    assert_eq!(through, 4, "{seen:?}");
}

#[test]
fn an_index_answers_where_an_event_stands() {
    let dir = tempfile::tempdir().unwrap();
    let decided = Arc::new(parking_lot::Mutex::new(Vec::new()));
    run(dir.path(), &[(1, 1), (2, 1), (1, 1), (1, 2)], 0, &decided, 100, 1000);
    let index = Index::load(&Config::default(), dir.path(), Offset(2), &mut |_, _| Ok(None)).unwrap();
    let at = |offset, index| EventAddr { offset: Offset(offset), index };
    let id = Uuid::from_u128(1).to_string();
    assert_eq!(index.find(&id).unwrap(), [at(1, 1), at(0, 0)]);
    let own = mark::own_id(&Uuid::from_u128(1), at(1, 1)).to_string();
    assert_eq!(index.find(&own).unwrap(), [at(1, 1)]);
    assert!(index.find("nonsense").unwrap().is_empty());
    let ask =
        |content, addr| index.decided(&entry_of(&event(addr, 1, content, addr.offset.0 as i64)).unwrap()).unwrap();
    assert_eq!(ask(1, at(0, 0)), Verdict::First);
    assert_eq!(ask(1, at(1, 0)), Verdict::Duplicate(at(0, 0)));
    assert_eq!(ask(2, at(1, 1)), Verdict::TakenId);
}
