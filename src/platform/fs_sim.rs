//! A file system in memory that behaves as badly as a real one may: for crash tests only.
//!
//! It keeps two pictures: what processes see (the cache) and what is on the disk. Writes reach the disk with the sync of
//! their file, directory entries with the sync of their folder. [`SimFs::crash`] gives the file system as a machine would
//! find it after a power cut: of what was not synced, every entry and every 512-byte sector is there or not by chance. A
//! sync that fails does what Linux does: an accidental part is written, the rest is forgotten, later syncs succeed without
//! it, and the cache goes on showing it.

use super::fs::{Access, File, FileLock, Fs, Space, parent};
use parking_lot::{Condvar, Mutex};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

mod disk;

use disk::{Dir, DirOp, Inode, Op};

/// The simulated file system. Clones are the same one.
#[derive(Clone, Debug)]
pub struct SimFs(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    world: Mutex<World>,
    released: Condvar,
}

#[derive(Debug)]
struct World {
    rng: StdRng,
    dirs: BTreeMap<PathBuf, Dir>,
    inodes: Vec<Inode>,
    locks: BTreeSet<PathBuf>,
    faults: Faults,
    dead: bool,
}

#[derive(Debug, Default)]
struct Faults {
    syncs: u32,
    writes: u32,
    capacity: Option<usize>,
    read_only: bool,
    hold_syncs: bool,
    syncs_done: u64,
}

fn other(text: &str) -> io::Error {
    io::Error::other(text.to_owned())
}

impl SimFs {
    /// An empty one; the seed decides what a crash leaves.
    pub fn new(seed: u64) -> Self {
        let world = World {
            rng: StdRng::seed_from_u64(seed),
            dirs: BTreeMap::from([(PathBuf::from("/"), Dir::default())]),
            inodes: Vec::new(),
            locks: BTreeSet::new(),
            faults: Faults::default(),
            dead: false,
        };
        SimFs(Arc::new(Shared { world: Mutex::new(world), released: Condvar::new() }))
    }

    /// As the stores take it.
    pub fn shared(&self) -> Arc<dyn Fs> {
        Arc::new(self.clone())
    }

    /// The power goes: every handle of this file system is dead, and what a restart finds is returned.
    pub fn crash(&self) -> SimFs {
        let mut world = self.0.world.lock();
        world.dead = true;
        self.0.released.notify_all();
        let World { rng, dirs, inodes, .. } = &mut *world;
        let inodes: Vec<Inode> = inodes.iter().map(|inode| inode.after_crash(rng)).collect();
        let dirs = dirs.iter().map(|(path, dir)| (path.clone(), dir.after_crash(rng))).collect();
        let next = World {
            rng: StdRng::seed_from_u64(rng.random()),
            dirs,
            inodes,
            locks: BTreeSet::new(),
            faults: Faults::default(),
            dead: false,
        };
        SimFs(Arc::new(Shared { world: Mutex::new(next), released: Condvar::new() }))
    }

    /// The process goes (as by `kill -9`) but the machine stays: the cache survives, locks and handles do not.
    pub fn kill(&self) -> SimFs {
        let mut world = self.0.world.lock();
        world.dead = true;
        self.0.released.notify_all();
        let next = World {
            rng: StdRng::seed_from_u64(world.rng.random()),
            dirs: world.dirs.clone(),
            inodes: world.inodes.clone(),
            locks: BTreeSet::new(),
            faults: Faults::default(),
            dead: false,
        };
        SimFs(Arc::new(Shared { world: Mutex::new(next), released: Condvar::new() }))
    }

    /// As [`SimFs::kill`], while a sync that was held fails: the caller never learns of it.
    pub fn kill_in_failed_sync(&self) -> SimFs {
        let after = self.kill();
        {
            let mut world = after.0.world.lock();
            let World { rng, inodes, .. } = &mut *world;
            for inode in inodes {
                let dirty = std::mem::take(&mut inode.dirty);
                Inode::write_back_some(&mut inode.disk, &dirty, rng);
            }
        }
        after
    }

    /// The next `n` syncs of file data fail.
    pub fn fail_syncs(&self, n: u32) {
        self.0.world.lock().faults.syncs = n;
    }

    /// The next `n` writes fail half-way.
    pub fn fail_writes(&self, n: u32) {
        self.0.world.lock().faults.writes = n;
    }

    /// The disk holds this many bytes in all.
    pub fn set_capacity(&self, bytes: Option<usize>) {
        self.0.world.lock().faults.capacity = bytes;
    }

