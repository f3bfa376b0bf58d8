//! `snowshed run`: the pipeline until SIGTERM or Ctrl-C.

use super::Exit;
use crate::app::{App, StartError};
use crate::config::Loaded;
use crate::pipeline::drain::Drain;
use crate::telemetry;

/// Starts the log, builds the pipeline and keeps it until a signal comes.
pub(super) fn run(loaded: Loaded) -> Exit {
    with_app(loaded, "run", |app, drain| async move {
        tracing::info!("collector on {}, board on http://{}/", app.collector_addr(), app.serving_addr());
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
