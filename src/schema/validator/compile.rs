//! From a schema document to the table of nodes.
//!
//! Works from a list of places still to do, never by recursion, so the shape of a document cannot exhaust the stack. Malformed
//! keywords are skipped: whoever calls has checked the document against the metaschema before.

use super::equal::EnumSet;
use super::format::Format;
use super::names::NameTable;
use super::node::{
    ANY, ArrayRules, Combined, Dependency, Items, Member, Node, NodeId, NumberRules, ObjectRules, Rest, StringRules,
    Types,
};
use super::number::{Bound, Step};
use super::pattern::Pattern;
use super::refs::{Target, follow};
use super::report::SchemaIssue;
use crate::event::json::Json;
use std::collections::VecDeque;

/// Most sub-schemas that one document may hold.
const MAX_NODES: usize = 100_000;
/// Longest chain of schemas that apply to one value, through references and combinations.
const MAX_CHAIN: usize = 64;
/// Longest chain of references that lead to references.
const MAX_REFERENCES: usize = 100;
/// Required names that are tracked by a bit.
const REQUIRED_BITS: usize = 64;

/// Compiles a document.
///
/// # Errors
/// Everything that cannot be compiled: patterns, references, cycles.
pub(super) fn compile(root: &Json) -> Result<Vec<Node>, Vec<SchemaIssue>> {
    let mut compiler = Compiler {
        root,
        nodes: vec![Node::default(), Node::default()],
        places: ahash::AHashMap::new(),
        queue: VecDeque::new(),
        issues: Vec::new(),
    };
    compiler.places.insert(address(root), ROOT);
    compiler.queue.push_back((root, ROOT, "$".to_owned()));
    while let Some((schema, id, path)) = compiler.queue.pop_front() {
        let node = compiler.node(schema, &path);
        if let Some(slot) = compiler.nodes.get_mut(id as usize) {
            *slot = node;
        }
        if compiler.nodes.len() > MAX_NODES {
            compiler.issue("$", format!("holds more than {MAX_NODES} schemas"));
            break;
        }
    }
    if let Some(problem) = chain_problem(&compiler.nodes) {
        compiler.issue("$", problem);
    }
    if compiler.issues.is_empty() { Ok(compiler.nodes) } else { Err(compiler.issues) }
}

/// The node of the whole document.
pub(super) const ROOT: NodeId = 1;

/// Identity of a place in the document.
fn address(json: &Json) -> usize {
    std::ptr::from_ref(json) as usize
}

struct Compiler<'j, 'a> {
    root: &'j Json<'a>,
    nodes: Vec<Node>,
    places: ahash::AHashMap<usize, NodeId>,
    queue: VecDeque<(&'j Json<'a>, NodeId, String)>,
    issues: Vec<SchemaIssue>,
}

impl<'j, 'a> Compiler<'j, 'a> {
    fn issue(&mut self, path: &str, message: String) {
        self.issues.push(SchemaIssue { path: path.to_owned(), message: format!("{path}: {message}") });
    }

    /// The node of a place, now or later. References lead to the node of what they point to.
    fn id_of(&mut self, schema: &'j Json<'a>, path: &str) -> NodeId {
        let mut at = schema;
        for _ in 0..MAX_REFERENCES {
            let Some(reference) = at.get("$ref").and_then(Json::as_str) else {
                return self.place(at, path);
            };
            match follow(self.root, reference) {
                Target::Local(target) => at = target,
                Target::Remote => return ANY,
                Target::Nowhere => {
                    self.issue(path, format!("$ref \"{reference}\" points to nothing in this schema"));
                    return ANY;
                }
            }
        }
        self.issue(path, "$ref leads round in a circle".to_owned());
        ANY
    }

    fn place(&mut self, schema: &'j Json<'a>, path: &str) -> NodeId {
        if let Some(id) = self.places.get(&address(schema)) {
            return *id;
        }
        let id = self.nodes.len() as NodeId;
        self.nodes.push(Node::default());
        self.places.insert(address(schema), id);
        self.queue.push_back((schema, id, path.to_owned()));
        id
    }

    fn node(&mut self, schema: &'j Json<'a>, path: &str) -> Node {
        // Only the root can still be a reference here; as everywhere, it leaves its neighbours without effect.
        if schema.get("$ref").and_then(Json::as_str).is_some() {
            let target = self.id_of(schema, path);
            let combined = Combined { all_of: vec![target], ..Combined::default() };
            return Node { combined: Some(Box::new(combined)), ..Node::default() };
        }
        Node {
            types: types(schema.get("type")),
            choices: schema.get("enum").and_then(Json::as_array).map(|values| Box::new(EnumSet::new(values))),
            number: self.number(schema, path).map(Box::new),
            string: self.string(schema, path).map(Box::new),
            array: self.array(schema, path).map(Box::new),
            object: self.object(schema, path).map(Box::new),
            combined: self.combined(schema, path).map(Box::new),
        }
    }

