//! `snowshed check`: is the configuration right, and where does each value come from?
//!
//! Beyond the values it looks at what they name, as a start would: enrichment files and their data, token file, lake. Nothing
//! is written and no registry is asked; data files on a web server are fetched, because only so can they be judged.

use super::Exit;
use crate::config::{Config, Loaded, effective};
use crate::telemetry::Metrics;
use crate::{batch, enrich, schema, serving};
use clap::Args;

const EXAMPLES: &str = "\
Examples:
  snowshed check -c config.toml                    is this file right, and what is in force with it
  SNOWSHED__BATCH__MAX_AGE=5s snowshed check       with a key set by the environment
  snowshed check --json | jq '.values | length'    for scripts

Exit codes: 0 it is right; 2 it is wrong, and every mistake is named with key, line and what is allowed.";

#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(super) struct CheckArgs {
    /// One JSON object instead of lines
    #[arg(long)]
    json: bool,
}

pub(super) fn check(loaded: &Loaded, args: &CheckArgs) -> Exit {
    let values = effective(loaded);
    let problems = problems(&loaded.config);
    let exit = if problems.is_empty() { Exit::Done } else { Exit::Usage };
    if args.json {
        let list: Vec<_> = values
            .iter()
            .map(|(key, value, origin)| serde_json::json!({"key": key, "value": value, "origin": origin.to_string()}))
            .collect();
        let report = serde_json::json!({"valid": problems.is_empty(), "problems": problems, "values": list});
        println!("{report}");
        return exit;
    }
    let width = values.iter().map(|(key, ..)| key.len()).max().unwrap_or(0);
    for (key, value, origin) in &values {
        println!("{key:width$} = {value}   # {origin}");
    }
    if !problems.is_empty() {
        eprintln!("snowshed: the configuration cannot be used\n{}", problems.join("\n"));
        return exit;
    }
    match &loaded.file {
        Some(file) => println!("\n{} is right.", file.display()),
        None => println!("\nThe defaults and the environment are right (no file was given)."),
    }
    exit
}

/// What a start would stumble over in the things that the values name.
fn problems(config: &Config) -> Vec<String> {
    let mut problems = Vec::new();
    // The schemas of the configurations are built in.
    let offline = schema::Config { registries: Vec::new(), central: false, ..config.iglu.clone() };
    match schema::build_reader(&offline, &config.data_dir, &Metrics::new()) {
        Ok(resolver) => problems.extend(enrich::load_steps(&config.enrich, &resolver).err().into_iter().flatten()),
        Err(e) => problems.push(e.to_string()),
    }
    problems.extend(serving::tokens(&config.serving).err().map(|e| e.to_string()));
    // A folder is made by the start.
    if !config.lake.url.is_empty() && !config.lake.url.starts_with("file:") {
        problems.extend(batch::lake::Lake::open(&config.lake, &config.data_dir).err().map(|e| e.to_string()));
    }
    problems
}
