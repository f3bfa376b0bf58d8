//! A draft-04 validator over [`Json`] that behaves as the reference does.

mod report;

pub use report::{Report, SchemaIssue};

use crate::event::json::Json;

/// A compiled schema.
#[derive(Debug)]
pub struct Validator {}

impl Validator {
    /// Compiles a schema document.
    ///
    /// # Errors
    /// What makes the document no draft-04 schema.
    pub fn compile(_document: &Json) -> Result<Self, Vec<SchemaIssue>> {
        Ok(Validator {})
    }
    /// Whether the data passes.
    pub fn is_valid(&self, _data: &Json) -> bool {
        true
    }
    /// Everything that is wrong with the data.
    pub fn validate(&self, _data: &Json) -> Vec<Report> {
        Vec::new()
    }
}
