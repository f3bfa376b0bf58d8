//! Merged answers are exact at every moment: with commits between any two steps of a read, and under load.

use super::super::api::Shared;
use super::super::merge::Seam;
use super::super::params::Params;
use super::super::question::Question;
use super::*;
use crate::batch::ReadError;
use crate::batch::warehouse::{Snapshot, SqlDone, SqlRequest, SqlSink, SqlTail};
use crate::event::{OffsetRange, Tally};
use crate::platform::testing::PATIENCE;
use crate::view::{Fold, Layer, ViewQuery, answer};
use arrow::array::RecordBatch;
use proptest::prelude::*;
use std::time::Duration;

/// Steps of a read between which a test may let something happen.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Step {
    Leased,
    Snapshot,
}

type Hook = Box<dyn FnMut(Step) + Send>;

/// A warehouse in memory: the list of what was committed.
#[derive(Clone, Default)]
struct Fake(Arc<FakeState>);

#[derive(Default)]
struct FakeState {
    committed: Mutex<Vec<(BatchId, Vec<Arc<Chunk>>)>>,
    hook: Mutex<Option<Hook>>,
}

impl Fake {
    fn at(&self, step: Step) {
        let taken = self.0.hook.lock().take();
        if let Some(mut hook) = taken {
            hook(step);
            *self.0.hook.lock() = Some(hook);
        }
    }
}

struct FakeSnapshot {
    fake: Fake,
    rows: Vec<(BatchId, Vec<Arc<Chunk>>)>,
}

impl Reader for Fake {
    fn snapshot(&self, _: Duration) -> Result<Box<dyn Snapshot>, ReadError> {
        self.at(Step::Leased);
        let rows = self.0.committed.lock().clone();
        self.at(Step::Snapshot);
        Ok(Box::new(FakeSnapshot { fake: self.clone(), rows }))
    }
}

impl Snapshot for FakeSnapshot {
    fn boundary(&self) -> Boundary {
        let offset = self.rows.last().map_or(Offset(0), |(id, _)| id.to);
        Boundary { offset, time_ms: offset.0 as i64 }
    }
    fn tally(&mut self) -> Result<Tally, ReadError> {
        let mut all = Tally::default();
        self.rows.iter().flat_map(|(_, chunks)| chunks).for_each(|c| all.add(&c.tally));
        Ok(all)
    }
    fn dynamic_columns(&mut self) -> Result<Vec<String>, ReadError> {
        Ok(Vec::new())
    }
    fn view_groups(&mut self, view: &Arc<View>, _: &ViewQuery) -> Result<Vec<RecordBatch>, ReadError> {
        self.fake.at(Step::Snapshot);
        let stored = self.rows.iter().map(|(_, chunks)| {
            let mut fold = Fold::new(view.clone());
            chunks.iter().for_each(|c| fold.add(&c.rows).unwrap());
            fold.to_record_batch().unwrap()
        });
        Ok(stored.collect())
    }
    fn sql(&mut self, _: &SqlRequest, _: &SqlTail, _: &mut dyn SqlSink) -> Result<SqlDone, ReadError> {
        Err(ReadError::Sql("no SQL here".into()))
    }
}

/// The pipeline of a test, without HTTP.
struct World {
    _dir: tempfile::TempDir,
    fake: Fake,
    speed: Speed,
    api: Shared,
    next: u64,
    applied: Vec<Arc<Chunk>>,
    open: Vec<Arc<Chunk>>,
    sealed: Arc<Mutex<Vec<Vec<Arc<Chunk>>>>>,
}

impl World {
    fn new() -> World {
        let dir = tempfile::tempdir().unwrap();
        let clock = Clock::fixed(testing::EPOCH);
        let speed = speed_of(dir.path(), &clock);
        let fake = Fake::default();
        let deps = deps_of(dir.path(), &clock, &speed, Arc::new(fake.clone()), &Arc::default());
        let api = build(&config(), deps).unwrap().api;
        let sealed = Arc::default();
        World { _dir: dir, fake, speed, api, next: 0, applied: Vec::new(), open: Vec::new(), sealed }
    }

