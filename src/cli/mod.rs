//! The command line: every verb, its help and its exit code.
//!
//! Verbs that look at a running instance talk to its private port; the filters (`journal cat`, `enrich`) read what is on
//! disk or on standard input and need no instance.

mod bench;
mod check;
mod client;
mod demo;
mod door;
mod filter;
mod journal;
mod replay;
mod run;
mod sql;
pub mod traffic;

use crate::config::{self, Loaded};
use clap::{Args, Parser, Subcommand};
use std::path::PathBuf;
use std::process::ExitCode;

/// How a command ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// It did what was asked.
    Done = 0,
    /// Something failed on the way.
    Failed = 1,
    /// The command line or the configuration is wrong.
    Usage = 2,
    /// The program cannot start: a port is taken, the data directory is locked, damaged or newer.
    CannotStart = 3,
    /// The running instance cannot be reached or refuses.
    Unreachable = 4,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        ExitCode::from(exit as u8)
    }
}

const EXAMPLES: &str = "\
Examples:
  snowshed demo                                    the pipeline with traffic of 200 sites
  snowshed run -c config.toml                      the pipeline
  snowshed sql \"SELECT count(*) FROM events\"       one exact answer over both layers
  snowshed tail --failed                           failed events as they happen
  snowshed replay --failed --since 2h              failed events again, with the schemas of now
  snowshed journal cat | snowshed enrich           what today's schemas make of yesterday's requests

Exit codes: 0 done, 1 failed, 2 wrong command line or configuration, 3 cannot start,
4 no running instance reached, or it refuses.
Every key of the configuration can be set by the environment: SNOWSHED__COLLECTOR__LISTEN=0.0.0.0:8080";

/// A whole lambda architecture for behavioural events in one process.
#[derive(Parser, Debug)]
#[command(name = "snowshed", version, after_help = EXAMPLES, arg_required_else_help = false)]
pub struct Cli {
    /// Configuration file (TOML). Without it the built-in defaults hold.
    #[arg(short, long, global = true, env = "SNOWSHED_CONFIG", value_name = "FILE")]
    config: Option<PathBuf>,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Subcommand, Debug)]
enum Command {
    /// Run the pipeline until SIGTERM or Ctrl-C (the default)
    #[command(after_help = run::EXAMPLES)]
    Run,
    /// Run the pipeline with built-in traffic and print where to look
    Demo(demo::DemoArgs),
    /// Run SQL over both layers of the running instance
    Sql(sql::SqlArgs),
    /// Follow events as they are enriched, one JSON object a line
    Tail(client::TailArgs),
    /// Everything known of one event: request, outcome, micro-batch, file, commit
    Audit(client::AuditArgs),
    /// Counts, offsets and lags of the running instance
    Status(client::StatusArgs),
    /// Process failed events again, after a schema was repaired; what passes now is counted once
    Replay(replay::ReplayArgs),
    /// The raw log
    Journal {
        #[command(subcommand)]
        command: journal::JournalCommand,
    },
    /// Filter: payload lines in, outcome lines out
    Enrich(filter::EnrichArgs),
    /// Check a configuration; print the effective values and where each came from
    Check(check::CheckArgs),
    /// Measure this machine: ratios against raw fdatasync and nginx, in one run
    Bench(bench::BenchArgs),
}

/// How a verb reaches the running instance.
#[derive(Args, Debug, Clone)]
pub struct Instance {
    /// Base URL of the private port; by default that of serving.listen
    #[arg(long, value_name = "URL")]
    url: Option<String>,
    /// Token of the private port; by default the first of serving.tokens or serving.token_file
    #[arg(long, env = "SNOWSHED_TOKEN", value_name = "TOKEN", hide_env_values = true)]
    token: Option<String>,
}

