//! The whole box: flow in, lake and warehouse out, with outages and kills in between.

use super::testing::*;
use super::warehouse::Reader;
use super::*;
use crate::event::{Chunk, Flow, Offset, Outcome};
use crate::pipeline::link::{LinkSender, link};
use crate::platform::testing::PATIENCE;
use crate::platform::units::{ByteSize, Span};
use crate::view::{Fold, Groups, ViewQuery};
use std::sync::mpsc;
use std::time::{Duration, Instant};

/// Rows of a micro-batch in these tests.
const ROWS: u64 = 100;

fn config() -> Config {
    Config { max_rows: ROWS, max_age: Span::from_secs(3600), max_bytes: ByteSize::mib(100), ..Config::default() }
}

fn deps(data_dir: &Path) -> Deps {
    Deps {
        data_dir: data_dir.to_owned(),
        views: crate::view::defaults().iter().map(|d| d.compile().unwrap()).collect(),
        clock: Clock::System,
        metrics: Metrics::new(),
        drain: Drain::new(),
        config_hash: "hash".into(),
    }
}

fn build_in(data_dir: &Path) -> Built {
    super::build(&config(), &LakeConfig::default(), &WarehouseConfig::default(), deps(data_dir)).unwrap()
}

/// Does what the stage before does: cuts the journal's offsets below `end` into chunks and micro-batches.
fn feed(planner: &mut dyn BatchPlanner, flow: &LinkSender<Flow>, end: u64) {
    let mut at = planner.open_from().0;
    while at < end {
        let stop = (at + 37).min(end).min(planner.decided_end().map_or(u64::MAX, |o| o.0));
        let chunk = chunk(planner.open_from().0, at..stop, 11);
        planner.grew(Offset(stop), chunk.rows.len() as u64, chunk.bytes, 0);
        if flow.send(Flow::Chunk(chunk)).is_err() {
            return;
        }
        at = stop;
        if planner.is_due(0) || at == end {
            let id = planner.seal().unwrap();
            if flow.send(Flow::Seal(id)).is_err() {
                return;
            }
        }
    }
}

/// Runs a whole box until everything below `end` is committed.
fn run_to(data_dir: &Path, end: u64) -> Arc<dyn Reader> {
    let mut built = build_in(data_dir);
    if built.boundary.offset.0 < end {
        let (tx, rx) = link("flow", 8);
        let (told, commits) = mpsc::channel();
        let callbacks =
            Callbacks { on_commit: vec![Box::new(move |b| _ = told.send(b.offset.0))], ..Callbacks::default() };
        let running = built.stage.start(rx, callbacks).unwrap();
        feed(&mut *built.planner, &tx, end);
        while commits.recv_timeout(PATIENCE).unwrap() < end {}
        drop(tx);
        running.join();
    }
    built.reader
}

/// Checks every store against the outcomes of the offsets below `end`.
fn check_all(data_dir: &Path, reader: &Arc<dyn Reader>, end: u64) {
    let truth: Vec<Arc<Chunk>> = vec![chunk(0, 0..end, 11)];
    let tally = truth[0].tally;
    let mut snapshot = reader.snapshot(PATIENCE).unwrap();
    assert_eq!(snapshot.boundary().offset, Offset(end));
    assert_eq!(snapshot.tally().unwrap(), tally);
    for view in &deps(data_dir).views {
        let mut stored = Groups::new(view.clone());
        for batch in snapshot.view_groups(view, &ViewQuery::range(EPOCH - 86_400_000, EPOCH + 86_400_000)).unwrap() {
            stored.add_record_batch(&batch).unwrap();
        }
        let mut fold = Fold::new(view.clone());
        fold.add(&truth[0].rows).unwrap();
        let rows = |g: &Groups| g.sorted().iter().map(|g| (g.key.clone(), g.rows)).collect::<Vec<_>>();
        assert_eq!(rows(fold.groups()), rows(&stored));
    }
    drop(snapshot);
    assert_eq!(number(reader, "SELECT count(*) FROM events"), tally.enriched as i64);
    assert_eq!(number(reader, "SELECT count(DISTINCT event_id) FROM events"), tally.enriched as i64);
    assert_eq!(number(reader, "SELECT count(DISTINCT journal_offset) FROM atomic.bad_rows"), tally.failed as i64);
    assert_eq!(number(reader, "SELECT count(*) FROM atomic.bad_rows"), tally.failed as i64);
    let incomplete = truth[0].failed_rows.len() as i64;
    assert_eq!(number(reader, "SELECT count(*) FROM events_failed"), incomplete);

    let ranges = ask(reader, "SELECT from_offset, to_offset, epoch_ms(load_tstamp) FROM snowshed.batches ORDER BY 1");
    let mut at = 0u64;
    let mut lake_rows = 0;
    for range in &ranges {
        let (from, to): (u64, u64) = (range[0].parse().unwrap(), range[1].parse().unwrap());
        assert_eq!(from, at, "{ranges:?}");
        at = to;
        let name = lake::file_name(crate::event::OffsetRange::new(Offset(from), Offset(to)), "json");
        let manifest = fs::read_to_string(data_dir.join("lake/manifest").join(name)).unwrap();
        let manifest: lake::Manifest = serde_json::from_str(&manifest).unwrap();
        assert_eq!(manifest.load_ms.to_string(), range[2]);
        for file in manifest.files {
            let path = data_dir.join("lake").join(&file.path);
            assert_eq!(fs::metadata(&path).unwrap().len(), file.bytes);
            if file.table == lake::Table::Events {
                lake_rows += file.rows;
            }
        }
    }
    assert_eq!(at, end);
    assert_eq!(lake_rows, tally.enriched);
    let manifests = fs::read_dir(data_dir.join("lake/manifest")).unwrap().count();
    assert_eq!(manifests, ranges.len(), "no file of a micro-batch that is not there");
    assert_eq!(fs::read_dir(data_dir.join("state/staging")).unwrap().count(), 0);
}

