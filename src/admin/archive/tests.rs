//! Tests of the box with a store that goes away, loses bytes and comes back.

use super::*;
use crate::batch::error::LakeError;
use crate::event::Offset;
use crate::journal::{self, Record, RecordKind};
use crate::platform::fs::RealFs;
use crate::platform::testing::PATIENCE;
use crate::platform::units::{ByteSize, Span};
use bytes::Bytes;
use parking_lot::Mutex;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

#[derive(Default)]
struct Store {
    objects: Mutex<BTreeMap<String, Vec<u8>>>,
    puts: AtomicUsize,
    away: AtomicBool,
    /// The next so many puts keep half of the bytes and say that all is well.
    halves: AtomicUsize,
}

impl Store {
    fn answer<T>(&self, path: &str, what: impl FnOnce() -> T) -> Result<T, LakeError> {
        match self.away.load(Ordering::SeqCst) {
            true => Err(LakeError::Timeout { path: path.to_owned(), seconds: 1 }),
            false => Ok(what()),
        }
    }
}

impl Vault for Store {
    fn put(&self, from: &Path, name: &str, bytes: u64) -> Result<(), LakeError> {
        self.answer(name, || {
            let mut all = fs::read(from).unwrap();
            assert_eq!(all.len() as u64, bytes);
            self.puts.fetch_add(1, Ordering::SeqCst);
            if self.halves.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |n| n.checked_sub(1)).is_ok() {
                all.truncate(all.len() / 2);
            }
            self.objects.lock().insert(name.to_owned(), all);
        })
    }

    fn size(&self, name: &str) -> Result<Option<u64>, LakeError> {
        self.answer(name, || self.objects.lock().get(name).map(|o| o.len() as u64))
    }

    fn get(&self, name: &str, to: &Path) -> Result<bool, LakeError> {
        self.answer(name, || match self.objects.lock().get(name) {
            Some(object) => fs::write(to, object).map(|()| true).unwrap(),
            None => false,
        })
    }

    fn list(&self, folder: &str, after: &str, each: &mut dyn FnMut(&str)) -> Result<(), LakeError> {
        self.answer(folder, || {
            let all = self.objects.lock();
            let names = all.keys().filter_map(|name| name.strip_prefix(folder)?.strip_prefix('/'));
            names.filter(|name| *name > after).for_each(each);
        })
    }
}

struct Bench {
    dir: tempfile::TempDir,
    store: Arc<Store>,
    clock: Clock,
    drain: Drain,
    journal: Journal,
    archive: Archive,
    archiver: Archiver,
}

/// A journal with `records` records in many segments, and its archive.
fn bench(records: u64, store: Store) -> Bench {
    let (dir, store) = (tempfile::tempdir().unwrap(), Arc::new(store));
    start(dir, store, records)
}

fn start(dir: tempfile::TempDir, store: Arc<Store>, records: u64) -> Bench {
    let config = journal::Config {
        retention: Span::from_millis(0),
        segment_bytes: ByteSize(2000),
        tail_bytes: ByteSize(0),
        // One that lies ready early would be taken before the open one is full.
        prepare: false,
        ..journal::Config::default()
    };
    let clock = Clock::fixed(1_000_000);
    let folder = dir.path().join("journal");
    let (journal, _) = Journal::open(&config, &folder, RealFs::shared(), clock.clone(), &Metrics::new()).unwrap();
    for n in journal.durable_end().0..records {
        journal.appender().append_blocking(vec![record(n)]).unwrap();
    }
    journal.release("warehouse", journal.durable_end());
    let drain = Drain::new();
    let deps = Deps {
        journal: journal.clone(),
        vault: store.clone(),
        state: dir.path().join("state"),
        enabled: true,
        zstd_level: 1,
        clock: clock.clone(),
        metrics: Metrics::new(),
        drain: drain.clone(),
    };
    let Built { archive, archiver } = build(deps).unwrap();
    Bench { dir, store, clock, drain, journal, archive, archiver: archiver.unwrap() }
}

fn record(n: u64) -> Record {
    Record { kind: RecordKind::Payload, body: Bytes::from(body(n)) }
}

fn body(n: u64) -> String {
    format!("{n:0200}")
}

impl Bench {
    fn wait(&self, what: &str, ready: impl Fn(&State) -> bool) -> State {
        let end = Instant::now() + PATIENCE;
        loop {
            let state = self.archiver.status().state();
            if ready(&state) {
                return state;
            }
            assert!(Instant::now() < end, "{what}: {state:?}");
            std::thread::sleep(Duration::from_millis(2));
        }
    }

    /// Where the closed segments end.
    fn closed(&self) -> Offset {
        let all = self.journal.segments();
        all.iter().filter(|s| s.closed_ms.is_some()).map(|s| s.range.to).max().unwrap_or_default()
    }

