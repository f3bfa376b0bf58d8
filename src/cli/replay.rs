//! `snowshed replay`: has the running instance process failed events again.

use super::client::{Api, finish};
use super::{Exit, Instance};
use crate::config::Loaded;
use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::{Value, json};
use std::io::{BufRead, BufReader};

/// Causes that the summary lists.
const CAUSES: usize = 10;

const EXAMPLES: &str = "\
Examples:
  snowshed replay --failed --dry-run                                     what would pass now, and what would not
  snowshed replay --failed --schema iglu:com.acme/cart/jsonschema/1-*-*  after this schema was repaired
  snowshed replay --failed --since 2h --json                             one JSON object for scripts

An event that passes is counted once in every answer, and its failure no longer stands; one that still fails changes
nothing. A second replay of the same event does nothing.";

#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(super) struct ReplayArgs {
    /// Replay failed events (the only ones that can be)
    #[arg(long, required = true)]
    failed: bool,
    /// Only events that arrived then or later: RFC 3339, or a span that ends now (`2h`)
    #[arg(long, value_name = "TIME")]
    since: Option<String>,
    /// Only failures in which any problem concerns this schema; parts of its version may be `*`
    #[arg(long, value_name = "IGLU_URI")]
    schema: Option<String>,
    /// Look at everything and change nothing
    #[arg(long)]
    dry_run: bool,
    /// The summary as JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    instance: Instance,
}

pub(super) fn replay(loaded: &Loaded, args: &ReplayArgs) -> Exit {
    finish((|| {
        // No time limit: it takes as long as it takes, and tells how far it is.
        let api = Api::new(loaded, &args.instance, None)?;
        let body = json!({
            "failed": args.failed, "since": args.since, "schema": args.schema, "dry_run": args.dry_run,
        });
        let request = api
            .client
            .post(format!("{}/v1/replay", api.base))
            .header("content-type", "application/json")
            .body(body.to_string());
        let reply = BufReader::new(api.send(request)?);
        // Hidden where standard error is no terminal.
        let bar = ProgressBar::no_length().with_style(style());
        for line in reply.lines() {
            let line = line.map_err(|e| early(&bar, &e.to_string()))?;
            let update: Value = serde_json::from_str(&line).map_err(|e| early(&bar, &e.to_string()))?;
            if let Some(progress) = update.get("progress") {
                bar.set_length(progress["total"].as_u64().unwrap_or(0));
                bar.set_position(progress["looked_at"].as_u64().unwrap_or(0));
                bar.set_message(format!("{} pass now", progress["passing"]));
            } else if let Some(summary) = update.get("summary") {
                bar.finish_and_clear();
                print(summary, args.json);
                return Ok(());
            } else if let Some(error) = update.get("error") {
                bar.finish_and_clear();
                eprintln!("snowshed replay: it ended early: {}", error["message"].as_str().unwrap_or_default());
                eprintln!(
                    "hint: {} failures were repaired and stay so; start it again for the others",
                    error["repaired"]
                );
                return Err(Exit::Failed);
            }
        }
        Err(early(&bar, "the instance has closed the connection"))
    })())
}

fn style() -> ProgressStyle {
    let style = ProgressStyle::with_template("replay {bar:30} {pos}/{len} failed events, {msg} ({eta} left)");
    style.unwrap_or_else(|_| ProgressStyle::default_bar())
}

fn early(bar: &ProgressBar, why: &str) -> Exit {
    bar.finish_and_clear();
    eprintln!("snowshed replay: the reply ended early: {why}");
    eprintln!("hint: what was repaired stays so; start it again for the others");
    Exit::Failed
}

fn print(summary: &Value, as_json: bool) {
    if as_json {
        println!("{summary}");
        return;
    }
    let n = |name: &str| summary[name].as_u64().unwrap_or(0);
    println!("looked at         {}", n("looked_at"));
    match summary["dry_run"] == true {
        true => println!("pass now          {} (nothing was changed)", n("passing")),
        false => println!("repaired          {}", n("repaired")),
    }
    println!("still failing     {}", n("still_failing"));
    for (name, words) in
        [("gone", "no longer stored  "), ("already_repaired", "repaired before   "), ("not_yet", "not committed yet ")]
    {
        if n(name) > 0 {
            println!("{words}{}", n(name));
        }
    }
    let causes = summary["causes"].as_array().map_or(&[][..], Vec::as_slice);
    for cause in causes.iter().take(CAUSES) {
        let part = |name: &str| cause[name].as_str().unwrap_or_default();
        let line = format!("{:>8} × {} {} {}", cause["count"], part("failure"), part("schema"), part("path"));
        println!("{}: {}", line.trim_end(), part("message"));
    }
    if causes.len() > CAUSES {
        println!("         … and {} more causes; --json lists them", causes.len() - CAUSES);
    }
}
