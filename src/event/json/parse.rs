//! JSON text to the tree. Depth is counted, so that hostile nesting cannot overflow the stack; time is linear in the text.

use super::{Json, JsonError, scan};
use std::borrow::Cow;

/// Reads one JSON text (surrounding white space allowed) no deeper than `max_depth` levels.
///
/// # Errors
/// [`JsonError`] with the byte position.
pub fn parse(text: &str, max_depth: usize) -> Result<Json<'_>, JsonError> {
    parse_value(text, max_depth).map(|value| value.json)
}

/// As [`parse`], with the text of the value.
///
/// # Errors
/// [`JsonError`] with the byte position.
pub fn parse_value(text: &str, max_depth: usize) -> Result<Value<'_>, JsonError> {
    let mut p = Parser::new(text, max_depth);
    let value = p.tracked(1)?;
    p.space();
    if p.at < p.bytes.len() {
        return Err(p.error("text after the end of the value"));
    }
    Ok(value)
}

/// A value with the text that it was read from.
#[derive(Debug)]
pub struct Value<'a> {
    /// The value.
    pub json: Json<'a>,
    /// Its text as it stands.
    pub text: &'a str,
    /// True only when that text is exactly what [`Json::write`] makes of the value.
    pub compact: bool,
}

/// Reads JSON piece by piece, for callers that know what must come and take the general way when something else does.
pub struct Pull<'a>(Parser<'a>);

impl std::fmt::Debug for Pull<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Pull at byte {}", self.0.at)
    }
}

impl<'a> Pull<'a> {
    /// Stands before the first byte of `text`; values are read no deeper than `max_depth` levels.
    pub fn new(text: &'a str, max_depth: usize) -> Self {
        Pull(Parser::new(text, max_depth))
    }

    /// Skips white space and, if `byte` comes next, takes it.
    pub fn take(&mut self, byte: u8) -> bool {
        self.0.space();
        let there = self.0.bytes.get(self.0.at) == Some(&byte);
        self.0.at += usize::from(there);
        there
    }

    /// Skips white space and takes a string; `None` when something else comes or the string is faulty.
    pub fn string(&mut self) -> Option<Cow<'a, str>> {
        self.0.space();
        if self.0.bytes.get(self.0.at) != Some(&b'"') {
            return None;
        }
        self.0.string().ok()
    }

    /// Skips white space and takes any value, which stands at `level` of the whole (the root is level 1).
    pub fn value(&mut self, level: usize) -> Option<Value<'a>> {
        self.0.tracked(level).ok()
    }

    /// Whether nothing but white space is left.
    pub fn is_done(&mut self) -> bool {
        self.0.space();
        self.0.at == self.0.bytes.len()
    }
}

/// Objects up to this many members find repeated keys by looking, larger ones by hashing: time stays linear.
const SMALL_OBJECT: usize = 32;

/// First room for a string that holds escapes: most are JSON inside JSON and long.
const ESCAPED_ROOM: usize = 1000;
/// First room for the members of an object.
const MEMBERS: usize = 8;

struct Parser<'a> {
    text: &'a str,
    bytes: &'a [u8],
    at: usize,
    limit: usize,
    /// Something was read that would be written differently.
    loose: bool,
}

impl<'a> Parser<'a> {
    fn new(text: &'a str, limit: usize) -> Self {
        Parser { text, bytes: text.as_bytes(), at: 0, limit, loose: false }
    }

    /// The next value with its text.
    fn tracked(&mut self, level: usize) -> Result<Value<'a>, JsonError> {
        self.space();
        let start = self.at;
        self.loose = false;
        let json = self.value(level)?;
        let text = self.text.get(start..self.at).unwrap_or_default();
        Ok(Value { json, text, compact: !self.loose })
    }

    fn error(&self, what: &'static str) -> JsonError {
        JsonError::Syntax { at: self.at, what }
    }

    fn space(&mut self) {
        while let Some(b' ' | b'\t' | b'\n' | b'\r') = self.bytes.get(self.at) {
            self.at += 1;
            self.loose = true;
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
        self.at += scan::plain(&self.bytes[start..]); // the opening quote stood before
        match self.bytes.get(self.at) {
            Some(b'"') => {
                let plain = &self.text[start..self.at];
                self.at += 1;
                Ok(Cow::Borrowed(plain))
            }
            Some(b'\\') => self.unescape(start).map(Cow::Owned),
            Some(_) => Err(self.error("a raw control character inside a string")),
            None => Err(self.error("the text ends inside a string")),
        }
    }

    /// The rest of a string that began at `start` and stands at its first escape.
    fn unescape(&mut self, start: usize) -> Result<String, JsonError> {
        let bytes = self.bytes;
        let room = (bytes.len() - start).min(ESCAPED_ROOM);
        let mut out = scan::Gather::new(&bytes[start..self.at], room);
        loop {
            match bytes.get(self.at) {
                Some(b'\\') => {}
                Some(b'"') => {
                    self.at += 1;
                    return Ok(out.finish());
                }
                Some(_) => return Err(self.error("a raw control character inside a string")),
                None => return Err(self.error("the text ends inside a string")),
            }
            self.at += 1;
            let simple = match bytes.get(self.at) {
                Some(b @ (b'"' | b'\\')) => *b,
                Some(b'n') => b'\n',
                Some(b't') => b'\t',
                Some(b'r') => b'\r',
                Some(b'b') => 0x08,
                Some(b'f') => 0x0c,
                _ => {
                    out.char(self.odd_escape()?);
                    self.at = out.plain(bytes, self.at);
                    continue;
                }
            };
            out.byte(simple);
            self.at = out.plain(bytes, self.at + 1);
        }
    }

    /// `\/` and `\uXXXX`: escapes that would be written differently.
    fn odd_escape(&mut self) -> Result<char, JsonError> {
        self.loose = true;
        let b = *self.bytes.get(self.at).ok_or_else(|| self.error("the text ends inside an escape"))?;
        self.at += 1;
        match b {
            b'/' => Ok('/'),
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
                Ok(char::from_u32(first).unwrap_or('\u{FFFD}'))
            }
            _ => {
                self.at -= 1;
                Err(self.error("an unknown escape"))
            }
        }
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
        let mut members = Members::default();
        self.space();
        if self.bytes.get(self.at) == Some(&b'}') {
            self.at += 1;
            return Ok(Json::Object(Vec::new()));
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
            self.loose |= members.put(key, value);
            self.space();
            match self.bytes.get(self.at) {
                Some(b',') => self.at += 1,
                Some(b'}') => {
                    self.at += 1;
                    return Ok(Json::Object(members.list));
                }
                _ => return Err(self.error("neither a comma nor the end of the object")),
            }
        }
    }
}

