//! Failed events, the live feed and what is published.

use super::*;

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
