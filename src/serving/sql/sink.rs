//! Where the rows of a statement go: into one JSON document, or piece by piece to the client.

use super::cell::Ints;
use super::encode::{Encoder, Format, json_rows, schema_of};
use super::{Head, Job, Piece};
use crate::batch::warehouse::{SqlColumn, SqlDone, SqlSink};
use crate::event::{Boundary, Offset};
use crate::serving::error::{ApiError, ApiResult};
use crate::serving::facts;
use arrow::array::RecordBatch;
use bytes::Bytes;
use serde_json::json;
use std::io;
use std::time::{Duration, Instant};
use tokio::runtime::Handle;
use tokio::sync::{mpsc, oneshot};

/// A JSON answer in the making.
pub(super) struct Whole<'h> {
    ints: Ints,
    most: usize,
    out: String,
    rows: usize,
    cut: bool,
    client: &'h oneshot::Sender<ApiResult<Head>>,
}

impl<'h> Whole<'h> {
    pub(super) fn new(job: &Job, client: &'h oneshot::Sender<ApiResult<Head>>) -> Self {
        let most = usize::try_from(job.request.max_bytes).unwrap_or(usize::MAX);
        Whole { ints: job.ints, most, out: String::new(), rows: 0, cut: false, client }
    }

    /// The document.
    pub(super) fn end(mut self, truncated: bool, boundary: &Boundary, enriched: Offset, started: Instant) -> String {
        let tail = json!({
            "truncated": truncated || self.cut,
            "boundary": facts::boundary(boundary),
            "enriched": enriched,
            "elapsed_ms": facts::round(started.elapsed().as_secs_f64() * 1000.0),
        });
        self.out.push_str("],");
        self.out.push_str(tail.to_string().trim_start_matches('{'));
        self.out
    }
}

impl SqlSink for Whole<'_> {
    fn columns(&mut self, columns: &[SqlColumn]) -> bool {
        self.out = format!("{{\"columns\":{},\"rows\":[", json!(columns));
        true
    }

    fn rows(&mut self, rows: RecordBatch) -> bool {
        let written = json_rows(&rows, self.ints, self.rows == 0, self.most, &mut self.out);
        self.rows += written;
        self.cut |= written < rows.num_rows();
        !self.cut && !self.client.is_closed()
    }
}

/// A streamed answer on its way.
pub(super) struct Streamed {
    format: Format,
    ints: Ints,
    /// Until the first byte can be sent.
    head: Option<(Head, oneshot::Sender<ApiResult<Head>>)>,
    encoder: Option<Encoder>,
    columns: Vec<SqlColumn>,
    pieces: mpsc::Sender<Piece>,
    deadline: Instant,
    limit: u64,
    problem: Option<String>,
}

impl Streamed {
    pub(super) fn new(
        job: &Job,
        head: Head,
        client: oneshot::Sender<ApiResult<Head>>,
        pieces: mpsc::Sender<Piece>,
    ) -> Self {
        Streamed {
            format: job.format,
            ints: job.ints,
            head: Some((head, client)),
            encoder: None,
            columns: Vec::new(),
            pieces,
            deadline: job.started + job.request.timeout,
            limit: job.request.max_rows,
            problem: None,
        }
    }

    /// Ends the transfer: regularly, or broken off so that the client learns of the problem.
    pub(super) fn end(mut self, done: ApiResult<SqlDone>) {
        let problem = match done {
            Err(e) => match self.head.take() {
                // Nothing was sent yet, so this can be a proper error.
                Some((_, client)) => {
                    let _ = client.send(Err(e));
                    return;
                }
                None => Some(e.body()),
            },
            Ok(done) if done.truncated => Some(format!("the result has more than {} rows", self.limit)),
            Ok(_) => self.problem.take(),
        };
        if let Some(problem) = problem {
            let _ = self.pieces.blocking_send(Err(io::Error::other(problem)));
            return;
        }
        if self.encoder.is_none() && !self.begin(None) {
            return;
        }
        if let Some(encoder) = self.encoder.take() {
            match encoder.finish() {
                Ok(last) => {
                    self.send(last);
                }
                Err(e) => {
                    let _ = self.pieces.blocking_send(Err(io::Error::other(e)));
                }
            }
        }
    }

    /// Sends the head. The Arrow schema is that of the first rows, and of a result without any worked out of the types.
    fn begin(&mut self, first: Option<&RecordBatch>) -> bool {
        let schema = first.map_or_else(|| schema_of(&self.columns), RecordBatch::schema);
        let Some((head, client)) = self.head.take() else { return false };
        match Encoder::new(self.format, self.ints, &schema) {
            Ok(encoder) => {
                self.encoder = Some(encoder);
                client.send(Ok(head)).is_ok()
            }
            Err(e) => {
                let _ = client.send(Err(ApiError::bad(format!("this form cannot carry the result: {e}"))));
                false
            }
        }
    }

    /// Hands a piece over, waiting for a slow client until the statement's time is up.
    fn send(&mut self, piece: Bytes) -> bool {
        if piece.is_empty() {
            return true;
        }
        let left = self.deadline.saturating_duration_since(Instant::now()).max(Duration::from_millis(1));
        match Handle::current().block_on(tokio::time::timeout(left, self.pieces.send(Ok(piece)))) {
            Ok(sent) => sent.is_ok(),
            Err(_) => {
                self.problem = Some("the client took too long".to_owned());
                false
            }
        }
    }
}

impl SqlSink for Streamed {
    fn columns(&mut self, columns: &[SqlColumn]) -> bool {
        self.columns = columns.to_vec();
        !self.head.as_ref().is_some_and(|(_, client)| client.is_closed())
    }

    fn rows(&mut self, rows: RecordBatch) -> bool {
        if self.encoder.is_none() && !self.begin(Some(&rows)) {
            return false;
        }
        let Some(encoder) = &mut self.encoder else { return false };
        match encoder.batch(&rows) {
            Ok(piece) => self.send(piece),
            Err(e) => {
                self.problem = Some(e.to_string());
                false
            }
        }
    }
}