#[test]
fn a_flow_arrives_in_lake_and_warehouse_and_goes_on_after_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let reader = run_to(dir.path(), 260);
    check_all(dir.path(), &reader, 260);
    drop(reader);
    let reader = run_to(dir.path(), 600);
    check_all(dir.path(), &reader, 600);
}

#[test]
fn micro_batches_without_rows_still_move_the_boundary() {
    let dir = tempfile::tempdir().unwrap();
    let mut built = build_in(dir.path());
    let (tx, rx) = link("flow", 8);
    let (told, commits) = mpsc::channel();
    let callbacks = Callbacks { on_commit: vec![Box::new(move |b| _ = told.send(b.offset.0))], ..Callbacks::default() };
    let running = built.stage.start(rx, callbacks).unwrap();
    for (from, to, keep) in [(0u64, 30u64, "failed"), (30, 40, "duplicates"), (40, 45, "nothing")] {
        let items = chunk(from, from..to, 0).items.clone().into_iter().map(|mut item| {
            if keep == "duplicates" {
                item.outcome = Outcome::Duplicate(item.addr);
            }
            item
        });
        let kept = items.filter(|i| match keep {
            "failed" => matches!(i.outcome, Outcome::Failed(_)),
            "duplicates" => true,
            _ => false,
        });
        let chunk = chunk_of(from, from..to, kept.collect());
        built.planner.grew(Offset(to), 0, chunk.bytes, 0);
        tx.send(Flow::Chunk(chunk)).unwrap();
        tx.send(Flow::Seal(built.planner.seal().unwrap())).unwrap();
        assert_eq!(commits.recv_timeout(PATIENCE).unwrap(), to);
    }
    drop(tx);
    running.join();
    let tally = built.reader.snapshot(Duration::ZERO).unwrap().tally().unwrap();
    assert_eq!((tally.enriched, tally.failed, tally.duplicates), (0, 1, 10));
    assert_eq!(number(&built.reader, "SELECT count(*) FROM atomic.bad_rows"), 1);
    assert_eq!(number(&built.reader, "SELECT count(*) FROM snowshed.batches"), 3);
}

/// A file stands where the lake's folder was.
fn take_lake_away(data_dir: &Path) {
    fs::rename(data_dir.join("lake"), data_dir.join("away")).unwrap();
    fs::write(data_dir.join("lake"), b"in the way").unwrap();
}

fn give_lake_back(data_dir: &Path) {
    fs::remove_file(data_dir.join("lake")).unwrap();
    fs::rename(data_dir.join("away"), data_dir.join("lake")).unwrap();
}

