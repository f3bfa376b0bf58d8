//! Schema look-ups of one pure pass over one record.
//!
//! The pass asks memory only. What memory does not know is noted and the pass goes on as if the data were good; its result
//! is then thrown away, the missing schemas are fetched, and the record is done again.

use super::failure::{IgluError, Problem};
use crate::event::SchemaKey;
use crate::event::json::Json;
use crate::event::schema_key::SchemaKeyError;
use crate::schema::{CompiledSchema, Lookup, Resolver};
use std::cell::RefCell;
use std::sync::Arc;

/// The look-ups of one pass.
pub(super) struct Schemas<'r> {
    resolver: &'r Resolver,
    wanted: RefCell<Vec<SchemaKey>>,
}

/// Data that passed.
#[derive(Debug)]
pub(super) struct Passed {
    /// The schema that it passed.
    pub schema: SchemaKey,
    /// The schema that it named, when that one is superseded.
    pub original: Option<SchemaKey>,
}

/// The error code of a text that is no schema URI.
pub(super) const fn code(error: SchemaKeyError) -> &'static str {
    match error {
        SchemaKeyError::Uri => "INVALID_IGLUURI",
        SchemaKeyError::Version => "INVALID_SCHEMAVER",
    }
}

impl<'r> Schemas<'r> {
    /// No look-up made yet.
    pub fn new(resolver: &'r Resolver) -> Self {
        Schemas { resolver, wanted: RefCell::default() }
    }

    /// The schemas that have to be fetched before the pass can be believed.
    pub fn into_wanted(self) -> Vec<SchemaKey> {
        self.wanted.into_inner()
    }

    /// What is known about the schema of this URI.
    ///
    /// # Errors
    /// The text is no URI.
    pub fn look_up(&self, uri: &str) -> Result<(SchemaKey, Lookup), SchemaKeyError> {
        self.resolver.get_uri(uri)
    }

    /// Checks data against a schema that was looked up.
    ///
    /// # Errors
    /// The message for the bad row.
    pub fn check(&self, key: SchemaKey, lookup: Lookup, data: &Json<'_>) -> Result<Passed, Problem> {
        let schema = match lookup {
            Lookup::Found(schema) => schema,
            Lookup::Missing(history) => return Err(Problem::Iglu { key, error: IgluError::Unresolved(history) }),
            Lookup::NotYet => {
                self.wanted.borrow_mut().push(key.clone());
                return Ok(Passed { schema: key, original: None });
            }
        };
        match schema.superseded_by() {
            None => test(&schema, data, None, key),
            Some(newer) => {
                let newer = newer.clone();
                match self.resolver.get(&newer) {
                    Lookup::Found(schema) => test(&schema, data, Some(newer), key),
                    Lookup::Missing(history) => {
                        Err(Problem::Iglu { key: newer, error: IgluError::Unresolved(history) })
                    }
                    Lookup::NotYet => {
                        self.wanted.borrow_mut().push(newer);
                        Ok(Passed { schema: key, original: None })
                    }
                }
            }
        }
    }

    /// What is known about the schema of a key.
    pub fn get(&self, key: &SchemaKey) -> Lookup {
        self.resolver.get(key)
    }
}

fn test(
    schema: &Arc<CompiledSchema>,
    data: &Json<'_>,
    superseded_by: Option<SchemaKey>,
    named: SchemaKey,
) -> Result<Passed, Problem> {
    if !schema.is_valid(data)
        && let Err(why) = schema.check(data)
    {
        return Err(Problem::Iglu { key: named, error: IgluError::Invalid { why, superseded_by } });
    }
    Ok(match superseded_by {
        Some(newer) => Passed { schema: newer, original: Some(named) },
        None => Passed { schema: named, original: None },
    })
}
