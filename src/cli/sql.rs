//! `snowshed sql`: one statement over both layers of the running instance.
//!
//! The rows are printed as the instance writes them, so every digit stays. NDJSON and CSV pass through without being held;
//! of them a broken transfer is the only sign that rows are missing, so it is told apart from a whole one.

use super::client::{Api, cut_off, finish, put};
use super::{Exit, Instance};
use crate::config::Loaded;
use clap::{Args, ValueEnum};
use reqwest::blocking::Response;
use serde::Deserialize;
use serde_json::value::RawValue;
use std::fmt::Write as _;
use std::io::{ErrorKind, Read, Write};
use std::time::Duration;

const EXAMPLES: &str = "\
Examples:
  snowshed sql \"SELECT app_id, count(*) FROM events GROUP BY 1 ORDER BY 2 DESC LIMIT 5\"
  snowshed sql --json \"SELECT count(*) AS n FROM events\" | jq '.rows[0][0]'
  snowshed sql --format csv \"SELECT event_id, collector_tstamp FROM events\" > events.csv

Table and JSON have at most serving.sql_max_rows rows and say when more were cut; NDJSON and CSV have at most
serving.sql_stream_max_rows, and a longer answer ends with exit code 1.";

#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
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

/// Bytes of a streamed answer read at once.
const BLOCK: usize = 64 << 10;

pub(super) fn sql(loaded: &Loaded, args: &SqlArgs) -> Exit {
    finish((|| {
        let api = Api::new(loaded, &args.instance, Some(Duration::from_secs(600)))?;
        let format = if args.json { RowFormat::Json } else { args.format };
        let accept = match format {
            RowFormat::Ndjson => "application/x-ndjson",
            RowFormat::Csv => "text/csv",
            RowFormat::Json | RowFormat::Table => "application/json",
        };
        let request = api
            .client
            .post(format!("{}/v1/sql", api.base))
            .header("content-type", "application/json")
            .header("accept", accept)
            .body(serde_json::json!({"sql": args.query}).to_string());
        // The command line was right; it is the statement that failed.
        let reply = api.send(request).map_err(|exit| if exit == Exit::Usage { Exit::Failed } else { exit })?;
        let limit = row_limit(&reply);
        match format {
            RowFormat::Table => put(&table(&reply.text().map_err(cut_off)?, limit)?),
            RowFormat::Json => put(&format!("{}\n", reply.text().map_err(cut_off)?.trim_end())),
            RowFormat::Ndjson => pass_on(reply, Rows::default(), limit),
            RowFormat::Csv => pass_on(reply, Rows::of_csv(), limit),
        }
    })())
}

/// Most rows that this answer may have, as the instance says.
fn row_limit(reply: &Response) -> Option<u64> {
    reply.headers().get("x-row-limit")?.to_str().ok()?.parse().ok()
}

/// Prints a streamed answer as it comes.
fn pass_on(mut reply: Response, mut rows: Rows, limit: Option<u64>) -> Result<(), Exit> {
    let mut block = vec![0; BLOCK];
    let mut out = std::io::stdout().lock();
    loop {
        let n = match reply.read(&mut block) {
            Ok(0) => return Ok(()),
            Ok(n) => n,
            Err(e) if e.kind() == ErrorKind::Interrupted => continue,
            Err(e) => {
                for line in broken_off(rows.seen(), limit, &e.to_string()) {
                    eprintln!("{line}");
                }
                return Err(Exit::Failed);
            }
        };
        rows.count(&block[..n]);
        if let Err(e) = out.write_all(&block[..n]).and_then(|()| out.flush()) {
            if e.kind() == ErrorKind::BrokenPipe {
                // Whoever read the pipe has seen enough.
                return Ok(());
            }
            eprintln!("snowshed sql: standard output: {e}");
            return Err(Exit::Failed);
        }
    }
}

/// What is said of an answer that ended early. The instance can only break the transfer off; the rows tell why.
fn broken_off(rows: u64, limit: Option<u64>, why: &str) -> [String; 2] {
    match limit {
        Some(limit) if rows >= limit => [
            format!(
                "snowshed sql: the answer has more than {limit} rows and was cut there: serving.sql_stream_max_rows"
            ),
            "hint: narrow the statement, or raise that limit of the instance".to_owned(),
        ],
        _ => [
            format!("snowshed sql: the answer was broken off after {rows} rows: {why}"),
            "hint: it took longer than serving.sql_timeout, the statement failed at a later row, or the instance ended"
                .to_owned(),
        ],
    }
}

/// Counts the rows of an answer that passes through.
#[derive(Default)]
struct Rows {
    lines: u64,
    /// A CSV answer has a header, and line feeds within quotes end no row.
    csv: bool,
    quoted: bool,
}

