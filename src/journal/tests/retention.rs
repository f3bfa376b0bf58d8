//! What may go, goes, from the oldest on; everything else stays.

use super::*;
use crate::platform::fs_sim::SimFs;
use crate::platform::testing::PATIENCE;
use crate::platform::units::Span;

struct Bench {
    fs: SimFs,
    clock: Clock,
    config: Config,
    journal: Journal,
}

fn bench(retention_bytes: u64) -> Bench {
    let fs = SimFs::new(1);
    let clock = Clock::fixed(1_000_000);
    let config = Config {
        retention: Span::from_secs(60),
        retention_bytes: ByteSize(retention_bytes),
        segment_bytes: ByteSize(1000),
        tail_bytes: ByteSize(0),
        prepare: false,
        ..Config::default()
    };
    let (journal, _) = Journal::open(&config, Path::new(DIR), fs.shared(), clock.clone(), &Metrics::new()).unwrap();
    for n in 0..100u64 {
        journal.appender().append_blocking(vec![record(format!("{n:0100}"))]).unwrap();
    }
    Bench { fs, clock, config, journal }
}

impl Bench {
    fn names(&self, ending: &str) -> usize {
        self.fs.list(Path::new(DIR)).unwrap().iter().filter(|n| n.ends_with(ending)).count()
    }

    fn later(&self, seconds: i64) {
        self.clock.set(self.clock.now_ms() + seconds * 1000);
        self.journal.sweep();
    }
}

#[test]
fn a_segment_goes_when_all_consumers_are_past_it_and_it_is_old() {
    let b = bench(0);
    let all = b.names(".seg");
    b.later(1000);
    assert_eq!(b.names(".seg"), all, "no consumer, no removal");
    b.journal.release("warehouse", Offset(60));
    b.journal.release("kafka", Offset(30));
    b.later(0);
    let first = b.journal.first().0;
    assert!(first > 0 && first <= 30, "{first}");
    assert!(matches!(b.journal.reader(Offset(0)), Err(ReadError::Gone { .. })));
    let kept = read(&b.journal, first);
    assert_eq!(kept.len() as u64, 100 - first);
    b.journal.release("kafka", Offset(10));
    b.journal.release("kafka", Offset(100));
    b.journal.release("warehouse", Offset(100));
    b.later(0);
    let segments = b.journal.segments();
    assert_eq!(segments.len(), 1, "the open segment stays");
    assert_eq!((b.names(".seg"), b.names(".idx")), (1, 0));
    assert!(segments[0].closed_ms.is_none());
    assert_eq!(b.journal.appender().append_blocking(vec![record("on")]).unwrap().first(), Offset(100));
    let (journal, found) = open(&b.config, Path::new(DIR), b.fs.crash().shared());
    assert_eq!(found.first, segments[0].range.from);
    assert_eq!(journal.durable_end(), Offset(101));
}

#[test]
fn a_young_segment_stays_unless_the_disk_limit_asks_for_it() {
    let b = bench(0);
    b.journal.release("warehouse", Offset(100));
    b.later(10);
    assert_eq!(b.journal.first(), Offset(0));
    let b = bench(5000);
    b.journal.release("warehouse", Offset(100));
    b.later(10);
    let total: u64 = b.journal.segments().iter().map(|s| s.bytes).sum();
    assert!(b.journal.first() > Offset(0) && total <= 5000, "{total}");
    let b = bench(5000);
    b.journal.release("warehouse", Offset(0));
    b.later(10);
    assert_eq!(b.journal.first(), Offset(0), "a limit never takes what a consumer needs");
}

#[test]
fn a_reader_in_the_middle_of_a_removed_segment_is_told() {
    let b = bench(0);
    let mut reader = b.journal.reader(Offset(0)).unwrap();
    reader.next(1, Duration::ZERO).unwrap();
    b.journal.release("warehouse", Offset(100));
    b.later(1000);
    match reader.next(1 << 20, Duration::ZERO) {
        Err(ReadError::Gone { wanted, first }) => assert!(wanted == Offset(1) && first == b.journal.first()),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_small_segment_is_closed_when_it_is_old() {
    let fs = SimFs::new(1);
    let clock = Clock::fixed(0);
    let (journal, _) =
        Journal::open(&Config::default(), Path::new(DIR), fs.shared(), clock.clone(), &Metrics::new()).unwrap();
    journal.appender().append_blocking(vec![record("a")]).unwrap();
    clock.set(3_600_000);
    journal.sweep();
    let begun = std::time::Instant::now();
    while journal.segments()[0].closed_ms.is_none() {
        assert!(begun.elapsed() < PATIENCE);
        std::thread::sleep(Duration::from_millis(5));
    }
    assert!(journal.health().is_ok());
    assert_eq!(journal.appender().append_blocking(vec![record("b")]).unwrap().first(), Offset(1));
    assert_eq!(read(&journal, 0), [(0, b"a".into()), (1, b"b".into())]);
}
