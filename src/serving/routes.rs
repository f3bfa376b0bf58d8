//! The routes of the private port, in one table, and what every reply carries.

use super::api::Shared;
use super::dashboard;
use super::error::ApiError;
use super::guard::Access;
use super::segments::Segments;
use super::{audit, demo, failures, health, iglu, live, metrics, openapi, replay, session, sql, status, tail, views};
use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use axum::middleware::{Next, from_fn, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodRouter, get, post, put};
use prometheus_client::metrics::counter::Counter;

/// One route.
pub(super) struct Route {
    pub(super) method: Method,
    /// As axum and OpenAPI write it.
    pub(super) path: &'static str,
    pub(super) access: Access,
    handler: MethodRouter<Shared>,
}

/// All routes. The description at `/v1/openapi.json` is tested against this table.
pub(super) fn table() -> Vec<Route> {
    use Access::{Enter, Open, Read, Write};
    let route = |method, path, access, handler| Route { method, path, access, handler };
    vec![
        route(Method::GET, "/", Open, get(page)),
        route(Method::GET, "/assets/{version}/{file}", Open, get(asset)),
        route(Method::GET, "/health/live", Open, get(health::live)),
        route(Method::GET, "/health/ready", Open, get(health::ready)),
        route(Method::GET, "/metrics", Read, get(metrics::get)),
        route(Method::GET, "/v1/openapi.json", Read, get(openapi::get)),
        route(Method::POST, "/v1/session", Enter, post(session::post)),
        route(Method::GET, "/v1/status", Read, get(status::get)),
        route(Method::GET, "/v1/views", Read, get(views::list)),
        route(Method::GET, "/v1/views/{name}", Read, get(views::get)),
        route(Method::GET, "/v1/live", Read, get(live::get)),
        route(Method::GET, "/v1/tail", Read, get(tail::get)),
        route(Method::POST, "/v1/sql", Read, post(sql::post)),
        route(Method::GET, "/v1/events/{event_id}", Read, get(audit::get)),
        route(Method::GET, "/v1/failed", Read, get(failures::get)),
        route(Method::POST, "/v1/demo", Read, post(demo::post)),
        route(Method::POST, "/v1/replay", Write, post(replay::post)),
        route(Method::GET, "/iglu/schemas", Read, get(iglu::root)),
        route(Method::GET, "/iglu/schemas/{vendor}", Read, get(iglu::of_vendor)),
        route(Method::GET, "/iglu/schemas/{vendor}/{name}", Read, get(iglu::of_name)),
        route(Method::GET, "/iglu/schemas/{vendor}/{name}/{format}", Read, get(iglu::of_format)),
        route(Method::GET, "/iglu/schemas/{vendor}/{name}/{format}/{version}", Read, get(iglu::get)),
        route(Method::PUT, "/iglu/schemas/{vendor}/{name}/{format}/{version}", Write, put(iglu::put)),
    ]
}

/// The router.
pub(super) fn router(api: Shared) -> Router {
    let mut router = Router::new();
    for Route { method, path, access, handler } in table() {
        let count = api.metrics.route(&method, path);
        router = router.route(path, handler.route_layer(from_fn_with_state((api.clone(), access, count), check)));
    }
    router.fallback(unknown).method_not_allowed_fallback(wrong_method).layer(from_fn(headers)).with_state(api)
}

async fn check(
    State((api, access, count)): State<(Shared, Access, Counter)>,
    request: Request,
    next: Next,
) -> Response {
    count.inc();
    let now = api.deps.clock.now_ms();
    match api.guard.check(access, request.method(), request.uri(), request.headers(), now) {
        Ok(()) => next.run(request).await,
        Err(e) => {
            api.metrics.refused(e.code());
            e.into_response()
        }
    }
}

/// Headers that every reply carries. A handler's own value stays.
async fn headers(request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    let headers = response.headers_mut();
    for (name, value) in [
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "no-referrer"),
        (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
        (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
        (header::CONTENT_SECURITY_POLICY, "default-src 'none'; frame-ancestors 'none'"),
        (header::CACHE_CONTROL, "no-store"),
    ] {
        headers.entry(name).or_insert(HeaderValue::from_static(value));
    }
    response
}

async fn page(State(api): State<Shared>, request: HeaderMap) -> Response {
    let mut response = api.assets.page(&request);
    response.headers_mut().insert(header::CONTENT_SECURITY_POLICY, api.page_policy.clone());
    response
}

async fn asset(
    State(api): State<Shared>,
    Segments((version, file)): Segments<(String, String)>,
    request: HeaderMap,
) -> Result<Response, ApiError> {
    api.assets
        .file(&version, &file, &request)
        .ok_or_else(|| ApiError::not_found("there is no such file in this build").hint("load the page again"))
}

async fn unknown(request: Request<Body>) -> ApiError {
    let path: String = request.uri().path().chars().take(200).collect();
    ApiError::not_found(format!("there is nothing at {path}")).hint("GET /v1/openapi.json describes what there is")
}

async fn wrong_method(request: Request<Body>) -> ApiError {
    let message = format!("{} is not possible here", request.method());
    ApiError::new(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", message)
        .hint("GET /v1/openapi.json describes what is")
}

/// The policy of the page; the configuration has been checked, so that only a bug could make it unusable.
pub(super) fn page_policy(frame_ancestors: &[String]) -> HeaderValue {
    dashboard::policy(frame_ancestors).unwrap_or(HeaderValue::from_static("default-src 'none'; frame-ancestors 'none'"))
}
