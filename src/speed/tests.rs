//! The speed layer as a whole: the seam is exact whatever the order of events, memory is bounded, windows roll.

use super::*;
use crate::event::rows::Rows;
use crate::event::{
    BadRowKind, BatchId, Boundary, Cause, Chunk, EventAddr, Failure, Flow, Offset, OffsetRange, Outcome, Processed,
    Tally,
};
use crate::platform::clock::Clock;
use crate::platform::owned::OwnedFile;
use crate::platform::units::{ByteSize, Span};
use crate::telemetry::Metrics;
use crate::view::testing::{self, Row as Event};
use crate::view::{Fold, Groups, Layer, Reducer, View, ViewDef, ViewQuery, answer};
use proptest::prelude::*;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

const VIEWS: [&str; 2] = [
    r#"
name = "traffic"
grain = "1m"
dimensions = ["app_id", "event_name"]
windows = ["1s", "10s", "1m", "5m", "1h"]
measures = { events = "count", users = "distinct(domain_userid)", revenue = "sum(tr_total)" }
"#,
    r#"
name = "plain"
grain = "1s"
time = "collector_tstamp"
measures = { events = "count" }
"#,
];

fn views() -> Vec<Arc<View>> {
    VIEWS.iter().map(|t| toml_edit::de::from_str::<ViewDef>(t).unwrap().compile().unwrap()).collect()
}

struct Rig {
    speed: Speed,
    clock: Clock,
    views: Vec<Arc<View>>,
    dir: tempfile::TempDir,
}

fn rig(config: Config, start: u64) -> Rig {
    let (dir, clock, views) = (tempfile::tempdir().unwrap(), Clock::fixed(1_000_000), views());
    let deps = Deps {
        views: views.clone(),
        start: boundary(start),
        state_dir: dir.path().join("speed"),
        clock: clock.clone(),
        metrics: Metrics::new(),
    };
    Rig { speed: Speed::new(config, deps).unwrap(), clock, views, dir }
}

fn boundary(offset: u64) -> Boundary {
    Boundary { offset: Offset(offset), time_ms: 1 }
}

fn id(from: u64, to: u64) -> BatchId {
    OffsetRange::new(Offset(from), Offset(to))
}

/// The event at an offset: one per offset, always the same.
fn event_at(offset: u64) -> Event {
    let n = offset.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 40;
    Event {
        arrival: 900_000 + offset as i64 * 7,
        derived: (!n.is_multiple_of(9)).then_some(880_000 + (n % 130_000) as i64),
        app: (!n.is_multiple_of(7)).then(|| format!("app{}", n % 3)),
        event: Some(["page_view", "search"][(n % 2) as usize].to_owned()),
        user: Some(format!("user{}", n % 50)),
        total_cents: n.is_multiple_of(4).then_some(n as i64),
        ..Event::default()
    }
}

fn empty() -> Arc<Rows> {
    Arc::new(testing::rows(&[]))
}

fn chunk(batch_from: u64, from: u64, to: u64) -> Flow {
    let events: Vec<Event> = (from..to).map(event_at).collect();
    let received = |e: Option<&Event>| e.map_or(0, |e| e.arrival);
    let n = to - from;
    Flow::Chunk(Arc::new(Chunk {
        range: id(from, to),
        batch_from: Offset(batch_from),
        items: Vec::new(),
        rows: Arc::new(testing::rows(&events)),
        failed_rows: empty(),
        tally: Tally { payload_events: n, enriched: n, ..Tally::default() },
        received_ms: (received(events.first()), received(events.last())),
        bytes: n * 100,
    }))
}

/// A chunk of failed events at these offsets.
fn failures(batch_from: u64, from: u64, to: u64) -> Flow {
    let failed = |offset: u64| Processed {
        addr: EventAddr { offset: Offset(offset), index: 0 },
        repairs: None,
        outcome: Outcome::Failed(Box::new(Failure {
            bad_row: format!("{{\"offset\":{offset}}}"),
            cause: Cause {
                kind: BadRowKind::SchemaViolations,
                failure: "ValidationError".to_owned(),
                schema: None,
                path: Some(format!("$.{}", offset % 2)),
                keyword: None,
                message: "missing".to_owned(),
            },
            app_id: Some("shop".to_owned()),
            collector_ms: 999_000,
            incomplete: None,
        })),
    };
    let n = to - from;
    Flow::Chunk(Arc::new(Chunk {
        range: id(from, to),
        batch_from: Offset(batch_from),
        items: (from..to).map(failed).collect(),
        rows: empty(),
        failed_rows: empty(),
        tally: Tally { payload_events: n, failed: n, ..Tally::default() },
        received_ms: (999_000, 999_000),
        bytes: n * 100,
    }))
}

