//! Frames: what is written is read back, and nothing else is.

use super::*;
use crate::journal::frame::{self, Seal};
use crate::journal::walk::{Step, Walker, find_group};
use crate::platform::fs::File;
use crate::platform::fs_sim::SimFs;
use proptest::prelude::*;

const SEAL: Seal = Seal { mark: 0x1234_5678, salt: 99 };

fn file_of(bytes: &[u8]) -> Arc<dyn File> {
    let fs = SimFs::new(0);
    fs.create_dir_all(Path::new("/")).unwrap();
    let file = fs.create_new(Path::new("/f")).unwrap();
    file.write_all_at(bytes, 0).unwrap();
    file
}

/// Bodies that are read, and how the walk ended.
fn walk(bytes: &[u8], first: u64) -> (Vec<Vec<u8>>, Step) {
    let mut walker = Walker::new(file_of(bytes), SEAL, 0, bytes.len() as u64);
    let mut out = Vec::new();
    loop {
        match walker.next(first + out.len() as u64).unwrap() {
            Step::Frame { body, .. } => out.push(body.to_vec()),
            step => return (out, step),
        }
    }
}

fn encode(bodies: &[Vec<u8>], first: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    for (i, body) in bodies.iter().enumerate() {
        frame::write(&mut bytes, SEAL, first + i as u64, 1, i % 3 == 0, body);
    }
    bytes
}

proptest! {
    #[test]
    fn frames_read_back(bodies in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..300), 0..20), first: u32) {
        let bytes = encode(&bodies, u64::from(first));
        let (read, step) = walk(&bytes, u64::from(first));
        prop_assert_eq!(read, bodies);
        prop_assert!(matches!(step, Step::End));
    }

    #[test]
    fn a_cut_leaves_exactly_the_whole_frames(
        bodies in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..100), 1..8), cut: prop::sample::Index,
    ) {
        let bytes = encode(&bodies, 7);
        let cut = cut.index(bytes.len());
        let (read, step) = walk(&bytes[..cut], 7);
        let mut whole = 0;
        let mut end = 0;
        while whole < bodies.len() && end + frame::HEADER + bodies[whole].len() <= cut {
            end += frame::HEADER + bodies[whole].len();
            whole += 1;
        }
        prop_assert_eq!(&read[..], &bodies[..whole]);
        match step {
            Step::End => prop_assert_eq!(end, cut),
            Step::Bad { at, torn, .. } => prop_assert!(at == end as u64 && torn),
            other => prop_assert!(false, "{other:?}"),
        }
    }

    #[test]
    fn a_flipped_bit_is_never_read(
        bodies in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..100), 1..8), bit: prop::sample::Index,
    ) {
        let mut bytes = encode(&bodies, 7);
        let bit = bit.index(bytes.len() * 8);
        bytes[bit / 8] ^= 1 << (bit % 8);
        let (read, step) = walk(&bytes, 7);
        let refused = matches!(step, Step::Bad { .. });
        prop_assert!(refused);
        prop_assert!(read.len() < bodies.len());
        prop_assert_eq!(&read[..], &bodies[..read.len()]);
    }

    #[test]
    fn any_bytes_are_taken_without_panic(bytes in prop::collection::vec(any::<u8>(), 0..500), first: u64) {
        let (read, _) = walk(&bytes, first);
        prop_assert!(read.is_empty());
    }
}

#[test]
fn a_group_is_found_behind_damage_of_any_length() {
    for gap in [1usize, 19, 20, 21, 5000, (1 << 20) - 2, (1 << 20) + 3] {
        let mut bytes = vec![0xAB; gap];
        frame::write(&mut bytes, SEAL, 5, 1, false, b"not the first of a group");
        let expected = bytes.len() as u64;
        frame::write(&mut bytes, SEAL, 6, 1, true, b"the first of a group");
        let found = find_group(file_of(&bytes).as_ref(), SEAL, 0, bytes.len() as u64).unwrap();
        assert_eq!(found, Some(expected), "gap {gap}");
    }
    let other = Seal { mark: SEAL.mark, salt: 100 };
    let mut bytes = Vec::new();
    frame::write(&mut bytes, other, 6, 1, true, b"of another segment");
    assert_eq!(find_group(file_of(&bytes).as_ref(), SEAL, 0, bytes.len() as u64).unwrap(), None);
}

#[test]
fn kinds_read_back_as_their_numbers() {
    for kind in [RecordKind::Payload, RecordKind::BadRow, RecordKind::Replay] {
        assert_eq!(RecordKind::from_number(kind.number()), Some(kind));
    }
    assert_eq!(RecordKind::from_number(0), None);
    assert_eq!(RecordKind::from_number(frame::CLOSE), None);
}
