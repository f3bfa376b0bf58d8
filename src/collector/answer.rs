//! From a request to its records and its reply: a pure function of request, settings, time and entropy.
//!
//! No socket, no thread and no clock is touched here, so that HTTP/1.1, HTTP/2 and the tests all get their answers from the
//! same place.

use super::bad_row;
use super::client_ip;
use super::cors::{self, AllowOrigin};
use super::decompress::{Undecodable, decompress};
use super::identity::{self, Entropy, Id, Source};
use super::record::{Captured, Records};
use super::redirect;
use super::reply::{Answered, Recipe, Reply, SetCookie};
use super::request::{Method, Request};
use super::route::{self, Route, route};
use super::settings::Settings;
use super::split;
use super::wall::Wall;
use crate::net::http1::Name;
use std::borrow::Cow;

/// What a request comes to.
#[derive(Debug)]
pub enum Answer {
    /// A reply for which nothing needs to be stored.
    Now(Reply),
    /// Records were added; the reply waits for them.
    Store(Recipe),
    /// `/sink-health`: whoever drives this asks whether the journal can be written.
    SinkHealth,
}

/// Answers a request. Records are added to `out` if and only if the answer is [`Answer::Store`].
#[inline]
pub fn answer(
    settings: &Settings,
    request: &Request<'_>,
    wall: &Wall,
    draining: bool,
    entropy: &mut Entropy,
    out: &mut Records,
) -> Answer {
    let reply = match route(&settings.path_map, settings.redirects, request.method, request.target.path) {
        Route::Track(path) => return Tracking { settings, request, wall, path: &path }.answer(entropy, out),
        Route::Preflight => Reply::preflight(cors::allow_origin(settings, request.headers)),
        Route::Root => match &settings.root {
            Some(root) => Reply::root(root.status, root.body.clone()),
            None => Reply::not_found(),
        },
        Route::FlashPolicy => settings.flash_policy.clone().map_or_else(Reply::not_found, Reply::flash_policy),
        Route::Robots => Reply::robots(),
        Route::Health => Reply::health(!(draining && settings.unhealthy_while_draining)),
        Route::SinkHealth => return Answer::SinkHealth,
        Route::RedirectsOff => Reply::redirects_off(),
        Route::NotFound => Reply::not_found(),
    };
    Answer::Now(reply)
}

/// A request that is an event.
struct Tracking<'a> {
    settings: &'a Settings,
    request: &'a Request<'a>,
    wall: &'a Wall,
    path: &'a [u8],
}