fn wait_for(status: &Status, what: &str, ready: &dyn Fn(&BatchStates) -> bool) {
    let end = Instant::now() + PATIENCE;
    while !ready(&status.states()) {
        assert!(Instant::now() < end, "{what}: {:?}", status.states());
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn an_outage_of_the_lake_delays_the_boundary_only() {
    let dir = tempfile::tempdir().unwrap();
    let mut built = build_in(dir.path());
    let status = built.status.clone();
    let (tx, rx) = link("flow", 8);
    let running = built.stage.start(rx, Callbacks::default()).unwrap();
    take_lake_away(dir.path());
    feed(&mut *built.planner, &tx, 500);
    let wait = |what: &str, ready: &dyn Fn(&BatchStates) -> bool| wait_for(&status, what, ready);
    wait("all are staged, the first says what is wrong", &|s| {
        s.batches.iter().filter(|b| b.phase == Phase::Staged).count() >= 4
            && s.batches[0].error.as_ref().is_some_and(|e| e.starts_with("cannot upload"))
    });
    assert_eq!(status.states().boundary.offset, Offset(0));
    assert_eq!(number(&built.reader, "SELECT count(*) FROM events"), 0);
    give_lake_back(dir.path());
    wait("all are committed", &|s| s.boundary.offset == Offset(500));
    drop(tx);
    running.join();
    check_all(dir.path(), &built.reader, 500);
}

/// Every row of every view's table.
fn derived(reader: &Arc<dyn Reader>) -> Vec<Vec<String>> {
    let rows =
        |view: &Arc<crate::view::View>| ask(reader, &format!("SELECT * FROM derived.{} ORDER BY ALL", view.name()));
    deps(Path::new("")).views.iter().flat_map(rows).collect()
}

#[test]
fn what_views_gained_waits_in_files_and_is_the_same_after_an_outage() {
    let calm = tempfile::tempdir().unwrap();
    let expected = derived(&run_to(calm.path(), 500));
    assert!(expected.len() > 20, "{}", expected.len());

    let dir = tempfile::tempdir().unwrap();
    let mut built = build_in(dir.path());
    let status = built.status.clone();
    let (tx, rx) = link("flow", 8);
    let running = built.stage.start(rx, Callbacks::default()).unwrap();
    take_lake_away(dir.path());
    feed(&mut *built.planner, &tx, 500);
    let wait = |what: &str, ready: &dyn Fn(&BatchStates) -> bool| wait_for(&status, what, ready);
    wait("all are staged", &|s| s.batches.len() >= 4 && s.batches.iter().all(|b| b.phase == Phase::Staged));

    // Nothing but these files holds what the views gained: without them no commit gets through.
    let staging = dir.path().join("state/staging");
    let hidden = dir.path().join("hidden");
    fs::create_dir(&hidden).unwrap();
    let mut names = Vec::new();
    for entry in fs::read_dir(&staging).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|e| e == "arrow") {
            let name = path.file_name().unwrap().to_owned();
            fs::rename(&path, hidden.join(&name)).unwrap();
            names.push(name);
        }
    }
    assert!(names.len() >= 4 * 2, "{names:?}");
    give_lake_back(dir.path());
    wait("the first says which file it misses", &|s| {
        s.batches[0].error.as_ref().is_some_and(|e| e.contains(".arrow") && e.contains("cannot be read"))
    });
    assert_eq!(status.states().boundary.offset, Offset(0));
    for name in &names {
        fs::rename(hidden.join(name), staging.join(name)).unwrap();
    }
    wait("all are committed", &|s| s.boundary.offset == Offset(500));
    drop(tx);
    running.join();
    check_all(dir.path(), &built.reader, 500);
    assert_eq!(derived(&built.reader), expected);
}

#[test]
fn what_is_not_committed_at_the_drain_is_left_to_the_journal() {
    let dir = tempfile::tempdir().unwrap();
    let deps = deps(dir.path());
    let drain = deps.drain.clone();
    let short = Config { drain: Span::from_millis(300), ..config() };
    let mut built = super::build(&short, &LakeConfig::default(), &WarehouseConfig::default(), deps).unwrap();
    let (tx, rx) = link("flow", 8);
    let running = built.stage.start(rx, Callbacks::default()).unwrap();
    let lake = dir.path().join("lake");
    fs::remove_dir_all(&lake).unwrap();
    fs::write(&lake, b"in the way").unwrap();
    feed(&mut *built.planner, &tx, 300);
    drain.raise();
    drop(tx);
    let start = Instant::now();
    running.join();
    assert!(start.elapsed() < PATIENCE);
    drop(built.reader);
    fs::remove_file(&lake).unwrap();
    let reader = run_to(dir.path(), 300);
    check_all(dir.path(), &reader, 300);
}

