//! What can be wrong with a view: its definition, a question to it, the rows or the stored form that it is given.

/// Why a view cannot be used as asked. The text says what, where and what is allowed.
#[derive(Clone, PartialEq, Debug, thiserror::Error)]
pub enum ViewError {
    /// The definition is wrong: a start-up error.
    #[error("view \"{view}\", {key}: {problem}")]
    Definition {
        /// Name of the view, as written.
        view: String,
        /// Key of the definition, as in `measures.users`.
        key: String,
        /// What is wrong and what is allowed.
        problem: String,
    },
    /// The question is wrong: the asker's fault (HTTP 400).
    #[error("{parameter}: {problem}")]
    Query {
        /// Which part of the question.
        parameter: &'static str,
        /// What is wrong.
        problem: String,
        /// What would work.
        hint: String,
    },
    /// The answer would not fit its bound: the asker's fault (HTTP 400).
    #[error("the answer has more than {limit} groups")]
    TooMany {
        /// The bound.
        limit: usize,
    },
    /// A column of events has another type than the vocabulary says: a bug or a foreign file.
    #[error("column {column} is {found}, expected {expected}")]
    Rows {
        /// Name of the column.
        column: String,
        /// Type that it must have.
        expected: &'static str,
        /// Type that it has.
        found: String,
    },
    /// A stored row of `derived.<view>` cannot be read.
    #[error("table derived.{view}, column {column}: {problem}")]
    Stored {
        /// Name of the view.
        view: String,
        /// Name of the column.
        column: String,
        /// What is wrong.
        problem: String,
    },
}

impl ViewError {
    /// What the asker can do about it, when that is known.
    pub fn hint(&self) -> Option<&str> {
        match self {
            ViewError::Query { hint, .. } if !hint.is_empty() => Some(hint),
            ViewError::TooMany { .. } => Some("ask for a shorter range, a coarser grain, or fewer dimensions with by="),
            _ => None,
        }
    }

    /// Whether the question was wrong and not the program or the data.
    pub fn is_askers_fault(&self) -> bool {
        matches!(self, ViewError::Query { .. } | ViewError::TooMany { .. })
    }
}
