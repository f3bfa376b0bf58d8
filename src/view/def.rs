//! What the user writes: `[[views]]` of the configuration.

use super::compiled::View;
use super::error::ViewError;
use crate::platform::units::Span;
use serde::de::{MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::fmt;
use std::sync::Arc;

/// A view as it is written in the configuration. [`ViewDef::compile`] checks it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ViewDef {
    /// Name: `GET /v1/views/<name>`, table `derived.<name>`. Lower-case letters, digits and `_`.
    pub name: String,
    /// Width of a bucket of `time`; from `"1s"` to `"1d"`, whole seconds that divide a day.
    #[serde(default = "minute")]
    pub grain: Span,
    /// Which time of the event puts it in a bucket.
    #[serde(default)]
    pub time: TimeColumn,
    /// Fields by whose values groups are made; at most 8.
    #[serde(default)]
    pub dimensions: Vec<String>,
    /// Only events whose fields have one of these values; all if empty.
    #[serde(default, rename = "where")]
    pub only: Pairs<Allowed>,
    /// Rolling windows by arrival time that are kept up to date; `"1s"` to `"1h"`, at most 8.
    #[serde(default)]
    pub windows: Vec<Span>,
    /// How often changed aggregates go to the stream sinks; never if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub publish: Option<Span>,
    /// Most groups per micro-batch; what comes beyond is counted under `(other)`.
    #[serde(default = "max_groups")]
    pub max_groups: usize,
    /// Name → what is computed.
    pub measures: Pairs<String>,
}

/// Default of `max_groups`.
pub const MAX_GROUPS: usize = 10_000;

fn max_groups() -> usize {
    MAX_GROUPS
}

fn minute() -> Span {
    Span::from_secs(60)
}

impl ViewDef {
    /// Checks the definition and makes the view.
    ///
    /// # Errors
    /// [`ViewError::Definition`]: which key is wrong, why, and what is allowed.
    pub fn compile(&self) -> Result<Arc<View>, ViewError> {
        View::compile(self)
    }
}

/// Which time of the event puts it in a bucket.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum TimeColumn {
    /// When it happened, corrected by the clock of the device; the arrival where that is unknown.
    #[default]
    #[serde(rename = "derived_tstamp")]
    Derived,
    /// When it arrived.
    #[serde(rename = "collector_tstamp")]
    Collector,
}

impl TimeColumn {
    /// Name of the column.
    pub const fn name(self) -> &'static str {
        match self {
            TimeColumn::Derived => "derived_tstamp",
            TimeColumn::Collector => "collector_tstamp",
        }
    }
}

/// Values that a field may have: one or a list.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Allowed {
    /// Exactly this value.
    One(Literal),
    /// Any of these values.
    Any(Vec<Literal>),
}

impl Allowed {
    /// The values as a list.
    pub fn values(&self) -> &[Literal] {
        match self {
            Allowed::One(one) => std::slice::from_ref(one),
            Allowed::Any(any) => any,
        }
    }
}

/// A value as TOML writes it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Literal {
    /// A flag.
    Bool(bool),
    /// A whole number.
    Int(i64),
    /// Text.
    Text(String),
}

impl fmt::Display for Literal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Literal::Bool(v) => v.fmt(f),
            Literal::Int(v) => v.fmt(f),
            Literal::Text(v) => v.fmt(f),
        }
    }
}

/// A table that keeps the order in which it was written.
#[derive(Clone, Debug, PartialEq)]
pub struct Pairs<V>(pub Vec<(String, V)>);

impl<V> Default for Pairs<V> {
    fn default() -> Self {
        Pairs(Vec::new())
    }
}

impl<V: Serialize> Serialize for Pairs<V> {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.collect_map(self.0.iter().map(|(k, v)| (k, v)))
    }
}

impl<'de, V: Deserialize<'de>> Deserialize<'de> for Pairs<V> {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        struct Table<V>(std::marker::PhantomData<V>);
        impl<'de, V: Deserialize<'de>> Visitor<'de> for Table<V> {
            type Value = Pairs<V>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a table")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Pairs<V>, A::Error> {
                let mut pairs = Vec::new();
                while let Some(pair) = map.next_entry()? {
                    pairs.push(pair);
                }
                Ok(Pairs(pairs))
            }
        }
        d.deserialize_map(Table(std::marker::PhantomData))
    }
}
