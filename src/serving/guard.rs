//! Who may ask: the checks that every request passes before its handler sees it.
//!
//! The port speaks to browsers that also show hostile pages, so three doors are shut besides the token: a Host that public
//! DNS could hold (a page that points its own name at this address), a request that another origin made a browser send,
//! and a POST that is no JSON (what a foreign form can send).

use super::error::ApiError;
use super::token::Keys;
use crate::platform::clock::Millis;
use axum::http::{HeaderMap, Method, StatusCode, Uri, header};
use std::net::IpAddr;

/// Name of the cookie that stands for a token. The collector drops it, since cookies do not know ports.
pub const COOKIE: &str = "snowshed_session";

/// What a route asks of its caller.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Access {
    /// Nothing: probes and the empty shell of the dashboard.
    Open,
    /// Nothing but the three doors: signing in.
    Enter,
    /// A token where one is set.
    Read,
    /// A token, except on loopback without any token set.
    Write,
}

/// The rules of one running port.
#[derive(Debug)]
pub struct Guard {
    pub(super) keys: Keys,
    pub(super) allow_anonymous: bool,
    pub(super) loopback: bool,
    /// Lower-case.
    pub(super) allowed_hosts: Vec<String>,
}

impl Guard {
    /// Lets a request pass or says why not.
    ///
    /// # Errors
    /// 401, 403, 415 or 421 in the one error shape.
    pub fn check(
        &self,
        access: Access,
        method: &Method,
        uri: &Uri,
        headers: &HeaderMap,
        now: Millis,
    ) -> Result<(), ApiError> {
        if access == Access::Open {
            return Ok(());
        }
        self.host(uri, headers)?;
        origin(method, headers, &self.allowed_hosts)?;
        if method == Method::POST {
            json_body(headers)?;
        }
        if access == Access::Enter { Ok(()) } else { self.token(access, headers, now) }
    }

    fn token(&self, access: Access, headers: &HeaderMap, now: Millis) -> Result<(), ApiError> {
        match self.credential(headers, now) {
            Some(true) => return Ok(()),
            Some(false) if !self.keys.is_empty() => return Err(unauthorized("the token is not valid here")),
            _ => {}
        }
        let open = self.keys.is_empty() && self.loopback;
        match access {
            Access::Write if !open => Err(match self.keys.is_empty() {
                true => {
                    ApiError::new(StatusCode::FORBIDDEN, "forbidden", "writing needs a token, and none is set here")
                        .hint("set serving.tokens and send one as `Authorization: Bearer …`")
                }
                false => unauthorized("this needs a token"),
            }),
            Access::Read if !open && !self.allow_anonymous => Err(unauthorized("this needs a token")),
            _ => Ok(()),
        }
    }

    /// Whether a token came and was right; `None` when none came. A cookie that no longer opens counts as none, so that a
    /// browser with an old cookie is asked to sign in and not told that it is wrong.
    fn credential(&self, headers: &HeaderMap, now: Millis) -> Option<bool> {
        if let Some(value) = headers.get(header::AUTHORIZATION) {
            let text = value.to_str().unwrap_or("");
            let token = match text.split_once(' ') {
                Some((scheme, token)) if scheme.eq_ignore_ascii_case("bearer") => token.trim(),
                _ => "",
            };
            return Some(self.keys.opens(token));
        }
        // What Iglu clients send.
        if let Some(value) = headers.get("apikey") {
            return Some(self.keys.opens(value.to_str().unwrap_or("")));
        }
        cookies(headers)
            .filter(|(name, _)| *name == COOKIE)
            .any(|(_, v)| self.keys.opens_cookie(v, now))
            .then_some(true)
    }

    fn host(&self, uri: &Uri, headers: &HeaderMap) -> Result<(), ApiError> {
        let named =
            headers.get(header::HOST).map(|h| h.to_str().unwrap_or("?")).or(uri.authority().map(|a| a.as_str()));
        let host = host_of(named.unwrap_or(""));
        if is_private_name(&host) || self.allowed_hosts.contains(&host) {
            return Ok(());
        }
        let shown: String = host.chars().take(100).collect();
        Err(ApiError::new(
            StatusCode::MISDIRECTED_REQUEST,
            "misdirected",
            format!("this port is not called \"{shown}\""),
        )
        .hint("use its IP address, or add the host name to serving.allowed_hosts"))
    }
}

