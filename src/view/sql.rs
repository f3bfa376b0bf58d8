//! The second compilation: the same question as SQL.
//!
//! [`View::sql`] asks the table `events` (every enriched event, committed or in memory), so that a view's numbers can be
//! checked against the rows they claim to count. Sums, counts, means and ends are the same to the digit; `distinct`,
//! `quantile` and `top` are computed exactly here, so a view's estimate differs by its stated error. [`View::stored_sql`]
//! reads the rows of `derived.<view>` that a plan needs. The dialect is DuckDB's, without the ICU extension.

use super::column::MAX_WORD_CHARS;
use super::compiled::{ROWS_COLUMN, View};
use super::def::TimeColumn;
use super::error::ViewError;
use super::field::{Field, Kind, Source};
use super::measure::{Function, Measure, Number};
use super::query::{Plan, PlannedFilter, ViewQuery};
use super::zone::{Bucketer, Segment, local_end};
use std::fmt::Write;

impl View {
    /// The question as one SELECT over table `events`: columns `time`, the dimensions asked for, the measures.
    ///
    /// # Errors
    /// [`ViewError::Query`] as [`View::plan`].
    pub fn sql(&self, query: &ViewQuery) -> Result<String, ViewError> {
        Ok(self.events_sql(&self.plan(query)?, &|_| true))
    }

    /// As [`View::sql`], where `has_column` says which self-describing columns the table has yet: a reference to another one
    /// is `NULL`.
    pub fn events_sql(&self, plan: &Plan, has_column: &dyn Fn(&str) -> bool) -> String {
        let time = match self.time() {
            TimeColumn::Derived => "coalesce(derived_tstamp, collector_tstamp)",
            TimeColumn::Collector => "collector_tstamp",
        };
        let mut inner = format!("SELECT {time} AS t");
        for (d, dimension) in self.dimensions.iter().enumerate() {
            let field = &self.fields[dimension.field];
            let word = text(field, has_column);
            let _ = match field.kind {
                Kind::Text | Kind::Json => write!(inner, ", left({word}, {MAX_WORD_CHARS}) AS d{d}"),
                _ => write!(inner, ", {word} AS d{d}"),
            };
        }
        for (m, measure) in self.measures.iter().enumerate() {
            if let Some(field) = measure.field {
                let _ = write!(inner, ", {} AS m{m}", argument(measure, &self.fields[field], has_column));
            }
        }
        inner.push_str(" FROM events");
        for (i, only) in self.only.iter().enumerate() {
            let values: Vec<String> = only.values.iter().map(|v| literal(v)).collect();
            let word = if i == 0 { "WHERE" } else { "AND" };
            let _ = write!(inner, " {word} {} IN ({})", text(&self.fields[only.field], has_column), values.join(", "));
        }
        let mut range = format!("t >= {} AND t < {}", instant(plan.from_ms), instant(plan.to_ms));
        for filter in &plan.filter {
            let _ = write!(range, " AND {}", condition(&format!("d{}", filter.dimension), filter));
        }
        let mut out = format!("SELECT {} AS time", bucket(&plan.bucketer, "t"));
        for d in plan.by.iter() {
            let _ = write!(out, ", d{d} AS {}", name(&self.dimensions[*d].name));
        }
        for (m, measure) in self.measures.iter().enumerate() {
            let _ = write!(out, ", {} AS {}", aggregate(measure, &format!("m{m}")), name(&measure.name));
        }
        let keys: Vec<String> = (1..=1 + plan.by.len()).map(|k| k.to_string()).collect();
        let keys = keys.join(", ");
        let _ = write!(out, " FROM ({inner}) WHERE {range} GROUP BY {keys} ORDER BY {keys}");
        out
    }