#[test]
fn a_sealed_range_that_was_not_decided_stops_the_commits() {
    let dir = tempfile::tempdir().unwrap();
    let built = build_in(dir.path());
    let (tx, rx) = link("flow", 8);
    let running = built.stage.start(rx, Callbacks::default()).unwrap();
    tx.send(Flow::Chunk(chunk(0, 0..10, 0))).unwrap();
    tx.send(Flow::Seal(crate::event::OffsetRange::new(Offset(0), Offset(10)))).unwrap();
    running.join();
    assert!(built.status.states().stopped.is_some_and(|why| why.contains("without a decision")));
    assert!(tx.send(Flow::Chunk(chunk(0, 10..20, 0))).is_err());
}

#[test]
fn wrong_settings_are_start_errors() {
    let dir = tempfile::tempdir().unwrap();
    let snowflake = WarehouseConfig { kind: WarehouseKind::Snowflake, ..WarehouseConfig::default() };
    let error = super::build(&config(), &LakeConfig::default(), &snowflake, deps(dir.path())).err().unwrap();
    assert!(error.to_string().contains("not available yet"), "{error}");
    let lake = LakeConfig { url: "ftp://x".into(), ..LakeConfig::default() };
    let error = super::build(&config(), &lake, &WarehouseConfig::default(), deps(dir.path())).err().unwrap();
    assert!(error.to_string().starts_with("lake.url"), "{error}");
    for config in ["[batch]\nmax_age = \"10 parsecs\"", "[batch]\nmax_agee = \"10s\""] {
        #[derive(serde::Deserialize)]
        struct Top {
            #[serde(rename = "batch")]
            _batch: Config,
        }
        assert!(toml::from_str::<Top>(config).is_err());
    }
}

/// Kills a child process at every fail point, at its first and at a later passage, and checks that the next run completes
/// what the killed one had begun: same ranges, every row once. Needs the feature `fail-points`.
#[cfg(feature = "fail-points")]
mod kills {
    use super::*;
    use std::collections::BTreeSet;
    use std::os::unix::process::ExitStatusExt;
    use std::process::{Command, Stdio};

    const DIR: &str = "SNOWSHED_TEST_DATA_DIR";
    const END: u64 = 450;

    #[test]
    #[ignore = "the child of the test below"]
    fn child() {
        if let Some(dir) = std::env::var_os(DIR) {
            drop(run_to(Path::new(&dir), END));
        }
    }

    fn run_child(dir: &Path, fail_point: Option<&str>) -> std::process::ExitStatus {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.args(["--exact", "batch::tests::kills::child", "--ignored"]).env(DIR, dir);
        match fail_point {
            Some(name) => command.env("SNOWSHED_FAIL_POINT", name),
            None => command.env_remove("SNOWSHED_FAIL_POINT"),
        };
        command.stdout(Stdio::null()).stderr(Stdio::null()).status().unwrap()
    }

    fn planned(dir: &Path) -> BTreeSet<(u64, u64)> {
        let text = fs::read_to_string(dir.join("state/plan")).unwrap_or_default();
        let ranges = text.lines().skip(1).filter_map(|line| {
            let json: serde_json::Value = serde_json::from_str(line.split_once(' ')?.1).ok()?;
            Some((json["from"].as_u64()?, json["to"].as_u64()?))
        });
        ranges.collect()
    }

    #[test]
    fn every_fail_point_leaves_a_state_that_the_next_run_completes() {
        for name in FAIL_POINTS {
            for passage in [1, 3] {
                let dir = tempfile::tempdir().unwrap();
                let status = run_child(dir.path(), Some(&format!("{name}:{passage}")));
                assert_eq!(status.signal(), Some(9), "{name}:{passage} was not passed");
                let before = planned(dir.path());
                // A second kill at the same place, then to the end.
                let again = run_child(dir.path(), Some(name));
                assert!(again.signal() == Some(9) || again.success());
                let reader = run_to(dir.path(), END);
                check_all(dir.path(), &reader, END);
                let done: BTreeSet<(u64, u64)> = ask(&reader, "SELECT from_offset, to_offset FROM snowshed.batches")
                    .iter()
                    .map(|r| (r[0].parse().unwrap(), r[1].parse().unwrap()))
                    .collect();
                assert!(before.is_subset(&done), "{name}:{passage}: {before:?} became {done:?}");
            }
        }
    }
}

