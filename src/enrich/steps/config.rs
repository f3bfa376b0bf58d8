//! Reading the parameters of a configuration file: every problem is told, with what is allowed.

use crate::enrich::step::Enrichment;
use serde_json::{Map, Value};

/// Reads values out of `data.parameters` and collects what is wrong with them.
#[derive(Debug)]
pub(super) struct Reader<'a> {
    parameters: &'a Value,
    problems: Vec<String>,
}

impl<'a> Reader<'a> {
    pub(super) fn new(parameters: &'a Value) -> Self {
        Reader { parameters, problems: Vec::new() }
    }

    /// A problem of the parameter that `what` begins with.
    pub(super) fn problem(&mut self, what: String) {
        self.problems.push(format!("parameters.{what}"));
    }

    /// A problem that lies elsewhere than in a parameter: in a file that one names.
    pub(super) fn other(&mut self, what: String) {
        self.problems.push(what);
    }

    /// A required text.
    pub(super) fn text(&mut self, key: &str) -> String {
        match self.parameters.get(key) {
            Some(Value::String(text)) => text.clone(),
            other => {
                self.problem(format!("{key}: {}; allowed: text", shown(other)));
                String::new()
            }
        }
    }

    /// An optional text.
    pub(super) fn optional_text(&mut self, key: &str) -> Option<String> {
        match self.parameters.get(key) {
            None | Some(Value::Null) => None,
            Some(_) => Some(self.text(key)),
        }
    }

    /// A required list of texts.
    pub(super) fn texts(&mut self, key: &str) -> Vec<String> {
        let list = self.parameters.get(key).and_then(texts);
        list.unwrap_or_else(|| {
            self.problem(format!("{key}: {}; allowed: a list of texts, may be empty", shown(self.parameters.get(key))));
            Vec::new()
        })
    }

    /// A whole number in a range; `None` when it is absent.
    pub(super) fn whole(&mut self, key: &str, allowed: std::ops::RangeInclusive<u32>) -> Option<u32> {
        let value = self.parameters.get(key)?;
        // 2.0 is a whole number in these files.
        let number =
            value.as_f64().filter(|n| n.fract() == 0.0 && *n >= 0.0 && *n <= f64::from(u32::MAX)).map(|n| n as u32);
        match number.filter(|n| allowed.contains(n)) {
            Some(n) => Some(n),
            None => {
                self.problem(format!("{key}: {value}; allowed: {} to {}", allowed.start(), allowed.end()));
                None
            }
        }
    }

    /// An optional object.
    pub(super) fn object(&mut self, key: &str) -> Option<&'a Map<String, Value>> {
        match self.parameters.get(key) {
            None | Some(Value::Null) => None,
            Some(Value::Object(members)) => Some(members),
            other => {
                self.problem(format!("{key}: {}; allowed: an object", shown(other)));
                None
            }
        }
    }

    /// The step, if nothing was wrong.
    pub(super) fn finish<S: Enrichment + 'static>(self, step: S) -> Result<Box<dyn Enrichment>, Vec<String>> {
        if self.problems.is_empty() { Ok(Box::new(step)) } else { Err(self.problems) }
    }
}

/// A JSON list as texts; `None` if anything in it is no text.
pub(super) fn texts(value: &Value) -> Option<Vec<String>> {
    value.as_array()?.iter().map(|v| v.as_str().map(str::to_owned)).collect()
}

fn shown(value: Option<&Value>) -> String {
    match value {
        None => "is missing".to_owned(),
        Some(value) => format!("is {value}"),
    }
}
