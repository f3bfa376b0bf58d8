//! The resolver: answers from memory at once, fetches when asked to.

use super::config::Config;
use super::error::{BuildError, Outage, PutProblem};
use super::lint::Stored;
use super::lookup::Lookup;
use crate::event::SchemaKey;
use crate::event::schema_key::SchemaKeyError;
use crate::telemetry::metrics::Metrics;
use std::path::Path;
use std::sync::Arc;

/// Knows every schema that was asked for; shared by all threads.
#[derive(Debug)]
pub struct Resolver {}

/// Makes the resolver. With a data directory, `data_dir/iglu` is its own registry and `state/iglu` its disk cache; without,
/// nothing is written anywhere.
///
/// # Errors
/// [`BuildError`].
pub fn build(_config: &Config, _data_dir: Option<&Path>, _metrics: &Metrics) -> Result<Arc<Resolver>, BuildError> {
    Ok(Arc::new(Resolver {}))
}

impl Resolver {
    /// What is known about a schema. No I/O, no waiting.
    pub fn get(&self, _key: &SchemaKey) -> Lookup {
        Lookup::NotYet
    }

    /// As [`Resolver::get`], by the text of a URI; texts seen before are not parsed again.
    ///
    /// # Errors
    /// The text is no Iglu URI.
    pub fn get_uri(&self, uri: &str) -> Result<(SchemaKey, Lookup), SchemaKeyError> {
        Ok((SchemaKey::parse(uri)?, Lookup::NotYet))
    }

    /// Asks the registries for what is not known yet, and waits for the answers (bounded by the time-outs). A superseding
    /// version is fetched along. Afterwards [`Resolver::get`] answers for every key.
    ///
    /// # Errors
    /// [`Outage`]: wait, then ask again.
    pub fn fetch(&self, _keys: &[SchemaKey]) -> Result<(), Outage> {
        Ok(())
    }

    /// Grows whenever an answer that was given before may be another one now: a schema was put, changed, or turned up.
    pub fn generation(&self) -> u64 {
        0
    }

    /// Stores a schema in our own registry; it takes effect at once.
    ///
    /// # Errors
    /// [`PutProblem`].
    pub fn put(&self, _key: &SchemaKey, _body: &str) -> Result<Stored, PutProblem> {
        Err(PutProblem::NoStore)
    }

    /// The document of a schema in a folder or built in, as it was written.
    pub fn document(&self, _key: &SchemaKey) -> Option<String> {
        None
    }

    /// Names of all schemas in folders and built in whose path begins with the given parts (`""`, `com.acme`,
    /// `com.acme/cart/jsonschema`, `com.acme/cart/jsonschema/1`), sorted.
    pub fn list(&self, _prefix: &str) -> Vec<SchemaKey> {
        Vec::new()
    }
}
