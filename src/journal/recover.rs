//! Finding out what a journal's folder holds, and making it fit to be written again.
//!
//! The rules, each with its reason in `docs/JOURNAL.md`:
//!
//! * A segment whose header was never completed holds nothing and goes, if it is the last.
//! * The valid part of the last segment ends at its last whole frame. What stands behind it is a torn write and is cut
//!   off, unless a frame behind it proves that it was once synced: then it is damage.
//! * The last group of the valid part may be in the page cache only (its sync failed or never came, and this process is not
//!   the first to look): it is written again in place and synced before anybody sees it.
//! * Every other segment must be whole up to where the next one says it ends; the rest of it is void.

use super::FORMAT;
use super::config::Config;
use super::error::{Damage, OpenError};
use super::index::{self, Summary};
use super::scan::{Torn, scan};
use super::segment::{self, BadHeader, HEADER};
use super::spare;
use super::stage::Open;
use super::view::SegmentView;
use crate::event::Offset;
use crate::platform::fs::{Access, Fs, read_exact_at, read_file, replace_durably};
use std::io;
use std::path::{Path, PathBuf};
use uuid::Uuid;

/// Name of the file that holds the journal's id.
const META: &str = "journal.meta";

/// What opening found and did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Recovery {
    /// Whether the journal was made now.
    pub created: bool,
    /// First record that is there.
    pub first: Offset,
    /// Next record to be written.
    pub end: Offset,
    /// Segment files.
    pub segments: usize,
    /// A torn write that was cut off the end, with its file.
    pub torn: Option<(PathBuf, Torn)>,
    /// What else was put right, in sentences.
    pub notes: Vec<String>,
}

/// What is known of a folder.
#[derive(Debug)]
pub(super) struct Recovered {
    pub(super) id: Uuid,
    pub(super) segments: Vec<SegmentView>,
    /// The last segment, ready to be written.
    pub(super) open: Option<Open>,
    pub(super) end: Offset,
    pub(super) report: Recovery,
}

/// A segment with its header, before its frames are looked at.
#[derive(Debug)]
pub(super) struct Found {
    pub(super) path: PathBuf,
    pub(super) header: segment::Header,
    pub(super) size: u64,
}

/// Opens the folder for writing; the caller holds its lock.
///
/// # Errors
/// See [`OpenError`].
pub(super) fn recover(config: &Config, fs: &dyn Fs, dir: &Path) -> Result<Recovered, OpenError> {
    let mut report = Recovery::default();
    match fs.remove(&spare::path(dir)) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => {
            return Err(OpenError::io("cannot remove", spare::path(dir))(e));
        }
        _ => {}
    }
    let found = find_segments(fs, dir, Some(&mut report))?;
    let id = identify(fs, dir, &found, &mut report)?;
    let mut segments = Vec::with_capacity(found.len());
    let mut budget = config.verify_bytes.0;
    // Newest first, so that the budget goes to what readers will want.
    for (i, this) in found.iter().enumerate().rev() {
        let Some(next) = found.get(i + 1) else { continue };
        let verify = budget >= this.size;
        budget = budget.saturating_sub(this.size);
        let summary = closed_summary(fs, dir, this, &next.header, verify)?;
        let mut view = view_of(&this.header, &summary);
        view.closed_ms = Some(next.header.created_ms);
        segments.push(view);
    }
    segments.reverse();
    let open = match found.into_iter().next_back() {
        Some(last) => {
            let (open, mut view, index) = reopen(fs, last, &mut report)?;
            // Its creation may have been cut short before its name was durable.
            fs.sync_dir(dir).map_err(OpenError::io("cannot sync", dir))?;
            view.index = Some(index);
            segments.push(view);
            Some(open)
        }
        None => None,
    };
    let end = segments.last().map_or(Offset::ZERO, |last| last.end);
    report.first = segments.first().map_or(end, |first| first.first);
    report.end = end;
    report.segments = segments.len();
    Ok(Recovered { id, segments, open, end, report })
}

/// The segments of a folder in order, headers read. With a `report`, the folder is ours and leftovers are removed.
pub(super) fn find_segments(
    fs: &dyn Fs,
    dir: &Path,
    mut report: Option<&mut Recovery>,
) -> Result<Vec<Found>, OpenError> {
    let names = fs.list(dir).map_err(OpenError::io("cannot list", dir))?;
    let mut firsts: Vec<Offset> = names.iter().filter_map(|name| segment::parse_name(name)).collect();
    firsts.sort_unstable();
    let mut found = Vec::with_capacity(firsts.len());
    for (i, first) in firsts.iter().enumerate() {
        let path = segment::path(dir, *first);
        let file = fs.open(&path, Access::Read).map_err(OpenError::io("cannot open", &path))?;
        let size = file.size().map_err(OpenError::io("cannot read", &path))?;
        let mut head = vec![0; size.min(HEADER) as usize];
        read_exact_at(file.as_ref(), &mut head, 0).map_err(OpenError::io("cannot read", &path))?;
        match segment::Header::decode(&head) {
            Ok(header) if header.first == *first => found.push(Found { path, header, size }),
            Ok(header) => {
                let what = format!("its header says that it begins with record {}", header.first);
                return Err(Damage { path, position: 0, offset: *first, what }.into());
            }
            Err(BadHeader::Newer(version)) => {
                return Err(OpenError::Newer { path, what: format!("format {version}") });
            }
            // Frames come only after the header is durable, so a short last file cannot hold any.
            Err(BadHeader::Damaged(_)) if i + 1 == firsts.len() && size <= HEADER => {
                if let Some(report) = report.as_deref_mut() {
                    fs.remove(&path).map_err(OpenError::io("cannot remove", &path))?;
                    fs.sync_dir(dir).map_err(OpenError::io("cannot sync", dir))?;
                    report.notes.push(format!("{} was never completed and is removed", path.display()));
                }
            }
            Err(BadHeader::Damaged(what)) => {
                return Err(Damage { path, position: 0, offset: *first, what: what.to_owned() }.into());
            }
        }
    }
    Ok(found)
}

