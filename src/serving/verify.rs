//! `verify=1`: the same question as SQL over the table `events`, in the same snapshot, row by row.
//!
//! Counts, sums, means and ends must be equal; a sketch must lie within its bound. A difference means that the view's rows
//! and the events they claim to count disagree: somebody changed the warehouse, or the program has a fault.

use super::api::Api;
use super::error::{ApiError, ApiResult};
use super::merge::Seam;
use super::params::rfc3339;
use super::question::Planned;
use super::sql::{Ints, write_json};
use crate::batch::warehouse::{SqlColumn, SqlRequest, SqlSink};
use crate::speed::Memory;
use crate::view::answer::Cell;
use crate::view::{Answer, Function, Measure, Value};
use arrow::array::{AsArray, RecordBatch};
use arrow::datatypes::TimestampMicrosecondType;
use serde::Serialize;
use serde_json::{Map, json};
use std::collections::BTreeMap;

/// Differences that are listed.
const MAX_LISTED: usize = 100;
/// How many times its stated standard error a count of different values may be off.
const DISTINCT_TIMES: f64 = 4.0;
/// Relative difference that the last digits of a double may show.
const DOUBLE: f64 = 1e-9;

/// The outcome.
#[derive(Debug, Serialize)]
pub struct Verified {
    equal: bool,
    compared: usize,
    differences: Vec<Difference>,
}

#[derive(Debug, Serialize)]
struct Difference {
    row: Map<String, serde_json::Value>,
    measure: String,
    view: serde_json::Value,
    sql: serde_json::Value,
}

type RowKey = (i64, Vec<Option<String>>);

/// Asks the SQL and compares. `merged` is the merged answer of the same snapshot and the same tail.
///
/// # Errors
/// As the SQL, and 400 when the answer counts groups under `(other)`, which SQL does not know.
pub fn run(api: &Api, seam: &mut Seam, memory: &Memory, planned: &Planned, merged: &Answer) -> ApiResult<Verified> {
    if merged.other_rows > 0 {
        return Err(ApiError::bad(format!("{} events of the range are only counted under (other)", merged.other_rows))
            .hint("raise max_groups of the view, or verify a range without overflow"));
    }
    let known = seam.dynamic_columns(memory)?;
    let request = SqlRequest {
        sql: planned.view.events_sql(&planned.plan, &|column| known.contains(column)),
        params: Vec::new(),
        max_rows: u64::MAX,
        max_bytes: u64::MAX,
        timeout: api.config.view_timeout.to_duration(),
    };
    let mut rows = Rows { dims: planned.dimensions().len(), rows: BTreeMap::new(), problem: None };
    seam.sql(&request, memory, &mut rows)?;
    if let Some(problem) = rows.problem {
        return Err(problem);
    }
    let mut wanted = rows.rows;
    let mut out = Verified { equal: true, compared: 0, differences: Vec::new() };
    for row in &merged.rows {
        let key: RowKey = (row.time, row.dims.iter().map(|d| d.as_deref().map(str::to_owned)).collect());
        let sql = wanted.remove(&key);
        out.compared += 1;
        for ((measure, cell), m) in planned.view.measures().iter().zip(&row.cells).zip(0..) {
            let Cell::One(value) = cell else { continue };
            let other = sql.as_ref().and_then(|s| s.get(m));
            if !other.is_some_and(|other| agrees(measure, value, other)) {
                out.note(planned, &key, &measure.name, json!(value), other.cloned().unwrap_or(json!(null)));
            }
        }
    }
    for (key, values) in &wanted {
        out.compared += 1;
        for (measure, value) in planned.view.measures().iter().zip(values) {
            out.note(planned, key, &measure.name, json!(null), value.clone());
        }
    }
    Ok(out)
}

impl Verified {
    fn note(
        &mut self,
        planned: &Planned,
        key: &RowKey,
        measure: &str,
        view: serde_json::Value,
        sql: serde_json::Value,
    ) {
        self.equal = false;
        if self.differences.len() >= MAX_LISTED {
            return;
        }
        let mut row = Map::new();
        row.insert("time".to_owned(), json!(rfc3339(key.0)));
        for (name, value) in planned.dimensions().into_iter().zip(&key.1) {
            row.insert(name, json!(value));
        }
        self.differences.push(Difference { row, measure: measure.to_owned(), view, sql });
    }
}

/// The rows of the SQL answer.
struct Rows {
    dims: usize,
    rows: BTreeMap<RowKey, Vec<serde_json::Value>>,
    problem: Option<ApiError>,
}

