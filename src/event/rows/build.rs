//! From cells to columns.
//!
//! One pass over the rows finds which columns hold anything; then each of those is built on its own. Columns without a
//! value cost nothing per row: half of a web event's columns are empty.

use super::entity::{Admit, Entities, MAX_DYNAMIC};
use super::{ATOMIC, NullArrays, Rows, atomic_position, atomic_type, decimal};
use crate::event::columns::{self, COLUMNS, COUNT, Kind};
use crate::event::model::{Cell, Event};
use crate::event::outcome::{Outcome, Processed};
use arrow::array::{
    ArrayRef, BooleanBuilder, Decimal128Builder, Float64Builder, Int32Builder, StringBuilder,
    TimestampMicrosecondBuilder,
};
use std::sync::Arc;

/// Makes columns of the enriched events among `items`, and of the incomplete events of its failures; both keep the order
/// of `items`.
pub fn build(items: &[Processed]) -> (Rows, Rows) {
    both(items, &|_, have| have < MAX_DYNAMIC)
}

/// As [`build`], with those self-describing columns alone that `admit` accepts; data of the others go to the overflow
/// columns.
pub fn build_admitted(items: &[Processed], admit: impl Fn(&str) -> bool) -> (Rows, Rows) {
    both(items, &|name, _| admit(name))
}

fn both(items: &[Processed], admit: &Admit<'_>) -> (Rows, Rows) {
    let mut enriched: Vec<&Event> = Vec::with_capacity(items.len());
    let mut incomplete: Vec<&Event> = Vec::new();
    for item in items {
        match &item.outcome {
            Outcome::Enriched(event) => enriched.push(event),
            Outcome::Failed(failure) => incomplete.extend(failure.incomplete.as_deref()),
            Outcome::Duplicate(_) | Outcome::Dropped { .. } => {}
        }
    }
    (rows(&enriched, admit), rows(&incomplete, admit))
}

pub(super) fn rows(events: &[&Event], admit: &Admit<'_>) -> Rows {
    if events.is_empty() {
        return Rows::empty();
    }
    let used = used_columns(events);
    let mut nulls = NullArrays::new(events.len());
    let mut atomic = Vec::with_capacity(ATOMIC);
    let mut unfit = 0;
    for column in (0..COUNT).filter(|&c| atomic_position(c).is_some()) {
        atomic.push(match used[column] {
            true => array(events, column, &mut unfit),
            false => nulls.of(&atomic_type(column)),
        });
    }
    let mut entities = Entities::new(events.len(), admit);
    for event in events {
        event.unstruct.iter().for_each(|datum| entities.unstruct(datum));
        event.contexts.iter().chain(&event.derived).for_each(|datum| entities.context(datum));
        entities.end_row();
    }
    Rows::assemble(atomic, entities.finish(), unfit, events.len()).expect("columns of one length") // reason: every array was made a few lines up, for this schema and this length
}

fn used_columns(events: &[&Event]) -> [bool; COUNT] {
    let mut used = [false; COUNT];
    for event in events {
        for (column, used) in used.iter_mut().enumerate() {
            *used |= !event.is_null(column);
        }
    }
    used
}

fn array(events: &[&Event], column: usize, unfit: &mut u64) -> ArrayRef {
    match COLUMNS[column].kind {
        Kind::Text | Kind::Json => text(events, column),
        Kind::Time => {
            let mut b = TimestampMicrosecondBuilder::with_capacity(events.len());
            events.iter().for_each(|e| b.append_option(fit(e.time(column), |ms| micros(*ms), unfit)));
            Arc::new(b.finish())
        }
        Kind::Int => {
            let mut b = Int32Builder::with_capacity(events.len());
            events.iter().for_each(|e| b.append_option(e.int(column)));
            Arc::new(b.finish())
        }
        Kind::Bool => {
            let mut b = BooleanBuilder::with_capacity(events.len());
            events.iter().for_each(|e| b.append_option(e.bool(column)));
            Arc::new(b.finish())
        }
        Kind::Float => {
            let mut b = Float64Builder::with_capacity(events.len());
            events.iter().for_each(|e| b.append_option(fit(e.float(column), |v| widen(*v), unfit)));
            Arc::new(b.finish())
        }
        Kind::Decimal if columns::MONEY.contains(&column) => {
            let mut b = Decimal128Builder::with_capacity(events.len()).with_data_type(atomic_type(column));
            events.iter().for_each(|e| b.append_option(fit(e.text(column), |t| decimal::hundredths(t), unfit)));
            Arc::new(b.finish())
        }
        Kind::Decimal => {
            let mut b = Float64Builder::with_capacity(events.len());
            events.iter().for_each(|e| b.append_option(fit(e.text(column), |t| finite(t), unfit)));
            Arc::new(b.finish())
        }
    }
}

fn text(events: &[&Event], column: usize) -> ArrayRef {
    let bytes = events
        .iter()
        .map(|e| match e.cell(column) {
            Cell::Text { len, .. } => len as usize,
            _ => 0,
        })
        .sum();
    let mut b = StringBuilder::with_capacity(events.len(), bytes);
    events.iter().for_each(|e| b.append_option(e.text(column)));
    Arc::new(b.finish())
}

fn fit<T, R>(value: Option<T>, to: impl Fn(&T) -> Option<R>, unfit: &mut u64) -> Option<R> {
    let fitted = value.as_ref().map(to)?;
    *unfit += u64::from(fitted.is_none());
    fitted
}

/// The range of a DuckDB timestamp is that of its microseconds, with the last values taken for infinity.
fn micros(ms: i64) -> Option<i64> {
    ms.checked_mul(1000).filter(|us| (-9_223_372_022_400_000_000..=9_223_372_036_854_775_000).contains(us))
}

/// The double nearest to the decimal text of the float, as a reader of the TSV form would get it.
fn widen(value: f32) -> Option<f64> {
    value.to_string().parse().ok().and_then(|v: f64| v.is_finite().then_some(v))
}

fn finite(text: &str) -> Option<f64> {
    text.parse().ok().filter(|v: &f64| v.is_finite())
}
