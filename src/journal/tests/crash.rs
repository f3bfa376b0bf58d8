//! Power cuts and kills at any moment, on a file system that loses and tears whatever was not synced.

use super::*;
use crate::platform::fs::read_file;
use crate::platform::fs_sim::SimFs;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use std::collections::BTreeMap;

/// What must be true of a journal after any crash, as the outside world knows it.
#[derive(Default)]
struct World {
    /// Acknowledged records by number.
    acknowledged: BTreeMap<u64, Vec<u8>>,
    /// Records that some reader was shown.
    shown: BTreeMap<u64, Vec<u8>>,
    /// Everything that was ever handed in.
    offered: std::collections::BTreeSet<Vec<u8>>,
}

impl World {
    fn check(&mut self, journal: &Journal, seed: u64, round: usize) {
        let stored = read(journal, 0);
        for (i, (number, body)) in stored.iter().enumerate() {
            assert_eq!(*number, i as u64, "seed {seed} round {round}: numbers are dense");
            assert!(self.offered.contains(body), "seed {seed} round {round}: record {number} was never handed in");
        }
        for (number, body) in self.acknowledged.iter().chain(&self.shown) {
            assert_eq!(
                stored.get(*number as usize).map(|r| &r.1),
                Some(body),
                "seed {seed} round {round}: record {number} was promised"
            );
        }
        self.shown.extend(stored);
    }
}

/// Opens, checks, appends under faults. The journal is given back open: the crash comes before it is dropped.
fn one_life(config: &Config, fs: &SimFs, world: &mut World, rng: &mut StdRng, seed: u64, round: usize) -> Journal {
    let (journal, found) = open(config, Path::new(DIR), fs.shared());
    world.check(&journal, seed, round);
    assert_eq!(found.end, journal.durable_end());
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    for step in 0..rng.random_range(0..25) {
        match rng.random_range(0..20) {
            0 => fs.fail_syncs(rng.random_range(1..4)),
            1 => fs.fail_writes(rng.random_range(1..4)),
            2 => fs.set_capacity(Some(fs.used() + rng.random_range(0..500))),
            3 => {
                fs.set_capacity(None);
                fs.fail_syncs(0);
                fs.fail_writes(0);
                while journal.health().is_err() {
                    std::thread::sleep(Duration::from_millis(5));
                }
            }
            4 => fs.hold_syncs(true),
            _ => {}
        }
        let mut appends = Vec::new();
        for part in 0..rng.random_range(1..5) {
            let bodies: Vec<Vec<u8>> = (0..rng.random_range(1..4))
                .map(|i| {
                    let mut body = format!("{round}-{step}-{part}-{i} ").into_bytes();
                    body.resize(body.len() + rng.random_range(0..1200), b'.');
                    body
                })
                .collect();
            world.offered.extend(bodies.iter().cloned());
            appends.push((journal.appender().append(bodies.iter().map(record).collect()), bodies));
        }
        if fs_is_held(rng, fs) {
            // The power goes while appends are under way: nobody learns how they end.
            return journal;
        }
        for (append, bodies) in appends {
            if let Ok(receipt) = runtime.block_on(append) {
                assert_eq!(receipt.count() as usize, bodies.len());
                for (number, body) in (receipt.first().0..).zip(bodies) {
                    assert!(world.acknowledged.insert(number, body).is_none(), "a number is given once");
                }
            }
        }
        if rng.random_bool(0.3) {
            world.shown.extend(read(&journal, 0));
        }
    }
    if rng.random_bool(0.3) {
        fs.fail_syncs(0);
        journal.close();
    }
    journal
}

/// Ends a held sync, or says that this is the moment of the crash.
fn fs_is_held(rng: &mut StdRng, fs: &SimFs) -> bool {
    let crash = rng.random_bool(0.05);
    if !crash {
        fs.hold_syncs(false);
    }
    crash
}

/// Lives and crashes; how many segments of prepared length a crash left behind.
fn many_lives(config: &Config, seeds: std::ops::Range<u64>) -> usize {
    let mut prepared = 0;
    for seed in seeds {
        let mut rng = StdRng::seed_from_u64(seed);
        let mut fs = SimFs::new(seed);
        let mut world = World::default();
        for round in 0..8 {
            let _journal = one_life(config, &fs, &mut world, &mut rng, seed, round);
            fs = if rng.random_bool(0.7) { fs.crash() } else { fs.kill() };
            prepared += blank_ends(&fs);
        }
        let (journal, _) = open(config, Path::new(DIR), fs.shared());
        world.check(&journal, seed, 8);
    }
    prepared
}

/// How many segments end in zeros.
fn blank_ends(fs: &SimFs) -> usize {
    let names = fs.list(Path::new(DIR)).unwrap_or_default();
    let ends_blank = |name: &&String| {
        let bytes = read_file(fs, &Path::new(DIR).join(name)).unwrap();
        name.ends_with(".seg") && bytes.len() > 64 && bytes.ends_with(&[0; 32])
    };
    names.iter().filter(ends_blank).count()
}

fn seeds() -> std::ops::Range<u64> {
    // `SNOWSHED_CRASH_SEEDS=5000` searches longer.
    0..std::env::var("SNOWSHED_CRASH_SEEDS").ok().and_then(|n| n.parse().ok()).unwrap_or(60)
}

#[test]
fn nothing_promised_is_lost_whatever_the_crash_leaves() {
    many_lives(&small(), seeds());
}

#[test]
fn nothing_promised_is_lost_from_prepared_segments_either() {
    let config = Config { segment_bytes: ByteSize(6000), prepare: true, ..small() };
    assert!(many_lives(&config, seeds()) > 0, "no crash met a prepared segment");
}
