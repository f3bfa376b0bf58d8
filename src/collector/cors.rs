//! Cross-origin requests: which origin a reply allows to read it.

use super::request::Headers;
use super::settings::Settings;
use crate::net::http1::Name;

/// `Access-Control-Allow-Origin` of a reply.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum AllowOrigin {
    /// `*`: no origin was given, or none that can be repeated.
    Any,
    /// This one.
    Origin(Box<[u8]>),
    /// The header is left out: the origin is not on the list.
    Nobody,
}

/// An origin in its parts, as it was sent.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Origin<'a> {
    whole: &'a [u8],
    scheme_len: usize,
    host_len: usize,
}

impl<'a> Origin<'a> {
    /// Reads `scheme://host[:port]`; a path, user info or anything else makes it none.
    pub fn parse(text: &'a [u8]) -> Option<Self> {
        let scheme_len = memchr::memmem::find(text, b"://")?;
        let (scheme, rest) = (&text[..scheme_len], &text[scheme_len + 3..]);
        let scheme_fits = scheme.first().is_some_and(u8::is_ascii_alphabetic)
            && scheme.iter().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'-' | b'.'));
        let host_len = match rest.first() {
            Some(b'[') => memchr::memchr(b']', rest)? + 1,
            _ => memchr::memchr(b':', rest).unwrap_or(rest.len()),
        };
        let (host, port) = rest.split_at(host_len);
        let host_fits = match host {
            [b'[', inner @ .., b']'] => inner.iter().all(|b| b.is_ascii_hexdigit() || matches!(b, b':' | b'.')),
            [] => false,
            _ => host.iter().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'_')),
        };
        let port_fits = match port {
            [] => true,
            [b':', digits @ ..] => (1..=5).contains(&digits.len()) && digits.iter().all(u8::is_ascii_digit),
            _ => false,
        };
        (scheme_fits && host_fits && port_fits).then_some(Origin { whole: text, scheme_len, host_len })
    }

    /// The origin of a URL.
    pub fn of_url(url: &'a [u8]) -> Option<Self> {
        let host = memchr::memmem::find(url, b"://")? + 3;
        let end = url[host..].iter().position(|b| matches!(b, b'/' | b'?' | b'#')).map_or(url.len(), |n| host + n);
        Origin::parse(&url[..end])
    }

    /// The host, as it was sent.
    pub fn host(&self) -> &'a [u8] {
        let from = self.scheme_len + 3;
        &self.whole[from..from + self.host_len]
    }

    fn scheme(&self) -> &'a [u8] {
        &self.whole[..self.scheme_len]
    }

    fn port(&self) -> &'a [u8] {
        &self.whole[self.scheme_len + 3 + self.host_len..]
    }
}

/// The origins that a request names, space-separated in one header as the old specification allowed.
pub fn origins<'a>(headers: Headers<'a>) -> impl Iterator<Item = Origin<'a>> {
    headers.all(Name::Origin).flat_map(|value| value.split(|&b| b == b' ')).filter_map(Origin::parse)
}

/// An entry of `cors.allowed_origins`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct AllowedOrigin {
    scheme: String,
    host: String,
    port: String,
    below: bool,
}

impl AllowedOrigin {
    /// Reads `https://shop.example`, or `https://*.shop.example` for every host below.
    pub fn parse(text: &str) -> Option<Self> {
        let (scheme, rest) = text.split_once("://")?;
        let (below, rest) = rest.strip_prefix("*.").map_or((false, rest), |rest| (true, rest));
        let plain = format!("{scheme}://{rest}");
        let origin = Origin::parse(plain.as_bytes())?;
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).to_ascii_lowercase();
        Some(AllowedOrigin {
            scheme: text(origin.scheme()),
            host: text(origin.host()),
            port: text(origin.port()),
            below,
        })
    }

    fn fits(&self, origin: &Origin<'_>) -> bool {
        let host = origin.host();
        let host_fits = if self.below {
            is_below(host, self.host.as_bytes())
        } else {
            host.eq_ignore_ascii_case(self.host.as_bytes())
        };
        host_fits
            && origin.scheme().eq_ignore_ascii_case(self.scheme.as_bytes())
            && origin.port() == self.port.as_bytes()
    }
}

/// Whether `host` is a sub-domain of `domain`.
pub fn is_below(host: &[u8], domain: &[u8]) -> bool {
    host.len() > domain.len()
        && host[host.len() - domain.len()..].eq_ignore_ascii_case(domain)
        && host[host.len() - domain.len() - 1] == b'.'
}

/// What the reply to a request allows.
pub fn allow_origin(settings: &Settings, headers: Headers<'_>) -> AllowOrigin {
    let origin = origins(headers).next();
    if !settings.allowed_origins.is_empty() {
        let on_list = |o: &Origin<'_>| settings.allowed_origins.iter().any(|a| a.fits(o));
        return match origin.filter(on_list) {
            Some(origin) => AllowOrigin::Origin(origin.whole.to_ascii_lowercase().into()),
            None => AllowOrigin::Nobody,
        };
    }
    match origin {
        Some(origin) => AllowOrigin::Origin(origin.whole.to_ascii_lowercase().into()),
        None => AllowOrigin::Any,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn origins_are_read_strictly() {
        for (text, host) in [
            ("https://shop.example", Some("shop.example")),
            ("HTTPS://Shop.Example:443", Some("Shop.Example")),
            ("chrome-extension://abcdef", Some("abcdef")),
            ("http://[2001:db8::1]:80", Some("[2001:db8::1]")),
            ("https://shop.example/", None),
            ("https://shop.example/path", None),
            ("https://u@shop.example", None),
            ("https://shop.example:", None),
            ("https://shop.example:x", None),
            ("https://a\"b", None),
            ("null", None),
            ("", None),
            ("://x", None),
            ("https://", None),
        ] {
            let got = Origin::parse(text.as_bytes()).map(|o| String::from_utf8_lossy(o.host()).into_owned());
            assert_eq!(got.as_deref(), host, "{text}");
        }
    }

    #[test]
    fn the_list_of_allowed_origins() {
        let fits = |allowed: &str, origin: &str| {
            AllowedOrigin::parse(allowed).unwrap().fits(&Origin::parse(origin.as_bytes()).unwrap())
        };
        assert!(fits("https://shop.example", "https://SHOP.example"));
        assert!(!fits("https://shop.example", "http://shop.example"));
        assert!(!fits("https://shop.example", "https://shop.example:8443"));
        assert!(!fits("https://shop.example", "https://www.shop.example"));
        assert!(fits("https://*.shop.example", "https://www.shop.example"));
        assert!(!fits("https://*.shop.example", "https://shop.example"));
        assert!(!fits("https://*.shop.example", "https://xshop.example"));
        assert_eq!(AllowedOrigin::parse("shop.example"), None);
    }
}