impl SqlSink for Rows {
    fn columns(&mut self, _: &[SqlColumn]) -> bool {
        true
    }

    fn rows(&mut self, batch: RecordBatch) -> bool {
        self.problem = read(&batch, self.dims, &mut self.rows).err();
        self.problem.is_none()
    }
}

/// Reads the rows of the SQL answer: `time`, the dimensions, the measures.
fn read(batch: &RecordBatch, dims: usize, into: &mut BTreeMap<RowKey, Vec<serde_json::Value>>) -> ApiResult<()> {
    let wrong = || ApiError::internal("the SQL of the view has columns of another kind");
    let times =
        batch.columns().first().and_then(|c| c.as_primitive_opt::<TimestampMicrosecondType>()).ok_or_else(wrong)?;
    for row in 0..batch.num_rows() {
        let cell = |at: usize| -> ApiResult<serde_json::Value> {
            let mut text = String::new();
            write_json(batch.columns().get(at).ok_or_else(wrong)?.as_ref(), row, Ints::Text, &mut text);
            serde_json::from_str(&text).map_err(|_| wrong())
        };
        let key = (1..=dims)
            .map(|at| cell(at).map(|v| v.as_str().map(str::to_owned)))
            .collect::<ApiResult<Vec<Option<String>>>>()?;
        let values = (1 + dims..batch.num_columns()).map(cell).collect::<ApiResult<Vec<_>>>()?;
        into.insert((times.value(row).div_euclid(1000), key), values);
    }
    Ok(())
}

/// Whether a value of the view and one of SQL are the same, as far as the measure promises.
fn agrees(measure: &Measure, view: &Value, sql: &serde_json::Value) -> bool {
    let number = |v: &serde_json::Value| match v {
        serde_json::Value::String(text) => text.parse::<f64>().ok(),
        other => other.as_f64(),
    };
    let text = |v: &Value| serde_json::to_string(v).unwrap_or_default();
    match (view, measure.function) {
        (Value::Null, _) => sql.is_null(),
        (Value::Whole(v), Function::Distinct) => number(sql).is_some_and(|exact| {
            let bound = measure.error().unwrap_or(0.0) * DISTINCT_TIMES * exact;
            (*v as f64 - exact).abs() <= bound.max(1.0)
        }),
        // Ranks, not values, are what a quantile sketch bounds, and the values of a `top` list may tie: both are shown to
        // agree by the tests of the sketches, not here.
        (_, Function::Quantile(_) | Function::Top(_)) => !sql.is_null(),
        (Value::Double(v), _) => number(sql).is_some_and(|s| (s - v).abs() <= DOUBLE * v.abs().max(1.0)),
        (Value::Time(_), _) => sql.as_str() == serde_json::from_str::<String>(&text(view)).ok().as_deref(),
        (Value::Whole(_) | Value::Decimal(..), _) => {
            let digits = match sql {
                serde_json::Value::String(text) => text.clone(),
                other => other.to_string(),
            };
            plain(&digits) == plain(&text(view))
        }
        (Value::Top(_), _) => true,
    }
}

/// A decimal without zeros that say nothing.
fn plain(digits: &str) -> &str {
    match digits.contains('.') {
        true => digits.trim_end_matches('0').trim_end_matches('.'),
        false => digits,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn measure(function: Function) -> Measure {
        Measure { name: "m".to_owned(), function, field: None, number: crate::view::Number::Whole }
    }

    #[test]
    fn numbers_agree_to_the_last_digit_and_estimates_within_their_bound() {
        let sum = measure(Function::Sum);
        assert!(agrees(&sum, &Value::Decimal(1250, 2), &json!("12.5")));
        assert!(!agrees(&sum, &Value::Decimal(1250, 2), &json!("12.51")));
        assert!(agrees(&measure(Function::Count), &Value::Whole(9_007_199_254_740_993), &json!("9007199254740993")));
        assert!(!agrees(&measure(Function::Count), &Value::Whole(9_007_199_254_740_993), &json!("9007199254740992")));
        assert!(agrees(&sum, &Value::Null, &json!(null)));
        let users = measure(Function::Distinct);
        assert!(agrees(&users, &Value::Whole(1010), &json!("1000")));
        assert!(!agrees(&users, &Value::Whole(1500), &json!("1000")));
        assert!(agrees(&measure(Function::Avg), &Value::Double(0.1 + 0.2), &json!(0.3)));
        assert!(agrees(&measure(Function::Max), &Value::Time(1_000_000), &json!("1970-01-01T00:00:01.000Z")));
    }
}
