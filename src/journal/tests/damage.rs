//! Torn ends are cut off, damage stops the start, newer formats are named.

use super::*;
use crate::journal::frame::{self, Seal};
use crate::journal::segment;
use std::fs;
use std::path::PathBuf;

/// Bodies of the records in a journal of `groups` groups of two, as (number, body).
fn expected(records: u64) -> Vec<(u64, Vec<u8>)> {
    (0..records).map(|n| (n, body(n))).collect()
}

fn body(n: u64) -> Vec<u8> {
    format!("record {n} {}", "x".repeat(n as usize % 7)).into_bytes()
}

/// Makes a journal of one-sync groups of two records, as a killed process leaves it, or closed in order.
fn make(groups: u64, closed: bool, config: &Config) -> (tempfile::TempDir, Vec<PathBuf>) {
    let dir = tempfile::tempdir().unwrap();
    let (journal, _) = open(config, &dir.path().join("live"), RealFs::shared());
    for g in 0..groups {
        journal.appender().append_blocking(vec![record(body(2 * g)), record(body(2 * g + 1))]).unwrap();
    }
    if closed {
        journal.close();
    }
    let copy = dir.path().join("copy");
    copy_dir(&dir.path().join("live"), &copy);
    let mut segments: Vec<PathBuf> = fs::read_dir(&copy).unwrap().map(|e| e.unwrap().path()).collect();
    segments.retain(|p| p.extension().is_some_and(|e| e == "seg"));
    segments.sort();
    (dir, segments)
}

fn copy_dir(from: &Path, to: &Path) {
    let _ = fs::remove_dir_all(to);
    fs::create_dir(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        if entry.file_name() != "LOCK" {
            fs::copy(entry.path(), to.join(entry.file_name())).unwrap();
        }
    }
}

/// Where each frame of a segment begins, and the end.
fn frames(bytes: &[u8]) -> Vec<usize> {
    let mut at = segment::HEADER as usize;
    let mut out = vec![at];
    while let Some(header) = frame::Header::read(&bytes[at..]) {
        at += header.frame_len() as usize;
        out.push(at);
    }
    out
}

#[test]
fn a_file_cut_at_any_byte_keeps_its_whole_frames_and_takes_more() {
    let (dir, segments) = make(4, false, &Config::default());
    let whole = fs::read(&segments[0]).unwrap();
    let frames = frames(&whole);
    for cut in frames[4]..=whole.len() {
        copy_dir(&dir.path().join("live"), &dir.path().join("copy"));
        fs::write(&segments[0], &whole[..cut]).unwrap();
        let kept = frames.iter().filter(|at| **at <= cut).count() as u64 - 1;
        let (journal, found) = open_real(&dir.path().join("copy"));
        assert_eq!(found.end, Offset(kept), "cut at {cut}");
        assert_eq!(found.torn.is_some(), !frames.contains(&cut), "cut at {cut}: {:?}", found.torn);
        journal.appender().append_blocking(vec![record("more")]).unwrap();
        let mut records = expected(kept);
        records.push((kept, b"more".to_vec()));
        assert_eq!(read(&journal, 0), records, "cut at {cut}");
        drop(journal);
        let (journal, found) = open_real(&dir.path().join("copy"));
        assert_eq!(found.torn, None);
        assert_eq!(read(&journal, 0), records);
    }
}

#[test]
fn a_flipped_byte_is_cut_off_only_in_the_last_group() {
    let (dir, segments) = make(4, false, &Config::default());
    let whole = fs::read(&segments[0]).unwrap();
    let frames = frames(&whole);
    let last_group = frames[6];
    for at in segment::HEADER as usize..whole.len() {
        let mut bad = whole.clone();
        bad[at] ^= 0x10;
        fs::write(&segments[0], &bad).unwrap();
        let intact = frames.iter().filter(|f| **f <= at).count() as u64 - 1;
        match try_open(&Config::default(), &dir.path().join("copy"), RealFs::shared()) {
            Ok((journal, found)) => {
                assert!(at >= last_group, "byte {at} is of an older group");
                assert_eq!(found.end, Offset(intact));
                let (_, torn) = found.torn.expect("a report");
                assert_eq!(
                    (torn.position, torn.bytes),
                    (frames[intact as usize] as u64, (whole.len() - frames[intact as usize]) as u64)
                );
                assert_eq!(read(&journal, 0), expected(intact));
                // What stood behind the bad frame does not come back behind a good one of the same length.
                journal.appender().append_blocking(vec![record(body(intact))]).unwrap();
                drop(journal);
                let (journal, found) = open_real(&dir.path().join("copy"));
                assert_eq!((found.end, found.torn), (Offset(intact + 1), None));
                assert_eq!(read(&journal, 0), expected(intact + 1));
            }
            Err(OpenError::Damaged(damage)) => {
                assert!(at < last_group, "byte {at} is of the last group");
                assert_eq!((damage.offset, damage.position), (Offset(intact), frames[intact as usize] as u64));
                assert_eq!(damage.path, segments[0]);
                assert_eq!(fs::read(&segments[0]).unwrap(), bad, "a refused start changes nothing");
            }
            Err(e) => panic!("{e}"),
        }
        copy_dir(&dir.path().join("live"), &dir.path().join("copy"));
    }
}

