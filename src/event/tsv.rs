//! The canonical event as one line of 131 cells, and back.
//!
//! A null and an empty text are the same empty cell. Strings were sanitised when they were set; a tab or line break that a
//! later step brought in is taken out again here, so that a line always has 131 cells.

use super::calendar::{self, TimeForm, write_time};
use super::columns::{self, COLUMNS, COUNT, Kind};
use super::json::{self, Json};
use super::model::{Cell, Event, SelfDescribing};
use super::schema_key::SchemaKey;

/// Envelope under which contexts and derived contexts are written, whatever version they came in.
pub const CONTEXTS_SCHEMA: &str = "iglu:com.snowplowanalytics.snowplow/contexts/jsonschema/1-0-1";
/// Envelope under which a self-describing event is written.
pub const UNSTRUCT_SCHEMA: &str = "iglu:com.snowplowanalytics.snowplow/unstruct_event/jsonschema/1-0-0";

/// Deeper than any configured limit; guards the stack while reading.
const MAX_DEPTH: usize = 500;

/// Appends the line, without a line break at the end.
pub fn write(event: &Event, out: &mut String) {
    for column in 0..COUNT {
        if column > 0 {
            out.push('\t');
        }
        write_cell(event, column, out);
    }
}

/// The line as a text of its own.
pub fn line(event: &Event) -> String {
    let mut out = String::with_capacity(event.weight());
    write(event, &mut out);
    out
}

/// A length in bytes that the line does not pass, found without writing it.
pub fn longest(event: &Event) -> usize {
    // The longest typed cell is a time; a text may quadruple by its tabs, and may be shared by several cells.
    let typed = COUNT * 25;
    let text: usize = (0..COUNT).filter_map(|i| event.text(i)).map(str::len).sum();
    let datum = |d: &SelfDescribing| d.data.len() + d.schema.vendor().len() + d.schema.name().len() + 160;
    let data = event.unstruct.iter().chain(&event.contexts).chain(&event.derived).map(datum).sum::<usize>();
    typed + 4 * text + data + 3 * 120
}

/// Appends the text of one cell; nothing for an absent one.
pub fn write_cell(event: &Event, column: usize, out: &mut String) {
    match column {
        columns::CONTEXTS => write_contexts(&event.contexts, CONTEXTS_SCHEMA, out),
        columns::DERIVED_CONTEXTS => write_contexts(&event.derived, CONTEXTS_SCHEMA, out),
        columns::UNSTRUCT_EVENT => {
            if let Some(datum) = &event.unstruct {
                write_unstruct(datum, out);
            }
        }
        _ => match event.cell(column) {
            Cell::Null => {}
            Cell::Text { .. } => write_text(event.text(column).unwrap_or_default(), out),
            Cell::Int(v) => out.push_str(itoa::Buffer::new().format(v)),
            Cell::Bool(v) => out.push(if v { '1' } else { '0' }),
            Cell::Time(ms) => write_time(ms, TimeForm::Tsv, out),
            Cell::Float(v) => write_float(v, out),
        },
    }
}

fn write_text(text: &str, out: &mut String) {
    let breaks = |b: u8| matches!(b, b'\t' | b'\n' | b'\r');
    if !text.bytes().any(breaks) {
        out.push_str(text);
        return;
    }
    for c in text.chars() {
        match c {
            '\t' => out.push_str("    "),
            '\n' | '\r' => {}
            c => out.push(c),
        }
    }
}

/// The column `contexts` (or `derived_contexts`) as text; `None` when it is empty.
pub fn contexts_envelope(items: &[SelfDescribing]) -> Option<String> {
    let mut out = String::new();
    write_contexts(items, CONTEXTS_SCHEMA, &mut out);
    (!out.is_empty()).then_some(out)
}

/// The column `unstruct_event` as text; `None` when it is empty.
pub fn unstruct_envelope(datum: Option<&SelfDescribing>) -> Option<String> {
    let mut out = String::new();
    write_unstruct(datum?, &mut out);
    Some(out)
}

/// Appends an envelope of contexts; nothing when there is none.
pub(super) fn write_contexts(items: &[SelfDescribing], schema: &str, out: &mut String) {
    for (i, datum) in items.iter().enumerate() {
        if i == 0 {
            out.push_str("{\"schema\":\"");
            out.push_str(schema);
            out.push_str("\",\"data\":[");
        } else {
            out.push(',');
        }
        write_datum(datum, out);
    }
    if !items.is_empty() {
        out.push_str("]}");
    }
}

/// Appends the envelope of a self-describing event.
pub(super) fn write_unstruct(datum: &SelfDescribing, out: &mut String) {
    out.push_str("{\"schema\":\"");
    out.push_str(UNSTRUCT_SCHEMA);
    out.push_str("\",\"data\":");
    write_datum(datum, out);
    out.push('}');
}

