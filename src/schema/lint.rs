//! What is wrong with an uploaded schema.

use serde::Serialize;
use std::fmt;

/// One thing that the linter found.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Finding {
    /// Where in the document: `$.self.vendor`.
    pub path: String,
    /// What is wrong, and what is right.
    pub message: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.path, self.message)
    }
}

/// A schema that was stored.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Stored {
    /// False when the same document was there before.
    pub created: bool,
    /// What could be better.
    pub warnings: Vec<Finding>,
}
