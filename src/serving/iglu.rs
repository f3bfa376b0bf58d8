//! `/iglu/schemas/…`: this program as an Iglu registry, with base address `http://host:9090/iglu`.
//!
//! Reading is what every Iglu client does (`schemas/vendor/name/format/version`), lists are what loaders ask for
//! (`…/format/1`). Writing takes effect at once; a document that is already published under its name never changes.

use super::api::Shared;
use super::body;
use super::error::{ApiError, ApiResult};
use super::reply;
use super::segments::Segments;
use crate::event::SchemaKey;
use crate::schema::PutProblem;
use axum::body::Body;
use axum::extract::State;
use axum::http::{Request, StatusCode};
use serde_json::json;

/// `GET /iglu/schemas/{vendor}/{name}/{format}/{version}`; a version that is only a model lists its schemas.
pub(super) async fn get(
    State(api): State<Shared>,
    Segments((vendor, name, format, version)): Segments<(String, String, String, String)>,
) -> ApiResult {
    let path = format!("{vendor}/{name}/{format}/{version}");
    if !version.is_empty() && version.bytes().all(|b| b.is_ascii_digit()) {
        return list(&api, path).await;
    }
    let key = key(&path)?;
    let document = blocking(&api, {
        let key = key.clone();
        move |api: &Shared| api.deps.registry.document(&key)
    })
    .await?;
    match document {
        Some(text) => Ok(reply::text("application/json", text)),
        None => Err(ApiError::not_found(format!("{key} is not in this registry"))
            .hint("GET /iglu/schemas lists what is; upload it with PUT to this address")),
    }
}

/// `GET /iglu/schemas` and its folders: names, as Iglu URIs.
pub(super) async fn root(State(api): State<Shared>) -> ApiResult {
    list(&api, String::new()).await
}

pub(super) async fn of_vendor(State(api): State<Shared>, Segments(vendor): Segments<String>) -> ApiResult {
    list(&api, vendor).await
}

pub(super) async fn of_name(
    State(api): State<Shared>,
    Segments((vendor, name)): Segments<(String, String)>,
) -> ApiResult {
    list(&api, format!("{vendor}/{name}")).await
}

pub(super) async fn of_format(
    State(api): State<Shared>,
    Segments((vendor, name, format)): Segments<(String, String, String)>,
) -> ApiResult {
    list(&api, format!("{vendor}/{name}/{format}")).await
}

async fn list(api: &Shared, prefix: String) -> ApiResult {
    let shown = prefix.clone();
    let found = blocking(api, move |api| api.deps.registry.list(&prefix)).await?;
    if found.is_empty() && !shown.is_empty() {
        return Err(ApiError::not_found(format!("no schema begins with {shown}")).hint("GET /iglu/schemas lists all"));
    }
    Ok(reply::json(&found.iter().map(SchemaKey::uri).collect::<Vec<_>>()))
}

/// `PUT /iglu/schemas/{vendor}/{name}/{format}/{version}`.
pub(super) async fn put(
    State(api): State<Shared>,
    Segments((vendor, name, format, version)): Segments<(String, String, String, String)>,
    request: Request<Body>,
) -> ApiResult {
    let key = key(&format!("{vendor}/{name}/{format}/{version}"))?;
    let limits = (api.config.max_body.as_usize(), api.config.request_timeout.to_duration());
    let bytes = body::read(request.into_body(), limits.0, limits.1).await?;
    let text = String::from_utf8(bytes.to_vec()).map_err(|_| ApiError::bad("the schema is not UTF-8"))?;
    let stored = blocking(&api, {
        let key = key.clone();
        move |api: &Shared| api.deps.registry.put(&key, &text)
    })
    .await?;
    let stored = stored.map_err(refused)?;
    let (status, message) = match stored.created {
        true => (StatusCode::CREATED, "Schema created"),
        false => (StatusCode::OK, "Schema was there before, with the same content"),
    };
    Ok(reply::json_status(
        status,
        &json!({
            "message": message, "status": status.as_u16(), "location": key.uri(), "updated": false,
            "warnings": stored.warnings,
        }),
    ))
}

fn refused(problem: PutProblem) -> ApiError {
    let text = problem.to_string();
    match problem {
        PutProblem::NoStore => ApiError::new(StatusCode::FORBIDDEN, "no_store", text).hint("set data_dir"),
        PutProblem::Refused(_) => ApiError::new(StatusCode::BAD_REQUEST, "schema_refused", text)
            .hint("every problem that was found is named; nothing was stored"),
        PutProblem::Conflict(_) => ApiError::new(StatusCode::CONFLICT, "schema_exists", text)
            .hint("raise ADDITION for a compatible change, MODEL for a breaking one"),
        PutProblem::Write(_) => ApiError::unavailable(text),
    }
}

fn key(path: &str) -> ApiResult<SchemaKey> {
    SchemaKey::parse_path(path).map_err(|e| {
        ApiError::bad(format!("\"{path}\" is no schema name ({e})")).hint("write vendor/name/jsonschema/1-0-0")
    })
}

/// Files of the registry are read and written away from the threads that serve connections.
async fn blocking<T: Send + 'static>(api: &Shared, f: impl FnOnce(&Shared) -> T + Send + 'static) -> ApiResult<T> {
    let api = api.clone();
    tokio::task::spawn_blocking(move || f(&api)).await.map_err(|e| ApiError::internal(e.to_string()))
}
