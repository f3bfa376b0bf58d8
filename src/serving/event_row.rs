//! Events of the live feed: which ones somebody asked for, and the short form in which they are shown.

use super::error::{ApiError, ApiResult};
use super::failures::{Advice, explain};
use super::params::{Condition, rfc3339};
use crate::event::columns::{self, COLUMNS, Kind};
use crate::event::json::write_string;
use crate::event::sdk_json::{self, Form};
use crate::event::{Event, Outcome, Processed, tsv};
use std::borrow::Cow;

/// Most columns that a reader may ask for beside the usual ones.
const MAX_COLUMNS: usize = 40;
/// Longest value in a short form, in characters.
const MAX_VALUE: usize = 300;

/// The states of events, as they are written in `tail=good,failed` and in every row.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct States {
    good: bool,
    failed: bool,
    duplicate: bool,
    dropped: bool,
}

impl States {
    /// Reads a list.
    ///
    /// # Errors
    /// 400 that lists what is known.
    pub fn parse(name: &str, list: &[&str]) -> ApiResult<Self> {
        let mut states = States::default();
        for word in list {
            match *word {
                "good" => states.good = true,
                "failed" => states.failed = true,
                "duplicate" | "dup" => states.duplicate = true,
                "dropped" => states.dropped = true,
                other => {
                    return Err(ApiError::bad(format!("\"{name}={other}\" is no state of an event"))
                        .hint("known: good, failed, duplicate, dropped"));
                }
            }
        }
        Ok(states)
    }

    fn has(self, outcome: &Outcome) -> bool {
        match outcome {
            Outcome::Enriched(_) => self.good,
            Outcome::Failed(_) => self.failed,
            Outcome::Duplicate(_) => self.duplicate,
            Outcome::Dropped { .. } => self.dropped,
        }
    }
}

/// Which events are wanted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Selection {
    states: States,
    /// Per column: any of these values.
    wanted: Vec<(usize, Vec<String>)>,
    /// Columns and values that exclude an event.
    unwanted: Vec<(usize, String)>,
}

impl Selection {
    /// Events in these states that meet all conditions. Values of one field are alternatives; every excluded value excludes.
    ///
    /// # Errors
    /// 400 for a field that is no atomic column.
    pub fn new(states: States, conditions: &[Condition]) -> ApiResult<Self> {
        let mut selection = Selection { states, ..Selection::default() };
        for c in conditions {
            let column = column(&c.field)?;
            if c.exclude {
                selection.unwanted.push((column, c.value.clone()));
            } else if let Some((_, values)) = selection.wanted.iter_mut().find(|(at, _)| *at == column) {
                values.push(c.value.clone());
            } else {
                selection.wanted.push((column, vec![c.value.clone()]));
            }
        }
        Ok(selection)
    }

    /// Whether an event is wanted.
    pub fn takes(&self, event: &Processed) -> bool {
        if !self.states.has(&event.outcome) {
            return false;
        }
        let is = |column: usize, value: &String| text(&event.outcome, column).unwrap_or_default() == value.as_str();
        self.wanted.iter().all(|(column, values)| values.iter().any(|v| is(*column, v)))
            && !self.unwanted.iter().any(|(column, value)| is(*column, value))
    }
}

/// Reads a list of columns.
///
/// # Errors
/// 400 for a name that is no atomic column, or too many.
pub fn columns(names: &[&str]) -> ApiResult<Vec<usize>> {
    if names.len() > MAX_COLUMNS {
        return Err(ApiError::bad(format!("more than {MAX_COLUMNS} columns")));
    }
    names.iter().map(|n| column(n)).collect()
}

fn column(name: &str) -> ApiResult<usize> {
    columns::index_of(name).filter(|c| COLUMNS[*c].kind != Kind::Json).ok_or_else(|| {
        let shown: String = name.chars().take(80).collect();
        ApiError::bad(format!("\"{shown}\" is no atomic column")).hint(
            "live events are chosen by atomic columns such as app_id, event_name, user_id; anything else by /v1/sql",
        )
    })
}

fn event(outcome: &Outcome) -> Option<&Event> {
    match outcome {
        Outcome::Enriched(event) => Some(event),
        Outcome::Failed(failure) => failure.incomplete.as_deref(),
        Outcome::Duplicate(_) | Outcome::Dropped { .. } => None,
    }
}

