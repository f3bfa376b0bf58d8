//! Keeping what is known up to date, in the background.
//!
//! Files are looked at by their state, registries are asked again when an answer is old. Nothing that is in use is given up
//! before its replacement is there, and an outage changes nothing.

use super::cache::{Held, Source};
use super::error::Outage;
use super::resolver::{Outcome, Resolver};
use crate::event::SchemaKey;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

/// Requests to registries that one round makes at most; the rest waits for the next.
const MAX_REQUESTS: usize = 64;
/// No further request begins after this time: changed files wait for the round to end.
const MAX_ROUND: Duration = Duration::from_secs(2);

impl Resolver {
    /// One round: what the background thread does every few seconds.
    pub fn refresh(&self) {
        let mut vendors = ahash::AHashMap::new();
        let mut old = Vec::new();
        for held in self.cache.all_found() {
            let key = held.schema.key();
            if self.file_changed(key, &held, &mut vendors) {
                tracing::info!(schema = %key, "the schema's file changed");
                self.install(key, self.look_up(key, false));
            } else if held.origin.source == Source::Http && held.origin.since.elapsed() >= self.ttl {
                old.push((false, held.origin.since, key.clone()));
            }
        }
        for miss in self.cache.all_missing() {
            if self.file_of(&miss.key, &mut vendors).is_some() {
                tracing::info!(schema = %miss.key, "a missing schema turned up");
                self.install(&miss.key, self.look_up(&miss.key, false));
            } else if miss.since.elapsed() >= self.missing_ttl {
                if miss.used.load(Ordering::Relaxed) {
                    old.push((true, miss.since, miss.key.clone()));
                } else {
                    self.cache.forget_missing(&miss.key);
                }
            }
        }
        // Schemas in use before names that nobody has, which may be a stranger's inventions; the oldest first, so that a
        // round that is cut short goes on where it stopped.
        old.sort();
        let begin = Instant::now();
        for (_, _, key) in old.into_iter().take(MAX_REQUESTS) {
            if begin.elapsed() > MAX_ROUND {
                break;
            }
            match self.look_up(&key, true) {
                Outcome::Out(outage) => {
                    tracing::debug!(%outage, "a schema could not be refreshed and stays as it is");
                    self.cache.renew(&key);
                }
                outcome => self.install(&key, outcome),
            }
        }
    }

    /// Asks for a schema again, whatever is known of it: an answer that none has it, or an older document, may have been true
    /// once. An answer that is given takes effect at once.
    ///
    /// # Errors
    /// [`Outage`]; what is known stays.
    pub fn ask_again(&self, key: &SchemaKey) -> Result<(), Outage> {
        match self.look_up(key, true) {
            Outcome::Out(outage) => Err(outage),
            outcome => {
                self.install(key, outcome);
                Ok(())
            }
        }
    }

    /// The first folder that has the schema, with the state of the file. `vendors` remembers, for one round, which folders
    /// have anything of a vendor.
    fn file_of(&self, key: &SchemaKey, vendors: &mut ahash::AHashMap<String, Vec<bool>>) -> Option<Source> {
        if self.folders.is_empty() {
            return None;
        }
        if !vendors.contains_key(key.vendor()) {
            let here = self.folders.iter().map(|f| f.has_vendor(key.vendor())).collect();
            vendors.insert(key.vendor().to_owned(), here);
        }
        let here = vendors.get(key.vendor())?;
        self.folders.iter().enumerate().filter(|(i, _)| here.get(*i) == Some(&true)).find_map(|(i, folder)| {
            let stamp = folder.stamp(key)?;
            Some(Source::Folder(i, Some(stamp)))
        })
    }

    fn file_changed(&self, key: &SchemaKey, held: &Held, vendors: &mut ahash::AHashMap<String, Vec<bool>>) -> bool {
        match (self.file_of(key, vendors), &held.origin.source) {
            (None, Source::Folder(..)) => true,
            (None, _) => false,
            (Some(now), before @ Source::Folder(..)) => now != *before,
            // A file that is new beside a built-in schema replaces it; a registry that was asked first stays first.
            (Some(_), Source::BuiltIn) => true,
            (Some(Source::Folder(i, _)), Source::Http) => i == 0 && self.has_own,
            (Some(_), Source::Http) => false,
        }
    }
}

/// Time between two rounds.
pub(super) const EVERY: Duration = Duration::from_secs(2);
