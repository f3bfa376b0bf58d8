//! Probes: is the process alive, and should it be sent traffic.

use super::api::Shared;
use super::reply;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use serde_json::json;

/// Answers as long as the process can answer at all.
pub(super) async fn live() -> Response {
    reply::json(&json!({"live": true}))
}

/// 503 with reasons while the program cannot take or answer.
pub(super) async fn ready(State(api): State<Shared>) -> Response {
    let mut reasons = (api.deps.not_ready)();
    if api.deps.drain.is_raised() {
        reasons.push("the program is stopping".to_owned());
    }
    let status = if reasons.is_empty() { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    reply::json_status(status, &json!({"ready": reasons.is_empty(), "reasons": reasons}))
}
