//! The fast answer: does the value pass? Stops at the first broken rule and allocates nothing.

use super::node::{ArrayRules, Combined, Dependency, Items, Node, NodeId, NumberRules, ObjectRules, Rest, StringRules};
use super::number::Value;
use crate::event::json::Json;

/// Schemas that one value may be held against, all levels together. Only a schema that multiplies its own work (branches that
/// each try the same recursion) comes near it; the value then fails.
pub(super) const BUDGET: u32 = 4_000_000;

/// One check in progress.
pub(super) struct Check<'n> {
    pub(super) nodes: &'n [Node],
    pub(super) budget: u32,
}

impl<'n> Check<'n> {
    pub(super) fn new(nodes: &'n [Node]) -> Self {
        Check { nodes, budget: BUDGET }
    }

    /// Whether `value` passes the schema `id`.
    pub(super) fn passes(&mut self, id: NodeId, value: &Json) -> bool {
        if id == super::node::ANY {
            return true;
        }
        let Some(node) = self.nodes.get(id as usize) else { return true };
        self.budget = self.budget.saturating_sub(1);
        if self.budget == 0 {
            return false;
        }
        let by_type = match value {
            Json::Number(n) => {
                let n = Value::of(n);
                node.types.allow_number(n) && node.number.as_ref().is_none_or(|rules| number(rules, n))
            }
            other if !node.types.allow_other(other) => false,
            Json::String(s) => node.string.as_ref().is_none_or(|rules| string(rules, s)),
            Json::Array(items) => node.array.as_ref().is_none_or(|rules| self.array(rules, items)),
            Json::Object(_) => node.object.as_ref().is_none_or(|rules| self.object(rules, value)),
            Json::Null | Json::Bool(_) => true,
        };
        by_type
            && node.choices.as_ref().is_none_or(|choices| choices.holds(value))
            && node.combined.as_ref().is_none_or(|c| self.combined(c, value))
    }

    fn array(&mut self, rules: &ArrayRules, items: &[Json]) -> bool {
        let count = items.len() as u64;
        if count < rules.min || count > rules.max {
            return false;
        }
        let each = match &rules.items {
            Items::All(super::node::ANY) => true,
            Items::All(id) => items.iter().all(|item| self.passes(*id, item)),
            Items::Tuple(ids, rest) => items.iter().enumerate().all(|(i, item)| match (ids.get(i), rest) {
                (Some(id), _) | (None, Rest::Matching(id)) => self.passes(*id, item),
                (None, Rest::Forbidden) => false,
            }),
        };
        each && (!rules.unique || super::equal::repeated(items).is_none())
    }

    fn object(&mut self, rules: &ObjectRules, value: &Json) -> bool {
        let members = value.as_object().unwrap_or(&[]);
        let count = members.len() as u64;
        if count < rules.min || count > rules.max {
            return false;
        }
        let mut missing = rules.required;
        for (key, item) in members {
            let known = rules.names.find(key).and_then(|at| rules.members.get(at));
            let mut listed = false;
            if let Some(member) = known {
                missing &= !member.bit;
                if let Some(id) = member.node {
                    listed = true;
                    if !self.passes(id, item) {
                        return false;
                    }
                }
            }
            for (pattern, id) in &rules.patterns {
                if pattern.is_found_in(key) {
                    listed = true;
                    if !self.passes(*id, item) {
                        return false;
                    }
                }
            }
            if !listed {
                match rules.rest {
                    Rest::Forbidden => return false,
                    Rest::Matching(id) => {
                        if !self.passes(id, item) {
                            return false;
                        }
                    }
                }
            }
        }
        missing == 0
            && rules.more_required.iter().all(|name| value.get(name).is_some())
            && rules.dependencies.iter().all(|(name, dependency)| {
                value.get(name).is_none()
                    || match dependency {
                        Dependency::Names(names) => names.iter().all(|n| value.get(n).is_some()),
                        Dependency::Schema(id) => self.passes(*id, value),
                    }
            })
    }

    fn combined(&mut self, rules: &Combined, value: &Json) -> bool {
        rules.all_of.iter().all(|id| self.passes(*id, value))
            && (rules.any_of.is_empty() || rules.any_of.iter().any(|id| self.passes(*id, value)))
            && (rules.one_of.is_empty()
                || rules.one_of.iter().filter(|id| self.passes(**id, value)).take(2).count() == 1)
            && rules.not.is_none_or(|id| !self.passes(id, value))
    }
}

/// Whether the number of code points is within bounds; counts only when the number of bytes leaves it open.
#[inline]
pub(super) fn length_fits(text: &str, min: u64, max: u64) -> bool {
    let bytes = text.len() as u64;
    let sure_max = bytes <= max;
    let sure_min = bytes / 4 >= min;
    if sure_max && sure_min {
        return true;
    }
    let points = text.chars().count() as u64;
    points >= min && points <= max
}

fn number(rules: &NumberRules, n: Value) -> bool {
    rules.minimum.as_ref().is_none_or(|b| b.allows_from(n))
        && rules.maximum.as_ref().is_none_or(|b| b.allows_to(n))
        && rules.multiple_of.as_ref().is_none_or(|s| s.divides(n))
}

fn string(rules: &StringRules, text: &str) -> bool {
    length_fits(text, rules.min, rules.max)
        && rules.pattern.as_ref().is_none_or(|p| p.is_found_in(text))
        && rules.format.is_none_or(|f| f.accepts(text))
}
