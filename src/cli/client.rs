//! Verbs that ask a running instance through its private port, and how they reach it. `sql` and `replay` have files of
//! their own.

use super::{Exit, Instance, door};
use crate::config::Loaded;
use clap::Args;
use reqwest::blocking::{Client, RequestBuilder, Response};
use serde_json::Value;
use std::fmt::Write as _;
use std::io::{BufRead, BufReader, ErrorKind, Write};
use std::time::Duration;

const TAIL_EXAMPLES: &str = "\
Examples:
  snowshed tail                                    every event from now on
  snowshed tail --failed --app shop                failed events of one site
  snowshed tail | jq -r .app_id                    one field of each";

#[derive(Args, Debug)]
#[command(after_help = TAIL_EXAMPLES)]
pub(super) struct TailArgs {
    /// Only failed events
    #[arg(long)]
    failed: bool,
    /// Only events of this app_id
    #[arg(long, value_name = "APP_ID")]
    app: Option<String>,
    /// Changes nothing: each line is JSON in any case
    #[arg(long = "json")]
    _json: bool,
    #[command(flatten)]
    instance: Instance,
}

const AUDIT_EXAMPLES: &str = "\
Examples:
  snowshed audit 5c8f2a7e-52ad-4f0e-9c0b-3a3d2d1c4b6f      everything known of this event
  snowshed audit 9118204.3 | jq '.occurrences[0].outcome'    what became of the event at this place of the journal

An id to look up: snowshed sql \"SELECT event_id FROM events LIMIT 1\"";

#[derive(Args, Debug)]
#[command(after_help = AUDIT_EXAMPLES)]
pub(super) struct AuditArgs {
    /// event_id of the event, or its place in the journal: offset.index
    event_id: String,
    /// Changes nothing: the answer is JSON in any case
    #[arg(long = "json")]
    _json: bool,
    #[command(flatten)]
    instance: Instance,
}

const STATUS_EXAMPLES: &str = "\
Examples:
  snowshed status                                  the instance that the configuration describes
  snowshed status --json | jq .lag_ms              one part of the whole reply
  snowshed status --url http://127.0.0.1:9090      another one";

#[derive(Args, Debug)]
#[command(after_help = STATUS_EXAMPLES)]
pub(super) struct StatusArgs {
    /// The whole reply as JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    instance: Instance,
}

pub(super) struct Api {
    pub(super) base: String,
    token: Option<String>,
    pub(super) client: Client,
}

impl Api {
    pub(super) fn new(loaded: &Loaded, instance: &Instance, timeout: Option<Duration>) -> Result<Self, Exit> {
        let serving = &loaded.config.serving;
        let base = match &instance.url {
            Some(url) => url.clone(),
            None => door::base(serving).map_err(|why| {
                eprintln!("snowshed: {why}");
                Exit::Usage
            })?,
        };
        let configured = || {
            // Not fatal: the instance may let anybody read.
            let found = door::token(serving).inspect_err(|why| eprintln!("snowshed: asking without a token: {why}"));
            found.ok().flatten().map(|token| token.text().to_owned())
        };
        let token = instance.token.clone().or_else(configured);
        let client = Client::builder().timeout(timeout).build().map_err(|e| {
            eprintln!("snowshed: no HTTP client: {e}");
            Exit::Failed
        })?;
        Ok(Api { base: base.trim_end_matches('/').to_owned(), token, client })
    }

    pub(super) fn send(&self, request: RequestBuilder) -> Result<Response, Exit> {
        let request = match &self.token {
            Some(token) => request.bearer_auth(token),
            None => request,
        };
        let response = request.send().map_err(|e| {
            eprintln!("snowshed: no instance answers at {}: {e}", self.base);
            eprintln!("hint: start one with `snowshed run`, or name it with --url");
            Exit::Unreachable
        })?;
        if response.status().is_success() {
            return Ok(response);
        }
        let status = response.status();
        let text = response.text().unwrap_or_default();
        let reply: Value = serde_json::from_str(&text).unwrap_or_default();
        let part = |name: &str| reply["error"][name].as_str().unwrap_or_default().to_owned();
        eprintln!("snowshed: {status}: {}", if part("message").is_empty() { text.clone() } else { part("message") });
        if !part("hint").is_empty() {
            eprintln!("hint: {}", part("hint"));
        }
        if status.as_u16() == 401 {
            eprintln!(
                "hint: give the token with --token or SNOWSHED_TOKEN, or the configuration of the instance with -c"
            );
        }
        Err(verdict(status.as_u16()))
    }

    fn get(&self, path: &str) -> Result<Response, Exit> {
        self.send(self.client.get(format!("{}{path}", self.base)))
    }
}

/// What an error status of the instance says about the command.
fn verdict(status: u16) -> Exit {
    match status {
        400 => Exit::Usage,
        401 | 403 | 421 => Exit::Unreachable,
        _ => Exit::Failed,
    }
}

