//! Only the collector and its journal, as the other parts of the bench measure them.

use crate::cli::Exit;
use crate::cli::run::signal;
use crate::config::Loaded;
use crate::journal::Journal;
use crate::pipeline::drain::Drain;
use crate::platform::clock::Clock;
use crate::platform::fs::RealFs;
use crate::telemetry::Metrics;
use crate::{collector, telemetry};
use std::sync::Arc;

pub(super) fn serve(loaded: &Loaded) -> Exit {
    let config = &loaded.config;
    let _ = telemetry::log::start(&config.telemetry);
    // One core is given to us: one thread serves, one writes.
    let Ok(runtime) = tokio::runtime::Builder::new_current_thread().enable_all().build() else {
        return Exit::CannotStart;
    };
    let drain = Drain::new();
    let result = runtime.block_on(async {
        let metrics = Metrics::new();
        let dir = config.data_dir.join("journal");
        let (journal, _) = Journal::open(&config.journal, &dir, Arc::new(RealFs), Clock::System, &metrics)
            .map_err(|e| e.to_string())?;
        let health = journal.clone();
        let collector = collector::build(
            &config.collector,
            journal.appender(),
            Arc::new(move || health.health()),
            Clock::System,
            &metrics,
            drain.clone(),
        )
        .map_err(|e| e.to_string())?;
        let serving = tokio::spawn(collector.run());
        signal(&drain).await;
        drain.raise();
        let _ = serving.await;
        journal.close();
        Ok::<(), String>(())
    });
    match result {
        Ok(()) => Exit::Done,
        Err(why) => {
            eprintln!("snowshed bench serve: {why}");
            Exit::CannotStart
        }
    }
}
