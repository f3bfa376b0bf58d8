//! The two pictures that the simulated file system keeps of each file and folder: what processes see, what is on disk.

use rand::Rng;
use rand::rngs::StdRng;
use std::collections::BTreeMap;

const SECTOR: usize = 512;

#[derive(Clone, Debug, Default)]
pub(super) struct Dir {
    pub(super) seen: BTreeMap<String, usize>,
    pub(super) disk: BTreeMap<String, usize>,
    pub(super) dirty: Vec<DirOp>,
}

#[derive(Clone, Debug)]
pub(super) enum DirOp {
    Add(String, usize),
    Remove(String),
    Rename(String, String, usize),
}

#[derive(Clone, Debug, Default)]
pub(super) struct Inode {
    pub(super) seen: Vec<u8>,
    pub(super) disk: Vec<u8>,
    pub(super) dirty: Vec<Op>,
}

#[derive(Clone, Debug)]
pub(super) enum Op {
    Write(usize, Vec<u8>),
    Length(usize),
}

impl Inode {
    pub(super) fn apply(bytes: &mut Vec<u8>, op: &Op) {
        match op {
            Op::Length(len) => bytes.resize(*len, 0),
            Op::Write(at, data) => {
                if bytes.len() < at + data.len() {
                    bytes.resize(at + data.len(), 0);
                }
                bytes[*at..at + data.len()].copy_from_slice(data);
            }
        }
    }

    /// Brings an accidental part of what is dirty onto the disk.
    pub(super) fn write_back_some(disk: &mut Vec<u8>, dirty: &[Op], rng: &mut StdRng) {
        for op in dirty {
            match op {
                Op::Write(at, data) if rng.random_bool(0.8) => {
                    let mut from = *at;
                    let end = at + data.len();
                    while from < end {
                        let to = ((from / SECTOR + 1) * SECTOR).min(end);
                        if rng.random_bool(0.6) {
                            Inode::apply(disk, &Op::Write(from, data[from - at..to - at].to_vec()));
                        }
                        from = to;
                    }
                }
                Op::Length(_) if rng.random_bool(0.5) => Inode::apply(disk, op),
                _ => {}
            }
        }
    }

    pub(super) fn after_crash(&self, rng: &mut StdRng) -> Inode {
        let mut disk = self.disk.clone();
        Inode::write_back_some(&mut disk, &self.dirty, rng);
        Inode { seen: disk.clone(), disk, dirty: Vec::new() }
    }
}

impl Dir {
    pub(super) fn apply(entries: &mut BTreeMap<String, usize>, op: &DirOp) {
        match op {
            DirOp::Add(name, inode) => {
                entries.insert(name.clone(), *inode);
            }
            DirOp::Remove(name) => {
                entries.remove(name);
            }
            DirOp::Rename(from, to, inode) => {
                if entries.get(from) == Some(inode) {
                    entries.remove(from);
                }
                entries.insert(to.clone(), *inode);
            }
        }
    }

    pub(super) fn change(&mut self, op: DirOp) {
        Dir::apply(&mut self.seen, &op);
        self.dirty.push(op);
    }

    pub(super) fn after_crash(&self, rng: &mut StdRng) -> Dir {
        let mut disk = self.disk.clone();
        for op in &self.dirty {
            if rng.random_bool(0.5) {
                Dir::apply(&mut disk, op);
            }
        }
        Dir { seen: disk.clone(), disk, dirty: Vec::new() }
    }
}
