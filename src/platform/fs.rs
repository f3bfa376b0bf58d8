//! The file system as the durable stores use it: positioned reads and writes, and the three kinds of "sync".
//!
//! A promise such as "200 means durable" rests on the order of writes and syncs, so that order must be testable: the
//! stores speak to [`Fs`], production hands them [`RealFs`], and crash tests hand them a file system that forgets, tears
//! or reorders whatever was not synced. The interface is as small as the stores need; paths are absolute or relative to
//! the process as with `std::fs`.

use std::fmt;
use std::fs::{self, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// What a file is opened for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Access {
    /// Reading only.
    Read,
    /// Reading and writing.
    Write,
}

/// A file system. All methods block.
pub trait Fs: Send + Sync + fmt::Debug {
    /// Creates a folder and its parents; an existing one is fine. New folders are durable when this returns.
    ///
    /// # Errors
    /// As the machine gives them.
    fn create_dir_all(&self, path: &Path) -> io::Result<()>;

    /// Names of the entries of a folder, in no order.
    ///
    /// # Errors
    /// As the machine gives them.
    fn list(&self, dir: &Path) -> io::Result<Vec<String>>;

    /// Creates a file for reading and writing.
    ///
    /// # Errors
    /// `AlreadyExists` when there is one.
    fn create_new(&self, path: &Path) -> io::Result<Arc<dyn File>>;

    /// Opens an existing file.
    ///
    /// # Errors
    /// `NotFound` when there is none.
    fn open(&self, path: &Path, access: Access) -> io::Result<Arc<dyn File>>;

    /// Removes a file. Durable only after [`Fs::sync_dir`].
    ///
    /// # Errors
    /// `NotFound` when there is none.
    fn remove(&self, path: &Path) -> io::Result<()>;

    /// Gives a file another name, replacing what had it. Durable only after [`Fs::sync_dir`].
    ///
    /// # Errors
    /// As the machine gives them.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;

    /// Room on the file system that holds `path`.
    ///
    /// # Errors
    /// When the machine does not say.
    fn space(&self, path: &Path) -> io::Result<Space>;

    /// Makes the entries of a folder durable: creations, removals and renames.
    ///
    /// # Errors
    /// As the machine gives them.
    fn sync_dir(&self, dir: &Path) -> io::Result<()>;

    /// Takes an exclusive lock on a file, creating it if needed. The lock goes when the guard is dropped or the process
    /// ends, however it ends.
    ///
    /// # Errors
    /// `WouldBlock` when another process (or another guard) has it.
    fn lock(&self, path: &Path) -> io::Result<Box<dyn FileLock>>;
}

/// An open file.
pub trait File: Send + Sync + fmt::Debug {
    /// Reads up to `buf.len()` bytes at `at`; 0 at the end of the file.
    ///
    /// # Errors
    /// As the machine gives them.
    fn read_at(&self, buf: &mut [u8], at: u64) -> io::Result<usize>;

    /// Writes all of `buf` at `at`, growing the file where needed. After an error any part may have been written.
    ///
    /// # Errors
    /// As the machine gives them.
    fn write_all_at(&self, buf: &[u8], at: u64) -> io::Result<()>;

    /// Length in bytes.
    ///
    /// # Errors
    /// As the machine gives them.
    fn size(&self) -> io::Result<u64>;

    /// Cuts or grows (with zeros) the file.
    ///
    /// # Errors
    /// As the machine gives them.
    fn set_len(&self, len: u64) -> io::Result<()>;

    /// Makes what was written durable, with the metadata needed to read it back (`fdatasync`). After an error nobody knows
    /// what is on the disk, and a later success says nothing about the writes before the error.
    ///
    /// # Errors
    /// As the machine gives them.
    fn sync_data(&self) -> io::Result<()>;

    /// As [`File::sync_data`], with all metadata (`fsync`).
    ///
    /// # Errors
    /// As the machine gives them.
    fn sync_all(&self) -> io::Result<()>;
}

/// A held lock; dropping it lets go.
pub trait FileLock: Send + Sync + fmt::Debug {
    /// Replaces what the locked file says about its holder.
    ///
    /// # Errors
    /// As the machine gives them.
    fn note(&mut self, text: &[u8]) -> io::Result<()>;
}

/// Reads exactly `buf.len()` bytes at `at`.
///
/// # Errors
/// `UnexpectedEof` when the file ends before.
pub fn read_exact_at(file: &dyn File, buf: &mut [u8], at: u64) -> io::Result<()> {
    let mut done = 0;
    while let Some(rest) = buf.get_mut(done..).filter(|rest| !rest.is_empty()) {
        match file.read_at(rest, at + done as u64) {
            Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(n) => done += n,
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) => return Err(e),
        }
    }
    Ok(())
}

/// Reads a whole file.
///
/// # Errors
/// As the machine gives them.
pub fn read_file(fs: &dyn Fs, path: &Path) -> io::Result<Vec<u8>> {
    let file = fs.open(path, Access::Read)?;
    let len = usize::try_from(file.size()?).map_err(|_| io::Error::from(io::ErrorKind::FileTooLarge))?;
    let mut out = vec![0; len];
    read_exact_at(file.as_ref(), &mut out, 0)?;
    Ok(out)
}