fn naive(view: &Arc<View>, from: u64, to: u64) -> Groups {
    let mut fold = Fold::new(view.clone());
    fold.add(&testing::rows(&(from..to).map(event_at).collect::<Vec<_>>())).unwrap();
    fold.into_groups()
}

/// The answer over a committed part made the long way and the part in memory.
fn merged(rig: &Rig, view: usize, lease: &Lease, above: u64) -> (String, u64) {
    let view = &rig.views[view];
    let plan = Arc::new(view.plan(&ViewQuery::range(0, 10_000_000)).unwrap());
    let mut memory = lease.read(Offset(above), &Wanted { views: &[(view.name(), plan.clone())], tail: true }).unwrap();
    let mut committed = Reducer::new(view, plan);
    committed.add(&naive(view, 0, above)).unwrap();
    let half = memory.halves.pop().unwrap();
    let answer = answer::answer(&committed.finish(), &half, Layer::Merged, usize::MAX);
    let tail = memory.tail.unwrap();
    let rows: usize = tail.rows.iter().map(|r| r.len()).sum();
    assert_eq!(
        above + rows as u64 + 10 * tail.files.len() as u64,
        memory.applied.0,
        "the tail reaches from the boundary to applied"
    );
    assert_eq!(above + memory.tally.enriched, memory.applied.0);
    (serde_json::to_string(&answer.rows).unwrap(), memory.applied.0)
}

fn expected(rig: &Rig, view: usize, to: u64) -> String {
    let view = &rig.views[view];
    let query = ViewQuery::range(0, 10_000_000);
    let answer = answer::reduce(view, &query, Layer::Batch, [&naive(view, 0, to)], [], usize::MAX).unwrap();
    serde_json::to_string(&answer.rows).unwrap()
}

#[derive(Clone, Debug)]
enum Step {
    Chunk(u64),
    Seal,
    Commit,
    Announce,
    Begin,
    Read(usize),
    End(usize),
    Tidy,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (0u64..30).prop_map(Step::Chunk),
        2 => Just(Step::Seal),
        2 => Just(Step::Commit),
        2 => Just(Step::Announce),
        2 => Just(Step::Begin),
        3 => (0usize..8).prop_map(Step::Read),
        1 => (0usize..8).prop_map(Step::End),
        1 => Just(Step::Tidy),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Promise P3: at any moment, for any reader that took its lease before its snapshot, committed and in memory are
    /// exactly everything below the applied offset; and what nobody holds is let go.
    #[test]
    fn the_seam_is_exact_in_any_order(steps in prop::collection::vec(step(), 1..60)) {
        let config = Config { max_state_bytes: ByteSize(2_000), ..Config::default() };
        let rig = rig(config, 0);
        let (mut applied, mut open) = (0, 0);
        let (mut sealed, mut committed) = (Vec::new(), 0);
        let mut readers: Vec<(Lease, u64)> = Vec::new();
        for step in steps {
            match step {
                Step::Chunk(n) => {
                    rig.speed.apply(&chunk(open, applied, applied + n)).unwrap();
                    applied += n;
                }
                Step::Seal if applied > open => {
                    rig.speed.apply(&Flow::Seal(id(open, applied))).unwrap();
                    sealed.push(applied);
                    open = applied;
                }
                Step::Commit if !sealed.is_empty() => committed = sealed.remove(0),
                Step::Announce => rig.speed.boundary_moved(boundary(committed)),
                Step::Begin => {
                    let lease = rig.speed.lease();
                    readers.push((lease, committed));
                }
                Step::Read(n) if !readers.is_empty() => {
                    let (lease, above) = &readers[n % readers.len()];
                    for view in 0..2 {
                        let (got, upto) = merged(&rig, view, lease, *above);
                        prop_assert_eq!(upto, applied);
                        prop_assert_eq!(got, expected(&rig, view, applied));
                    }
                }
                Step::End(n) if !readers.is_empty() => drop(readers.swap_remove(n % readers.len())),
                Step::Tidy => rig.speed.tidy(),
                _ => {}
            }
        }
        readers.clear();
        rig.speed.boundary_moved(boundary(committed));
        let left: Vec<BatchInfo> = rig.speed.batches();
        prop_assert!(left.iter().all(|b| b.from.0 >= committed));
        prop_assert_eq!(rig.speed.0.inner.read().batches.len(), left.len(), "committed state is gone when no lease is left");
        drop(rig.speed);
        let files = std::fs::read_dir(rig.dir.path().join("speed")).map_or(0, Iterator::count);
        prop_assert_eq!(files, 0, "files go with what they hold");
    }

