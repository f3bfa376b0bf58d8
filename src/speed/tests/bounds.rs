//! Memory is bounded: leases end, rows give way to files.

use super::*;

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
