//! The stage against a naive model: random repeats, random cuts, restarts at random points.

use super::*;
use crate::dedupe::Config;
use crate::event::{Cell, Event, EventAddr, columns};
use crate::pipeline::link::link;
use crate::platform::testing::PATIENCE;
use crate::platform::units::Span;
use proptest::prelude::*;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

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
    Processed::new(addr, Outcome::Enriched(Box::new(event)))
}

/// One event of a test stream: id, content, and how far its clock is off.
type Sent = (u8, u8, i8);

const JOURNAL: Uuid = Uuid::from_u128(1);
/// Events in a payload.
const PAIR: usize = 2;

fn time_of(n: usize, skew: i8) -> i64 {
    1_000 + n as i64 / PAIR as i64 + i64::from(skew)
}

fn addr_of(n: usize) -> EventAddr {
    EventAddr { offset: Offset((n / PAIR) as u64), index: (n % PAIR) as u32 }
}

/// The stream in batches of some payloads, from a payload on.
fn batches(sent: &[Sent], from: u64, payloads: usize) -> Vec<EnrichedBatch> {
    let all: Vec<Processed> = sent
        .iter()
        .enumerate()
        .map(|(n, (id, content, skew))| event(addr_of(n), *id, *content, time_of(n, *skew)))
        .collect();
    let from = (from as usize * PAIR).min(all.len());
    all[from..]
        .chunks(payloads * PAIR)
        .map(|items| EnrichedBatch {
            range: OffsetRange::new(items[0].addr.offset, items[items.len() - 1].addr.offset.next()),
            items: items.to_vec(),
            received_ms: (1, 1),
            bytes: 10,
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

/// One world: a stream, a folder, what the planner decided, and how far the warehouse is.
struct World<'a> {
    dir: &'a Path,
    sent: &'a [Sent],
    window: i64,
    every: u64,
    payloads: usize,
    decided: Arc<parking_lot::Mutex<Vec<Offset>>>,
    /// Commits follow seals at this distance; `None` never.
    commit_after: Option<usize>,
    /// The journal has lost what lies below.
    journal_first: u64,
}

struct Life {
    seen: Seen,
    sealed: Vec<OffsetRange>,
    index: Index,
    committed: Offset,
}

impl<'a> World<'a> {
    fn new(dir: &'a Path, sent: &'a [Sent]) -> Self {
        let decided = Arc::default();
        World { dir, sent, window: 1 << 40, every: 4, payloads: 3, decided, commit_after: None, journal_first: 0 }
    }

    fn index(&self, boundary: Offset) -> Index {
        let config = Config { window: Span::from_millis(self.window), ..Config::default() };
        let mut refeed = |from: Offset, to: Offset| {
            if from.0 < self.journal_first {
                return Ok(None);
            }
            let batch = batches(self.sent, from.0, self.payloads).swap_remove(0);
            let end = batch.range.to.min(to);
            let items = batch.items.into_iter().filter(|i| i.addr.offset < end).collect();
            Ok(Some((OffsetRange::new(from, end), items)))
        };
        Index::load(&config, self.dir, boundary, &mut refeed).unwrap()
    }

    /// Runs the stage over the stream from `boundary` on.
    fn live(&self, boundary: Offset) -> Life {
        let index = self.index(boundary);
        let (tx, input) = link("enriched", 10_000);
        let (out, rx) = link("flow", 10_000);
        for batch in batches(self.sent, boundary.0, self.payloads) {
            tx.send(batch).unwrap();
        }
        drop(tx);
        let planner = Plan {
            open: OffsetRange::new(boundary, boundary),
            rows: 0,
            every: self.every,
            decided: self.decided.clone(),
        };
        let stage = build(Deps {
            index: index.clone(),
            planner: Box::new(planner),
            redone_to: Offset(0),
            journal_id: JOURNAL,
            input,
            outputs: vec![out],
            clock: Clock::fixed(0),
            metrics: Metrics::new(),
            drain: Drain::new(),
        })
        .unwrap();
        let (mut seen, mut sealed, mut at, mut committed) =
            (Seen::new(), Vec::<OffsetRange>::new(), boundary, boundary);
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
                    let due = self.commit_after.and_then(|after| sealed.len().checked_sub(after + 1));
                    if let Some(id) = due.and_then(|n| sealed.get(n)) {
                        committed = id.to;
                        index.committed(committed);
                    }
                }
            }
        }
        stage.join();
        index.wait_for_merges();
        Life { seen, sealed, index, committed }
    }

    /// What should come out, the slow way.
    fn model(&self) -> Seen {
        let mut let_through: Vec<(u8, u8, EventAddr, i64)> = Vec::new();
        let mut out = Seen::new();
        let mut latest = i64::MIN;
        for (n, (id, content, skew)) in self.sent.iter().enumerate() {
            let addr = addr_of(n);
            let time = time_of(n, *skew).max(latest);
            let near = |t: i64| time - t <= self.window;
            let same = let_through.iter().filter(|e| e.0 == *id && e.1 == *content && near(e.3)).map(|e| e.2).min();
            let text = if let Some(first) = same {
                format!("duplicate of {first}")
            } else {
                let taken = let_through.iter().any(|e| e.0 == *id && near(e.3));
                let_through.push((*id, *content, addr, time));
                latest = time;
                let own = if taken { mark::own_id(&JOURNAL, addr) } else { Uuid::from_u128(u128::from(*id)) };
                format!("event {own} derived {}", u8::from(taken))
            };
            out.insert(addr, text);
        }
        out
    }

    fn files(&self) -> Vec<PathBuf> {
        let mut files: Vec<PathBuf> = std::fs::read_dir(self.dir).unwrap().map(|e| e.unwrap().path()).collect();
        files.retain(|p| p.extension().is_some_and(|e| e == "ids"));
        files.sort();
        files
    }
}

