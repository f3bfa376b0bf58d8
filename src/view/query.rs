//! A question to a view, and the plan that answers it in both layers.

use super::compiled::{GRAINS, View, is_grain};
use super::error::ViewError;
use super::zone::{Bucketer, Zone};
use crate::platform::units::Span;
use std::sync::Arc;

/// Width of the buckets of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Grain {
    /// Buckets of so many milliseconds.
    Every(i64),
    /// One bucket for the whole range.
    Whole,
}

impl Grain {
    /// Reads `"15m"`, `"1d"` or `"all"`.
    ///
    /// # Errors
    /// [`ViewError::Query`].
    pub fn parse(text: &str) -> Result<Grain, ViewError> {
        if text == "all" {
            return Ok(Grain::Whole);
        }
        Span::parse(text).map(|s| Grain::Every(s.as_millis())).map_err(|problem| ViewError::Query {
            parameter: "grain",
            problem,
            hint: format!("{GRAINS}, or \"all\" for one row per group"),
        })
    }
}

/// Keeps or drops groups by the value of a dimension.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Filter {
    /// Name of the dimension.
    pub dimension: String,
    /// Values; `None` is "no value".
    pub values: Vec<Option<String>>,
    /// Keep the groups that have none of the values, instead of those that have one.
    pub exclude: bool,
}

/// A question to a view.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ViewQuery {
    /// Start of the range, milliseconds UTC; rounded down to the view's grain.
    pub from_ms: i64,
    /// End of the range, milliseconds UTC, exclusive; the stored bucket that it falls in is in the answer as a whole.
    pub to_ms: i64,
    /// Width of the buckets; the view's own if `None`.
    pub grain: Option<Grain>,
    /// Dimensions to group by; all of the view's if `None`, none if empty.
    pub by: Option<Vec<String>>,
    /// All of them must let a group through.
    pub filter: Vec<Filter>,
    /// Time zone for grains of an hour and more: IANA name or offset; UTC if `None`.
    pub tz: Option<String>,
}

impl ViewQuery {
    /// Everything of a range, as the view stores it.
    pub fn range(from_ms: i64, to_ms: i64) -> ViewQuery {
        ViewQuery { from_ms, to_ms, grain: None, by: None, filter: Vec::new(), tz: None }
    }
}

/// A filter with its dimension numbered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct PlannedFilter {
    pub(super) dimension: usize,
    pub(super) values: Vec<Option<String>>,
    pub(super) exclude: bool,
}

impl PlannedFilter {
    pub(super) fn passes(&self, dims: &[Option<Arc<str>>]) -> bool {
        let word = dims.get(self.dimension).and_then(Option::as_deref);
        self.values.iter().any(|v| v.as_deref() == word) != self.exclude
    }
}

/// A question that has been checked against its view.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    /// Start of the range, on a stored bucket.
    pub from_ms: i64,
    /// End of the range, on a stored bucket.
    pub to_ms: i64,
    /// How times become buckets.
    pub bucketer: Bucketer,
    /// Dimensions of the answer, as indices.
    pub by: Arc<[usize]>,
    pub(super) filter: Vec<PlannedFilter>,
}

impl Plan {
    /// Whether a stored bucket is in the range.
    #[inline]
    pub fn covers(&self, bucket_ms: i64) -> bool {
        self.from_ms <= bucket_ms && bucket_ms < self.to_ms
    }

    pub(super) fn passes(&self, dims: &[Option<Arc<str>>]) -> bool {
        self.filter.iter().all(|f| f.passes(dims))
    }
}

impl View {
    /// Checks a question.
    ///
    /// # Errors
    /// [`ViewError::Query`]: which parameter, what is wrong, what would work.
    pub fn plan(&self, query: &ViewQuery) -> Result<Plan, ViewError> {
        let stored = self.grain_ms();
        if query.from_ms >= query.to_ms {
            return Err(ViewError::Query {
                parameter: "from",
                problem: "the range is empty: from is not before to".to_owned(),
                hint: "from and to are RFC 3339 times, to is exclusive".to_owned(),
            });
        }
        let from_ms = query.from_ms.div_euclid(stored).saturating_mul(stored);
        let to_ms = query.to_ms.saturating_add(stored - 1).div_euclid(stored).saturating_mul(stored);
        let grain = self.grain_of(query.grain.unwrap_or(Grain::Every(stored)))?;
        let bucketer = Bucketer { grain, start: from_ms, zone: self.zone_of(query, grain)? };
        let by = match &query.by {
            None => self.all.clone(),
            Some(names) => {
                let mut by = names.iter().map(|n| self.dimension(n, "by")).collect::<Result<Vec<_>, _>>()?;
                by.sort_unstable();
                by.dedup();
                by.into()
            }
        };
        let filter = query
            .filter
            .iter()
            .map(|f| {
                let dimension = self.dimension(&f.dimension, "where")?;
                Ok(PlannedFilter { dimension, values: f.values.clone(), exclude: f.exclude })
            })
            .collect::<Result<Vec<_>, ViewError>>()?;
        Ok(Plan { from_ms, to_ms, bucketer, by, filter })
    }

    fn grain_of(&self, grain: Grain) -> Result<Option<i64>, ViewError> {
        let stored = self.grain_ms();
        match grain {
            Grain::Whole => Ok(None),
            Grain::Every(ms) if is_grain(ms) && ms % stored == 0 => Ok(Some(ms)),
            Grain::Every(ms) => Err(ViewError::Query {
                parameter: "grain",
                problem: format!("\"{}\" cannot be made of buckets of {}", Span::from_millis(ms), self.def().grain),
                hint: format!("a multiple of \"{}\"; {GRAINS}, or \"all\"", self.def().grain),
            }),
        }
    }

    fn zone_of(&self, query: &ViewQuery, grain: Option<i64>) -> Result<Zone, ViewError> {
        let wrong = |problem, hint| ViewError::Query { parameter: "tz", problem, hint };
        let Some(name) = &query.tz else { return Ok(Zone::utc()) };
        let zone = Zone::load(name, query.from_ms, query.to_ms).map_err(|problem| {
            wrong(problem, "an IANA name such as \"Europe/Paris\", \"UTC\", or an offset such as \"+05:30\"".to_owned())
        })?;
        let Some(grain) = grain else { return Ok(zone) };
        if grain < 3_600_000 {
            return Ok(Zone::utc());
        }
        if let Some(s) = zone.segments().iter().find(|s| s.offset % self.grain_ms() != 0) {
            let (h, m) = (s.offset / 3_600_000, s.offset.abs() / 60_000 % 60);
            return Err(wrong(
                format!(
                    "the view stores buckets of {}, which the offset {h:+03}:{m:02} of {name} does not divide into",
                    self.def().grain
                ),
                format!(
                    "give the view a finer grain, or ask in a zone whose offset is a multiple of {}",
                    self.def().grain
                ),
            ));
        }
        Ok(zone)
    }

    fn dimension(&self, name: &str, parameter: &'static str) -> Result<usize, ViewError> {
        self.dimensions.iter().position(|d| d.name == name).ok_or_else(|| {
            let known: Vec<&str> = self.dimension_names().collect();
            ViewError::Query {
                parameter,
                problem: format!("\"{name}\" is no dimension of view \"{}\"", self.name()),
                hint: if known.is_empty() {
                    "the view has no dimensions".to_owned()
                } else {
                    format!("its dimensions are {}", known.join(", "))
                },
            }
        })
    }
}
