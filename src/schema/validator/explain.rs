//! The slow answer: everything that is wrong, in words. Runs only on data that the fast check refused.

use super::check::{BUDGET, Check, length_fits};
use super::node::{ANY, ArrayRules, Combined, Dependency, Items, Node, NodeId, ObjectRules, Rest, StringRules, Types};
use super::number::Bound;
use super::report::Report;
use crate::event::json::Json;
use std::fmt::Write;

/// Reports beyond this number are counted, not listed.
const MAX_REPORTS: usize = 100;
/// Characters of a value that a message shows.
const SHOWN: usize = 60;
/// Characters of a property name that a path shows, and of a target: a hostile name must not be repeated a hundred times.
const SHOWN_KEY: usize = 128;
const SHOWN_TARGET: usize = 1000;

/// One explanation in progress.
pub(super) struct Explain<'n> {
    nodes: &'n [Node],
    budget: u32,
    path: String,
    reports: Vec<Report>,
    unlisted: usize,
}

/// Everything that is wrong with `value`; at least one report if the fast check refuses it.
pub(super) fn explain(nodes: &[Node], root: NodeId, value: &Json) -> Vec<Report> {
    let mut e = Explain { nodes, budget: BUDGET, path: "$".to_owned(), reports: Vec::new(), unlisted: 0 };
    e.walk(root, value);
    if e.unlisted > 0 {
        let message = format!("{} more problems are not listed", e.unlisted);
        e.reports.push(Report {
            message,
            path: "$".into(),
            keyword: "more".into(),
            targets: vec![e.unlisted.to_string()],
        });
    }
    if e.reports.is_empty() {
        let message = "the schema needs too many steps to check this data".to_owned();
        e.reports.push(Report { message, path: "$".into(), keyword: "schema".into(), targets: Vec::new() });
    }
    e.reports
}

