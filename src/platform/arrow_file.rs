//! Record batches in passing files: what leaves memory for a while and comes back as it was.
//!
//! An Arrow IPC stream keeps every type and every byte, which a file for others to read need not. Nothing is synced: whoever
//! writes such a file can make it again, and says so where the file is cleared away at the start.

use arrow::array::RecordBatch;
use arrow::error::ArrowError;
use arrow::ipc::reader::StreamReader;
use arrow::ipc::writer::StreamWriter;
use std::fs::File;
use std::io::{BufReader, BufWriter};
use std::path::Path;

/// Writes a file of one batch; one that is there is replaced.
///
/// # Errors
/// When the file cannot be written; a part of it may be there.
pub fn write(path: &Path, batch: &RecordBatch) -> Result<(), ArrowError> {
    let mut out = StreamWriter::try_new(BufWriter::new(File::create(path)?), &batch.schema())?;
    out.write(batch)?;
    // This flushes, too, so that a full disk is an error here and not a short file later.
    out.finish()
}

/// Reads what [`write()`] wrote, batch by batch.
///
/// # Errors
/// When the file cannot be opened or does not begin like one of ours; an item is an error where it is damaged.
pub fn read(path: &Path) -> Result<StreamReader<BufReader<File>>, ArrowError> {
    StreamReader::try_new(BufReader::new(File::open(path)?), None)
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow::array::{ArrayRef, BinaryArray, Int64Array};
    use std::sync::Arc;

    fn batch() -> RecordBatch {
        let bytes: Vec<Vec<u8>> = (0..5000u32).map(|i| i.to_le_bytes().repeat(i as usize % 9)).collect();
        let columns: [(&str, ArrayRef); 2] = [
            ("n", Arc::new(Int64Array::from_iter((0..5000).map(|i| (i % 7 != 0).then_some(i))))),
            ("b", Arc::new(BinaryArray::from_iter_values(bytes))),
        ];
        RecordBatch::try_from_iter(columns).unwrap()
    }

    #[test]
    fn a_batch_comes_back_as_it_was() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x.arrow");
        std::fs::write(&path, b"of an earlier try").unwrap();
        write(&path, &batch()).unwrap();
        let back: Vec<RecordBatch> = read(&path).unwrap().collect::<Result<_, _>>().unwrap();
        assert_eq!(back, [batch()]);
    }

    #[test]
    fn a_cut_file_is_an_error_and_not_a_smaller_answer() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x.arrow");
        write(&path, &batch()).unwrap();
        let whole = std::fs::read(&path).unwrap();
        for length in [0, 10, whole.len() / 2] {
            std::fs::write(&path, &whole[..length]).unwrap();
            let back = read(&path).and_then(|batches| batches.collect::<Result<Vec<_>, _>>());
            assert!(back.is_err(), "{length} of {} bytes", whole.len());
        }
        std::fs::remove_file(&path).unwrap();
        assert!(read(&path).is_err());
    }
}