    /// Every write, sync and change of a folder is refused.
    pub fn set_read_only(&self, on: bool) {
        self.0.world.lock().faults.read_only = on;
    }

    /// Syncs of file data do not come back until this is set to false.
    pub fn hold_syncs(&self, on: bool) {
        self.0.world.lock().faults.hold_syncs = on;
        self.0.released.notify_all();
    }

    /// How many syncs of file data have succeeded.
    pub fn syncs(&self) -> u64 {
        self.0.world.lock().faults.syncs_done
    }

    /// Bytes of all files that have a name.
    pub fn used(&self) -> usize {
        self.0.world.lock().used()
    }

    fn alter<T>(&self, change: impl FnOnce(&mut World) -> io::Result<T>) -> io::Result<T> {
        let mut world = self.0.world.lock();
        if world.dead {
            return Err(other("the machine is off"));
        }
        if world.faults.read_only {
            return Err(io::ErrorKind::ReadOnlyFilesystem.into());
        }
        change(&mut world)
    }
}

impl World {
    fn used(&self) -> usize {
        self.dirs.values().flat_map(|dir| dir.seen.values()).map(|inode| self.inodes[*inode].seen.len()).sum()
    }

    fn dir(&mut self, path: &Path) -> io::Result<&mut Dir> {
        self.dirs.get_mut(path).ok_or_else(|| io::ErrorKind::NotFound.into())
    }
}

fn split(path: &Path) -> (PathBuf, String) {
    (parent(path).to_owned(), path.file_name().unwrap().to_string_lossy().into_owned())
}

impl Fs for SimFs {
    fn space(&self, _path: &Path) -> io::Result<Space> {
        let world = self.0.world.lock();
        let used = world.used() as u64;
        Ok(Space { total: world.faults.capacity.map_or(u64::MAX, |bytes| bytes as u64), used })
    }

    fn create_dir_all(&self, path: &Path) -> io::Result<()> {
        // Folders are made durably and never removed: nothing is learnt from losing one.
        self.alter(|world| {
            world.dirs.entry(path.to_owned()).or_default();
            Ok(())
        })
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<String>> {
        let mut world = self.0.world.lock();
        Ok(world.dir(dir)?.seen.keys().cloned().collect())
    }

    fn create_new(&self, path: &Path) -> io::Result<Arc<dyn File>> {
        let (dir, name) = split(path);
        let inode = self.alter(|world| {
            if world.dir(&dir)?.seen.contains_key(&name) {
                return Err(io::ErrorKind::AlreadyExists.into());
            }
            world.inodes.push(Inode::default());
            let inode = world.inodes.len() - 1;
            world.dir(&dir)?.change(DirOp::Add(name, inode));
            Ok(inode)
        })?;
        Ok(Arc::new(SimFile { fs: self.clone(), inode }))
    }

    fn open(&self, path: &Path, _access: Access) -> io::Result<Arc<dyn File>> {
        let (dir, name) = split(path);
        let mut world = self.0.world.lock();
        let inode = world.dir(&dir)?.seen.get(&name).copied().ok_or(io::Error::from(io::ErrorKind::NotFound))?;
        Ok(Arc::new(SimFile { fs: self.clone(), inode }))
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        let (dir, name) = split(path);
        self.alter(|world| {
            let dir = world.dir(&dir)?;
            if !dir.seen.contains_key(&name) {
                return Err(io::ErrorKind::NotFound.into());
            }
            dir.change(DirOp::Remove(name));
            Ok(())
        })
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let ((dir, from), (to_dir, to)) = (split(from), split(to));
        assert_eq!(dir, to_dir, "only within one folder");
        self.alter(|world| {
            let dir = world.dir(&dir)?;
            let inode = dir.seen.get(&from).copied().ok_or(io::Error::from(io::ErrorKind::NotFound))?;
            dir.change(DirOp::Rename(from, to, inode));
            Ok(())
        })
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        self.alter(|world| {
            let dir = world.dir(dir)?;
            for op in std::mem::take(&mut dir.dirty) {
                Dir::apply(&mut dir.disk, &op);
            }
            Ok(())
        })
    }

    fn lock(&self, path: &Path) -> io::Result<Box<dyn FileLock>> {
        self.alter(|world| match world.locks.insert(path.to_owned()) {
            true => Ok(()),
            false => Err(io::ErrorKind::WouldBlock.into()),
        })?;
        Ok(Box::new(SimLock { fs: self.clone(), path: path.to_owned() }))
    }
}

#[derive(Debug)]
struct SimFile {
    fs: SimFs,
    inode: usize,
}

impl SimFile {
    fn change(&self, op: Op) -> io::Result<()> {
        self.fs.alter(|world| {
            let World { faults, .. } = world;
            let fails = faults.writes > 0;
            faults.writes = faults.writes.saturating_sub(1);
            let room = faults.capacity.map(|most| most.saturating_sub(world.used()));
            let inode = &mut world.inodes[self.inode];
            let (op, result) = match op {
                Op::Write(at, data) => {
                    let grows = (at + data.len()).saturating_sub(inode.seen.len());
                    let lacks = room.map_or(0, |room| grows.saturating_sub(room));
                    let done = if fails { data.len() / 2 } else { data.len() - lacks.min(data.len()) };
                    let result = match (fails, lacks) {
                        (true, _) => Err(other("simulated I/O error in a write")),
                        (false, 0) => Ok(()),
                        (false, _) => Err(io::ErrorKind::StorageFull.into()),
                    };
                    (Op::Write(at, data[..done].to_vec()), result)
                }
                length => (length, Ok(())),
            };
            Inode::apply(&mut inode.seen, &op);
            inode.dirty.push(op);
            result
        })
    }
}

impl File for SimFile {
    fn read_at(&self, buf: &mut [u8], at: u64) -> io::Result<usize> {
        let world = self.fs.0.world.lock();
        let seen = &world.inodes[self.inode].seen;
        let from = seen.len().min(at as usize);
        let n = buf.len().min(seen.len() - from);
        buf[..n].copy_from_slice(&seen[from..from + n]);
        Ok(n)
    }