    /// A window holds what arrived in it, but for the block that its edge cuts.
    #[test]
    fn windows_hold_what_arrived(
        gaps in prop::collection::vec((0i64..40_000, 0i64..90_000, 1usize..4), 1..80), after in 0i64..4_000_000,
    ) {
        let rig = rig(Config::default(), 0);
        let mut now = 5_000_000;
        let mut arrivals = Vec::new();
        for (i, (gap, late, n)) in gaps.into_iter().enumerate() {
            // Most gaps are short, some are long; most events are prompt, some are late.
            now += if gap < 35_000 { gap % 700 } else { gap * 20 };
            rig.clock.set(now);
            let at = now - if late < 80_000 { late % 300 } else { late * 30 };
            let event = Event { arrival: at, app: Some("a".to_owned()), ..Event::default() };
            let Flow::Chunk(template) = chunk(0, i as u64, i as u64 + 1) else { unreachable!() };
            let rows = Arc::new(testing::rows(&vec![event; n]));
            let chunk = Chunk {
                rows, range: template.range, batch_from: Offset(0), items: vec![], failed_rows: empty(), tally: template.tally,
                received_ms: (at, at), bytes: 1,
            };
            rig.speed.apply(&Flow::Chunk(Arc::new(chunk))).unwrap();
            arrivals.extend(std::iter::repeat_n(at, n));
            if i % 3 == 0 {
                rig.speed.tidy();
            }
        }
        for wait in [0, after % 5_000, after] {
            // A sum is at most 18 s old, so this makes new ones.
            now += wait + 18_000;
            rig.clock.set(now);
            rig.speed.tidy();
            for window in rig.speed.windows("traffic").unwrap() {
                let edge = now - window.window_ms;
                let slack = (window.window_ms / 60).max(50);
                let since = |t: i64| arrivals.iter().filter(|a| **a >= t).count() as u64;
                // A pane is 100 ms wide, so what stands in the pane of the edge may be counted or not.
                let (least, most) = (since(edge + slack + PANE_MS), since(edge - slack - PANE_MS));
                let got = window.groups.total_rows();
                prop_assert!((least..=most).contains(&got), "{} ms: {least} <= {got} <= {most}", window.window_ms);
            }
        }
    }
}

#[test]
fn readers_on_other_threads_never_see_a_gap_or_a_double() {
    let rig = rig(Config::default(), 0);
    let (warehouse, done) = (AtomicU64::new(0), AtomicBool::new(false));
    let reads = AtomicU64::new(0);
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                let mut last = 0;
                while !done.load(Ordering::Relaxed) {
                    let lease = rig.speed.lease();
                    let above = warehouse.load(Ordering::SeqCst);
                    std::thread::yield_now();
                    let (rows, upto) = merged_count(&rig, &lease, above);
                    assert_eq!(above + rows, upto);
                    assert!(upto >= last, "the answer never goes back");
                    last = upto;
                    reads.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
        let (mut applied, mut open) = (0u64, 0);
        for round in 0..400u64 {
            rig.speed.apply(&chunk(open, applied, applied + round % 13)).unwrap();
            applied += round % 13;
            if round % 5 == 4 {
                rig.speed.apply(&Flow::Seal(id(open, applied))).unwrap();
                open = applied;
            }
            if round % 5 == 2 && open > 0 {
                warehouse.store(open, Ordering::SeqCst);
                rig.speed.boundary_moved(boundary(open));
            }
            if round % 7 == 0 {
                rig.speed.tidy();
            }
        }
        while reads.load(Ordering::Relaxed) < 100 {
            std::thread::yield_now();
        }
        done.store(true, Ordering::Relaxed);
    });
    rig.speed.tidy();
    assert!(rig.speed.0.inner.read().batches.len() <= 2);
}

