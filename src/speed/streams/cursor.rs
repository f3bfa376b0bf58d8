//! How far the broker has acknowledged, on disk.

use crate::event::Offset;
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// A small file with one offset and its checksum, replaced atomically.
#[derive(Debug)]
pub struct Cursor {
    path: PathBuf,
    at: Offset,
}

impl Cursor {
    /// Opens the cursor; a new one stands at `start` and is stored at once: if nothing is ever acknowledged before the next
    /// start, that start must not begin further on.
    ///
    /// # Errors
    /// When the file cannot be read or written, or holds something else.
    pub fn open(path: &Path, start: Offset) -> io::Result<Self> {
        let at = match fs::read_to_string(path) {
            Ok(text) => parse(&text).ok_or_else(|| {
                let what = format!(
                    "{} holds no valid stream cursor; delete it to publish from the warehouse boundary on",
                    path.display()
                );
                io::Error::new(io::ErrorKind::InvalidData, what)
            })?,
            Err(e) if e.kind() == io::ErrorKind::NotFound => {
                let mut cursor = Cursor { path: path.to_owned(), at: start };
                cursor.store(start)?;
                return Ok(cursor);
            }
            Err(e) => return Err(e),
        };
        Ok(Cursor { path: path.to_owned(), at })
    }

    /// The first offset that is not acknowledged.
    pub fn at(&self) -> Offset {
        self.at
    }

    /// Stores a new position durably.
    ///
    /// # Errors
    /// When it cannot be made durable; the old one stays.
    pub fn store(&mut self, at: Offset) -> io::Result<()> {
        let temporary = self.path.with_extension("new");
        let mut file = File::create(&temporary)?;
        file.write_all(format!("{} {:08x}\n", at.0, checksum(at)).as_bytes())?;
        file.sync_data()?;
        fs::rename(&temporary, &self.path)?;
        if let Some(folder) = self.path.parent() {
            File::open(folder)?.sync_all()?;
        }
        self.at = at;
        Ok(())
    }
}

fn checksum(at: Offset) -> u32 {
    crc32c::crc32c(&at.0.to_le_bytes())
}

fn parse(text: &str) -> Option<Offset> {
    let (offset, sum) = text.trim_end().split_once(' ')?;
    let at = Offset(offset.parse().ok()?);
    (u32::from_str_radix(sum, 16).ok()? == checksum(at)).then_some(at)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_is_where_it_was_stored_and_damage_is_seen() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("kafka.cursor");
        let mut cursor = Cursor::open(&path, Offset(5)).unwrap();
        assert_eq!(cursor.at(), Offset(5));
        assert_eq!(Cursor::open(&path, Offset(50)).unwrap().at(), Offset(5), "a new cursor is stored at once");
        cursor.store(Offset(99)).unwrap();
        assert_eq!(Cursor::open(&path, Offset(5)).unwrap().at(), Offset(99));
        fs::write(&path, "98 00000000\n").unwrap();
        assert!(Cursor::open(&path, Offset(5)).is_err());
    }
}
