//! Which reply a method and a path ask for.

use super::request::Method;
use percent_encoding::percent_decode;
use std::borrow::Cow;
use std::collections::HashMap;

/// Paths of two segments that stand for others.
pub type PathMap = HashMap<Box<[u8]>, Box<[u8]>, ahash::RandomState>;

/// What is asked for.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Route<'a> {
    /// An event. The path is the one to record: decoded, and mapped.
    Track(Cow<'a, [u8]>),
    /// A preflight.
    Preflight,
    /// `GET /`.
    Root,
    /// `GET /crossdomain.xml`.
    FlashPolicy,
    /// `GET /robots.txt`.
    Robots,
    /// `/health`.
    Health,
    /// `/sink-health`.
    SinkHealth,
    /// `/r/…` while redirects are off.
    RedirectsOff,
    /// Anything else.
    NotFound,
}

/// Whether a recorded path redirects.
pub fn is_redirect(path: &[u8]) -> bool {
    path.starts_with(b"/r/")
}

/// Finds the route. `path` is raw, without query.
pub fn route<'a>(map: &'a PathMap, redirects: bool, method: Method, path: &'a [u8]) -> Route<'a> {
    let tracks = matches!(method, Method::Get | Method::Head | Method::Post);
    let pixel = path == b"/i" || path == b"/ice.png";
    if pixel && matches!(method, Method::Get | Method::Head) {
        return Route::Track(Cow::Borrowed(path));
    }
    if let Some(decoded) = two_segments(path) {
        if !redirects && is_redirect(&decoded) {
            return Route::RedirectsOff;
        }
        return match method {
            Method::Options => Route::Preflight,
            _ if tracks && !map.is_empty() => match map.get(decoded.as_ref()) {
                Some(to) => Route::Track(Cow::Borrowed(to)),
                None => Route::Track(decoded),
            },
            _ if tracks => Route::Track(decoded),
            _ => Route::NotFound,
        };
    }
    match (method, path) {
        (Method::Options, _) => Route::Preflight,
        (Method::Get, b"/") => Route::Root,
        (Method::Get, b"/crossdomain.xml") => Route::FlashPolicy,
        (Method::Get, b"/robots.txt") => Route::Robots,
        (Method::Get | Method::Head, b"/health") => Route::Health,
        (Method::Get | Method::Head, b"/sink-health") => Route::SinkHealth,
        _ => Route::NotFound,
    }
}

/// The path with its escapes resolved, if it has exactly two segments and neither is empty. An escaped slash does not
/// divide segments. Escapes that are no UTF-8 become U+FFFD, as in the reference.
fn two_segments(path: &[u8]) -> Option<Cow<'_, [u8]>> {
    let rest = path.strip_prefix(b"/")?;
    let slash = memchr::memchr(b'/', rest)?;
    if slash == 0 || slash + 1 == rest.len() || memchr::memchr(b'/', &rest[slash + 1..]).is_some() {
        return None;
    }
    if memchr::memchr(b'%', path).is_none() {
        return Some(Cow::Borrowed(path));
    }
    Some(match percent_decode(path).decode_utf8_lossy() {
        Cow::Borrowed(text) => Cow::Borrowed(text.as_bytes()),
        Cow::Owned(text) => Cow::Owned(text.into_bytes()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn routes_of_the_sheet() {
        use Method::{Get, Head, Options, Other, Post};
        let map = PathMap::from_iter([(b"/v1/go".as_slice().into(), b"/r/tp2".as_slice().into())]);
        let track = |path: &'static str| Route::Track(Cow::Borrowed(path.as_bytes()));
        for (method, path, wanted) in [
            (Get, "/i", track("/i")),
            (Head, "/ice.png", track("/ice.png")),
            (Post, "/i", Route::NotFound),
            (Options, "/i", Route::Preflight),
            (Get, "/i/", Route::NotFound),
            (Get, "/health/", Route::NotFound),
            (Get, "/a/b/", Route::NotFound),
            (Get, "//b", Route::NotFound),
            (Get, "/a/b/c", Route::NotFound),
            (Get, "/a", Route::NotFound),
            (Post, "/com.snowplowanalytics.snowplow/tp2", track("/com.snowplowanalytics.snowplow/tp2")),
            (Head, "/com.acme/track", track("/com.acme/track")),
            (Other, "/com.acme/track", Route::NotFound),
            (Get, "/com%2Eacme/a%2fb", track("/com.acme/a/b")),
            (Get, "/a%FF/b", track("/a\u{FFFD}/b")),
            (Get, "/v1/go", track("/r/tp2")),
            (Get, "/r/tp2", Route::RedirectsOff),
            (Options, "/r/tp2", Route::RedirectsOff),
            (Other, "/r/x", Route::RedirectsOff),
            (Get, "/%72/x", Route::RedirectsOff),
            (Get, "/r/", Route::NotFound),
            (Options, "/", Route::Preflight),
            (Options, "*", Route::Preflight),
            (Options, "/a/b/c", Route::Preflight),
            (Options, "/health", Route::Preflight),
            (Get, "/", Route::Root),
            (Post, "/", Route::NotFound),
            (Get, "/crossdomain.xml", Route::FlashPolicy),
            (Get, "/robots.txt", Route::Robots),
            (Head, "/robots.txt", Route::NotFound),
            (Head, "/health", Route::Health),
            (Post, "/health", Route::NotFound),
            (Get, "/sink-health", Route::SinkHealth),
        ] {
            assert_eq!(route(&map, false, method, path.as_bytes()), wanted, "{method:?} {path}");
        }
        assert_eq!(route(&map, true, Get, b"/r/tp2"), track("/r/tp2"));
        assert_eq!(route(&map, true, Options, b"/r/tp2"), Route::Preflight);
    }
}
