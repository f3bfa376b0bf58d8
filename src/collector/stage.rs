//! The collector as it runs: ports that accept, threads that serve, and the way it stops.
//!
//! The ports are opened when it is built, so that a taken one is an error at start. Each worker is a thread with a
//! single-threaded runtime and keeps the connections it was given: nothing is shared between workers but counters.

use super::accept::{Accepted, Hand, accept, reload};
use super::bad_row;
use super::bounds::Bounds;
use super::config::{Config, ProxyProtocol, TlsVersion};
use super::error::{BuildError, RunError};
use super::http1::{self, End};
use super::http2;
use super::metrics::{CollectorMetrics, Refusal};
use super::settings::Settings;
use super::worker::{ConnectionSettings, Health, Shared, Worker};
use crate::journal::Appender;
use crate::net::http1::HeadLimits;
use crate::net::peer::Pass;
use crate::net::rewind::Rewind;
use crate::net::tls::Certificate;
use crate::net::{self, Budget, ConnectionLimits, Gate, proxy_protocol};
use crate::pipeline::drain::Drain;
use crate::platform::clock::Clock;
use crate::platform::slice::take_short_turns;
use crate::platform::units::Span;
use crate::telemetry::Metrics;
use std::net::{IpAddr, SocketAddr, TcpListener};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;

/// Connections that wait to be taken over by a worker.
const HAND_OVER: usize = 1024;

/// A collector whose ports are open. It serves when [`Collector::run`] is called.
pub struct Collector {
    plain: Option<TcpListener>,
    tls: Option<(TcpListener, TlsAcceptor, Certificate)>,
    plain_addr: Option<SocketAddr>,
    tls_addr: Option<SocketAddr>,
    shared: Shared,
    gate: Gate,
    workers: usize,
    options: Options,
    drain: Drain,
}

#[derive(Clone)]
struct Options {
    proxy_required: bool,
    handshake_timeout: Duration,
    header_timeout: Duration,
    reload: Duration,
    delay: Duration,
    deadline: Duration,
}

impl std::fmt::Debug for Collector {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Collector")
            .field("plain", &self.plain_addr)
            .field("tls", &self.tls_addr)
            .finish_non_exhaustive()
    }
}

/// Opens the ports and makes everything ready.
///
/// `health` says whether the journal can be written and synced now; it is asked on a serving thread and must not block.
/// `drain` is the collector's own signal: the journal must go on until [`Collector::run`] has returned.
///
/// # Errors
/// [`BuildError`]: a bad value, a taken port, a certificate that cannot be used.
pub fn build(
    config: &Config,
    appender: Appender,
    health: Health,
    clock: Clock,
    metrics: &Metrics,
    drain: Drain,
) -> Result<Collector, BuildError> {
    if let Some((key, problem)) = config.check().into_iter().next() {
        return Err(BuildError::Config { key, problem });
    }
    let bad = |key: &str, problem: String| BuildError::Config { key: key.to_owned(), problem };
    let mut settings = Settings::new(config).map_err(|e| bad("", e))?;
    // Whatever the journal takes: what is quoted is all that is left of such a request.
    settings.row_max = settings.row_max.max(appender.max_record_bytes().saturating_sub(bad_row::FRAME));
    let open = |key: &'static str, text: &str| -> Result<Option<TcpListener>, BuildError> {
        if text.is_empty() {
            return Ok(None);
        }
        let addr = text.parse().map_err(|e| bad(key, format!("= \"{text}\": {e}")))?;
        Ok(Some(net::bind(addr, key)?))
    };
    let plain = open("collector.listen", &config.listen)?;
    let tls = match open("collector.tls.listen", &config.tls.listen)? {
        None => None,
        Some(listener) => {
            let certificate = Certificate::load(Path::new(&config.tls.cert), Path::new(&config.tls.key))?;
            let alpn: &[&[u8]] = if config.http2.enabled { &[b"h2", b"http/1.1"] } else { &[b"http/1.1"] };
            let acceptor = certificate.server_config(config.tls.min_version == TlsVersion::V12, alpn)?;
            Some((listener, TlsAcceptor::from(acceptor), certificate))
        }
    };
    let addr = |listener: Option<&TcpListener>| listener.and_then(|l| l.local_addr().ok());
    net::listener::raise_open_files();
    let limits = &config.limits;
    Ok(Collector {
        plain_addr: addr(plain.as_ref()),
        tls_addr: addr(tls.as_ref().map(|(listener, ..)| listener)),
        plain,
        tls,
        gate: Gate::new(ConnectionLimits { total: limits.connections, per_address: limits.connections_per_address }),
        shared: Shared {
            settings: Arc::new(settings),
            limits: Arc::new(connection_settings(config, appender.stalled_after())),
            appender,
            health,
            clock,
            metrics: CollectorMetrics::register(metrics),
            budget: Budget::new(limits.buffer_bytes.as_usize()),
            draining: Arc::default(),
            stopping: Arc::default(),
        },
        workers: worker_count(config.workers),
        options: Options {
            proxy_required: config.proxy.protocol == ProxyProtocol::Required,
            handshake_timeout: config.tls.handshake_timeout.to_duration(),
            header_timeout: limits.header_timeout.to_duration(),
            reload: config.tls.reload.to_duration(),
            delay: config.drain.delay.to_duration(),
            deadline: config.drain.deadline.to_duration(),
        },
        drain,
    })
}

