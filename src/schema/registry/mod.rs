//! Where schema documents come from: the ones built in, folders, HTTP registries with a disk cache behind each.
//!
//! A source answers one question, "do you have this schema", in one of three ways: here it is, no, or no answer. Which source
//! is asked when is the resolver's business.

mod builtin;
mod disk;
mod folder;
mod http;

pub(super) use builtin::BuiltIn;
pub(super) use disk::DiskConfig;
pub(super) use folder::{Folder, Stamp};
pub(super) use http::{HttpMetrics, HttpRegistry};

use super::lookup::LookupError;
use crate::event::SchemaKey;
use std::time::Duration;

/// Largest schema document, in bytes.
pub(super) const MAX_DOCUMENT: usize = 1 << 20;

/// What a source says about a schema.
#[derive(Debug)]
pub(super) enum Answer {
    /// The document, as text.
    Found(String),
    /// It does not have it.
    NotFound,
    /// No answer, and how long it is not asked about this schema again.
    Failed(LookupError, Duration),
    /// It was not to be asked over the network, and nothing else is known.
    NotAsked,
}

/// Longest format; vendor and name are bounded by what a schema name is.
const MAX_FORMAT: usize = 128;

/// A vendor made of dots would lead out of the folder, or out of the registry's path; a path that is too long has a registry
/// answer that it cannot say, which looks like an outage.
pub(super) fn is_safe(key: &SchemaKey) -> bool {
    !key.vendor().bytes().all(|b| b == b'.') && key.format().len() <= MAX_FORMAT
}
