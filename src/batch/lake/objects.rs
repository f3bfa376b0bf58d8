//! Objects of the lake by their names: putting, finding, listing and getting them.

use super::{Lake, LakeError, store_error};
use futures_util::StreamExt;
use object_store::{Error, ObjectStore, PutPayload, WriteMultipart};
use std::path::Path;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

/// Larger files go up in parts of this size.
pub(super) const PART: usize = 16 << 20;

impl Lake {
    /// Puts the local file `from`, which has `bytes` bytes, under this name, in place of what had it.
    ///
    /// # Errors
    /// When it did not get there in full; it may be tried again.
    pub fn put_object(&self, from: &Path, name: &str, bytes: u64) -> Result<(), LakeError> {
        let to = self.path(name);
        self.run(name, async {
            let io = |source| LakeError::Io { path: from.to_owned(), source };
            if bytes <= PART as u64 {
                let bytes = tokio::fs::read(from).await.map_err(io)?;
                self.store.put(&to, PutPayload::from(bytes)).await.map_err(|e| store_error(name, e))?;
                return Ok(());
            }
            let mut source = tokio::fs::File::open(from).await.map_err(io)?;
            let upload = self.store.put_multipart(&to).await.map_err(|e| store_error(name, e))?;
            let mut upload = WriteMultipart::new_with_chunk_size(upload, PART);
            loop {
                upload.wait_for_capacity(2).await.map_err(|e| store_error(name, e))?;
                let mut part = vec![0u8; PART];
                let n = source.read(&mut part).await.map_err(io)?;
                if n == 0 {
                    break;
                }
                part.truncate(n);
                upload.put(part.into());
            }
            upload.finish().await.map_err(|e| store_error(name, e))?;
            Ok(())
        })?;
        self.make_durable(name)
    }

    /// How many bytes the object of this name has; `None` when there is none.
    ///
    /// # Errors
    /// When the store did not say.
    pub fn object_size(&self, name: &str) -> Result<Option<u64>, LakeError> {
        let path = self.path(name);
        self.run(name, async {
            match self.store.head(&path).await {
                Ok(meta) => Ok(Some(meta.size)),
                Err(Error::NotFound { .. }) => Ok(None),
                Err(e) => Err(store_error(name, e)),
            }
        })
    }

    /// Writes the object of this name into the local file `to`. False when there is none.
    ///
    /// # Errors
    /// When it did not come in full.
    pub fn get_object(&self, name: &str, to: &Path) -> Result<bool, LakeError> {
        let path = self.path(name);
        self.run(name, async {
            let got = match self.store.get(&path).await {
                Ok(got) => got,
                Err(Error::NotFound { .. }) => return Ok(false),
                Err(e) => return Err(store_error(name, e)),
            };
            let io = |source| LakeError::Io { path: to.to_owned(), source };
            let mut bytes = got.into_stream();
            let mut file = tokio::fs::File::create(to).await.map_err(io)?;
            while let Some(part) = bytes.next().await {
                file.write_all(&part.map_err(|e| store_error(name, e))?).await.map_err(io)?;
            }
            file.flush().await.map_err(io)?;
            Ok(true)
        })
    }

    /// Gives every object of a folder, by its name there and its size, in no order: those whose names sort behind `after`
    /// (all, when that is empty). `lake.timeout` holds for each page of the list.
    ///
    /// # Errors
    /// When the list is not complete.
    pub fn list_objects(&self, folder: &str, after: &str, each: &mut dyn FnMut(&str, u64)) -> Result<(), LakeError> {
        let prefix = self.path(folder);
        let mut list = match after {
            "" => self.store.list(Some(&prefix)),
            name => self.store.list_with_offset(Some(&prefix), &prefix.child(name)),
        };
        while let Some(meta) =
            self.run(folder, async { list.next().await.transpose().map_err(|e| store_error(folder, e)) })?
        {
            if let Some(name) = meta.location.filename() {
                each(name, meta.size);
            }
        }
        Ok(())
    }
}
