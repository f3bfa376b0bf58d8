//! `POST /v1/demo`: real requests to our own collector, so that an empty page can be tried out.

use super::api::{Api, Shared};
use super::body;
use super::deps::Demo;
use super::error::{ApiError, ApiResult};
use super::reply;
use axum::body::Body;
use axum::extract::State;
use axum::http::{Request, StatusCode};
use serde::Deserialize;
use serde_json::json;

/// App id of demo traffic.
pub const APP_ID: &str = "snowshed-demo";

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Ask {
    events: Option<u32>,
    seconds: Option<u32>,
}

/// Whether demo traffic may be sent now: in demo mode, when the configuration says so, or while nothing real is there yet.
pub(super) fn is_allowed(api: &Api) -> bool {
    api.config.allow_demo || api.deps.ui.mode == "demo" || (api.deps.journal.end)().0 == 0
}

pub(super) async fn post(State(api): State<Shared>, request: Request<Body>) -> ApiResult {
    let limits = (api.config.max_body.as_usize(), api.config.request_timeout.to_duration());
    let ask: Ask = body::json(request.into_body(), limits.0, limits.1).await?;
    let demo = match ask {
        Ask { events: Some(n @ 1..=1000), seconds: None } => Demo::Events(n),
        Ask { events: None, seconds: Some(n @ 1..=600) } => Demo::Seconds(n),
        _ => {
            return Err(ApiError::bad("the body asks for no demo traffic")
                .hint(r#"write {"events":1} (1 to 1000) or {"seconds":60} (1 to 600)"#));
        }
    };
    if !is_allowed(&api) {
        return Err(ApiError::new(
            StatusCode::FORBIDDEN,
            "forbidden",
            "there are real events here, so no demo traffic is added",
        )
        .hint("set serving.allow_demo = true to allow it"));
    }
    (api.deps.demo)(demo).await.map_err(|e| ApiError::unavailable(format!("demo traffic cannot be sent: {e}")))?;
    Ok(reply::json(&json!({"started": true, "app_id": APP_ID})))
}