    fn grow(&mut self, n: u64, duplicates: u64) {
        let from = self.open.first().map_or(self.next, |c| c.range.from.0);
        let chunk = testing::chunk(from, self.next..self.next + n, duplicates);
        self.speed.apply(&Flow::Chunk(chunk.clone())).unwrap();
        self.next += n;
        self.applied.push(chunk.clone());
        self.open.push(chunk);
    }

    fn seal(&mut self) {
        let chunks = std::mem::take(&mut self.open);
        let (Some(first), Some(last)) = (chunks.first(), chunks.last()) else { return };
        self.speed.apply(&Flow::Seal(OffsetRange::new(first.range.from, last.range.to))).unwrap();
        self.sealed.lock().push(chunks);
    }

    /// What a commit does, for use at any moment of a read.
    fn committer(&self) -> impl FnMut() + Send + use<> {
        let (fake, speed, sealed) = (self.fake.clone(), self.speed.clone(), self.sealed.clone());
        move || {
            let mut sealed = sealed.lock();
            if sealed.is_empty() {
                return;
            }
            let chunks = sealed.remove(0);
            let id = OffsetRange::new(chunks[0].range.from, chunks[chunks.len() - 1].range.to);
            fake.0.committed.lock().push((id, chunks));
            speed.boundary_moved(Boundary { offset: id.to, time_ms: id.to.0 as i64 });
            speed.tidy();
        }
    }

    /// A question asked of both halves, and of all chunks folded at once.
    fn check(&self, text: &str, layer: Layer) {
        let (name, query) = text.split_once('?').unwrap();
        let params = Params::parse(Some(query), &super::super::question::KNOWN).unwrap();
        let planned = Question::read(name, &params, None).unwrap().plan(&self.api, testing::EPOCH).unwrap();
        let mut seam = Seam::open(&self.api).unwrap();
        let batch = seam.batch(&planned).unwrap();
        let memory = seam.memory(&[&planned], false).unwrap();
        let found = answer::answer(&batch, &memory.halves[0], layer, usize::MAX);

        let mut fold = Fold::new(planned.view.clone());
        self.applied.iter().for_each(|c| fold.add(&c.rows).unwrap());
        let whole =
            answer::reduce(&planned.view, &planned.query, Layer::Merged, [fold.groups()], [], usize::MAX).unwrap();
        assert_eq!(memory.applied.0, self.next);
        let json = |rows: &[crate::view::Row]| serde_json::to_value(rows).unwrap();
        match layer {
            Layer::Split => {
                let (found, whole) = (json(&found.rows), json(&whole.rows));
                let rows = found.as_array().unwrap().iter().zip(whole.as_array().unwrap());
                assert_eq!(found.as_array().unwrap().len(), whole.as_array().unwrap().len());
                for (split, one) in rows {
                    assert_eq!(split["events"]["merged"], one["events"]);
                    let part = |p: &str| split["events"][p].as_u64().unwrap();
                    assert_eq!(part("batch") + part("speed"), part("merged"));
                }
            }
            _ => assert_eq!(json(&found.rows), json(&whole.rows)),
        }
        let mut tally = Tally::default();
        self.applied.iter().for_each(|c| tally.add(&c.tally));
        assert_eq!(super::super::merge::equation(&seam.committed().unwrap(), &memory.tally), tally);
        assert_eq!(super::super::facts::difference(&tally), 0);
    }
}

#[derive(Clone, Debug)]
enum Op {
    Grow(u64, u64),
    Seal,
    Commit,
    /// A read during which a commit happens at these steps.
    Read {
        at: Vec<bool>,
        split: bool,
        question: usize,
    },
}

const QUESTIONS: [&str; 5] = [
    "pulse?",
    "traffic?",
    "traffic?by=app_id&grain=1h&f.app_id=site1&f.app_id=site2",
    "traffic?by=&grain=all",
    "traffic?grain=1d&tz=Europe/Paris&f.event_name=!page_view",
];