/// The id of the journal: from its own file, or, when that is lost, from the segments.
fn identify(fs: &dyn Fs, dir: &Path, found: &[Found], report: &mut Recovery) -> Result<Uuid, OpenError> {
    let path = dir.join(META);
    let id = match read_meta(fs, dir)? {
        Some(id) => id,
        None => {
            let id = found.first().map_or_else(Uuid::new_v4, |segment| segment.header.journal);
            report.created = found.is_empty();
            if !report.created {
                report.notes.push(format!("{} was missing and is made again from the segments", path.display()));
            }
            let text = format!("snowshed journal\nformat {FORMAT}\nid {id}\n");
            replace_durably(fs, &path, text.as_bytes()).map_err(OpenError::io("cannot write", &path))?;
            id
        }
    };
    match found.iter().find(|segment| segment.header.journal != id) {
        None => Ok(id),
        Some(other) => {
            let what = format!("it belongs to journal {}, this one is {id}", other.header.journal);
            Err(Damage { path: other.path.clone(), position: 16, offset: other.header.first, what }.into())
        }
    }
}

/// Reads the id; `None` when there is no such file.
pub(super) fn read_meta(fs: &dyn Fs, dir: &Path) -> Result<Option<Uuid>, OpenError> {
    let path = dir.join(META);
    let bytes = match read_file(fs, &path) {
        Ok(bytes) => bytes,
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(e) => return Err(OpenError::io("cannot read", path)(e)),
    };
    let text = String::from_utf8_lossy(&bytes);
    let mut lines = text.lines();
    let format = (lines.next() == Some("snowshed journal"))
        .then(|| lines.next()?.strip_prefix("format ")?.parse::<u16>().ok())
        .flatten();
    match format {
        Some(format) if format > FORMAT => Err(OpenError::Newer { path, what: format!("format {format}") }),
        _ => match lines.next().and_then(|line| line.strip_prefix("id ")?.parse().ok()) {
            Some(id) if format.is_some() => Ok(Some(id)),
            _ => {
                let what = "this is no journal.meta; it can be removed when segments are there".to_owned();
                Err(Damage { path, position: 0, offset: Offset::ZERO, what }.into())
            }
        },
    }
}

/// What a closed segment holds, checked against what the next one says.
fn closed_summary(
    fs: &dyn Fs,
    dir: &Path,
    this: &Found,
    next: &segment::Header,
    verify: bool,
) -> Result<Summary, OpenError> {
    let known = index::read(fs, dir, this.header.first, this.header.seal)
        .filter(|summary| summary.end == next.previous_end && summary.bytes <= this.size);
    match known {
        Some(summary) if !verify => return Ok(summary),
        _ => {}
    }
    let file = fs.open(&this.path, Access::Read).map_err(OpenError::io("cannot open", &this.path))?;
    let scan = scan(&this.path, &file, &this.header, this.size, Some(next.previous_end))?;
    if scan.summary.end != next.previous_end {
        let what = format!("the file ends here, but the next segment says that it goes up to {}", next.previous_end);
        let (position, offset) = (scan.summary.bytes, scan.summary.end);
        return Err(Damage { path: this.path.clone(), position, offset, what }.into());
    }
    if known.is_none() {
        // Derived data: nothing depends on it.
        let _ = index::write(fs, dir, this.header.seal, &scan.summary);
    }
    Ok(scan.summary)
}

/// Makes the last segment fit to be written: cuts a torn write off and makes sure that what is left is on the disk.
fn reopen(fs: &dyn Fs, last: Found, report: &mut Recovery) -> Result<(Open, SegmentView, index::Index), OpenError> {
    let file = fs.open(&last.path, Access::Write).map_err(OpenError::io("cannot open", &last.path))?;
    let scan = scan(&last.path, &file, &last.header, last.size, None)?;
    let bytes = scan.summary.bytes;
    let settle = || -> io::Result<()> {
        if scan.torn.is_some() {
            file.set_len(bytes)?;
        }
        if bytes == HEADER {
            file.write_all_at(&last.header.encode(), 0)?;
        }
        let len = usize::try_from(bytes - scan.last_group).map_err(|_| io::ErrorKind::FileTooLarge)?;
        let mut group = vec![0; len];
        read_exact_at(file.as_ref(), &mut group, scan.last_group)?;
        file.write_all_at(&group, scan.last_group)?;
        file.sync_all()
    };
    settle().map_err(OpenError::io("cannot make the end durable of", &last.path))?;
    let prepared = scan.torn.is_none() && last.size > bytes;
    report.torn = scan.torn.map(|torn| (last.path.clone(), torn));
    let view = view_of(&last.header, &scan.summary);
    Ok((Open { file, header: last.header, len: bytes, prepared }, view, scan.summary.index))
}

fn view_of(header: &segment::Header, summary: &Summary) -> SegmentView {
    SegmentView {
        first: header.first,
        end: summary.end,
        bytes: summary.bytes,
        created_ms: header.created_ms,
        closed_ms: None,
        seal: header.seal,
        index: None,
    }
}
