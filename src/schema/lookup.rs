//! What a look-up can say, and how it reads in a bad row.

use super::document::CompiledSchema;
use crate::event::json::write_string;
use crate::platform::clock::Millis;
use std::sync::Arc;

/// What is known about a schema right now, without asking anybody.
#[derive(Clone, Debug)]
pub enum Lookup {
    /// Here it is.
    Found(Arc<CompiledSchema>),
    /// Every registry was asked and none has it: the event fails with a `ResolutionError`.
    Missing(Arc<LookupHistory>),
    /// Nobody was asked yet: call [`super::Resolver::fetch`], then look again.
    NotYet,
}

/// Longest message that the schemas of the bad rows allow.
const MAX_MESSAGE: usize = 256;

/// What each registry said about a schema that none of them has, in the order in which they were asked.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct LookupHistory {
    repositories: Vec<(String, LookupError)>,
}

/// What one registry said, in the words of the Iglu client.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum LookupError {
    /// It does not have the schema.
    NotFound,
    /// It is in trouble (5xx).
    RepoFailure(String),
    /// The request failed: network, time-out, another 4xx, an unreadable document.
    ClientFailure(String),
}

impl LookupHistory {
    pub(super) fn push(&mut self, repository: &str, error: LookupError) {
        let error = match error {
            LookupError::NotFound => LookupError::NotFound,
            LookupError::RepoFailure(m) => LookupError::RepoFailure(m.chars().take(MAX_MESSAGE).collect()),
            LookupError::ClientFailure(m) => LookupError::ClientFailure(m.chars().take(MAX_MESSAGE).collect()),
        };
        self.repositories.push((repository.to_owned(), error));
    }

    /// The registries and what they said.
    pub fn repositories(&self) -> &[(String, LookupError)] {
        &self.repositories
    }

    /// Appends the array that stands under `lookupHistory` in a bad row:
    /// `[{"repository","errors":[{"error","message"?}],"attempts","lastAttempt"}]`.
    ///
    /// `at` is the processing time of the event. It stands for the attempt, although the answer may come from a cache, and
    /// the attempt counts 1, so that a replay writes the same bytes.
    pub fn write_json(&self, at: Millis, out: &mut String) {
        let time = jiff::Timestamp::from_millisecond(at).unwrap_or(jiff::Timestamp::UNIX_EPOCH);
        out.push('[');
        for (i, (repository, error)) in self.repositories.iter().enumerate() {
            if i > 0 {
                out.push(',');
            }
            out.push_str("{\"repository\":");
            write_string(repository, out);
            out.push_str(",\"errors\":[{\"error\":");
            let message = match error {
                LookupError::NotFound => {
                    out.push_str("\"NotFound\"");
                    None
                }
                LookupError::RepoFailure(message) => {
                    out.push_str("\"RepoFailure\"");
                    Some(message)
                }
                LookupError::ClientFailure(message) => {
                    out.push_str("\"ClientFailure\"");
                    Some(message)
                }
            };
            if let Some(message) = message {
                out.push_str(",\"message\":");
                write_string(message, out);
            }
            out.push_str(&format!("}}],\"attempts\":1,\"lastAttempt\":\"{time:.3}\"}}"));
        }
        out.push(']');
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_history_reads_as_in_a_bad_row() {
        let mut history = LookupHistory::default();
        history.push("built-in", LookupError::NotFound);
        history.push("ours", LookupError::ClientFailure("no \"route\"".into()));
        let mut long = LookupHistory::default();
        long.push("x", LookupError::RepoFailure("ü".repeat(1000)));
        assert_eq!(long.repositories()[0].1, LookupError::RepoFailure("ü".repeat(256)));
        let mut out = String::new();
        history.write_json(1_700_000_000_000, &mut out);
        assert_eq!(
            out,
            concat!(
                r#"[{"repository":"built-in","errors":[{"error":"NotFound"}],"attempts":1,"#,
                r#""lastAttempt":"2023-11-14T22:13:20.000Z"},"#,
                r#"{"repository":"ours","errors":[{"error":"ClientFailure","message":"no \"route\""}],"attempts":1,"#,
                r#""lastAttempt":"2023-11-14T22:13:20.000Z"}]"#
            )
        );
    }
}
