//! A draft-04 validator over [`Json`] that behaves as the reference pipeline does.
//!
//! Where the draft and the reference differ, the reference wins, because trackers were debugged against it: `5.0` and `1e3`
//! are no integers, unknown keywords (`const`, `if`) are ignored, a reference to another document accepts everything, patterns
//! are Java's. Numbers are compared exactly, by their text. A schema is compiled once; checking good data allocates nothing.

mod check;
mod compile;
mod equal;
mod explain;
mod format;
mod format_text;
mod java_class;
mod java_regex;
mod names;
mod node;
mod number;
mod pattern;
mod refs;
mod report;
mod steps;

pub use report::{Report, SchemaIssue};

use crate::event::json::{Json, parse};
use std::sync::LazyLock;

/// Deepest nesting of a schema document.
pub const MAX_SCHEMA_DEPTH: usize = 100;

/// A compiled schema.
#[derive(Debug)]
pub struct Validator {
    nodes: Vec<node::Node>,
}

/// The metaschema that every schema is checked against first.
static DRAFT_04: LazyLock<Validator> = LazyLock::new(|| {
    let document = parse(include_str!("draft04.json"), MAX_SCHEMA_DEPTH);
    // A broken metaschema would be a broken build; a test compiles it.
    let nodes = document.ok().and_then(|d| compile::compile(&d).ok()).unwrap_or_default();
    Validator { nodes }
});

impl Validator {
    /// Compiles a schema document.
    ///
    /// # Errors
    /// What makes the document no draft-04 schema, and what in it cannot be used.
    pub fn compile(document: &Json) -> Result<Self, Vec<SchemaIssue>> {
        let reports = DRAFT_04.validate(document);
        if !reports.is_empty() {
            return Err(reports.into_iter().map(|r| SchemaIssue { path: r.path, message: r.message }).collect());
        }
        compile::compile(document).map(|nodes| Validator { nodes })
    }

    /// Whether the data passes. Allocates nothing unless the schema says `uniqueItems`.
    pub fn is_valid(&self, data: &Json) -> bool {
        let mut check = check::Check::new(&self.nodes);
        check.passes(compile::ROOT, data) && check.budget > 0
    }

    /// Everything that is wrong with the data; empty = it passes.
    pub fn validate(&self, data: &Json) -> Vec<Report> {
        if self.is_valid(data) { Vec::new() } else { explain::explain(&self.nodes, compile::ROOT, data) }
    }
}

/// A Java regular expression in the dialect of the `regex` and `fancy-regex` crates, for whoever anchors it at both ends.
///
/// # Errors
/// What cannot be translated, in a few words.
pub fn java_pattern(pattern: &str) -> Result<String, String> {
    java_regex::translate(pattern).map(|translated| translated.strict)
}

/// Equality of JSON values: numbers by value, objects in any order.
pub(super) fn equal_json(a: &Json, b: &Json) -> bool {
    equal::equal(a, b)
}

/// Whether one JSON number is greater than another.
pub(super) fn number_above(a: &str, b: &str) -> bool {
    number::compare(a, b).is_gt()
}

/// Whether a value of `format` is enforced.
pub(super) fn is_known_format(name: &str) -> bool {
    format::Format::named(name).is_some()
}

/// Whether draft-04 knows a keyword.
pub(super) fn is_draft04_keyword(name: &str) -> bool {
    DRAFT_04_KEYWORDS.contains(name)
}

/// The keywords: the properties of the metaschema, and `$ref`, which it cannot hold.
static DRAFT_04_KEYWORDS: LazyLock<ahash::AHashSet<String>> = LazyLock::new(|| {
    let document = parse(include_str!("draft04.json"), MAX_SCHEMA_DEPTH).ok();
    let properties = document.as_ref().and_then(|d| d.get("properties")?.as_object()).unwrap_or(&[]);
    properties.iter().map(|(name, _)| name.to_string()).chain(["$ref".to_owned()]).collect()
});

#[cfg(test)]
mod tests;
