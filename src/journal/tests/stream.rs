//! A segment as a stream of bytes.

use super::*;
use std::fs;

/// The bytes of the only segment of a journal with these records, and where the frames begin.
fn segment(bodies: &[&str]) -> (tempfile::TempDir, Vec<u8>) {
    let dir = tempfile::tempdir().unwrap();
    let (journal, _) = open_real(dir.path());
    for body in bodies {
        journal.appender().append_blocking(vec![record(body)]).unwrap();
    }
    let path = journal.segments()[0].path.clone();
    journal.close();
    (dir, fs::read(path).unwrap())
}

fn all(bytes: &[u8]) -> (Vec<Vec<u8>>, Option<SegmentError>) {
    let mut stream = match SegmentStream::open(bytes) {
        Ok(stream) => stream,
        Err(e) => return (Vec::new(), Some(e)),
    };
    let mut out = Vec::new();
    loop {
        match stream.next_entry() {
            Ok(Some(entry)) => {
                assert_eq!(entry.offset.0, out.len() as u64);
                out.push(entry.body.to_vec());
            }
            Ok(None) => {
                assert_eq!(stream.range().to.0, out.len() as u64);
                return (out, None);
            }
            Err(e) => return (out, Some(e)),
        }
    }
}

#[test]
fn a_stream_gives_every_record_and_passes_over_the_note_of_an_orderly_close() {
    let (_dir, bytes) = segment(&["a", "", "ccc"]);
    let (records, error) = all(&bytes);
    assert!(error.is_none(), "{error:?}");
    assert_eq!(records, [b"a".to_vec(), vec![], b"ccc".to_vec()]);
}

#[test]
fn every_flipped_bit_and_every_cut_inside_a_frame_shows_and_what_stands_before_is_whole() {
    let (_dir, bytes) = segment(&["a", "bb"]);
    let frames = [64, 64 + 25, 64 + 25 + 26, bytes.len()];
    for at in 0..bytes.len() {
        let before = frames.iter().filter(|f| **f <= at).count().saturating_sub(1).min(2);
        for bit in 0..8 {
            let mut bad = bytes.clone();
            bad[at] ^= 1 << bit;
            let (records, error) = all(&bad);
            assert_eq!((records.len(), error.is_some()), (before, true), "bit {bit} of byte {at}: {error:?}");
        }
        let (records, error) = all(&bytes[..at]);
        assert_eq!((records.len(), error.is_none()), (before, frames.contains(&at)), "cut at {at}: {error:?}");
    }
}
