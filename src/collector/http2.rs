//! HTTP/2 connections: hyper does the protocol and its flood limits, the core does the rest.
//!
//! A request becomes the same borrowed form that HTTP/1.1 has, and its reply the same headers; nothing about tracking is
//! decided here. One thing differs: a path that hyper's own URI type refuses (raw `"`, `<`, `>` or `#`, which no browser
//! sends) is a protocol error of the stream and leaves no failed row.

use super::answer::{Answer, answer};
use super::http1::refusal;
use super::metrics::Refusal;
use super::record::Records;
use super::reply::{Recipe, Reply};
use super::request::{Headers, Method, Request, Target};
use super::worker::{Hot, SlotTicket, Worker};
use crate::net::Held;
use crate::net::http1::{Header, Name, Span};
use bytes::Bytes;
use http::{HeaderName, HeaderValue, Response, StatusCode, header};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use std::convert::Infallible;
use std::net::IpAddr;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::{Duration, Instant};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::Notify;

/// Unread bytes of bodies that one connection, and one stream of it, may have.
const CONNECTION_WINDOW: u32 = 1 << 20;
const STREAM_WINDOW: u32 = 256 << 10;
/// One in so many requests may be taken back beside `http2.max_resets`.
const LEFT_PAGES: u64 = 8;
/// How often a silent connection is asked whether it is still there.
const PING: Duration = Duration::from_secs(60);

/// What one connection keeps count of.
struct Activity {
    served: AtomicU64,
    under_way: AtomicU64,
    /// Requests that the client opened and took back before they were answered.
    taken_back: AtomicU64,
    last: AtomicI64,
    flooded: Notify,
    max_resets: u64,
}

impl Activity {
    fn begin(self: &Arc<Self>) -> UnderWay {
        self.served.fetch_add(1, Ordering::Relaxed);
        self.under_way.fetch_add(1, Ordering::Relaxed);
        UnderWay { activity: self.clone(), answered: false }
    }
}

/// A request under way. Dropped before it was answered when the client resets its stream.
struct UnderWay {
    activity: Arc<Activity>,
    answered: bool,
}

impl UnderWay {
    fn answered(mut self, now: i64) {
        self.answered = true;
        self.activity.last.store(now, Ordering::Relaxed);
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.activity.under_way.fetch_sub(1, Ordering::Relaxed);
        if self.answered {
            return;
        }
        // Pages that are left cancel what is under way: over a long life that is a small part of the requests, in a flood all.
        let allowed = self.activity.max_resets + self.activity.served.load(Ordering::Relaxed) / LEFT_PAGES;
        if self.activity.taken_back.fetch_add(1, Ordering::Relaxed) >= allowed {
            self.activity.flooded.notify_one();
        }
    }
}

/// Serves until the connection is over.
pub async fn serve<S>(io: S, worker: Arc<Worker>, peer: IpAddr)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let limits = worker.shared.limits.clone();
    let Some((max_streams, max_resets)) = limits.http2 else { return };
    let head_max = u32::try_from(limits.head.line + limits.head.headers).unwrap_or(u32::MAX);
    let mut builder = hyper::server::conn::http2::Builder::new(TokioExecutor::new());
    builder
        .timer(TokioTimer::new())
        .max_concurrent_streams(max_streams)
        .max_pending_accept_reset_streams(max_resets as usize)
        .max_local_error_reset_streams(max_resets as usize)
        .max_header_list_size(head_max)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .initial_stream_window_size(STREAM_WINDOW)
        .keep_alive_interval(PING)
        .keep_alive_timeout(PING / 3);
    let activity = Arc::new(Activity {
        served: AtomicU64::new(0),
        under_way: AtomicU64::new(0),
        taken_back: AtomicU64::new(0),
        last: AtomicI64::new(worker.coarse_ms()),
        flooded: Notify::new(),
        max_resets: max_resets.into(),
    });
    let service = {
        let (worker, activity) = (worker.clone(), activity.clone());
        service_fn(move |request| {
            let (worker, under_way) = (worker.clone(), activity.begin());
            async move {
                let response = respond(request, &worker, peer).await;
                under_way.answered(worker.coarse_ms());
                Ok::<_, Infallible>(response)
            }
        })
    };
    let mut connection = pin!(builder.serve_connection(TokioIo::new(io), service));
    let mut ending = false;
    loop {
        tokio::select! {
            // A protocol error ends the connection; there is nobody to tell.
            _ = connection.as_mut() => return,
            () = activity.flooded.notified() => {
                worker.shared.metrics.refused(Refusal::Flood, 1);
                return;
            }
            () = tokio::time::sleep(Duration::from_millis(250)) => {}
        }
        let idle = activity.under_way.load(Ordering::Relaxed) == 0
            && worker.coarse_ms() - activity.last.load(Ordering::Relaxed) >= limits.idle_timeout;
        let over = activity.served.load(Ordering::Relaxed) >= limits.requests;
        if !ending && (idle || over || worker.is_draining()) {
            ending = true;
            connection.as_mut().graceful_shutdown();
        }
    }
}

