//! `snowshed enrich`: payload lines in, outcome lines out.
//!
//! The pure core of the pipeline on standard input and output: no journal, no warehouse, no network but the configured
//! registries. `snowshed journal cat | snowshed enrich` shows what today's schemas make of yesterday's requests.

use super::Exit;
use crate::config::{Config, Loaded};
use crate::enrich::{Enricher, load_steps};
use crate::event::payload_json::{self, LineRecord};
use crate::event::{Event, Failure, Offset, Outcome, Processed, json, replay_json, sdk_json, tsv};
use crate::journal::RecordKind;
use crate::platform::clock::Clock;
use crate::schema;
use crate::telemetry::{self, Metrics};
use clap::Args;
use std::io::{BufRead, BufWriter, Write};
use uuid::Uuid;

const EXAMPLES: &str = "\
Examples:
  snowshed journal cat | snowshed enrich                           what today's schemas make of yesterday's requests
  snowshed journal cat --to 1000 | snowshed enrich --tsv           with the 131 cells of each event
  snowshed enrich -c config.toml < payloads.ndjson > outcomes.ndjson";

#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(super) struct EnrichArgs {
    /// Print the 131 cells of each event too, as member `tsv` (of an incomplete event: `failed_tsv`)
    #[arg(long)]
    tsv: bool,
}

/// Name space of made-up event ids when there is no journal.
const NO_JOURNAL: Uuid = Uuid::nil();

/// The pure core as a configuration describes it; of the data directory only uploaded schemas are read.
///
/// # Errors
/// Every problem of the configuration, a line each.
pub(super) fn enricher(config: &Config) -> Result<Enricher, String> {
    let resolver = schema::build_reader(&config.iglu, &config.data_dir, &Metrics::new()).map_err(|e| e.to_string())?;
    let steps = load_steps(&config.enrich, &resolver).map_err(|list| list.join("\n"))?;
    Enricher::new(&config.enrich, steps, resolver, NO_JOURNAL).map_err(|e| e.to_string())
}

pub(super) fn enrich(loaded: &Loaded, args: &EnrichArgs) -> Exit {
    let _ = telemetry::log::start(&loaded.config.telemetry);
    let enricher = match enricher(&loaded.config) {
        Ok(enricher) => enricher,
        Err(why) => {
            eprintln!("snowshed enrich: {why}");
            return Exit::Usage;
        }
    };
    let etl_ms = Clock::System.now_ms();
    let mut out = BufWriter::new(std::io::stdout().lock());
    let mut exit = Exit::Done;
    let mut text = String::new();
    for (number, line) in std::io::stdin().lock().split(b'\n').enumerate() {
        let done = line.map_err(|e| e.to_string()).and_then(|line| {
            text.clear();
            one(&enricher, number as u64, &line, etl_ms, args.tsv, &mut text)
        });
        if let Err(why) = done {
            eprintln!("snowshed enrich: line {}: {why}", number + 1);
            exit = Exit::Failed;
            continue;
        }
        if out.write_all(text.as_bytes()).is_err() {
            // Whoever read the pipe has seen enough.
            return exit;
        }
    }
    let _ = out.flush();
    exit
}

fn one(
    enricher: &Enricher,
    number: u64,
    line: &[u8],
    etl_ms: i64,
    with_tsv: bool,
    out: &mut String,
) -> Result<(), String> {
    if line.trim_ascii().is_empty() {
        return Ok(());
    }
    let line = payload_json::read(&String::from_utf8_lossy(line)).map_err(|e| e.to_string())?;
    let offset = line.offset.unwrap_or(Offset(number));
    let kind = match line.record {
        LineRecord::Payload(_) => RecordKind::Payload,
        LineRecord::BadRow(_) => RecordKind::BadRow,
        LineRecord::Replay(..) => RecordKind::Replay,
    };
    let body = replay_json::bytes_of(&line.record).map_err(|e| e.to_string())?;
    let done = enricher.process(offset, kind, &body, etl_ms).map_err(|e| e.to_string())?;
    for item in &done.items {
        write_outcome(item, with_tsv, out);
        out.push('\n');
    }
    Ok(())
}

fn write_outcome(item: &Processed, with_tsv: bool, out: &mut String) {
    use std::fmt::Write as _;
    let _ = write!(out, "{{\"offset\":{},\"index\":{},\"outcome\":", item.addr.offset, item.addr.index);
    match &item.outcome {
        Outcome::Enriched(event) => {
            out.push_str("\"enriched\"");
            if let Some(repair) = item.repairs {
                let _ = write!(out, ",\"repairs\":{{\"offset\":{},\"index\":{}}}", repair.of.offset, repair.of.index);
            }
            out.push_str(",\"event\":");
            write_event(event, "tsv", with_tsv, out);
        }
        Outcome::Failed(failure) => write_failure(failure, with_tsv, out),
        Outcome::Duplicate(first) => {
            let _ = write!(out, "\"duplicate\",\"of\":{{\"offset\":{},\"index\":{}}}", first.offset, first.index);
        }
        Outcome::Dropped { by } => {
            out.push_str("\"dropped\",\"by\":");
            json::write_string(by, out);
        }
    }
    out.push('}');
}

fn write_failure(failure: &Failure, with_tsv: bool, out: &mut String) {
    out.push_str("\"failed\",\"bad_row\":");
    out.push_str(&failure.bad_row);
    if let Some(event) = &failure.incomplete {
        out.push_str(",\"failed_event\":");
        write_event(event, "failed_tsv", with_tsv, out);
    }
}

fn write_event(event: &Event, tsv_name: &str, with_tsv: bool, out: &mut String) {
    sdk_json::write(event, sdk_json::Form::Lossy, out);
    if with_tsv {
        out.push_str(",\"");
        out.push_str(tsv_name);
        out.push_str("\":");
        json::write_string(&tsv::line(event), out);
    }
}
