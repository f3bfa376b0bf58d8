//! Packed bodies: the same records come out as went in, by every way of reading, and take less room on the disk.

use super::*;
use crate::journal::frame::{self, Frames, Seal};
use crate::platform::fs_sim::SimFs;
use proptest::prelude::*;
use std::fs;

const SEAL: Seal = Seal { mark: 7, salt: 9 };

/// A batch of events as a tracker sends it.
fn request(n: u64) -> Vec<u8> {
    let event = |i: u64| {
        format!(r#"{{"e":"pv","eid":"{:032x}","url":"https://shop.example/cars/{i}","aid":"shop"}}"#, n * 97 + i)
    };
    let events: Vec<String> = (0..12 + n % 9).map(event).collect();
    format!(r#"{{"schema":"iglu:a/payload_data/jsonschema/1-0-4","data":[{}]}}"#, events.join(",")).into_bytes()
}

fn noise(len: usize) -> Vec<u8> {
    use rand::{RngCore, SeedableRng};
    let mut bytes = vec![0; len];
    rand::rngs::StdRng::seed_from_u64(len as u64).fill_bytes(&mut bytes);
    bytes
}

/// What becomes of one body in a frame: its length there, and what is unpacked.
fn there_and_back(body: &[u8]) -> (usize, Option<Vec<u8>>) {
    let mut bytes = Vec::new();
    frame::write_packed(&mut bytes, SEAL, 5, 1, true, body);
    let (header, stored) = Frames::new(bytes.clone().into(), 5).next().unwrap();
    assert!(header.passes(SEAL, &bytes) && header.is_known() && header.frame_len() == bytes.len() as u64);
    (stored.len(), header.unpack(stored).map(|body| body.to_vec()))
}

proptest! {
    #[test]
    fn any_body_comes_back(piece in prop::collection::vec(any::<u8>(), 0..200), times in 0usize..60, cut: prop::sample::Index) {
        let mut body = piece.repeat(times);
        body.truncate(cut.index(body.len() + 1));
        let (_, back) = there_and_back(&body);
        prop_assert_eq!(back, Some(body));
    }

    #[test]
    fn what_was_never_packed_is_refused_without_panic(stored in prop::collection::vec(any::<u8>(), 0..300)) {
        let mut bytes = Vec::new();
        frame::write(&mut bytes, SEAL, 5, 1, true, &stored);
        bytes[17] = 2;
        let (header, stored) = Frames::new(bytes.into(), 5).next().unwrap();
        // A few of them are well-formed blocks; none gives more than its length says.
        let most = stored.len() * 255;
        prop_assert!(header.unpack(stored).is_none_or(|body| body.len() <= most));
    }
}

#[test]
fn only_bodies_that_gain_by_it_are_packed() {
    let (stored, back) = there_and_back(&request(1));
    assert!(stored * 2 < request(1).len() && back == Some(request(1)), "{stored} of {}", request(1).len());
    for plain in [b"short".repeat(20), noise(50_000), Vec::new()] {
        assert_eq!(there_and_back(&plain), (plain.len(), Some(plain.clone())));
    }
}

#[test]
fn a_length_that_no_block_can_have_takes_no_memory() {
    let mut stored = u32::MAX.to_le_bytes().to_vec();
    stored.extend_from_slice(&[0x1f; 40]);
    let mut bytes = Vec::new();
    frame::write(&mut bytes, SEAL, 5, 1, true, &stored);
    bytes[17] = 2;
    let (header, stored) = Frames::new(bytes.into(), 5).next().unwrap();
    assert_eq!(header.unpack(stored), None);
}

#[test]
fn packed_and_plain_records_read_alike_from_memory_files_archive_and_after_a_restart() {
    let fs = SimFs::new(4);
    let dir = Path::new(DIR);
    let mut expected: Vec<(u64, Vec<u8>)> = Vec::new();
    let roomy = |pack| Config { pack, prepare: false, segment_bytes: ByteSize::kib(64), ..Config::default() };
    for pack in [true, false, true] {
        let (journal, found) = open(&roomy(pack), dir, fs.shared());
        assert_eq!((found.end.0, found.torn.is_some()), (expected.len() as u64, false));
        let from = expected.len() as u64;
        for n in from..from + 100 {
            let body = if n % 3 == 0 { noise(n as usize * 7) } else { request(n) };
            journal.appender().append_blocking(vec![record(&body)]).unwrap();
            expected.push((n, body));
        }
        assert_eq!(read(&journal, from), expected[from as usize..], "from memory");
        assert_eq!(read(&journal, 0), expected, "from files");
        journal.close();
    }
    let outside = Journal::read_only(dir, fs.shared()).unwrap();
    assert_eq!(read_on(outside.reader(Offset(0)).unwrap(), outside.end()), expected, "from outside");
}

#[test]
fn a_segment_as_a_stream_gives_the_bodies_unpacked() {
    let dir = tempfile::tempdir().unwrap();
    let (journal, _) = open_real(dir.path());
    for n in 0..20 {
        journal.appender().append_blocking(vec![record(request(n))]).unwrap();
    }
    let path = journal.segments()[0].path.clone();
    journal.close();
    let bytes = fs::read(path).unwrap();
    let whole: usize = (0..20).map(|n| request(n).len()).sum();
    assert!(bytes.len() * 2 < whole, "{} bytes for {whole}", bytes.len());
    let mut stream = SegmentStream::open(&bytes[..]).unwrap();
    for n in 0..20 {
        assert_eq!(stream.next_entry().unwrap().unwrap().body, request(n));
    }
    assert!(stream.next_entry().unwrap().is_none());
}
