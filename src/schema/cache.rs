//! What the resolver knows: schemas that were found and names that nobody has, both bounded.
//!
//! Keyed by the text of the URI, so that the hot path neither parses nor builds a name. The two are apart, so that a flood of
//! made-up names cannot push out a schema that is in use.

use super::document::CompiledSchema;
use super::lookup::{Lookup, LookupHistory};
use super::metrics::ResolverMetrics;
use super::registry::Stamp;
use crate::event::SchemaKey;
use quick_cache::sync::Cache as Bounded;
use quick_cache::{DefaultHashBuilder, OptionsBuilder, UnitWeighter, sync::DefaultLifecycle};
use std::cell::RefCell;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

/// Names that nobody has. Anyone can make them up, so there are not many; a record that holds more carries its own answers
/// until it is done with.
const MISSING: u64 = 1 << 14;

/// Where a schema came from.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Source {
    /// A folder (by its number), with the state of its file before it was read.
    Folder(usize, Option<Stamp>),
    /// The program.
    BuiltIn,
    /// An HTTP registry.
    Http,
}

/// A schema in memory.
#[derive(Clone, Debug)]
pub(super) struct Held {
    pub(super) schema: Arc<CompiledSchema>,
    pub(super) origin: Arc<Origin>,
}

/// What is needed to refresh a schema.
#[derive(Debug)]
pub(super) struct Origin {
    pub(super) source: Source,
    pub(super) since: Instant,
}

/// A name that nobody has.
#[derive(Debug)]
pub(super) struct Miss {
    pub(super) key: SchemaKey,
    pub(super) history: Arc<LookupHistory>,
    pub(super) since: Instant,
    /// Asked for since then.
    pub(super) used: AtomicBool,
}

/// Both together.
#[derive(Debug)]
pub(super) struct Cache {
    found: Bounded<Box<str>, Held>,
    missing: Bounded<Box<str>, Arc<Miss>>,
    metrics: ResolverMetrics,
}

fn bounded<V: Clone>(capacity: u64) -> Bounded<Box<str>, V> {
    let options = OptionsBuilder::new().estimated_items_capacity(512).weight_capacity(capacity).build();
    match options {
        Ok(options) => {
            Bounded::with_options(options, UnitWeighter, DefaultHashBuilder::default(), DefaultLifecycle::default())
        }
        Err(_) => Bounded::new(usize::try_from(capacity).unwrap_or(usize::MAX)),
    }
}

impl Cache {
    pub(super) fn new(capacity: usize, metrics: ResolverMetrics) -> Self {
        metrics.bound.set(capacity as i64);
        metrics.missing_bound.set(MISSING as i64);
        Cache { found: bounded(capacity as u64), missing: bounded(MISSING), metrics }
    }

    /// The look-up by URI, with the key if the URI is known.
    #[inline]
    pub(super) fn look(&self, uri: &str) -> Option<(SchemaKey, Lookup)> {
        if let Some(held) = self.found.get(uri) {
            self.metrics.hits.inc();
            return Some((held.schema.key().clone(), Lookup::Found(held.schema)));
        }
        let Some(miss) = self.missing.get(uri) else {
            self.metrics.misses.inc();
            return None;
        };
        self.metrics.missing_hits.inc();
        if !miss.used.load(Ordering::Relaxed) {
            miss.used.store(true, Ordering::Relaxed);
        }
        Some((miss.key.clone(), Lookup::Missing(miss.history.clone())))
    }

    /// The look-up by key.
    pub(super) fn look_key(&self, key: &SchemaKey) -> Lookup {
        with_uri(key, |uri| self.look(uri).map_or(Lookup::NotYet, |(_, lookup)| lookup))
    }

    /// As [`Cache::look_key`], but counts nothing.
    pub(super) fn peek(&self, key: &SchemaKey) -> Lookup {
        with_uri(key, |uri| match (self.found.get(uri), self.missing.get(uri)) {
            (Some(held), _) => Lookup::Found(held.schema),
            (None, Some(miss)) => Lookup::Missing(miss.history.clone()),
            (None, None) => Lookup::NotYet,
        })
    }

    pub(super) fn held(&self, key: &SchemaKey) -> Option<Held> {
        with_uri(key, |uri| self.found.get(uri))
    }

    pub(super) fn is_missing(&self, key: &SchemaKey) -> bool {
        with_uri(key, |uri| self.missing.contains_key(uri))
    }

    /// A look-up never finds both gone: the new state is there before the old one goes.
    pub(super) fn put_found(&self, schema: Arc<CompiledSchema>, source: Source) {
        let uri = schema.key().uri();
        let origin = Arc::new(Origin { source, since: Instant::now() });
        self.found.insert(uri.as_str().into(), Held { schema, origin });
        self.missing.remove(uri.as_str());
        self.count();
    }

    pub(super) fn put_missing(&self, key: &SchemaKey, history: LookupHistory) {
        let uri = key.uri();
        let miss =
            Miss { key: key.clone(), history: Arc::new(history), since: Instant::now(), used: AtomicBool::new(false) };
        self.missing.insert(uri.as_str().into(), Arc::new(miss));
        self.found.remove(uri.as_str());
        self.count();
    }

    pub(super) fn forget_missing(&self, key: &SchemaKey) {
        with_uri(key, |uri| self.missing.remove(uri));
        self.count();
    }

    /// Believes what is known for another time to live.
    pub(super) fn renew(&self, key: &SchemaKey) {
        if let Some(held) = self.held(key) {
            self.put_found(held.schema, held.origin.source.clone());
        } else if let Some(miss) = with_uri(key, |uri| self.missing.get(uri)) {
            self.put_missing(key, miss.history.as_ref().clone());
        }
    }

    pub(super) fn all_found(&self) -> Vec<Held> {
        self.found.iter().map(|(_, held)| held).collect()
    }

    pub(super) fn all_missing(&self) -> Vec<Arc<Miss>> {
        self.missing.iter().map(|(_, miss)| miss).collect()
    }

    fn count(&self) {
        self.metrics.cached.set(self.found.len() as i64);
        self.metrics.missing_cached.set(self.missing.len() as i64);
    }
}

/// Writes the URI of a key into a buffer that the thread keeps.
fn with_uri<R>(key: &SchemaKey, then: impl FnOnce(&str) -> R) -> R {
    thread_local! {
        static BUFFER: RefCell<String> = const { RefCell::new(String::new()) };
    }
    BUFFER.with(|buffer| match buffer.try_borrow_mut() {
        Ok(mut uri) => {
            uri.clear();
            for part in ["iglu:", key.vendor(), "/", key.name(), "/", key.format(), "/"] {
                uri.push_str(part);
            }
            let (model, revision, addition) = key.version();
            let mut digits = itoa::Buffer::new();
            uri.push_str(digits.format(model));
            uri.push('-');
            uri.push_str(digits.format(revision));
            uri.push('-');
            uri.push_str(digits.format(addition));
            then(&uri)
        }
        Err(_) => then(&key.uri()),
    })
}
