//! A small JSON tree that keeps what JSON text says.
//!
//! Snowplow's JSON columns must keep key order and number text (`1.10`, thirty-digit integers), the last of two equal keys
//! wins, and hostile depth must not overflow a stack: general-purpose trees do some of that, none all of it at the price
//! that the hot path can pay. Strings without escapes are borrowed from the text.

mod parse;
mod scan;

pub use parse::{Pull, Value, parse, parse_value};

use std::borrow::Cow;

/// One value.
#[derive(Clone, PartialEq, Debug)]
pub enum Json<'a> {
    /// `null`
    Null,
    /// `true`, `false`
    Bool(bool),
    /// The number as it was written.
    Number(Cow<'a, str>),
    /// Text, escapes resolved. A lone surrogate escape becomes U+FFFD.
    String(Cow<'a, str>),
    /// In order.
    Array(Vec<Json<'a>>),
    /// In order of first appearance; keys are unique, the last value of a repeated key won.
    Object(Vec<(Cow<'a, str>, Json<'a>)>),
}

/// Why a text is not taken as JSON.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum JsonError {
    /// Not JSON.
    #[error("{what} at byte {at}")]
    Syntax {
        /// Byte position.
        at: usize,
        /// What was found or missing.
        what: &'static str,
    },
    /// Nested deeper than allowed; the root counts 1 and a scalar counts a level.
    #[error("nested deeper than {limit} levels at byte {at}")]
    TooDeep {
        /// Byte position.
        at: usize,
        /// The limit.
        limit: usize,
    },
}

impl JsonError {
    /// Byte position of the problem.
    pub fn at(&self) -> usize {
        match self {
            JsonError::Syntax { at, .. } | JsonError::TooDeep { at, .. } => *at,
        }
    }
}

impl<'a> Json<'a> {
    /// The value of `key`, if this is an object that has it.
    pub fn get(&self, key: &str) -> Option<&Json<'a>> {
        match self {
            Json::Object(members) => members.iter().find(|(k, _)| k == key).map(|(_, v)| v),
            _ => None,
        }
    }

    /// Takes the value of `key` out of an object.
    pub fn take(&mut self, key: &str) -> Option<Json<'a>> {
        match self {
            Json::Object(members) => {
                let at = members.iter().position(|(k, _)| k == key)?;
                Some(members.remove(at).1)
            }
            _ => None,
        }
    }

    /// The text, if this is a string.
    pub fn as_str(&self) -> Option<&str> {
        match self {
            Json::String(s) => Some(s),
            _ => None,
        }
    }

    /// The items, if this is an array.
    pub fn as_array(&self) -> Option<&[Json<'a>]> {
        match self {
            Json::Array(items) => Some(items),
            _ => None,
        }
    }

    /// The members, if this is an object.
    pub fn as_object(&self) -> Option<&[(Cow<'a, str>, Json<'a>)]> {
        match self {
            Json::Object(members) => Some(members),
            _ => None,
        }
    }

    /// Levels of nesting: a scalar or an empty container is 1.
    pub fn depth(&self) -> usize {
        1 + match self {
            Json::Array(items) => items.iter().map(Json::depth).max().unwrap_or(0),
            Json::Object(members) => members.iter().map(|(_, v)| v.depth()).max().unwrap_or(0),
            _ => 0,
        }
    }

    /// Appends compact JSON text: no spaces, numbers as read, control characters escaped, the rest as it is.
    pub fn write(&self, out: &mut String) {
        match self {
            Json::Null => out.push_str("null"),
            Json::Bool(true) => out.push_str("true"),
            Json::Bool(false) => out.push_str("false"),
            Json::Number(n) => out.push_str(n),
            Json::String(s) => write_string(s, out),
            Json::Array(items) => {
                out.push('[');
                for (i, item) in items.iter().enumerate() {
                    if i > 0 {
                        out.push(',');
                    }
                    item.write(out);
                }
                out.push(']');
            }
            Json::Object(members) => {
                out.push('{');
                for (i, (key, value)) in members.iter().enumerate() {
                    if i > 0 {
                        out.push(',');
                    }
                    write_string(key, out);
                    out.push(':');
                    value.write(out);
                }
                out.push('}');
            }
        }
    }

    /// Compact JSON text.
    pub fn to_text(&self) -> String {
        let mut out = String::new();
        self.write(&mut out);
        out
    }

    /// The same value with nothing borrowed.
    pub fn into_owned(self) -> Json<'static> {
        match self {
            Json::Null => Json::Null,
            Json::Bool(b) => Json::Bool(b),
            Json::Number(n) => Json::Number(Cow::Owned(n.into_owned())),
            Json::String(s) => Json::String(Cow::Owned(s.into_owned())),
            Json::Array(items) => Json::Array(items.into_iter().map(Json::into_owned).collect()),
            Json::Object(members) => {
                Json::Object(members.into_iter().map(|(k, v)| (Cow::Owned(k.into_owned()), v.into_owned())).collect())
            }
        }
    }
}

