//! The speed layer as a whole: the seam is exact whatever the order of events, memory is bounded, windows roll.

mod bounds;
mod seam;
mod shown;
mod windows;

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
