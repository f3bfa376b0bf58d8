//! `POST /v1/session`: a token becomes a cookie.
//!
//! The cookie has no `Path`, so it defaults to the folder of this address, `…/v1`, under whatever prefix a proxy adds. With
//! `Path=/` it would reach the collector on the other port, because cookies do not know ports.

use super::api::Shared;
use super::body;
use super::error::{ApiError, ApiResult};
use super::guard::COOKIE;
use super::params::rfc3339;
use super::reply;
use axum::extract::State;
use axum::http::{HeaderValue, Request, StatusCode, header};
use axum::response::Response;
use serde::Deserialize;
use serde_json::json;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SignIn {
    token: String,
}

pub(super) async fn post(State(api): State<Shared>, request: Request<axum::body::Body>) -> ApiResult {
    let encrypted = request.headers().get("x-forwarded-proto").is_some_and(|v| v == "https");
    let asked: SignIn =
        body::json(request.into_body(), api.config.max_body.as_usize(), api.config.request_timeout.to_duration())
            .await?;
    if api.guard.keys.is_empty() {
        return Ok(reply::json(&json!({"required": false, "expires": null})));
    }
    let expires = api.deps.clock.now_ms() + api.config.session_ttl.as_millis();
    let Some(value) = api.guard.keys.cookie(&asked.token, expires) else {
        return Err(ApiError::new(StatusCode::UNAUTHORIZED, "unauthorized", "the token is not valid here").hint(
            "it is one of serving.tokens or a line of serving.token_file; a link may carry it: `/#token=<token>`",
        ));
    };
    let mut cookie =
        format!("{COOKIE}={value}; HttpOnly; SameSite=Strict; Max-Age={}", api.config.session_ttl.as_secs());
    if encrypted {
        cookie.push_str("; Secure");
    }
    let mut response: Response = reply::json(&json!({"required": true, "expires": rfc3339(expires)}));
    let value = HeaderValue::from_str(&cookie).map_err(|e| ApiError::internal(e.to_string()))?;
    response.headers_mut().insert(header::SET_COOKIE, value);
    Ok(response)
}