/// Appends `text` as a JSON string, quotes included.
pub fn write_string(text: &str, out: &mut String) {
    out.push('"');
    let mut rest = text;
    loop {
        let at = scan::plain(rest.as_bytes());
        out.push_str(&rest[..at]);
        let Some(&special) = rest.as_bytes().get(at) else { break };
        write_escape(special, out);
        rest = &rest[at + 1..];
    }
    out.push('"');
}

fn write_escape(byte: u8, out: &mut String) {
    const HEX: &[u8; 16] = b"0123456789abcdef";
    out.push_str(match byte {
        b'"' => "\\\"",
        b'\\' => "\\\\",
        b'\n' => "\\n",
        b'\r' => "\\r",
        b'\t' => "\\t",
        0x08 => "\\b",
        0x0c => "\\f",
        other => {
            out.push_str("\\u00");
            out.push(char::from(HEX[usize::from(other >> 4)]));
            out.push(char::from(HEX[usize::from(other & 15)]));
            return;
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_survives_in_order_and_to_the_digit() {
        for text in [
            r#"{"z":1.10,"a":[1e3,123456789012345678901234567890,-0],"t":"gr\u00fc\n","n":null,"b":true,"o":{}}"#,
            "[]",
            "\"\"",
            "-1.5E-7",
        ] {
            let back = parse(text, 40).unwrap().to_text();
            assert_eq!(back, text.replace("\\u00fc", "ü"));
        }
    }

    #[test]
    fn the_last_of_two_equal_keys_wins() {
        assert_eq!(parse(r#"{"a":1,"b":2,"a":3}"#, 9).unwrap().to_text(), r#"{"a":3,"b":2}"#);
        let many: String = (0..500).map(|i| format!("\"k{}\":{i},", i % 100)).collect();
        let doc = format!("{{{}}}", many.trim_end_matches(','));
        let parsed = parse(&doc, 9).unwrap();
        assert_eq!(parsed.as_object().unwrap().len(), 100);
        assert_eq!(parsed.get("k7"), Some(&Json::Number("407".into())));
    }

    #[test]
    fn depth_counts_the_root_and_scalars() {
        assert!(parse("[[1]]", 3).is_ok());
        assert!(matches!(parse("[[1]]", 2), Err(JsonError::TooDeep { .. })));
        assert!(parse(&"[".repeat(1_000_000), 40).is_err());
    }

    #[test]
    fn wrong_text_is_refused() {
        for bad in [
            "",
            "{",
            "01",
            "1.",
            "nul",
            "\"\\x\"",
            "\"a\nb\"",
            "[1,]",
            "{\"a\":1,}",
            "{a:1}",
            "1 2",
            "+1",
            ".5",
            "\"\\u12\"",
        ] {
            assert!(parse(bad, 40).is_err(), "{bad}");
        }
    }
}
