//! Replies that several routes give alike.

use super::error::ApiError;
use axum::body::Body;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;

/// A JSON reply.
pub fn json(value: &impl Serialize) -> Response {
    match serde_json::to_vec(value) {
        Ok(bytes) => text("application/json", bytes),
        Err(e) => ApiError::internal(format!("the answer cannot be written: {e}")).into_response(),
    }
}

/// A JSON reply with another status.
pub fn json_status(status: StatusCode, value: &impl Serialize) -> Response {
    let mut response = json(value);
    *response.status_mut() = status;
    response
}

/// A reply of any type.
pub fn text(kind: &'static str, body: impl Into<Body>) -> Response {
    let mut response = Response::new(body.into());
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    response
}