    fn done(&self) -> State {
        self.wait("all closed segments are archived", |state| state.upto == self.closed())
    }

    fn object(&self, range: crate::event::OffsetRange) -> String {
        vault::name(self.journal.id(), range)
    }

    fn restart(self) -> Bench {
        self.drain.raise();
        self.journal.close();
        self.archiver.join(Duration::from_secs(10));
        start(self.dir, self.store, 0)
    }

    /// Every record of the range that the archive gives.
    fn read(&self, from: u64, to: u64) -> Vec<Option<String>> {
        let mut reader = self.archive.reader();
        let text = |entry: journal::Entry| String::from_utf8(entry.body.to_vec()).unwrap();
        (from..to).map(|n| reader.read(Offset(n)).unwrap().map(text)).collect()
    }
}

#[test]
fn a_segment_goes_only_when_it_is_archived_and_every_record_comes_back() {
    let b = bench(60, Store::default());
    let state = b.done();
    assert!(state.error.is_none() && state.last_success_ms == Some(1_000_000), "{state:?}");
    let closed: Vec<_> = b.journal.segments().into_iter().filter(|s| s.closed_ms.is_some()).collect();
    assert!(closed.len() > 5);
    assert_eq!(b.store.objects.lock().len(), closed.len(), "closed segments, and not the open one");
    for segment in &closed {
        let object = b.store.objects.lock().get(&b.object(segment.range)).unwrap().clone();
        let bytes = fs::read(&segment.path).unwrap();
        assert_eq!(zstd::decode_all(&object[..]).unwrap(), bytes[..segment.bytes as usize]);
    }
    b.journal.sweep();
    assert_eq!((b.journal.segments().len(), b.journal.first()), (1, state.upto));
    let upto = state.upto.0;
    assert_eq!(b.read(0, upto), (0..upto).map(|n| Some(body(n))).collect::<Vec<_>>());
    assert_eq!(b.read(upto, upto + 3), [None, None, None], "what the journal has is not in the archive");
    let mut reader = b.archive.reader();
    for n in [7, 7, 30, 8, 2, 29] {
        assert_eq!(reader.read(Offset(n)).unwrap().unwrap().body, body(n), "in any order");
    }
    let passing = || fs::read_dir(b.dir.path().join("state/passing")).unwrap().count();
    assert_eq!(passing(), 1, "one segment at a time is on local disk");
    drop(reader);
    assert_eq!(passing(), 0);
}

#[test]
fn a_segment_that_is_closed_later_is_archived_and_a_reader_that_has_looked_before_finds_it() {
    let b = bench(0, Store::default());
    let mut reader = b.archive.reader();
    assert!(reader.read(Offset(3)).unwrap().is_none());
    for n in 0..60 {
        b.journal.appender().append_blocking(vec![record(n)]).unwrap();
    }
    let state = b.done();
    assert!(state.upto > Offset(40));
    b.journal.release("warehouse", state.upto);
    b.journal.sweep();
    assert_eq!(b.journal.first(), state.upto);
    assert_eq!(reader.read(Offset(3)).unwrap().unwrap().body, body(3));
}

#[test]
fn while_the_store_is_away_segments_stay_and_the_state_says_so() {
    let b = bench(60, Store { away: AtomicBool::new(true), ..Store::default() });
    let state = b.wait("it tries again", |state| state.retries > 2);
    assert!(state.error.as_deref().is_some_and(|e| e.contains("no answer")) && !state.ended, "{state:?}");
    b.journal.sweep();
    assert_eq!(b.journal.first(), Offset(0), "nothing goes");
    b.store.away.store(false, Ordering::SeqCst);
    let state = b.done();
    assert_eq!((state.error, state.retries), (None, 0));
    b.store.away.store(true, Ordering::SeqCst);
    for n in 60..90 {
        b.journal.appender().append_blocking(vec![record(n)]).unwrap();
    }
    b.journal.release("warehouse", Offset(90));
    b.wait("it tries again", |state| state.retries > 0 && state.error.is_some());
    b.journal.sweep();
    assert_eq!(b.journal.first(), state.upto, "what was archived before goes, and nothing else");
    let mut reader = b.archive.reader();
    let error = reader.read(Offset(0)).unwrap_err();
    assert!(!error.is_damage(), "an outage is no loss: {error}");
    b.store.away.store(false, Ordering::SeqCst);
    assert!(reader.read(Offset(0)).unwrap().is_some());
    b.done();
    // Only what one segment needs is on local disk, and it goes.
    assert_eq!(fs::read_dir(b.dir.path().join("state/passing")).unwrap().count(), 1);
    drop(reader);
    assert_eq!(fs::read_dir(b.dir.path().join("state/passing")).unwrap().count(), 0);
}

