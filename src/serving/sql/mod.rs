//! `POST /v1/sql`: read-only SQL over both layers, under one snapshot.
//!
//! Bounded in statements at a time, in rows, in bytes and in time; a client that goes away stops its statement. A JSON
//! answer is complete or says that it was cut; the streaming forms break the transfer off instead, since a client could not
//! tell a cut stream from a whole one.

mod cell;
mod encode;

pub use cell::{Ints, write_json};

use super::api::{Api, Shared};
use super::body;
use super::error::{ApiError, ApiResult};
use super::merge::{self, Seam};
use super::{facts, reply};
use crate::batch::warehouse::{Param, SqlRequest, SqlRows};
use crate::event::{Boundary, Offset};
use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderValue, Request, StatusCode, header};
use axum::response::Response;
use bytes::Bytes;
use encode::{Encoder, Format, json_rows};
use serde::Deserialize;
use serde_json::{Value, json};
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;
use tokio::sync::{OwnedSemaphorePermit, mpsc, oneshot};

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
    /// The bound that is told to the client.
    rows: usize,
    started: Instant,
    _turn: OwnedSemaphorePermit,
}

/// What is known before the first row of a streamed answer, or the whole of a JSON answer.
struct Head {
    boundary: Boundary,
    enriched: Offset,
    whole: Option<String>,
}

/// Stops the statement when the client goes away.
struct StopOnDrop(Arc<AtomicBool>);

impl Drop for StopOnDrop {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

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
    let most = if format == Format::Json { api.config.sql_max_rows } else { api.config.sql_stream_max_rows };
    let rows = ask.max_rows.map_or(most, |n| n.clamp(1, most));
    let turn = api.sql_turn().await?;
    api.metrics.sql();
    let stop = Arc::new(AtomicBool::new(false));
    let guard = StopOnDrop(stop.clone());
    let timeout = api.config.sql_timeout.to_duration();
    let request = SqlRequest { sql: ask.sql, params, timeout, stop };
    let job = Job { request, format, ints, rows, started: Instant::now(), _turn: turn };
    let (head_tx, head_rx) = oneshot::channel();
    let (piece_tx, piece_rx) = mpsc::channel(PIECES);
    let worker = api.clone();
    tokio::task::spawn_blocking(move || work(&worker, &job, head_tx, &piece_tx));
    let head = head_rx.await.map_err(|_| ApiError::internal("the statement ended without an answer"))??;
    Ok(respond(head, format, rows, piece_rx, guard))
}

fn params(values: Vec<Value>) -> ApiResult<Vec<Param>> {
    if values.len() > MAX_PARAMS {
        return Err(ApiError::bad(format!("more than {MAX_PARAMS} parameters")));
    }
    let one = |(i, value): (usize, Value)| {
        Ok(match value {
            Value::Null => Param::Null,
            Value::Bool(v) => Param::Bool(v),
            Value::String(v) => Param::Text(v),
            Value::Number(n) => match (n.as_i64(), n.as_f64()) {
                (Some(v), _) => Param::Int(v),
                (None, Some(v)) => Param::Double(v),
                (None, None) => return Err(ApiError::bad(format!("parameter {} is no number", i + 1))),
            },
            Value::Array(_) | Value::Object(_) => {
                return Err(ApiError::bad(format!("parameter {} is no scalar", i + 1))
                    .hint("pass it as JSON text and cast it: ?::JSON"));
            }
        })
    };
    values.into_iter().enumerate().map(one).collect()
}

fn respond(
    head: Head,
    format: Format,
    rows: usize,
    pieces: mpsc::Receiver<io::Result<Bytes>>,
    guard: StopOnDrop,
) -> Response {
    let mut response = match head.whole {
        Some(text) => reply::text(format.content_type(), text),
        None => {
            // The guard lives as long as the body: a client that leaves stops the statement.
            let stream = futures_util::stream::unfold((pieces, guard), |(mut pieces, guard)| async move {
                pieces.recv().await.map(|piece| (piece, (pieces, guard)))
            });
            reply::text(format.content_type(), Body::from_stream(stream))
        }
    };
    let headers = response.headers_mut();
    headers.insert("x-boundary", HeaderValue::from(head.boundary.offset.0));
    headers.insert("x-enriched", HeaderValue::from(head.enriched.0));
    headers.insert("x-row-limit", HeaderValue::from(rows));
    response
}