fn worker_count(configured: usize) -> usize {
    match configured {
        0 => (std::thread::available_parallelism().map_or(1, usize::from) / 2).clamp(1, 16),
        n => n,
    }
}

/// `stalled_after`: when the journal itself takes no more.
fn connection_settings(config: &Config, stalled_after: Duration) -> ConnectionSettings {
    let l = &config.limits;
    let ms = Span::as_millis;
    let stalled_after = i64::try_from(stalled_after.as_millis()).unwrap_or(i64::MAX);
    ConnectionSettings {
        head: HeadLimits {
            line: l.request_line_max.as_usize(),
            headers: l.headers_max.as_usize(),
            count: l.header_count,
        },
        body_max: l.request_body_max_bytes.as_usize(),
        queue_bytes: l.queue_bytes.as_usize(),
        requests: l.requests_per_connection,
        header_timeout: ms(l.header_timeout),
        body_timeout: ms(l.body_timeout).min(ms(l.handler_timeout)),
        store_timeout: ms(l.handler_timeout).min(stalled_after),
        write_timeout: ms(l.write_timeout),
        idle_timeout: ms(l.idle_timeout),
        http2: config.http2.enabled.then_some((config.http2.max_streams, config.http2.max_resets)),
    }
}

impl Collector {
    /// Where it listens without TLS.
    pub fn local_addr(&self) -> Option<SocketAddr> {
        self.plain_addr
    }

    /// Where it listens with TLS.
    pub fn tls_addr(&self) -> Option<SocketAddr> {
        self.tls_addr
    }

    /// For whoever looks at its bounds.
    pub fn bounds(&self) -> Bounds {
        Bounds {
            gate: self.gate.clone(),
            budget: self.shared.budget.clone(),
            appender: self.shared.appender.clone(),
            metrics: self.shared.metrics.clone(),
            queue_bytes: self.shared.limits.queue_bytes.saturating_mul(self.workers) as u64,
        }
    }

    /// Serves until the drain is raised, and then until connections have finished (`drain.delay`, `drain.deadline`).
    ///
    /// # Errors
    /// When a thread cannot be started, or one has ended by itself.
    pub async fn run(self) -> Result<(), RunError> {
        let (stop, stopped) = watch::channel(false);
        let mut threads = Vec::new();
        let mut hands = Vec::new();
        for number in 0..self.workers {
            let (give, take) = mpsc::channel(HAND_OVER);
            let open = Arc::new(AtomicUsize::new(0));
            threads.push(self.start_worker(number, take, open.clone())?);
            hands.push(Hand { give, open });
        }
        let hands: Arc<[Hand]> = hands.into();
        let mut accepting = JoinSet::new();
        let mut listeners = Vec::new();
        listeners.extend(self.plain.map(|listener| (listener, None)));
        if let Some((listener, acceptor, certificate)) = self.tls {
            listeners.push((listener, Some(acceptor)));
            accepting.spawn(reload(certificate, self.options.reload, self.shared.metrics.clone(), stopped.clone()));
        }
        for (listener, tls) in listeners {
            let listener = tokio::net::TcpListener::from_std(listener)?;
            let (shared, gate) = (self.shared.clone(), self.gate.clone());
            accepting.spawn(accept(listener, tls, shared, gate, hands.clone(), stopped.clone()));
        }
        drop(hands);
        let told = tokio::select! {
            () = self.drain.raised() => true,
            _ = accepting.join_next() => false,
        };
        self.shared.draining.store(true, Ordering::SeqCst);
        if told {
            tokio::time::sleep(self.options.delay).await;
        }
        // Nobody listens only if every task has ended already.
        let _ = stop.send(true);
        self.shared.stopping.store(true, Ordering::SeqCst);
        // With the last accepting task the channels to the workers close, and they finish.
        while accepting.join_next().await.is_some() {}
        let joined =
            tokio::task::spawn_blocking(move || threads.into_iter().map(JoinHandle::join).all(|r| r.is_ok())).await;
        if told && matches!(joined, Ok(true)) { Ok(()) } else { Err(RunError::Ended) }
    }

