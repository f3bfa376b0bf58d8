//! `snowshed bench`: figures as ratios, taken in one run on one machine.
//!
//! Absolute times on shared machines are noise. What is compared runs one after the other in the same run: our collector
//! (accepted and fsynced) against nginx answering a pixel with its access log on, both on one core with the same generator;
//! then enrichment per core, then the whole path on all cores.

mod http;
mod path;
mod serve;

use super::Exit;
use crate::config::Loaded;
use clap::{Args, ValueEnum};

const EXAMPLES: &str = "\
Examples:
  snowshed bench                                   everything
  snowshed bench enrich --seconds 3                only enrichment, for a short while
  snowshed bench path --rate 5000 --json           the whole path at 5000 events a second, for scripts";

#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(super) struct BenchArgs {
    /// What to measure; by default everything
    #[arg(value_enum)]
    parts: Vec<Part>,
    /// Events a second for the whole path
    #[arg(long, default_value_t = 15_000)]
    rate: u32,
    /// Seconds for each measurement
    #[arg(long, default_value_t = 10)]
    seconds: u64,
    /// One JSON object instead of lines
    #[arg(long)]
    json: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Part {
    /// Collector against nginx (needs nginx, wrk and taskset)
    Http,
    /// The pure core of enrichment on one thread
    Enrich,
    /// Request to committed row on all cores
    Path,
    /// Only the collector and its journal, for the other parts
    #[value(hide = true)]
    Serve,
}

/// One line of the result.
#[derive(Debug, serde::Serialize)]
struct Figure {
    what: String,
    value: f64,
    unit: &'static str,
}

fn figure(what: impl Into<String>, value: f64, unit: &'static str) -> Figure {
    Figure { what: what.into(), value, unit }
}

pub(super) fn bench(loaded: &Loaded, args: &BenchArgs) -> Exit {
    if args.parts.contains(&Part::Serve) {
        return serve::serve(loaded);
    }
    let wanted = |part| args.parts.is_empty() || args.parts.contains(&part);
    let mut figures = Vec::new();
    let mut exit = Exit::Done;
    let mut run = |part, f: &mut dyn FnMut() -> Result<Vec<Figure>, String>| {
        if !wanted(part) {
            return;
        }
        match f() {
            Ok(part) => {
                if !args.json {
                    part.iter().for_each(print);
                }
                figures.extend(part);
            }
            Err(why) => {
                eprintln!("snowshed bench: {part:?}: {why}");
                exit = Exit::Failed;
            }
        }
    };
    run(Part::Http, &mut || http::measure(args.seconds));
    run(Part::Enrich, &mut || path::enrich(loaded, args.seconds));
    run(Part::Path, &mut || path::measure(args.rate, args.seconds));
    if args.json {
        println!("{}", serde_json::json!({"figures": figures}));
    }
    exit
}

fn print(figure: &Figure) {
    println!("{:<64} {:>12.3} {}", figure.what, figure.value, figure.unit);
}