impl Explain<'_> {
    fn say(&mut self, keyword: &str, targets: &[&str], what: std::fmt::Arguments<'_>) {
        if self.reports.len() >= MAX_REPORTS {
            self.unlisted += 1;
            return;
        }
        self.reports.push(Report {
            message: format!("{}: {what}", self.path),
            path: self.path.clone(),
            keyword: keyword.to_owned(),
            targets: targets.iter().map(|t| clip(t, SHOWN_TARGET)).collect(),
        });
    }

    /// Whether `value` passes, by the fast check, out of this explanation's budget.
    fn passes(&mut self, id: NodeId, value: &Json) -> bool {
        let mut check = Check { nodes: self.nodes, budget: self.budget };
        let passes = check.passes(id, value);
        self.budget = check.budget;
        passes
    }

    fn walk(&mut self, id: NodeId, value: &Json) {
        let nodes = self.nodes;
        self.budget = self.budget.saturating_sub(1);
        let Some(node) = nodes.get(id as usize).filter(|_| id != ANY && self.budget > 0) else { return };
        if !node.types.allow(value) {
            let (found, wanted) = (type_name(value), node.types.describe());
            let hint = match value {
                Json::Number(n)
                    if node.types.0 & Types::INTEGER.0 != 0 && super::number::compare(n, &whole(n)).is_eq() =>
                {
                    "; write it without point and exponent"
                }
                _ => "",
            };
            self.say("type", &[found, &wanted], format_args!("is {}, must be {wanted}{hint}", shape(value)));
        }
        if let Some(choices) = &node.choices
            && !choices.holds(value)
        {
            let list = clip(&choices.text, 300);
            self.say("enum", &[&choices.text], format_args!("is {}, must be one of {list}", shape(value)));
        }
        match value {
            Json::String(s) => {
                if let Some(rules) = &node.string {
                    self.string(rules, s);
                }
            }
            Json::Number(n) => {
                if let Some(rules) = &node.number {
                    self.number(rules, n);
                }
            }
            Json::Array(items) => {
                if let Some(rules) = &node.array {
                    self.array(rules, items);
                }
            }
            Json::Object(_) => {
                if let Some(rules) = &node.object {
                    self.object(rules, value);
                }
            }
            Json::Null | Json::Bool(_) => {}
        }
        if let Some(rules) = &node.combined {
            self.combined(rules, value);
        }
    }

    fn string(&mut self, rules: &StringRules, text: &str) {
        let points = text.chars().count();
        if !length_fits(text, rules.min, u64::MAX) {
            let (min, shape) = (rules.min.to_string(), shape_of_text(text));
            self.say("minLength", &[&min], format_args!("is {shape} of {points} characters, must have at least {min}"));
        }
        if !length_fits(text, 0, rules.max) {
            let (max, shape) = (rules.max.to_string(), shape_of_text(text));
            self.say("maxLength", &[&max], format_args!("is {shape} of {points} characters, may have at most {max}"));
        }
        if let Some(pattern) = &rules.pattern
            && !pattern.is_found_in(text)
        {
            let shape = shape_of_text(text);
            self.say("pattern", &[&pattern.text], format_args!("is {shape}, must match {}", pattern.text));
        }
        if let Some(format) = rules.format
            && !format.accepts(text)
        {
            let (name, example, keyword) = format.describe();
            let shape = shape_of_text(text);
            self.say(keyword, &[name], format_args!("is {shape}, must be a {name} such as {example}"));
        }
    }

    fn number(&mut self, rules: &super::node::NumberRules, n: &str) {
        let value = super::number::Value::of(n);
        let words =
            |b: &Bound, inclusive: &str, exclusive: &str| if b.exclusive { exclusive } else { inclusive }.to_owned();
        if let Some(bound) = rules.minimum.as_ref().filter(|b| !b.allows_from(value)) {
            let word = words(bound, "at least", "more than");
            self.say("minimum", &[&bound.text], format_args!("is {}, must be {word} {}", clip(n, SHOWN), bound.text));
        }
        if let Some(bound) = rules.maximum.as_ref().filter(|b| !b.allows_to(value)) {
            let word = words(bound, "at most", "less than");
            self.say("maximum", &[&bound.text], format_args!("is {}, must be {word} {}", clip(n, SHOWN), bound.text));
        }
        if let Some(step) = rules.multiple_of.as_ref().filter(|s| !s.divides(value)) {
            self.say(
                "multipleOf",
                &[&step.text],
                format_args!("is {}, must be a multiple of {}", clip(n, SHOWN), step.text),
            );
        }
    }

    fn count(&mut self, count: usize, (min, max): (u64, u64), (min_key, max_key): (&str, &str), noun: &str) {
        if (count as u64) < min {
            self.say(min_key, &[&min.to_string()], format_args!("has {count} {noun}, must have at least {min}"));
        }
        if count as u64 > max {
            self.say(max_key, &[&max.to_string()], format_args!("has {count} {noun}, may have at most {max}"));
        }
    }

    fn at_item(&mut self, index: usize, id: NodeId, item: &Json) {
        let length = self.path.len();
        // Writing to a string cannot fail.
        let _ = write!(self.path, "[{index}]");
        self.walk(id, item);
        self.path.truncate(length);
    }

    fn at_key(&mut self, key: &str, id: NodeId, item: &Json) {
        let length = self.path.len();
        self.path.push('.');
        self.path.push_str(&clip(key, SHOWN_KEY));
        self.walk(id, item);
        self.path.truncate(length);
    }

    fn array(&mut self, rules: &ArrayRules, items: &[Json]) {
        self.count(items.len(), (rules.min, rules.max), ("minItems", "maxItems"), "items");
        for (i, item) in items.iter().enumerate() {
            let id = match &rules.items {
                Items::All(id) => Some(*id),
                Items::Tuple(ids, rest) => ids.get(i).copied().or(match rest {
                    Rest::Matching(id) => Some(*id),
                    Rest::Forbidden => None,
                }),
            };
            match id {
                Some(id) => self.at_item(i, id, item),
                None => {
                    self.say(
                        "additionalItems",
                        &[&i.to_string()],
                        format_args!("item {i} is one more than the schema allows"),
                    );
                }
            }
        }
        if rules.unique
            && let Some((first, second)) = super::equal::repeated(items)
        {
            self.say("uniqueItems", &[], format_args!("items {first} and {second} are equal, all must differ"));
        }
    }

    fn object(&mut self, rules: &ObjectRules, value: &Json) {
        let members = value.as_object().unwrap_or(&[]);
        self.count(members.len(), (rules.min, rules.max), ("minProperties", "maxProperties"), "properties");
        let mut missing = rules.required;
        for (key, item) in members {
            let mut listed = false;
            if let Some(member) = rules.names.find(key).and_then(|at| rules.members.get(at)) {
                missing &= !member.bit;
                if let Some(id) = member.node {
                    listed = true;
                    self.at_key(key, id, item);
                }
            }
            for (pattern, id) in &rules.patterns {
                if pattern.is_found_in(key) {
                    listed = true;
                    self.at_key(key, *id, item);
                }
            }
            match rules.rest {
                _ if listed => {}
                Rest::Matching(id) => self.at_key(key, id, item),
                Rest::Forbidden => {
                    let name = clip(key, SHOWN);
                    self.say("additionalProperties", &[key], format_args!("property \"{name}\" is not in the schema"));
                }
            }
        }
        for (i, member) in rules.members.iter().enumerate().filter(|(_, m)| m.bit & missing != 0) {
            let name = rules.names.name(i);
            let wanted =
                member.node.map_or(Types::ALL, |id| self.nodes.get(id as usize).map_or(Types::ALL, |n| n.types));
            self.missing(name, wanted);
        }
        for name in rules.more_required.iter().filter(|n| value.get(n).is_none()) {
            self.missing(name, Types::ALL);
        }
        for (name, dependency) in rules.dependencies.iter().filter(|(n, _)| value.get(n).is_some()) {
            match dependency {
                Dependency::Schema(id) => self.walk(*id, value),
                Dependency::Names(names) => {
                    for other in names.iter().filter(|n| value.get(n).is_none()) {
                        let what = format_args!("property \"{name}\" also needs property \"{other}\"");
                        self.say("dependencies", &[other], what);
                    }
                }
            }
        }
    }

    fn missing(&mut self, name: &str, wanted: Types) {
        let kind = if wanted == Types::ALL { String::new() } else { format!(" ({})", wanted.describe()) };
        self.say("required", &[name], format_args!("required property \"{name}\"{kind} is missing"));
    }

    fn combined(&mut self, rules: &Combined, value: &Json) {
        for id in &rules.all_of {
            self.walk(*id, value);
        }
        if !rules.any_of.is_empty() && !rules.any_of.iter().any(|id| self.passes(*id, value)) {
            self.alternatives("anyOf", &rules.any_of, value);
        }
        if !rules.one_of.is_empty() {
            let passing = rules.one_of.iter().filter(|id| self.passes(**id, value)).count();
            if passing == 0 {
                self.alternatives("oneOf", &rules.one_of, value);
            } else if passing > 1 {
                let count = rules.one_of.len();
                self.say("oneOf", &[], format_args!("passes {passing} of {count} alternatives, must pass exactly one"));
            }
        }
        if let Some(id) = rules.not
            && self.passes(id, value)
        {
            self.say("not", &[], format_args!("is {}, which the schema rules out", shape(value)));
        }
    }

    /// No alternative passes: explains those that take the value's type, or says which types would do.
    fn alternatives(&mut self, keyword: &str, ids: &[NodeId], value: &Json) {
        let types = |id: NodeId| self.nodes.get(id as usize).map_or(Types::ALL, |n| n.types);
        let fitting: Vec<NodeId> = ids.iter().copied().filter(|id| types(*id).allow(value)).collect();
        if fitting.is_empty() {
            let wanted = Types(ids.iter().fold(0, |t, id| t | types(*id).0)).describe();
            self.say(keyword, &[type_name(value), &wanted], format_args!("is {}, must be {wanted}", shape(value)));
            return;
        }
        if fitting.len() > 1 {
            let count = ids.len();
            self.say(keyword, &[], format_args!("is {} and passes none of {count} alternatives", shape(value)));
        }
        let before = self.reports.len() + self.unlisted;
        for id in fitting {
            self.walk(id, value);
        }
        if self.reports.len() + self.unlisted == before {
            self.say(keyword, &[], format_args!("is {} and passes no alternative", shape(value)));
        }
    }
}

