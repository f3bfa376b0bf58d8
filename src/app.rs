//! The diagram as code: builds every box, ties them together, stops them in order. Nothing else lives here.

mod doors;
mod stop;
mod watched;

pub use doors::reachable;

use crate::admin::archive::{self, Archive, Archiver};
use crate::admin::replay::{self, Replayer};
use crate::config::Config;
use crate::event::{Flow, Offset};
use crate::journal::Journal;
use crate::pipeline::drain::Drain;
use crate::pipeline::link::{LinkGauge, LinkSender, link};
use crate::platform::clock::Clock;
use crate::platform::fs::RealFs;
use crate::speed::streams;
use crate::telemetry::Metrics;
use crate::view::View;
use crate::{batch, collector, dedupe, enrich, schema, serving, speed};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Why the program cannot start: one text for people, with key, place and what to do.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct StartError(pub String);

/// The running pipeline.
pub struct App {
    data_dir: PathBuf,
    collector_addr: SocketAddr,
    serving_addr: SocketAddr,
    speed: speed::Speed,
    running: stop::Running,
}

/// Messages that a link between two stages holds.
const ENRICHED: usize = 64;
const FLOW: usize = 256;

/// What every box stands on.
struct Ground<'c> {
    config: &'c Config,
    data: &'c Path,
    state: PathBuf,
    views: Vec<Arc<View>>,
    clock: Clock,
    metrics: Metrics,
    /// Stops the collector, then enrichment, then the rest.
    front: Drain,
    middle: Drain,
    back: Drain,
}

/// What keeps the truth, and the pure core that reads it.
struct Stores {
    journal: Journal,
    resolver: Arc<schema::Resolver>,
    enricher: Arc<enrich::Enricher>,
    batch: batch::Built,
    index: dedupe::Index,
}

/// The stages behind the journal, running, and what the private port sees of them.
struct Stages {
    enrich: enrich::Enrich,
    dedupe: dedupe::Dedupe,
    speed: speed::Speed,
    speed_thread: stop::SpeedThread,
    batch: batch::Running,
    warehouse: Arc<dyn batch::warehouse::Reader>,
    streams: Option<streams::Streams>,
    archive: Archive,
    archiver: Option<Archiver>,
    links: Vec<LinkGauge>,
    sinks: Vec<watched::SinkDoor>,
    bounds: Vec<watched::BoundDoor>,
}

impl App {
    /// Builds and starts everything. Must be called inside a tokio runtime.
    ///
    /// # Errors
    /// [`StartError`].
    pub fn start(config: &Config, mode: &str, drain: Drain) -> Result<App, StartError> {
        let state = config.data_dir.join("state");
        std::fs::create_dir_all(&state).map_err(|e| StartError(format!("data_dir: {}: {e}", state.display())))?;
        let ground = Ground {
            config,
            data: &config.data_dir,
            state,
            views: compile(config)?,
            clock: Clock::System,
            metrics: Metrics::new(),
            front: drain,
            middle: Drain::new(),
            back: Drain::new(),
        };
        let stores = open_stores(&ground)?;
        let (journal, resolver) = (stores.journal.clone(), stores.resolver.clone());
        let (index, enricher) = (stores.index.clone(), stores.enricher.clone());
        let stages = start_stages(&ground, stores)?;
        open_ports(ground, mode, journal, resolver, index, enricher, stages)
    }

    /// Where the public port listens.
    pub fn collector_addr(&self) -> SocketAddr {
        self.collector_addr
    }

    /// Where the private port listens.
    pub fn serving_addr(&self) -> SocketAddr {
        self.serving_addr
    }

    /// The data directory.
    pub fn data_dir(&self) -> &Path {
        &self.data_dir
    }

    /// First offset that is not in the merged answers.
    pub fn answered(&self) -> u64 {
        self.speed.applied().0
    }

    /// Stops in flow order: what was accepted is enriched, answered and, as far as time allows, committed.
    /// False when a part had ended by itself before.
    pub fn stop(self) -> bool {
        self.running.stop()
    }
}

