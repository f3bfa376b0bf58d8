//! A running collector with a real journal, and a client that speaks raw bytes.

use crate::collector::{Bounds, Collector, Config, build};
use crate::event::payload::Payload;
use crate::event::{Offset, thrift};
use crate::journal::{Journal, RecordKind};
use crate::pipeline::drain::Drain;
use crate::platform::clock::Clock;
use crate::platform::fs::{Fs, RealFs};
use crate::platform::fs_sim::SimFs;
use crate::platform::testing::PATIENCE;
use crate::telemetry::Metrics;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

pub struct Server {
    pub addr: SocketAddr,
    pub tls_addr: Option<SocketAddr>,
    pub journal: Journal,
    pub drain: Drain,
    pub metrics: Metrics,
    pub bounds: Bounds,
    running: Option<JoinHandle<()>>,
    _dir: Option<tempfile::TempDir>,
}

fn start(toml: &str, journal: Journal, dir: Option<tempfile::TempDir>) -> Server {
    let text = if toml.contains("workers") { toml.to_owned() } else { format!("workers = 1\n{toml}") };
    let mut config: Config = toml::from_str(&text).unwrap();
    config.listen = "127.0.0.1:0".to_owned();
    let (drain, metrics) = (Drain::new(), Metrics::new());
    let health = journal.clone();
    let collector: Collector =
        build(&config, journal.appender(), Arc::new(move || health.health()), Clock::System, &metrics, drain.clone())
            .unwrap();
    let (addr, tls_addr) = (collector.local_addr().unwrap(), collector.tls_addr());
    let bounds = collector.bounds();
    let running = std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(collector.run()).unwrap();
    });
    Server { addr, tls_addr, journal, drain, metrics, bounds, running: Some(running), _dir: dir }
}

impl Server {
    /// On a real disk.
    pub fn new(toml: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let journal = open(dir.path(), RealFs::shared());
        start(toml, journal, Some(dir))
    }

    /// On a disk that fails when it is told to.
    pub fn on(toml: &str, fs: &SimFs) -> Self {
        start(toml, open(Path::new("/data/journal"), fs.shared()), None)
    }

    /// As [`Server::on`], with another patience with the disk.
    pub fn on_patient(toml: &str, fs: &SimFs, stalled_after: Duration) -> Self {
        let stalled_after = crate::platform::units::Span::from_millis(stalled_after.as_millis() as i64);
        let config = crate::journal::Config { stalled_after, ..crate::journal::Config::default() };
        start(toml, open_with(&config, Path::new("/data/journal"), fs.shared()), None)
    }

    pub fn connect(&self) -> Client {
        Client::to(self.addr)
    }

    /// One request on a connection of its own; everything up to the end of the connection.
    pub fn once(&self, bytes: &[u8]) -> String {
        let mut client = self.connect();
        client.send(bytes);
        client.rest()
    }

    /// Everything in the journal: payloads, and bad rows as text.
    pub fn stored(&self) -> (Vec<Payload>, Vec<String>) {
        let (mut payloads, mut rows) = (Vec::new(), Vec::new());
        let mut reader = self.journal.reader(Offset::ZERO).unwrap();
        while let Some(batch) = reader.next(1 << 20, Duration::ZERO).unwrap() {
            for record in batch.records {
                match record.kind {
                    RecordKind::Payload => payloads.push(thrift::decode(&record.body).unwrap()),
                    _ => rows.push(String::from_utf8(record.body.to_vec()).unwrap()),
                }
            }
        }
        (payloads, rows)
    }

    /// How many records the journal has.
    pub fn count(&self) -> u64 {
        self.journal.durable_end().0
    }

    /// The value of a metric, by the start of its line.
    pub fn metric(&self, name: &str) -> f64 {
        let text = self.metrics.render().unwrap();
        let line = text.lines().find(|l| l.starts_with(name)).unwrap_or_else(|| panic!("no {name} in {text}"));
        line.rsplit(' ').next().unwrap().parse().unwrap()
    }

    /// Raises the drain and waits until the collector has stopped.
    pub fn stop(&mut self) {
        self.drain.raise();
        if let Some(running) = self.running.take() {
            running.join().unwrap();
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.drain.raise();
        if let Some(running) = self.running.take() {
            let ended = running.join();
            assert!(std::thread::panicking() || ended.is_ok());
        }
    }
}

fn open(dir: &Path, fs: Arc<dyn Fs>) -> Journal {
    open_with(&crate::journal::Config::default(), dir, fs)
}

fn open_with(config: &crate::journal::Config, dir: &Path, fs: Arc<dyn Fs>) -> Journal {
    Journal::open(config, dir, fs, Clock::System, &Metrics::new()).unwrap().0
}

pub struct Client(pub TcpStream);

impl Client {
    pub fn to(addr: SocketAddr) -> Self {
        let stream = TcpStream::connect(addr).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.set_nodelay(true).unwrap();
        Client(stream)
    }

    pub fn send(&mut self, bytes: &[u8]) {
        // The other side may have refused and closed already; then the reply tells.
        let _ = self.0.write_all(bytes);
    }

    /// The next reply, whole.
    pub fn reply(&mut self) -> String {
        let mut bytes = Vec::new();
        let mut one = [0];
        while !bytes.ends_with(b"\r\n\r\n") {
            if self.0.read(&mut one).unwrap() == 0 {
                return String::from_utf8_lossy(&bytes).into_owned();
            }
            bytes.push(one[0]);
        }
        let head = String::from_utf8_lossy(&bytes).into_owned();
        let len = head.split("\r\n").find_map(|l| l.strip_prefix("Content-Length: ")).map_or(0, |n| n.parse().unwrap());
        let mut body = vec![0; len];
        self.0.read_exact(&mut body).unwrap();
        head + &String::from_utf8_lossy(&body)
    }

    /// Everything until the connection ends.
    pub fn rest(&mut self) -> String {
        let mut bytes = Vec::new();
        let mut piece = [0; 4096];
        // A reset ends it as well as an orderly close.
        while let Ok(n) = self.0.read(&mut piece) {
            if n == 0 {
                break;
            }
            bytes.extend_from_slice(&piece[..n]);
        }
        String::from_utf8_lossy(&bytes).into_owned()
    }

    /// Whether nothing comes for so long.
    pub fn is_silent(&mut self, time: Duration) -> bool {
        self.0.set_read_timeout(Some(time)).unwrap();
        let mut one = [0];
        let silent = self.0.peek(&mut one).is_err();
        self.0.set_read_timeout(Some(PATIENCE)).unwrap();
        silent
    }
}

/// The status of a reply.
pub fn status(reply: &str) -> u16 {
    reply.get(9..12).and_then(|s| s.parse().ok()).unwrap_or_else(|| panic!("no reply: {reply:?}"))
}