fn merged_count(rig: &Rig, lease: &Lease, above: u64) -> (u64, u64) {
    let plan = Arc::new(rig.views[1].plan(&ViewQuery::range(0, i64::MAX / 2)).unwrap());
    let memory = lease.read(Offset(above), &Wanted { views: &[("plain", plan)], tail: false }).unwrap();
    assert_eq!(memory.halves[0].groups.total_rows(), memory.tally.enriched);
    (memory.tally.enriched, memory.applied.0)
}

#[test]
fn windows_of_a_long_day_stay_small() {
    let rig = rig(Config { window_groups: 3, ..Config::default() }, 0);
    let mut seen = (0, 0);
    for minute in 0..130i64 {
        let at = 2_000_000 + minute * 60_000;
        rig.clock.set(at);
        for half in [0, 30_000] {
            rig.clock.set(at + half);
            let events: Vec<Event> = (0..20)
                .map(|i| Event {
                    arrival: at + half - i * 10,
                    app: Some(format!("app{}", i * minute % 9)),
                    ..Event::default()
                })
                .collect();
            let reading = testing::rows(&events);
            let reading = crate::view::Reading::of(&rig.views[0], &reading).unwrap();
            let mut windows = rig.speed.0.windows[0].as_ref().unwrap().lock();
            windows.advance(at + half);
            windows.add(&reading, at + half);
        }
        rig.speed.tidy();
        let (blocks, groups, bytes) = rig.speed.0.windows[0].as_ref().unwrap().lock().size();
        assert!(
            groups <= 4 * blocks && bytes < 400 * groups.max(1),
            "{groups} groups in {blocks} blocks, {bytes} bytes"
        );
        seen = (seen.0.max(blocks), blocks);
    }
    // 20 panes, 2 blocks a minute of 1 s and 10 s, 1 of 60 s, 31 of 120 s: what is older has gone.
    assert!(seen.0 <= 80 && seen.1 <= 80, "{seen:?}");
    let hour = rig.speed.windows("traffic").unwrap().pop().unwrap();
    assert!((58 * 40..=62 * 40).contains(&hour.groups.total_rows()), "{}", hour.groups.total_rows());
    assert!(hour.groups.len() <= 4 && hour.groups.other_rows() > 0, "beyond the bound is (other)");
}

#[test]
fn an_old_lease_ends_and_says_so() {
    let rig = rig(Config { max_lease: Span::from_secs(1), ..Config::default() }, 0);
    let lease = rig.speed.lease();
    rig.speed.apply(&chunk(0, 0, 10)).unwrap();
    rig.speed.apply(&Flow::Seal(id(0, 10))).unwrap();
    rig.speed.boundary_moved(boundary(10));
    rig.speed.tidy();
    assert_eq!(merged(&rig, 0, &lease, 0).1, 10, "held for the lease that came before");
    std::thread::sleep(std::time::Duration::from_millis(1100));
    rig.speed.tidy();
    assert!(!lease.is_live());
    assert!(matches!(lease.tail(Offset(0)), Err(SpeedError::LeaseExpired)));
    assert_eq!(rig.speed.0.inner.read().batches.len(), 0);
    assert!(matches!(rig.speed.lease().tail(Offset(0)), Err(SpeedError::BoundaryTooOld { .. })));
}