/// Runs the command line.
pub fn main() -> ExitCode {
    let cli = Cli::parse();
    let loaded = match config::load(cli.config.as_deref(), std::env::vars()) {
        Ok(loaded) => loaded,
        Err(problems) => {
            eprintln!("snowshed: the configuration cannot be used\n{problems}");
            return Exit::Usage.into();
        }
    };
    dispatch(cli.command.unwrap_or(Command::Run), loaded).into()
}

fn dispatch(command: Command, loaded: Loaded) -> Exit {
    match command {
        Command::Run => run::run(loaded),
        Command::Demo(args) => demo::demo(loaded, args),
        Command::Sql(args) => sql::sql(&loaded, &args),
        Command::Tail(args) => client::tail(&loaded, &args),
        Command::Audit(args) => client::audit(&loaded, &args),
        Command::Status(args) => client::status(&loaded, &args),
        Command::Replay(args) => replay::replay(&loaded, &args),
        Command::Journal { command } => journal::journal(&loaded, command),
        Command::Enrich(args) => filter::enrich(&loaded, &args),
        Command::Check(args) => check::check(&loaded, &args),
        Command::Bench(args) => bench::bench(&loaded, &args),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    /// The help of every verb, by its words.
    fn helps() -> Vec<(String, String)> {
        fn walk(prefix: &str, command: &clap::Command, out: &mut Vec<(String, String)>) {
            for verb in command.get_subcommands().filter(|verb| verb.get_name() != "help") {
                let words = format!("{prefix} {}", verb.get_name());
                match verb.has_subcommands() {
                    true => walk(&words, verb, out),
                    false => out.push((words, verb.get_after_help().map(ToString::to_string).unwrap_or_default())),
                }
            }
        }
        let command = Cli::command();
        let mut out = Vec::new();
        walk("snowshed", &command, &mut out);
        out.push(("snowshed".to_owned(), command.get_after_help().map(ToString::to_string).unwrap_or_default()));
        out
    }

    /// The words of a command line, as a shell reads them; `None` where a pipe or a redirection ends it.
    fn words(line: &str) -> Vec<Option<String>> {
        let mut out = Vec::new();
        let mut word: Option<String> = None;
        let mut quote = None;
        for c in line.chars() {
            match (quote, c) {
                (Some(open), c) if c == open => quote = None,
                (None, '"' | '\'') => {
                    quote = Some(c);
                    word.get_or_insert_default();
                }
                (None, ' ') => out.extend(word.take().map(Some)),
                (None, '|' | '<' | '>') => out.push(None),
                _ => word.get_or_insert_default().push(c),
            }
        }
        out.extend(word.map(Some));
        out
    }

    #[test]
    fn every_verb_shows_examples_and_each_of_them_is_a_right_command_line() {
        for (verb, help) in helps() {
            let examples: Vec<&str> = help.lines().filter(|line| line.starts_with("  ")).map(str::trim).collect();
            assert!(help.starts_with("Examples:\n") && examples.len() >= 2, "{verb} has no examples: {help}");
            for example in examples {
                // Behind two spaces stands what it is for.
                let line = example.split("  ").next().unwrap();
                let mut ours = 0;
                for part in words(line).split(Option::is_none) {
                    let part: Vec<&str> = part.iter().flatten().map(String::as_str).collect();
                    let Some(at) = part.iter().position(|word| *word == "snowshed") else { continue };
                    Cli::try_parse_from(&part[at..]).unwrap_or_else(|e| panic!("{verb}: {line}: {e}"));
                    ours += usize::from(part[at..].join(" ").starts_with(&verb));
                }
                assert!(ours > 0, "{verb}: {line} is about another verb");
            }
        }
    }

    #[test]
    fn every_reporting_verb_takes_json() {
        for line in [
            "sql --json x",
            "tail --json",
            "audit --json x",
            "status --json",
            "replay --failed --json",
            "journal cat --json",
            "check --json",
            "bench --json",
        ] {
            Cli::try_parse_from(["snowshed"].into_iter().chain(line.split(' ')))
                .unwrap_or_else(|e| panic!("{line}: {e}"));
        }
    }
}
