//! What a run tells: how far it is, and in the end what came of it.

use crate::event::Cause;
use serde::Serialize;
use std::collections::HashMap;

/// Causes that are told apart; beyond it they are counted as one.
const MAX_CAUSES: usize = 1000;

/// One line of the answer.
#[derive(Clone, PartialEq, Debug, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Update {
    /// How far it is; comes about twice a second.
    Progress(Progress),
    /// It is done.
    Summary(Summary),
    /// It ended early, and why. What was repaired before stays repaired.
    Error {
        /// In words for people.
        message: String,
        /// Failures that it had repaired.
        repaired: u64,
    },
}

/// How far a run is.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize)]
pub struct Progress {
    /// Failures looked at.
    pub looked_at: u64,
    /// Failures to be looked at.
    pub total: u64,
    /// Of those looked at: pass now.
    pub passing: u64,
    /// Of those that pass: repaired, in the answers.
    pub repaired: u64,
}

/// What came of a run.
#[derive(Clone, PartialEq, Debug, Default, Serialize)]
pub struct Summary {
    /// Nothing was changed, only looked at.
    pub dry_run: bool,
    /// Failures that stood and fitted the question.
    pub looked_at: u64,
    /// They pass today's schemas and steps.
    pub passing: u64,
    /// Repaired by this run: counted once in the answers. 0 of a dry run.
    pub repaired: u64,
    /// They still fail.
    pub still_failing: u64,
    /// Their request is neither in the journal nor in its archive.
    pub gone: u64,
    /// Failures that earlier runs have repaired.
    pub already_repaired: u64,
    /// Failures in memory that cannot be chosen before they are committed; a later run takes them.
    pub not_yet: u64,
    /// Why events still fail, most frequent first.
    pub causes: Vec<StillFailing>,
}

/// Events that fail for one reason.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct StillFailing {
    /// How many.
    pub count: u64,
    /// Which bad row, or `dropped`, or `not_replayable`.
    pub kind: String,
    /// The failure within it.
    pub failure: String,
    /// Schema concerned.
    pub schema: Option<String>,
    /// Where in the data.
    pub path: Option<String>,
    /// JSON Schema keyword or its like.
    pub keyword: Option<String>,
    /// One sentence about one of them.
    pub message: String,
}

type Key = (String, String, Option<String>, Option<String>, Option<String>);

/// Counts of a run.
#[derive(Debug, Default)]
pub(super) struct Tally {
    pub(super) progress: Progress,
    pub(super) still_failing: u64,
    pub(super) gone: u64,
    pub(super) already_repaired: u64,
    pub(super) not_yet: u64,
    causes: HashMap<Key, (u64, String)>,
}

impl Tally {
    /// An event fails with this cause.
    pub(super) fn fails(&mut self, cause: &Cause) {
        let key = (
            cause.kind.name().to_owned(),
            cause.failure.clone(),
            cause.schema.clone(),
            cause.path.clone(),
            cause.keyword.clone(),
        );
        self.add(key, &cause.message, 1);
    }

    /// Events that cannot become enriched for a reason that is no failure of theirs.
    pub(super) fn cannot(&mut self, kind: &str, failure: &str, n: u64) {
        self.add((kind.to_owned(), failure.to_owned(), None, None, None), failure, n);
    }

    fn add(&mut self, key: Key, message: &str, n: u64) {
        self.still_failing += n;
        let known = self.causes.contains_key(&key) || self.causes.len() < MAX_CAUSES;
        let key = if known { key } else { ("(other)".to_owned(), String::new(), None, None, None) };
        let counted = self.causes.entry(key).or_insert_with(|| (0, message.to_owned()));
        counted.0 += n;
    }

    pub(super) fn summary(self, dry_run: bool) -> Summary {
        let mut causes: Vec<StillFailing> = self
            .causes
            .into_iter()
            .map(|((kind, failure, schema, path, keyword), (count, message))| StillFailing {
                count,
                kind,
                failure,
                schema,
                path,
                keyword,
                message,
            })
            .collect();
        causes.sort_by(|a, b| b.count.cmp(&a.count).then_with(|| a.message.cmp(&b.message)));
        Summary {
            dry_run,
            looked_at: self.progress.looked_at,
            passing: self.progress.passing,
            repaired: self.progress.repaired,
            still_failing: self.still_failing,
            gone: self.gone,
            already_repaired: self.already_repaired,
            not_yet: self.not_yet,
            causes,
        }
    }
}
