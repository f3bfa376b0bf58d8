//! What HTTP registries have answered, kept on disk, so that a restart without network still resolves.
//!
//! One folder per registry, laid out as a static registry. The age of a file tells how fresh the answer is. Only documents
//! are kept, never "not found"; their number is bounded by what the registries publish.

use super::{MAX_DOCUMENT, is_safe};
use crate::event::SchemaKey;
use crate::event::json::parse;
use crate::platform::fs::{Fs, RealFs, parent, replace_durably};
use crate::schema::validator::MAX_SCHEMA_DEPTH;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Where answers are kept, and whether new ones may be.
#[derive(Clone, Copy, Debug)]
pub(in crate::schema) struct DiskConfig<'d> {
    pub(in crate::schema) dir: Option<&'d Path>,
    pub(in crate::schema) may_write: bool,
}

/// The kept answers of one registry.
#[derive(Debug)]
pub(super) struct DiskCache {
    dir: PathBuf,
    may_write: bool,
}

impl DiskCache {
    /// The cache of the registry with this name and address.
    pub(super) fn new(config: DiskConfig<'_>, name: &str, uri: &str) -> Option<Self> {
        let word: String = name.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '_' }).take(40).collect();
        let mark = crc32c::crc32c(format!("{name}\n{uri}").as_bytes());
        let dir = config.dir?.join(format!("{word}-{mark:08x}"));
        Some(DiskCache { dir, may_write: config.may_write })
    }

    fn path(&self, key: &SchemaKey) -> Option<PathBuf> {
        is_safe(key).then(|| self.dir.join(key.path()))
    }

    /// A kept document and its age; a torn file counts as none.
    pub(super) fn get(&self, key: &SchemaKey) -> Option<(String, Duration)> {
        let path = self.path(key)?;
        let meta = path.metadata().ok().filter(|m| m.len() <= MAX_DOCUMENT as u64)?;
        let age = meta.modified().ok().and_then(|m| m.elapsed().ok()).unwrap_or(Duration::MAX);
        let text = std::fs::read_to_string(path).ok()?;
        parse(&text, MAX_SCHEMA_DEPTH).is_ok().then_some((text, age))
    }

    /// Keeps a document. A disk that cannot take it costs the safety of a restart, not the answer.
    pub(super) fn put(&self, key: &SchemaKey, text: &str) {
        let Some(path) = self.path(key).filter(|_| self.may_write) else { return };
        let written =
            RealFs.create_dir_all(parent(&path)).and_then(|()| replace_durably(&RealFs, &path, text.as_bytes()));
        if let Err(e) = written {
            tracing::warn!(schema = %key, error = %e, "a fetched schema could not be kept on disk");
        }
    }

    /// Forgets a document that its registry no longer has.
    pub(super) fn remove(&self, key: &SchemaKey) {
        if let Some(path) = self.path(key).filter(|_| self.may_write) {
            // Nothing to remove is the usual case.
            let _ = std::fs::remove_file(path);
        }
    }
}
