//! The parts of a path that a route names, with errors in the one shape.

use super::error::ApiError;
use axum::extract::{FromRequestParts, Path};
use axum::http::request::Parts;
use serde::de::DeserializeOwned;

/// As axum's `Path`.
pub(super) struct Segments<T>(pub(super) T);

impl<T: DeserializeOwned + Send, S: Send + Sync> FromRequestParts<S> for Segments<T> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        let read = Path::<T>::from_request_parts(parts, state).await;
        let wrong = |e: axum::extract::rejection::PathRejection| {
            ApiError::bad(format!("the path cannot be read: {}", e.body_text())).hint("percent-encode UTF-8")
        };
        read.map(|Path(parts)| Segments(parts)).map_err(wrong)
    }
}
