//! `snowshed run`: the pipeline until SIGTERM or Ctrl-C.

use super::{Exit, door};
use crate::app::{App, StartError};
use crate::config::Loaded;
use crate::pipeline::drain::Drain;
use crate::telemetry;
use std::io::IsTerminal;

pub(super) const EXAMPLES: &str = "\
Examples:
  snowshed run                                     collector on port 8080, private port on 127.0.0.1:9090
  snowshed run -c config.toml                      with a configuration file
  SNOWSHED__DATA_DIR=/tmp/snowshed snowshed run    with a key set by the environment";

/// Starts the log, builds the pipeline and keeps it until a signal comes.
pub(super) fn run(loaded: Loaded) -> Exit {
    // A token file that cannot be read is told by the private port.
    let token = door::token(&loaded.config.serving).ok().flatten();
    with_app(loaded, "run", |app, drain| async move {
        let needs = if token.is_some() { ", which asks for a token" } else { "" };
        let page = door::link(app.serving_addr(), None, false);
        tracing::info!("collector on {}, board on {page}{needs}", app.collector_addr());
        if token.is_some() && std::io::stderr().is_terminal() {
            // Past the log, which may be kept elsewhere too.
            eprintln!("open {}", door::link(app.serving_addr(), token.as_ref(), true));
        }
        signal(&drain).await;
        app
    })
}

/// Builds the pipeline, hands it to `while_running`, and stops it in order afterwards.
pub(super) fn with_app<F, Fut>(loaded: Loaded, mode: &'static str, while_running: F) -> Exit
where
    F: FnOnce(App, Drain) -> Fut,
    Fut: Future<Output = App>,
{
    if let Err(why) = telemetry::log::start(&loaded.config.telemetry) {
        eprintln!("snowshed: {why}");
        return Exit::Usage;
    }
    // Two threads take the requests in; the rest of the pipeline has threads of its own.
    let runtime = match tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build() {
        Ok(runtime) => runtime,
        Err(e) => {
            eprintln!("snowshed: no threads: {e}");
            return Exit::CannotStart;
        }
    };
    let drain = Drain::new();
    let exit = runtime.block_on(async {
        match App::start(&loaded.config, mode, drain.clone()) {
            Ok(app) => {
                let app = while_running(app, drain.clone()).await;
                tracing::info!("stopping: what was accepted is finished first");
                match tokio::task::spawn_blocking(move || app.stop()).await {
                    Ok(true) => Exit::Done,
                    _ => Exit::Failed,
                }
            }
            Err(StartError(why)) => {
                eprintln!("snowshed: it cannot start: {why}");
                Exit::CannotStart
            }
        }
    });
    runtime.shutdown_timeout(std::time::Duration::from_secs(2));
    exit
}

/// Waits for SIGTERM, SIGINT, or for the pipeline to give up by itself.
pub(super) async fn signal(drain: &Drain) {
    use tokio::signal::unix::{SignalKind, signal};
    let Ok(mut terminate) = signal(SignalKind::terminate()) else {
        let _ = tokio::signal::ctrl_c().await;
        return;
    };
    tokio::select! {
        _ = terminate.recv() => {}
        _ = tokio::signal::ctrl_c() => {}
        () = drain.raised() => {}
    }
}
