//! `POST /v1/sql`: read-only SQL over both layers, under one snapshot.
//!
//! Bounded in statements at a time, in rows, in bytes and in time; a client that goes away stops its statement. A JSON
//! answer is complete or says that it was cut; the streaming forms break the transfer off instead, since a client could not
//! tell a cut stream from a whole one.

mod cell;
mod encode;
mod sink;

pub use cell::{Ints, write_json};

use super::api::{Api, Shared};
use super::body;
use super::error::{ApiError, ApiResult};
use super::merge::Seam;
use super::reply;
use crate::batch::warehouse::{SqlParam, SqlRequest};
use crate::event::{Boundary, Offset};
use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderValue, Request, StatusCode, header};
use axum::response::Response;
use bytes::Bytes;
use encode::Format;
use serde::Deserialize;
use serde_json::Value;
use sink::{Streamed, Whole};
use std::io;
use std::time::Instant;
use tokio::sync::{OwnedSemaphorePermit, mpsc, oneshot};
use tokio_stream::StreamExt;
use tokio_stream::wrappers::ReceiverStream;

/// Pieces of a streamed answer that wait for a slow client.
const PIECES: usize = 4;
/// Most parameters of a statement.
const MAX_PARAMS: usize = 1000;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Ask {
    sql: String,
    #[serde(default)]
    params: Vec<Value>,
    #[serde(default)]
    ints: IntsAsked,
    max_rows: Option<usize>,
}

#[derive(Deserialize, Default, Clone, Copy)]
#[serde(rename_all = "lowercase")]
enum IntsAsked {
    #[default]
    Number,
    String,
}

/// A statement on its way.
struct Job {
    request: SqlRequest,
    format: Format,
    ints: Ints,
    started: Instant,
    _turn: OwnedSemaphorePermit,
}

/// What is known before the first row of a streamed answer, or with the whole of a JSON answer.
struct Head {
    boundary: Boundary,
    enriched: Offset,
    whole: Option<String>,
}

type Piece = io::Result<Bytes>;

pub(super) async fn post(State(api): State<Shared>, request: Request<Body>) -> ApiResult {
    let accepts: Vec<&str> = request.headers().get_all(header::ACCEPT).iter().filter_map(|v| v.to_str().ok()).collect();
    let format = Format::from_accept(&accepts.join(",")).ok_or_else(|| {
        ApiError::new(StatusCode::NOT_ACCEPTABLE, "not_acceptable", "no form of the answer is accepted")
            .hint("application/json, application/x-ndjson, text/csv or application/vnd.apache.arrow.stream")
    })?;
    let limits = (api.config.max_body.as_usize(), api.config.request_timeout.to_duration());
    let ask: Ask = body::json(request.into_body(), limits.0, limits.1).await?;
    let params = params(ask.params)?;
    let ints = match ask.ints {
        IntsAsked::Number => Ints::Number,
        IntsAsked::String => Ints::Text,
    };
    let json = format == Format::Json;
    let most = if json { api.config.sql_max_rows } else { api.config.sql_stream_max_rows };
    let rows = ask.max_rows.map_or(most, |n| n.clamp(1, most));
    let turn = api.sql_turn().await?;
    api.metrics.sql();
    let request = SqlRequest {
        sql: ask.sql,
        params,
        max_rows: rows as u64,
        max_bytes: if json { api.config.sql_max_bytes.0 } else { u64::MAX },
        timeout: api.config.sql_timeout.to_duration(),
    };
    let job = Job { request, format, ints, started: Instant::now(), _turn: turn };
    let (head_tx, head_rx) = oneshot::channel();
    let (piece_tx, piece_rx) = mpsc::channel(PIECES);
    let worker = api.clone();
    tokio::task::spawn_blocking(move || work(&worker, &job, head_tx, piece_tx));
    let head = head_rx.await.map_err(|_| ApiError::internal("the statement ended without an answer"))??;
    Ok(respond(head, format, rows, piece_rx))
}

fn params(values: Vec<Value>) -> ApiResult<Vec<SqlParam>> {
    if values.len() > MAX_PARAMS {
        return Err(ApiError::bad(format!("more than {MAX_PARAMS} parameters")));
    }
    let one = |(i, value): (usize, Value)| {
        Ok(match value {
            Value::Null => SqlParam::Null,
            Value::Bool(v) => SqlParam::Bool(v),
            Value::String(v) => SqlParam::Text(v),
            Value::Number(n) => match (n.as_i64(), n.as_u64(), n.as_f64()) {
                (Some(v), ..) => SqlParam::Int(v),
                (None, Some(v), _) => SqlParam::Large(v),
                (None, None, Some(v)) => SqlParam::Float(v),
                (None, None, None) => return Err(ApiError::bad(format!("parameter {} is no number", i + 1))),
            },
            Value::Array(_) | Value::Object(_) => {
                return Err(ApiError::bad(format!("parameter {} is no scalar", i + 1))
                    .hint("pass it as JSON text and cast it: ?::JSON"));
            }
        })
    };
    values.into_iter().enumerate().map(one).collect()
}

fn respond(head: Head, format: Format, rows: usize, pieces: mpsc::Receiver<Piece>) -> Response {
    let mut response = match head.whole {
        Some(text) => reply::text(format.content_type(), text),
        None => reply::text(format.content_type(), Body::from_stream(ReceiverStream::new(pieces).then(settled))),
    };
    let headers = response.headers_mut();
    headers.insert("x-boundary", HeaderValue::from(head.boundary.offset.0));
    headers.insert("x-enriched", HeaderValue::from(head.enriched.0));
    headers.insert("x-row-limit", HeaderValue::from(rows));
    response
}

/// Lets what was sent before a problem leave first: the server drops what it has not written yet when a body breaks off, the
/// head included, and writes when a body has nothing more for the moment.
async fn settled(piece: Piece) -> Piece {
    if piece.is_err() {
        tokio::task::yield_now().await;
    }
    piece
}

fn work(api: &Api, job: &Job, head: oneshot::Sender<ApiResult<Head>>, pieces: mpsc::Sender<Piece>) {
    let opened = Seam::open(api).and_then(|seam| seam.memory(&[], true).map(|memory| (seam, memory)));
    let (mut seam, memory) = match opened {
        Ok(both) => both,
        Err(e) => {
            let _ = head.send(Err(e));
            return;
        }
    };
    let (boundary, enriched) = (seam.boundary, memory.applied);
    if job.format != Format::Json {
        let mut sink = Streamed::new(job, Head { boundary, enriched, whole: None }, head, pieces);
        let done = seam.sql(&job.request, &memory, &mut sink);
        return sink.end(done);
    }
    // A client that leaves drops the receiver, which stops the statement at its next rows.
    let mut sink = Whole::new(job, &head);
    let done = seam.sql(&job.request, &memory, &mut sink);
    let whole = done.map(|done| sink.end(done.truncated, &boundary, enriched, job.started));
    let _ = head.send(whole.map(|text| Head { boundary, enriched, whole: Some(text) }));
}
