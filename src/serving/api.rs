//! What every handler shares.

use super::config::Config;
use super::dashboard::Assets;
use super::deps::Deps;
use super::error::{ApiError, ApiResult};
use super::guard::Guard;
use super::live::hub::Hub;
use super::metrics::ServingMetrics;
use super::status::LinkRates;
use crate::pipeline::bound::{Bound, Level};
use crate::platform::clock::Millis;
use crate::view::View;
use axum::http::HeaderValue;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// The one state of the private port.
pub type Shared = Arc<Api>;

/// See [`Shared`].
#[derive(Debug)]
pub struct Api {
    pub(super) config: Config,
    pub(super) deps: Deps,
    pub(super) guard: Guard,
    pub(super) assets: Assets,
    pub(super) page_policy: HeaderValue,
    pub(super) address: SocketAddr,
    /// Another text after every start: a page that sees it change asks for everything anew.
    pub(super) boot: String,
    pub(super) started_ms: Millis,
    pub(super) sql_turns: Arc<Semaphore>,
    pub(super) view_turns: Arc<Semaphore>,
    pub(super) streams: Arc<Semaphore>,
    pub(super) streams_open: Level,
    pub(super) streams_refused: AtomicU64,
    pub(super) hub: Hub,
    pub(super) links: LinkRates,
    pub(super) metrics: ServingMetrics,
}

impl Api {
    /// The view with this name.
    ///
    /// # Errors
    /// 404 that lists the names.
    pub(super) fn view(&self, name: &str) -> ApiResult<&Arc<View>> {
        self.deps.views.iter().find(|v| v.name() == name).ok_or_else(|| {
            let names: Vec<&str> = self.deps.views.iter().map(|v| v.name()).collect();
            let shown: String = name.chars().take(80).collect();
            ApiError::not_found(format!("there is no view \"{shown}\""))
                .hint(format!("there are: {}", names.join(", ")))
        })
    }

    /// A turn to read the warehouse for a view or an audit.
    ///
    /// # Errors
    /// 503 when none comes within `queue_timeout`.
    pub(super) async fn view_turn(&self) -> ApiResult<OwnedSemaphorePermit> {
        self.turn(&self.view_turns, "serving.view_max_concurrent", self.config.view_max_concurrent).await
    }

    /// A turn to run SQL.
    ///
    /// # Errors
    /// 503 when none comes within `queue_timeout`.
    pub(super) async fn sql_turn(&self) -> ApiResult<OwnedSemaphorePermit> {
        self.turn(&self.sql_turns, "serving.sql_max_concurrent", self.config.sql_max_concurrent).await
    }

    /// Runs a reading question on a thread that may block, when its turn comes and for as long as it may take.
    ///
    /// # Errors
    /// 503 without a turn, 504 after the time, and what the question itself gives.
    pub(super) async fn read<T: Send + 'static>(
        self: &Arc<Self>,
        key: &str,
        question: impl FnOnce(&Shared) -> ApiResult<T> + Send + 'static,
    ) -> ApiResult<T> {
        let turn = self.view_turn().await?;
        let api = self.clone();
        let work = tokio::task::spawn_blocking(move || {
            let answer = question(&api);
            drop(turn);
            answer
        });
        match tokio::time::timeout(self.config.view_timeout.to_duration(), work).await {
            Ok(Ok(answer)) => answer,
            Ok(Err(e)) => Err(ApiError::internal(format!("the question could not be worked on: {e}"))),
            Err(_) => Err(ApiError::timeout("the answer takes too long").hint(format!("ask for less, or raise {key}"))),
        }
    }

    async fn turn(&self, turns: &Arc<Semaphore>, key: &str, most: usize) -> ApiResult<OwnedSemaphorePermit> {
        let wait = self.config.queue_timeout.to_duration();
        match tokio::time::timeout(wait, turns.clone().acquire_owned()).await {
            Ok(Ok(turn)) => Ok(turn),
            _ => Err(ApiError::busy(format!("{most} questions are being answered already"), 1)
                .hint(format!("ask again, or raise {key}"))),
        }
    }

    /// A place for one more stream.
    ///
    /// # Errors
    /// 503 when there is none.
    pub(super) fn stream_place(&self) -> ApiResult<OwnedSemaphorePermit> {
        let place = self.streams.clone().try_acquire_owned();
        self.streams_open.set(self.open_streams());
        place.map_err(|_| {
            self.streams_refused.fetch_add(1, Ordering::Relaxed);
            ApiError::busy(format!("{} streams are open already", self.config.live_max), 5)
                .hint("close a tab, or raise serving.live_max")
        })
    }

    /// Streams that are open.
    fn open_streams(&self) -> u64 {
        self.config.live_max.saturating_sub(self.streams.available_permits()) as u64
    }

    /// How many streams may be open, and are.
    pub(super) fn stream_bound(&self) -> Bound {
        self.streams_open.set(self.open_streams());
        let refused = self.streams_refused.load(Ordering::Relaxed);
        Bound { refused, ..self.streams_open.bound("serving.live_max", self.config.live_max as u64) }
    }

    /// Address by which this port is reached on this machine.
    pub(super) fn base_url(&self) -> String {
        format!("http://{}", self.address)
    }
}