async fn respond(request: http::Request<Incoming>, worker: &Arc<Worker>, peer: IpAddr) -> Response<Full<Bytes>> {
    let since = Instant::now();
    let shared = &worker.shared;
    shared.metrics.requests.inc();
    let head_only = request.method() == http::Method::HEAD;
    let (parts, body) = request.into_parts();
    let mut held = shared.budget.account();
    let time = Duration::from_millis(shared.limits.body_timeout.unsigned_abs());
    let body = match tokio::time::timeout(time, read_body(&parts, body, shared.limits.body_max, &mut held)).await {
        Ok(Ok(body)) => body,
        Ok(Err(refused)) => return finished(refused.reply(worker), worker, head_only),
        Err(_) => return finished(NoBody::TimedOut.reply(worker), worker, head_only),
    };
    let reply = match ask(&parts, &body, worker, peer) {
        Asked::Now(reply) => reply,
        Asked::Stored(recipe, ticket) => stored(recipe, &ticket, worker).await,
    };
    shared.metrics.latency.observe(since.elapsed().as_secs_f64());
    finished(reply, worker, head_only)
}

enum NoBody {
    TooLarge,
    NoRoom,
    TimedOut,
    Gone,
}

impl NoBody {
    fn reply(self, worker: &Worker) -> Reply {
        let (reply, refusal) = match self {
            NoBody::TooLarge => (Reply::too_large(), Refusal::TooLarge),
            NoBody::NoRoom => (Reply::busy(), Refusal::Memory),
            NoBody::TimedOut => (Reply::request_timeout(), Refusal::RequestTimeout),
            NoBody::Gone => (Reply::refused(400, b"the body ended early"), Refusal::Malformed),
        };
        worker.shared.metrics.refused(refusal, 1);
        reply
    }
}

async fn read_body(
    parts: &http::request::Parts,
    mut body: Incoming,
    most: usize,
    held: &mut Held,
) -> Result<Vec<u8>, NoBody> {
    if parts.method != http::Method::POST {
        // It means nothing, and is not held against the event.
        return Ok(Vec::new());
    }
    let announced = parts.headers.get(header::CONTENT_LENGTH).and_then(|v| v.to_str().ok()?.parse::<u64>().ok());
    if announced.is_some_and(|n| n >= most as u64) {
        return Err(NoBody::TooLarge);
    }
    let mut bytes = Vec::new();
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|_| NoBody::Gone)?;
        let Some(data) = frame.data_ref() else { continue };
        if bytes.len() + data.len() >= most {
            return Err(NoBody::TooLarge);
        }
        bytes.extend_from_slice(data);
        if !held.set(bytes.capacity()) {
            return Err(NoBody::NoRoom);
        }
    }
    Ok(bytes)
}

enum Asked {
    Now(Reply),
    Stored(Recipe, SlotTicket),
}