fn write_datum(datum: &SelfDescribing, out: &mut String) {
    out.push_str("{\"schema\":\"");
    datum.schema.write_uri(out);
    out.push_str("\",\"data\":");
    out.push_str(&datum.data);
    out.push('}');
}

/// A float as Java prints it: the shortest digits that read back, plain between 0.001 and ten million, else `1.0E-4`.
pub fn write_float(value: f32, out: &mut String) {
    if !value.is_finite() {
        out.push_str(if value.is_nan() {
            "NaN"
        } else if value > 0.0 {
            "Infinity"
        } else {
            "-Infinity"
        });
        return;
    }
    let size = value.abs();
    if size == 0.0 || (1e-3..1e7).contains(&size) {
        let plain = format!("{value}");
        out.push_str(&plain);
        if !plain.contains('.') {
            out.push_str(".0");
        }
        return;
    }
    let text = format!("{value:e}");
    let (digits, exponent) = text.split_once('e').unwrap_or((&text, "0"));
    out.push_str(digits);
    if !digits.contains('.') {
        out.push_str(".0");
    }
    out.push('E');
    out.push_str(exponent);
}

/// Why a line is no event.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum TsvError {
    /// There is no tab in it.
    #[error("not tab-separated")]
    NotTsv,
    /// It has another number of cells.
    #[error("{0} cells instead of 131")]
    FieldNumberMismatch(usize),
    /// Cells that cannot be read, each as (column, problem).
    #[error("{}", .0.iter().map(|(c, p)| format!("{c}: {p}")).collect::<Vec<_>>().join("; "))]
    RowDecodingError(Vec<(&'static str, String)>),
}

/// Columns that no event lacks.
const REQUIRED: [usize; 4] = [columns::EVENT_ID, columns::COLLECTOR_TSTAMP, columns::V_COLLECTOR, columns::V_ETL];

/// Reads one line.
///
/// # Errors
/// [`TsvError`]; of cells that cannot be read, all are named.
pub fn read(line: &str) -> Result<Event, TsvError> {
    let cells: Vec<&str> = line.split('\t').collect();
    match cells.len() {
        COUNT => {}
        1 => return Err(TsvError::NotTsv),
        n => return Err(TsvError::FieldNumberMismatch(n)),
    }
    let mut event = Event::new();
    let mut problems = Vec::new();
    for (column, text) in cells.iter().enumerate() {
        let read = if !text.is_empty() {
            read_cell(&mut event, column, text)
        } else if REQUIRED.contains(&column) {
            Err("absent, but no event lacks it".to_owned())
        } else {
            Ok(())
        };
        if let Err(problem) = read {
            problems.push((COLUMNS[column].name, problem));
        }
    }
    if problems.is_empty() { Ok(event) } else { Err(TsvError::RowDecodingError(problems)) }
}

fn read_cell(event: &mut Event, column: usize, text: &str) -> Result<(), String> {
    let no = |what: &str| Err(format!("\"{text}\" is no {what}"));
    let cell = match COLUMNS[column].kind {
        Kind::Text if column == columns::EVENT_ID && !is_uuid(text) => return no("UUID"),
        Kind::Text => {
            event.set_text(column, text);
            return Ok(());
        }
        Kind::Decimal => {
            return match json::parse(text, 1) {
                Ok(Json::Number(_)) => {
                    event.set_text(column, text);
                    Ok(())
                }
                _ => no("number"),
            };
        }
        Kind::Json => return read_json(event, column, text),
        Kind::Int => text.parse().ok().map(Cell::Int),
        Kind::Bool => match text {
            "1" => Some(Cell::Bool(true)),
            "0" => Some(Cell::Bool(false)),
            _ => None,
        },
        Kind::Time => calendar::read_tsv_time(text).map(Cell::Time),
        Kind::Float => text.parse().ok().filter(|v: &f32| v.is_finite()).map(Cell::Float),
    };
    match (cell, COLUMNS[column].kind) {
        (Some(cell), _) => {
            event.set(column, cell);
            Ok(())
        }
        (None, Kind::Int) => no("32-bit integer"),
        (None, Kind::Bool) => no("flag; 1 and 0 are"),
        (None, Kind::Time) => no("time; write 2024-03-09 10:20:31.456"),
        (None, _) => no("number"),
    }
}

fn read_json(event: &mut Event, column: usize, text: &str) -> Result<(), String> {
    let mut envelope = json::parse(text, MAX_DEPTH).map_err(|e| format!("not JSON: {e}"))?;
    let wanted = if column == columns::UNSTRUCT_EVENT { "unstruct_event" } else { "contexts" };
    let key = schema_of(&envelope)?;
    if key.vendor() != "com.snowplowanalytics.snowplow" || key.name() != wanted {
        return Err(format!("the envelope is {key}, not {wanted}"));
    }
    let data = envelope.take("data").unwrap_or(Json::Null);
    if column == columns::UNSTRUCT_EVENT {
        event.unstruct = Some(datum(data)?);
        return Ok(());
    }
    let Json::Array(items) = data else { return Err("its data is no array".to_owned()) };
    let items = items.into_iter().map(datum).collect::<Result<_, _>>()?;
    if column == columns::CONTEXTS {
        event.contexts = items;
    } else {
        event.derived = items;
    }
    Ok(())
}

fn schema_of(json: &Json<'_>) -> Result<SchemaKey, String> {
    let uri = json.get("schema").and_then(Json::as_str).ok_or("not self-describing: no schema")?;
    SchemaKey::parse(uri).map_err(|e| format!("\"{uri}\": {e}"))
}

fn datum(mut json: Json<'_>) -> Result<SelfDescribing, String> {
    let schema = schema_of(&json)?;
    let data = json.take("data").ok_or("not self-describing: no data")?;
    Ok(SelfDescribing { schema, data: data.to_text().into() })
}

/// 8-4-4-4-12 hexadecimal digits, and nothing else.
pub fn is_uuid(text: &str) -> bool {
    text.len() == 36
        && text.bytes().enumerate().all(|(i, b)| match i {
            8 | 13 | 18 | 23 => b == b'-',
            _ => b.is_ascii_hexdigit(),
        })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::columns::*;

    fn full() -> Event {
        let mut e = Event::new();
        for (i, c) in COLUMNS.iter().enumerate() {
            match c.kind {
                Kind::Text => e.set_text(i, &format!("t{i} ü")),
                Kind::Decimal => e.set_text(i, "12.50"),
                Kind::Int => e.set(i, Cell::Int(-(i as i32))),
                Kind::Bool => e.set(i, Cell::Bool(i % 2 == 0)),
                Kind::Time => e.set(i, Cell::Time(1_700_000_000_123 + i as i64)),
                Kind::Float => e.set(i, Cell::Float(37.443604)),
                Kind::Json => {}
            }
        }
        e.set_text(EVENT_ID, "c6ef3124-b53a-4b13-a233-0088f79dcbcb");
        let sd = |uri: &str, data: &str| SelfDescribing { schema: SchemaKey::parse(uri).unwrap(), data: data.into() };
        e.unstruct = Some(sd("iglu:com.acme/click/jsonschema/1-0-0", r#"{"z":1.10,"a":[1e3]}"#));
        e.contexts =
            vec![sd("iglu:com.acme/user/jsonschema/2-0-1", "{}"), sd("iglu:a/b/jsonschema/1-0-0", r#"{"t":"x\ty"}"#)];
        e.derived = vec![sd("iglu:com.acme/geo/jsonschema/1-0-0", r#"{"n":null}"#)];
        e
    }

    #[test]
    fn a_line_has_131_cells_and_reads_back() {
        let text = line(&full());
        assert_eq!(text.split('\t').count(), COUNT);
        let back = read(&text).unwrap();
        assert_eq!(line(&back), text);
        assert_eq!(back.unstruct, full().unstruct);
        assert!(text.contains(r#"{"schema":"iglu:com.snowplowanalytics.snowplow/contexts/jsonschema/1-0-1","data":[{"schema":"iglu:com.acme/user/jsonschema/2-0-1","data":{}},"#));
    }

    #[test]
    fn what_would_break_the_line_is_taken_out() {
        let mut e = full();
        e.set_text(APP_ID, "a\tb\r\nc\u{b}");
        let text = line(&e);
        assert_eq!(text.split('\t').count(), COUNT);
        assert!(text.starts_with("a    bc\u{b}\t"));
    }

    #[test]
    fn floats_read_as_java_prints_them() {
        for (v, text) in [
            (100.0, "100.0"),
            (37.443604, "37.443604"),
            (1e-4, "1.0E-4"),
            (-0.0, "-0.0"),
            (1.5e7, "1.5E7"),
            (0.001, "0.001"),
            (-122.41942, "-122.41942"),
        ] {
            let mut out = String::new();
            write_float(v, &mut out);
            assert_eq!(out, text);
        }
    }

    #[test]
    fn a_line_that_is_no_event_is_refused_with_every_bad_cell() {
        assert_eq!(read("x").unwrap_err(), TsvError::NotTsv);
        assert_eq!(read("a\tb").unwrap_err(), TsvError::FieldNumberMismatch(2));
        let mut cells: Vec<String> = line(&full()).split('\t').map(str::to_owned).collect();
        cells[TXN_ID] = "many".into();
        cells[EVENT_ID] = "".into();
        cells[BR_COOKIES] = "true".into();
        cells[CONTEXTS] = "{}".into();
        let TsvError::RowDecodingError(bad) = read(&cells.join("\t")).unwrap_err() else { panic!() };
        assert_eq!(bad.iter().map(|b| b.0).collect::<Vec<_>>(), ["event_id", "txn_id", "contexts", "br_cookies"]);
    }
}