pub(super) fn finish(result: Result<(), Exit>) -> Exit {
    result.err().unwrap_or(Exit::Done)
}

pub(super) fn cut_off(e: reqwest::Error) -> Exit {
    eprintln!("snowshed: the reply ended early: {e}");
    Exit::Failed
}

/// Prints a whole text. That the reader of a pipe has seen enough is no failure.
pub(super) fn put(text: &str) -> Result<(), Exit> {
    let mut out = std::io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(e) if e.kind() != ErrorKind::BrokenPipe => {
            eprintln!("snowshed: standard output: {e}");
            Err(Exit::Failed)
        }
        _ => Ok(()),
    }
}

pub(super) fn tail(loaded: &Loaded, args: &TailArgs) -> Exit {
    finish((|| {
        let api = Api::new(loaded, &args.instance, None)?;
        let mut path = format!("/v1/tail?st={}", if args.failed { "failed" } else { "good,failed" });
        if let Some(app) = &args.app {
            path.push_str("&f.app_id=");
            path.extend(percent_encoding::utf8_percent_encode(app, percent_encoding::NON_ALPHANUMERIC));
        }
        let reader = BufReader::new(api.get(&path)?);
        let mut out = std::io::stdout().lock();
        for line in reader.lines() {
            let Ok(line) = line else { return Err(Exit::Unreachable) };
            if let Some(data) = line.strip_prefix("data:")
                && writeln!(out, "{}", data.trim_start()).and_then(|()| out.flush()).is_err()
            {
                // The reader of the pipe has left; that is how one stops a tail.
                return Ok(());
            }
        }
        Ok(())
    })())
}

pub(super) fn audit(loaded: &Loaded, args: &AuditArgs) -> Exit {
    finish((|| {
        let api = Api::new(loaded, &args.instance, Some(Duration::from_secs(60)))?;
        let id: String =
            percent_encoding::utf8_percent_encode(&args.event_id, percent_encoding::NON_ALPHANUMERIC).collect();
        put(&format!("{}\n", api.get(&format!("/v1/events/{id}"))?.text().map_err(cut_off)?))
    })())
}

pub(super) fn status(loaded: &Loaded, args: &StatusArgs) -> Exit {
    finish((|| {
        let api = Api::new(loaded, &args.instance, Some(Duration::from_secs(10)))?;
        let text = api.get("/v1/status")?.text().map_err(cut_off)?;
        if args.json {
            return put(&format!("{text}\n"));
        }
        let status: Value = serde_json::from_str(&text).map_err(|e| {
            eprintln!("snowshed: the reply is no status of an instance: {e}");
            Exit::Failed
        })?;
        put(&summary(&status))
    })())
}

/// The lines for people. What was not measured yet is a dash.
fn summary(s: &Value) -> String {
    let ms = |name: &str| match &s["lag_ms"][name] {
        Value::Null => "-".to_owned(),
        value => format!("{value} ms"),
    };
    let (e, boundary) = (&s["equation"], &s["boundary"]);
    let mut out = String::new();
    let mut line = |name: &str, text: String| {
        let _ = writeln!(out, "{name:<14}{text}");
    };
    line("journal end", s["journal_end"].to_string());
    line("enriched", s["enriched"].to_string());
    line("boundary", format!("{} ({})", boundary["offset"], boundary["time"].as_str().unwrap_or("-")));
    line(
        "events",
        format!(
            "{} = {} enriched + {} failed + {} duplicates + {} dropped",
            e["payload_events"], e["enriched"], e["failed"], e["duplicates"], e["dropped"]
        ),
    );
    if e["repaired"].as_u64().is_some_and(|n| n > 0) {
        line("repaired", format!("{} failures were ended by a replay", e["repaired"]));
    }
    line("lag", format!("visible p99 {}, commit {}", ms("visible_p99"), ms("commit")));
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_was_not_measured_is_a_dash() {
        let status = |p99: Value| {
            json!({
                "journal_end": 7, "enriched": 7, "boundary": {"offset": 0, "time": null},
                "equation": {"payload_events": 7, "enriched": 5, "failed": 1, "duplicates": 1, "dropped": 0},
                "lag_ms": {"visible_p99": p99, "commit": 0},
            })
        };
        let nothing = summary(&status(Value::Null));
        assert!(nothing.contains("lag           visible p99 -, commit 0 ms\n"), "{nothing}");
        assert!(nothing.contains("boundary      0 (-)\n") && !nothing.contains("null"), "{nothing}");
        assert!(summary(&status(json!(12))).contains("visible p99 12 ms,"));
    }

    #[test]
    fn a_wrong_question_a_refusal_and_a_failure_have_exit_codes_of_their_own() {
        assert_eq!(
            [400, 401, 403, 421].map(verdict),
            [Exit::Usage, Exit::Unreachable, Exit::Unreachable, Exit::Unreachable]
        );
        assert_eq!([404, 409, 500, 503].map(verdict), [Exit::Failed; 4]);
    }
}