/// A column as text; absent if it is empty.
fn text(outcome: &Outcome, column: usize) -> Option<Cow<'_, str>> {
    if let Outcome::Failed(failure) = outcome
        && column == columns::APP_ID
    {
        return failure.app_id.as_deref().map(Cow::Borrowed);
    }
    let event = event(outcome)?;
    match event.text(column) {
        Some(text) => Some(Cow::Borrowed(text)),
        None => {
            let mut out = String::new();
            tsv::write_cell(event, column, &mut out);
            (!out.is_empty()).then_some(Cow::Owned(out))
        }
    }
}

/// The word for a state.
pub fn state(outcome: &Outcome) -> &'static str {
    match outcome {
        Outcome::Enriched(_) => "good",
        Outcome::Failed(_) => "failed",
        Outcome::Duplicate(_) => "duplicate",
        Outcome::Dropped { .. } => "dropped",
    }
}

/// Appends the short form of an event: place, state, time, who, what, and for a failed one why. `received_ms` is used
/// where the event itself has no time.
pub fn write(event: &Processed, extra: &[usize], received_ms: i64, advice: &dyn Advice, out: &mut String) {
    use std::fmt::Write;
    let outcome = &event.outcome;
    let time = match outcome {
        Outcome::Enriched(e) => e.time(columns::COLLECTOR_TSTAMP).unwrap_or(received_ms),
        Outcome::Failed(f) => f.collector_ms,
        _ => received_ms,
    };
    // Writing to a String cannot fail.
    let _ = write!(
        out,
        "{{\"offset\":{},\"index\":{},\"state\":\"{}\",\"time\":\"{}\"",
        event.addr.offset,
        event.addr.index,
        state(outcome),
        rfc3339(time)
    );
    let member = |name: &str, value: Option<Cow<'_, str>>, out: &mut String| {
        out.push(',');
        write_string(name, out);
        out.push(':');
        match value {
            Some(v) => write_string(&cut(&v), out),
            None => out.push_str("null"),
        }
    };
    let first_of = |candidates: &[usize]| candidates.iter().find_map(|c| text(outcome, *c));
    member("event_id", text(outcome, columns::EVENT_ID), out);
    member("app_id", text(outcome, columns::APP_ID), out);
    member("event_name", first_of(&[columns::EVENT_NAME, columns::EVENT]), out);
    member("page", first_of(&[columns::PAGE_URLPATH, columns::PAGE_URL]), out);
    member("user", first_of(&[columns::USER_ID, columns::DOMAIN_USERID, columns::NETWORK_USERID]), out);
    for column in extra {
        member(COLUMNS[*column].name, text(outcome, *column), out);
    }
    match outcome {
        Outcome::Failed(failure) => {
            let why = explain(&failure.cause, &failure.bad_row, advice);
            member("cause_id", Some(super::failures::cause_id(&failure.cause).into()), out);
            member("reason", Some(why.title.into()), out);
            member("hint", why.hint.map(Cow::Owned), out);
        }
        Outcome::Duplicate(first) => member("of", Some(first.to_string().into()), out),
        Outcome::Dropped { by } => member("by", Some(by.as_str().into()), out),
        Outcome::Enriched(_) => {}
    }
    if let Some(repair) = event.repairs {
        member("repairs", Some(repair.of.to_string().into()), out);
    }
    out.push('}');
}

/// Appends everything that is known of an event: the short form, and beside it the event itself (and the bad row).
pub fn write_full(event: &Processed, received_ms: i64, advice: &dyn Advice, out: &mut String) {
    write(event, &[], received_ms, advice, out);
    out.pop();
    let whole = |e: &Event, out: &mut String| sdk_json::write(e, Form::Lossy, out);
    match &event.outcome {
        Outcome::Enriched(e) => {
            out.push_str(",\"event\":");
            whole(e, out);
        }
        Outcome::Failed(failure) => {
            out.push_str(",\"bad_row\":");
            out.push_str(&failure.bad_row);
            if let Some(e) = &failure.incomplete {
                out.push_str(",\"event\":");
                whole(e, out);
            }
        }
        Outcome::Duplicate(_) | Outcome::Dropped { .. } => {}
    }
    out.push('}');
}

fn cut(value: &str) -> Cow<'_, str> {
    match value.char_indices().nth(MAX_VALUE) {
        Some((at, _)) => Cow::Owned(format!("{}…", &value[..at])),
        None => Cow::Borrowed(value),
    }
}
