//! Equality of JSON values as JSON Schema means it: numbers by value, objects in any order.

use super::number;
use crate::event::json::Json;
use std::hash::{BuildHasher, Hasher};

/// Objects up to this many members are compared by looking, larger ones by an index.
const SMALL_OBJECT: usize = 16;

/// Whether two values are equal.
pub(super) fn equal(a: &Json, b: &Json) -> bool {
    match (a, b) {
        (Json::Null, Json::Null) => true,
        (Json::Bool(a), Json::Bool(b)) => a == b,
        (Json::Number(a), Json::Number(b)) => a == b || number::compare(a, b).is_eq(),
        (Json::String(a), Json::String(b)) => a == b,
        (Json::Array(a), Json::Array(b)) => a.len() == b.len() && a.iter().zip(b).all(|(a, b)| equal(a, b)),
        (Json::Object(a), Json::Object(b)) if a.len() == b.len() => {
            if a.len() <= SMALL_OBJECT {
                return a.iter().all(|(k, v)| b.iter().any(|(other, w)| k == other && equal(v, w)));
            }
            let index: ahash::AHashMap<&str, &Json> = b.iter().map(|(k, v)| (k.as_ref(), v)).collect();
            a.iter().all(|(k, v)| index.get(k.as_ref()).is_some_and(|w| equal(v, w)))
        }
        _ => false,
    }
}

/// Hashes so that equal values hash equal.
fn hash(value: &Json, state: &ahash::RandomState) -> u64 {
    let mut hasher = state.build_hasher();
    match value {
        Json::Null => hasher.write_u8(0),
        Json::Bool(b) => hasher.write_u8(1 + u8::from(*b)),
        Json::Number(n) => {
            hasher.write_u8(3);
            number::hash(n, &mut hasher);
        }
        Json::String(s) => {
            hasher.write_u8(4);
            hasher.write(s.as_bytes());
        }
        Json::Array(items) => {
            hasher.write_u8(5);
            for item in items {
                hasher.write_u64(hash(item, state));
            }
        }
        Json::Object(members) => {
            hasher.write_u8(6);
            let sum = members.iter().fold(0u64, |sum, (k, v)| {
                let mut member = state.build_hasher();
                member.write(k.as_bytes());
                member.write_u64(hash(v, state));
                sum.wrapping_add(member.finish())
            });
            hasher.write_u64(sum);
        }
    }
    hasher.finish()
}

/// Positions of the first two equal items, if any two are. Linear in the size of the array.
pub(super) fn repeated(items: &[Json]) -> Option<(usize, usize)> {
    let state = ahash::RandomState::new();
    let mut seen: ahash::AHashMap<u64, Vec<usize>> = ahash::AHashMap::with_capacity(items.len());
    for (i, item) in items.iter().enumerate() {
        let bucket = seen.entry(hash(item, &state)).or_default();
        let earlier = bucket.iter().find(|at| items.get(**at).is_some_and(|other| equal(other, item)));
        if let Some(at) = earlier {
            return Some((*at, i));
        }
        bucket.push(i);
    }
    None
}

/// The values of an `enum`.
#[derive(Debug, Default)]
pub(super) struct EnumSet {
    null: bool,
    yes: bool,
    no: bool,
    strings: super::names::NameTable,
    others: Vec<Json<'static>>,
    /// As JSON text, for messages.
    pub(super) text: String,
}

impl EnumSet {
    pub(super) fn new(values: &[Json]) -> Self {
        EnumSet {
            null: values.contains(&Json::Null),
            yes: values.contains(&Json::Bool(true)),
            no: values.contains(&Json::Bool(false)),
            strings: super::names::NameTable::new(values.iter().filter_map(Json::as_str)),
            others: values
                .iter()
                .filter(|v| matches!(v, Json::Number(_) | Json::Array(_) | Json::Object(_)))
                .map(|v| v.clone().into_owned())
                .collect(),
            text: Json::Array(values.to_vec()).to_text(),
        }
    }

    pub(super) fn holds(&self, value: &Json) -> bool {
        match value {
            Json::Null => self.null,
            Json::Bool(true) => self.yes,
            Json::Bool(false) => self.no,
            Json::String(s) => self.strings.find(s).is_some(),
            other => self.others.iter().any(|v| equal(v, other)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::json::parse;

    fn json(text: &str) -> Json<'_> {
        parse(text, 40).unwrap()
    }

    #[test]
    fn numbers_count_by_value_and_objects_in_any_order() {
        assert!(equal(&json(r#"{"a":1.0,"b":[1e1]}"#), &json(r#"{"b":[10],"a":1}"#)));
        assert!(!equal(&json(r#"{"a":1}"#), &json(r#"{"a":"1"}"#)));
        assert!(!equal(&json("[1,2]"), &json("[2,1]")));
        assert!(!equal(&json("false"), &json("0")));
        let large = |shift: usize| {
            let members: Vec<String> =
                (0..40).map(|i| format!("\"k{}\":{}", (i + shift) % 40, (i + shift) % 40)).collect();
            format!("{{{}}}", members.join(","))
        };
        assert!(equal(&json(&large(0)), &json(&large(7))));
    }

    #[test]
    fn repeated_items_are_found() {
        assert_eq!(repeated(json(r#"[1,"1",true,[1],{"a":1,"b":2},1.0]"#).as_array().unwrap()), Some((0, 5)));
        assert_eq!(repeated(json(r#"[{"a":1,"b":2},{"b":2.0,"a":1}]"#).as_array().unwrap()), Some((0, 1)));
        assert_eq!(repeated(json(r#"[1,2,[],{},null,false,0,""]"#).as_array().unwrap()), None);
    }

    #[test]
    fn an_enum_holds_its_values_only() {
        let set = EnumSet::new(json(r#"["a",1.50,null,true,[1],{"x":1}]"#).as_array().unwrap());
        for yes in ["\"a\"", "1.5", "null", "true", "[1.0]", r#"{"x":1}"#] {
            assert!(set.holds(&json(yes)), "{yes}");
        }
        for no in ["\"b\"", "15", "false", "[]", r#"{"x":1,"y":1}"#, "\"1.5\""] {
            assert!(!set.holds(&json(no)), "{no}");
        }
    }
}
