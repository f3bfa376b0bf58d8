//! The stream stage against a broker that can be made deaf.

use super::stage::start;
use super::*;
use crate::batch::testing::{EPOCH, chunk};
use crate::event::{Flow, Offset};
use crate::pipeline::drain::Drain;
use crate::pipeline::link::{LinkSender, link};
use crate::platform::clock::Clock;
use crate::platform::testing::PATIENCE;
use crate::platform::units::ByteSize;
use crate::telemetry::Metrics;
use parking_lot::Mutex;
use std::sync::atomic::AtomicBool;
use std::time::Instant;

/// Takes at most `room` records that it has not acknowledged; acknowledges unless it is deaf.
#[derive(Clone, Default)]
struct Broker {
    deaf: Arc<AtomicBool>,
    failures: Arc<AtomicU64>,
    taken: Arc<Mutex<Vec<String>>>,
    open: Arc<Mutex<Vec<Arc<Pending>>>>,
}

const ROOM: usize = 500;

impl StreamSink for Broker {
    fn send(&mut self, message: &Message<'_>, pending: &Arc<Pending>) -> io::Result<bool> {
        let mut open = self.open.lock();
        if open.len() >= ROOM {
            return Ok(false);
        }
        pending.sent();
        open.push(pending.clone());
        self.taken.lock().push(message.address.unwrap_or_default().to_owned());
        Ok(true)
    }

    fn poll(&mut self, time: Duration) {
        if !self.deaf.load(Ordering::SeqCst) {
            self.open.lock().drain(..).for_each(|pending| pending.acknowledged());
        } else {
            std::thread::sleep(time);
        }
    }

    fn trouble(&self) -> Option<String> {
        None
    }

    fn failures(&self) -> u64 {
        self.failures.load(Ordering::SeqCst)
    }
}

struct Rig {
    _dir: tempfile::TempDir,
    broker: Broker,
    streams: Streams,
    flow: LinkSender<Flow>,
    drain: Drain,
}

fn rig() -> Rig {
    let dir = tempfile::tempdir().unwrap();
    let (flow, input) = link("streams", 8);
    let drain = Drain::new();
    let broker = Broker::default();
    let deps = Deps {
        state: dir.path().to_owned(),
        boundary: Offset(0),
        refeed: Box::new(|from, to| {
            let upto = to.0.min(from.0 + 100);
            let again = chunk(from.0, from.0..upto, 0);
            Ok((from < to).then(|| (again.range, again.items.clone())))
        }),
        views: Vec::new(),
        on_cursor: Box::new(|_| {}),
        clock: Clock::fixed(EPOCH),
        metrics: Metrics::new(),
        drain: drain.clone(),
    };
    let config = Config { kind: Kind::Stdout, max_buffer: ByteSize::mib(1), ..Config::default() };
    let made = broker.clone();
    let streams = start(&config, input, deps, Box::new(move || Ok(Box::new(made.clone())))).unwrap();
    Rig { _dir: dir, broker, streams, flow, drain }
}

impl Rig {
    fn status(&self) -> StreamStatus {
        self.streams.status().lock().clone()
    }

    fn wait(&self, what: &str, ready: impl Fn(&StreamStatus) -> bool) {
        let end = Instant::now() + PATIENCE;
        while !ready(&self.status()) {
            assert!(Instant::now() < end, "{what}: {:?}", self.status());
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}

#[test]
fn a_deaf_broker_holds_nobody_up_and_the_status_says_so() {
    let rig = rig();
    rig.flow.send(Flow::Chunk(chunk(0, 0..100, 0))).unwrap();
    rig.wait("the first are acknowledged", |s| s.cursor == 100 && s.acknowledged_ms == Some(EPOCH));
    assert_eq!((rig.status().state, rig.status().retries, rig.status().published), (StreamState::Live, 0, 100));
    rig.broker.deaf.store(true, Ordering::SeqCst);
    // Many times what link, buffer and broker hold together.
    for n in 1..60u64 {
        let sent = rig.flow.send_timeout(Flow::Chunk(chunk(0, n * 100..(n + 1) * 100, 0)), PATIENCE);
        assert!(sent.is_ok(), "the flow is taken in, whatever the broker does");
    }
    rig.broker.failures.store(7, Ordering::SeqCst);
    rig.wait("records wait and none is acknowledged", |s| s.state == StreamState::Retrying && s.retries == 7);
    let status = rig.status();
    assert!(status.trouble.is_some_and(|t| t.contains("no acknowledgement")));
    assert_eq!(status.cursor, 100);
    rig.broker.deaf.store(false, Ordering::SeqCst);
    rig.wait("all are acknowledged", |s| s.cursor == 6000 && s.state == StreamState::Live);
    assert_eq!((rig.status().retries, rig.status().trouble), (0, None));
    let taken = rig.broker.taken.lock().clone();
    let expected: Vec<String> = (0..6000).map(|n| format!("{n}.0")).collect();
    assert_eq!(taken, expected, "each once, in order");
    drop(rig.flow);
    rig.drain.raise();
    rig.streams.join();
}

#[test]
fn silence_without_records_is_no_trouble() {
    let rig = rig();
    rig.broker.deaf.store(true, Ordering::SeqCst);
    std::thread::sleep(Duration::from_millis(3500));
    assert_eq!((rig.status().state, rig.status().trouble.clone()), (StreamState::Live, None));
    rig.drain.raise();
    drop(rig.flow);
    rig.streams.join();
}
