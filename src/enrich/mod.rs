//! Enrichment: payloads to canonical events.
//!
//! Promises: it is pure — the same record, schemas and configuration give the same bytes; every event of a payload has
//! exactly one outcome; a bad event is data and never an error; a registry that is away delays events and fails none.
//! [`Enricher`] is the core, usable from anywhere; [`build`] puts it behind threads that read the journal and send on in
//! offset order. What was decided where the reference is silent or odd is in `docs/decisions/0005-enrich.md`.

mod adapt;
mod config;
mod enricher;
mod error;
mod failure;
mod fingerprint;
#[cfg(any(test, fuzzing))]
pub mod fuzz;
mod limits;
mod loader;
mod map;
mod metrics;
mod names;
mod one;
mod params;
mod passed;
mod query;
mod recorded;
mod schemas;
mod self_describing;
mod stage;
mod step;
pub mod steps;
mod uri;

#[cfg(test)]
mod tests;

pub use config::Config;
pub use enricher::{Enricher, Processing, Wanted};
pub use error::{BuildError, StageError};
pub use params::{Param, Params};
pub use query::QueryPairs;
pub use stage::Enrich;
pub use step::{Enrichment, StepContext, StepFailure, StepMessage};
pub use steps::{Asset, Steps};
pub use uri::{Uri, UriError};

use crate::event::EnrichedBatch;
use crate::journal::Reader;
use crate::pipeline::drain::Drain;
use crate::pipeline::link::LinkSender;
use crate::platform::clock::Clock;
use crate::schema::Resolver;
use crate::telemetry::Metrics;
use std::sync::Arc;

/// Name of this program in bad rows and in `v_etl`.
pub const ARTIFACT: &str = "snowshed";
/// Its version, likewise.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");

/// What the stage stands on.
#[derive(Debug)]
pub struct Deps {
    /// The pure core, shared with whoever reads the journal again.
    pub enricher: Arc<Enricher>,
    /// Where it reads, positioned at the first record to be enriched.
    pub reader: Reader,
    /// Gives each stretch its `etl_tstamp`.
    pub clock: Clock,
    /// Where its metrics are registered.
    pub metrics: Metrics,
    /// Tells it to stop.
    pub drain: Drain,
    /// Where enriched stretches go.
    pub out: LinkSender<EnrichedBatch>,
}

/// Starts the stage.
///
/// # Errors
/// [`BuildError`].
pub fn build(config: &Config, deps: Deps) -> Result<Enrich, BuildError> {
    deps.enricher.steps.register(&deps.metrics);
    stage::start(stage::Parts {
        enricher: deps.enricher,
        reader: deps.reader,
        clock: deps.clock,
        metrics: metrics::EnrichMetrics::register(&deps.metrics),
        drain: deps.drain,
        out: deps.out,
        workers: config.threads(),
    })
}

/// The tracker parameters that become a text column as they are, by the column's name; current names first.
pub fn parameters_of(column: &str) -> impl Iterator<Item = &'static str> {
    crate::event::columns::index_of(column).into_iter().flat_map(map::parameters_of)
}

/// The steps that the configuration asks for.
///
/// # Errors
/// Everything that is wrong with the folder of enrichment configurations and the data files it names, one line each.
pub fn load_steps(config: &Config, resolver: &Resolver) -> Result<Steps, Vec<String>> {
    match &config.enrichments {
        None => Ok(Steps::always_on()),
        Some(folder) => {
            let env = |name: &str| std::env::var(name).ok();
            Steps::from_folder(folder, resolver, &env)
        }
    }
}
