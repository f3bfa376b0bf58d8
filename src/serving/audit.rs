//! later
use super::api::Shared;
use super::error::{ApiError, ApiResult};
use axum::extract::{Path, State};

pub(super) async fn get(State(_api): State<Shared>, Path(_id): Path<String>) -> ApiResult {
    Err(ApiError::internal("later"))
}
