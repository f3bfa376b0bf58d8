//! What makes the collector refuse, and how near it is: the bounds of promise P7 at the public port.

use super::metrics::{CollectorMetrics, Refusal};
use crate::journal::{Appender, Full};
use crate::net::{Budget, Gate};
use crate::pipeline::bound::Bound;

/// Looks at the bounds from outside, while the collector runs.
#[derive(Clone, Debug)]
pub struct Bounds {
    pub(super) gate: Gate,
    pub(super) budget: Budget,
    pub(super) appender: Appender,
    pub(super) metrics: CollectorMetrics,
    /// Bytes that may wait for the journal, of all workers.
    pub(super) queue_bytes: u64,
}

impl Bounds {
    /// All of them; those of the journal's queue are among them, since it is the collector that refuses for them.
    pub fn list(&self) -> Vec<Bound> {
        let refused = |refusal| self.metrics.refusals(refusal);
        let mut all: Vec<Bound> = self.appender.bounds().into();
        for bound in &mut all {
            bound.refused = match bound.name {
                n if n == Full::Bytes.key() => refused(Refusal::JournalBytes),
                n if n == Full::Requests.key() => refused(Refusal::JournalRequests),
                _ => refused(Refusal::JournalStalled),
            };
        }
        let waiting = self.metrics.in_flight.bound("collector.limits.queue_bytes", self.queue_bytes);
        all.push(Bound { refused: refused(Refusal::Overload), ..waiting });
        let buffers = self.budget.bound("collector.limits.buffer_bytes");
        all.push(Bound { refused: refused(Refusal::Memory), ..buffers });
        let [total, one] =
            self.gate.bounds(["collector.limits.connections", "collector.limits.connections_per_address"]);
        all.push(Bound { refused: refused(Refusal::Connections), ..total });
        all.push(Bound { refused: refused(Refusal::ConnectionsPerAddress), ..one });
        all
    }

    /// Requests that were refused because the journal could not be written at all.
    pub fn refused_by_disk(&self) -> u64 {
        self.metrics.refusals(Refusal::Unavailable)
    }
}
