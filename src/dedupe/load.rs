//! Start-up: what stands on disk below the boundary, and what has to be read again from the journal.

use super::config::Config;
use super::file::{self, IdFile, Writer};
use super::index::{Known, entry_of};
use super::shelf::{self, FLOOR};
use crate::event::{Offset, OffsetRange, Processed};
use std::cmp::Reverse;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// Events of a gap that are gathered before they become a file.
const PART: usize = 1 << 18;

/// Why the index cannot be loaded.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// The folder or a file cannot be read or written.
    #[error("dedupe: {path}: {source}")]
    Io {
        /// Where.
        path: String,
        /// Why.
        source: io::Error,
    },
    /// A stretch of committed events is known to nobody any more.
    #[error("dedupe: the ids of {range} are missing and cannot be read again: {source}")]
    Rebuild {
        /// The stretch.
        range: OffsetRange,
        /// Why.
        source: io::Error,
    },
}

/// Enriches a stretch of the journal again, for ids that are missing on disk: called with a position and an end
/// (exclusive), gives the next part; `None` when the journal no longer has it.
pub type Refeed<'a> = dyn FnMut(Offset, Offset) -> io::Result<Option<(OffsetRange, Vec<Processed>)>> + 'a;

fn at(path: &Path) -> impl FnOnce(io::Error) -> LoadError {
    let path = path.display().to_string();
    move |source| LoadError::Io { path, source }
}

/// Files of the folder that lie, at least in part, below `boundary`; everything else in it goes.
fn list(dir: &Path, boundary: Offset) -> Result<Vec<(OffsetRange, PathBuf)>, LoadError> {
    let mut names: Vec<(OffsetRange, PathBuf)> = Vec::new();
    for entry in fs::read_dir(dir).map_err(at(dir))? {
        let path = entry.map_err(at(dir))?.path();
        let range = path.file_name().and_then(|n| n.to_str()).and_then(file::range_of);
        match range {
            Some(range) if range.from < boundary => names.push((range, path)),
            None if path.ends_with(FLOOR) => {}
            _ => fs::remove_file(&path).map_err(at(&path))?,
        }
    }
    // A merged file comes before the parts that an interrupted run left beside it.
    names.sort_by_key(|(range, _)| (range.from, Reverse(range.to)));
    Ok(names)
}

/// Loads what is known of offsets below `boundary`.
pub(super) fn load(config: &Config, dir: &Path, boundary: Offset, refeed: &mut Refeed<'_>) -> Result<Known, LoadError> {
    loop {
        match attempt(config, dir, boundary, refeed) {
            Ok(known) => return Ok(known),
            Err(Halt::Failed(e)) => return Err(e),
            // The file was removed: the next attempt reads its events again as well, and has one file less.
            Err(Halt::Damaged) => {}
        }
    }
}

/// Why an attempt ends.
enum Halt {
    Failed(LoadError),
    /// A file turned out damaged while a gap was judged against it.
    Damaged,
}

impl From<LoadError> for Halt {
    fn from(e: LoadError) -> Self {
        Halt::Failed(e)
    }
}

fn attempt(config: &Config, dir: &Path, boundary: Offset, refeed: &mut Refeed<'_>) -> Result<Known, Halt> {
    fs::create_dir_all(dir).map_err(at(dir))?;
    let mut known = Known::new(dir, config, boundary);
    let mut done = floor(dir);
    for (range, path) in list(dir, boundary)? {
        if range.from < done {
            fs::remove_file(&path).map_err(at(&path))?;
            continue;
        }
        fill_gap(&mut known, done, range.from, refeed)?;
        let end = range.to.min(boundary);
        match IdFile::open(&path, range).and_then(|file| cut(dir, file, boundary)) {
            Ok(file) => known.push(file),
            Err(e) if e.kind() == io::ErrorKind::InvalidData => {
                tracing::warn!("dedupe: {e}; reading these events again from the journal");
                fs::remove_file(&path).map_err(at(&path))?;
                fill_gap(&mut known, range.from, end, refeed)?;
            }
            Err(e) => return Err(at(&path)(e).into()),
        }
        done = end;
    }
    fill_gap(&mut known, done, boundary, refeed)?;
    Ok(known)
}

fn floor(dir: &Path) -> Offset {
    let text = fs::read_to_string(dir.join(FLOOR)).unwrap_or_default();
    Offset(text.trim().parse().unwrap_or(0))
}

/// A merged file may reach beyond the boundary: what is above it will be judged again.
fn cut(dir: &Path, whole: IdFile, boundary: Offset) -> io::Result<IdFile> {
    if whole.range.to <= boundary {
        return Ok(whole);
    }
    let range = OffsetRange::new(whole.range.from, boundary);
    let mut writer = Writer::new(dir, range, whole.level, whole.entries)?;
    for entry in whole.iter() {
        let entry = entry?;
        if entry.addr.offset < boundary {
            writer.add(&entry)?;
        }
    }
    let below = writer.finish(i64::MIN)?;
    fs::remove_file(&whole.path)?;
    Ok(below)
}

/// Reads a stretch again that has no file, and writes files for it.
fn fill_gap(known: &mut Known, from: Offset, to: Offset, refeed: &mut Refeed<'_>) -> Result<(), Halt> {
    let gap = OffsetRange::new(from, to);
    if gap.is_empty() {
        return Ok(());
    }
    let failed = |source| LoadError::Rebuild { range: gap, source };
    tracing::warn!("dedupe: the ids of {gap} are not on disk; reading them again from the journal");
    let (mut part_from, mut next) = (from, from);
    while next < to {
        match refeed(next, to).map_err(failed)? {
            Some((range, items)) => {
                for entry in items.iter().filter_map(entry_of) {
                    known.judge(entry, || None).map_err(|e| match e.kind() {
                        io::ErrorKind::InvalidData => Halt::Damaged,
                        _ => failed(e).into(),
                    })?;
                }
                next = range.to.max(next.next());
            }
            None => {
                let first = first_available(next, to, refeed).map_err(failed)?;
                tracing::warn!(
                    "dedupe: the journal no longer holds [{next}, {first}); repetitions of these events are not recognised"
                );
                next = first;
            }
        }
        if known.open_len() >= PART || next >= to {
            known.write_open(OffsetRange::new(part_from, next.min(to))).map_err(failed)?;
            part_from = next;
        }
    }
    Ok(())
}

/// The first offset above `gone` that the journal still has, or `to`: what is gone is always its beginning.
fn first_available(gone: Offset, to: Offset, refeed: &mut Refeed<'_>) -> io::Result<Offset> {
    let (mut gone, mut there) = (gone.0, to.0);
    while there - gone > 1 {
        let middle = gone.midpoint(there);
        match refeed(Offset(middle), Offset(middle + 1))? {
            Some(_) => there = middle,
            None => gone = middle,
        }
    }
    Ok(Offset(there))
}

/// Removes a file that is in nobody's way if it stays.
pub(super) fn remove_all<'a>(files: impl IntoIterator<Item = &'a Path>) {
    files.into_iter().for_each(shelf::remove);
}
