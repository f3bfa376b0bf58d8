//! The resolver: answers from memory at once, asks the registries when told to.
//!
//! Order in which a schema is looked for: our own registry; HTTP registries that have a matching vendor prefix; folders as
//! configured; the built-in schemas; the other HTTP registries. Among HTTP registries the lower priority number comes first.
//! The first that has it wins. If none has it and one gave no answer, nothing is concluded: that is an [`Outage`].

use super::budget::Budget;
use super::cache::{Cache, Source};
use super::config::Config;
use super::document::CompiledSchema;
use super::error::{BuildError, Outage};
use super::flight::Flights;
use super::lookup::{Lookup, LookupError, LookupHistory};
use super::metrics::ResolverMetrics;
use super::registry::{Answer, BuiltIn, DiskConfig, Folder, HttpRegistry};
use super::validator::MAX_SCHEMA_DEPTH;
use crate::event::SchemaKey;
use crate::event::json::parse;
use crate::event::schema_key::SchemaKeyError;
use crate::telemetry::metrics::Metrics;
use parking_lot::Mutex;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// What stands in a look-up history for a registry that was left in peace.
const NOT_ASKED: &str = "not asked: too many names that no registry has came before this one";
/// Name of our own registry in look-up histories.
const OWN: &str = "local";

/// Knows every schema that was asked for; shared by all threads.
#[derive(Debug)]
pub struct Resolver {
    /// Our own registry first, if there is one; then the configured folders.
    pub(super) folders: Vec<Folder>,
    pub(super) has_own: bool,
    /// Schemas may be stored in our own registry.
    pub(super) may_put: bool,
    /// By priority.
    pub(super) http: Vec<HttpRegistry>,
    pub(super) cache: Cache,
    pub(super) flights: Flights,
    pub(super) budget: Budget,
    generation: AtomicU64,
    pub(super) putting: Mutex<()>,
    pub(super) ttl: Duration,
    pub(super) missing_ttl: Duration,
    pub(super) metrics: ResolverMetrics,
}

/// What asking around gave.
pub(super) enum Outcome {
    Found(Arc<CompiledSchema>, Source),
    Missing(LookupHistory),
    /// Nobody at hand has it, and the registries were not to be asked.
    NotAsked(LookupHistory),
    Out(Outage),
}

/// Whether registries may be asked over the network.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Network {
    /// They may.
    Free,
    /// They may as long as not too many names that nobody has were asked for: what strangers send must not keep the
    /// registries, and the events behind, busy.
    Budgeted,
    /// They may not: folders, built-in schemas and what was kept on disk have to do.
    Without,
}

/// Makes the resolver and the thread that keeps it fresh, which ends when the resolver is dropped. With a data directory,
/// `data_dir/iglu` is its own registry and `data_dir/state/iglu` its disk cache; without, nothing is written unless
/// `cache_dir` is configured.
///
/// # Errors
/// [`BuildError`].
pub fn build(config: &Config, data_dir: Option<&Path>, metrics: &Metrics) -> Result<Arc<Resolver>, BuildError> {
    start(config, data_dir.map_or(Home::None, Home::Own), metrics)
}

/// As [`build`], for a program that looks at another one's data directory: it reads the registry and the disk cache there, as
/// far as they exist, and writes nothing.
///
/// # Errors
/// [`BuildError`].
pub fn build_reader(config: &Config, data_dir: &Path, metrics: &Metrics) -> Result<Arc<Resolver>, BuildError> {
    start(config, Home::Foreign(data_dir), metrics)
}

fn start(config: &Config, home: Home<'_>, metrics: &Metrics) -> Result<Arc<Resolver>, BuildError> {
    let resolver = Arc::new(Resolver::new(config, home, ResolverMetrics::new(metrics))?);
    super::stage::spawn(&resolver).map_err(BuildError::Thread)?;
    Ok(resolver)
}

