//! What can be wrong with an event, and the three forms in which it is told: the bad row, the failure entity of an
//! incomplete event, and the few words by which failures are grouped.

pub mod bad_row;
mod cause;
pub mod entity;
mod write;

use super::map::FieldError;
use super::step::StepFailure;
use crate::event::SchemaKey;
use crate::schema::{Invalid, LookupHistory, Report};
use std::borrow::Cow;
use std::sync::{Arc, LazyLock};

/// One message of a bad row. Which shapes a row may hold is fixed by its schema: adapter failures hold only the first three,
/// schema violations all but the first.
#[derive(Clone, PartialEq, Debug)]
pub enum Problem {
    /// A part of the request is not as it has to be.
    Input {
        /// `body`, `querystring`, `contentType`, a parameter.
        field: Cow<'static, str>,
        /// What it held.
        value: Option<String>,
        /// What is expected; cut to 256 characters when written.
        expectation: String,
    },
    /// A text is no JSON, or nested too deep.
    NotJson {
        /// Where it stood.
        field: Cow<'static, str>,
        /// The text.
        value: Option<String>,
        /// Why.
        error: String,
    },
    /// JSON that is not self-describing.
    NotIglu {
        /// The JSON, compact.
        json: String,
        /// `INVALID_DATA_PAYLOAD`, `INVALID_IGLUURI` or `INVALID_SCHEMAVER`.
        error: &'static str,
    },
    /// An envelope of another schema than the one that belongs here.
    Criterion {
        /// What it was.
        key: SchemaKey,
        /// What it has to be.
        criterion: &'static str,
    },
    /// The schema is unknown, or the data does not pass it.
    Iglu {
        /// The schema.
        key: SchemaKey,
        /// Which of the two.
        error: IgluError,
    },
}

/// What Iglu has to say against data.
#[derive(Clone, PartialEq, Debug)]
pub enum IgluError {
    /// No registry has the schema.
    Unresolved(Arc<LookupHistory>),
    /// The data does not pass.
    Invalid {
        /// Why.
        why: Invalid,
        /// The version that was applied instead of the one named.
        superseded_by: Option<SchemaKey>,
    },
}

/// Where self-describing data or a field came from.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Source {
    /// `ue_pr`, `ue_px`.
    Unstruct,
    /// `co`, `cx`.
    Contexts,
    /// What enrichments added.
    Derived,
    /// A column.
    AtomicField,
}

impl Source {
    /// The name used in failure entities, and as field of a `NotJson` message.
    pub const fn name(self) -> &'static str {
        match self {
            Source::Unstruct => "unstruct",
            Source::Contexts => "contexts",
            Source::Derived => "derived_contexts",
            Source::AtomicField => "atomic_field",
        }
    }
}

/// A schema violation of an event.
#[derive(Clone, PartialEq, Debug)]
pub struct Violation {
    /// What is wrong.
    pub problem: Problem,
    /// Where.
    pub source: Source,
    /// The data concerned, compact JSON.
    pub data: Option<String>,
}

/// Everything that is wrong with one event, by phase.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Failures {
    /// Mapping and validation of what came in.
    pub input: Vec<Violation>,
    /// Steps.
    pub steps: Vec<StepFailure>,
    /// Derived contexts, lengths, and what steps changed.
    pub output: Vec<Violation>,
}

impl Failures {
    /// Whether nothing is wrong.
    pub fn is_empty(&self) -> bool {
        self.input.is_empty() && self.steps.is_empty() && self.output.is_empty()
    }
}

static ATOMIC: LazyLock<SchemaKey> =
    LazyLock::new(|| SchemaKey::new("com.snowplowanalytics.snowplow", "atomic", "jsonschema", (1, 0, 0)));

/// One violation for all fields that could not be read or are too long. `keyword` is `atomic_field_parse_error` or
/// `atomic_field_length_exceeded`.
pub fn atomic_violation(errors: &[FieldError], keyword: &'static str) -> Option<Violation> {
    if errors.is_empty() {
        return None;
    }
    let mut data = String::from("{");
    for (i, e) in errors.iter().enumerate() {
        if i > 0 {
            data.push(',');
        }
        write::member(e.field, Some(&e.value), &mut data);
    }
    data.push('}');
    let report = |e: &FieldError| Report {
        message: e.message.clone().into_owned(),
        path: e.field.to_owned(),
        keyword: keyword.to_owned(),
        targets: Vec::new(),
    };
    let why = Invalid::Data(errors.iter().map(report).collect());
    Some(Violation {
        problem: Problem::Iglu { key: ATOMIC.clone(), error: IgluError::Invalid { why, superseded_by: None } },
        source: Source::AtomicField,
        data: Some(data),
    })
}
