//! Replies: what they are made of, and the one place that says which headers they carry in HTTP/1.1 and HTTP/2 alike.
//!
//! A request that is to be stored gets no [`Reply`] but a [`Recipe`], and the only way from one to the other with status
//! 200 or 302 is a [`Receipt`] (promise P1).

use super::cors::AllowOrigin;
use super::identity::Id;
use super::settings::{CookieText, DomainChoice, Settings};
use super::wall::Wall;
use crate::journal::Receipt;
use bytes::Bytes;

/// 43 bytes: a transparent GIF of one pixel.
pub const PIXEL: &[u8; 43] = b"GIF89a\x01\x00\x01\x00\xf0\x00\x00\xff\xff\xff\x00\x00\x00\x21\xf9\x04\x05\x00\x00\x00\x00\x2c\x00\x00\x00\x00\x01\x00\x01\x00\x00\x02\x02\x44\x01\x00\x3b";

const TEXT: &str = "text/plain";
const TEXT_UTF8: &str = "text/plain; charset=UTF-8";
const ROBOTS: &[u8] =
    b"User-agent: *\nDisallow: /\n\nUser-agent: Googlebot\nDisallow: /\n\nUser-agent: AdsBot-Google\nDisallow: /";

/// A reply that may be sent.
#[derive(Clone, PartialEq, Debug)]
pub struct Reply {
    status: u16,
    body: Body,
    content_type: Option<&'static str>,
    allow_origin: Option<AllowOrigin>,
    cookie: Option<SetCookie>,
    no_cache: bool,
    location: Option<Vec<u8>>,
    preflight: bool,
    retry_after: bool,
    root: bool,
}

/// What a reply carries.
#[derive(Clone, PartialEq, Debug)]
enum Body {
    Empty,
    Static(&'static [u8]),
    Owned(Bytes),
}

/// The cookie of a reply. No value: the client is told to forget it.
#[derive(Clone, PartialEq, Debug)]
pub struct SetCookie {
    /// Its value.
    pub value: Option<Id>,
    /// Its domain.
    pub domain: DomainChoice,
}

/// The reply to a tracking request.
#[derive(Clone, PartialEq, Debug)]
pub enum Answered {
    /// The pixel, to GET and HEAD.
    Pixel,
    /// `ok`, to POST. Not empty: old Firefox takes an empty cross-origin reply for an error.
    Ok,
    /// A redirect, or 400 when there is nowhere to go.
    Redirect(Option<Vec<u8>>),
}

/// What will be answered as soon as the records are durable.
#[derive(Clone, PartialEq, Debug)]
pub struct Recipe(Reply);

impl Recipe {
    /// The reply to a tracking request.
    pub fn tracking(answered: Answered, allow_origin: AllowOrigin, cookie: Option<SetCookie>, no_cache: bool) -> Self {
        let base = Reply { allow_origin: Some(allow_origin), cookie, no_cache, ..Reply::empty(200) };
        Recipe(match answered {
            Answered::Pixel => Reply { content_type: Some("image/gif"), body: Body::Static(PIXEL), ..base },
            Answered::Ok => Reply { content_type: Some(TEXT), body: Body::Static(b"ok"), ..base },
            Answered::Redirect(Some(to)) => Reply { status: 302, location: Some(to), ..base },
            Answered::Redirect(None) => Reply { status: 400, ..base },
        })
    }

    /// The reply, now that the records are durable.
    pub fn acknowledged(self, _receipt: Receipt) -> Reply {
        self.0
    }

    /// The same reply for a client that asked that nothing be stored.
    pub fn not_stored(self) -> Reply {
        self.0
    }

    /// What is answered instead when the records were not taken, or when it is not known in time whether they were: try again
    /// later. It can be read across origins, and sets no cookie.
    pub fn overloaded(self) -> Reply {
        Reply { allow_origin: self.0.allow_origin, retry_after: true, ..Reply::text(503, b"try again later") }
    }
}

impl Reply {
    fn empty(status: u16) -> Self {
        Reply {
            status,
            body: Body::Empty,
            content_type: None,
            allow_origin: None,
            cookie: None,
            no_cache: false,
            location: None,
            preflight: false,
            retry_after: false,
            root: false,
        }
    }

    fn text(status: u16, text: &'static [u8]) -> Self {
        Reply { body: Body::Static(text), content_type: Some(TEXT), ..Reply::empty(status) }
    }

    /// To a preflight.
    pub fn preflight(allow_origin: AllowOrigin) -> Self {
        Reply { allow_origin: Some(allow_origin), preflight: true, ..Reply::empty(200) }
    }

    /// The bounce: the same URL with a marker.
    pub fn bounce(to: Vec<u8>, allow_origin: AllowOrigin, cookie: Option<SetCookie>) -> Self {
        let location = Some(to);
        Reply { allow_origin: Some(allow_origin), cookie, no_cache: true, location, ..Reply::empty(302) }
    }