/// The number without its fraction and exponent part, to see whether only its form is wrong.
fn whole(n: &str) -> String {
    match n.parse::<f64>() {
        Ok(f) if f.is_finite() && f.fract() == 0.0 && f.abs() < 9e15 => format!("{f:.0}"),
        _ => "0.5".to_owned(),
    }
}

/// Name of a value's type as reports carry it.
fn type_name(value: &Json) -> &'static str {
    match value {
        Json::Null => "null",
        Json::Bool(_) => "boolean",
        Json::Number(n) if super::number::is_integer(n) => "integer",
        Json::Number(_) => "number",
        Json::String(_) => "string",
        Json::Array(_) => "array",
        Json::Object(_) => "object",
    }
}

/// A value in a few words.
fn shape(value: &Json) -> String {
    match value {
        Json::Null => "null".to_owned(),
        Json::Bool(b) => format!("boolean {b}"),
        Json::Number(n) => format!("{} {}", type_name(value), clip(n, SHOWN)),
        Json::String(s) => shape_of_text(s),
        Json::Array(items) => format!("an array of {}", items.len()),
        Json::Object(members) => {
            let keys: Vec<&str> = members.iter().map(|(k, _)| k.as_ref()).take(8).collect();
            format!(
                "an object with {}",
                if keys.is_empty() { "no property".to_owned() } else { clip(&keys.join(", "), SHOWN) }
            )
        }
    }
}

fn shape_of_text(text: &str) -> String {
    format!("string \"{}\"", clip(text, SHOWN))
}

/// The beginning of a text that is too long to be shown.
fn clip(text: &str, most: usize) -> String {
    match text.char_indices().nth(most) {
        None => text.to_owned(),
        Some((at, _)) => format!("{}…", text.get(..at).unwrap_or(text)),
    }
}