/// Journal, schemas, warehouse and the index of event ids: everything begins where the warehouse is complete.
fn open_stores(on: &Ground<'_>) -> Result<Stores, StartError> {
    let config = on.config;
    let folder = on.data.join("journal");
    let (journal, found) =
        Journal::open(&config.journal, &folder, Arc::new(RealFs), on.clock.clone(), &on.metrics).map_err(say)?;
    doors::tell_recovery(&found);
    let resolver = schema::build(&config.iglu, Some(on.data), &on.metrics).map_err(say)?;
    let steps = enrich::load_steps(&config.enrich, &resolver).map_err(|list| StartError(list.join("\n")))?;
    let batch = batch::build(
        &config.batch,
        &config.lake,
        &config.warehouse,
        batch::Deps {
            data_dir: on.data.to_owned(),
            views: on.views.clone(),
            clock: on.clock.clone(),
            metrics: on.metrics.clone(),
            drain: on.back.clone(),
            config_hash: config.hash(steps.checksum()),
        },
    )
    .map_err(say)?;
    let boundary = batch.boundary.offset;
    fits(&journal, boundary, on.data)?;
    let enricher = enrich::Enricher::new(&config.enrich, steps, resolver.clone(), journal.id()).map_err(say)?;
    let enricher = Arc::new(enricher);
    let mut again = doors::read_again(journal.clone(), enricher.clone(), on.clock.clone());
    let index = dedupe::Index::load(&config.dedupe, &on.state.join("dedupe"), boundary, &mut again).map_err(say)?;
    Ok(Stores { journal, resolver, enricher, batch, index })
}

/// Enrich → dedupe → (speed | batch | streams).
fn start_stages(on: &Ground<'_>, stores: Stores) -> Result<Stages, StartError> {
    let Stores { journal, enricher, batch, index, .. } = stores;
    let boundary = batch.boundary;
    let (enriched, to_dedupe) = link("enriched", ENRICHED);
    let (speed_tx, to_speed) = link("speed", FLOW);
    let (batch_tx, to_batch) = link("batch", FLOW);
    let mut outputs = vec![speed_tx, batch_tx];
    let deps = speed::Deps {
        views: on.views.clone(),
        start: boundary,
        state_dir: on.state.join("speed"),
        clock: on.clock.clone(),
        metrics: on.metrics.clone(),
    };
    let speed = speed::Speed::new(on.config.speed.clone(), deps).map_err(say)?;
    let streams = start_streams(on, &speed, &journal, &enricher, &index, boundary.offset, &mut outputs)?;
    let links = doors::gauges(&enriched, &outputs);
    let bounds = watched::bounds(on.config, &speed, &index, &batch.status);
    let archive::Built { archive, archiver } = start_archive(on, &journal)?;
    let sinks = watched::sinks(on.config, &batch.status, archiver.as_ref(), streams.as_ref());
    doors::release(&journal, "warehouse")(boundary.offset);
    let running = batch.stage.start(to_batch, doors::batch_events(&speed, &journal, &index)).map_err(say)?;
    let speed_thread = speed::spawn(speed.clone(), to_speed, on.back.clone()).map_err(say)?;
    let again = doors::read_again(journal.clone(), enricher.clone(), on.clock.clone());
    let refeed = doors::refeed(again, index.clone(), journal.id());
    speed::spawn_refill(speed.clone(), refeed, journal.first(), on.back.clone()).map_err(say)?;
    let dedupe = dedupe::build(dedupe::Deps {
        index,
        planner: batch.planner,
        redone_to: journal.durable_end(),
        journal_id: journal.id(),
        input: to_dedupe,
        outputs,
        clock: on.clock.clone(),
        metrics: on.metrics.clone(),
        drain: on.back.clone(),
    })
    .map_err(say)?;
    let deps = enrich::Deps {
        enricher,
        reader: journal.reader(boundary.offset).map_err(say)?,
        clock: on.clock.clone(),
        metrics: on.metrics.clone(),
        drain: on.middle.clone(),
        out: enriched,
    };
    let enrich = enrich::build(&on.config.enrich, deps).map_err(say)?;
    Ok(Stages {
        enrich,
        dedupe,
        speed,
        speed_thread,
        batch: running,
        warehouse: batch.reader,
        streams,
        archive,
        archiver,
        links,
        sinks,
        bounds,
    })
}

/// The journal's archive in the lake, with a client of its own: an upload to it keeps no micro-batch waiting.
fn start_archive(on: &Ground<'_>, journal: &Journal) -> Result<archive::Built, StartError> {
    let lake = batch::lake::Lake::open(&on.config.lake, on.data).map_err(say)?;
    archive::build(archive::Deps {
        journal: journal.clone(),
        vault: Arc::new(lake),
        state: on.state.join("archive"),
        enabled: on.config.journal.archive,
        zstd_level: on.config.lake.zstd_level,
        clock: on.clock.clone(),
        metrics: on.metrics.clone(),
        drain: on.back.clone(),
    })
    .map_err(say)
}

