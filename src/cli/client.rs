//! Verbs that ask a running instance through its private port.

use super::{Exit, Instance};
use crate::config::Loaded;
use clap::{Args, ValueEnum};
use reqwest::blocking::{Client, Response};
use serde::Deserialize;
use serde_json::value::RawValue;
use std::io::{BufRead, BufReader, Write};
use std::time::Duration;

#[derive(Args, Debug)]
pub(super) struct SqlArgs {
    /// One SELECT; table `events` is both layers in one snapshot
    query: String,
    /// How the rows are printed
    #[arg(long, value_enum, default_value = "table")]
    format: RowFormat,
    /// The same as --format json
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    instance: Instance,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum RowFormat {
    Table,
    Json,
    Ndjson,
    Csv,
}

#[derive(Args, Debug)]
pub(super) struct TailArgs {
    /// Only failed events
    #[arg(long)]
    failed: bool,
    /// Only events of this app_id
    #[arg(long, value_name = "APP_ID")]
    app: Option<String>,
    #[command(flatten)]
    instance: Instance,
}

#[derive(Args, Debug)]
pub(super) struct AuditArgs {
    /// event_id of the event
    event_id: String,
    #[command(flatten)]
    instance: Instance,
}

#[derive(Args, Debug)]
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
        let listen = &loaded.config.serving.listen;
        let base = instance.url.clone().unwrap_or_else(|| {
            let port = listen.rsplit(':').next().unwrap_or("9090");
            format!("http://127.0.0.1:{port}")
        });
        let token =
            instance.token.clone().or_else(|| loaded.config.serving.tokens.first().map(|t| t.text().to_owned()));
        let client = Client::builder().timeout(timeout).build().map_err(|e| {
            eprintln!("snowshed: no HTTP client: {e}");
            Exit::Failed
        })?;
        Ok(Api { base: base.trim_end_matches('/').to_owned(), token, client })
    }

    pub(super) fn send(&self, request: reqwest::blocking::RequestBuilder) -> Result<Response, Exit> {
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
        let reply: serde_json::Value = serde_json::from_str(&text).unwrap_or_default();
        let part = |name: &str| reply["error"][name].as_str().unwrap_or_default().to_owned();
        eprintln!("snowshed: {status}: {}", if part("message").is_empty() { text.clone() } else { part("message") });
        if !part("hint").is_empty() {
            eprintln!("hint: {}", part("hint"));
        }
        Err(if status.as_u16() == 401 { Exit::Unreachable } else { Exit::Failed })
    }

    fn get(&self, path: &str) -> Result<Response, Exit> {
        self.send(self.client.get(format!("{}{path}", self.base)))
    }
}

pub(super) fn finish(result: Result<(), Exit>) -> Exit {
    result.err().unwrap_or(Exit::Done)
}

pub(super) fn sql(loaded: &Loaded, args: &SqlArgs) -> Exit {
    finish((|| {
        let api = Api::new(loaded, &args.instance, Some(Duration::from_secs(600)))?;
        let format = if args.json { RowFormat::Json } else { args.format };
        let accept = match format {
            RowFormat::Ndjson => "application/x-ndjson",
            RowFormat::Csv => "text/csv",
            RowFormat::Json | RowFormat::Table => "application/json",
        };
        let body = serde_json::json!({"sql": args.query, "ints": "string"}).to_string();
        let request = api
            .client
            .post(format!("{}/v1/sql", api.base))
            .header("content-type", "application/json")
            .header("accept", accept)
            .body(body);
        let text = api.send(request)?.text().map_err(cut_off)?;
        match format {
            RowFormat::Table => print_table(&text),
            _ => println!("{}", text.trim_end()),
        }
        Ok(())
    })())
}

fn cut_off(e: reqwest::Error) -> Exit {
    eprintln!("snowshed: the reply ended early: {e}");
    Exit::Failed
}

/// A reply of rows. Its values stay text: a tree would round what a double cannot hold.
#[derive(Deserialize, Default)]
#[serde(default)]
struct Table<'a> {
    columns: Vec<Column>,
    #[serde(borrow)]
    rows: Vec<Vec<&'a RawValue>>,
}

#[derive(Deserialize)]
struct Column {
    name: String,
}

fn print_table(text: &str) {
    let reply: Table<'_> = serde_json::from_str(text).unwrap_or_default();
    let columns: Vec<String> = reply.columns.into_iter().map(|c| c.name).collect();
    let rows: Vec<Vec<String>> =
        reply.rows.iter().map(|row| row.iter().map(|value| cell(value.get())).collect()).collect();
    let widths: Vec<usize> = columns
        .iter()
        .enumerate()
        .map(|(i, name)| {
            rows.iter().filter_map(|r| r.get(i)).map(|c| c.chars().count()).max().unwrap_or(0).max(name.chars().count())
        })
        .collect();
    let line = |cells: &[String]| {
        let padded: Vec<String> = cells
            .iter()
            .zip(&widths)
            .map(|(c, w)| format!("{c}{}", " ".repeat(w - c.chars().count().min(*w))))
            .collect();
        println!("{}", padded.join("  ").trim_end());
    };
    line(&columns);
    line(&widths.iter().map(|w| "-".repeat(*w)).collect::<Vec<_>>());
    for row in &rows {
        line(row);
    }
    println!("({} rows)", rows.len());
}

/// A cell as it is shown: numbers and nested values digit for digit, as the reply has them.
fn cell(json: &str) -> String {
    match serde_json::from_str::<String>(json) {
        Ok(text) => text.replace(['\n', '\r', '\t'], " "),
        Err(_) if json == "null" => "NULL".to_owned(),
        Err(_) => json.to_owned(),
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
        println!("{}", api.get(&format!("/v1/events/{id}"))?.text().map_err(cut_off)?);
        Ok(())
    })())
}

pub(super) fn status(loaded: &Loaded, args: &StatusArgs) -> Exit {
    finish((|| {
        let api = Api::new(loaded, &args.instance, Some(Duration::from_secs(10)))?;
        let text = api.get("/v1/status")?.text().map_err(cut_off)?;
        if args.json {
            println!("{text}");
            return Ok(());
        }
        let s: serde_json::Value = serde_json::from_str(&text).unwrap_or_default();
        let e = &s["equation"];
        println!("journal end   {}", s["journal_end"]);
        println!("enriched      {}", s["enriched"]);
        println!("boundary      {} ({})", s["boundary"]["offset"], s["boundary"]["time"].as_str().unwrap_or("-"));
        println!(
            "events        {} = {} enriched + {} failed + {} duplicates + {} dropped",
            e["payload_events"], e["enriched"], e["failed"], e["duplicates"], e["dropped"]
        );
        if e["repaired"].as_u64().is_some_and(|n| n > 0) {
            println!("repaired      {} failures were ended by a replay", e["repaired"]);
        }
        println!("lag           visible p99 {} ms, commit {} ms", s["lag_ms"]["visible_p99"], s["lag_ms"]["commit"]);
        Ok(())
    })())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cell_shows_every_digit_and_stays_on_its_line() {
        let text = r#"{"columns":[{"name":"a","type":"JSON"}],
            "rows":[[123456789012345678901234567890.10, {"n":9007199254740993}, null, "a\tb", "7.10"]], "done":{}}"#;
        let reply: Table<'_> = serde_json::from_str(text).unwrap();
        let cells: Vec<String> = reply.rows[0].iter().map(|v| cell(v.get())).collect();
        assert_eq!(cells, ["123456789012345678901234567890.10", "{\"n\":9007199254740993}", "NULL", "a b", "7.10"]);
    }
}
