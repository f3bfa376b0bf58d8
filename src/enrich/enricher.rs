//! The pure core: one journal record to outcomes.
//!
//! No clock, no randomness, no network: the same record, the same schemas and the same configuration give the same bytes,
//! whoever asks. Schemas come out of memory; a record that needs one that memory does not have is given back, to be done
//! again when it has been fetched.

use super::adapt::{self, AdapterContext};
use super::config::Config;
use super::failure::bad_row::{self, RawEvent};
use super::limits::Limits;
use super::loader::bundle::{self, BundleError};
use super::loader::{self, FormatViolation, Texts};
use super::one::EventRun;
use super::recorded;
use super::schemas::{Answers, Schemas};
use super::steps::{Asset, Steps};
use crate::event::replay::{Carried, Replay};
use crate::event::{EventAddr, Failure, Offset, Outcome, Processed, SchemaKey, thrift};
use crate::journal::RecordKind;
use crate::platform::clock::Millis;
use crate::schema::{Network, Outage, Resolver};
use bytes::Bytes;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use uuid::Uuid;

/// Turns records into outcomes. Shared by all workers; holds no state that a result depends on.
#[derive(Debug)]
pub struct Enricher {
    pub(super) steps: Steps,
    pub(super) limits: Limits,
    pub(super) max_depth: usize,
    pub(super) failed_events: bool,
    pub(super) accept_invalid: bool,
    pub(super) max_record: u64,
    pub(super) v_etl: String,
    resolver: Arc<Resolver>,
    journal_id: Uuid,
    over_long: AtomicU64,
}

/// What one record became.
#[derive(Debug, Default)]
pub struct Processing {
    /// Its outcomes in order of index.
    pub items: Vec<Processed>,
    /// When the payload was received, milliseconds; 0 when that cannot be read.
    pub received_ms: Millis,
}

/// Schemas that have to be fetched before a record can be done.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Wanted(pub Vec<SchemaKey>);

impl Enricher {
    /// The data files that enrichment was made from.
    pub fn assets(&self) -> impl Iterator<Item = &Asset> {
        self.steps.assets()
    }

    /// Puts the core together. `journal_id` is the name space of event ids that have to be made up.
    ///
    /// # Errors
    /// Columns of `atomic_limits` that do not exist.
    pub fn new(
        config: &Config,
        steps: Steps,
        resolver: Arc<Resolver>,
        journal_id: Uuid,
    ) -> Result<Self, super::error::BuildError> {
        Ok(Enricher {
            steps,
            limits: Limits::new(&config.atomic_limits).map_err(super::error::BuildError::Limits)?,
            max_depth: config.max_json_depth,
            failed_events: config.failed_events,
            accept_invalid: config.accept_invalid,
            max_record: config.max_record_bytes.0,
            v_etl: format!("{}-{}", super::ARTIFACT, super::VERSION),
            resolver,
            journal_id,
            over_long: AtomicU64::new(0),
        })
    }

    /// Events with over-long columns that passed because the configuration says so.
    pub fn over_long(&self) -> u64 {
        self.over_long.load(Ordering::Relaxed)
    }

    /// Whether a record holds several payloads in compressed form.
    pub fn is_bundle(&self, body: &[u8]) -> bool {
        bundle::compression(body).is_some()
    }

    pub(super) fn count_over_long(&self) {
        self.over_long.fetch_add(1, Ordering::Relaxed);
    }

    /// The id of an event that came without one: the same on every replay.
    pub(super) fn event_id(&self, addr: EventAddr) -> Uuid {
        Uuid::new_v5(&self.journal_id, addr.to_string().as_bytes())
    }

    /// One pure pass over one record. `etl_ms` is the processing time that its events carry.
    ///
    /// # Errors
    /// The schemas that memory does not have; nothing was decided.
    pub fn attempt(
        &self,
        offset: Offset,
        kind: RecordKind,
        body: &Bytes,
        etl_ms: Millis,
    ) -> Result<Processing, Wanted> {
        self.pass(offset, kind, body, etl_ms, &Answers::default())
    }

    fn pass(
        &self,
        offset: Offset,
        kind: RecordKind,
        body: &Bytes,
        etl_ms: Millis,
        answers: &Answers,
    ) -> Result<Processing, Wanted> {
        let schemas = Schemas::new(&self.resolver, answers);
        let run = || {
            let mut run = Run { enricher: self, schemas: &schemas, offset, etl_ms, done: Processing::default() };
            match kind {
                RecordKind::Payload => run.record(body),
                RecordKind::BadRow => run.recorded(body),
                RecordKind::Replay => run.replay(body),
            }
            run.done
        };
        // A fault in a step must not stop the pipeline for ever at the record that shows it.
        let done = catch_unwind(AssertUnwindSafe(run)).unwrap_or_else(|panic| {
            let what = panic.downcast_ref::<String>().map(String::as_str);
            let what = what.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("unknown");
            let mut run = Run { enricher: self, schemas: &schemas, offset, etl_ms, done: Processing::default() };
            if kind == RecordKind::Replay {
                // The failures that it was to repair stand.
                return run.done;
            }
            let message = format!("enrichment stopped on an internal error: {what}");
            let text = String::from_utf8_lossy(body);
            run.fail(bad_row::generic_error(&[message.into()], &text, self.max_record, 0, etl_ms));
            run.done
        });
        match schemas.into_wanted() {
            wanted if wanted.is_empty() => Ok(done),
            wanted => Err(Wanted(wanted)),
        }
    }

