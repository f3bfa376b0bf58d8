//! The running parts, the watch over them, and the orderly stop in flow order.

use crate::admin::archive::Archiver;
use crate::collector::Collector;
use crate::dedupe::Dedupe;
use crate::enrich::Enrich;
use crate::journal::Journal;
use crate::pipeline::drain::Drain;
use crate::serving::Serving;
use crate::speed::SpeedError;
use crate::speed::streams::Streams;
use parking_lot::Mutex;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// How long a stop waits until what was journalled is enriched.
const CATCH_UP: Duration = Duration::from_secs(20);
/// How long it then waits for the last commit and the stream's acknowledgements.
const LAST_COMMIT: Duration = Duration::from_secs(20);
/// How long it waits for a segment that is being archived.
const LAST_UPLOAD: Duration = Duration::from_secs(5);
/// How often the parts are looked after.
const WATCH: Duration = Duration::from_millis(250);

/// The speed layer's thread.
pub(super) type SpeedThread = JoinHandle<Result<(), SpeedError>>;

/// Everything that runs.
pub(super) struct Parts {
    pub(super) journal: Journal,
    pub(super) enrich: Enrich,
    pub(super) dedupe: Dedupe,
    pub(super) speed: SpeedThread,
    pub(super) batch: crate::batch::Running,
    pub(super) streams: Option<Streams>,
    pub(super) archiver: Option<Archiver>,
    /// Raised to stop the collector, and by whoever wants the program to end.
    pub(super) front: Drain,
    /// Raised when enrichment has nothing more to read.
    pub(super) middle: Drain,
    /// Raised when the rest has to end.
    pub(super) back: Drain,
}

/// The running pipeline as whoever stops it holds it.
pub(super) struct Running {
    parts: Arc<Mutex<Option<Parts>>>,
    front: Drain,
    fault: Arc<AtomicBool>,
    ports: Vec<tokio::task::JoinHandle<()>>,
}

impl Running {
    /// Opens both ports and begins to look after the parts.
    pub(super) fn start(parts: Parts, collector: Collector, serving: Serving) -> Self {
        let fault = Arc::new(AtomicBool::new(false));
        let (front, back) = (parts.front.clone(), parts.back.clone());
        let public = tokio::spawn({
            let (front, fault) = (front.clone(), fault.clone());
            async move {
                if let Err(e) = collector.run().await {
                    tracing::error!("the collector stopped: {e}");
                    fault.store(true, Ordering::SeqCst);
                }
                front.raise();
            }
        });
        let private = tokio::spawn({
            let (front, fault, back) = (front.clone(), fault.clone(), back);
            async move {
                let ended = serving.run().await;
                if !back.is_raised() {
                    tracing::error!("the private port stopped: {ended:?}");
                    fault.store(true, Ordering::SeqCst);
                    front.raise();
                }
            }
        });
        let parts = Arc::new(Mutex::new(Some(parts)));
        watch(parts.clone(), front.clone(), fault.clone());
        Running { parts, front, fault, ports: vec![public, private] }
    }

    /// Stops everything in flow order. False when a part had ended by itself.
    pub(super) fn stop(self) -> bool {
        self.front.raise();
        let Some(parts) = self.parts.lock().take() else { return false };
        let mut ports = self.ports.into_iter();
        let wait = |task: Option<tokio::task::JoinHandle<()>>, most: Duration| {
            let end = Instant::now() + most;
            while task.as_ref().is_some_and(|t| !t.is_finished()) && Instant::now() < end {
                std::thread::sleep(Duration::from_millis(5));
            }
        };
        // The collector answers what it has; after that nobody appends any more.
        wait(ports.next(), Duration::from_secs(60));
        let end = Instant::now() + CATCH_UP;
        while parts.enrich.enriched() < parts.journal.durable_end()
            && !parts.enrich.is_finished()
            && Instant::now() < end
        {
            std::thread::sleep(Duration::from_millis(5));
        }
        parts.middle.raise();
        let mut clean = parts.enrich.join().inspect_err(|e| tracing::error!("{e}")).is_ok();
        // Each link closes when its sender has ended, so the rest ends by itself; this is for a warehouse that is away.
        let back = parts.back.clone();
        let in_time = Arc::new(AtomicBool::new(false));
        let guard = std::thread::spawn({
            let (back, in_time) = (back.clone(), in_time.clone());
            move || {
                let end = Instant::now() + LAST_COMMIT;
                while Instant::now() < end && !in_time.load(Ordering::SeqCst) {
                    std::thread::sleep(Duration::from_millis(20));
                }
                back.raise();
            }
        });
        parts.dedupe.join();
        clean &= matches!(parts.speed.join(), Ok(Ok(())));
        parts.batch.join();
        if let Some(streams) = parts.streams {
            streams.join();
        }
        in_time.store(true, Ordering::SeqCst);
        let _ = guard.join();
        wait(ports.next(), Duration::from_secs(3));
        parts.journal.close();
        if let Some(archiver) = parts.archiver {
            archiver.join(LAST_UPLOAD);
        }
        clean && !self.fault.load(Ordering::SeqCst)
    }
}

/// Ends the program when a part ends by itself: an answer without it would be wrong.
fn watch(parts: Arc<Mutex<Option<Parts>>>, front: Drain, fault: Arc<AtomicBool>) {
    std::thread::spawn(move || {
        while !front.sleep(WATCH) {
            let held = parts.lock();
            let Some(parts) = held.as_ref() else { return };
            let ended = [
                ("enrichment", parts.enrich.is_finished()),
                ("deduplication", parts.dedupe.is_finished()),
                ("the speed layer", parts.speed.is_finished()),
            ];
            if let Some((who, _)) = ended.iter().find(|(_, ended)| *ended) {
                tracing::error!("{who} has stopped; the program ends. What is journalled is safe: start it again");
                fault.store(true, Ordering::SeqCst);
                front.raise();
            }
        }
    });
}