fn unauthorized(message: &str) -> ApiError {
    ApiError::new(StatusCode::UNAUTHORIZED, "unauthorized", message)
        .hint("send a token (serving.tokens, serving.token_file) as `Authorization: Bearer …`, or open the page as `/#token=<token>`")
}

/// All cookies of a request.
fn cookies(headers: &HeaderMap) -> impl Iterator<Item = (&str, &str)> {
    let lines = headers.get_all(header::COOKIE).into_iter().filter_map(|v| v.to_str().ok());
    lines.flat_map(|line| line.split(';')).filter_map(|pair| pair.trim().split_once('='))
}

/// Host name of a `Host` header in lower case, without port.
fn host_of(text: &str) -> String {
    let host = match text.strip_prefix('[') {
        Some(rest) => rest.split(']').next().unwrap_or(""),
        None => text.rsplit_once(':').map_or(text, |(host, _)| host),
    };
    host.to_ascii_lowercase()
}

/// Whether public DNS cannot hold this name: an IP address, a name without a dot, or one of the private endings.
fn is_private_name(host: &str) -> bool {
    if host.parse::<IpAddr>().is_ok() {
        return true;
    }
    let word = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    if host.is_empty() || !host.chars().all(word) {
        return false;
    }
    !host.contains('.') || [".localhost", ".local", ".internal"].iter().any(|end| host.ends_with(end))
}

/// Refuses what another origin made a browser send. `Sec-Fetch-Site` is set by the browser itself and survives a proxy
/// that renames the host; browsers without it send `Origin` with every POST.
fn origin(method: &Method, headers: &HeaderMap, allowed_hosts: &[String]) -> Result<(), ApiError> {
    let refuse = || {
        Err(ApiError::new(StatusCode::FORBIDDEN, "foreign_origin", "a page of another origin may not use this port")
            .hint("call it from a server or a script; there is no CORS here"))
    };
    let text = |name: &str| headers.get(name).map(|v| v.to_str().unwrap_or("?"));
    let reads = matches!(*method, Method::GET | Method::HEAD);
    match text("sec-fetch-site") {
        Some("same-origin" | "none") => return Ok(()),
        // A link that somebody follows is no page reading the answer.
        Some(_) if reads && text("sec-fetch-mode") == Some("navigate") => return Ok(()),
        Some(_) => return refuse(),
        None => {}
    }
    match text("origin") {
        None => Ok(()),
        Some(origin) => {
            let authority = origin.split_once("://").map_or("", |(_, a)| a);
            let same = text("host").is_some_and(|host| host.eq_ignore_ascii_case(authority));
            if same || allowed_hosts.contains(&host_of(authority)) { Ok(()) } else { refuse() }
        }
    }
}

/// A POST carries JSON and says so: a foreign form cannot.
fn json_body(headers: &HeaderMap) -> Result<(), ApiError> {
    let kind = headers.get(header::CONTENT_TYPE).and_then(|v| v.to_str().ok()).unwrap_or("");
    let kind = kind.split(';').next().unwrap_or("").trim();
    if kind.eq_ignore_ascii_case("application/json") {
        return Ok(());
    }
    let e = ApiError::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "unsupported_media_type", "the body must be JSON");
    Err(e.hint("send the header `Content-Type: application/json`"))
}

#[cfg(test)]
mod tests {
    use super::super::token::Token;
    use super::*;
    use axum::http::HeaderValue;
    use axum::response::IntoResponse;

    fn guard(tokens: &[Token], loopback: bool, allow_anonymous: bool) -> Guard {
        Guard {
            keys: Keys::new(tokens),
            allow_anonymous,
            loopback,
            allowed_hosts: vec!["board.example.com".to_owned()],
        }
    }

