//! Our own registry: storing, reading and listing schemas.
//!
//! A published schema never changes: a second upload under the same name must be the same document. Uploads are linted
//! first, stored durably, and take effect at once.

use super::error::PutProblem;
use super::lint::{Stored, lint};
use super::registry::{Answer, BuiltIn, MAX_DOCUMENT};
use super::resolver::{Outcome, Resolver};
use super::validator::MAX_SCHEMA_DEPTH;
use super::{Finding, Lookup};
use crate::event::SchemaKey;
use crate::event::json::parse;

impl Resolver {
    /// Stores a schema in our own registry; it takes effect at once.
    ///
    /// # Errors
    /// [`PutProblem`]: what is wrong with the document, or why it cannot be stored.
    pub fn put(&self, key: &SchemaKey, body: &str) -> Result<Stored, PutProblem> {
        let own = self.folders.first().filter(|_| self.may_put).ok_or(PutProblem::NoStore)?;
        if body.len() > MAX_DOCUMENT {
            let message = format!("the document has {} bytes; allowed are {MAX_DOCUMENT}", body.len());
            return Err(PutProblem::Refused(vec![Finding { path: "$".to_owned(), message }]));
        }
        let warnings = lint(key, body).map_err(PutProblem::Refused)?;
        let _one_at_a_time = self.putting.lock();
        let published = match (own.ask(key), BuiltIn::ask(key)) {
            (Answer::Found(text), _) | (Answer::NotFound, Answer::Found(text)) => Some(text),
            (Answer::NotFound, _) => None,
            (Answer::Failed(error, _), _) => {
                return Err(PutProblem::Write(std::io::Error::other(format!("{error:?}"))));
            }
            // A folder is always asked.
            (Answer::NotAsked, _) => return Err(PutProblem::NoStore),
        };
        if let Some(text) = published {
            return if is_same(&text, body) {
                Ok(Stored { created: false, warnings })
            } else {
                Err(PutProblem::Conflict(key.uri()))
            };
        }
        own.store(key, body)?;
        // Older versions may have got their mark by this one.
        for held in self.cache.all_found() {
            let other = held.schema.key();
            if other != key
                && (other.vendor(), other.name(), other.format()) == (key.vendor(), key.name(), key.format())
            {
                self.reload(other);
            }
        }
        let known_before = !matches!(self.get(key), Lookup::NotYet);
        let generation = self.generation();
        self.reload(key);
        if !known_before && self.generation() == generation {
            self.changed();
        }
        tracing::info!(schema = %key, "a schema was published here");
        Ok(Stored { created: true, warnings })
    }

    fn reload(&self, key: &SchemaKey) {
        match self.look_up(key, false) {
            // The registry that is asked first is away: what is known stays until it is back.
            Outcome::Out(outage) => tracing::warn!(%outage, "a schema could not be reloaded"),
            outcome => self.install(key, outcome),
        }
    }

    /// The document of a schema in our own registry, in a folder or built in, as it was published.
    pub fn document(&self, key: &SchemaKey) -> Option<String> {
        let stored =
            self.folders.iter().map(|folder| folder.ask(key)).chain(std::iter::once_with(|| BuiltIn::ask(key)));
        stored.into_iter().find_map(|answer| match answer {
            Answer::Found(text) => Some(text),
            _ => None,
        })
    }

    /// Names of all schemas in our own registry, in folders and built in whose path begins with the given parts (`""`,
    /// `com.acme`, `com.acme/cart`, `com.acme/cart/jsonschema`, `com.acme/cart/jsonschema/1`), sorted by name and version.
    pub fn list(&self, prefix: &str) -> Vec<SchemaKey> {
        let parts: Vec<&str> = prefix.split('/').filter(|p| !p.is_empty()).collect();
        let fits = |key: &SchemaKey| {
            let (version, model) = (key.version_text(), key.model().to_string());
            let own = [key.vendor(), key.name(), key.format(), &version];
            parts.len() <= own.len()
                && parts
                    .iter()
                    .zip(own)
                    .enumerate()
                    .all(|(i, (p, o))| *p == o || (i == 3 && (*p == model || is_any(p, &model))))
        };
        let mut keys: Vec<SchemaKey> =
            self.folders.iter().flat_map(|f| f.list()).chain(BuiltIn::keys()).filter(fits).collect();
        keys.sort_unstable();
        keys.dedup();
        keys
    }
}

/// `1-*-*`, as loaders write a model.
fn is_any(part: &str, model: &str) -> bool {
    part.strip_suffix("-*-*") == Some(model)
}

/// Whether two texts are the same document: same values, in any order and spacing.
fn is_same(a: &str, b: &str) -> bool {
    match (parse(a, MAX_SCHEMA_DEPTH), parse(b, MAX_SCHEMA_DEPTH)) {
        (Ok(mut a), Ok(mut b)) => {
            // The mark is ours, not the publisher's.
            let (_, _) = (a.take("$supersededBy"), b.take("$supersededBy"));
            super::validator::equal_json(&a, &b)
        }
        _ => a == b,
    }
}
