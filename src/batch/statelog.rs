//! Small durable lists in `state/`: one checksummed line of JSON per record, appended and fsynced.
//!
//! A torn last line (the machine stopped in the middle of an append) is cut off at the next start; damage anywhere else is
//! an error, for then a decision that had side effects could be lost. After a failed append the file is not trusted again:
//! the next one writes a new file and moves it into place.

use super::error::StartError;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// An open list.
#[derive(Debug)]
pub struct StateLog {
    path: PathBuf,
    title: &'static str,
    file: Option<File>,
    bytes: u64,
}

impl StateLog {
    /// Opens (or makes) the list and reads its records. `title` is the first line: what the file is and its version.
    ///
    /// # Errors
    /// When the file cannot be read or written, has another title, or is damaged before its end.
    pub fn open<T: DeserializeOwned>(path: &Path, title: &'static str) -> Result<(Self, Vec<T>), StartError> {
        let mut log = StateLog { path: path.to_owned(), title, file: None, bytes: 0 };
        let bytes = match fs::read(path) {
            Ok(bytes) => bytes,
            Err(e) if e.kind() == io::ErrorKind::NotFound => Vec::new(),
            Err(e) => return Err(StartError::io(path, e)),
        };
        let first = format!("{title}\n");
        if bytes.len() < first.len() && first.as_bytes().starts_with(&bytes) {
            log.rewrite::<()>(&[]).map_err(|e| StartError::io(path, e))?;
            return Ok((log, Vec::new()));
        }
        if !bytes.starts_with(first.as_bytes()) {
            let problem = format!("does not begin with \"{title}\": it belongs to another version of this program");
            return Err(StartError::State { path: path.to_owned(), problem });
        }
        let (records, good) =
            read(&bytes, first.len()).map_err(|problem| StartError::State { path: path.to_owned(), problem })?;
        let file = OpenOptions::new().append(true).open(path).map_err(|e| StartError::io(path, e))?;
        if good < bytes.len() {
            tracing::warn!(path = %path.display(), cut = bytes.len() - good, "cut off a torn record");
            file.set_len(good as u64).and_then(|()| file.sync_all()).map_err(|e| StartError::io(path, e))?;
        }
        log.bytes = good as u64;
        log.file = Some(file);
        Ok((log, records))
    }

    /// Size of the file.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Appends a record and returns when it is durable.
    ///
    /// # Errors
    /// When that failed; the record may or may not be in the file, and only [`StateLog::rewrite`] makes it usable again.
    pub fn append<T: Serialize>(&mut self, record: &T) -> io::Result<()> {
        let mut file = self.file.take().ok_or_else(|| io::Error::other("an earlier write failed"))?;
        let line = line(record)?;
        file.write_all(line.as_bytes())?;
        file.sync_data()?;
        self.bytes += line.len() as u64;
        self.file = Some(file);
        Ok(())
    }

    /// Whether the last append failed.
    pub fn is_broken(&self) -> bool {
        self.file.is_none()
    }

    /// Replaces the whole list, durably and at once.
    ///
    /// # Errors
    /// When that failed; the list then is the old one.
    pub fn rewrite<T: Serialize>(&mut self, records: &[T]) -> io::Result<()> {
        let mut text = format!("{}\n", self.title);
        for record in records {
            text.push_str(&line(record)?);
        }
        let temporary = self.path.with_extension("new");
        let mut file = File::create(&temporary)?;
        file.write_all(text.as_bytes())?;
        file.sync_all()?;
        fs::rename(&temporary, &self.path)?;
        if let Some(folder) = self.path.parent() {
            File::open(folder)?.sync_all()?;
        }
        self.file = Some(OpenOptions::new().append(true).open(&self.path)?);
        self.bytes = text.len() as u64;
        Ok(())
    }
}

fn line<T: Serialize>(record: &T) -> io::Result<String> {
    let json = serde_json::to_string(record).map_err(io::Error::other)?;
    Ok(format!("{:08x} {json}\n", crc32c::crc32c(json.as_bytes())))
}

/// The records after `at`, and where the last whole one ends.
fn read<T: DeserializeOwned>(bytes: &[u8], mut at: usize) -> Result<(Vec<T>, usize), String> {
    let mut records = Vec::new();
    while at < bytes.len() {
        let rest = bytes.get(at..).unwrap_or_default();
        let Some(end) = memchr::memchr(b'\n', rest) else { break };
        match record(rest.get(..end).unwrap_or_default()) {
            Some(record) => records.push(record),
            None if at + end + 1 == bytes.len() => break,
            None => {
                return Err(format!(
                    "is damaged at byte {at}: restore it from a backup together with the warehouse file"
                ));
            }
        }
        at += end + 1;
    }
    Ok((records, at))
}

fn record<T: DeserializeOwned>(line: &[u8]) -> Option<T> {
    let text = std::str::from_utf8(line).ok()?;
    let (sum, json) = text.split_once(' ')?;
    if sum.len() != 8 || u32::from_str_radix(sum, 16).ok()? != crc32c::crc32c(json.as_bytes()) {
        return None;
    }
    serde_json::from_str(json).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn open(path: &Path) -> Result<(StateLog, Vec<u64>), StartError> {
        StateLog::open(path, "test 1")
    }

    #[test]
    fn records_survive_and_a_torn_tail_is_cut() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("list");
        let (mut log, none) = open(&path).unwrap();
        assert!(none.is_empty());
        for n in [1u64, 22, 333] {
            log.append(&n).unwrap();
        }
        let whole = fs::read(&path).unwrap();
        for cut in 0..=whole.len() {
            fs::write(&path, &whole[..cut]).unwrap();
            let (mut log, records) = open(&path).unwrap();
            let lines = whole[..cut].iter().filter(|b| **b == b'\n').count();
            assert_eq!(records, [1, 22, 333][..lines.saturating_sub(1)], "cut at {cut}");
            log.append(&4u64).unwrap();
            let again = open(&path).unwrap().1;
            assert_eq!(again.last(), Some(&4), "cut at {cut}");
            assert_eq!(again.len(), records.len() + 1);
        }
        let last = whole[..whole.len() - 1].iter().rposition(|b| *b == b'\n').unwrap();
        for flip in 0..last {
            let mut bytes = whole.clone();
            bytes[flip] ^= 0x10;
            fs::write(&path, &bytes).unwrap();
            assert!(open(&path).is_err(), "flip at {flip}");
        }
    }

    #[test]
    fn rewriting_replaces_all() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("list");
        let (mut log, _) = open(&path).unwrap();
        log.append(&1u64).unwrap();
        log.rewrite(&[7u64, 8]).unwrap();
        log.append(&9u64).unwrap();
        assert_eq!(open(&path).unwrap().1, [7, 8, 9]);
        assert_eq!(log.bytes(), fs::metadata(&path).unwrap().len());
    }
}
