//! One schema, ready to check data.

use super::validator::{Report, SchemaIssue, Validator};
use crate::event::SchemaKey;
use crate::event::json::Json;
use serde::Serialize;

/// A schema compiled once. Cheap to share, no interior state.
#[derive(Debug)]
pub struct CompiledSchema {
    key: SchemaKey,
    superseded_by: Option<SchemaKey>,
    validator: Result<Validator, Vec<SchemaIssue>>,
    content: u64,
}

/// Tells documents apart within this process.
fn content_of(text: &str) -> u64 {
    ahash::RandomState::with_seeds(1, 2, 3, 4).hash_one(text)
}

/// Why data does not pass. Serialises as the body of a `ValidationError` (`dataReports` or `schemaIssues`).
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub enum Invalid {
    /// The data breaks these rules.
    #[serde(rename = "dataReports")]
    Data(Vec<Report>),
    /// The schema itself is no draft-04 schema, so no data can pass.
    #[serde(rename = "schemaIssues")]
    Schema(Vec<SchemaIssue>),
}

impl CompiledSchema {
    /// Compiles a schema document. A document that is no schema still gives a value: every event that uses it fails with its
    /// [`CompiledSchema::schema_issues`].
    pub fn compile(key: SchemaKey, document: &Json) -> Self {
        let superseded_by = document
            .get("$supersededBy")
            .and_then(Json::as_str)
            .and_then(|v| crate::event::schema_key::parse_version(v).ok())
            .filter(|v| *v > key.version())
            .map(|v| key.with_version(v));
        let content = content_of(&document.to_text());
        CompiledSchema { superseded_by, validator: Validator::compile(document), content, key }
    }

    /// The schema for a document that cannot be read: nothing passes, and the issue says why.
    pub(super) fn unreadable(key: SchemaKey, why: &str, text: &str) -> Self {
        let issue = SchemaIssue { path: "$".to_owned(), message: format!("$: {why}") };
        CompiledSchema { superseded_by: None, validator: Err(vec![issue]), content: content_of(text), key }
    }

    /// Its name.
    pub fn key(&self) -> &SchemaKey {
        &self.key
    }

    /// The version that replaces it (`$supersededBy`): data is checked with that one, under its name.
    pub fn superseded_by(&self) -> Option<&SchemaKey> {
        self.superseded_by.as_ref()
    }

    /// What is wrong with the schema itself; empty for a proper one.
    pub fn schema_issues(&self) -> &[SchemaIssue] {
        self.validator.as_ref().err().map_or(&[], Vec::as_slice)
    }

    /// Whether `data` passes. Allocates nothing.
    pub fn is_valid(&self, data: &Json) -> bool {
        self.validator.as_ref().is_ok_and(|v| v.is_valid(data))
    }

    /// Everything that is wrong with `data`; empty = it passes. A faulty schema gives one report that says so.
    pub fn validate(&self, data: &Json) -> Vec<Report> {
        match &self.validator {
            Ok(validator) => validator.validate(data),
            Err(issues) => vec![Report::of_faulty_schema(issues)],
        }
    }

    /// As [`CompiledSchema::validate`], in the form of a `ValidationError`.
    ///
    /// # Errors
    /// Why the data does not pass.
    pub fn check(&self, data: &Json) -> Result<(), Invalid> {
        match &self.validator {
            Ok(validator) => match validator.validate(data) {
                reports if reports.is_empty() => Ok(()),
                reports => Err(Invalid::Data(reports)),
            },
            Err(issues) => Err(Invalid::Schema(issues.clone())),
        }
    }

    /// Tells whether two compiled schemas came from the same document.
    pub(super) fn same_content(&self, other: &CompiledSchema) -> bool {
        self.content == other.content && self.key == other.key
    }
}