/// The data directory.
#[derive(Clone, Copy)]
enum Home<'d> {
    /// There is none.
    None,
    /// Ours: written to.
    Own(&'d Path),
    /// Somebody else's: read only.
    Foreign(&'d Path),
}

/// One place to ask.
enum Place<'r> {
    Folder(usize, &'r Folder),
    BuiltIn,
    Http(&'r HttpRegistry),
}

impl Place<'_> {
    fn name(&self) -> &str {
        match self {
            Place::Folder(_, folder) => folder.name(),
            Place::BuiltIn => BuiltIn::NAME,
            Place::Http(registry) => &registry.config().name,
        }
    }

    /// Whether an event has to wait when this place gives no answer.
    fn is_required(&self) -> bool {
        match self {
            Place::Http(registry) => registry.config().required,
            _ => true,
        }
    }
}

impl Resolver {
    fn new(config: &Config, home: Home<'_>, metrics: ResolverMetrics) -> Result<Self, BuildError> {
        let (dir, may_write) = match home {
            Home::None => (None, true),
            Home::Own(dir) => (Some(dir), true),
            Home::Foreign(dir) => (Some(dir), false),
        };
        let own = dir.map(|d| d.join("iglu"));
        let cache_dir = config.cache_dir.clone().or_else(|| dir.map(|d| d.join("state").join("iglu")));
        if may_write {
            for path in [&own, &cache_dir].into_iter().flatten() {
                std::fs::create_dir_all(path).map_err(|source| BuildError::Folder { path: path.clone(), source })?;
            }
        }
        let has_own = own.is_some();
        let configured = config.path.iter().map(|path| Folder::new(path.display().to_string(), path.clone()));
        let folders = own.into_iter().map(|dir| Folder::new(OWN.to_owned(), dir)).chain(configured).collect();
        let mut registries = config.http_registries();
        registries.sort_by_key(|r| r.priority);
        let disk = DiskConfig { dir: cache_dir.as_deref(), may_write };
        let (timeout, ttl) = (config.timeout.to_duration(), config.cache_ttl.to_duration());
        let http =
            registries.into_iter().map(|r| HttpRegistry::new(r, timeout, ttl, disk, metrics.http.clone())).collect();
        Ok(Resolver {
            folders,
            has_own,
            may_put: has_own && may_write,
            http,
            cache: Cache::new(config.cache_size, metrics.clone()),
            flights: Flights::default(),
            budget: Budget::new(),
            generation: AtomicU64::new(0),
            putting: Mutex::new(()),
            ttl,
            missing_ttl: config.missing_ttl.to_duration(),
            metrics,
        })
    }

    /// What is known about a schema. No I/O, no waiting.
    pub fn get(&self, key: &SchemaKey) -> Lookup {
        self.cache.look_key(key)
    }

    /// As [`Resolver::get`], by the text of a URI; the text of a known schema is not parsed again.
    ///
    /// # Errors
    /// The text is no Iglu URI.
    pub fn get_uri(&self, uri: &str) -> Result<(SchemaKey, Lookup), SchemaKeyError> {
        match self.cache.look(uri) {
            Some(known) => Ok(known),
            None => Ok((SchemaKey::parse(uri)?, Lookup::NotYet)),
        }
    }

    /// Grows whenever an answer that was given before may be another one now: a schema was put, changed, or turned up.
    pub fn generation(&self) -> u64 {
        self.generation.load(Ordering::Acquire)
    }

    /// Asks around. `fresh`: kept answers of HTTP registries will not do.
    pub(super) fn look_up(&self, key: &SchemaKey, fresh: bool) -> Outcome {
        self.ask_around(key, fresh, true)
    }

    /// As [`Resolver::look_up`]; without `network`, HTTP registries only tell what they have kept.
    pub(super) fn ask_around(&self, key: &SchemaKey, fresh: bool, network: bool) -> Outcome {
        let mut unasked = false;
        let mut history = LookupHistory::default();
        let mut outage: Option<Outage> = None;
        for place in self.places(key.vendor()) {
            // The state is noted before the file is read: a change in between is seen later.
            let (answer, source) = match &place {
                Place::Folder(i, folder) => {
                    let stamp = folder.stamp(key);
                    (folder.ask(key), Source::Folder(*i, stamp))
                }
                Place::BuiltIn => (BuiltIn::ask(key), Source::BuiltIn),
                Place::Http(registry) => (registry.ask(key, fresh, network), Source::Http),
            };
            match answer {
                Answer::Found(text) => return Outcome::Found(Arc::new(compile(key, &text)), source),
                Answer::NotFound => history.push(place.name(), LookupError::NotFound),
                Answer::NotAsked => {
                    unasked = true;
                    history.push(place.name(), LookupError::ClientFailure(NOT_ASKED.to_owned()));
                }
                Answer::Failed(error, retry_after) => {
                    if place.is_required() && outage.is_none() {
                        let message = match &error {
                            LookupError::NotFound => String::new(),
                            LookupError::RepoFailure(m) | LookupError::ClientFailure(m) => m.clone(),
                        };
                        let registry = place.name().to_owned();
                        outage = Some(Outage { schema: key.uri(), registry, message, retry_after });
                    }
                    history.push(place.name(), error);
                }
            }
        }
        match outage {
            Some(outage) => Outcome::Out(outage),
            None if unasked => Outcome::NotAsked(history),
            None => Outcome::Missing(history),
        }
    }

    /// All places, in the order in which they are asked about a vendor.
    fn places(&self, vendor: &str) -> impl Iterator<Item = Place<'_>> {
        let own = usize::from(self.has_own);
        let folder = |(i, f)| Place::Folder(i, f);
        let (matching, others): (Vec<_>, Vec<_>) =
            self.http.iter().partition(|r| r.config().vendor_prefixes.iter().any(|p| vendor.starts_with(p.as_str())));
        let first = self.folders.iter().enumerate().take(own).map(folder);
        let folders = self.folders.iter().enumerate().skip(own).map(folder);
        first
            .chain(matching.into_iter().map(Place::Http))
            .chain(folders)
            .chain(std::iter::once(Place::BuiltIn))
            .chain(others.into_iter().map(Place::Http))
    }

    /// Takes an answer in. An outage leaves everything as it is.
    pub(super) fn install(&self, key: &SchemaKey, outcome: Outcome) {
        let before = self.cache.held(key);
        let changed = match outcome {
            Outcome::Found(schema, source) => match before {
                Some(held) if held.schema.same_content(&schema) => {
                    self.cache.put_found(held.schema, source);
                    false
                }
                // A half-written or spoiled document does not replace one that works.
                Some(held) if held.schema.schema_issues().is_empty() && !schema.schema_issues().is_empty() => {
                    tracing::warn!(schema = %key, issues = ?schema.schema_issues(), "the new document is faulty; the old one stays");
                    self.cache.put_found(held.schema, source);
                    false
                }
                before => {
                    let was_missing = self.cache.is_missing(key);
                    if let Some(issue) = schema.schema_issues().first() {
                        tracing::warn!(schema = %key, path = issue.path, issue = issue.message, "the schema is faulty");
                    }
                    self.cache.put_found(schema, source);
                    before.is_some() || was_missing
                }
            },
            Outcome::Missing(history) => {
                self.cache.put_missing(key, history);
                before.is_some()
            }
            Outcome::Out(_) | Outcome::NotAsked(_) => false,
        };
        if changed {
            self.changed();
        }
    }

    pub(super) fn changed(&self) {
        self.generation.fetch_add(1, Ordering::AcqRel);
    }
}

/// A document that is no JSON makes a schema that nothing passes, and that says why.
pub(super) fn compile(key: &SchemaKey, text: &str) -> CompiledSchema {
    match parse(text, MAX_SCHEMA_DEPTH) {
        Ok(document) => CompiledSchema::compile(key.clone(), &document),
        Err(e) => CompiledSchema::unreadable(key.clone(), &format!("is no JSON: {e}"), text),
    }
}