#[test]
fn rows_give_way_to_files_and_memory_stays_bounded() {
    let Flow::Chunk(one) = chunk(0, 0, 10) else { unreachable!() };
    let bytes = (one.rows.weight() + one.failed_rows.weight()) as u64;
    let rig = rig(Config { max_tail_bytes: ByteSize(bytes * 3 / 2), ..Config::default() }, 0);
    for batch in 0..6u64 {
        rig.speed.apply(&chunk(batch * 10, batch * 10, batch * 10 + 10)).unwrap();
        rig.speed.apply(&Flow::Seal(id(batch * 10, batch * 10 + 10))).unwrap();
    }
    assert!(rig.speed.is_full(), "twice the bound, and the batch layer has something to do");
    for batch in 0..4u64 {
        let events = OwnedFile::new(rig.dir.path().join(format!("{batch}.parquet")));
        std::fs::write(&**events, b"rows").unwrap();
        rig.speed.staged(id(batch * 10, batch * 10 + 10), Files { events: Some(events), ..Files::default() });
    }
    assert!(!rig.speed.is_full());
    let lease = rig.speed.lease();
    let (tail, applied) = lease.tail(Offset(0)).unwrap();
    assert_eq!((applied.0, tail.files.len() + tail.rows.len()), (60, 6));
    assert!(!tail.files.is_empty());
    assert_eq!(merged(&rig, 0, &lease, 0).0, expected(&rig, 0, 60), "aggregates stay");
    let states: Vec<State> = rig.speed.batches().iter().map(|b| b.state).collect();
    assert_eq!(states, [State::Written, State::Written, State::Written, State::Written, State::Sealed, State::Sealed]);
    rig.speed.note_state(id(0, 10), State::Committing);
    rig.speed.note_state(id(0, 10), State::Sealed);
    assert_eq!(rig.speed.batches()[0].state, State::Committing, "no step back");
    let there = || (0..4).filter(|b| rig.dir.path().join(format!("{b}.parquet")).exists()).count();
    rig.speed.boundary_moved(boundary(60));
    assert_eq!(there(), 4, "a lease may still read them");
    drop((lease, tail));
    rig.speed.tidy();
    assert_eq!((rig.speed.0.inner.read().tail_bytes, there()), (0, 0));
}

#[test]
fn a_read_below_a_commit_does_not_call_it_committed() {
    let rig = rig(Config::default(), 0);
    rig.speed.apply(&chunk(0, 0, 10)).unwrap();
    rig.speed.apply(&Flow::Seal(id(0, 10))).unwrap();
    let lease = rig.speed.lease();
    rig.speed.boundary_moved(boundary(10));
    let memory = lease.read(Offset(0), &Wanted::default()).unwrap();
    assert_eq!((memory.tally.enriched, memory.batches[0].state), (10, State::Committing));
    assert!(lease.read(Offset(10), &Wanted::default()).unwrap().batches.is_empty());
}

#[test]
fn files_that_come_before_the_seal_are_not_forgotten() {
    let rig = rig(Config { max_tail_bytes: ByteSize(1), ..Config::default() }, 0);
    let Flow::Chunk(one) = chunk(0, 0, 10) else { unreachable!() };
    rig.speed.apply(&Flow::Chunk(one)).unwrap();
    let events = OwnedFile::new(rig.dir.path().join("early.parquet"));
    rig.speed.staged(id(0, 10), Files { events: Some(events), ..Files::default() });
    assert_eq!(rig.speed.lease().tail(Offset(0)).unwrap().0.rows.len(), 1, "an open one keeps its rows");
    assert!(!rig.speed.is_full(), "an open micro-batch alone is no reason to wait: its seal comes the same way");
    rig.speed.apply(&Flow::Seal(id(0, 10))).unwrap();
    rig.speed.tidy();
    let (tail, _) = rig.speed.lease().tail(Offset(0)).unwrap();
    assert_eq!((tail.rows.len(), tail.files.len()), (0, 1));
    assert_eq!(rig.speed.0.inner.read().tail_bytes, 0);
}

#[test]
fn a_flow_that_breaks_its_promises_is_refused() {
    let rig = rig(Config::default(), 100);
    assert!(matches!(rig.speed.apply(&chunk(110, 110, 120)), Err(SpeedError::Gap { .. })));
    rig.speed.apply(&chunk(100, 100, 110)).unwrap();
    assert!(matches!(rig.speed.apply(&chunk(100, 111, 120)), Err(SpeedError::Gap { .. })));
    assert!(matches!(rig.speed.apply(&chunk(100, 105, 120)), Err(SpeedError::Gap { .. })));
    assert!(matches!(rig.speed.apply(&Flow::Seal(id(100, 111))), Err(SpeedError::WrongSeal { .. })));
    rig.speed.apply(&Flow::Seal(id(100, 110))).unwrap();
    assert!(matches!(rig.speed.lease().tail(Offset(105)), Err(SpeedError::NotABoundary { .. })));
    assert!(matches!(rig.speed.lease().tail(Offset(99)), Err(SpeedError::BoundaryTooOld { .. })));
    let query = ViewQuery::range(0, 1);
    assert!(matches!(rig.speed.lease().view("nonsense", Offset(110), &query), Err(SpeedError::NoSuchView(_))));
}