/// The stream sink, if one is configured: one more output of the fork.
fn start_streams(
    on: &Ground<'_>,
    speed: &speed::Speed,
    journal: &Journal,
    enricher: &Arc<enrich::Enricher>,
    index: &dedupe::Index,
    boundary: Offset,
    outputs: &mut Vec<LinkSender<Flow>>,
) -> Result<Option<streams::Streams>, StartError> {
    if on.config.streams.kind == streams::Kind::None {
        return Ok(None);
    }
    let (tx, input) = link("streams", FLOW);
    outputs.push(tx);
    let again = doors::read_again(journal.clone(), enricher.clone(), on.clock.clone());
    let deps = streams::Deps {
        state: on.state.clone(),
        boundary,
        refeed: doors::refeed(again, index.clone(), journal.id()),
        views: doors::published(speed, &on.views).map_err(say)?,
        on_cursor: doors::release(journal, "streams"),
        clock: on.clock.clone(),
        metrics: on.metrics.clone(),
        drain: on.back.clone(),
    };
    streams::build(&on.config.streams, input, deps).map(Some).map_err(say)
}

/// The public and the private port, and the watch over all parts.
fn open_ports(
    on: Ground<'_>,
    mode: &str,
    journal: Journal,
    registry: Arc<schema::Resolver>,
    index: dedupe::Index,
    enricher: Arc<enrich::Enricher>,
    stages: Stages,
) -> Result<App, StartError> {
    let health = journal.clone();
    let health: collector::Health = Arc::new(move || health.health());
    let appender = journal.appender();
    let collector =
        collector::build(&on.config.collector, appender, health, on.clock.clone(), &on.metrics, on.front.clone())
            .map_err(say)?;
    let collector_addr =
        collector.local_addr().or(collector.tls_addr()).ok_or_else(|| say("collector.listen: no port is open"))?;
    let mut bounds = watched::collector_bounds(&collector, on.data);
    bounds.extend(stages.bounds);
    let collector_url = format!("http://{}", doors::reachable(collector_addr));
    let ui = serving::Ui { mode: mode.into(), collector_url: collector_url.clone(), version: enrich::VERSION.into() };
    let replayer = Replayer::new(replay::Deps {
        speed: stages.speed.clone(),
        warehouse: stages.warehouse.clone(),
        journal: journal.clone(),
        archive: stages.archive,
        enricher: enricher.clone(),
        resolver: registry.clone(),
        clock: on.clock.clone(),
        drain: on.front.clone(),
    });
    let deps = serving::Deps {
        replay: Box::new(move |ask| replayer.start(ask)),
        speed: stages.speed.clone(),
        warehouse: stages.warehouse,
        views: on.views,
        assets: enricher.assets().cloned().collect(),
        journal: doors::journal_door(&journal),
        enrich: doors::enrich_door(enricher, index.clone(), journal.id(), on.clock.clone()),
        find: Box::new(move |id| index.find(id)),
        registry,
        links: stages.links,
        sinks: stages.sinks,
        bounds,
        not_ready: doors::not_ready(&journal),
        ui,
        demo: doors::demo_door(collector_url, on.clock.clone(), on.front.clone()),
        clock: on.clock,
        metrics: on.metrics,
        drain: on.back.clone(),
    };
    let serving = serving::build(&on.config.serving, deps).map_err(say)?;
    let serving_addr = serving.local_addr();
    let parts = stop::Parts {
        journal,
        enrich: stages.enrich,
        dedupe: stages.dedupe,
        speed: stages.speed_thread,
        batch: stages.batch,
        streams: stages.streams,
        archiver: stages.archiver,
        front: on.front,
        middle: on.middle,
        back: on.back,
    };
    let running = stop::Running::start(parts, collector, serving);
    Ok(App { data_dir: on.data.to_owned(), collector_addr, serving_addr, speed: stages.speed, running })
}

fn compile(config: &Config) -> Result<Vec<Arc<View>>, StartError> {
    let all = crate::view::builtin().into_iter().chain(config.views.iter().cloned());
    all.map(|def| def.compile().map_err(|e| StartError(format!("view \"{}\": {e}", def.name)))).collect()
}

/// The warehouse must not be ahead of the journal: the journal is the truth that it was made from.
fn fits(journal: &Journal, boundary: Offset, data: &Path) -> Result<(), StartError> {
    let (first, end) = (journal.first(), journal.durable_end());
    if boundary > end {
        return Err(StartError(format!(
            "the warehouse is complete up to offset {boundary}, but the journal in {} ends at {end}: the two do not belong \
             together. Put the journal back from a backup, or start with another data_dir",
            data.join("journal").display()
        )));
    }
    if boundary < first {
        return Err(StartError(format!(
            "the warehouse is complete up to offset {boundary}, but the journal begins at {first}: the records between are \
             gone from this machine. Put the warehouse file back from a newer backup"
        )));
    }
    Ok(())
}

fn say(error: impl std::fmt::Display) -> StartError {
    StartError(error.to_string())
}
