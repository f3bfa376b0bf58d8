//! What an enrichment step is, and what it may touch.
//!
//! A step is a pure function of the event and of its own configuration: no clock, no randomness, no network, no state
//! between events. It never fails the program: what is wrong goes into [`StepContext`] and becomes a failed event, and the
//! steps after it still run. The order of the steps is fixed in [`super::steps`].

use super::params::Params;
use super::query::QueryPairs;
use super::steps::Asset;
use super::uri::Uri;
use crate::event::{Event, SchemaKey, SelfDescribing};
use crate::telemetry::Metrics;
use std::borrow::Cow;
use std::sync::Arc;

/// One step, configured.
pub trait Enrichment: Send + Sync {
    /// The name by which its failures are told, as in Snowplow's `enrichment.identifier`.
    fn identifier(&self) -> &'static str;

    /// Schema of the configuration file that switched it on; `None` for the steps that are always on and for those whose
    /// failures carry no enrichment information.
    fn config_key(&self) -> Option<&SchemaKey> {
        None
    }

    /// The data files that it was made from.
    fn assets(&self) -> &[Asset] {
        &[]
    }

    /// Registers what an operator should see of it, such as the hit rate of a cache.
    fn register(&self, _metrics: &Metrics) {}

    /// Does its work on one event.
    fn apply(&self, cx: &mut StepContext<'_>);
}

/// What a failing step has to say.
#[derive(Clone, PartialEq, Debug)]
pub enum StepMessage {
    /// A value was not as it has to be.
    Input {
        /// Column or parameter, at most 64 characters.
        field: Cow<'static, str>,
        /// What it held.
        value: Option<String>,
        /// What is allowed; cut to 256 characters when written.
        expectation: String,
    },
    /// Anything else; cut to 512 characters when written.
    Plain(String),
}

/// One failure of one step.
#[derive(Clone, PartialEq, Debug)]
pub struct StepFailure {
    /// Schema of the step's configuration and its identifier; `None` for the always-on steps.
    pub enrichment: Option<(SchemaKey, &'static str)>,
    /// What was wrong.
    pub message: StepMessage,
}

/// One event on its way through the steps.
pub struct StepContext<'a> {
    /// The event. Set columns here; text is sanitised once more when it is written.
    pub event: &'a mut Event,
    /// The raw parameters, query string and body merged, not sanitised.
    pub params: &'a Params<'a>,
    /// The request's headers, `Name: value`, in order.
    pub headers: &'a [Cow<'a, str>],
    /// The page URL, parsed; set by the step "page URI".
    pub page: Option<Uri<'a>>,
    /// `page_referrer`, parsed; set by the step "referer URI".
    pub referrer: Option<Uri<'a>>,
    /// The `Referer` header of the request.
    pub referer_header: Option<&'a str>,
    page_query: Option<QueryPairs>,
    current: Option<(SchemaKey, &'static str)>,
    failures: Vec<StepFailure>,
    derived: Vec<SelfDescribing>,
    added: Vec<SelfDescribing>,
    revised_contexts: Option<Option<String>>,
    revised_unstruct: Option<Option<String>>,
    dropped: Option<&'static str>,
}

/// What the steps leave behind, beside the event itself.
#[derive(Debug, Default)]
pub struct StepResults {
    /// All failures in order.
    pub failures: Vec<StepFailure>,
    /// Derived contexts, the latest step's first.
    pub derived: Vec<SelfDescribing>,
    /// New text of `contexts`, when a step replaced it (`Some(None)`: took it away).
    pub contexts: Option<Option<String>>,
    /// New text of `unstruct_event`, likewise.
    pub unstruct: Option<Option<String>>,
    /// The step that dropped the event.
    pub dropped: Option<&'static str>,
}

impl<'a> StepContext<'a> {
    /// A context for one event before its first step.
    pub fn new(
        event: &'a mut Event,
        params: &'a Params<'a>,
        headers: &'a [Cow<'a, str>],
        referer_header: Option<&'a str>,
    ) -> Self {
        StepContext {
            event,
            params,
            headers,
            page: None,
            referrer: None,
            referer_header,
            page_query: None,
            current: None,
            failures: Vec::new(),
            derived: Vec::new(),
            added: Vec::new(),
            revised_contexts: None,
            revised_unstruct: None,
            dropped: None,
        }
    }