    /// `/health`.
    pub fn health(well: bool) -> Self {
        let reply = if well { Reply::text(200, b"ok") } else { Reply::text(503, b"Service Unavailable") };
        Reply { content_type: Some(TEXT_UTF8), ..reply }
    }

    /// `/sink-health`.
    pub fn sink_health(well: bool) -> Self {
        Reply { content_type: Some(TEXT), ..Reply::health(well) }
    }

    /// `/robots.txt`.
    pub fn robots() -> Self {
        Reply::text(200, ROBOTS)
    }

    /// `/crossdomain.xml`.
    pub fn flash_policy(xml: Bytes) -> Self {
        Reply { body: Body::Owned(xml), content_type: Some("text/xml"), ..Reply::empty(200) }
    }

    /// `GET /`.
    pub fn root(status: u16, body: Bytes) -> Self {
        Reply { body: Body::Owned(body), root: true, ..Reply::empty(status) }
    }

    /// No such route.
    pub fn not_found() -> Self {
        Reply { content_type: Some(TEXT_UTF8), ..Reply::text(404, b"Not found") }
    }

    /// `/r/…` while redirects are off.
    pub fn redirects_off() -> Self {
        Reply::text(404, b"redirects are off")
    }

    /// The body is too large.
    pub fn too_large() -> Self {
        Reply::text(413, b"the body is too large")
    }

    /// The request did not arrive in time.
    pub fn request_timeout() -> Self {
        Reply::text(408, b"timed out")
    }

    /// There is no room to read the request.
    pub fn busy() -> Self {
        Reply { retry_after: true, ..Reply::text(503, b"try again later") }
    }

    /// A request that is no HTTP as it must be.
    pub fn refused(status: u16, why: &'static [u8]) -> Self {
        Reply::text(status, why)
    }

    /// The status.
    pub fn status(&self) -> u16 {
        self.status
    }

    /// Whether a reply of this status may have a body at all (RFC 9110 §8.6); only `root.status` can ask for one that may not.
    pub fn may_have_body(&self) -> bool {
        !matches!(self.status, 204 | 205 | 304)
    }

    /// The body.
    pub fn body(&self) -> &[u8] {
        match &self.body {
            Body::Empty => &[],
            Body::Static(bytes) => bytes,
            Body::Owned(bytes) => bytes,
        }
    }

    /// The body as shared bytes.
    pub fn into_body(self) -> Bytes {
        match self.body {
            Body::Empty => Bytes::new(),
            Body::Static(bytes) => Bytes::from_static(bytes),
            Body::Owned(bytes) => bytes,
        }
    }

    /// Hands out every header but those that belong to the connection (`Date`, `Content-Length`, `Connection`): the name,
    /// and the value in pieces.
    #[inline]
    pub fn headers(&self, settings: &Settings, wall: &Wall, mut put: impl FnMut(&str, &[&[u8]])) {
        if let Some(kind) = self.content_type {
            put("Content-Type", &[kind.as_bytes()]);
        }
        if let Some(cookie) = &self.cookie {
            for text in [&settings.cookie, &settings.client_cookie].into_iter().flatten() {
                set_cookie(text, cookie, wall, &mut put);
            }
        }
        if self.no_cache {
            put("Cache-Control", &[b"no-cache, no-store, must-revalidate"]);
        }
        match &self.allow_origin {
            None => {}
            Some(AllowOrigin::Nobody) => put("Vary", &[b"Origin"]),
            Some(allowed) => {
                let origin = match allowed {
                    AllowOrigin::Origin(origin) => origin.as_ref(),
                    _ => b"*",
                };
                put("Access-Control-Allow-Origin", &[origin]);
                put("Access-Control-Allow-Credentials", &[b"true"]);
                put("Vary", &[b"Origin"]);
            }
        }
        if self.preflight {
            put("Access-Control-Allow-Headers", &[&settings.preflight_headers]);
            if let Some(methods) = &settings.preflight_methods {
                put("Access-Control-Allow-Methods", &[methods]);
            }
            put("Access-Control-Max-Age", &[&settings.preflight_max_age]);
        }
        if let Some(location) = &self.location {
            put("Location", &[location]);
        }
        if self.retry_after {
            put("Retry-After", &[&settings.retry_after]);
        }
        if let Some(root) = settings.root.as_ref().filter(|_| self.root) {
            root.headers.iter().for_each(|(name, value)| put(name, &[value.as_bytes()]));
        }
        if let Some(hsts) = &settings.hsts {
            put("Strict-Transport-Security", &[hsts]);
        }
    }
}

fn set_cookie(text: &CookieText, cookie: &SetCookie, wall: &Wall, put: &mut impl FnMut(&str, &[&[u8]])) {
    // There is a tail for every choice that the settings can make.
    let tail = text.tails.get(cookie.domain).map(Vec::as_slice).unwrap_or_default();
    let (value, expires): (&[u8], _) = match &cookie.value {
        Some(id) => (id, wall.expires()),
        None => (b"", wall.expired()),
    };
    put("Set-Cookie", &[&text.lead, value, b"; Expires=", expires, tail]);
}
