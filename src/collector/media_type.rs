//! The `Content-Type` of a request in the one form that readers downstream compare with.

use crate::net::http1::head::is_token;
use std::borrow::Cow;

/// A content type that was read.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ContentType {
    /// `type/subtype; …; charset=x`, lower case. Only the value of `boundary` keeps its case: lowered, it would not be
    /// found in the body again.
    pub rendered: Cow<'static, str>,
    bare: usize,
}

impl ContentType {
    /// `type/subtype`.
    pub fn bare(&self) -> &str {
        self.rendered.get(..self.bare).unwrap_or_default()
    }
}

/// Reads a header value; `None` when it is no media type.
pub fn parse(value: &[u8]) -> Option<ContentType> {
    // What nearly every tracker sends.
    match value {
        b"application/json; charset=UTF-8" | b"application/json; charset=utf-8" | b"application/json;charset=UTF-8" => {
            return Some(ContentType { rendered: Cow::Borrowed("application/json; charset=utf-8"), bare: 16 });
        }
        b"application/json" => return Some(ContentType { rendered: Cow::Borrowed("application/json"), bare: 16 }),
        _ => {}
    }
    let mut parts = Parts { text: std::str::from_utf8(value).ok()? };
    let kind = parts.token()?;
    parts.eat('/')?;
    let subtype = parts.token()?;
    let mut rendered = format!("{kind}/{subtype}").to_ascii_lowercase();
    let bare = rendered.len();
    let mut charset = None;
    while let Some((name, value)) = parts.parameter()? {
        let name = name.to_ascii_lowercase();
        if name == "charset" {
            charset.get_or_insert(value.to_ascii_lowercase());
            continue;
        }
        rendered.push_str("; ");
        let value = if name == "boundary" { value } else { value.to_ascii_lowercase() };
        push_parameter(&mut rendered, &name, &value);
    }
    if let Some(charset) = charset {
        rendered.push_str("; ");
        push_parameter(&mut rendered, "charset", &charset);
    }
    Some(ContentType { rendered: Cow::Owned(rendered), bare })
}

fn push_parameter(out: &mut String, name: &str, value: &str) {
    out.push_str(name);
    out.push('=');
    if !value.is_empty() && value.bytes().all(is_token) {
        out.push_str(value);
        return;
    }
    out.push('"');
    for c in value.chars() {
        if matches!(c, '"' | '\\') {
            out.push('\\');
        }
        out.push(c);
    }
    out.push('"');
}

struct Parts<'a> {
    text: &'a str,
}

impl<'a> Parts<'a> {
    fn space(&mut self) {
        self.text = self.text.trim_start_matches([' ', '\t']);
    }

    fn eat(&mut self, c: char) -> Option<()> {
        self.text = self.text.strip_prefix(c)?;
        Some(())
    }

    fn token(&mut self) -> Option<&'a str> {
        let end = self.text.bytes().position(|b| !is_token(b)).unwrap_or(self.text.len());
        let (token, rest) = self.text.split_at_checked(end)?;
        self.text = rest;
        (!token.is_empty()).then_some(token)
    }

    /// The next parameter; `Some(None)` at the end, `None` when what follows is none.
    fn parameter(&mut self) -> Option<Option<(&'a str, String)>> {
        loop {
            self.space();
            if self.text.is_empty() {
                return Some(None);
            }
            self.eat(';')?;
            self.space();
            // An empty parameter, as in `text/html;`, is allowed by RFC 9110 §5.6.6.
            if self.text.is_empty() || self.text.starts_with(';') {
                continue;
            }
            let name = self.token()?;
            self.eat('=')?;
            let value = if self.text.starts_with('"') { self.quoted()? } else { self.token()?.to_owned() };
            return Some(Some((name, value)));
        }
    }

    fn quoted(&mut self) -> Option<String> {
        let mut out = String::new();
        let mut chars = self.text.char_indices().skip(1);
        while let Some((at, c)) = chars.next() {
            match c {
                '"' => {
                    self.text = self.text.get(at + 1..)?;
                    return Some(out);
                }
                '\\' => out.push(chars.next()?.1),
                c => out.push(c),
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_form() {
        for (value, rendered, bare) in [
            ("application/json", "application/json", "application/json"),
            ("application/json; charset=UTF-8", "application/json; charset=utf-8", "application/json"),
            ("Application/JSON ; charset=\"UTF-8\"", "application/json; charset=utf-8", "application/json"),
            ("text/plain;charset=utf-8;format=Flowed", "text/plain; format=flowed; charset=utf-8", "text/plain"),
            ("multipart/form-data; boundary=AbC", "multipart/form-data; boundary=AbC", "multipart/form-data"),
            (
                "multipart/form-data; boundary=\"a B\\\"\"",
                "multipart/form-data; boundary=\"a B\\\"\"",
                "multipart/form-data",
            ),
            ("text/html;", "text/html", "text/html"),
            ("application/vnd.api+json", "application/vnd.api+json", "application/vnd.api+json"),
        ] {
            let got = parse(value.as_bytes()).unwrap();
            assert_eq!((got.rendered.as_ref(), got.bare()), (rendered, bare), "{value}");
        }
        for bad in [&b""[..], b"json", b"a/", b"/b", b"a/b; c", b"a/b c", b"a/b; c=\"d", b"\xff/x", b"a/b, c/d"] {
            assert_eq!(parse(bad), None, "{bad:?}");
        }
    }
}
