//! The compiled form of a schema: a flat table of nodes that name each other by number.
//!
//! References are resolved when the table is made, so recursion in a schema is a cycle of numbers and costs nothing at run
//! time. Rules are grouped by the type of value that they look at: a string never pays for the rules of objects.

use super::equal::EnumSet;
use super::format::Format;
use super::names::NameTable;
use super::number::{Bound, Step, Value};
use super::pattern::Pattern;
use crate::event::json::Json;

/// Index of a node.
pub(super) type NodeId = u32;

/// A node that accepts everything.
pub(super) const ANY: NodeId = 0;

/// A set of JSON types, one bit each.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Types(pub(super) u8);

impl Types {
    pub(super) const NULL: Types = Types(1);
    pub(super) const BOOLEAN: Types = Types(2);
    pub(super) const INTEGER: Types = Types(4);
    /// A number whose text is not an integer's.
    pub(super) const FRACTION: Types = Types(8);
    pub(super) const STRING: Types = Types(16);
    pub(super) const ARRAY: Types = Types(32);
    pub(super) const OBJECT: Types = Types(64);
    pub(super) const ALL: Types = Types(127);

    pub(super) fn named(name: &str) -> Types {
        match name {
            "null" => Types::NULL,
            "boolean" => Types::BOOLEAN,
            "integer" => Types::INTEGER,
            "number" => Types(Types::INTEGER.0 | Types::FRACTION.0),
            "string" => Types::STRING,
            "array" => Types::ARRAY,
            "object" => Types::OBJECT,
            _ => Types(0),
        }
    }

    /// Whether a value that is no number is of one of these types.
    #[inline]
    pub(super) fn allow_other(self, value: &Json) -> bool {
        let kind = match value {
            Json::Null => Types::NULL,
            Json::Bool(_) => Types::BOOLEAN,
            Json::Number(_) => Types(0),
            Json::String(_) => Types::STRING,
            Json::Array(_) => Types::ARRAY,
            Json::Object(_) => Types::OBJECT,
        };
        self.0 & kind.0 != 0
    }

    /// Whether a number is of one of these types. Its form is looked at only when it matters.
    #[inline]
    pub(super) fn allow_number(self, n: Value) -> bool {
        self.0 & Types::FRACTION.0 != 0 || (self.0 & Types::INTEGER.0 != 0 && n.is_integer())
    }

    /// Whether a value is of one of these types.
    pub(super) fn allow(self, value: &Json) -> bool {
        match value {
            Json::Number(n) => self.allow_number(Value::of(n)),
            other => self.allow_other(other),
        }
    }

    /// `integer or null`.
    pub(super) fn describe(self) -> String {
        let number = self.0 & Types::FRACTION.0 != 0;
        let names: Vec<&str> = [
            (Types::STRING, "string"),
            (Types::INTEGER, if number { "number" } else { "integer" }),
            (Types::BOOLEAN, "boolean"),
            (Types::ARRAY, "array"),
            (Types::OBJECT, "object"),
            (Types::NULL, "null"),
        ]
        .into_iter()
        .filter(|(t, _)| self.0 & t.0 != 0)
        .map(|(_, name)| name)
        .collect();
        if names.is_empty() { "nothing".to_owned() } else { names.join(" or ") }
    }
}

/// One schema object.
#[derive(Debug)]
pub(super) struct Node {
    pub(super) types: Types,
    pub(super) choices: Option<Box<EnumSet>>,
    pub(super) number: Option<Box<NumberRules>>,
    pub(super) string: Option<Box<StringRules>>,
    pub(super) array: Option<Box<ArrayRules>>,
    pub(super) object: Option<Box<ObjectRules>>,
    pub(super) combined: Option<Box<Combined>>,
}

impl Default for Node {
    fn default() -> Self {
        Node { types: Types::ALL, choices: None, number: None, string: None, array: None, object: None, combined: None }
    }
}

/// Rules for numbers.
#[derive(Debug)]
pub(super) struct NumberRules {
    pub(super) minimum: Option<Bound>,
    pub(super) maximum: Option<Bound>,
    pub(super) multiple_of: Option<Step>,
}

/// Rules for text; lengths in code points.
#[derive(Debug)]
pub(super) struct StringRules {
    pub(super) min: u64,
    pub(super) max: u64,
    pub(super) pattern: Option<Pattern>,
    pub(super) format: Option<Format>,
}

/// Rules for arrays.
#[derive(Debug)]
pub(super) struct ArrayRules {
    pub(super) items: Items,
    pub(super) min: u64,
    pub(super) max: u64,
    pub(super) unique: bool,
}

/// What `items` and `additionalItems` say.
#[derive(Debug)]
pub(super) enum Items {
    All(NodeId),
    Tuple(Vec<NodeId>, Rest),
}

/// What is allowed beyond what is listed.
#[derive(Clone, Copy, Debug)]
pub(super) enum Rest {
    Forbidden,
    Matching(NodeId),
}

/// Rules for objects.
#[derive(Debug)]
pub(super) struct ObjectRules {
    /// Every name of `properties` and `required`.
    pub(super) names: NameTable,
    /// Per name of `names`.
    pub(super) members: Vec<Member>,
    /// Bits of all required names that have one.
    pub(super) required: u64,
    /// Required names beyond the 64th, in the order of the schema.
    pub(super) more_required: Vec<Box<str>>,
    pub(super) patterns: Vec<(Pattern, NodeId)>,
    pub(super) rest: Rest,
    pub(super) min: u64,
    pub(super) max: u64,
    pub(super) dependencies: Vec<(Box<str>, Dependency)>,
}

/// What is known about one property name.
#[derive(Clone, Copy, Debug)]
pub(super) struct Member {
    /// Its schema; none if it is only required, not listed in `properties`.
    pub(super) node: Option<NodeId>,
    /// Its bit in `required`; 0 = none.
    pub(super) bit: u64,
}

/// What the presence of a property asks for.
#[derive(Debug)]
pub(super) enum Dependency {
    Names(Vec<Box<str>>),
    Schema(NodeId),
}

/// Schemas that look at the same value.
#[derive(Debug, Default)]
pub(super) struct Combined {
    pub(super) all_of: Vec<NodeId>,
    pub(super) any_of: Vec<NodeId>,
    pub(super) one_of: Vec<NodeId>,
    pub(super) not: Option<NodeId>,
}

impl Node {
    /// Nodes that this node applies to the same value.
    pub(super) fn same_value(&self) -> Vec<NodeId> {
        let mut ids = Vec::new();
        if let Some(c) = &self.combined {
            ids.extend(c.all_of.iter().chain(&c.any_of).chain(&c.one_of).chain(&c.not));
        }
        if let Some(o) = &self.object {
            ids.extend(o.dependencies.iter().filter_map(|(_, d)| match d {
                Dependency::Schema(id) => Some(*id),
                Dependency::Names(_) => None,
            }));
        }
        ids
    }
}