    /// The rows of `table` (as in `derived.traffic`) that the plan needs, in the view's storage schema, for
    /// [`super::Reducer::add_stored`]. Where SQL can fold the measures, rows of one bucket and group come as one.
    pub fn stored_sql(&self, plan: &Plan, table: &str) -> String {
        let folded = self.is_scalar();
        let mut out = if folded {
            format!("SELECT {} AS time", bucket(&plan.bucketer, "time"))
        } else {
            "SELECT time".to_owned()
        };
        for dimension in &self.dimensions {
            let _ = write!(out, ", {}", name(&dimension.name));
        }
        let sum = |column: &str, kind: &str| match folded {
            true => format!(", CAST(sum({0}) AS {kind}) AS {0}", name(column)),
            false => format!(", {}", name(column)),
        };
        out.push_str(&sum(ROWS_COLUMN, "BIGINT"));
        for measure in &self.measures {
            let decimal = format!("DECIMAL(38, {})", measure.number.scale());
            match measure.function {
                Function::Count => out.push_str(&sum(&measure.name, "BIGINT")),
                Function::Sum => out.push_str(&sum(&measure.name, &decimal)),
                Function::Avg => {
                    out.push_str(&sum(&format!("{}_sum", measure.name), &decimal));
                    out.push_str(&sum(&format!("{}_count", measure.name), "BIGINT"));
                }
                Function::Min | Function::Max if folded => {
                    let _ = write!(out, ", {}({1}) AS {1}", measure.function, name(&measure.name));
                }
                _ => {
                    let _ = write!(out, ", {}", name(&measure.name));
                }
            }
        }
        let _ = write!(out, " FROM {table} WHERE time >= {} AND time < {}", instant(plan.from_ms), instant(plan.to_ms));
        for filter in &plan.filter {
            let column = name(&self.dimensions[filter.dimension].name);
            // The overflow group passes, so that the answer can say how much it holds.
            let other = format!("{column} = {}", literal(super::compiled::OTHER));
            let _ = write!(out, " AND ({} OR {other})", condition(&column, filter));
        }
        if folded {
            let keys: Vec<String> = (1..=1 + self.dimensions.len()).map(|k| k.to_string()).collect();
            let _ = write!(out, " GROUP BY {}", keys.join(", "));
        }
        out
    }
}

/// A quoted name.
fn name(text: &str) -> String {
    format!("\"{}\"", text.replace('"', "\"\""))
}

/// A text literal. A NUL cannot stand in SQL text, so it is put in as a character code.
fn literal(text: &str) -> String {
    let quoted = |part: &str| format!("'{}'", part.replace('\'', "''"));
    text.split('\0').map(quoted).collect::<Vec<_>>().join(" || chr(0) || ")
}

fn instant(ms: i64) -> String {
    match jiff::Timestamp::from_millisecond(ms) {
        Ok(t) if t.as_millisecond() >= 0 => {
            let text = format!("{t:.3}");
            format!("TIMESTAMP '{}'", text.trim_end_matches('Z').replace('T', " "))
        }
        // A thousand times a far time does not fit; such a bound bounds nothing.
        _ => format!("make_timestamp({})", ms.clamp(-9_000_000_000_000_000, 9_000_000_000_000_000) * 1000),
    }
}

/// Where the value of a field stands in `events`.
fn place(field: &Field, has_column: &dyn Fn(&str) -> bool) -> String {
    match &field.source {
        Source::Atomic(_) => name(&field.text),
        Source::Json { column, .. } if !has_column(column) => "NULL".to_owned(),
        Source::Json { column, entity, path } => {
            let first = if *entity { "[1]" } else { "" };
            let keys: String = path.iter().map(|k| format!(".{}", name(k))).collect();
            format!("{}{first}{keys}", name(column))
        }
    }
}

fn text(field: &Field, has_column: &dyn Fn(&str) -> bool) -> String {
    let place = place(field, has_column);
    match field.kind {
        Kind::Text => place,
        Kind::Json if place == "NULL" => "CAST(NULL AS VARCHAR)".to_owned(),
        Kind::Json => format!("CASE WHEN {} THEN NULL ELSE CAST({place} AS VARCHAR) END", is_nested(&place)),
        _ => format!("CAST({place} AS VARCHAR)"),
    }
}

/// An object or an array is no value.
fn is_nested(place: &str) -> String {
    format!("regexp_matches(variant_typeof({place}), '^(OBJECT|ARRAY)')")
}

