//! `snowshed check`: is the configuration right, and where does each value come from?

use super::Exit;
use crate::config::{Loaded, effective};
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
    if args.json {
        let list: Vec<_> = values
            .iter()
            .map(|(key, value, origin)| serde_json::json!({"key": key, "value": value, "origin": origin.to_string()}))
            .collect();
        println!("{}", serde_json::json!({"valid": true, "values": list}));
        return Exit::Done;
    }
    let width = values.iter().map(|(key, ..)| key.len()).max().unwrap_or(0);
    for (key, value, origin) in &values {
        println!("{key:width$} = {value}   # {origin}");
    }
    match &loaded.file {
        Some(file) => println!("\n{} is right.", file.display()),
        None => println!("\nThe defaults and the environment are right (no file was given)."),
    }
    Exit::Done
}
