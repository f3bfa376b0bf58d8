//! URLs as the reference reads them: strictly after RFC 2396 with Java's additions, and if that fails, by a tolerant reading
//! that percent-encodes what the strict one does not like.
//!
//! The `url` crate follows browsers: it lower-cases, adds slashes, drops default ports and turns hosts into punycode. The
//! columns must hold what was sent, so it is not used here.

mod chars;
mod lenient;
mod strict;

pub use chars::first_illegal_in_query;

use std::borrow::Cow;

/// A parsed URI. Components are raw: nothing is decoded, and an empty one is absent.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Uri<'a> {
    text: Cow<'a, str>,
    parts: Parts,
}

/// Byte ranges of the components in the text.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct Parts {
    pub scheme: Option<Span>,
    pub host: Option<Span>,
    pub port: Option<i32>,
    pub path: Option<Span>,
    pub query: Option<Span>,
    pub fragment: Option<Span>,
}

/// A stretch of the text, in bytes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Span {
    pub from: usize,
    pub to: usize,
}

impl Span {
    fn new(from: usize, to: usize) -> Option<Self> {
        (from < to).then_some(Span { from, to })
    }
}

/// Neither the strict nor the tolerant reading made sense of the text.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{what} at character {at}")]
pub struct UriError {
    /// Byte position in the text that was read last.
    pub at: usize,
    /// What was found or missing.
    pub what: &'static str,
}

impl<'a> Uri<'a> {
    /// Reads `text`; blanks count as `%20`. The text of the result may differ from what went in.
    ///
    /// # Errors
    /// What the strict reading stumbled over, when the tolerant one failed too.
    pub fn parse(text: &'a str) -> Result<Self, UriError> {
        let text =
            if text.as_bytes().contains(&b' ') { Cow::Owned(text.replace(' ', "%20")) } else { Cow::Borrowed(text) };
        match strict::parse(&text) {
            Ok(parts) => Ok(Uri { text, parts }),
            Err(first) => {
                let encoded = lenient::encode(&text);
                let parts = strict::parse(&encoded).map_err(|_| first)?;
                Ok(Uri { text: Cow::Owned(encoded), parts })
            }
        }
    }

    /// The same with nothing borrowed.
    pub fn into_owned<'b>(self) -> Uri<'b> {
        Uri { text: Cow::Owned(self.text.into_owned()), parts: self.parts }
    }

    /// The whole text.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The scheme as written.
    pub fn scheme(&self) -> Option<&str> {
        self.part(self.parts.scheme)
    }

    /// The host without user information; IPv6 in brackets. `None` also for hosts that are no host names, such as those
    /// with an underscore.
    pub fn host(&self) -> Option<&str> {
        self.part(self.parts.host)
    }

    /// The port: explicit, else 443 for exactly `https`, else 80, for relative references too.
    pub fn port(&self) -> i32 {
        self.parts.port.unwrap_or(if self.scheme() == Some("https") { 443 } else { 80 })
    }

    /// The path.
    pub fn path(&self) -> Option<&str> {
        self.part(self.parts.path)
    }

    /// The query, without `?`.
    pub fn query(&self) -> Option<&str> {
        self.part(self.parts.query)
    }

    /// The fragment, without `#`.
    pub fn fragment(&self) -> Option<&str> {
        self.part(self.parts.fragment)
    }

    pub(crate) fn parts(&self) -> &Parts {
        &self.parts
    }

    fn part(&self, span: Option<Span>) -> Option<&str> {
        span.and_then(|s| self.text.get(s.from..s.to))
    }
}

#[cfg(test)]
mod tests;