#[test]
fn an_object_that_did_not_arrive_in_full_does_not_count() {
    let b = bench(60, Store { halves: AtomicUsize::new(2), ..Store::default() });
    b.done();
    let objects = b.store.objects.lock().len();
    assert_eq!(b.store.puts.load(Ordering::SeqCst), objects + 2);
    let upto = b.closed().0;
    assert!(b.read(0, upto).iter().all(Option::is_some));
}

#[test]
fn a_damaged_segment_is_not_archived_until_it_is_put_back() {
    let b = bench(60, Store { away: AtomicBool::new(true), ..Store::default() });
    let (first, path) = (b.journal.segments()[0].range, b.journal.segments()[1].path.clone());
    let good = fs::read(&path).unwrap();
    let mut bad = good.clone();
    bad[500] ^= 1;
    fs::write(&path, bad).unwrap();
    b.store.away.store(false, Ordering::SeqCst);
    let state = b.wait("the damage is told", |s| s.error.as_deref().is_some_and(|e| e.contains("checksum")));
    assert_eq!(state.upto, first.to);
    assert_eq!(b.store.objects.lock().len(), 1);
    fs::write(&path, good).unwrap();
    b.done();
}

#[test]
fn after_a_restart_nothing_is_archived_twice_and_what_is_missing_is_archived_again() {
    let b = bench(60, Store::default());
    let upto = b.done().upto;
    let puts = b.store.puts.load(Ordering::SeqCst);
    let b = b.restart();
    assert_eq!(b.done().upto, upto);
    assert_eq!(b.store.puts.load(Ordering::SeqCst), puts, "what is there is known");
    let lost = b.object(b.journal.segments()[2].range);
    b.store.objects.lock().remove(&lost);
    let b = b.restart();
    b.done();
    assert!(b.store.objects.lock().contains_key(&lost), "another lake, or one that lost an object");
    assert_eq!(b.store.puts.load(Ordering::SeqCst), puts + 1);
    // An upload whose end was not noted may be half on the disk after a power cut, whatever a list says.
    let cursor = b.dir.path().join("state/cursor");
    for text in [Some("spoiled"), None] {
        match text {
            Some(text) => fs::write(&cursor, text).unwrap(),
            None => fs::remove_file(&cursor).unwrap(),
        }
    }
    let b = b.restart();
    b.done();
    assert_eq!(b.store.puts.load(Ordering::SeqCst), 2 * puts + 1);
    let objects = b.store.objects.lock().len();
    assert_eq!(objects, puts, "under the same names");
}

#[test]
fn a_segment_that_grew_after_a_restart_is_archived_again_with_all_it_holds() {
    let b = bench(1, Store::default());
    let roll = |b: &Bench| {
        b.clock.set(b.clock.now_ms() + 7_200_000);
        b.journal.sweep();
    };
    roll(&b);
    b.wait("the first form", |state| state.upto == Offset(1));
    let b = b.restart();
    b.journal.appender().append_blocking(vec![record(1)]).unwrap();
    roll(&b);
    b.wait("the grown form", |state| state.upto == Offset(2));
    assert_eq!(b.store.objects.lock().len(), 2);
    assert_eq!(b.read(0, 2), [Some(body(0)), Some(body(1))]);
}

#[test]
fn damage_in_the_archive_is_told_for_the_records_behind_it_and_no_others() {
    let b = bench(60, Store::default());
    b.done();
    let segments = b.journal.segments();
    let (second, name) = (segments[1].range, b.object(segments[1].range));
    // Whole as zstd, damaged as a segment.
    let mut bytes = zstd::decode_all(&b.store.objects.lock()[&name][..]).unwrap();
    let at = bytes.len() - 20;
    bytes[at] ^= 1;
    b.store.objects.lock().insert(name.clone(), zstd::encode_all(&bytes[..], 1).unwrap());
    let mut reader = b.archive.reader();
    let last = second.to.0 - 1;
    for n in 0..segments[2].range.to.0 {
        match reader.read(Offset(n)) {
            Ok(entry) => assert!(n != last && entry.unwrap().body == body(n), "{n}"),
            Err(e) => assert!(n == last && e.is_damage() && e.to_string().contains(&name), "{n}: {e}"),
        }
    }
    // Cut short: zstd itself notices.
    let half = b.store.objects.lock()[&name].len() / 2;
    b.store.objects.lock().get_mut(&name).unwrap().truncate(half);
    let mut reader = b.archive.reader();
    let error = reader.read(Offset(last)).unwrap_err();
    assert!(error.is_damage(), "{error}");
    assert!(reader.read(Offset(last)).unwrap_err().is_damage());
    assert!(reader.read(Offset(second.to.0)).unwrap().is_some());
}