    /// Does one record, fetching schemas as needed.
    ///
    /// # Errors
    /// A registry does not answer: nothing was decided, try again later.
    pub fn process(
        &self,
        offset: Offset,
        kind: RecordKind,
        body: &Bytes,
        etl_ms: Millis,
    ) -> Result<Processing, Outage> {
        self.process_asking(offset, kind, body, etl_ms, Network::Free)
    }

    /// As [`Enricher::process`], for a record that came from outside a moment ago: what strangers make up is not to keep the
    /// registries busy, nor the events behind it waiting.
    ///
    /// # Errors
    /// As [`Enricher::process`].
    pub fn process_arriving(
        &self,
        offset: Offset,
        kind: RecordKind,
        body: &Bytes,
        etl_ms: Millis,
    ) -> Result<Processing, Outage> {
        self.process_asking(offset, kind, body, etl_ms, Network::Budgeted)
    }

    fn process_asking(
        &self,
        offset: Offset,
        kind: RecordKind,
        body: &Bytes,
        etl_ms: Millis,
        network: Network,
    ) -> Result<Processing, Outage> {
        let mut answers = Answers::default();
        // Every round answers at least one name that the record holds, and no pass asks for the same name twice.
        loop {
            match self.pass(offset, kind, body, etl_ms, &answers) {
                Ok(done) => return Ok(done),
                Err(Wanted(wanted)) => answers.fetch(&self.resolver, wanted, network)?,
            }
        }
    }
}

/// The pass over one record.
struct Run<'e, 's, 'r> {
    enricher: &'e Enricher,
    schemas: &'s Schemas<'r>,
    offset: Offset,
    etl_ms: Millis,
    done: Processing,
}

impl Run<'_, '_, '_> {
    fn push(&mut self, outcome: Outcome) {
        let index = self.done.items.len() as u32;
        self.done.items.push(Processed::new(EventAddr { offset: self.offset, index }, outcome));
    }

    /// A bad row over the limit is replaced by one that says so.
    fn fail(&mut self, failure: Failure) {
        let max = self.enricher.max_record;
        let failure = if failure.bad_row.len() as u64 > max {
            let at = failure.collector_ms;
            let short = bad_row::size_violation(&failure.bad_row, "a bad row", max, at, self.etl_ms);
            Failure { app_id: failure.app_id, incomplete: failure.incomplete, ..short }
        } else {
            failure
        };
        self.push(Outcome::Failed(Box::new(failure)));
    }

    /// The carried record as if it stood in its own place; what of it counts gets the place of the replay. It did not arrive
    /// now, so it has no receive time.
    fn replay(&mut self, body: &Bytes) {
        let (replay, carried) = match Replay::decode(body) {
            Ok(parts) => parts,
            Err(e) => {
                let text = String::from_utf8_lossy(body);
                let max = self.enricher.max_record;
                return self.fail(bad_row::generic_error(&[e.to_string().into()], &text, max, 0, self.etl_ms));
            }
        };
        let at = std::mem::replace(&mut self.offset, replay.offset);
        match replay.kind {
            Carried::Payload => self.record(&carried),
            Carried::BadRow => self.recorded(&carried),
        }
        self.offset = at;
        self.done.items = replay.choose(at, std::mem::take(&mut self.done.items));
        self.done.received_ms = 0;
    }

    fn recorded(&mut self, body: &Bytes) {
        let failure = recorded::read(body, self.enricher.max_record, self.etl_ms);
        self.done.received_ms = failure.collector_ms;
        self.push(Outcome::Failed(Box::new(failure)));
    }

    fn record(&mut self, body: &Bytes) {
        let Some(compression) = bundle::compression(body) else { return self.payload(body) };
        for piece in bundle::unpack(body, compression) {
            match piece {
                Ok(payload) => self.payload(&payload),
                Err(BundleError::Corrupt(what)) => self.refuse(&[FormatViolation::whole(what)], body, 0),
                Err(BundleError::TooLong(len)) => {
                    let text = format!("a payload of {len} bytes inside a {compression} bundle");
                    let failure =
                        bad_row::size_violation(&text, "a payload", bundle::MAX_PAYLOAD as u64, 0, self.etl_ms);
                    self.fail(failure);
                }
            }
        }
    }

    fn refuse(&mut self, violations: &[FormatViolation], record: &[u8], collector_ms: Millis) {
        for violation in violations {
            self.fail(bad_row::format_violation(violation, record, collector_ms, self.etl_ms));
        }
    }

    fn payload(&mut self, record: &Bytes) {
        let payload = match thrift::decode(record) {
            Ok(payload) => payload,
            Err(e) => return self.refuse(&[FormatViolation::whole(e.to_string())], record, 0),
        };
        let received = payload.timestamp_ms;
        self.done.received_ms = received;
        if let Err(violation) = loader::check_schema(&payload) {
            return self.refuse(&[violation], record, received);
        }
        let texts = Texts::of(&payload);
        let collected = match loader::load(&texts) {
            Ok(collected) => collected,
            Err(violations) => return self.refuse(&violations, record, received),
        };
        let cx = AdapterContext { schemas: self.schemas, max_depth: self.enricher.max_depth };
        match adapt::adapt(&collected, &cx) {
            Err((kind, problems)) => self.fail(bad_row::adapter(kind, &collected, &problems, self.etl_ms)),
            Ok(events) => {
                self.done.items.reserve_exact(events.len());
                for params in &events {
                    let addr = EventAddr { offset: self.offset, index: self.done.items.len() as u32 };
                    let raw = RawEvent { collected: &collected, params };
                    match EventRun::new(self.enricher, self.schemas, raw, addr, self.etl_ms).outcome() {
                        Outcome::Failed(failure) => self.fail(*failure),
                        outcome => self.push(outcome),
                    }
                }
            }
        }
    }
}
