//! The diagram as code: builds every box, ties them together, stops them in order. Nothing else lives here.

mod doors;
mod stop;

use crate::config::Config;
use crate::event::Offset;
use crate::journal::Journal;
use crate::pipeline::drain::Drain;
use crate::pipeline::link::link;
use crate::platform::clock::Clock;
use crate::platform::fs::RealFs;
use crate::speed::streams;
use crate::telemetry::Metrics;
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

impl App {
    /// Builds and starts everything. Must be called inside a tokio runtime.
    ///
    /// # Errors
    /// [`StartError`].
    pub fn start(config: &Config, mode: &str, drain: Drain) -> Result<App, StartError> {
        let (clock, metrics) = (Clock::System, Metrics::new());
        let (middle, back) = (Drain::new(), Drain::new());
        let data = config.data_dir.as_path();
        let state = data.join("state");
        std::fs::create_dir_all(&state).map_err(|e| StartError(format!("data_dir: {}: {e}", state.display())))?;
        let views = compile(config)?;

        // Stores and doors.
        let (journal, found) =
            Journal::open(&config.journal, &data.join("journal"), Arc::new(RealFs), clock.clone(), &metrics).map_err(say)?;
        doors::tell_recovery(&found);
        let resolver = schema::build(&config.iglu, Some(data), &metrics).map_err(say)?;

        // The batch layer first: it knows where the warehouse is complete, and everything else begins there.
        let batch = batch::build(
            &config.batch,
            &config.lake,
            &config.warehouse,
            batch::Deps {
                data_dir: data.to_owned(),
                views: views.clone(),
                clock: clock.clone(),
                metrics: metrics.clone(),
                drain: back.clone(),
                config_hash: config.hash(),
            },
        )
        .map_err(say)?;
        let boundary = batch.boundary;
        fits(&journal, boundary.offset, data)?;

        // Collector -> journal -> enrich -> dedupe -> (speed | batch | streams).
        let steps = enrich::load_steps(&config.enrich, &resolver).map_err(|list| StartError(list.join("\n")))?;
        let enricher =
            Arc::new(enrich::Enricher::new(&config.enrich, steps, resolver.clone(), journal.id()).map_err(say)?);
        let again = || doors::read_again(journal.clone(), enricher.clone(), clock.clone());
        let index =
            dedupe::Index::load(&config.dedupe, &state.join("dedupe"), boundary.offset, &mut again()).map_err(say)?;
        let (enriched, to_dedupe) = link("enriched", ENRICHED);
        let (speed_tx, to_speed) = link("speed", FLOW);
        let (batch_tx, to_batch) = link("batch", FLOW);
        let (streams_tx, to_streams) = link("streams", FLOW);
        let mut outputs = vec![speed_tx, batch_tx];
        let speed = speed::Speed::new(
            config.speed.clone(),
            speed::Deps {
                views: views.clone(),
                start: boundary,
                state_dir: state.join("speed"),
                clock: clock.clone(),
                metrics: metrics.clone(),
            },
        )
        .map_err(say)?;
        let streams = match config.streams.kind {
            streams::Kind::None => None,
            _ => {
                outputs.push(streams_tx);
                let deps = streams::Deps {
                    state: state.clone(),
                    boundary: boundary.offset,
                    refeed: doors::refeed(again(), index.clone(), journal.id()),
                    views: doors::published(&speed, &views),
                    on_cursor: doors::release(&journal, "streams"),
                    metrics: metrics.clone(),
                    drain: back.clone(),
                };
                Some(streams::build(&config.streams, to_streams, deps).map_err(say)?)
            }
        };
        let links = doors::gauges(&enriched, &outputs);
        doors::release(&journal, "warehouse")(boundary.offset);
        let (planner, warehouse, batch_status) = (batch.planner, batch.reader, batch.status);
        let batch = batch.stage.start(to_batch, doors::batch_events(&speed, &journal)).map_err(say)?;
        let speed_thread = speed::spawn(speed.clone(), to_speed, back.clone()).map_err(say)?;
        let dedupe = dedupe::build(dedupe::Deps {
            index: index.clone(),
            planner,
            journal_id: journal.id(),
            input: to_dedupe,
            outputs,
            clock: clock.clone(),
            metrics: metrics.clone(),
            drain: back.clone(),
        })
        .map_err(say)?;
        let enrich = enrich::build(
            &config.enrich,
            enrich::Deps {
                enricher: enricher.clone(),
                reader: journal.reader(boundary.offset).map_err(say)?,
                clock: clock.clone(),
                metrics: metrics.clone(),
                drain: middle.clone(),
                out: enriched,
            },
        )
        .map_err(say)?;

        // The two ports.
        let health = journal.clone();
        let health: collector::Health = Arc::new(move || health.health());
        let collector =
            collector::build(&config.collector, journal.appender(), health, clock.clone(), &metrics, drain.clone())
                .map_err(say)?;
        let collector_addr = collector.local_addr().or(collector.tls_addr()).ok_or_else(|| say("collector.listen: no port is open"))?;
        let collector_url = format!("http://{}", doors::reachable(collector_addr));
        let serving = serving::build(
            &config.serving,
            serving::Deps {
                speed: speed.clone(),
                warehouse,
                views,
                journal: doors::journal_door(&journal),
                find: Box::new(move |id| index.find(id)),
                enrich: doors::enrich_door(enricher, clock.clone()),
                registry: resolver,
                links,
                sinks: doors::sinks(config, batch_status, streams.as_ref()),
                bounds: Vec::new(),
                not_ready: doors::not_ready(&journal),
                ui: serving::Ui {
                    mode: mode.to_owned(),
                    collector_url: collector_url.clone(),
                    version: enrich::VERSION.to_owned(),
                },
                demo: doors::demo_door(collector_url, clock.clone(), drain.clone()),
                clock,
                metrics,
                drain: back.clone(),
            },
        )
        .map_err(say)?;
        let serving_addr = serving.local_addr();
        let parts = stop::Parts { journal, enrich, dedupe, speed: speed_thread, batch, streams, front: drain, middle, back };
        let running = stop::Running::start(parts, collector, serving);
        Ok(App { data_dir: data.to_owned(), collector_addr, serving_addr, speed, running })
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

fn compile(config: &Config) -> Result<Vec<Arc<crate::view::View>>, StartError> {
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