#[test]
fn history_fills_windows_and_not_answers() {
    let rig = rig(Config::default(), 100);
    rig.clock.set(900_000 + 120 * 7);
    rig.speed.apply(&chunk(0, 60, 100)).unwrap();
    rig.speed.apply(&Flow::Seal(id(0, 100))).unwrap();
    assert_eq!(rig.speed.applied(), Offset(100));
    rig.speed.apply(&chunk(100, 100, 120)).unwrap();
    let part = rig.speed.lease().view("plain", Offset(100), &ViewQuery::range(0, 10_000_000)).unwrap();
    assert_eq!((part.half.groups.total_rows(), part.applied, part.tally.enriched), (20, Offset(120), 20));
    let windows = rig.speed.windows("traffic").unwrap();
    assert_eq!(windows.iter().map(|w| w.window_ms).collect::<Vec<_>>(), [1_000, 10_000, 60_000, 300_000, 3_600_000]);
    assert!(windows.iter().all(|w| w.groups.total_rows() == 60));
    assert_eq!(rig.speed.visible().events, 20, "the delay of history is none");
    assert_eq!(rig.speed.windows("plain").unwrap().len(), 0);
}

#[test]
fn a_restart_refills_the_windows_from_the_journal() {
    use crate::event::{Cell, Event as Enriched, columns};
    let rig = rig(Config::default(), 40_000);
    // One event a second, the last one now; the journal still has the records from 20 000 on.
    let arrival = |offset: u64| 50_000_000 - (40_000 - offset as i64) * 1000;
    rig.clock.set(50_000_000);
    rig.speed.tidy();
    let asked = Arc::new(AtomicU64::new(u64::MAX));
    let lowest = asked.clone();
    let refeed = move |from: Offset, to: Offset| -> std::io::Result<Option<(OffsetRange, Vec<Processed>)>> {
        lowest.fetch_min(from.0, Ordering::Relaxed);
        let upto = (from.0 + 700).min(to.0);
        let event = |offset: u64| {
            let mut event = Enriched::new();
            event.set_text(columns::APP_ID, "shop");
            event.set(columns::COLLECTOR_TSTAMP, Cell::Time(arrival(offset)));
            Processed::new(EventAddr { offset: Offset(offset), index: 0 }, Outcome::Enriched(Box::new(event)))
        };
        Ok(Some((OffsetRange::new(from, Offset(upto)), (from.0..upto).map(event).collect())))
    };
    let drain = crate::pipeline::drain::Drain::new();
    spawn_refill(rig.speed.clone(), Box::new(refeed), Offset(20_000), drain).unwrap().join().unwrap();
    let totals: Vec<u64> = rig.speed.windows("traffic").unwrap().iter().map(|w| w.groups.total_rows()).collect();
    assert_eq!(totals[..3], [1, 10, 60]);
    assert!((295..=305).contains(&totals[3]) && (3_540..=3_660).contains(&totals[4]), "{totals:?}");
    assert_eq!(asked.load(Ordering::Relaxed), 35_000, "no further back than the longest window");
    assert_eq!(
        rig.speed.lease().view("plain", Offset(40_000), &ViewQuery::range(0, i64::MAX / 2)).unwrap().half.read,
        0
    );
    assert_eq!((rig.speed.sites()[0].rate, rig.speed.visible().events), (1.0, 0));
}

#[test]
fn a_batch_layer_that_is_faster_does_no_harm() {
    let rig = rig(Config::default(), 0);
    rig.speed.apply(&chunk(0, 0, 5)).unwrap();
    rig.speed.boundary_moved(boundary(10));
    let lease = rig.speed.lease();
    assert_eq!(lease.read(Offset(10), &Wanted::default()).unwrap().applied, Offset(10));
    rig.speed.apply(&chunk(0, 5, 10)).unwrap();
    rig.speed.apply(&Flow::Seal(id(0, 10))).unwrap();
    drop(lease);
    rig.speed.tidy();
    assert_eq!(rig.speed.0.inner.read().batches.len(), 0);
    rig.speed.apply(&chunk(10, 10, 12)).unwrap();
    assert_eq!(rig.speed.lease().read(Offset(10), &Wanted::default()).unwrap().tally.enriched, 2);
}

