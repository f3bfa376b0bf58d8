//! The archive: closed segments of the journal, compressed, on object storage, for good.
//!
//! What it promises: a segment counts as archived when every frame of its compressed form was compared with its checksum,
//! the lake has it in full, and that is noted durably; only then may the journal remove it from local disk. Archiving again
//! changes nothing: the name of an object follows from the journal and the range of its records. An outage of the lake keeps
//! segments on local disk and delays nothing else. What was archived is read back record by record, one segment at a time.
//!
//! What is absent: no object is ever removed or changed here.

mod cursor;
mod error;
mod metrics;
mod pack;
mod read;
mod stage;
mod status;
mod vault;

#[cfg(test)]
mod tests;

pub use error::{ArchiveError, StartError};
pub use read::{Archive, ArchiveReader};
pub use stage::Archiver;
pub use status::{State, Status};
pub use vault::Vault;

use crate::journal::Journal;
use crate::pipeline::drain::Drain;
use crate::platform::clock::Clock;
use crate::telemetry::Metrics;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// What the box stands on.
pub struct Deps {
    /// Whose segments are archived.
    pub journal: Journal,
    /// Where they go.
    pub vault: Arc<dyn Vault>,
    /// Folder for the cursor and for passing files; emptied of the latter.
    pub state: PathBuf,
    /// Whether segments are archived; what was archived before can be read in any case.
    pub enabled: bool,
    /// Level of zstd, 1 to 19.
    pub zstd_level: i32,
    /// The time.
    pub clock: Clock,
    /// Where metrics are registered.
    pub metrics: Metrics,
    /// Tells to stop; the thread that waits for segments ends when the journal closes.
    pub drain: Drain,
}

/// The box.
pub struct Built {
    /// For whoever reads what is no longer in the journal.
    pub archive: Archive,
    /// The running thread, when segments are archived.
    pub archiver: Option<Archiver>,
}

/// Registers the archive with the journal and starts its thread, where it is switched on.
///
/// # Errors
/// [`StartError`].
pub fn build(deps: Deps) -> Result<Built, StartError> {
    let passing = deps.state.join("passing");
    empty_folder(&passing)?;
    let archive = Archive::new(deps.journal.clone(), deps.vault.clone(), passing.clone());
    let archiver = if deps.enabled { Some(stage::start(deps, passing)?) } else { None };
    Ok(Built { archive, archiver })
}

/// Makes the folder, or removes what an earlier run left in it.
fn empty_folder(folder: &Path) -> Result<(), StartError> {
    let at = |path: &Path| {
        let path = path.to_owned();
        move |source| StartError::Io { path, source }
    };
    fs::create_dir_all(folder).map_err(at(folder))?;
    for entry in fs::read_dir(folder).map_err(at(folder))? {
        let path = entry.map_err(at(folder))?.path();
        fs::remove_file(&path).map_err(at(&path))?;
    }
    Ok(())
}