    /// Runs one step. False when the event was dropped and no further step may run.
    pub fn run(&mut self, step: &dyn Enrichment) -> bool {
        self.current = step.config_key().map(|key| (key.clone(), step.identifier()));
        step.apply(self);
        if !self.added.is_empty() {
            self.derived.splice(0..0, self.added.drain(..));
        }
        self.dropped.is_none()
    }

    /// What the steps left behind.
    pub fn finish(self) -> StepResults {
        StepResults {
            failures: self.failures,
            derived: self.derived,
            contexts: self.revised_contexts,
            unstruct: self.revised_unstruct,
            dropped: self.dropped,
        }
    }

    /// The decoded pairs of the page URL's query, in order; `&` and `;` separate, `+` is a space, a name without a value
    /// has the value "". Where a name repeats, Snowplow's steps take the last: [`QueryPairs::last`].
    pub fn page_query(&mut self) -> &QueryPairs {
        let page = self.page.as_ref();
        self.page_query.get_or_insert_with(|| page.and_then(Uri::query).map(QueryPairs::parse).unwrap_or_default())
    }

    /// Reports that a value was not as it has to be. The event becomes a failed event.
    pub fn fail_input(&mut self, field: &'static str, value: Option<&str>, expectation: impl Into<String>) {
        self.fail(StepMessage::Input {
            field: field.into(),
            value: value.map(str::to_owned),
            expectation: expectation.into(),
        });
    }

    /// Reports any other failure. The event becomes a failed event.
    pub fn fail_plain(&mut self, error: impl Into<String>) {
        self.fail(StepMessage::Plain(error.into()));
    }

    /// Reports a failure.
    pub fn fail(&mut self, message: StepMessage) {
        self.failures.push(StepFailure { enrichment: self.current.clone(), message });
    }

    /// Adds a derived context: compact JSON text of its `data`. It is validated after the last step. Contexts of one step
    /// keep their order, and the whole step goes before those of earlier steps.
    pub fn derive(&mut self, schema: SchemaKey, data: impl Into<Arc<str>>) {
        self.added.push(SelfDescribing { schema, data: data.into() });
    }

    /// Derived contexts of the steps so far, in the order in which they would be written.
    pub fn derived(&self) -> &[SelfDescribing] {
        &self.derived
    }

    /// Throws away the derived contexts of the steps so far.
    pub fn erase_derived(&mut self) {
        self.derived.clear();
        self.added.clear();
    }

    /// Replaces the column `contexts` by the text of another envelope (`None`: by nothing). It is taken apart and
    /// validated after the last step, like the one that came with the event.
    pub fn replace_contexts(&mut self, envelope: Option<String>) {
        self.revised_contexts = Some(envelope);
    }

    /// Replaces the column `unstruct_event`, as [`StepContext::replace_contexts`] does.
    pub fn replace_unstruct(&mut self, envelope: Option<String>) {
        self.revised_unstruct = Some(envelope);
    }

    /// The text of the column `contexts` as it stands, replacements of earlier steps included.
    pub fn contexts_text(&self) -> Option<Cow<'_, str>> {
        match &self.revised_contexts {
            Some(revised) => revised.as_deref().map(Cow::Borrowed),
            None => crate::event::tsv::contexts_envelope(&self.event.contexts).map(Cow::Owned),
        }
    }

    /// The text of the column `unstruct_event` as it stands, replacements of earlier steps included.
    pub fn unstruct_text(&self) -> Option<Cow<'_, str>> {
        match &self.revised_unstruct {
            Some(revised) => revised.as_deref().map(Cow::Borrowed),
            None => crate::event::tsv::unstruct_envelope(self.event.unstruct.as_ref()).map(Cow::Owned),
        }
    }

    /// Drops the event by the user's own wish: it is counted as dropped and written nowhere. No further step runs.
    pub fn drop_event(&mut self, by: &'static str) {
        self.dropped = Some(by);
    }
}
