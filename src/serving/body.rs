//! Request bodies: bounded in size and time.

use super::error::{ApiError, ApiResult};
use axum::body::Body;
use axum::http::StatusCode;
use bytes::Bytes;
use http_body_util::{BodyExt, LengthLimitError, Limited};
use serde::de::DeserializeOwned;
use std::time::Duration;

/// Reads a whole body.
///
/// # Errors
/// 413 beyond `limit` bytes, 408 when it does not arrive in `time`, 400 when the connection breaks.
pub async fn read(body: Body, limit: usize, time: Duration) -> ApiResult<Bytes> {
    match tokio::time::timeout(time, Limited::new(body, limit).collect()).await {
        Ok(Ok(whole)) => Ok(whole.to_bytes()),
        Ok(Err(e)) if e.is::<LengthLimitError>() => Err(ApiError::new(
            StatusCode::PAYLOAD_TOO_LARGE,
            "too_large",
            format!("the body is larger than {limit} bytes"),
        )
        .hint("the bound is serving.max_body")),
        Ok(Err(_)) => Err(ApiError::bad("the body did not arrive whole")),
        Err(_) => Err(ApiError::new(StatusCode::REQUEST_TIMEOUT, "timeout", "the body did not arrive in time")
            .hint("the bound is serving.request_timeout")),
    }
}

/// Reads a body as JSON of a known shape; an unknown member is an error.
///
/// # Errors
/// As [`read`], and 400 with the place of the mistake.
pub async fn json<T: DeserializeOwned>(body: Body, limit: usize, time: Duration) -> ApiResult<T> {
    let bytes = read(body, limit, time).await?;
    serde_json::from_slice(&bytes).map_err(|e| ApiError::bad(format!("the body is not as expected: {e}")))
}