    fn ask(g: &Guard, access: Access, method: Method, headers: &[(&'static str, &str)]) -> u16 {
        let mut map = HeaderMap::new();
        map.insert("host", HeaderValue::from_static("127.0.0.1:9090"));
        for (name, value) in headers {
            map.insert(*name, HeaderValue::from_str(value).unwrap());
        }
        let uri = Uri::from_static("/v1/status");
        g.check(access, &method, &uri, &map, 0).map_or_else(|e| e.into_response().status().as_u16(), |()| 200)
    }

    #[test]
    fn names_that_public_dns_could_hold_are_refused() {
        let g = guard(&[], true, false);
        for (host, status) in [
            ("127.0.0.1:9090", 200),
            ("[::1]:9090", 200),
            ("localhost:9090", 200),
            ("snowshed", 200),
            ("app.localhost", 200),
            ("nas.local:9090", 200),
            ("Board.Example.com", 200),
            ("evil.example.com", 421),
            ("127.0.0.1.nip.io", 421),
            ("127.1", 421),
            ("ai.", 421),
            ("", 421),
            ("a@b", 421),
            ("localhost.evil.com:9090", 421),
        ] {
            assert_eq!(ask(&g, Access::Read, Method::GET, &[("host", host)]), status, "{host}");
        }
        assert_eq!(ask(&g, Access::Open, Method::GET, &[("host", "evil.example.com")]), 200);
    }

    #[test]
    fn other_origins_are_refused() {
        let g = guard(&[], true, false);
        let json = ("content-type", "application/json");
        let post = |extra: &[(&'static str, &str)]| ask(&g, Access::Read, Method::POST, &[&[json], extra].concat());
        assert_eq!(post(&[]), 200);
        assert_eq!(post(&[("origin", "http://127.0.0.1:9090")]), 200);
        assert_eq!(post(&[("origin", "http://127.0.0.1:8080")]), 403);
        assert_eq!(post(&[("origin", "null")]), 403);
        assert_eq!(post(&[("origin", "https://board.example.com")]), 200);
        assert_eq!(post(&[("origin", "https://x.example.com"), ("sec-fetch-site", "same-origin")]), 200);
        assert_eq!(post(&[("sec-fetch-site", "cross-site")]), 403);
        assert_eq!(post(&[("sec-fetch-site", "same-site")]), 403);
        let get = |extra: &[(&'static str, &str)]| ask(&g, Access::Read, Method::GET, extra);
        assert_eq!(get(&[("sec-fetch-site", "cross-site")]), 403);
        assert_eq!(get(&[("sec-fetch-site", "cross-site"), ("sec-fetch-mode", "navigate")]), 200);
    }

    #[test]
    fn a_post_that_is_no_json_is_refused() {
        let g = guard(&[], true, false);
        let post = |kind: &str| ask(&g, Access::Read, Method::POST, &[("content-type", kind)]);
        assert_eq!(post("application/json; charset=utf-8"), 200);
        assert_eq!(post("text/plain"), 415);
        assert_eq!(ask(&g, Access::Read, Method::POST, &[]), 415);
    }

    #[test]
    fn tokens_open_what_they_should() {
        let token = Token::from("0123456789abcdef");
        let (good, bad) = ("Bearer 0123456789abcdef", "Bearer 0123456789abcdeX");
        let locked = guard(std::slice::from_ref(&token), false, false);
        let get = |g: &Guard, access, auth: Option<&str>| {
            let headers: Vec<_> = auth.iter().map(|a| ("authorization", *a)).collect();
            ask(g, access, Method::GET, &headers)
        };
        assert_eq!(get(&locked, Access::Read, None), 401);
        assert_eq!(get(&locked, Access::Read, Some(bad)), 401);
        assert_eq!(get(&locked, Access::Read, Some("Basic 0123456789abcdef")), 401);
        assert_eq!(get(&locked, Access::Read, Some(good)), 200);
        assert_eq!(get(&locked, Access::Write, Some(good)), 200);
        assert_eq!(get(&locked, Access::Enter, None), 200);
        assert_eq!(ask(&locked, Access::Write, Method::PUT, &[("apikey", "0123456789abcdef")]), 200);
        let cookie = format!("a=b; {COOKIE}={}", locked.keys.cookie(token.text(), 10).unwrap());
        assert_eq!(ask(&locked, Access::Read, Method::GET, &[("cookie", &cookie)]), 200);
        assert_eq!(ask(&locked, Access::Read, Method::GET, &[("cookie", &cookie[..cookie.len() - 1])]), 401);

        let public = guard(&[], false, true);
        assert_eq!(get(&public, Access::Read, None), 200);
        assert_eq!(get(&public, Access::Write, None), 403);
        let local = guard(&[], true, false);
        assert_eq!(get(&local, Access::Write, None), 200);
        let mixed = guard(&[token], false, true);
        assert_eq!(get(&mixed, Access::Read, None), 200);
        assert_eq!(get(&mixed, Access::Read, Some(bad)), 401);
        assert_eq!(get(&mixed, Access::Write, None), 401);
    }
}
