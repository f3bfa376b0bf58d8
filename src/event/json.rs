//! A small JSON tree that keeps what JSON text says.
//!
//! Snowplow's JSON columns must keep key order and number text (`1.10`, thirty-digit integers), the last of two equal keys
//! wins, and hostile depth must not overflow a stack: general-purpose trees do some of that, none all of it at the price
//! that the hot path can pay. Strings without escapes are borrowed from the text.

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

/// Reads one JSON text (surrounding white space allowed) no deeper than `max_depth` levels.
///
/// # Errors
/// [`JsonError`] with the byte position.
pub fn parse(text: &str, max_depth: usize) -> Result<Json<'_>, JsonError> {
    let mut p = Parser { text, bytes: text.as_bytes(), at: 0, limit: max_depth };
    p.space();
    let value = p.value(1)?;
    p.space();
    if p.at < p.bytes.len() {
        return Err(p.error("text after the end of the value"));
    }
    Ok(value)
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
    while let Some(at) = rest.bytes().position(|b| b < 0x20 || b == b'"' || b == b'\\') {
        out.push_str(&rest[..at]);
        match rest.as_bytes()[at] {
            b'"' => out.push_str("\\\""),
            b'\\' => out.push_str("\\\\"),
            b'\n' => out.push_str("\\n"),
            b'\r' => out.push_str("\\r"),
            b'\t' => out.push_str("\\t"),
            0x08 => out.push_str("\\b"),
            0x0c => out.push_str("\\f"),
            other => {
                const HEX: &[u8; 16] = b"0123456789abcdef";
                out.push_str("\\u00");
                out.push(HEX[usize::from(other >> 4)] as char);
                out.push(HEX[usize::from(other & 15)] as char);
            }
        }
        rest = &rest[at + 1..];
    }
    out.push_str(rest);
    out.push('"');
}

/// Objects up to this many members find repeated keys by looking, larger ones by hashing: time stays linear.
const SMALL_OBJECT: usize = 32;

struct Parser<'a> {
    text: &'a str,
    bytes: &'a [u8],
    at: usize,
    limit: usize,
}

impl<'a> Parser<'a> {
    fn error(&self, what: &'static str) -> JsonError {
        JsonError::Syntax { at: self.at, what }
    }

    fn space(&mut self) {
        while let Some(b' ' | b'\t' | b'\n' | b'\r') = self.bytes.get(self.at) {
            self.at += 1;
        }
    }