/// Puts a small file in place so that a crash leaves the old one or the new one, whole: written beside it under
/// `<name>.tmp`, synced, renamed, and the folder synced.
///
/// # Errors
/// As the machine gives them; the old file is then untouched, or replaced but not yet durably.
pub fn replace_durably(fs: &dyn Fs, path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(".tmp");
    let tmp = path.with_file_name(name);
    match fs.remove(&tmp) {
        Ok(()) => {}
        Err(e) if e.kind() == io::ErrorKind::NotFound => {}
        Err(e) => return Err(e),
    }
    let file = fs.create_new(&tmp)?;
    file.write_all_at(bytes, 0)?;
    file.sync_all()?;
    fs.rename(&tmp, path)?;
    fs.sync_dir(parent(path))
}

/// Room on a file system, in bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Space {
    /// All that this process could use.
    pub total: u64,
    /// What of it is in use.
    pub used: u64,
}

/// The folder that a path stands in.
pub fn parent(path: &Path) -> &Path {
    match path.parent() {
        Some(dir) if !dir.as_os_str().is_empty() => dir,
        _ => Path::new("."),
    }
}

/// The machine's file system.
#[derive(Clone, Copy, Debug, Default)]
pub struct RealFs;

impl RealFs {
    /// As the stores take it.
    pub fn shared() -> Arc<dyn Fs> {
        Arc::new(RealFs)
    }
}

impl Fs for RealFs {
    fn create_dir_all(&self, path: &Path) -> io::Result<()> {
        let mut missing: Vec<PathBuf> = Vec::new();
        let mut at = path;
        while !at.as_os_str().is_empty() && !at.is_dir() {
            missing.push(at.to_owned());
            at = parent(at);
        }
        for dir in missing.iter().rev() {
            match fs::create_dir(dir) {
                Ok(()) => self.sync_dir(parent(dir))?,
                Err(e) if e.kind() == io::ErrorKind::AlreadyExists && dir.is_dir() => {}
                Err(e) => return Err(e),
            }
        }
        Ok(())
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<String>> {
        // A name that is not UTF-8 is none of ours; nobody here looks for it.
        fs::read_dir(dir)?.filter_map(|entry| entry.map(|e| e.file_name().into_string().ok()).transpose()).collect()
    }

    fn create_new(&self, path: &Path) -> io::Result<Arc<dyn File>> {
        let file = OpenOptions::new().read(true).write(true).create_new(true).open(path)?;
        Ok(Arc::new(RealFile(file)))
    }

    fn open(&self, path: &Path, access: Access) -> io::Result<Arc<dyn File>> {
        let file = OpenOptions::new().read(true).write(access == Access::Write).open(path)?;
        Ok(Arc::new(RealFile(file)))
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        fs::remove_file(path)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        fs::rename(from, to)
    }

    fn space(&self, path: &Path) -> io::Result<Space> {
        let stat = rustix::fs::statvfs(path)?;
        let bytes = |blocks: u64| blocks.saturating_mul(stat.f_frsize);
        let used = bytes(stat.f_blocks.saturating_sub(stat.f_bfree));
        // What is kept back for root is no room for us.
        Ok(Space { total: used.saturating_add(bytes(stat.f_bavail)), used })
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        fs::File::open(dir)?.sync_all()
    }

    fn lock(&self, path: &Path) -> io::Result<Box<dyn FileLock>> {
        let file = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path)?;
        match file.try_lock() {
            Ok(()) => Ok(Box::new(RealLock { file })),
            Err(TryLockError::WouldBlock) => Err(io::ErrorKind::WouldBlock.into()),
            Err(TryLockError::Error(e)) => Err(e),
        }
    }
}

#[derive(Debug)]
struct RealFile(fs::File);

impl File for RealFile {
    fn read_at(&self, buf: &mut [u8], at: u64) -> io::Result<usize> {
        self.0.read_at(buf, at)
    }
    fn write_all_at(&self, buf: &[u8], at: u64) -> io::Result<()> {
        self.0.write_all_at(buf, at)
    }
    fn size(&self) -> io::Result<u64> {
        Ok(self.0.metadata()?.len())
    }
    fn set_len(&self, len: u64) -> io::Result<()> {
        self.0.set_len(len)
    }
    fn sync_data(&self) -> io::Result<()> {
        self.0.sync_data()
    }
    fn sync_all(&self) -> io::Result<()> {
        self.0.sync_all()
    }
}

// The operating system ties the lock to the open file, so holding the file is holding the lock.
#[derive(Debug)]
struct RealLock {
    file: fs::File,
}

impl FileLock for RealLock {
    fn note(&mut self, text: &[u8]) -> io::Result<()> {
        self.file.set_len(0)?;
        self.file.write_all_at(text, 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_replaced_file_is_the_new_one_and_leaves_nothing_behind() {
        let dir = tempfile::tempdir().unwrap();
        let deep = dir.path().join("a/b");
        RealFs.create_dir_all(&deep).unwrap();
        let path = deep.join("x");
        replace_durably(&RealFs, &path, b"one").unwrap();
        replace_durably(&RealFs, &path, b"two").unwrap();
        assert_eq!(read_file(&RealFs, &path).unwrap(), b"two");
        assert_eq!(RealFs.list(&deep).unwrap(), ["x"]);
    }

    #[test]
    fn a_lock_excludes_a_second_one_until_it_is_dropped() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("LOCK");
        let held = RealFs.lock(&path).unwrap();
        assert_eq!(RealFs.lock(&path).unwrap_err().kind(), io::ErrorKind::WouldBlock);
        drop(held);
        RealFs.lock(&path).unwrap();
    }
}
