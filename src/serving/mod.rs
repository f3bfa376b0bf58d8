//! The private port: the only reader of both halves.
//!
//! Promises: a merged answer holds every event of the journal below `enriched` exactly once, at every moment, also while a
//! micro-batch commits ([`merge`]); everything that a caller can make it do is bounded in time, memory and number; nobody
//! but loopback gets in without a token unless the configuration says so ([`guard`]); every error has one shape.
//!
//! Handlers are one file a route; `routes.rs` is the table of them.

mod api;
mod audit;
mod body;
mod config;
mod dashboard;
mod demo;
mod deps;
mod error;
mod event_row;
mod facts;
mod failures;
mod guard;
mod health;
mod iglu;
mod live;
mod merge;
mod metrics;
mod openapi;
mod params;
mod question;
mod records;
mod replay;
mod reply;
mod routes;
mod segments;
mod session;
mod sql;
mod sse;
mod stage;
mod status;
mod tail;
#[cfg(test)]
mod tests;
mod token;
mod verify;
mod views;

pub use config::Config;
pub use demo::APP_ID as DEMO_APP_ID;
pub use deps::{Demo, Deps, EnrichAgain, FindEvent, JournalDoor, RawKind, RawRecord, SendDemo, SinkState, Ui};
pub use error::BuildError;
pub use guard::COOKIE;
pub use openapi::DOCUMENT as OPENAPI;
pub use stage::Serving;
pub use token::Token;

use crate::pipeline::bound::Level;
use api::Api;
use dashboard::Assets;
use guard::Guard;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use token::Keys;
use tokio::sync::Semaphore;

/// Checks the configuration, binds the address and puts the router together. Nothing answers before [`Serving::run`].
///
/// # Errors
/// [`BuildError`]: a value that cannot work, a token file that cannot be read, an address that cannot be bound; each names
/// its key.
pub fn build(config: &Config, deps: Deps) -> Result<Serving, BuildError> {
    if let Some((key, problem)) = config.check().into_iter().next() {
        return Err(BuildError::Config { key: format!("serving.{key}"), problem });
    }
    let wrong = |key: &str, problem| BuildError::Config { key: key.to_owned(), problem };
    let wanted = config.address().map_err(|problem| wrong("serving.listen", problem))?;
    let tokens = tokens(config)?;
    let listener = stage::bind(wanted)?;
    let address = listener.local_addr().map_err(|e| BuildError::bind(wanted, &e))?;
    let guard = Guard {
        keys: Keys::new(&tokens),
        allow_anonymous: config.allow_anonymous,
        loopback: address.ip().is_loopback(),
        allowed_hosts: config.allowed_hosts.iter().map(|h| h.to_ascii_lowercase()).collect(),
    };
    let started_ms = deps.clock.now_ms();
    let api = Arc::new(Api {
        guard,
        assets: Assets::embedded(),
        page_policy: routes::page_policy(&config.frame_ancestors),
        address,
        boot: uuid::Uuid::new_v4().to_string(),
        started_ms,
        sql_turns: Arc::new(Semaphore::new(config.sql_max_concurrent)),
        view_turns: Arc::new(Semaphore::new(config.view_max_concurrent)),
        streams: Arc::new(Semaphore::new(config.live_max)),
        streams_open: Level::default(),
        streams_refused: AtomicU64::new(0),
        hub: live::hub::Hub::new(),
        links: status::LinkRates::default(),
        metrics: metrics::ServingMetrics::register(&deps.metrics),
        config: config.clone(),
        deps,
    });
    Ok(Serving::new(listener, address, routes::router(api.clone()), api))
}

/// The tokens of the configuration and of its token file, in this order.
///
/// # Errors
/// A token file that cannot be read, or a line of it that is no token.
pub fn tokens(config: &Config) -> Result<Vec<Token>, BuildError> {
    let mut tokens = config.tokens.clone();
    if config.token_file.is_empty() {
        return Ok(tokens);
    }
    let path = &config.token_file;
    let text = std::fs::read_to_string(path).map_err(|error| BuildError::TokenFile { path: path.clone(), error })?;
    let lines = || text.lines().map(str::trim).filter(|l| !l.is_empty());
    let wrong = |problem: String| BuildError::Config { key: "serving.token_file".to_owned(), problem };
    for line in lines() {
        config::check_token(line).map_err(|problem| wrong(format!("\"{path}\": {problem}")))?;
        tokens.push(Token::from(line));
    }
    if lines().next().is_none() {
        return Err(wrong(format!("\"{path}\" holds no token: write one a line")));
    }
    Ok(tokens)
}