#[test]
fn after_an_orderly_close_a_flipped_byte_anywhere_stops_the_start() {
    let (dir, segments) = make(3, true, &Config::default());
    let whole = fs::read(&segments[0]).unwrap();
    for at in 0..whole.len() - frame::HEADER {
        let mut bad = whole.clone();
        bad[at] ^= 0x01;
        fs::write(&segments[0], &bad).unwrap();
        let result = try_open(&Config::default(), &dir.path().join("copy"), RealFs::shared());
        assert!(matches!(result, Err(OpenError::Damaged(_))), "byte {at}: {:?}", result.map(|r| r.1));
    }
    // The note of the orderly end itself carries no record.
    let mut bad = whole.clone();
    *bad.last_mut().unwrap() ^= 1;
    fs::write(&segments[0], &bad).unwrap();
    let (journal, found) = open_real(&dir.path().join("copy"));
    assert!(found.torn.is_some());
    assert_eq!(read(&journal, 0), expected(6));
}

#[test]
fn damage_in_a_closed_segment_stops_the_start_and_when_not_verified_the_reader() {
    let (dir, segments) = make(60, false, &small());
    let copy = dir.path().join("copy");
    assert!(segments.len() > 2, "{segments:?}");
    let whole = fs::read(&segments[0]).unwrap();
    let frames = frames(&whole);
    let mut bad = whole.clone();
    bad[frames[10] + frame::HEADER] ^= 1;
    fs::write(&segments[0], &bad).unwrap();
    let refused = try_open(&small(), &copy, RealFs::shared()).unwrap_err();
    let text = refused.to_string();
    assert!(matches!(&refused, OpenError::Damaged(d) if d.offset == Offset(10) && d.path == segments[0]), "{text}");
    assert!(
        text.contains("record 10") && text.contains("00000000000000000000.seg") && text.contains("archive"),
        "{text}"
    );

    let outside = Journal::read_only(&copy, RealFs::shared()).unwrap();
    let mut reader = outside.reader(Offset(0)).unwrap();
    assert_eq!(read_on(outside.reader(Offset(60)).unwrap(), Offset(120)), expected(120)[60..]);
    let first = reader.next(1, Duration::ZERO).unwrap().unwrap();
    assert_eq!(first.records[0].body.to_vec(), body(0));
    assert_eq!(reader.next(1 << 20, Duration::ZERO).unwrap().unwrap().range.to, Offset(10));
    assert!(matches!(reader.next(1 << 20, Duration::ZERO), Err(ReadError::Damaged(d)) if d.offset == Offset(10)));

    let lazy = Config { verify_bytes: ByteSize(0), ..small() };
    let (journal, _) = open(&lazy, &copy, RealFs::shared());
    let mut reader = journal.reader(Offset(0)).unwrap();
    assert_eq!(reader.next(1 << 20, Duration::ZERO).unwrap().unwrap().range.to, Offset(10));
    for _ in 0..2 {
        let e = reader.next(1 << 20, Duration::ZERO).unwrap_err();
        assert!(matches!(&e, ReadError::Damaged(d) if d.offset == Offset(10)), "{e}");
    }
    assert_eq!(read(&journal, 60), expected(120)[60..]);
}

#[test]
fn a_missing_or_shortened_segment_stops_the_start() {
    let (dir, segments) = make(60, false, &small());
    let copy = dir.path().join("copy");
    fs::remove_file(&segments[1]).unwrap();
    assert!(matches!(try_open(&small(), &copy, RealFs::shared()), Err(OpenError::Damaged(_))));

    copy_dir(&dir.path().join("live"), &copy);
    let whole = fs::read(&segments[1]).unwrap();
    fs::write(&segments[1], &whole[..frames(&whole)[3]]).unwrap();
    for verify_bytes in [ByteSize(0), ByteSize::mib(1)] {
        let config = Config { verify_bytes, ..small() };
        assert!(matches!(try_open(&config, &copy, RealFs::shared()), Err(OpenError::Damaged(_))));
    }

    // The oldest may be missing: that is what retention does.
    copy_dir(&dir.path().join("live"), &copy);
    fs::remove_file(&segments[0]).unwrap();
    let (journal, found) = open(&small(), &copy, RealFs::shared());
    assert!(found.first > Offset(0));
    assert_eq!(read(&journal, found.first.0), expected(120)[found.first.0 as usize..]);
    assert!(matches!(journal.reader(Offset(0)), Err(ReadError::Gone { .. })));
}

