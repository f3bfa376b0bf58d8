//! Asking for what memory does not know: one look-up for many waiters, a few at a time, and within bounds.

use super::error::Outage;
use super::lookup::Lookup;
use super::resolver::{Network, Outcome, Resolver};
use crate::event::SchemaKey;
use parking_lot::Mutex;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

/// Threads that one call asks registries with.
const FETCHERS: usize = 8;
/// Versions that supersede one another are followed this far.
const MAX_SUPERSEDED: usize = 8;

impl Resolver {
    /// Asks the registries for what is not known yet, and waits for the answers (bounded by the time-outs). A superseding
    /// version is fetched along. Afterwards [`Resolver::get`] answers for every key, as long as memory holds so many. One
    /// look-up serves all threads that want the same schema.
    ///
    /// # Errors
    /// [`Outage`]: wait, then ask again. The other keys have been fetched all the same.
    pub fn fetch(&self, keys: &[SchemaKey]) -> Result<(), Outage> {
        self.answers(keys, Network::Free).map(drop)
    }

    /// As [`Resolver::fetch`], with the answer about every key: none is [`Lookup::NotYet`]. A name that was not asked for,
    /// because `network` forbids it, is [`Lookup::Missing`] with a history that says so; it is not remembered as missing.
    ///
    /// # Errors
    /// As [`Resolver::fetch`].
    pub fn answers(&self, keys: &[SchemaKey], network: Network) -> Result<Vec<(SchemaKey, Lookup)>, Outage> {
        let mut wanted: Vec<&SchemaKey> = keys.iter().collect();
        wanted.sort_unstable();
        wanted.dedup();
        let next = AtomicUsize::new(0);
        let (outage, answers) = (Mutex::new(None), Mutex::new(Vec::with_capacity(wanted.len())));
        let work = || {
            while let Some(key) = wanted.get(next.fetch_add(1, Ordering::Relaxed)) {
                match self.fetch_chain(key, network) {
                    Ok(lookup) => answers.lock().push(((*key).clone(), lookup)),
                    Err(out) => drop(outage.lock().get_or_insert(out)),
                }
            }
        };
        let alone = self.http.is_empty() || network == Network::Without;
        let helpers = if alone { 0 } else { (wanted.len().max(1) - 1).min(FETCHERS - 1) };
        std::thread::scope(|scope| {
            for _ in 0..helpers {
                scope.spawn(work);
            }
            work();
        });
        match outage.into_inner() {
            Some(outage) => Err(outage),
            None => Ok(answers.into_inner()),
        }
    }

    /// A schema and what supersedes it; the answer is about the first.
    fn fetch_chain(&self, key: &SchemaKey, network: Network) -> Result<Lookup, Outage> {
        let first = self.fetch_one(key, network)?;
        let mut newer = superseding(&first);
        for _ in 1..MAX_SUPERSEDED {
            let Some(key) = newer else { break };
            newer = superseding(&self.fetch_one(&key, network)?);
        }
        Ok(first)
    }

    fn fetch_one(&self, key: &SchemaKey, network: Network) -> Result<Lookup, Outage> {
        loop {
            if let known @ (Lookup::Found(_) | Lookup::Missing(_)) = self.cache.peek(key) {
                return Ok(known);
            }
            let Some(_flight) = self.flights.board(key) else { continue };
            // Another flight may have landed between the look and the boarding.
            if let known @ (Lookup::Found(_) | Lookup::Missing(_)) = self.cache.peek(key) {
                return Ok(known);
            }
            self.metrics.fetches.inc();
            let may_ask = match network {
                Network::Free => true,
                Network::Budgeted => self.http.is_empty() || self.budget.allows(),
                Network::Without => false,
            };
            let begin = Instant::now();
            return match self.ask_around(key, false, may_ask) {
                Outcome::Out(outage) => {
                    self.metrics.outages.inc();
                    Err(outage)
                }
                Outcome::NotAsked(history) => {
                    self.metrics.refused.inc();
                    Ok(Lookup::Missing(Arc::new(history)))
                }
                Outcome::Missing(history) => {
                    if network == Network::Budgeted && !self.http.is_empty() {
                        self.budget.charge(begin.elapsed());
                    }
                    let answer = Lookup::Missing(Arc::new(history.clone()));
                    self.install(key, Outcome::Missing(history));
                    Ok(answer)
                }
                Outcome::Found(schema, source) => {
                    let answer = Lookup::Found(schema.clone());
                    self.install(key, Outcome::Found(schema, source));
                    Ok(answer)
                }
            };
        }
    }
}

fn superseding(lookup: &Lookup) -> Option<SchemaKey> {
    match lookup {
        Lookup::Found(schema) => schema.superseded_by().cloned(),
        _ => None,
    }
}