#[test]
fn failures_are_held_counted_and_grouped() {
    let rig = rig(Config { max_failures: 7, ..Config::default() }, 0);
    let mut watch = rig.speed.subscribe();
    rig.speed.apply(&failures(0, 0, 10)).unwrap();
    rig.speed.apply(&chunk(0, 10, 12)).unwrap();
    assert!(watch.has_changed().unwrap() && watch.borrow_and_update().applied == Offset(12));
    let (tail, _) = rig.speed.lease().tail(Offset(0)).unwrap();
    assert_eq!((tail.failures.len(), tail.failures_left_out), (7, 3));
    assert_eq!(tail.failures[3].failure.bad_row, "{\"offset\":3}");
    let memory = rig.speed.lease().read(Offset(0), &Wanted::default()).unwrap();
    assert_eq!((memory.tally.failed, memory.tally.enriched, memory.tally.payload_events), (10, 2, 12));
    let causes = rig.speed.failed_causes(300_000);
    assert_eq!(causes.iter().map(|c| c.count).collect::<Vec<_>>(), [5, 5]);
    assert_eq!(rig.speed.visible().events, 12);
    let shop = rig.speed.sites().into_iter().find(|s| s.app_id.as_deref() == Some("shop")).unwrap();
    assert_eq!(shop.last_ms, 999_000);
}

#[test]
fn a_repaired_failure_is_in_no_list_and_counts_in_no_rate() {
    use crate::event::{Cell, Event as Enriched, columns};
    let rig = rig(Config::default(), 0);
    rig.speed.apply(&failures(0, 0, 10)).unwrap();
    rig.speed.apply(&Flow::Seal(id(0, 10))).unwrap();
    let before = (rig.speed.visible().events, rig.speed.sites());
    let item = |n: u64| {
        let mut event = Enriched::new();
        event.set_text(columns::APP_ID, "shop");
        event.set(columns::COLLECTOR_TSTAMP, Cell::Time(999_000));
        let of = EventAddr { offset: Offset(n), index: 0 };
        let repairs = Some(crate::event::Repair { of, event_id: None });
        Processed { addr: of, repairs, outcome: Outcome::Enriched(Box::new(event)) }
    };
    let items: Vec<Processed> =
        (0..4).map(|n| Processed { addr: EventAddr { offset: Offset(10), index: n }, ..item(n.into()) }).collect();
    let mut tally = Tally::default();
    items.iter().for_each(|item| tally.count(item));
    let rows = Arc::new(crate::event::rows::build(&items).0);
    let (range, batch_from, received_ms) = (id(10, 11), Offset(10), (0, 0));
    let chunk = Chunk { range, batch_from, items, rows, failed_rows: empty(), tally, received_ms, bytes: 100 };
    rig.speed.apply(&Flow::Chunk(Arc::new(chunk))).unwrap();
    let (tail, _) = rig.speed.lease().tail(Offset(0)).unwrap();
    assert_eq!(tail.failures.iter().map(|f| f.addr.offset.0).collect::<Vec<_>>(), [4, 5, 6, 7, 8, 9]);
    assert_eq!(rig.speed.failed_causes(300_000).iter().map(|c| c.count).sum::<u64>(), 6);
    assert_eq!((rig.speed.visible().events, rig.speed.sites()), before, "they did not arrive now");
    let memory = rig.speed.lease().read(Offset(0), &Wanted::default()).unwrap();
    let t = memory.tally;
    assert_eq!((t.payload_events, t.enriched, t.standing(), t.repaired), (10, 4, 6, 4));
    // The failures are committed, their repairs not yet.
    rig.speed.boundary_moved(boundary(10));
    let (tail, _) = rig.speed.lease().tail(Offset(10)).unwrap();
    assert_eq!((tail.failures.len(), tail.repaired.len()), (0, 4));
}

#[test]
fn what_goes_by_is_shown_evenly_and_failures_first() {
    let rig = rig(Config { recent_events: 50, ..Config::default() }, 0);
    for round in 0..10 {
        rig.speed.apply(&failures(0, round * 10, round * 10 + 10)).unwrap();
    }
    assert_eq!(rig.speed.recent(3).iter().map(|i| i.summary().offset).collect::<Vec<_>>(), [97, 98, 99]);
    let all = rig.speed.passed(0, 20, &|_| true);
    assert_eq!((all.next, all.seen, all.missed, all.shown.len()), (100, 50, 50, 20));
    let even = rig.speed.passed(90, 100, &|p| p.addr.offset.0 % 2 == 0);
    assert_eq!((even.seen, even.missed), (5, 0));
    assert_eq!(even.shown.iter().map(|i| i.number).collect::<Vec<_>>(), [90, 92, 94, 96, 98]);
    assert_eq!(rig.speed.passed(rig.speed.recent_end(), 20, &|_| true).seen, 0);
    assert_eq!(rig.speed.recent(1)[0].summary().reason.as_deref(), Some("missing"));
}

