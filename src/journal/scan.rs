//! Reading a segment from end to end: what is valid, where it stops, and whether a crash can have made it stop there.

use super::error::{Damage, OpenError};
use super::frame;
use super::index::{Index, Summary};
use super::record::RecordKind;
use super::segment;
use super::walk::{Step, Walker, blank, find_group};
use crate::event::Offset;
use crate::platform::fs::File;
use std::path::Path;
use std::sync::Arc;

/// What a segment was found to hold.
#[derive(Debug)]
pub(super) struct Scan {
    /// The valid part.
    pub(super) summary: Summary,
    /// Where the last group of the valid part begins. Whether its sync came back is not known.
    pub(super) last_group: u64,
    /// What stands behind the valid part, if anything.
    pub(super) torn: Option<Torn>,
}

/// Bytes behind the last whole frame: a write that a crash cut short.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Torn {
    /// Where they begin.
    pub position: u64,
    /// How many.
    pub bytes: u64,
    /// What they look like.
    pub what: &'static str,
}

/// Reads `file` up to `limit` bytes, or up to record `until`: what stands behind that one is void.
///
/// # Errors
/// Damage, an unknown format, or a file that cannot be read.
pub(super) fn scan(
    path: &Path,
    file: &Arc<dyn File>,
    header: &segment::Header,
    limit: u64,
    until: Option<Offset>,
) -> Result<Scan, OpenError> {
    let mut walker = Walker::new(file.clone(), header.seal, segment::HEADER, limit);
    let mut index = Index::default();
    let mut next = header.first;
    let mut last_group = segment::HEADER;
    let torn = loop {
        if until.is_some_and(|until| next >= until) {
            break None;
        }
        match walker.next(next.0).map_err(OpenError::io("cannot read", path))? {
            Step::Frame { header: frame, at, .. } => {
                if frame.group_start {
                    last_group = at;
                }
                if frame.kind == frame::CLOSE {
                    continue;
                }
                if RecordKind::from_number(frame.kind).is_none() {
                    let what = format!("record {next} is of kind {}", frame.kind);
                    return Err(OpenError::Newer { path: path.to_owned(), what });
                }
                index.note(next, at);
                next = next.next();
            }
            Step::End => break None,
            Step::Newer { version } => {
                let what = format!("record {next} has format {version}");
                return Err(OpenError::Newer { path: path.to_owned(), what });
            }
            Step::Bad { at, what, torn } => {
                let read = OpenError::io("cannot read", path);
                let proof = match blank(file.as_ref(), at, limit).map_err(OpenError::io("cannot read", path))? {
                    // The part of a prepared segment that was not reached.
                    true if until.is_none() => break None,
                    _ => find_group(file.as_ref(), header.seal, at, limit).map_err(read)?,
                };
                if !torn || proof.is_some() || until.is_some() {
                    let what = what.to_owned();
                    return Err(Damage { path: path.to_owned(), position: at, offset: next, what }.into());
                }
                break Some(Torn { position: at, bytes: limit - at, what });
            }
        }
    };
    let summary = Summary { first: header.first, end: next, bytes: walker.at(), index };
    Ok(Scan { summary, last_group, torn })
}