fn from(seen: &Seen, boundary: Offset) -> Seen {
    seen.iter().filter(|(addr, _)| addr.offset >= boundary).map(|(a, o)| (*a, o.clone())).collect()
}

/// What happens to the folder between two lives.
#[derive(Clone, Copy, Debug)]
enum Harm {
    None,
    Lost(u8),
    Flipped(u8, u16),
    AllLost,
}

fn harm() -> impl Strategy<Value = Harm> {
    prop_oneof![
        2 => Just(Harm::None),
        2 => any::<u8>().prop_map(Harm::Lost),
        2 => any::<(u8, u16)>().prop_map(|(file, byte)| Harm::Flipped(file, byte)),
        1 => Just(Harm::AllLost),
    ]
}

fn do_harm(world: &World<'_>, harm: Harm) {
    let files = world.files();
    let pick = |n: u8| files.get(usize::from(n) % files.len().max(1));
    match harm {
        Harm::None => {}
        Harm::Lost(n) => pick(n).into_iter().for_each(|path| std::fs::remove_file(path).unwrap()),
        Harm::AllLost => {
            std::fs::remove_dir_all(world.dir).unwrap();
        }
        Harm::Flipped(n, byte) => {
            if let Some(path) = pick(n) {
                let mut bytes = std::fs::read(path).unwrap();
                let at = usize::from(byte) % bytes.len();
                bytes[at] ^= 0x20;
                std::fs::write(path, bytes).unwrap();
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, max_shrink_time: 60_000, ..ProptestConfig::default() })]
    #[test]
    fn outcomes_are_those_of_a_naive_model_whatever_the_cuts_restarts_and_losses(
        sent in proptest::collection::vec((0u8..12, 0u8..3, -3i8..3), 1..400),
        every in 1u64..30,
        payloads in 1usize..6,
        window in prop_oneof![Just(1i64 << 40), 2i64..200],
        commit_after in proptest::option::of(0usize..20),
        lives in proptest::collection::vec((any::<u8>(), harm()), 1..4),
    ) {
        let dir = tempfile::tempdir().unwrap();
        let dir = dir.path().join("dedupe");
        let world = World { window, every, payloads, commit_after, ..World::new(&dir, &sent) };
        let expected = world.model();
        let first = world.live(Offset(0));
        prop_assert_eq!(&first.seen, &expected);
        let mut boundary = first.committed;
        for (restart, harm) in lives {
            // The warehouse may be ahead of what it last told, never behind.
            let ends: Vec<Offset> = first.sealed.iter().map(|id| id.to).filter(|to| *to >= boundary).collect();
            boundary = ends.get(usize::from(restart) % ends.len().max(1)).copied().unwrap_or(boundary);
            // Where older files have gone, a lost one can only be made again without them: see the decision.
            let harm = if dir.join("floor").exists() { Harm::None } else { harm };
            do_harm(&world, harm);
            let rest = from(&expected, boundary);
            let mut life = world.live(boundary);
            if let Harm::Flipped(..) = harm && life.seen != rest {
                // Damage that showed in the middle stops the stage; the next start has put it right.
                let end = life.seen.keys().next_back().map_or(boundary, |addr| addr.offset.next());
                let prefix: Seen = rest.clone().into_iter().filter(|(addr, _)| addr.offset < end).collect();
                prop_assert_eq!(&life.seen, &prefix);
                boundary = life.committed.max(boundary);
                life = world.live(boundary);
            }
            prop_assert_eq!(&life.seen, &from(&expected, boundary), "from {}", boundary);
            let sealed_rest: Vec<_> = first.sealed.iter().copied().filter(|id| id.from >= boundary).collect();
            prop_assert_eq!(life.sealed, sealed_rest);
            boundary = life.committed.max(boundary);
            // Old offsets that are enriched again get the verdict that they had.
            'again: for batch in batches(&sent, boundary.0, payloads) {
                for mut item in batch.items {
                    match life.index.decide_again(&mut item, &JOURNAL) {
                        // The flow never came to the damaged block: it lies outside the window.
                        Err(e) if matches!(harm, Harm::Flipped(..)) && e.kind() == io::ErrorKind::InvalidData => {
                            break 'again;
                        }
                        done => assert!(done.unwrap(), "{}", item.addr),
                    }
                    if window > 1 << 30 {
                        prop_assert_eq!(&outcome(&item), &expected[&item.addr]);
                    }
                }
            }
        }
    }
}

