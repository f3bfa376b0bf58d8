//! `POST /v1/replay`: failed events are processed again. The answer is NDJSON: progress lines, then one summary or error line.

use super::api::Shared;
use super::body;
use super::error::{ApiError, ApiResult};
use super::reply;
use crate::admin::replay::{Ask, StartError, Update};
use axum::body::Body;
use axum::extract::State;
use axum::http::{Request, StatusCode};
use bytes::Bytes;
use serde::Deserialize;
use std::io;
use tokio_stream::StreamExt;
use tokio_stream::wrappers::ReceiverStream;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Asked {
    failed: bool,
    since: Option<String>,
    schema: Option<String>,
    #[serde(default)]
    dry_run: bool,
}

pub(super) async fn post(State(api): State<Shared>, request: Request<Body>) -> ApiResult {
    let limits = (api.config.max_body.as_usize(), api.config.request_timeout.to_duration());
    let asked: Asked = body::json(request.into_body(), limits.0, limits.1).await?;
    if !asked.failed {
        return Err(ApiError::bad("only failed events can be replayed").hint(r#"write {"failed":true}"#));
    }
    let now = api.deps.clock.now_ms();
    let ask = Ask::read(asked.since.as_deref(), asked.schema.as_deref(), asked.dry_run, now)
        .map_err(|e| ApiError::bad(e.to_string()))?;
    let updates = (api.deps.replay)(ask).map_err(|e| match e {
        StartError::Busy => ApiError::new(StatusCode::CONFLICT, "replay_running", e.to_string())
            .hint("wait until it is done; a run that nobody reads any more ends by itself"),
        StartError::Thread(_) => ApiError::unavailable(e.to_string()),
    })?;
    let lines = ReceiverStream::new(updates).map(|update| line(&update));
    Ok(reply::text("application/x-ndjson", Body::from_stream(lines)))
}

fn line(update: &Update) -> io::Result<Bytes> {
    let mut line = serde_json::to_vec(update)?;
    line.push(b'\n');
    Ok(line.into())
}