    fn number(&mut self, schema: &Json, path: &str) -> Option<NumberRules> {
        let bound = |key: &str, exclusive: &str| {
            let exclusive = schema.get(exclusive) == Some(&Json::Bool(true));
            schema.get(key).and_then(number_text).map(|text| Bound::new(text, exclusive))
        };
        let step = schema.get("multipleOf").and_then(number_text);
        let multiple_of = step.and_then(Step::new);
        if step.is_some() && multiple_of.is_none() {
            self.issue(path, "multipleOf must be above 0 and have at most 18 digits".to_owned());
        }
        let (minimum, maximum) = (bound("minimum", "exclusiveMinimum"), bound("maximum", "exclusiveMaximum"));
        (minimum.is_some() || maximum.is_some() || multiple_of.is_some()).then_some(NumberRules {
            minimum,
            maximum,
            multiple_of,
        })
    }

    fn pattern(&mut self, text: &str, path: &str) -> Option<Pattern> {
        match Pattern::new(text) {
            Ok(pattern) => Some(pattern),
            Err(why) => {
                self.issue(path, format!("pattern \"{text}\" cannot be used: {why}"));
                None
            }
        }
    }

    fn string(&mut self, schema: &Json, path: &str) -> Option<StringRules> {
        let pattern = schema.get("pattern").and_then(Json::as_str).and_then(|p| self.pattern(p, path));
        let format = schema.get("format").and_then(Json::as_str).and_then(Format::named);
        let (min, max) = bounds(schema, "minLength", "maxLength");
        (pattern.is_some() || format.is_some() || min > 0 || max < u64::MAX).then_some(StringRules {
            min,
            max,
            pattern,
            format,
        })
    }

    fn array(&mut self, schema: &'j Json<'a>, path: &str) -> Option<ArrayRules> {
        let items = match schema.get("items") {
            Some(Json::Array(list)) => {
                let ids = list.iter().enumerate().map(|(i, s)| self.id_of(s, &format!("{path}.items[{i}]"))).collect();
                Items::Tuple(ids, self.rest(schema.get("additionalItems"), &format!("{path}.additionalItems")))
            }
            Some(one @ Json::Object(_)) => Items::All(self.id_of(one, &format!("{path}.items"))),
            _ => Items::All(ANY),
        };
        let unique = schema.get("uniqueItems") == Some(&Json::Bool(true));
        let (min, max) = bounds(schema, "minItems", "maxItems");
        let any = matches!(items, Items::All(ANY)) && !unique && min == 0 && max == u64::MAX;
        (!any).then_some(ArrayRules { items, min, max, unique })
    }

    fn rest(&mut self, schema: Option<&'j Json<'a>>, path: &str) -> Rest {
        match schema {
            Some(Json::Bool(false)) => Rest::Forbidden,
            Some(schema @ Json::Object(_)) => Rest::Matching(self.id_of(schema, path)),
            _ => Rest::Matching(ANY),
        }
    }

    fn object(&mut self, schema: &'j Json<'a>, path: &str) -> Option<ObjectRules> {
        let properties = schema.get("properties").and_then(Json::as_object).unwrap_or(&[]);
        let required: Vec<&str> =
            schema.get("required").and_then(Json::as_array).unwrap_or(&[]).iter().filter_map(Json::as_str).collect();
        let names = NameTable::new(properties.iter().map(|(k, _)| k.as_ref()).chain(required.iter().copied()));
        let mut members: Vec<Member> = properties
            .iter()
            .map(|(k, s)| Member { node: Some(self.id_of(s, &format!("{path}.properties.{k}"))), bit: 0 })
            .collect();
        let (mut bits, mut more_required) = (0u64, Vec::new());
        let mut listed = ahash::AHashSet::new();
        for (i, name) in required.iter().filter(|name| listed.insert(**name)).enumerate() {
            let bit = if i < REQUIRED_BITS { 1 << i } else { 0 };
            if bit == 0 {
                more_required.push((*name).into());
            }
            bits |= bit;
            match names.find(name).and_then(|at| members.get_mut(at)) {
                Some(member) => member.bit = bit,
                None => members.push(Member { node: None, bit }),
            }
        }
        let mut patterns = Vec::new();
        for (text, s) in schema.get("patternProperties").and_then(Json::as_object).unwrap_or(&[]) {
            let id = self.id_of(s, &format!("{path}.patternProperties.{text}"));
            patterns.extend(self.pattern(text, path).map(|p| (p, id)));
        }
        let mut dependencies = Vec::new();
        for (name, s) in schema.get("dependencies").and_then(Json::as_object).unwrap_or(&[]) {
            let dependency = match s {
                Json::Array(list) => Dependency::Names(list.iter().filter_map(Json::as_str).map(Into::into).collect()),
                s => Dependency::Schema(self.id_of(s, &format!("{path}.dependencies.{name}"))),
            };
            dependencies.push((name.as_ref().into(), dependency));
        }
        let rest = self.rest(schema.get("additionalProperties"), &format!("{path}.additionalProperties"));
        let (min, max) = bounds(schema, "minProperties", "maxProperties");
        let any = members.is_empty()
            && patterns.is_empty()
            && dependencies.is_empty()
            && matches!(rest, Rest::Matching(ANY))
            && (min, max) == (0, u64::MAX);
        let required = bits;
        (!any).then_some(ObjectRules {
            names,
            members,
            required,
            more_required,
            patterns,
            rest,
            min,
            max,
            dependencies,
        })
    }

