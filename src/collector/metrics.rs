//! What an operator can see of the collector. Touched once per wake-up of a connection, with plain atomic adds.

use crate::pipeline::bound::Level;
use crate::telemetry::Metrics;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;

/// Why something was not taken. The bound of the label is this list.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[allow(missing_docs)]
pub enum Refusal {
    /// As much waits for the journal as may: `collector.limits.queue_bytes` (503).
    Overload,
    /// `journal.queue_bytes` (503).
    JournalBytes,
    /// `journal.queue_requests` (503).
    JournalRequests,
    /// `journal.stalled_after` (503).
    JournalStalled,
    /// The journal cannot be written (503).
    Unavailable,
    /// No room to buffer the request (503).
    Memory,
    /// Body over the hard limit (413).
    TooLarge,
    /// No HTTP as it must be (400, 417, 501, 505).
    Malformed,
    /// Head or body did not come in time (408).
    RequestTimeout,
    /// The journal did not answer in time (503).
    Stalled,
    /// All connections are taken.
    Connections,
    /// One address has too many connections.
    ConnectionsPerAddress,
    /// TLS handshake or PROXY header failed.
    Handshake,
    /// An HTTP/2 client opened requests only to take them back.
    Flood,
}

const REFUSALS: [(Refusal, &str); 14] = [
    (Refusal::Overload, "overload"),
    (Refusal::JournalBytes, "journal_bytes"),
    (Refusal::JournalRequests, "journal_requests"),
    (Refusal::JournalStalled, "journal_stalled"),
    (Refusal::Unavailable, "unavailable"),
    (Refusal::Memory, "memory"),
    (Refusal::TooLarge, "too_large"),
    (Refusal::Malformed, "malformed"),
    (Refusal::RequestTimeout, "request_timeout"),
    (Refusal::Stalled, "stalled"),
    (Refusal::Connections, "connections"),
    (Refusal::ConnectionsPerAddress, "connections_per_address"),
    (Refusal::Handshake, "handshake"),
    (Refusal::Flood, "flood"),
];

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Reason {
    reason: &'static str,
}

/// The metrics of the collector. Clones share them.
#[derive(Clone, Debug)]
#[allow(missing_docs)]
pub struct CollectorMetrics {
    pub requests: Counter,
    pub accepted: Counter,
    pub bytes_in: Counter,
    pub records: Counter,
    pub appends: Counter,
    pub latency: Histogram,
    pub connections: Gauge,
    pub certificate_reloads: Counter,
    /// Bytes handed to the journal and not yet answered, of all workers.
    pub in_flight: Level,
    refusals: [Counter; REFUSALS.len()],
}

impl CollectorMetrics {
    /// Registers them.
    pub fn register(metrics: &Metrics) -> Self {
        let family = metrics.register(
            "collector_refusals",
            "Requests and connections that were not taken, by reason",
            Family::<Reason, Counter>::default(),
        );
        CollectorMetrics {
            requests: metrics.counter("collector_requests", "Requests of every kind that were answered"),
            accepted: metrics.counter("collector_accepted", "Requests that were stored and acknowledged"),
            bytes_in: metrics.counter("collector_received_bytes", "Bytes received on HTTP/1 connections"),
            records: metrics.counter("collector_records", "Records handed to the journal"),
            appends: metrics.counter("collector_appends", "Appends to the journal"),
            latency: metrics.seconds("collector_latency_seconds", "From the arrival of a request to its reply"),
            connections: metrics.gauge("collector_connections", "Open connections"),
            certificate_reloads: metrics.counter("collector_certificate_reloads", "Certificates exchanged"),
            in_flight: Level::default(),
            refusals: REFUSALS.map(|(_, reason)| family.get_or_create(&Reason { reason }).clone()),
        }
    }

    /// Counts refusals.
    pub fn refused(&self, refusal: Refusal, n: u64) {
        if let Some(at) = REFUSALS.iter().position(|(r, _)| *r == refusal) {
            self.refusals[at].inc_by(n);
        }
    }

    /// How many were refused for this reason.
    pub fn refusals(&self, refusal: Refusal) -> u64 {
        REFUSALS.iter().zip(&self.refusals).find(|((r, _), _)| *r == refusal).map_or(0, |(_, counter)| counter.get())
    }
}