impl Rows {
    fn of_csv() -> Self {
        Rows { csv: true, ..Rows::default() }
    }

    fn count(&mut self, bytes: &[u8]) {
        for byte in bytes {
            match byte {
                // A quote within quotes is written twice, which turns it twice.
                b'"' if self.csv => self.quoted = !self.quoted,
                b'\n' if !self.quoted => self.lines += 1,
                _ => {}
            }
        }
    }

    fn seen(&self) -> u64 {
        self.lines.saturating_sub(u64::from(self.csv))
    }
}

/// A reply of rows. Its values stay text: a tree would round what a double cannot hold.
#[derive(Deserialize)]
struct Reply<'a> {
    columns: Vec<Column>,
    #[serde(borrow)]
    rows: Vec<Vec<&'a RawValue>>,
    #[serde(default)]
    truncated: bool,
}

#[derive(Deserialize)]
struct Column {
    name: String,
}

fn table(text: &str, limit: Option<u64>) -> Result<String, Exit> {
    let reply: Reply<'_> = serde_json::from_str(text).map_err(|e| {
        eprintln!("snowshed sql: the reply is no table of an instance: {e}");
        Exit::Failed
    })?;
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
    let mut out = String::new();
    let mut line = |cells: &[String]| {
        let padded: Vec<String> = cells
            .iter()
            .zip(&widths)
            .map(|(c, w)| format!("{c}{}", " ".repeat(w - c.chars().count().min(*w))))
            .collect();
        let _ = writeln!(out, "{}", padded.join("  ").trim_end());
    };
    line(&columns);
    line(&widths.iter().map(|w| "-".repeat(*w)).collect::<Vec<_>>());
    for row in &rows {
        line(row);
    }
    let n = rows.len();
    let _ = match reply.truncated {
        false => writeln!(out, "({n} rows)"),
        true => {
            let by = if limit.is_none_or(|most| n as u64 >= most) { "sql_max_rows" } else { "sql_max_bytes" };
            writeln!(out, "(first {n} rows; more were cut: serving.{by})")
        }
    };
    Ok(out)
}

/// A cell as it is shown: numbers and nested values digit for digit, as the reply has them.
fn cell(json: &str) -> String {
    match serde_json::from_str::<String>(json) {
        Ok(text) => text.replace(['\n', '\r', '\t'], " "),
        Err(_) if json == "null" => "NULL".to_owned(),
        Err(_) => json.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cell_shows_every_digit_and_stays_on_its_line() {
        let text = r#"{"columns":[{"name":"a","type":"JSON"}],
            "rows":[[123456789012345678901234567890.10, {"n":9007199254740993}, null, "a\tb", "7.10"]], "done":{}}"#;
        let reply: Reply<'_> = serde_json::from_str(text).unwrap();
        let cells: Vec<String> = reply.rows[0].iter().map(|v| cell(v.get())).collect();
        assert_eq!(cells, ["123456789012345678901234567890.10", "{\"n\":9007199254740993}", "NULL", "a b", "7.10"]);
    }

    #[test]
    fn a_table_that_was_cut_says_so_and_names_the_limit() {
        let text = |cut: bool| format!(r#"{{"columns":[{{"name":"n"}}],"rows":[[1],[2]],"truncated":{cut}}}"#);
        let last = |cut, limit| table(&text(cut), limit).unwrap().lines().last().unwrap().to_owned();
        assert_eq!(last(false, Some(2)), "(2 rows)");
        assert_eq!(last(true, Some(2)), "(first 2 rows; more were cut: serving.sql_max_rows)");
        assert_eq!(last(true, Some(9)), "(first 2 rows; more were cut: serving.sql_max_bytes)");
        assert_eq!(table("<html>", None), Err(Exit::Failed));
    }

    #[test]
    fn rows_are_counted_as_they_pass_whatever_the_cells_hold() {
        let mut csv = Rows::of_csv();
        for piece in ["a,b\n1,\"x\n", "\"\"y\n\"\n2", ",z\n"] {
            csv.count(piece.as_bytes());
        }
        assert_eq!(csv.seen(), 2);
        let mut lines = Rows::default();
        lines.count(b"{\"a\":\"x\\\"\"}\n{\"a\":1}\n");
        assert_eq!(lines.seen(), 2);
        assert!(broken_off(2, Some(2), "eof")[0].contains("serving.sql_stream_max_rows"));
        let other = broken_off(1, Some(2), "eof").join(" ");
        assert!(other.contains("after 1 rows: eof") && other.contains("serving.sql_timeout"), "{other}");
    }
}
