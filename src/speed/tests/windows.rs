//! Windows roll, stay small and come back after a restart.

use super::*;

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

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