#[test]
fn lost_helpers_are_made_again() {
    let (dir, _) = make(60, false, &small());
    let copy = dir.path().join("copy");
    let id = open_id(&dir.path().join("live"));
    for entry in fs::read_dir(&copy).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|e| e == "idx") {
            fs::write(&path, b"nonsense").unwrap();
        }
    }
    fs::remove_file(copy.join("journal.meta")).unwrap();
    let (journal, found) = open(&Config { verify_bytes: ByteSize(0), ..small() }, &copy, RealFs::shared());
    assert_eq!(found.notes.len(), 1, "{:?}", found.notes);
    assert_eq!(journal.id(), id);
    assert_eq!(read(&journal, 0), expected(120));
    assert_eq!(read(&journal, 77), expected(120)[77..]);
}

fn open_id(dir: &Path) -> uuid::Uuid {
    Journal::read_only(dir, RealFs::shared()).unwrap().id().unwrap()
}

#[test]
fn a_segment_of_another_journal_or_another_place_is_refused() {
    let (dir, segments) = make(60, false, &small());
    let (_other, others) = make(60, false, &small());
    let copy = dir.path().join("copy");
    fs::copy(&others[1], &segments[1]).unwrap();
    assert!(matches!(try_open(&small(), &copy, RealFs::shared()), Err(OpenError::Damaged(_))));
    copy_dir(&dir.path().join("live"), &copy);
    fs::copy(&segments[0], &segments[1]).unwrap();
    assert!(matches!(try_open(&small(), &copy, RealFs::shared()), Err(OpenError::Damaged(_))));
}

#[test]
fn a_segment_that_was_never_completed_goes() {
    for len in [0, 10, 63, 64] {
        let (dir, _) = make(2, false, &Config::default());
        let copy = dir.path().join("copy");
        let half = copy.join("00000000000000000004.seg");
        fs::write(&half, vec![0; len]).unwrap();
        let (journal, found) = open_real(&copy);
        assert_eq!((found.end, found.notes.len()), (Offset(4), 1), "{len}");
        assert_eq!(read(&journal, 0), expected(4));
        assert!(!half.exists());
    }
}

/// Writes a frame at the end of a segment, with the segment's own seal.
fn append_frame(path: &Path, offset: u64, kind: u8, edit: impl FnOnce(&mut [u8], Seal)) {
    let mut bytes = fs::read(path).unwrap();
    let header = segment::Header::decode(&bytes).unwrap();
    let mut frame = Vec::new();
    frame::write(&mut frame, header.seal, offset, kind, true, b"from the future");
    edit(&mut frame, header.seal);
    bytes.extend_from_slice(&frame);
    fs::write(path, bytes).unwrap();
}

#[test]
fn what_a_newer_program_wrote_is_named_as_such() {
    let resum = |frame: &mut [u8], seal: Seal| {
        let crc = crc32c::crc32c_append(crc32c::crc32c_append(seal.salt, &frame[..20]), &frame[24..]);
        frame[20..24].copy_from_slice(&crc.to_le_bytes());
    };
    let (dir, segments) = make(2, false, &Config::default());
    let copy = dir.path().join("copy");
    append_frame(&segments[0], 4, 77, |_, _| {});
    let e = try_open(&Config::default(), &copy, RealFs::shared()).unwrap_err();
    assert!(matches!(&e, OpenError::Newer { what, .. } if what.contains("kind 77")), "{e}");

    copy_dir(&dir.path().join("live"), &copy);
    append_frame(&segments[0], 4, 1, |frame, seal| {
        frame[17] = 3;
        resum(frame, seal);
    });
    let e = try_open(&Config::default(), &copy, RealFs::shared()).unwrap_err();
    assert!(matches!(&e, OpenError::Newer { what, .. } if what.contains("format 3")), "{e}");

    copy_dir(&dir.path().join("live"), &copy);
    fs::write(copy.join("journal.meta"), "snowshed journal\nformat 2\nid x\n").unwrap();
    let e = try_open(&Config::default(), &copy, RealFs::shared()).unwrap_err();
    assert!(matches!(&e, OpenError::Newer { .. }) && e.to_string().contains("newer snowshed"), "{e}");
}

#[test]
fn a_body_that_looks_like_a_frame_is_a_body() {
    let dir = tempfile::tempdir().unwrap();
    let (journal, _) = open_real(dir.path());
    let mut fake = Vec::new();
    frame::write(&mut fake, Seal { mark: 1, salt: 1 }, 1, 1, true, b"fake");
    journal.appender().append_blocking(vec![record(&fake), record("x")]).unwrap();
    let copy = dir.path().join("copy");
    copy_dir_flat(dir.path(), &copy);
    let path = segment::path(&copy, Offset(0));
    let bytes = fs::read(&path).unwrap();
    fs::write(&path, &bytes[..bytes.len() - 1]).unwrap();
    let (journal, found) = open_real(&copy);
    assert!(found.torn.is_some());
    assert_eq!(read(&journal, 0), [(0, fake)]);
}

fn copy_dir_flat(from: &Path, to: &Path) {
    fs::create_dir(to).unwrap();
    for name in ["journal.meta", "00000000000000000000.seg"] {
        fs::copy(from.join(name), to.join(name)).unwrap();
    }
}