    fn write_all_at(&self, buf: &[u8], at: u64) -> io::Result<()> {
        self.change(Op::Write(at as usize, buf.to_vec()))
    }

    fn size(&self) -> io::Result<u64> {
        Ok(self.fs.0.world.lock().inodes[self.inode].seen.len() as u64)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.change(Op::Length(len as usize))
    }

    fn sync_data(&self) -> io::Result<()> {
        {
            let mut world = self.fs.0.world.lock();
            while world.faults.hold_syncs && !world.dead {
                self.fs.0.released.wait(&mut world);
            }
        }
        self.fs.alter(|world| {
            let World { rng, inodes, faults, .. } = world;
            let inode = &mut inodes[self.inode];
            let dirty = std::mem::take(&mut inode.dirty);
            if faults.syncs > 0 {
                faults.syncs -= 1;
                Inode::write_back_some(&mut inode.disk, &dirty, rng);
                return Err(other("simulated I/O error in a sync"));
            }
            faults.syncs_done += 1;
            for op in &dirty {
                Inode::apply(&mut inode.disk, op);
            }
            Ok(())
        })
    }

    fn sync_all(&self) -> io::Result<()> {
        self.sync_data()
    }
}

#[derive(Debug)]
struct SimLock {
    fs: SimFs,
    path: PathBuf,
}

impl FileLock for SimLock {
    fn note(&mut self, _text: &[u8]) -> io::Result<()> {
        Ok(())
    }
}

impl Drop for SimLock {
    fn drop(&mut self) {
        self.fs.0.world.lock().locks.remove(&self.path);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_synced_survives_and_what_is_not_may_be_lost() {
        let (mut kept, mut lost) = (0, 0);
        for seed in 0..200 {
            let fs = SimFs::new(seed);
            fs.create_dir_all(Path::new("/d")).unwrap();
            let file = fs.create_new(Path::new("/d/a")).unwrap();
            file.write_all_at(&[1; 2000], 0).unwrap();
            file.sync_data().unwrap();
            fs.sync_dir(Path::new("/d")).unwrap();
            file.write_all_at(&[2; 2000], 2000).unwrap();
            fs.create_new(Path::new("/d/b")).unwrap();
            let after = fs.crash();
            assert!(file.sync_data().is_err(), "old handles are dead");
            let bytes = super::super::fs::read_file(&after, Path::new("/d/a")).unwrap();
            assert_eq!(bytes[..2000], [1; 2000]);
            match bytes.len() == 4000 && bytes[2000..] == [2; 2000] {
                true => kept += 1,
                false => lost += 1,
            }
        }
        assert!(kept > 0 && lost > 0, "{kept} {lost}");
    }
}
