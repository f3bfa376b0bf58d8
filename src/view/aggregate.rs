//! One aggregate: the state of one measure for one group.
//!
//! Every state is a commutative monoid: [`Aggregate::zero`] is its neutral element, [`Aggregate::merge`] its operation, and
//! adding one event is merging the aggregate of that event. That alone lets chunks, micro-batches, layers and grains be
//! folded in any order.

use super::distinct::Distinct;
use super::exact::{self, Wide};
use super::measure::{Function, Measure, Number};
use super::quantiles::Quantiles;
use super::top::{Item, Top};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::ser::{SerializeMap, SerializeSeq};
use serde::{Serialize, Serializer};

/// State of one measure for one group.
#[derive(Clone, Debug)]
pub enum Aggregate {
    /// Events.
    Count(u64),
    /// Sum in units of the measure's scale; `None` before the first value, as SQL has it.
    Sum(Option<Wide>),
    /// Sum and number of values.
    Avg(Wide, u64),
    /// Least value, as an order-keeping integer.
    Min(Option<Wide>),
    /// Greatest value, as an order-keeping integer.
    Max(Option<Wide>),
    /// Different values.
    Distinct(Distinct),
    /// Distribution.
    Quantile(Box<Quantiles>),
    /// Most frequent values.
    Top(Top),
}

impl Aggregate {
    /// The state before the first event.
    pub fn zero(function: Function) -> Aggregate {
        match function {
            Function::Count => Aggregate::Count(0),
            Function::Sum => Aggregate::Sum(None),
            Function::Min => Aggregate::Min(None),
            Function::Max => Aggregate::Max(None),
            Function::Avg => Aggregate::Avg(Wide::new(0), 0),
            Function::Distinct => Aggregate::Distinct(Distinct::None),
            Function::Quantile(_) => Aggregate::Quantile(Box::default()),
            Function::Top(_) => Aggregate::Top(Top::default()),
        }
    }

    /// Takes another state of the same measure in. A state of another measure changes nothing; the callers hold aggregates
    /// by measure, so it cannot come.
    pub fn merge(&mut self, other: &Aggregate) {
        match (self, other) {
            (Aggregate::Count(a), Aggregate::Count(b)) => *a += b,
            (Aggregate::Sum(a), Aggregate::Sum(Some(b))) => *a = Some(a.unwrap_or_default().plus(b.get())),
            (Aggregate::Avg(a, n), Aggregate::Avg(b, m)) => {
                *a = a.plus(b.get());
                *n += m;
            }
            (this @ (Aggregate::Min(_) | Aggregate::Max(_)), Aggregate::Min(Some(b)) | Aggregate::Max(Some(b))) => {
                this.compare(b.get());
            }
            (Aggregate::Distinct(a), Aggregate::Distinct(b)) => a.merge(b),
            (Aggregate::Quantile(a), Aggregate::Quantile(b)) => a.merge(b),
            (Aggregate::Top(a), Aggregate::Top(b)) => a.merge(b),
            _ => {}
        }
    }

    /// Takes in a number, in the measure's units, for a sum or a mean.
    #[inline]
    pub(super) fn add_exact(&mut self, v: i128) {
        match self {
            Aggregate::Sum(sum) => *sum = Some(sum.unwrap_or_default().plus(v)),
            Aggregate::Avg(sum, n) => {
                *sum = sum.plus(v);
                *n += 1;
            }
            _ => {}
        }
    }

    /// Takes in an order-keeping integer for a least or greatest value.
    #[inline]
    pub(super) fn compare(&mut self, v: i128) {
        match self {
            Aggregate::Min(m) if m.is_none_or(|m| v < m.get()) => *m = Some(Wide::new(v)),
            Aggregate::Max(m) if m.is_none_or(|m| v > m.get()) => *m = Some(Wide::new(v)),
            _ => {}
        }
    }

    /// Gives memory back of one that will not grow any more.
    pub fn compact(&mut self) {
        match self {
            Aggregate::Distinct(d) => d.compact(),
            Aggregate::Quantile(q) => q.compact(),
            _ => {}
        }
    }

    /// Bytes held, roughly.
    pub fn weight(&self) -> usize {
        size_of::<Aggregate>()
            + match self {
                Aggregate::Distinct(d) => d.weight(),
                Aggregate::Quantile(q) => size_of::<Quantiles>() + q.weight(),
                Aggregate::Top(t) => t.weight(),
                _ => 0,
            }
    }