    fn start_worker(
        &self,
        number: usize,
        take: mpsc::Receiver<Accepted>,
        open: Arc<AtomicUsize>,
    ) -> Result<JoinHandle<()>, RunError> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let worker = Worker::new(self.shared.clone());
        let options = self.options.clone();
        let thread = std::thread::Builder::new().name(format!("collector-{number}"));
        let run = move || {
            take_short_turns();
            runtime.block_on(work(worker, take, open, options));
        };
        Ok(thread.spawn(run)?)
    }
}

/// A worker's life: serves what it is given until no more comes, then waits for what is under way.
async fn work(worker: Arc<Worker>, mut take: mpsc::Receiver<Accepted>, open: Arc<AtomicUsize>, options: Options) {
    tokio::spawn(worker.clone().sweep());
    tokio::spawn(worker.clone().flush());
    let mut connections = JoinSet::new();
    loop {
        let accepted = tokio::select! {
            accepted = take.recv() => accepted,
            Some(ended) = connections.join_next(), if !connections.is_empty() => {
                note(ended);
                continue;
            }
        };
        let Some(accepted) = accepted else { break };
        connections.spawn(connection(worker.clone(), accepted, open.clone(), options.clone()));
    }
    let rest = async {
        while let Some(ended) = connections.join_next().await {
            note(ended);
        }
    };
    if tokio::time::timeout(options.deadline, rest).await.is_err() {
        tracing::warn!("{} connections were cut at the drain deadline", connections.len());
        connections.abort_all();
    }
    // What was handed to the journal becomes durable whether or not somebody still waits for the reply.
    let _ = tokio::time::timeout(options.deadline, worker.settled()).await;
}

fn note(ended: Result<(), tokio::task::JoinError>) {
    if let Err(e) = ended
        && e.is_panic()
    {
        tracing::error!("serving a connection panicked: {e}");
    }
}

/// Counts a connection while it is open.
struct Counted {
    open: Arc<AtomicUsize>,
    metrics: CollectorMetrics,
    _pass: Pass,
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.open.fetch_sub(1, Ordering::Relaxed);
        self.metrics.connections.dec();
    }
}

async fn connection(worker: Arc<Worker>, accepted: Accepted, open: Arc<AtomicUsize>, options: Options) {
    let metrics = worker.shared.metrics.clone();
    metrics.connections.inc();
    let _counted = Counted { open, metrics: metrics.clone(), _pass: accepted.pass };
    let Ok(mut stream) = TcpStream::from_std(accepted.stream) else { return };
    let mut peer = accepted.peer;
    if options.proxy_required {
        match Box::pin(tokio::time::timeout(options.header_timeout, proxy_protocol::read(&mut stream))).await {
            Ok(Ok(named)) => peer = named.unwrap_or(peer),
            Ok(Err(_)) | Err(_) => return metrics.refused(Refusal::Handshake, 1),
        }
    }
    match accepted.tls {
        None => serve(stream, worker, peer).await,
        // Boxed, so that the many plain connections do not carry the size of a TLS one.
        Some(acceptor) => Box::pin(secure(stream, acceptor, worker, peer, options)).await,
    }
}

async fn secure(stream: TcpStream, acceptor: TlsAcceptor, worker: Arc<Worker>, peer: IpAddr, options: Options) {
    // What only the handshake needs goes with it; and the session, which is large, is not copied into every future below.
    let handshake = Box::pin(tokio::time::timeout(options.handshake_timeout, acceptor.accept(stream)));
    let Ok(Ok(stream)) = handshake.await else {
        worker.shared.metrics.refused(Refusal::Handshake, 1);
        return;
    };
    let stream = Box::new(stream);
    if stream.get_ref().1.alpn_protocol() == Some(b"h2") {
        Box::pin(http2::serve(stream, worker, peer)).await;
    } else {
        serve(stream, worker, peer).await;
    }
}

async fn serve<S>(stream: S, worker: Arc<Worker>, peer: IpAddr)
where
    S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin + Send + 'static,
{
    let (end, stream) = http1::Connection::new(stream, worker.clone(), peer).serve().await;
    if let End::Http2(first) = end {
        Box::pin(http2::serve(Rewind::new(first, stream), worker, peer)).await;
    }
}