#[test]
fn published_states_add_up_to_the_answer() {
    let rig = rig(Config { max_state_bytes: ByteSize(1), ..Config::default() }, 0);
    let mut publisher = rig.speed.publisher("traffic").unwrap();
    let mut topic = std::collections::BTreeMap::<String, serde_json::Value>::new();
    let mut sent = 0;
    let (mut open, mut applied, mut boundary_at) = (0u64, 0u64, 0u64);
    for round in 0..40u64 {
        rig.clock.set(900_000 + applied as i64 * 7);
        rig.speed.apply(&chunk(open, applied, applied + 1 + round % 7)).unwrap();
        applied += 1 + round % 7;
        if round % 8 == 7 {
            rig.speed.apply(&Flow::Seal(id(open, applied))).unwrap();
            rig.speed.tidy();
            open = applied;
            boundary_at = open;
        }
        if round % 8 == 2 && boundary_at > 0 {
            rig.speed.boundary_moved(boundary(boundary_at));
            rig.speed.tidy();
        }
        if round % 3 == 0 || round == 39 {
            // A broker without room now and then: what it did not take comes again.
            let mut room = if round % 2 == 0 { 5 } else { usize::MAX };
            publisher
                .poll(&mut |(key, json)| {
                    room -= 1;
                    if room > 0 {
                        topic.insert(key, serde_json::from_str(&json).unwrap());
                        sent += 1;
                    }
                    room > 0
                })
                .unwrap();
        }
    }
    let buckets: Vec<_> = topic.values().filter(|r| r["kind"] == "bucket").collect();
    let total: u64 = buckets.iter().map(|r| r["events"].as_u64().unwrap()).sum();
    assert_eq!(total, applied);
    let (done, rest): (Vec<&serde_json::Value>, Vec<_>) = buckets.iter().partition(|r| r["final"] == true);
    assert_eq!(done.iter().map(|r| r["events"].as_u64().unwrap()).sum::<u64>(), open);
    assert!(
        rest.iter().all(|r| r["batch"] == open) && done.iter().all(|r| r["batch_to"].as_u64() > r["batch"].as_u64())
    );
    assert!(buckets.iter().all(|r| r["state"]["users"].is_string() && r["time"].as_str().unwrap().ends_with('Z')));
    assert!(sent > topic.len());
    for (now, hour) in [(1_400_000, applied), (100_000_000, 0)] {
        rig.clock.set(now);
        rig.speed.tidy();
        publisher
            .poll(&mut |(key, json)| {
                topic.insert(key, serde_json::from_str(&json).unwrap());
                true
            })
            .unwrap();
        let window =
            |w: &str| topic.values().filter(|r| r["window"] == w).map(|r| r["events"].as_u64().unwrap()).sum::<u64>();
        // Groups that left a window are sent once more, empty.
        assert_eq!((window("1h"), window("1m"), window("1s")), (hour, 0, 0));
    }
}

#[test]
fn the_stage_takes_the_flow_to_its_end() {
    let rig = rig(Config::default(), 0);
    let (tx, rx) = crate::pipeline::link::link("speed", 4);
    let thread = spawn(rig.speed.clone(), rx, crate::pipeline::drain::Drain::new()).unwrap();
    for i in 0..20 {
        tx.send(chunk(0, i * 5, i * 5 + 5)).unwrap();
    }
    tx.send(Flow::Seal(id(0, 100))).unwrap();
    drop(tx);
    thread.join().unwrap().unwrap();
    assert_eq!(rig.speed.applied(), Offset(100));
    let (tx, rx) = crate::pipeline::link::link("speed", 4);
    let thread = spawn(rig.speed.clone(), rx, crate::pipeline::drain::Drain::new()).unwrap();
    tx.send(chunk(0, 0, 5)).unwrap();
    assert!(thread.join().unwrap().is_err(), "a flow from another place ends the stage");
}
