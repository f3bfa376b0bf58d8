//! The seam is exact whatever the order of events, and says so when it cannot be.

use super::*;

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