impl Tracking<'_> {
    #[inline]
    fn answer(&self, entropy: &mut Entropy, out: &mut Records) -> Answer {
        let (settings, request) = (self.settings, self.request);
        let body = match self.body() {
            Err(Undecodable::TooLarge) => return Answer::Now(Reply::too_large()),
            other => other,
        };
        let anonymous = request.headers.get(Name::SpAnonymous).is_some();
        let silent = identity::do_not_track(settings, request);
        let (id, source) = identity::identify(settings, request, anonymous, entropy);
        let allow_origin = cors::allow_origin(settings, request.headers);
        let cookie = if silent { None } else { self.cookie(anonymous, &id) };
        if source == Source::New && !silent && self.may_bounce() {
            return Answer::Now(Reply::bounce(self.bounce_to(), allow_origin, cookie));
        }
        let recipe = self.recipe(&id, allow_origin, cookie);
        if silent {
            return Answer::Now(recipe.not_stored());
        }
        self.store(body, anonymous, id, out);
        Answer::Store(recipe)
    }

    /// The body of a POST, unpacked; bodies of other methods mean nothing.
    fn body(&self) -> Result<Option<Cow<'_, [u8]>>, Undecodable> {
        let request = self.request;
        if request.method != Method::Post {
            return Ok(None);
        }
        if request.headers.get(Name::ContentEncoding).is_none() {
            return Ok(Some(Cow::Borrowed(request.body)));
        }
        decompress(request.headers.all(Name::ContentEncoding), request.body, self.settings.body_max).map(Some)
    }

    fn cookie(&self, anonymous: bool, id: &Id) -> Option<SetCookie> {
        let (settings, headers) = (self.settings, self.request.headers);
        settings.cookie.as_ref()?;
        let value = if anonymous {
            // A client that asks not to be known is told to forget who it was.
            super::cookies::find(headers.all(Name::Cookie), &settings.cookie_name)?;
            None
        } else {
            Some(*id)
        };
        Some(SetCookie { value, domain: settings.cookie_domain(headers) })
    }

    fn may_bounce(&self) -> bool {
        // With the marker in the query the id would be the fallback, not a new one.
        self.settings.bounce.is_some()
            && matches!(self.request.method, Method::Get | Method::Head)
            && !route::is_redirect(self.path)
            && self.request.target.legal.is_ok()
    }

    /// The same URL with the marker. Everything that is no URI character is escaped: a raw backslash at the start of the path
    /// would lead a browser to another host.
    fn bounce_to(&self) -> Vec<u8> {
        let (settings, request) = (self.settings, self.request);
        let Some(bounce) = &settings.bounce else { return Vec::new() };
        let mut to = Vec::with_capacity(64 + request.target.path.len() + request.target.query.map_or(0, <[u8]>::len));
        let proto = bounce.proto_header.as_deref().and_then(|name| request.headers.named(name));
        let proto = [&b"http"[..], b"https"].into_iter().find(|p| proto.is_some_and(|v| v.eq_ignore_ascii_case(p)));
        let host = request.target.authority.or(request.authority).or_else(|| request.headers.get(Name::Host));
        if let (Some(proto), Some(host)) = (proto, host) {
            to.extend_from_slice(proto);
            to.extend_from_slice(b"://");
            to.extend_from_slice(host);
        }
        to.extend_from_slice(&redirect::escape(request.target.path));
        to.push(b'?');
        if let Some(query) = request.target.query.filter(|q| !q.is_empty()) {
            to.extend_from_slice(&redirect::escape(query));
            to.push(b'&');
        }
        to.extend_from_slice(&bounce.param);
        to.extend_from_slice(b"=true");
        to
    }

    fn recipe(&self, id: &Id, allow_origin: AllowOrigin, cookie: Option<SetCookie>) -> Recipe {
        let read = self.request.method != Method::Post;
        let answered = if route::is_redirect(self.path) {
            let query = self.request.target.query.unwrap_or_default();
            Answered::Redirect(redirect::location(self.settings, query, id))
        } else if read {
            Answered::Pixel
        } else {
            Answered::Ok
        };
        Recipe::tracking(answered, allow_origin, cookie, read)
    }

    #[inline]
    fn store(&self, body: Result<Option<Cow<'_, [u8]>>, Undecodable>, anonymous: bool, id: Id, out: &mut Records) {
        let (settings, request, now_ms) = (self.settings, self.request, self.wall.now_ms);
        let client = client_ip::client(settings, request, anonymous);
        let illegal = request.target.legal.err().map(|e| e.to_string());
        let (body, corrupt) = match body {
            Ok(body) => (body, None),
            Err(Undecodable::Corrupt(why)) => (Some(Cow::Borrowed(request.body)), Some(why)),
            // Answered before anything was stored.
            Err(Undecodable::TooLarge) => (None, None),
        };
        let captured = Captured::new(settings, request, self.path, body, client, anonymous, id, now_ms);
        let limits = split::Limits { record: settings.record_max, payload: settings.payload_max, now_ms };
        match illegal.or(corrupt) {
            None => split::store(&captured, limits, out),
            Some(error) => {
                let record = captured.to_bytes(captured.body.as_deref());
                let row = bad_row::generic_error(now_ms, settings.row_max, &error, &record, request.target.path);
                split::add_row(&row, out);
            }
        }
    }
}