#[test]
fn files_are_merged_and_old_ones_go_and_verdicts_stay() {
    let dir = tempfile::tempdir().unwrap();
    let sent: Vec<Sent> = (0..6000usize).map(|n| ((n * 7 % 251) as u8, (n % 3) as u8, 0)).collect();
    let world = World { window: 800, every: 2, payloads: 1, commit_after: Some(40), ..World::new(dir.path(), &sent) };
    let life = world.live(Offset(0));
    assert_eq!(life.seen, world.model());
    assert!(life.sealed.len() > 500, "{}", life.sealed.len());
    let files = || world.files().len();
    let begun = std::time::Instant::now();
    while files() > 150 && begun.elapsed() < PATIENCE {
        std::thread::sleep(Duration::from_millis(10));
    }
    assert!(files() <= 150, "{} files of {} micro-batches", files(), life.sealed.len());
    let first = crate::dedupe::file::range_of(world.files()[0].file_name().unwrap().to_str().unwrap()).unwrap();
    assert!(first.from > Offset(500), "the beginning has gone: {first}");
    let again = world.live(life.committed);
    assert_eq!(again.seen, from(&world.model(), life.committed));
}

#[test]
fn memory_is_bounded_by_forgetting_the_oldest() {
    let dir = tempfile::tempdir().unwrap();
    let config = Config { max_filter_bytes: crate::platform::units::ByteSize(5000), ..Config::default() };
    let index = Index::load(&config, dir.path(), Offset(0), &mut |_, _| Ok(None)).unwrap();
    let entry = |n: u64| entry_of(&event(EventAddr { offset: Offset(n), index: 0 }, 0, 0, n as i64)).unwrap();
    for n in 0..3000u64 {
        let entry = crate::dedupe::IdEntry { id: u128::from(n) << 64, ..entry(n) };
        assert_eq!(index.judge(entry, Uuid::nil).unwrap(), Verdict::First);
        if n % 100 == 99 {
            index.seal(OffsetRange::new(Offset(n - 99), Offset(n + 1))).unwrap();
        }
    }
    let (bytes, forgotten) = index.usage();
    assert!(bytes <= 5000 && forgotten > 0 && forgotten < 3000, "{bytes} {forgotten}");
    assert!(index.find(&Uuid::from_u128(0).to_string()).unwrap().is_empty());
    assert_eq!(index.find(&Uuid::from_u128(2999 << 64).to_string()).unwrap().len(), 1);
}

