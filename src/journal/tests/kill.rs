//! `kill -9` of a real process that appends as fast as it can.

use super::*;
use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::process::{Command, Stdio};
use std::thread;

const DIR_VARIABLE: &str = "SNOWSHED_TEST_JOURNAL";

/// The victim: appends from several threads and reports each acknowledged record on its standard output.
#[test]
#[ignore = "run by the kill test as a process of its own"]
fn victim() {
    let Some(dir) = std::env::var_os(DIR_VARIABLE) else { return };
    let config = Config { segment_bytes: ByteSize::kib(64), ..Config::default() };
    let (journal, _) = open(&config, Path::new(&dir), RealFs::shared());
    let life = journal.durable_end().0;
    thread::scope(|scope| {
        for t in 0..8 {
            let appender = journal.appender();
            scope.spawn(move || {
                for i in 0.. {
                    let text = format!("{life}/{t}/{i}");
                    let padding = "p".repeat(i % 700);
                    let receipt = appender.append_blocking(vec![record(format!("{text} {padding}"))]).unwrap();
                    let line = format!("ack {} {text}\n", receipt.first());
                    std::io::stdout().write_all(line.as_bytes()).unwrap();
                }
            });
        }
    });
}

#[test]
fn a_killed_process_loses_nothing_that_it_acknowledged() {
    let dir = tempfile::tempdir().unwrap();
    let mut acknowledged: BTreeMap<u64, String> = BTreeMap::new();
    for round in 0..20u64 {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "journal::tests::kill::victim", "--ignored", "--nocapture", "--test-threads=1"])
            .env(DIR_VARIABLE, dir.path())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let output = BufReader::new(child.stdout.take().unwrap());
        let listener = thread::spawn(move || {
            let lines = output.split(b'\n').map_while(Result::ok);
            let acks = lines.filter_map(|line| {
                let line = String::from_utf8(line).ok()?;
                let (_, ack) = line.split_once("ack ")?;
                let (number, text) = ack.split_once(' ')?;
                Some((number.parse::<u64>().ok()?, text.to_owned()))
            });
            acks.collect::<Vec<_>>()
        });
        thread::sleep(Duration::from_millis(60 + 17 * (round % 7)));
        child.kill().unwrap();
        child.wait().unwrap();
        let mut acks = listener.join().unwrap();
        // The kill may have cut the last line short.
        acks.pop();
        for (number, text) in acks {
            assert!(acknowledged.insert(number, text).is_none(), "record {number} was acknowledged twice");
        }
        let (journal, _) = open_real(dir.path());
        let stored = read(&journal, 0);
        for (number, text) in &acknowledged {
            let body = String::from_utf8(stored[*number as usize].1.clone()).unwrap();
            assert_eq!(body.split(' ').next(), Some(text.as_str()), "round {round}, record {number}");
        }
    }
    assert!(acknowledged.len() > 100, "only {} appends in all rounds", acknowledged.len());
}
