//! A registry asked over HTTP.
//!
//! `GET {uri}/schemas/{vendor}/{name}/{format}/{version}` with header `apikey`. 200 is the document, 404 is "no", and
//! everything else is no answer. After no answer the registry is left alone for a growing pause: for one schema if it was a
//! reply (a 500 may be about that schema only), altogether if there was no connection.

use super::disk::{DiskCache, DiskConfig};
use super::{Answer, MAX_DOCUMENT, is_safe};
use crate::event::SchemaKey;
use crate::event::json::parse;
use crate::pipeline::backoff::Backoff;
use crate::schema::config::RegistryConfig;
use crate::schema::lookup::LookupError;
use crate::schema::validator::MAX_SCHEMA_DEPTH;
use parking_lot::Mutex;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::histogram::Histogram;
use std::io::Read;
use std::sync::OnceLock;
use std::time::{Duration, Instant};

const FIRST_PAUSE: Duration = Duration::from_millis(500);
const MOST_PAUSE: Duration = Duration::from_secs(60);
/// Schemas whose pauses are remembered; beyond it the table starts afresh.
const MAX_PAUSES: usize = 10_000;
/// How often a registry that the pipeline does not wait for is asked before it counts as silent, and after which time no
/// further try begins.
const TRIES_OF_OPTIONAL: usize = 3;
const PATIENCE: Duration = Duration::from_secs(1);

/// Metrics of all HTTP registries together.
#[derive(Clone, Debug)]
pub(in crate::schema) struct HttpMetrics {
    pub(in crate::schema) requests: Counter,
    pub(in crate::schema) failures: Counter,
    pub(in crate::schema) seconds: Histogram,
}

/// One registry.
#[derive(Debug)]
pub(in crate::schema) struct HttpRegistry {
    config: RegistryConfig,
    timeout: Duration,
    ttl: Duration,
    client: OnceLock<Result<reqwest::blocking::Client, String>>,
    disk: Option<DiskCache>,
    pauses: Mutex<Pauses>,
    metrics: HttpMetrics,
}

#[derive(Debug, Default)]
struct Pauses {
    all: Option<Pause>,
    by_schema: ahash::AHashMap<SchemaKey, Pause>,
}

#[derive(Debug)]
struct Pause {
    backoff: Backoff,
    until: Instant,
    error: LookupError,
}

impl Pause {
    fn left(&self) -> Option<Duration> {
        Some(self.until.saturating_duration_since(Instant::now())).filter(|left| !left.is_zero())
    }
}

/// Why a request gave nothing.
struct NoAnswer {
    error: LookupError,
    /// There was no connection, so other schemas will fare no better.
    connection: bool,
}

impl HttpRegistry {
    pub(in crate::schema) fn new(
        config: RegistryConfig,
        timeout: Duration,
        ttl: Duration,
        disk: DiskConfig<'_>,
        metrics: HttpMetrics,
    ) -> Self {
        let disk = DiskCache::new(disk, &config.name, &config.uri);
        HttpRegistry { config, timeout, ttl, client: OnceLock::new(), disk, pauses: Mutex::default(), metrics }
    }

    /// How it is configured.
    pub(in crate::schema) fn config(&self) -> &RegistryConfig {
        &self.config
    }

    /// Asks for a schema. `fresh`: a kept answer will not do unless the registry gives none. Without `network` only a kept
    /// answer will do, however old.
    pub(in crate::schema) fn ask(&self, key: &SchemaKey, fresh: bool, network: bool) -> Answer {
        if !is_safe(key) {
            return Answer::NotFound;
        }
        let kept = self.disk.as_ref().and_then(|disk| disk.get(key));
        if let Some((text, age)) = &kept
            && !fresh
            && (*age < self.ttl || !network)
        {
            return Answer::Found(text.clone());
        }
        if !network {
            return Answer::NotAsked;
        }
        let answer = self.ask_patiently(key);
        match (&answer, &self.disk, kept) {
            (Answer::Found(text), Some(disk), _) => disk.put(key, text),
            (Answer::NotFound, Some(disk), Some(_)) => disk.remove(key),
            (Answer::Failed(error, _), _, Some((text, _))) => {
                tracing::warn!(schema = %key, registry = self.config.name, ?error, "no answer; the kept schema stays in use");
                return Answer::Found(text);
            }
            _ => {}
        }
        answer
    }