/// A JSON number as a double; text that looks like one is none.
fn number(field: &Field, has_column: &dyn Fn(&str) -> bool) -> String {
    let place = place(field, has_column);
    match field.kind {
        Kind::Json if place == "NULL" => "CAST(NULL AS DOUBLE)".to_owned(),
        Kind::Json => format!(
            "CASE WHEN regexp_matches(variant_typeof({place}), '^(U?INT|FLOAT|DOUBLE|DECIMAL)') THEN TRY_CAST({place} AS DOUBLE) \
             END"
        ),
        _ => place,
    }
}

fn argument(measure: &Measure, field: &Field, has_column: &dyn Fn(&str) -> bool) -> String {
    match measure.function {
        Function::Count | Function::Distinct | Function::Top(_) if field.kind == Kind::Json => text(field, has_column),
        Function::Top(_) => text(field, has_column),
        Function::Count | Function::Distinct => place(field, has_column),
        _ => number(field, has_column),
    }
}

fn aggregate(measure: &Measure, m: &str) -> String {
    let double = measure.number == Number::Double;
    // Billionths, rounded once per value, as the fold does it.
    let exact = if double {
        format!("CAST(round_even(CASE WHEN abs({m}) < 1e20 THEN {m} END * 1e9, 0) AS HUGEINT)")
    } else {
        m.to_owned()
    };
    let unit = if double { " / 1e9" } else { "" };
    match measure.function {
        Function::Count if measure.field.is_none() => "count(*)".to_owned(),
        Function::Count => format!("count({m})"),
        Function::Sum => format!("sum({exact}){unit}"),
        Function::Avg => format!("CAST(sum({exact}) AS DOUBLE) / count({exact}){unit}"),
        Function::Min => format!("min({m})"),
        Function::Max => format!("max({m})"),
        Function::Distinct => format!("count(DISTINCT {m})"),
        Function::Quantile(q) => format!("quantile_disc({m}, {q})"),
        Function::Top(n) => format!(
            "list_transform(list_sort(list_transform(map_entries(histogram({m})), lambda e: {{'n': -CAST(e.value AS BIGINT), \
             'value': e.key}}))[1:{n}], lambda e: {{'value': e.value, 'count': -e.n}})"
        ),
    }
}

fn condition(column: &str, filter: &PlannedFilter) -> String {
    let values: Vec<String> = filter.values.iter().flatten().map(|v| literal(v)).collect();
    let mut any = Vec::new();
    if !values.is_empty() {
        any.push(format!("coalesce({column} IN ({}), false)", values.join(", ")));
    }
    if filter.values.contains(&None) {
        any.push(format!("{column} IS NULL"));
    }
    let any = if any.is_empty() { "false".to_owned() } else { format!("({})", any.join(" OR ")) };
    if filter.exclude { format!("NOT {any}") } else { any }
}

/// The bucket of the time in column `t`, cut exactly where [`Bucketer::bucket`] cuts.
fn bucket(bucketer: &Bucketer, t: &str) -> String {
    let Some(grain) = bucketer.grain else { return instant(bucketer.start) };
    let width = format!("INTERVAL '{} seconds'", grain / 1000);
    let origin = "TIMESTAMP '1970-01-01'";
    if !bucketer.is_local() {
        return format!("time_bucket({width}, {t}, {origin})");
    }
    let segments = bucketer.zone.segments();
    let offset = cases(segments, t, |_, b| b.from);
    let local = format!("time_bucket({width}, {t} + to_seconds({offset}), {origin})");
    let back = if bucketer.is_short() { offset } else { cases(segments, &local, local_end) };
    format!("{local} - to_seconds({back})")
}

/// The offset in seconds by comparing `at` with where each segment ends.
fn cases(segments: &[Segment], at: &str, end: impl Fn(Segment, Segment) -> i64) -> String {
    let seconds = |s: &Segment| (s.offset / 1000).to_string();
    let Some((last, _)) = segments.split_last() else { return "0".to_owned() };
    if segments.len() == 1 {
        return seconds(last);
    }
    let mut out = "CASE".to_owned();
    for pair in segments.windows(2) {
        let _ = write!(out, " WHEN {at} < {} THEN {}", instant(end(pair[0], pair[1])), seconds(&pair[0]));
    }
    let _ = write!(out, " ELSE {} END", seconds(last));
    out
}
