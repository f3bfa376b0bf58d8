//! Click redirects: the target, whether it may be redirected to, and how it is written into `Location`.
//!
//! The host is read as a browser reads it (WHATWG URL), because a check that reads it otherwise is no check:
//! `http://evil.example\@allowed.example/` goes to evil.example.

use super::identity::Id;
use super::query;
use super::settings::Settings;
use memchr::memmem;
use url::Url;

/// Where a redirect request leads. `None`: nowhere, the reply is 400.
pub fn location(settings: &Settings, query: &[u8], id: &Id) -> Option<Vec<u8>> {
    let target = query::first(query, b"u")?;
    let target = match &settings.placeholder {
        Some(token) => replace(&target, token, id),
        None => target.into_owned(),
    };
    let text = std::str::from_utf8(&target).ok()?;
    let url = Url::parse(text).ok()?;
    if !matches!(url.scheme(), "http" | "https") {
        return None;
    }
    let host = url.host_str()?;
    if !settings.allow_any_host && !settings.allowed_hosts.iter().any(|allowed| allowed == host) {
        return None;
    }
    Some(if is_plain(text) { target } else { escape(url.as_str().as_bytes()) })
}

/// A host of the allow-list in the form in which a browser compares it: lower case, international names in ASCII.
pub fn canonical_host(host: &str) -> Option<String> {
    let url = Url::parse(&format!("http://{host}/")).ok()?;
    let bare = url.port().is_none() && url.path() == "/" && url.query().is_none() && url.fragment().is_none();
    let bare = bare
        && url.username().is_empty()
        && url.password().is_none()
        && !host.contains([':', '/', '\\', '@', '?', '#']);
    let v6 = host.starts_with('[') && host.ends_with(']');
    (bare || v6).then(|| url.host_str().map(str::to_owned)).flatten()
}

fn replace(text: &[u8], token: &[u8], id: &Id) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len() + id.len());
    let mut from = 0;
    for at in memmem::find_iter(text, token) {
        out.extend_from_slice(&text[from..at]);
        out.extend_from_slice(id);
        from = at + token.len();
    }
    out.extend_from_slice(&text[from..]);
    out
}

/// Whether a target can be sent as it is: it begins with scheme and host in so many words, and has only characters of a URI.
fn is_plain(text: &str) -> bool {
    let after_scheme = ["http://", "https://"].iter().find_map(|scheme| {
        text.get(..scheme.len()).filter(|start| start.eq_ignore_ascii_case(scheme))?;
        text.as_bytes().get(scheme.len())
    });
    after_scheme.is_some_and(u8::is_ascii_alphanumeric) && text.bytes().all(is_uri_char)
}

/// Characters that a URI may have (RFC 3986): unreserved, reserved and `%`.
fn is_uri_char(b: u8) -> bool {
    b.is_ascii_alphanumeric()
        || matches!(b, b'-' | b'.' | b'_' | b'~' | b':' | b'/' | b'?' | b'#' | b'[' | b']' | b'@' | b'!' | b'$' | b'&')
        || matches!(b, b'\'' | b'(' | b')' | b'*' | b'+' | b',' | b';' | b'=' | b'%')
}

/// Escapes every byte that a URI may not have.
pub fn escape(text: &[u8]) -> Vec<u8> {
    const HEX: &[u8; 16] = b"0123456789ABCDEF";
    let mut out = Vec::with_capacity(text.len());
    for &b in text {
        if is_uri_char(b) {
            out.push(b);
        } else {
            out.extend_from_slice(&[b'%', HEX[usize::from(b >> 4)], HEX[usize::from(b & 15)]]);
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::super::config::Config;
    use super::*;

    fn settings(hosts: &[&str], any: bool) -> Settings {
        let mut config = Config::default();
        config.redirects.enabled = true;
        config.redirects.allow_any_host = any;
        config.redirects.allowed_hosts = hosts.iter().map(|h| (*h).to_owned()).collect();
        config.redirects.placeholder.enabled = true;
        Settings::new(&config).unwrap()
    }

    fn go(settings: &Settings, query: &str) -> Option<String> {
        location(settings, query.as_bytes(), b"11111111-1111-4111-8111-111111111111")
            .map(|l| String::from_utf8(l).unwrap())
    }

    #[test]
    fn allowed_targets_are_sent_as_they_were_written() {
        let s = settings(&["allowed.example", "BÜCHER.example"], false);
        for (query, wanted) in [
            ("u=https%3A%2F%2Fallowed.example", "https://allowed.example"),
            ("u=https://allowed.example/a?b=c&e=pv", "https://allowed.example/a?b=c"),
            ("u=https://allowed.example:8443/a%2520b", "https://allowed.example:8443/a%20b"),
            ("u=HTTPS://ALLOWED.example/x", "HTTPS://ALLOWED.example/x"),
            ("u=http://allowed.example/1&u=http://allowed.example/2", "http://allowed.example/1"),
            ("u=https://allowed.example/a+b", "https://allowed.example/a%20b"),
            ("u=https://allowed.example/%C3%BC", "https://allowed.example/%C3%BC"),
            ("u=https://allowed.example/a%0D%0ASet-Cookie:x", "https://allowed.example/aSet-Cookie:x"),
            (
                "u=https://allowed.example/?id=%24%7BSP_NUID%7D",
                "https://allowed.example/?id=11111111-1111-4111-8111-111111111111",
            ),
            ("u=https://b%C3%BCcher.example/", "https://xn--bcher-kva.example/"),
            ("u=%20https://allowed.example/", "https://allowed.example/"),
        ] {
            assert_eq!(go(&s, query).as_deref(), Some(wanted), "{query}");
        }
    }

    #[test]
    fn what_a_browser_would_take_elsewhere_is_refused() {
        let s = settings(&["allowed.example"], false);
        for query in [
            "e=pv",
            "u=",
            "u=%2Frelative",
            "u=//allowed.example/",
            "u=allowed.example",
            "u=http://evil%5C@allowed.example/",
            "u=http://allowed.example@evil.example/",
            "u=http://allowed.example.evil.example/",
            "u=http://www.allowed.example/",
            "u=http:%5C%5Cevil.example%5C@allowed.example/",
            "u=javascript:alert(1)",
            "u=ftp://allowed.example/",
            "u=data:text/html,x",
            "u=http://",
            "u=http://evil.example/%23@allowed.example",
            "u=ht%09tp://evil.example/",
            "u=%FF",
        ] {
            assert_eq!(go(&s, query), None, "{query}");
        }
    }

    #[test]
    fn any_host_only_when_told() {
        assert_eq!(go(&settings(&[], false), "u=http://x.example/"), None);
        assert_eq!(go(&settings(&[], true), "u=http://x.example/").as_deref(), Some("http://x.example/"));
        assert_eq!(go(&settings(&[], true), "u=javascript:1"), None);
        assert_eq!(go(&settings(&[], true), "u=https:x.example").as_deref(), Some("https://x.example/"));
        assert_eq!(go(&settings(&[], true), "u=https:%5Cx.example%5Cy").as_deref(), Some("https://x.example/y"));
    }

    #[test]
    fn hosts_of_the_list() {
        assert_eq!(canonical_host("Shop.Example").as_deref(), Some("shop.example"));
        assert_eq!(canonical_host("[2001:db8::1]").as_deref(), Some("[2001:db8::1]"));
        for bad in ["", "https://a", "a:80", "a/b", "u@a", "a b"] {
            assert_eq!(canonical_host(bad), None, "{bad}");
        }
    }
}