/// A full disk stops commits and loses nothing. Needs a small file system (about 64 MiB) in `SNOWSHED_SMALL_DISK`.
#[test]
#[ignore = "needs a small file system"]
fn a_full_disk_delays_commits_until_there_is_room() {
    let dir = tempfile::tempdir_in(std::env::var("SNOWSHED_SMALL_DISK").unwrap()).unwrap();
    let mut built = build_in(dir.path());
    let status = built.status.clone();
    let (tx, rx) = link("flow", 8);
    let running = built.stage.start(rx, Callbacks::default()).unwrap();
    let ballast = dir.path().join("ballast");
    let mut room = 0;
    for end in (1..).map(|i| i * 200) {
        feed(&mut *built.planner, &tx, end);
        if end == 400 {
            // Fills the disk to the last byte.
            let mut file = fs::File::create(&ballast).unwrap();
            while std::io::Write::write_all(&mut file, &[7; 4096]).is_ok() {
                room += 4096;
            }
        }
        let states = status.states();
        if states.batches.iter().any(|b| b.error.is_some()) {
            println!("{room} bytes of ballast, {:?}", states.batches.iter().find(|b| b.error.is_some()));
            std::thread::sleep(Duration::from_secs(2));
            fs::remove_file(&ballast).unwrap();
            let start = Instant::now();
            while status.states().boundary.offset < Offset(end) {
                assert!(start.elapsed() < PATIENCE, "{:?}", status.states());
                std::thread::sleep(Duration::from_millis(50));
            }
            drop(tx);
            running.join();
            return check_all(dir.path(), &built.reader, end);
        }
        assert!(end < 100_000, "the disk was never full");
        std::thread::sleep(Duration::from_millis(100));
    }
}

/// Prints what a row costs from the sealed micro-batch to the committed one; run with `--ignored --nocapture`, full
/// optimisation and `ROWS` and `BATCHES` in the environment.
#[test]
#[ignore = "measures, proves nothing"]
fn price_of_a_committed_row() {
    let env = |name: &str, default: u64| std::env::var(name).ok().and_then(|v| v.parse().ok()).unwrap_or(default);
    let (rows, batches) = (env("BENCH_ROWS", 150_000), env("BENCH_BATCHES", 6));
    let cpu = || {
        let stat = fs::read_to_string("/proc/self/stat").unwrap();
        let fields: Vec<i64> =
            stat.rsplit(')').next().unwrap().split_whitespace().filter_map(|f| f.parse().ok()).collect();
        (fields[10] + fields[11]) as f64 / 100.0
    };
    let memory = || {
        let status = fs::read_to_string("/proc/self/status").unwrap();
        status.lines().filter(|l| l.starts_with("VmRSS") || l.starts_with("VmHWM")).collect::<Vec<_>>().join(", ")
    };
    let dir = tempfile::tempdir_in(std::env::var("BENCH_DIR").unwrap_or_else(|_| ".".into())).unwrap();
    let warehouse = WarehouseConfig {
        memory_limit: ByteSize::mib(env("BENCH_MEMORY", 1024)),
        threads: env("BENCH_THREADS", 0) as usize,
        ..WarehouseConfig::default()
    };
    let big = Config { max_rows: u64::MAX, ..config() };
    let mut built =
        super::build(&Config { max_rows: 1, ..big.clone() }, &LakeConfig::default(), &warehouse, deps(dir.path()))
            .unwrap();
    let status = built.status.clone();
    let (tx, rx) = link("flow", 8);
    let running = built.stage.start(rx, Callbacks::default()).unwrap();
    for b in 0..batches {
        let from = b * rows;
        let chunks: Vec<_> = (from..from + rows).step_by(500).map(|at| chunk(from, at..at + 500, 0)).collect();
        let (start, used) = (Instant::now(), cpu());
        let held = memory();
        for chunk in chunks {
            built.planner.grew(chunk.range.to, 1, 1, 0);
            tx.send(Flow::Chunk(chunk)).unwrap();
        }
        let id = built.planner.seal().unwrap();
        tx.send(Flow::Seal(id)).unwrap();
        while status.states().boundary.offset < id.to {
            std::thread::sleep(Duration::from_millis(5));
        }
        let per_row = |s: f64| s * 1e6 / rows as f64;
        println!(
            "{:5.1} µs cpu, {:5.1} µs wall a row; before {held}, after {}",
            per_row(cpu() - used),
            per_row(start.elapsed().as_secs_f64()),
            memory()
        );
    }
    let steps = ask(
        &built.reader,
        "SELECT avg(epoch_ms(staged_at) - epoch_ms(sealed_at)), avg(epoch_ms(uploaded_at) - epoch_ms(staged_at)), avg(epoch_ms(committed_at) - epoch_ms(uploaded_at)) FROM snowshed.batches",
    );
    println!("stage, upload, begin of commit: {steps:?} ms");
    drop(tx);
    running.join();
}