    fn value(&mut self, level: usize) -> Result<Json<'a>, JsonError> {
        if level > self.limit {
            return Err(JsonError::TooDeep { at: self.at, limit: self.limit });
        }
        match self.bytes.get(self.at) {
            Some(b'{') => self.object(level),
            Some(b'[') => self.array(level),
            Some(b'"') => Ok(Json::String(self.string()?)),
            Some(b'-' | b'0'..=b'9') => self.number(),
            Some(b't') => self.word("true", Json::Bool(true)),
            Some(b'f') => self.word("false", Json::Bool(false)),
            Some(b'n') => self.word("null", Json::Null),
            Some(_) => Err(self.error("no JSON value")),
            None => Err(self.error("the text ends where a value should be")),
        }
    }

    fn word(&mut self, word: &'static str, value: Json<'a>) -> Result<Json<'a>, JsonError> {
        if self.bytes[self.at..].starts_with(word.as_bytes()) {
            self.at += word.len();
            Ok(value)
        } else {
            Err(self.error("no JSON value"))
        }
    }

    fn number(&mut self) -> Result<Json<'a>, JsonError> {
        let start = self.at;
        let digits = |p: &mut Self| {
            let from = p.at;
            while p.bytes.get(p.at).is_some_and(u8::is_ascii_digit) {
                p.at += 1;
            }
            p.at - from
        };
        if self.bytes[self.at] == b'-' {
            self.at += 1;
        }
        let first = self.bytes.get(self.at).copied();
        match digits(self) {
            0 => return Err(self.error("a number without digits")),
            n if n > 1 && first == Some(b'0') => return Err(self.error("a number with a leading zero")),
            _ => {}
        }
        if self.bytes.get(self.at) == Some(&b'.') {
            self.at += 1;
            if digits(self) == 0 {
                return Err(self.error("no digit after the decimal point"));
            }
        }
        if let Some(b'e' | b'E') = self.bytes.get(self.at) {
            self.at += 1;
            if let Some(b'+' | b'-') = self.bytes.get(self.at) {
                self.at += 1;
            }
            if digits(self) == 0 {
                return Err(self.error("no digit in the exponent"));
            }
        }
        Ok(Json::Number(Cow::Borrowed(&self.text[start..self.at])))
    }

    fn string(&mut self) -> Result<Cow<'a, str>, JsonError> {
        self.at += 1;
        let start = self.at;
        let mut owned: Option<String> = None;
        let mut piece = start;
        loop {
            let rest = &self.bytes[self.at..];
            let Some(step) = rest.iter().position(|&b| b == b'"' || b == b'\\' || b < 0x20) else {
                self.at = self.bytes.len();
                return Err(self.error("the text ends inside a string"));
            };
            self.at += step;
            match self.bytes[self.at] {
                b'"' => {
                    let tail = &self.text[piece..self.at];
                    self.at += 1;
                    return Ok(match owned {
                        None => Cow::Borrowed(tail),
                        Some(mut s) => {
                            s.push_str(tail);
                            Cow::Owned(s)
                        }
                    });
                }
                b'\\' => {
                    let s = owned.get_or_insert_with(String::new);
                    s.push_str(&self.text[piece..self.at]);
                    self.at += 1;
                    let c = self.escape()?;
                    if let Some(s) = owned.as_mut() {
                        s.push(c);
                    }
                    piece = self.at;
                }
                _ => return Err(self.error("a raw control character inside a string")),
            }
        }
    }

    fn escape(&mut self) -> Result<char, JsonError> {
        let b = *self.bytes.get(self.at).ok_or_else(|| self.error("the text ends inside an escape"))?;
        self.at += 1;
        Ok(match b {
            b'"' => '"',
            b'\\' => '\\',
            b'/' => '/',
            b'b' => '\u{8}',
            b'f' => '\u{c}',
            b'n' => '\n',
            b'r' => '\r',
            b't' => '\t',
            b'u' => {
                let first = self.hex4()?;
                if (0xD800..0xDC00).contains(&first) && self.bytes[self.at..].starts_with(b"\\u") {
                    let back = self.at;
                    self.at += 2;
                    let second = self.hex4()?;
                    if (0xDC00..0xE000).contains(&second) {
                        let code = 0x10000 + ((first - 0xD800) << 10) + (second - 0xDC00);
                        return Ok(char::from_u32(code).unwrap_or('\u{FFFD}'));
                    }
                    self.at = back;
                }
                char::from_u32(first).unwrap_or('\u{FFFD}')
            }
            _ => {
                self.at -= 1;
                return Err(self.error("an unknown escape"));
            }
        })
    }

    fn hex4(&mut self) -> Result<u32, JsonError> {
        let digits =
            self.bytes.get(self.at..self.at + 4).ok_or_else(|| self.error("the text ends inside an escape"))?;
        let mut code = 0;
        for &d in digits {
            let v = (d as char).to_digit(16).ok_or_else(|| self.error("an escape that is no hexadecimal number"))?;
            code = code * 16 + v;
        }
        self.at += 4;
        Ok(code)
    }

    fn array(&mut self, level: usize) -> Result<Json<'a>, JsonError> {
        self.at += 1;
        let mut items = Vec::new();
        self.space();
        if self.bytes.get(self.at) == Some(&b']') {
            self.at += 1;
            return Ok(Json::Array(items));
        }
        loop {
            self.space();
            items.push(self.value(level + 1)?);
            self.space();
            match self.bytes.get(self.at) {
                Some(b',') => self.at += 1,
                Some(b']') => {
                    self.at += 1;
                    return Ok(Json::Array(items));
                }
                _ => return Err(self.error("neither a comma nor the end of the array")),
            }
        }
    }

    fn object(&mut self, level: usize) -> Result<Json<'a>, JsonError> {
        self.at += 1;
        let mut members: Vec<(Cow<'a, str>, Json<'a>)> = Vec::new();
        let mut index: Option<ahash::AHashMap<String, usize>> = None;
        self.space();
        if self.bytes.get(self.at) == Some(&b'}') {
            self.at += 1;
            return Ok(Json::Object(members));
        }
        loop {
            self.space();
            if self.bytes.get(self.at) != Some(&b'"') {
                return Err(self.error("no member name"));
            }
            let key = self.string()?;
            self.space();
            if self.bytes.get(self.at) != Some(&b':') {
                return Err(self.error("no colon after a member name"));
            }
            self.at += 1;
            self.space();
            let value = self.value(level + 1)?;
            put_member(&mut members, &mut index, key, value);
            self.space();
            match self.bytes.get(self.at) {
                Some(b',') => self.at += 1,
                Some(b'}') => {
                    self.at += 1;
                    return Ok(Json::Object(members));
                }
                _ => return Err(self.error("neither a comma nor the end of the object")),
            }
        }
    }
}

fn put_member<'a>(
    members: &mut Vec<(Cow<'a, str>, Json<'a>)>,
    index: &mut Option<ahash::AHashMap<String, usize>>,
    key: Cow<'a, str>,
    value: Json<'a>,
) {
    let found = if members.len() < SMALL_OBJECT {
        members.iter().position(|(k, _)| *k == key)
    } else {
        let index =
            index.get_or_insert_with(|| members.iter().enumerate().map(|(i, (k, _))| (k.to_string(), i)).collect());
        let found = index.get(key.as_ref()).copied();
        if found.is_none() {
            index.insert(key.to_string(), members.len());
        }
        found
    };
    match found {
        Some(at) => members[at].1 = value,
        None => members.push((key, value)),
    }
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