type HeadSender = oneshot::Sender<ApiResult<Head>>;

fn work(api: &Api, job: &Job, head: HeadSender, pieces: &mpsc::Sender<io::Result<Bytes>>) {
    let seam = match Seam::open(api) {
        Ok(seam) => seam,
        Err(e) => return drop(head.send(Err(e))),
    };
    let tail = merge::tail(&seam.lease, seam.boundary.offset);
    let known = |whole| Head { boundary: seam.boundary, enriched: tail.applied, whole };
    let rows = match seam.snapshot.sql(&job.request, &merge::sql_tail(&tail)) {
        Ok(rows) => rows,
        Err(e) => return drop(head.send(Err(e.into()))),
    };
    if job.format == Format::Json {
        let whole = whole(api, job, rows, &seam.boundary, tail.applied);
        return drop(head.send(whole.map(|text| known(Some(text)))));
    }
    let encoder = match Encoder::new(job.format, job.ints, &rows.schema()) {
        Ok(encoder) => encoder,
        Err(e) => return drop(head.send(Err(ApiError::bad(format!("this form cannot carry the result: {e}"))))),
    };
    if head.send(Ok(known(None))).is_err() {
        return;
    }
    if let Err(e) = stream(job, rows, encoder, pieces) {
        // The error ends the transfer before its regular end, which is how the client learns of it.
        let _ = pieces.blocking_send(Err(io::Error::other(e)));
    }
}

fn whole(api: &Api, job: &Job, mut rows: Box<dyn SqlRows>, boundary: &Boundary, enriched: Offset) -> ApiResult<String> {
    let columns: Vec<Value> = rows.columns().iter().map(|c| json!({"name": c.name, "type": c.kind})).collect();
    let most = api.config.sql_max_bytes.as_usize();
    let mut out = format!("{{\"columns\":{},\"rows\":[", Value::Array(columns));
    let (mut written, mut truncated) = (0, false);
    while let Some(batch) = rows.next()? {
        let room = job.rows - written;
        let wanted = batch.slice(0, batch.num_rows().min(room));
        let n = json_rows(&wanted, job.ints, written == 0, most, &mut out);
        written += n;
        if n < batch.num_rows() {
            truncated = true;
            break;
        }
    }
    let tail = json!({
        "truncated": truncated,
        "boundary": facts::boundary(boundary),
        "enriched": enriched,
        "elapsed_ms": (job.started.elapsed().as_secs_f64() * 10_000.0).round() / 10.0,
    });
    out.push_str("],");
    out.push_str(tail.to_string().trim_start_matches('{'));
    Ok(out)
}

fn stream(
    job: &Job,
    mut rows: Box<dyn SqlRows>,
    mut encoder: Encoder,
    pieces: &mpsc::Sender<io::Result<Bytes>>,
) -> Result<(), String> {
    let mut written = 0;
    let send = |bytes: Bytes| match bytes.is_empty() {
        true => Ok(()),
        false => pieces.blocking_send(Ok(bytes)).map_err(|_| "the client has gone".to_owned()),
    };
    loop {
        let batch = match rows.next() {
            Ok(Some(batch)) => batch,
            Ok(None) => break,
            Err(e) => return Err(e.to_string()),
        };
        written += batch.num_rows();
        if written > job.rows {
            return Err(format!("the result has more than {} rows", job.rows));
        }
        send(encoder.batch(&batch).map_err(|e| e.to_string())?)?;
    }
    send(encoder.finish().map_err(|e| e.to_string())?)
}