    fn combined(&mut self, schema: &'j Json<'a>, path: &str) -> Option<Combined> {
        let mut list = |key: &str| -> Vec<NodeId> {
            let schemas = schema.get(key).and_then(Json::as_array).unwrap_or(&[]);
            schemas.iter().enumerate().map(|(i, s)| self.id_of(s, &format!("{path}.{key}[{i}]"))).collect()
        };
        let (all_of, any_of, one_of) = (list("allOf"), list("anyOf"), list("oneOf"));
        let not = schema.get("not").filter(|s| s.as_object().is_some()).map(|s| self.id_of(s, &format!("{path}.not")));
        let some = !all_of.is_empty() || !any_of.is_empty() || !one_of.is_empty() || not.is_some();
        some.then_some(Combined { all_of, any_of, one_of, not })
    }
}

fn number_text<'j>(json: &'j Json) -> Option<&'j str> {
    match json {
        Json::Number(n) => Some(n),
        _ => None,
    }
}

/// A lower and an upper bound of a count; beyond u64 is as good as u64.
fn bounds(schema: &Json, min: &str, max: &str) -> (u64, u64) {
    let read = |key: &str| schema.get(key).and_then(number_text).map(|n| n.parse().unwrap_or(u64::MAX));
    (read(min).unwrap_or(0), read(max).unwrap_or(u64::MAX))
}

fn types(json: Option<&Json>) -> Types {
    match json {
        Some(Json::String(name)) => Types::named(name),
        Some(Json::Array(names)) => Types(names.iter().filter_map(Json::as_str).fold(0, |t, n| t | Types::named(n).0)),
        _ => Types::ALL,
    }
}

/// Schemas that apply to one value must not lead back to themselves, or checking would never end.
fn chain_problem(nodes: &[Node]) -> Option<String> {
    #[derive(Clone, Copy, PartialEq)]
    enum Depth {
        Unknown,
        Open,
        Known(usize),
    }
    let mut depths = vec![Depth::Unknown; nodes.len()];
    let mut stack: Vec<(usize, Vec<NodeId>, usize)> = Vec::new();
    for start in 0..nodes.len() {
        if depths.get(start) != Some(&Depth::Unknown) {
            continue;
        }
        stack.push((start, nodes.get(start).map(Node::same_value).unwrap_or_default(), 1));
        if let Some(d) = depths.get_mut(start) {
            *d = Depth::Open;
        }
        while let Some((at, children, depth)) = stack.last_mut() {
            if *depth > MAX_CHAIN {
                return Some(format!("more than {MAX_CHAIN} schemas apply to one value one after the other"));
            }
            match children.pop() {
                None => {
                    let (at, depth) = (*at, *depth);
                    if let Some(d) = depths.get_mut(at) {
                        *d = Depth::Known(depth);
                    }
                    stack.pop();
                    if let Some((_, _, parent)) = stack.last_mut() {
                        *parent = (*parent).max(depth + 1);
                    }
                }
                Some(child) => match depths.get(child as usize) {
                    Some(Depth::Open) => return Some("a schema applies itself to the same value for ever".to_owned()),
                    Some(Depth::Known(below)) => *depth = (*depth).max(below + 1),
                    _ => {
                        let next = child as usize;
                        stack.push((next, nodes.get(next).map(Node::same_value).unwrap_or_default(), 1));
                        if let Some(d) = depths.get_mut(next) {
                            *d = Depth::Open;
                        }
                    }
                },
            }
        }
    }
    None
}
