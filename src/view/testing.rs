//! Rows made by hand for tests: the shape of [`crate::event::rows::Rows`] with the columns that a test cares about filled.

use crate::event::columns::{self, COLUMNS};
use crate::event::rows::Rows;
use arrow::array::{
    ArrayRef, BooleanArray, Decimal128Array, Float64Array, Int32Array, StringArray, TimestampMicrosecondArray,
};
use arrow::datatypes::{Field, Schema};
use arrow::record_batch::RecordBatch;
use std::sync::Arc;

/// One event of a test.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Row {
    pub(crate) arrival: i64,
    pub(crate) derived: Option<i64>,
    pub(crate) app: Option<String>,
    pub(crate) event: Option<String>,
    pub(crate) user: Option<String>,
    pub(crate) page: Option<String>,
    pub(crate) port: Option<i32>,
    pub(crate) mobile: Option<bool>,
    pub(crate) total_cents: Option<i64>,
    pub(crate) value: Option<f64>,
    pub(crate) timing: Option<String>,
    pub(crate) search: Option<String>,
}

/// Self-describing column of [`Row::timing`].
pub(crate) const TIMING: &str = "contexts_org_w3_performance_timing_1";
/// Self-describing column of [`Row::search`].
pub(crate) const SEARCH: &str = "unstruct_event_com_acme_search_1";

/// The events as one batch of all atomic columns and the two self-describing ones.
pub(crate) fn rows(of: &[Row]) -> Rows {
    let mut fields = Vec::new();
    let mut arrays: Vec<ArrayRef> = Vec::new();
    let mut put = |name: &str, array: ArrayRef| {
        fields.push(Field::new(name, array.data_type().clone(), true));
        arrays.push(array);
    };
    let text =
        |get: &dyn Fn(&Row) -> Option<String>| -> ArrayRef { Arc::new(of.iter().map(get).collect::<StringArray>()) };
    for (index, column) in COLUMNS.iter().enumerate() {
        let array: ArrayRef = match (index, column.kind) {
            (_, columns::Kind::Json) => continue,
            (columns::APP_ID, _) => text(&|r| r.app.clone()),
            (columns::EVENT_NAME, _) => text(&|r| r.event.clone()),
            (columns::DOMAIN_USERID, _) => text(&|r| r.user.clone()),
            (columns::PAGE_URLPATH, _) => text(&|r| r.page.clone()),
            (_, columns::Kind::Text) => text(&|_| None),
            (columns::COLLECTOR_TSTAMP, _) => {
                Arc::new(of.iter().map(|r| Some(r.arrival * 1000)).collect::<TimestampMicrosecondArray>())
            }
            (columns::DERIVED_TSTAMP, _) => {
                Arc::new(of.iter().map(|r| r.derived.map(|d| d * 1000)).collect::<TimestampMicrosecondArray>())
            }
            (_, columns::Kind::Time) => Arc::new(of.iter().map(|_| None::<i64>).collect::<TimestampMicrosecondArray>()),
            (columns::PAGE_URLPORT, _) => Arc::new(of.iter().map(|r| r.port).collect::<Int32Array>()),
            (_, columns::Kind::Int) => Arc::new(of.iter().map(|_| None::<i32>).collect::<Int32Array>()),
            (columns::DVCE_ISMOBILE, _) => Arc::new(of.iter().map(|r| r.mobile).collect::<BooleanArray>()),
            (_, columns::Kind::Bool) => Arc::new(of.iter().map(|_| None::<bool>).collect::<BooleanArray>()),
            (columns::SE_VALUE, _) => Arc::new(of.iter().map(|r| r.value).collect::<Float64Array>()),
            (i, columns::Kind::Decimal) if columns::MONEY.contains(&i) => {
                let total = |r: &Row| if i == columns::TR_TOTAL { r.total_cents.map(i128::from) } else { None };
                let cents: Decimal128Array = of.iter().map(total).collect();
                Arc::new(cents.with_precision_and_scale(18, 2).unwrap())
            }
            (_, columns::Kind::Decimal | columns::Kind::Float) => {
                Arc::new(of.iter().map(|_| None::<f64>).collect::<Float64Array>())
            }
        };
        put(column.name, array);
    }
    put(TIMING, text(&|r| r.timing.clone()));
    put(SEARCH, text(&|r| r.search.clone()));
    Rows { batch: RecordBatch::try_new(Arc::new(Schema::new(fields)), arrays).unwrap(), unfit: 0 }
}