/// The members of an object while it is read.
#[derive(Default)]
struct Members<'a> {
    list: Vec<(Cow<'a, str>, Json<'a>)>,
    /// One bit per first byte and length of the keys so far: a key whose bit is not set was not there.
    seen: u64,
    index: Option<ahash::AHashMap<String, usize>>,
}

impl<'a> Members<'a> {
    /// True when the key was there before.
    fn put(&mut self, key: Cow<'a, str>, value: Json<'a>) -> bool {
        let first = key.as_bytes().first().copied().unwrap_or(0);
        let last = key.as_bytes().last().copied().unwrap_or(0);
        let bit = 1u64 << ((first ^ last.rotate_left(3)).wrapping_add(key.len() as u8) & 63);
        let maybe = self.seen & bit != 0;
        self.seen |= bit;
        if self.list.is_empty() {
            self.list.reserve_exact(MEMBERS);
        }
        match self.place(&key, maybe) {
            Some(at) => {
                self.list[at].1 = value; // a position in the list
                true
            }
            None => {
                self.list.push((key, value));
                false
            }
        }
    }

    /// Where the key stands already.
    fn place(&mut self, key: &str, maybe: bool) -> Option<usize> {
        if self.list.len() < SMALL_OBJECT {
            return if maybe { self.list.iter().position(|(k, _)| k == key) } else { None };
        }
        let list = &self.list;
        let index =
            self.index.get_or_insert_with(|| list.iter().enumerate().map(|(i, (k, _))| (k.to_string(), i)).collect());
        let found = index.get(key).copied();
        if found.is_none() {
            index.insert(key.to_owned(), self.list.len());
        }
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn json() -> impl Strategy<Value = String> {
        let leaf = prop_oneof![
            Just("null".to_owned()),
            Just("true".to_owned()),
            "-?(0|[1-9][0-9]{0,20})(\\.[0-9]{1,3})?([eE][+-]?[0-9]{1,3})?",
            proptest::collection::vec(
                prop_oneof![
                    6 => "[a-zA-Z :/ü𝄞]{1,9}",
                    1 => proptest::sample::select(vec!["\\\"", "\\\\", "\\n", "\\t", "\\r", "\\b", "\\f", "\\/", "\\u00fc", "\\ud834\\udd1e", "\\ud834", "\\u0001"]).prop_map(str::to_owned),
                ],
                0..6
            )
            .prop_map(|v| format!("\"{}\"", v.concat())),
        ];
        leaf.prop_recursive(4, 40, 6, |inner| {
            let blank = proptest::sample::select(vec!["", "", "", " ", "\n "]);
            prop_oneof![
                (proptest::collection::vec(inner.clone(), 0..5), blank.clone())
                    .prop_map(|(v, b)| format!("[{b}{}{b}]", v.join(","))),
                (proptest::collection::vec(("[a-e]{1,3}", inner), 0..6), blank).prop_map(|(v, b)| format!(
                    "{{{}}}",
                    v.iter().map(|(k, v)| format!("{b}\"{k}\"{b}:{v}")).collect::<Vec<_>>().join(",")
                )),
            ]
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 2000, ..ProptestConfig::default() })]

        #[test]
        fn it_agrees_with_another_parser_and_knows_when_text_is_compact(text in json()) {
            let ours = parse(&text, 100).unwrap();
            let written = ours.to_text();
            // Lone surrogates are refused by the other parser and replaced by this one.
            if let Ok(theirs) = serde_json::from_str::<serde_json::Value>(&text) {
                prop_assert_eq!(serde_json::from_str::<serde_json::Value>(&written).unwrap(), theirs);
            }
            prop_assert_eq!(parse(&written, 100).unwrap().to_text(), written.clone());
            let mut pull = Pull::new(&text, 100);
            let value = pull.value(1).unwrap();
            prop_assert!(pull.is_done());
            prop_assert!(!value.compact || written == value.text, "{} {}", value.text, written);
            prop_assert!(value.compact || written != value.text || text.contains("\\u"), "{}", text);
        }

        #[test]
        fn no_text_panics(text in "[\\[\\]{}\",:\\\\ntfu0-9a-f .eE+-]{0,40}") {
            let _ = parse(&text, 10);
        }
    }
}