    /// Asks over the network, unless a pause is on.
    fn ask_patiently(&self, key: &SchemaKey) -> Answer {
        {
            let pauses = self.pauses.lock();
            let pause =
                [pauses.all.as_ref(), pauses.by_schema.get(key)].into_iter().flatten().find(|p| p.left().is_some());
            if let Some(pause) = pause {
                return Answer::Failed(pause.error.clone(), pause.left().unwrap_or_default());
            }
        }
        let tries = if self.config.required { 1 } else { TRIES_OF_OPTIONAL };
        let mut backoff = Backoff::new(FIRST_PAUSE / 2, MOST_PAUSE);
        let mut last = None;
        let begin = Instant::now();
        for attempt in 0..tries {
            if attempt > 0 {
                if begin.elapsed() > PATIENCE {
                    break;
                }
                std::thread::sleep(backoff.pause());
            }
            match self.request(key) {
                Ok(answer) => {
                    let mut pauses = self.pauses.lock();
                    pauses.all = None;
                    pauses.by_schema.remove(key);
                    return answer;
                }
                Err(no_answer) => last = Some(no_answer),
            }
        }
        match last {
            None => Answer::NotFound,
            Some(no_answer) => {
                let left = self.pause(key, &no_answer);
                Answer::Failed(no_answer.error, left)
            }
        }
    }

    fn pause(&self, key: &SchemaKey, why: &NoAnswer) -> Duration {
        let mut pauses = self.pauses.lock();
        if pauses.by_schema.len() >= MAX_PAUSES {
            pauses.by_schema.clear();
        }
        let fresh = || Pause {
            backoff: Backoff::new(FIRST_PAUSE, MOST_PAUSE),
            until: Instant::now(),
            error: LookupError::NotFound,
        };
        let pause = if why.connection {
            pauses.all.get_or_insert_with(fresh)
        } else {
            pauses.by_schema.entry(key.clone()).or_insert_with(fresh)
        };
        let time = pause.backoff.pause();
        pause.until = Instant::now() + time;
        pause.error = why.error.clone();
        tracing::warn!(schema = %key, registry = self.config.name, error = ?why.error, pause_ms = time.as_millis(), "no answer");
        time
    }

    fn client(&self) -> Result<&reqwest::blocking::Client, String> {
        let client = self.client.get_or_init(|| {
            // An error says that the process has chosen one already.
            let _ = rustls::crypto::ring::default_provider().install_default();
            reqwest::blocking::Client::builder()
                .timeout(self.timeout)
                .connect_timeout(self.timeout)
                .user_agent(concat!("snowshed/", env!("CARGO_PKG_VERSION")))
                .redirect(reqwest::redirect::Policy::custom(same_host))
                .build()
                .map_err(|e| chain(&e))
        });
        client.as_ref().map_err(Clone::clone)
    }

    fn request(&self, key: &SchemaKey) -> Result<Answer, NoAnswer> {
        self.metrics.requests.inc();
        let begin = Instant::now();
        let result = self.exchange(key);
        self.metrics.seconds.observe(begin.elapsed().as_secs_f64());
        if result.is_err() {
            self.metrics.failures.inc();
        }
        result
    }

    fn exchange(&self, key: &SchemaKey) -> Result<Answer, NoAnswer> {
        let failure =
            |message: String, connection: bool| NoAnswer { error: LookupError::ClientFailure(message), connection };
        let url = format!("{}/schemas/{}", self.config.uri.trim_end_matches('/'), key.path());
        let mut request = self.client().map_err(|e| failure(e, true))?.get(&url);
        if let Some(api_key) = &self.config.api_key {
            request = request.header("apikey", api_key);
        }
        let response = request.send().map_err(|e| failure(chain(&e), true))?;
        let status = response.status();
        match status.as_u16() {
            200 => {}
            404 => return Ok(Answer::NotFound),
            500..=599 => {
                return Err(NoAnswer { error: LookupError::RepoFailure(format!("HTTP {status}")), connection: false });
            }
            _ => return Err(failure(format!("HTTP {status}"), false)),
        }
        let mut body = Vec::new();
        response
            .take(MAX_DOCUMENT as u64 + 1)
            .read_to_end(&mut body)
            .map_err(|e| failure(format!("the reply broke off: {e}"), true))?;
        if body.len() > MAX_DOCUMENT {
            return Err(failure(format!("the reply is larger than {MAX_DOCUMENT} bytes"), false));
        }
        let text = String::from_utf8(body).map_err(|_| failure("the reply is no UTF-8".to_owned(), false))?;
        match parse(&text, MAX_SCHEMA_DEPTH) {
            Ok(document) if document.as_object().is_some() => Ok(Answer::Found(text)),
            Ok(_) => Err(failure("the reply is no JSON object".to_owned(), false)),
            Err(e) => Err(failure(format!("the reply is no JSON: {e}"), false)),
        }
    }
}

/// A redirect to another host would carry the API key there.
fn same_host(attempt: reqwest::redirect::Attempt) -> reqwest::redirect::Action {
    let from = attempt.previous().first().and_then(|url| url.host_str());
    if attempt.previous().len() > 5 {
        attempt.error("too many redirects")
    } else if from == attempt.url().host_str() {
        attempt.follow()
    } else {
        attempt.stop()
    }
}

/// An error with its causes, without the address, which may hold a password.
fn chain(error: &reqwest::Error) -> String {
    let mut text = if error.is_timeout() { "timed out".to_owned() } else { "no connection".to_owned() };
    let mut cause = std::error::Error::source(error);
    while let Some(e) = cause {
        text = format!("{text}: {e}");
        cause = e.source();
    }
    text
}