#[test]
fn what_the_journal_has_lost_is_passed_over_and_the_rest_is_read_again() {
    let dir = tempfile::tempdir().unwrap();
    let sent: Vec<Sent> = (0..100).map(|n| (n as u8, 1, 0)).collect();
    let world = World { journal_first: 20, ..World::new(dir.path(), &sent) };
    let index = world.index(Offset(50));
    for n in 0..100usize {
        let expected = if (40..100).contains(&n) { vec![addr_of(n)] } else { vec![] };
        assert_eq!(index.find(&Uuid::from_u128(n as u128).to_string()).unwrap(), expected, "event {n}");
    }
    // That was written down: the next start does not try again.
    let gone = World { journal_first: 1000, ..World::new(dir.path(), &sent) };
    assert_eq!(gone.index(Offset(50)).find(&Uuid::from_u128(77).to_string()).unwrap(), [addr_of(77)]);
}

#[test]
fn outside_the_window_an_event_is_new_again() {
    let dir = tempfile::tempdir().unwrap();
    let sent = [(1, 1, 0); 40];
    let world = World { window: 5, every: 3, ..World::new(dir.path(), &sent) };
    let life = world.live(Offset(0));
    let through = life.seen.values().filter(|o| o.starts_with("event")).count();
    // One in every six payloads: 0, 6, 12, 18.
    assert_eq!(through, 4, "{:?}", life.seen);
}

#[test]
fn an_index_answers_where_an_event_stands() {
    let dir = tempfile::tempdir().unwrap();
    let sent = [(1, 1, 0), (2, 1, 0), (1, 1, 0), (1, 2, 0), (1, 2, 0)];
    let world = World { every: 100, ..World::new(dir.path(), &sent) };
    world.live(Offset(0));
    let index = Index::load(&Config::default(), dir.path(), Offset(3), &mut |_, _| Ok(None)).unwrap();
    let at = |offset, index| EventAddr { offset: Offset(offset), index };
    let id = Uuid::from_u128(1).to_string();
    assert_eq!(index.find(&id).unwrap(), [at(1, 1), at(0, 0)]);
    let own = mark::own_id(&JOURNAL, at(1, 1)).to_string();
    assert_eq!(index.find(&own).unwrap(), [at(1, 1)]);
    assert!(index.find("nonsense").unwrap().is_empty());
    let ask = |content, addr| index.decided(&entry_of(&event(addr, 1, content, 0)).unwrap()).unwrap();
    assert_eq!(ask(1, at(0, 0)), Verdict::First);
    assert_eq!(ask(1, at(1, 0)), Verdict::Duplicate(at(0, 0)));
    assert_eq!(ask(2, at(1, 1)), Verdict::TakenId);
    assert_eq!(ask(2, at(2, 0)), Verdict::Duplicate(at(1, 1)));
}

