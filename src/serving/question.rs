//! A question to a view as it stands in a URL, and what becomes of it at a given moment.
//!
//! `from=-3m` means another range every time it is asked, so a question keeps its times as text and is resolved anew for
//! every answer.

use super::api::Api;
use super::error::{ApiError, ApiResult};
use super::params::{self, Condition, Params};
use crate::platform::clock::Millis;
use crate::view::{Filter, Grain, Plan, View, ViewError, ViewQuery};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Parameters of a question.
pub const KNOWN: [&str; 7] = ["from", "to", "grain", "by", "where", "tz", "f."];

/// Start and end of "everything": the years that a tracker can write, 0 to 9999.
const FIRST_MS: Millis = -62_167_219_200_000;
const LAST_MS: Millis = 253_402_300_800_000;

/// A question. Two that are equal have the same answer at the same moment.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Question {
    /// Name of the view.
    pub view: String,
    from: Option<String>,
    to: Option<String>,
    grain: Option<String>,
    by: Option<Vec<String>>,
    conditions: Vec<Condition>,
    tz: Option<String>,
}

impl Question {
    /// Reads the parameters of a question to `view`; `tz` is used if they name none.
    ///
    /// # Errors
    /// 400 for a parameter that stands twice or cannot be read.
    pub fn read(view: &str, params: &Params, tz: Option<&str>) -> ApiResult<Self> {
        let text = |name| params.get(name).map(|v| v.map(str::to_owned));
        let by = params.list("by")?.map(|l| l.into_iter().map(str::to_owned).collect());
        let mut conditions = params.conditions()?;
        conditions.sort();
        Ok(Question {
            view: view.to_owned(),
            from: text("from")?,
            to: text("to")?,
            grain: text("grain")?,
            by,
            conditions,
            tz: text("tz")?.or(tz.map(str::to_owned)),
        })
    }

    /// Reads `pulse?from=-3m&grain=1s`.
    ///
    /// # Errors
    /// As [`Question::read`], and 400 for an unknown parameter.
    pub fn parse(text: &str, tz: Option<&str>) -> ApiResult<Self> {
        let (view, query) = text.split_once('?').unwrap_or((text, ""));
        Self::read(view, &Params::parse(Some(query), &KNOWN)?, tz)
    }

    /// The same question with an end of `now` left open: a live answer ends now anyway, and what is stamped a little ahead
    /// of our clock belongs to it.
    pub fn open_ended(mut self) -> Self {
        self.to = self.to.filter(|t| t != "now");
        self
    }

    /// The question at this moment.
    ///
    /// # Errors
    /// 400 for a time, grain or zone that cannot be read.
    pub fn at(&self, now: Millis) -> ApiResult<ViewQuery> {
        let zone = params::zone(self.tz.as_deref())?;
        let time = |name: &str, text: &Option<String>, absent| match text {
            Some(text) => params::time(name, text, now, &zone),
            None => Ok(absent),
        };
        // Before 1970 zones have offsets of odd minutes and seconds, which no stored bucket divides into.
        let first = if zone == jiff::tz::TimeZone::UTC { FIRST_MS } else { 0 };
        Ok(ViewQuery {
            from_ms: time("from", &self.from, first)?,
            to_ms: time("to", &self.to, LAST_MS)?,
            grain: self.grain.as_deref().map(Grain::parse).transpose()?,
            by: self.by.clone(),
            filter: self.filter(),
            tz: self.tz.clone(),
        })
    }

    /// Values of one dimension are alternatives, every exclusion stands for itself; an empty value means "no value" too.
    fn filter(&self) -> Vec<Filter> {
        let mut all: BTreeMap<(&str, bool), Vec<Option<String>>> = BTreeMap::new();
        for c in &self.conditions {
            let values = all.entry((&c.field, c.exclude)).or_default();
            if c.value.is_empty() {
                values.push(None);
            }
            values.push(Some(c.value.clone()));
        }
        let filter = |((dimension, exclude), values): ((&str, bool), Vec<Option<String>>)| Filter {
            dimension: dimension.to_owned(),
            values,
            exclude,
        };
        all.into_iter().map(filter).collect()
    }

    /// The view, the question at this moment and its plan.
    ///
    /// # Errors
    /// 404 for the view, 400 for the rest.
    pub fn plan(&self, api: &Api, now: Millis) -> ApiResult<Planned> {
        let view = api.view(&self.view)?.clone();
        let query = self.at(now)?;
        let plan = Arc::new(view.plan(&query)?);
        Ok(Planned { view, query, plan })
    }

    /// Whether the range has a start that the asker named.
    pub fn has_start(&self) -> bool {
        self.from.is_some()
    }

    /// Whether the range has an end that the asker named.
    pub fn has_end(&self) -> bool {
        self.to.is_some()
    }

    /// The zone as it was asked for.
    pub fn zone(&self) -> &str {
        self.tz.as_deref().filter(|t| !t.is_empty()).unwrap_or("UTC")
    }
}

/// A question that has been checked against its view.
#[derive(Clone, Debug)]
pub struct Planned {
    /// The view.
    pub view: Arc<View>,
    /// The question with its times resolved.
    pub query: ViewQuery,
    /// The plan.
    pub plan: Arc<Plan>,
}

impl Planned {
    /// The grain of the answer as text.
    pub fn grain(&self) -> String {
        match self.plan.bucketer.grain {
            Some(ms) => crate::platform::units::Span::from_millis(ms).to_string(),
            None => "all".to_owned(),
        }
    }

    /// Names of the dimensions of the answer.
    pub fn dimensions(&self) -> Vec<String> {
        let names: Vec<&str> = self.view.dimension_names().collect();
        self.plan.by.iter().filter_map(|d| names.get(*d)).map(|n| (*n).to_owned()).collect()
    }
}

impl From<ViewError> for ApiError {
    fn from(e: ViewError) -> Self {
        let hint = e.hint().map(str::to_owned);
        let error = if e.is_askers_fault() { ApiError::bad(e.to_string()) } else { ApiError::internal(e.to_string()) };
        match hint {
            Some(hint) => error.hint(hint),
            None => error,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_question_is_resolved_when_it_is_asked() {
        let q = Question::parse("pulse?from=-3m&grain=1s&f.app_id=!&f.app_id=shop", Some("Europe/Paris")).unwrap();
        assert_eq!(q.view, "pulse");
        let at = q.at(1_000_000).unwrap();
        assert_eq!((at.from_ms, at.to_ms), (1_000_000 - 180_000, LAST_MS));
        assert_eq!(at.grain, Some(Grain::Every(1000)));
        assert_eq!(at.tz.as_deref(), Some("Europe/Paris"));
        assert_eq!(at.filter.len(), 2);
        assert_eq!(at.filter[0].values, [Some("shop".to_owned())]);
        assert!(at.filter[1].exclude && at.filter[1].values == [None, Some(String::new())]);
        assert_ne!(q.at(2_000_000).unwrap().from_ms, at.from_ms);
    }

    #[test]
    fn equal_questions_are_one() {
        let a = Question::parse("v?f.a=1&f.b=2", None).unwrap();
        let b = Question::parse("v?f.b=2&f.a=1", None).unwrap();
        assert_eq!(a, b);
        assert!(Question::parse("v?hz=4", None).is_err());
        assert!(Question::parse("v?from=x", None).unwrap().at(0).is_err());
        assert!(Question::parse("v?grain=often", None).unwrap().at(0).is_err());
    }
}