    /// What is needed to merge it elsewhere, when its value is not enough: sum and count of a mean, the stored form of a
    /// sketch in base64.
    pub fn state(&self, measure: &Measure) -> Option<serde_json::Value> {
        let bytes = match self {
            Aggregate::Avg(sum, n) => {
                let sum = exact::decimal_text(sum.get(), measure.number.scale());
                return Some(serde_json::json!({ "sum": sum, "count": n }));
            }
            Aggregate::Distinct(d) => d.to_bytes(),
            Aggregate::Quantile(q) => q.to_bytes(),
            Aggregate::Top(t) => t.to_bytes(),
            _ => None,
        };
        bytes.map(|b| serde_json::Value::String(STANDARD.encode(b)))
    }

    /// What the state says.
    pub fn value(&self, measure: &Measure) -> Value {
        let scale = measure.number.scale();
        match (self, measure.function) {
            (Aggregate::Count(n), _) => Value::Whole(i128::from(*n)),
            (Aggregate::Sum(sum), _) => sum.map_or(Value::Null, |v| Value::Decimal(v.get(), scale)),
            (Aggregate::Avg(_, 0), _) => Value::Null,
            (Aggregate::Avg(sum, n), _) => Value::Double(sum.get() as f64 / 10_f64.powi(i32::from(scale)) / *n as f64),
            (Aggregate::Min(m) | Aggregate::Max(m), _) => match (m, measure.number) {
                (None, _) => Value::Null,
                (Some(v), Number::Double) => Value::Double(exact::from_order_key(v.get() as i64)),
                (Some(v), Number::Time) => Value::Time(v.get() as i64),
                (Some(v), number) => Value::Decimal(v.get(), number.scale()),
            },
            (Aggregate::Distinct(d), _) => Value::Whole(i128::from(d.value())),
            (Aggregate::Quantile(q), Function::Quantile(rank)) => q.value(rank).map_or(Value::Null, Value::Double),
            (Aggregate::Top(t), Function::Top(n)) => Value::Top(t.value(n)),
            _ => Value::Null,
        }
    }
}

/// What an aggregate says, ready to be written.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// No value.
    Null,
    /// A whole number.
    Whole(i128),
    /// A decimal: unscaled number and places.
    Decimal(i128, u8),
    /// A double.
    Double(f64),
    /// Microseconds since the epoch, UTC.
    Time(i64),
    /// Most frequent values.
    Top(Vec<Item>),
}

impl Serialize for Value {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        match self {
            Value::Null => s.serialize_unit(),
            Value::Whole(v) | Value::Decimal(v, 0) => match i64::try_from(*v) {
                Ok(v) => s.serialize_i64(v),
                Err(_) => raw_number(&v.to_string(), s),
            },
            Value::Decimal(v, scale) => raw_number(&exact::decimal_text(*v, *scale), s),
            Value::Double(v) => s.serialize_f64(*v),
            Value::Time(us) => s.serialize_str(&time_text(us.div_euclid(1000))),
            Value::Top(items) => {
                let mut list = s.serialize_seq(Some(items.len()))?;
                for item in items {
                    list.serialize_element(&Entry(item))?;
                }
                list.end()
            }
        }
    }
}

struct Entry<'a>(&'a Item);

impl Serialize for Entry<'_> {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        let mut map = s.serialize_map(None)?;
        map.serialize_entry("value", &self.0.value)?;
        map.serialize_entry("count", &self.0.count)?;
        if self.0.error > 0 {
            map.serialize_entry("error", &self.0.error)?;
        }
        map.end()
    }
}

/// Writes digits that no machine number could carry.
fn raw_number<S: Serializer>(digits: &str, s: S) -> Result<S::Ok, S::Error> {
    let raw = serde_json::value::RawValue::from_string(digits.to_owned()).map_err(serde::ser::Error::custom)?;
    raw.serialize(s)
}

/// RFC 3339 UTC with milliseconds; a time that no calendar has is written as its number.
pub fn time_text(ms: i64) -> String {
    match jiff::Timestamp::from_millisecond(ms) {
        Ok(t) => format!("{t:.3}"),
        Err(_) => ms.to_string(),
    }
}
