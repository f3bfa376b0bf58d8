//! One raw event through its three phases.
//!
//! Phase 1 maps parameters and checks self-describing data, phase 2 runs the steps, phase 3 checks what the steps added.
//! A later phase runs although an earlier one failed; the bad row tells the first phase that did, the incomplete event all.

use super::enricher::Enricher;
use super::failure::bad_row::{self, RawEvent};
use super::failure::{Failures, atomic_violation, entity};
use super::fingerprint;
use super::limits::Limits;
use super::map;
use super::schemas::Schemas;
use super::self_describing::Inspector;
use super::step::{StepContext, StepResults};
use crate::event::columns as c;
use crate::event::{Event, EventAddr, Failure, Outcome, SelfDescribing, tsv};
use crate::platform::clock::Millis;

pub(super) struct EventRun<'a, 'r> {
    enricher: &'a Enricher,
    raw: RawEvent<'a>,
    addr: EventAddr,
    etl_ms: Millis,
    inspector: Inspector<'a, 'r>,
    event: Event,
    failures: Failures,
}

impl<'a, 'r> EventRun<'a, 'r> {
    pub fn new(
        enricher: &'a Enricher,
        schemas: &'a Schemas<'r>,
        raw: RawEvent<'a>,
        addr: EventAddr,
        etl_ms: Millis,
    ) -> Self {
        EventRun {
            enricher,
            raw,
            addr,
            etl_ms,
            inspector: Inspector::new(schemas, enricher.max_depth),
            event: Event::new(),
            failures: Failures::default(),
        }
    }

    pub fn outcome(mut self) -> Outcome {
        self.input();
        let results = self.steps();
        if let Some(by) = results.dropped {
            return Outcome::Dropped { by: by.to_owned() };
        }
        let derived = self.output(results);
        let infos = self.inspector.validation_infos();
        if self.failures.is_empty() {
            self.event.derived = derived;
            self.event.derived.extend(infos);
            return self.good();
        }
        let mut all = entity::all(&self.failures, self.etl_ms);
        all.extend(derived);
        all.extend(infos);
        self.event.derived = all;
        self.bad()
    }

    /// Phase 1.
    fn input(&mut self) {
        let mut fields = Vec::new();
        let params = self.raw.params;
        map::start(&mut self.event, self.raw.collected, self.etl_ms, &self.enricher.v_etl, &mut fields);
        let texts = map::apply(params, &mut self.event, &mut fields);
        if self.event.is_null(c::EVENT_ID) {
            let mut buffer = uuid::Uuid::encode_buffer();
            let id = self.enricher.event_id(self.addr);
            self.event.set_text(c::EVENT_ID, id.hyphenated().encode_lower(&mut buffer));
        }
        self.event.fingerprint = fingerprint::of(params);
        self.failures.input.extend(atomic_violation(&fields, "atomic_field_parse_error"));
        if let Some(text) = &texts.unstruct {
            self.unstruct(text, false);
        }
        if let Some(text) = &texts.contexts {
            self.event.contexts = self.contexts(text, false);
        }
    }

    fn unstruct(&mut self, text: &str, later: bool) {
        match self.inspector.unstruct(text) {
            Ok(datum) => self.event.unstruct = Some(datum),
            Err(violation) => {
                self.event.unstruct = None;
                if later { &mut self.failures.output } else { &mut self.failures.input }.push(violation);
            }
        }
    }

    fn contexts(&mut self, text: &str, later: bool) -> Vec<SelfDescribing> {
        let mut good = Vec::new();
        let bad = if later { &mut self.failures.output } else { &mut self.failures.input };
        self.inspector.contexts(text, &mut good, bad);
        good
    }

    /// Phase 2.
    fn steps(&mut self) -> StepResults {
        let collected = self.raw.collected;
        let mut cx = StepContext::new(&mut self.event, self.raw.params, collected.headers, collected.referer);
        self.enricher.steps.run(&mut cx);
        let mut results = cx.finish();
        self.failures.steps = std::mem::take(&mut results.failures);
        results
    }

    /// Phase 3. Gives the derived contexts that are good.
    fn output(&mut self, results: StepResults) -> Vec<SelfDescribing> {
        let derived = self.inspector.derived(results.derived, &mut self.failures.output);
        let too_long = self.enricher.limits.check(&self.event);
        if self.enricher.accept_invalid && !too_long.is_empty() {
            self.enricher.count_over_long();
        } else if let Some(violation) = atomic_violation(&too_long, "atomic_field_length_exceeded") {
            self.failures.output.push(violation);
            Limits::clear(&mut self.event, &too_long);
        }
        match results.unstruct {
            None => {}
            Some(None) => self.event.unstruct = None,
            Some(Some(text)) => {
                self.unstruct(&text, true);
                if self.event.unstruct.is_none() && self.event.text(c::EVENT) == Some("unstruct") {
                    for column in [c::EVENT_VENDOR, c::EVENT_NAME, c::EVENT_FORMAT, c::EVENT_VERSION] {
                        self.event.clear(column);
                    }
                }
            }
        }
        match results.contexts {
            None => {}
            Some(None) => self.event.contexts.clear(),
            Some(Some(text)) => self.event.contexts = self.contexts(&text, true),
        }
        derived
    }

    fn good(self) -> Outcome {
        let max = self.enricher.max_record;
        if tsv::longest(&self.event) as u64 > max {
            let line = tsv::line(&self.event);
            if line.len() as u64 > max {
                let received = self.raw.collected.timestamp_ms;
                let mut failure = bad_row::size_violation(&line, "an enriched event", max, received, self.etl_ms);
                failure.app_id = self.event.text(c::APP_ID).map(str::to_owned);
                return Outcome::Failed(Box::new(failure));
            }
        }
        Outcome::Enriched(Box::new(self.event))
    }

    /// The first phase that failed gives the bad row.
    fn bad(self) -> Outcome {
        let Failures { input, steps, output } = &self.failures;
        let mut failure: Failure = if !input.is_empty() {
            bad_row::schema_violations(input, &self.event, self.raw, self.etl_ms)
        } else if !steps.is_empty() {
            bad_row::enrichment_failures(steps, &self.event, self.raw, self.etl_ms)
        } else {
            bad_row::schema_violations(output, &self.event, self.raw, self.etl_ms)
        };
        let fits = |event: &Event| {
            let max = self.enricher.max_record;
            tsv::longest(event) as u64 <= max || tsv::line(event).len() as u64 <= max
        };
        if self.enricher.failed_events && fits(&self.event) {
            failure.incomplete = Some(Box::new(self.event));
        }
        Outcome::Failed(Box::new(failure))
    }
}
