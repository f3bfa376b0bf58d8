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
#[cfg(test)]
mod oracle;
mod pattern;
mod refs;
mod report;
mod steps;
#[cfg(test)]
mod tests;

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