/// Puts the request into its common form and asks the core.
fn ask(parts: &http::request::Parts, body: &[u8], worker: &Arc<Worker>, peer: IpAddr) -> Asked {
    let shared = &worker.shared;
    let (bytes, list) = flatten(&parts.headers);
    let target = parts.uri.path_and_query().map_or("/", |p| p.as_str());
    let Some(target) = Target::of(target.as_bytes()) else {
        shared.metrics.refused(Refusal::Malformed, 1);
        return Asked::Now(Reply::refused(400, b"malformed request target"));
    };
    let request = Request {
        method: Method::of(parts.method.as_str().as_bytes()),
        target,
        authority: parts.uri.authority().map(|a| a.as_str().as_bytes()),
        headers: Headers::new(&bytes, &list),
        body,
        peer: peer.into(),
    };
    let mut hot = worker.hot();
    hot.wall.set(shared.clock.now_ms());
    let Hot { open, wall, entropy, .. } = &mut *hot;
    let has_room = worker.has_room(open);
    let mut thrown_away = Records::default();
    let records = if has_room { &mut open.records } else { &mut thrown_away };
    match answer(&shared.settings, &request, wall, worker.is_draining(), entropy, records) {
        Answer::Now(reply) => Asked::Now(reply),
        Answer::SinkHealth => Asked::Now(Reply::sink_health((shared.health)().is_ok())),
        Answer::Store(recipe) if has_room => {
            let ticket = worker.new_slot();
            open.submit(ticket.slot.clone());
            Asked::Stored(recipe, ticket)
        }
        Answer::Store(recipe) => {
            shared.metrics.refused(Refusal::Overload, 1);
            Asked::Now(recipe.overloaded())
        }
    }
}

async fn stored(recipe: Recipe, ticket: &SlotTicket, worker: &Worker) -> Reply {
    let metrics = &worker.shared.metrics;
    match ticket.outcome(worker.shared.limits.store_timeout).await {
        Some(Ok(receipt)) => {
            metrics.accepted.inc();
            recipe.acknowledged(receipt)
        }
        Some(Err(e)) => {
            metrics.refused(refusal(&e), 1);
            recipe.overloaded()
        }
        None => {
            metrics.refused(Refusal::Stalled, 1);
            recipe.overloaded()
        }
    }
}

/// Header fields in one stretch of bytes. Crumbs of a split `cookie` are one field again (RFC 9113 §8.2.3).
fn flatten(headers: &http::HeaderMap) -> (Vec<u8>, Vec<Header>) {
    let mut bytes = Vec::with_capacity(1024);
    let mut list: Vec<Header> = Vec::with_capacity(headers.len());
    let mut append = |piece: &[u8]| {
        let from = bytes.len() as u32;
        bytes.extend_from_slice(piece);
        Span { from, to: bytes.len() as u32 }
    };
    let cookie = headers.get_all(header::COOKIE).iter().map(HeaderValue::as_bytes).collect::<Vec<_>>().join(&b"; "[..]);
    for (name, value) in headers {
        let known = Name::of(name.as_str().as_bytes());
        let value = if known != Name::Cookie {
            value.as_bytes()
        } else if list.iter().any(|h| h.known == Name::Cookie) {
            continue;
        } else {
            &cookie
        };
        list.push(Header { known, name: append(name.as_str().as_bytes()), value: append(value) });
    }
    (bytes, list)
}

fn finished(reply: Reply, worker: &Worker, head_only: bool) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::new()));
    *response.status_mut() = StatusCode::from_u16(reply.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let headers = response.headers_mut();
    reply.headers(&worker.shared.settings, &worker.hot().wall, |name, value| {
        // Whatever the configuration can put here was checked at start.
        if let (Ok(name), Ok(value)) =
            (HeaderName::from_bytes(name.as_bytes()), HeaderValue::from_bytes(&value.concat()))
        {
            headers.append(name, value);
        }
    });
    if !reply.may_have_body() {
        return response;
    }
    headers.insert(header::CONTENT_LENGTH, HeaderValue::from(reply.body().len()));
    if !head_only {
        *response.body_mut() = Full::new(reply.into_body());
    }
    response
}
