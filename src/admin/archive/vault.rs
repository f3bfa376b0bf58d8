//! Where archived segments are, and under which names.

use crate::batch::error::LakeError;
use crate::batch::lake::Lake;
use crate::event::{Offset, OffsetRange};
use std::path::Path;
use uuid::Uuid;

/// A store of objects. All methods block.
pub trait Vault: Send + Sync {
    /// Puts the local file, which has `bytes` bytes, under this name, durably, in place of what had it.
    ///
    /// # Errors
    /// When it did not get there in full.
    fn put(&self, from: &Path, name: &str, bytes: u64) -> Result<(), LakeError>;

    /// Bytes of the object; `None` when there is none.
    ///
    /// # Errors
    /// When the store did not say.
    fn size(&self, name: &str) -> Result<Option<u64>, LakeError>;

    /// Writes the object into a local file; false when there is none.
    ///
    /// # Errors
    /// When it did not come in full.
    fn get(&self, name: &str, to: &Path) -> Result<bool, LakeError>;

    /// Gives the names in a folder that sort behind `after`, in no order.
    ///
    /// # Errors
    /// When the list is not complete.
    fn list(&self, folder: &str, after: &str, each: &mut dyn FnMut(&str)) -> Result<(), LakeError>;
}

impl Vault for Lake {
    fn put(&self, from: &Path, name: &str, bytes: u64) -> Result<(), LakeError> {
        self.put_object(from, name, bytes)
    }

    fn size(&self, name: &str) -> Result<Option<u64>, LakeError> {
        self.object_size(name)
    }

    fn get(&self, name: &str, to: &Path) -> Result<bool, LakeError> {
        self.get_object(name, to)
    }

    fn list(&self, folder: &str, after: &str, each: &mut dyn FnMut(&str)) -> Result<(), LakeError> {
        self.list_objects(folder, after, &mut |name, _| each(name))
    }
}

/// `journal/<journal id>`
pub(super) fn folder(journal: Uuid) -> String {
    format!("journal/{journal}")
}

/// `<first record, 20 digits>-<record after the last, 20 digits>.seg.zst`: names sort as offsets do.
pub(super) fn file_name(range: OffsetRange) -> String {
    format!("{:020}-{:020}.seg.zst", range.from.0, range.to.0)
}

/// The whole name of an archived segment below the lake's address.
pub(super) fn name(journal: Uuid, range: OffsetRange) -> String {
    format!("{}/{}", folder(journal), file_name(range))
}

/// The range that a file name tells; `None` for another file.
pub(super) fn parse(name: &str) -> Option<OffsetRange> {
    let (from, to) = name.strip_suffix(".seg.zst")?.split_once('-')?;
    let number = |text: &str| {
        let digits = text.len() == 20 && text.bytes().all(|b| b.is_ascii_digit());
        digits.then(|| text.parse().ok().map(Offset))?
    };
    let (from, to) = (number(from)?, number(to)?);
    (from < to).then_some(OffsetRange::new(from, to))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_tell_their_range_and_nothing_else_does() {
        let range = OffsetRange::new(Offset(3), Offset(12));
        let name = file_name(range);
        assert_eq!(name, "00000000000000000003-00000000000000000012.seg.zst");
        assert_eq!(parse(&name), Some(range));
        for other in
            ["3-12.seg.zst", "00000000000000000012-00000000000000000003.seg.zst", "00000000000000000003.seg", ""]
        {
            assert_eq!(parse(other), None, "{other}");
        }
    }
}
