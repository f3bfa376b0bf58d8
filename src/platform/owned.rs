//! A file that lives as long as somebody may read it.
//!
//! Whoever makes a passing file hands out references; with the last one the file goes. So nobody has to know who else still
//! reads it, and a crash leaves nothing behind that the next start does not clear away.

use std::fs;
use std::io;
use std::ops::Deref;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// A file that is removed when this is dropped. Shared as an [`Arc`].
#[derive(Debug, PartialEq, Eq)]
pub struct OwnedFile(PathBuf);

impl OwnedFile {
    /// Takes over the file at this path.
    pub fn new(path: PathBuf) -> Arc<Self> {
        Arc::new(OwnedFile(path))
    }
}

impl Deref for OwnedFile {
    type Target = Path;
    fn deref(&self) -> &Path {
        &self.0
    }
}

impl Drop for OwnedFile {
    fn drop(&mut self) {
        match fs::remove_file(&self.0) {
            Ok(()) => {}
            Err(e) if e.kind() == io::ErrorKind::NotFound => {}
            // Only room on the disk is lost: its folder is emptied at the next start.
            Err(e) => tracing::warn!(path = %self.0.display(), error = %e, "a passing file cannot be removed"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_file_goes_with_its_last_reference() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x");
        fs::write(&path, b"x").unwrap();
        let one = OwnedFile::new(path.clone());
        let two = one.clone();
        drop(one);
        assert_eq!(fs::read(&**two).unwrap(), b"x");
        drop(two);
        assert!(!path.exists());
        drop(OwnedFile::new(path));
    }
}
