//! Schema look-ups of one pure pass over one record.
//!
//! The pass asks memory only. What memory does not know is noted and the pass goes on as if the data were good; its result
//! is then thrown away, the missing schemas are fetched, and the record is done again.

use super::failure::{IgluError, Problem};
use crate::event::SchemaKey;
use crate::event::json::Json;
use crate::event::schema_key::SchemaKeyError;
use crate::schema::{CompiledSchema, Lookup, Network, Outage, Resolver};
use ahash::AHashMap;
use std::cell::RefCell;
use std::sync::Arc;

/// The look-ups of one pass.
pub(super) struct Schemas<'r> {
    resolver: &'r Resolver,
    /// What was fetched for this record.
    answers: &'r Answers,
    wanted: RefCell<Vec<SchemaKey>>,
}

/// Schemas of one record that are asked for at a time.
const AT_A_TIME: usize = 64;
/// Names in one record that no registry has, before registries are left in peace for the rest of it.
const MAX_MISSING: usize = 64;
/// Schemas that registries are asked for on behalf of one record.
const MAX_ASKED: usize = 1024;

/// What was fetched for one record. It is kept until the record is done, so that a record with more schemas than memory
/// holds comes to an end; and it bounds what one record may ask for.
#[derive(Debug, Default)]
pub(super) struct Answers {
    known: AHashMap<SchemaKey, Lookup>,
    missing: usize,
}

impl Answers {
    /// Fetches what a pass wanted, or the beginning of it.
    ///
    /// # Errors
    /// A registry does not answer.
    pub fn fetch(&mut self, resolver: &Resolver, mut wanted: Vec<SchemaKey>, network: Network) -> Result<(), Outage> {
        let in_peace = self.missing >= MAX_MISSING || self.known.len() >= MAX_ASKED;
        let network = if in_peace { Network::Without } else { network };
        if !in_peace {
            wanted.sort_unstable();
            wanted.dedup();
            wanted.truncate(AT_A_TIME);
        }
        for (key, lookup) in resolver.answers(&wanted, network)? {
            self.missing += usize::from(matches!(lookup, Lookup::Missing(_)));
            self.known.insert(key, lookup);
        }
        Ok(())
    }

    fn get(&self, key: &SchemaKey) -> Lookup {
        self.known.get(key).cloned().unwrap_or(Lookup::NotYet)
    }
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
    pub fn new(resolver: &'r Resolver, answers: &'r Answers) -> Self {
        Schemas { resolver, answers, wanted: RefCell::default() }
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
        let (key, lookup) = self.resolver.get_uri(uri)?;
        let lookup = self.or_fetched(&key, lookup);
        Ok((key, lookup))
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
                match self.get(&newer) {
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
        self.or_fetched(key, self.resolver.get(key))
    }

    fn or_fetched(&self, key: &SchemaKey, lookup: Lookup) -> Lookup {
        if matches!(lookup, Lookup::NotYet) { self.answers.get(key) } else { lookup }
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
