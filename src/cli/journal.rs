//! `snowshed journal cat`: the raw truth, one JSON object a line; of a data directory, or of archived segments.

use super::Exit;
use crate::config::Loaded;
use crate::event::{Offset, Replay, payload_json, replay_json, thrift};
use crate::journal::{Entry, Journal, RecordKind, SegmentStream};
use crate::platform::fs::RealFs;
use clap::{Args, Subcommand};
use std::fs::File;
use std::io::{BufReader, BufWriter, Read, Write};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

#[derive(Subcommand, Debug)]
pub(super) enum JournalCommand {
    /// Print records as JSON lines, in offset order; reads a data directory at rest or in use, or archived segments
    Cat(CatArgs),
}

const EXAMPLES: &str = "\
Examples:
  snowshed journal cat --from 1200 --to 1300             records of the configured data directory
  snowshed journal cat data/lake/journal/*/              everything that was archived
  snowshed journal cat 000…000-000…120.seg.zst           one archived segment, fetched from the lake";

#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(super) struct CatArgs {
    /// Segments (`.seg`, `.seg.zst`), or folders of them, instead of a data directory
    #[arg(value_name = "FILE", conflicts_with = "data")]
    files: Vec<PathBuf>,
    /// Changes nothing: each line is JSON in any case
    #[arg(long = "json")]
    _json: bool,
    /// Data directory; by default what the configuration says
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// First offset to print
    #[arg(long, value_name = "N")]
    from: Option<u64>,
    /// First offset not to print
    #[arg(long, value_name = "N")]
    to: Option<u64>,
}

/// Bytes of records read at once.
const BLOCK: u64 = 4 << 20;

pub(super) fn journal(loaded: &Loaded, command: JournalCommand) -> Exit {
    let JournalCommand::Cat(args) = command;
    let done = if args.files.is_empty() { cat(loaded, &args) } else { cat_files(&args) };
    match done {
        Ok(()) => Exit::Done,
        Err(why) => {
            eprintln!("snowshed journal cat: {why}");
            Exit::Failed
        }
    }
}

fn cat(loaded: &Loaded, args: &CatArgs) -> Result<(), String> {
    let data = args.data.as_ref().unwrap_or(&loaded.config.data_dir);
    let journal = Journal::read_only(&data.join("journal"), Arc::new(RealFs)).map_err(|e| e.to_string())?;
    let from = Offset(args.from.unwrap_or(0)).max(journal.first());
    if args.from.is_some_and(|n| n < from.0) {
        eprintln!("snowshed journal cat: records below {from} were removed by retention");
    }
    let end = journal.end().min(Offset(args.to.unwrap_or(u64::MAX)));
    if from >= end {
        return Ok(());
    }
    let mut reader = journal.reader(from).map_err(|e| e.to_string())?;
    let mut out = BufWriter::new(std::io::stdout().lock());
    let mut line = String::new();
    'all: while reader.position() < end {
        let Some(batch) = reader.next(BLOCK, Duration::ZERO).map_err(|e| e.to_string())? else { break };
        for entry in &batch.records {
            if entry.offset >= end {
                break 'all;
            }
            line.clear();
            write_line(entry, &mut line);
            line.push('\n');
            if out.write_all(line.as_bytes()).is_err() {
                // Whoever read the pipe has seen enough.
                return Ok(());
            }
        }
    }
    let _ = out.flush();
    Ok(())
}

/// Prints segments that stand by themselves. Records that two of them hold are printed once.
fn cat_files(args: &CatArgs) -> Result<(), String> {
    let (from, to) = (Offset(args.from.unwrap_or(0)), Offset(args.to.unwrap_or(u64::MAX)));
    let mut out = BufWriter::new(std::io::stdout().lock());
    let mut line = String::new();
    let mut next = from;
    for path in segment_files(&args.files)? {
        let say = |e: &dyn std::fmt::Display| format!("{}: {e}", path.display());
        let file = File::open(&path).map_err(|e| say(&e))?;
        let bytes: Box<dyn Read> = match path.extension().is_some_and(|e| e == "zst") {
            true => Box::new(zstd::Decoder::new(file).map_err(|e| say(&e))?),
            false => Box::new(file),
        };
        let mut segment = SegmentStream::open(BufReader::with_capacity(BLOCK as usize, bytes)).map_err(|e| say(&e))?;
        while let Some(entry) = segment.next_entry().map_err(|e| say(&e))? {
            if entry.offset >= to {
                break;
            }
            if entry.offset < next {
                continue;
            }
            next = entry.offset.next();
            line.clear();
            write_line(&entry, &mut line);
            line.push('\n');
            if out.write_all(line.as_bytes()).is_err() {
                // Whoever read the pipe has seen enough.
                return Ok(());
            }
        }
    }
    let _ = out.flush();
    Ok(())
}

/// The files that were named and those in the folders that were named, in the order of their first records.
fn segment_files(named: &[PathBuf]) -> Result<Vec<PathBuf>, String> {
    let mut files = Vec::new();
    for path in named {
        if !path.is_dir() {
            files.push(path.clone());
            continue;
        }
        let say = |e: std::io::Error| format!("{}: {e}", path.display());
        for entry in path.read_dir().map_err(say)? {
            let file = entry.map_err(say)?.path();
            let name = file.file_name().and_then(|n| n.to_str()).unwrap_or_default();
            if name.ends_with(".seg") || name.ends_with(".seg.zst") {
                files.push(file);
            }
        }
    }
    // Names begin with the number of the first record, in twenty digits.
    files.sort_by(|a, b| a.file_name().cmp(&b.file_name()));
    Ok(files)
}

fn write_line(entry: &Entry, line: &mut String) {
    match entry.kind {
        RecordKind::Payload => match thrift::decode(&entry.body) {
            Ok(payload) => payload_json::write_payload(entry.offset, &payload, line),
            Err(e) => line.push_str(&unreadable(entry, &e.to_string())),
        },
        RecordKind::BadRow => payload_json::write_bad_row(entry.offset, &entry.body, line),
        RecordKind::Replay => match Replay::decode(&entry.body) {
            Ok((replay, carried)) => replay_json::write_replay(entry.offset, &replay, &carried, line),
            Err(e) => line.push_str(&unreadable(entry, &e.to_string())),
        },
    }
}

fn unreadable(entry: &Entry, why: &str) -> String {
    use base64::Engine as _;
    let bytes = base64::engine::general_purpose::STANDARD.encode(&entry.body);
    serde_json::json!({"offset": entry.offset, "unreadable": why, "record_base64": bytes}).to_string()
}