#[test]
fn an_event_that_only_a_replay_let_through_counts_there_and_not_where_it_had_failed() {
    let dir = tempfile::tempdir().unwrap();
    let index = Index::load(&Config::default(), dir.path(), Offset(0), &mut |_, _| Ok(None)).unwrap();
    let at = |offset| EventAddr { offset: Offset(offset), index: 0 };
    let replayed = |offset, of| {
        let repairs = Some(crate::event::Repair { of: at(of), event_id: None });
        Processed { repairs, ..event(at(offset), 1, 1, 5) }
    };
    assert_eq!(index.judge(entry_of(&replayed(40, 3)).unwrap(), Uuid::nil).unwrap(), Verdict::First);
    let again = index.judge(entry_of(&replayed(41, 9)).unwrap(), Uuid::nil).unwrap();
    assert_eq!(again, Verdict::Duplicate(at(40)), "a retry that had failed too");
    let check = |index: &Index| {
        for (mut item, expected) in [
            (event(at(3), 1, 1, 5), "duplicate of 40.0"),
            (event(at(9), 1, 1, 5), "duplicate of 40.0"),
            (replayed(41, 9), "duplicate of 40.0"),
            (event(at(3), 2, 1, 5), "event 00000000-0000-0000-0000-000000000002 derived 0"),
            (replayed(40, 3), "event 00000000-0000-0000-0000-000000000001 derived 0"),
        ] {
            index.decide_again(&mut item, &JOURNAL).unwrap();
            assert_eq!(outcome(&item), expected, "{:?}", item.addr);
        }
    };
    check(&index);
    index.seal(OffsetRange::new(Offset(0), Offset(50))).unwrap();
    let index = Index::load(&Config::default(), dir.path(), Offset(50), &mut |_, _| Ok(None)).unwrap();
    check(&index);
    let counted = |offset, id| index.decide_again(&mut event(at(offset), id, 1, 5), &JOURNAL).unwrap();
    assert!(counted(3, 1), "in the answers, by its replay");
    assert!(!counted(3, 2), "it had failed, and nobody has replayed it");
    assert!(counted(60, 2), "nothing is known of that stretch");
}

#[test]
fn an_open_micro_batch_is_sealed_by_age_without_traffic() {
    struct Aged(Plan, i64);
    impl BatchPlanner for Aged {
        fn open_from(&self) -> Offset {
            self.0.open_from()
        }
        fn decided_end(&self) -> Option<Offset> {
            None
        }
        fn grew(&mut self, to: Offset, rows: u64, bytes: u64, now: i64) {
            self.0.grew(to, rows, bytes, now);
        }
        fn is_due(&self, now: i64) -> bool {
            !self.0.open.is_empty() && now >= self.1
        }
        fn seal(&mut self) -> io::Result<OffsetRange> {
            self.0.seal()
        }
    }
    let dir = tempfile::tempdir().unwrap();
    let clock = Clock::fixed(0);
    let (tx, input) = link("enriched", 10);
    let (out, rx) = link("flow", 10);
    let plan = Plan { open: OffsetRange::default(), rows: 0, every: 1, decided: Arc::default() };
    let stage = build(Deps {
        index: Index::load(&Config::default(), dir.path(), Offset(0), &mut |_, _| Ok(None)).unwrap(),
        planner: Box::new(Aged(plan, 1000)),
        redone_to: Offset(0),
        journal_id: JOURNAL,
        input,
        outputs: vec![out],
        clock: clock.clone(),
        metrics: Metrics::new(),
        drain: Drain::new(),
    })
    .unwrap();
    tx.send(batches(&[(1, 1, 0)], 0, 1).swap_remove(0)).unwrap();
    assert!(matches!(rx.recv(), Some(Flow::Chunk(_))));
    assert!(matches!(rx.recv_timeout(Duration::from_millis(200)), Received::Nothing));
    clock.set(1000);
    let sealed = rx.recv_timeout(PATIENCE);
    assert!(matches!(sealed, Received::Message(Flow::Seal(id)) if id == OffsetRange::new(Offset(0), Offset(1))));
    drop(tx);
    stage.join();
}
