//! Which number a column has in Parquet files, for ever.
//!
//! Table formats such as Iceberg know columns by number and not by name. Atomic columns have fixed numbers; a
//! self-describing column gets the next free one when it is first seen, durably, in `state/fields`. The list is also what
//! bounds the width of the tables.

use super::error::StartError;
use super::statelog::StateLog;
use super::tables::FIRST_DYNAMIC_ID;
use crate::event::rows::{CONTEXTS_OTHER, UNSTRUCT_OTHER};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::io;
use std::path::Path;

/// One self-describing column.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FieldId {
    /// Its name.
    pub name: String,
    /// Its number.
    pub id: i32,
}

/// The numbers given so far.
#[derive(Debug)]
pub struct Fields {
    log: StateLog,
    ids: BTreeMap<String, i32>,
    max: usize,
}

const TITLE: &str = "snowshed fields 1";

impl Fields {
    /// Reads the list, and takes over what the warehouse knows and the list does not. `max` bounds the number of columns
    /// besides the two overflow columns.
    ///
    /// # Errors
    /// When the file is damaged, cannot be written, or disagrees with the warehouse.
    pub fn open(path: &Path, known: &[FieldId], max: usize) -> Result<Self, StartError> {
        let (log, records) = StateLog::open::<FieldId>(path, TITLE)?;
        let mut fields = Fields { log, ids: BTreeMap::new(), max };
        for field in &records {
            fields.ids.insert(field.name.clone(), field.id);
        }
        for field in known {
            match fields.ids.get(&field.name) {
                Some(id) if *id == field.id => {}
                None if !fields.ids.values().any(|id| *id == field.id) => {
                    fields.log.append(field).map_err(|e| StartError::io(path, e))?;
                    fields.ids.insert(field.name.clone(), field.id);
                }
                other => {
                    let problem = format!(
                        "column {} has number {} in the warehouse but {} here: restore both from one backup",
                        field.name,
                        field.id,
                        other.map_or("none".to_owned(), i32::to_string),
                    );
                    return Err(StartError::State { path: path.to_owned(), problem });
                }
            }
        }
        Ok(fields)
    }

    /// Whether the tables have or may get a column of this name.
    pub fn admits(&self, name: &str) -> bool {
        self.ids.contains_key(name) || self.ids.len() < self.max || [UNSTRUCT_OTHER, CONTEXTS_OTHER].contains(&name)
    }

    /// The number of a column, given and made durable if it is new. `None` when the tables are as wide as they may be.
    ///
    /// # Errors
    /// When it cannot be made durable.
    pub fn number(&mut self, name: &str) -> io::Result<Option<i32>> {
        if let Some(id) = self.ids.get(name) {
            return Ok(Some(*id));
        }
        if !self.admits(name) {
            return Ok(None);
        }
        if self.log.is_broken() {
            let all: Vec<FieldId> = self.ids.iter().map(|(name, id)| FieldId { name: name.clone(), id: *id }).collect();
            self.log.rewrite(&all)?;
        }
        let id = self.ids.values().max().map_or(FIRST_DYNAMIC_ID, |most| most + 1);
        self.log.append(&FieldId { name: name.to_owned(), id })?;
        self.ids.insert(name.to_owned(), id);
        Ok(Some(id))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_kept_and_bounded() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("fields");
        let mut f = Fields::open(&path, &[], 2).unwrap();
        assert_eq!(f.number("b").unwrap(), Some(1001));
        assert_eq!(f.number("a").unwrap(), Some(1002));
        assert_eq!(f.number("c").unwrap(), None);
        assert_eq!(f.number(CONTEXTS_OTHER).unwrap(), Some(1003));
        let mut f = Fields::open(&path, &[], 9).unwrap();
        assert_eq!(f.number("a").unwrap(), Some(1002));
        assert_eq!(f.number("c").unwrap(), Some(1004));
        let known = |name: &str, id| FieldId { name: name.into(), id };
        assert!(Fields::open(&path, &[known("a", 7)], 9).is_err());
        assert!(Fields::open(&path, &[known("z", 1002)], 9).is_err());
        let mut f = Fields::open(&path, &[known("a", 1002), known("z", 2000)], 9).unwrap();
        assert_eq!(f.number("y").unwrap(), Some(2001));
    }
}
