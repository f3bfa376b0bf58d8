//! Reading one scalar out of JSON text without building a tree.
//!
//! The self-describing columns hold compact JSON that passed its schema; a view wants one number or word of it. The reader
//! walks down the path and skips everything else. Text that is not JSON, or holds no scalar there, gives no value.

use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use std::borrow::Cow;
use std::fmt;

/// What stands at the end of a path.
#[derive(Clone, Debug, PartialEq, Default)]
pub enum Scalar<'a> {
    /// Nothing, `null`, an object or an array.
    #[default]
    None,
    /// Text.
    Text(Cow<'a, str>),
    /// A whole number.
    Int(i64),
    /// Another number.
    Double(f64),
    /// A flag.
    Bool(bool),
}

/// Reads the scalar at `path`; with `entity`, inside the first element of the outer array.
pub fn read<'a>(json: &'a str, entity: bool, path: &[String]) -> Scalar<'a> {
    let mut d = serde_json::Deserializer::from_str(json);
    let at = if entity { At::First(path) } else { At::Keys(path) };
    // Text that is no JSON has no value: the error carries nothing more.
    at.deserialize(&mut d).unwrap_or_default()
}

/// Where the reader stands: before the outer array, or before the keys that are left.
#[derive(Clone, Copy)]
enum At<'p> {
    First(&'p [String]),
    Keys(&'p [String]),
}

impl<'a> DeserializeSeed<'a> for At<'_> {
    type Value = Scalar<'a>;
    fn deserialize<D: Deserializer<'a>>(self, d: D) -> Result<Scalar<'a>, D::Error> {
        d.deserialize_any(self)
    }
}

impl At<'_> {
    fn scalar<'a, E>(self, value: Scalar<'a>) -> Result<Scalar<'a>, E> {
        Ok(if matches!(self, At::Keys([])) { value } else { Scalar::None })
    }
}

impl<'a> Visitor<'a> for At<'_> {
    type Value = Scalar<'a>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_bool<E>(self, v: bool) -> Result<Scalar<'a>, E> {
        self.scalar(Scalar::Bool(v))
    }
    fn visit_i64<E>(self, v: i64) -> Result<Scalar<'a>, E> {
        self.scalar(Scalar::Int(v))
    }
    fn visit_u64<E>(self, v: u64) -> Result<Scalar<'a>, E> {
        self.scalar(i64::try_from(v).map_or(Scalar::Double(v as f64), Scalar::Int))
    }
    fn visit_f64<E>(self, v: f64) -> Result<Scalar<'a>, E> {
        self.scalar(Scalar::Double(v))
    }
    fn visit_borrowed_str<E>(self, v: &'a str) -> Result<Scalar<'a>, E> {
        self.scalar(Scalar::Text(Cow::Borrowed(v)))
    }
    fn visit_str<E>(self, v: &str) -> Result<Scalar<'a>, E> {
        self.scalar(Scalar::Text(Cow::Owned(v.to_owned())))
    }
    fn visit_unit<E>(self) -> Result<Scalar<'a>, E> {
        Ok(Scalar::None)
    }

    fn visit_seq<A: SeqAccess<'a>>(self, mut seq: A) -> Result<Scalar<'a>, A::Error> {
        let found = match self {
            At::First(path) => seq.next_element_seed(At::Keys(path))?.unwrap_or_default(),
            At::Keys(_) => Scalar::None,
        };
        while seq.next_element::<IgnoredAny>()?.is_some() {}
        Ok(found)
    }

    fn visit_map<A: MapAccess<'a>>(self, mut map: A) -> Result<Scalar<'a>, A::Error> {
        let mut found = Scalar::None;
        let step = match self {
            At::Keys([key, rest @ ..]) => Some((key, rest)),
            _ => None,
        };
        while let Some(key) = map.next_key::<Cow<'a, str>>()? {
            match step {
                Some((wanted, rest)) if *wanted == key => found = map.next_value_seed(At::Keys(rest))?,
                _ => {
                    map.next_value::<IgnoredAny>()?;
                }
            }
        }
        Ok(found)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn get<'a>(json: &'a str, entity: bool, path: &str) -> Scalar<'a> {
        read(json, entity, &path.split('.').map(str::to_owned).collect::<Vec<_>>())
    }

    #[test]
    fn scalars_are_found_where_they_stand() {
        let one = r#"[{"_schema_version":"1-0-0","a":{"b":[1,{"c":2}],"d":"é\n"},"n":-7},{"n":9}]"#;
        assert_eq!(get(one, true, "n"), Scalar::Int(-7));
        assert_eq!(get(one, true, "a.d"), Scalar::Text("é\n".into()));
        assert_eq!(get(one, true, "a.b"), Scalar::None);
        assert_eq!(get(one, true, "a"), Scalar::None);
        assert_eq!(get(one, true, "n.x"), Scalar::None);
        assert_eq!(get(one, false, "n"), Scalar::None);
        assert_eq!(get(r#"{"p":1.5,"q":true,"r":null,"s":18446744073709551615}"#, false, "p"), Scalar::Double(1.5));
        assert_eq!(get(r#"{"p":1.5,"q":true}"#, false, "q"), Scalar::Bool(true));
        assert_eq!(get(r#"{"r":null}"#, false, "r"), Scalar::None);
        assert_eq!(get(r#"{"s":18446744073709551615}"#, false, "s"), Scalar::Double(18446744073709551615.0));
        assert_eq!(get("[]", true, "n"), Scalar::None);
    }

    #[test]
    fn broken_text_has_no_value() {
        for bad in ["", "{", "[{\"n\":1}", "nonsense", "{\"n\":}"] {
            assert_eq!(get(bad, true, "n"), Scalar::None, "{bad}");
        }
        let deep = format!("{}1{}", "[".repeat(10_000), "]".repeat(10_000));
        assert_eq!(get(&deep, true, "n"), Scalar::None);
    }
}
