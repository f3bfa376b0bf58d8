//! Aggregates in files: what keeps memory bounded while the warehouse is away for hours.
//!
//! The file is an Arrow IPC stream of the view's stored form and lives in `state/speed/`. It only saves memory: after a
//! restart everything is folded again from the journal, so files of an earlier process are deleted at the start and nothing
//! is synced.

use super::error::SpeedError;
use crate::event::Offset;
use crate::platform::arrow_file;
use crate::platform::owned::OwnedFile;
use crate::view::{Fold, Groups, View};
use std::fs;
use std::io;
use std::path::Path;
use std::sync::Arc;

const EXTENSION: &str = "arrow";

/// Aggregates of one view of one micro-batch in a file; the file goes with the last reference.
#[derive(Debug)]
pub(super) struct Spilled {
    path: Arc<OwnedFile>,
    /// Least and greatest bucket.
    times: (i64, i64),
}

impl Spilled {
    /// Writes the groups of a fold.
    pub(super) fn write(folder: &Path, from: Offset, fold: &Fold) -> Result<Spilled, SpeedError> {
        let path = folder.join(format!("{from}.{}.{EXTENSION}", fold.view().name()));
        let times = fold
            .groups()
            .iter()
            .fold((i64::MAX, i64::MIN), |(least, greatest), g| (least.min(g.key.time), greatest.max(g.key.time)));
        let batch = fold.to_record_batch()?;
        fs::create_dir_all(folder).map_err(|e| failure(&path, &e))?;
        let path = OwnedFile::new(path);
        arrow_file::write(&path, &batch).map_err(|e| failure(&path, &e))?;
        Ok(Spilled { path, times })
    }

    /// Whether a bucket of `[from, to)` may be in it.
    pub(super) fn touches(&self, from: i64, to: i64) -> bool {
        self.times.0 < to && from <= self.times.1
    }

    /// Reads the groups back.
    pub(super) fn read(&self, view: &Arc<View>) -> Result<Groups, SpeedError> {
        let failed = |e: &dyn std::fmt::Display| failure(&self.path, e);
        let mut groups = Groups::new(view.clone());
        for batch in arrow_file::read(&self.path).map_err(|e| failed(&e))? {
            groups.add_record_batch(&batch.map_err(|e| failed(&e))?)?;
        }
        Ok(groups)
    }
}

fn failure(path: &Path, problem: &dyn std::fmt::Display) -> SpeedError {
    SpeedError::Spill { path: path.display().to_string(), problem: problem.to_string() }
}

/// Removes what an earlier process left.
pub(super) fn clear(folder: &Path) -> io::Result<()> {
    let entries = match fs::read_dir(folder) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(()),
        entries => entries?,
    };
    for entry in entries {
        let path = entry?.path();
        if path.extension().is_some_and(|e| e == EXTENSION) {
            fs::remove_file(path)?;
        }
    }
    Ok(())
}