fn op() -> impl Strategy<Value = Op> {
    let read = (proptest::collection::vec(any::<bool>(), 3), any::<bool>(), 0..QUESTIONS.len());
    prop_oneof![
        3 => (1..60u64, prop_oneof![Just(0), 3..9u64]).prop_map(|(n, d)| Op::Grow(n, d)),
        2 => Just(Op::Seal),
        1 => Just(Op::Commit),
        4 => read.prop_map(|(at, split, question)| Op::Read { at, split, question }),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]
    #[test]
    fn merged_is_the_fold_over_everything_whatever_commits_in_between(ops in proptest::collection::vec(op(), 1..40)) {
        let mut world = World::new();
        for op in ops {
            match op {
                Op::Grow(n, duplicates) => world.grow(n, duplicates),
                Op::Seal => world.seal(),
                Op::Commit => world.committer()(),
                Op::Read { at, split, question } => {
                    let mut commit = world.committer();
                    let mut plan = at.into_iter();
                    let hook: Hook = Box::new(move |_| {
                        if plan.next() == Some(true) {
                            commit();
                        }
                    });
                    *world.fake.0.hook.lock() = Some(hook);
                    world.check(QUESTIONS[question], if split { Layer::Split } else { Layer::Merged });
                    *world.fake.0.hook.lock() = None;
                }
            }
        }
    }
}

/// Good and failed events below every offset at which a chunk ended.
fn prefix(n: u64) -> (u64, u64) {
    expected(n)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn counts_never_go_back_while_micro_batches_commit() {
    let bench = Arc::new(Bench::start(&Config { sql_max_concurrent: 8, view_max_concurrent: 8, ..config() }));
    let stop = Arc::new(std::sync::atomic::AtomicBool::new(false));
    // Slow machines take longer for the same number of commits.
    let writer = {
        let (bench, stop) = (bench.clone(), stop.clone());
        std::thread::spawn(move || {
            let mut commits = 0;
            while commits < 12 {
                for _ in 0..5 {
                    bench.grow(200);
                    std::thread::sleep(Duration::from_millis(2));
                }
                bench.seal();
                commits += usize::from(bench.commit());
            }
            stop.store(true, Ordering::SeqCst);
        })
    };
    let readers: Vec<_> = (0..3)
        .map(|kind| {
            let (bench, stop) = (bench.clone(), stop.clone());
            tokio::spawn(async move {
                let (mut last, mut reads, mut boundaries) = (0, 0, std::collections::BTreeSet::new());
                while !stop.load(Ordering::SeqCst) {
                    let (count, enriched, boundary) = match kind {
                        0 => {
                            let a = bench.ok("/v1/views/traffic?grain=all&by=").await;
                            let count = a["rows"].get(0).map_or(0, |r| r["events"].as_u64().unwrap());
                            (count, a["enriched"].as_u64().unwrap(), a["boundary"]["offset"].as_u64().unwrap())
                        }
                        1 => {
                            let (status, a) =
                                bench.post("/v1/sql", &serde_json::json!({"sql": "SELECT count(*) FROM events"})).await;
                            assert_eq!(status, 200, "{a}");
                            let count = a["rows"][0][0].as_u64().unwrap();
                            (count, a["enriched"].as_u64().unwrap(), a["boundary"]["offset"].as_u64().unwrap())
                        }
                        _ => {
                            let a = bench.ok("/v1/status").await;
                            assert_eq!(a["difference"], 0);
                            let e = &a["equation"];
                            assert_eq!(e["failed"].as_u64().unwrap(), prefix(a["enriched"].as_u64().unwrap()).1);
                            (
                                e["enriched"].as_u64().unwrap(),
                                a["enriched"].as_u64().unwrap(),
                                a["boundary"]["offset"].as_u64().unwrap(),
                            )
                        }
                    };
                    assert_eq!(count, prefix(enriched).0, "reader {kind} at {enriched}, boundary {boundary}");
                    assert!(count >= last, "reader {kind}: {count} after {last}");
                    last = count;
                    reads += 1;
                    boundaries.insert(boundary);
                }
                (reads, boundaries.len())
            })
        })
        .collect();
    for reader in readers {
        let (reads, boundaries) = tokio::time::timeout(PATIENCE, reader).await.unwrap().unwrap();
        assert!(reads >= 5 && boundaries >= 3, "{reads} reads over {boundaries} boundaries");
    }
    writer.join().unwrap();
}
