//! `snowshed journal cat`: the raw truth, one JSON object a line.

use super::Exit;
use crate::config::Loaded;
use crate::event::{Offset, Replay, payload_json, replay_json, thrift};
use crate::journal::{Entry, Journal, RecordKind};
use crate::platform::fs::RealFs;
use clap::{Args, Subcommand};
use std::io::{BufWriter, Write};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

#[derive(Subcommand, Debug)]
pub(super) enum JournalCommand {
    /// Print records as JSON lines, in offset order; reads a data directory at rest or in use
    Cat(CatArgs),
}

#[derive(Args, Debug)]
pub(super) struct CatArgs {
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
    match cat(loaded, &args) {
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
