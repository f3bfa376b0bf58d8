//! `GET /v1/failed`: failed events by cause, from both halves, with what to do about each.

mod explain;
mod words;

pub use explain::{Advice, Explained, explain};

use super::api::Shared;
use super::error::{ApiError, ApiResult};
use crate::event::{Cause, SchemaKey};
use axum::extract::{RawQuery, State};
use sha2::{Digest, Sha256};

/// Name of a cause: the same for all failures that differ only in values.
pub fn cause_id(cause: &Cause) -> String {
    id(cause.kind.name(), &cause.failure, cause.schema.as_deref(), cause.path.as_deref(), cause.keyword.as_deref())
}

fn id(kind: &str, failure: &str, schema: Option<&str>, path: Option<&str>, keyword: Option<&str>) -> String {
    let mut hash = Sha256::new();
    for part in [Some(kind), Some(failure), schema, path, keyword] {
        match part {
            Some(text) => {
                hash.update((text.len() as u64).to_le_bytes());
                hash.update(text.as_bytes());
            }
            None => hash.update(u64::MAX.to_le_bytes()),
        }
    }
    hash.finalize().iter().take(8).map(|b| format!("{b:02x}")).collect()
}

/// Looks up what explanations need in this process.
#[derive(Clone, Debug)]
pub struct LocalAdvice {
    api: Shared,
    base_url: String,
}

impl LocalAdvice {
    /// Advice for whoever reaches this port on this machine.
    pub fn new(api: &Shared) -> Self {
        LocalAdvice { base_url: api.base_url(), api: api.clone() }
    }
}

impl Advice for LocalAdvice {
    fn schemas(&self, prefix: &str) -> Vec<SchemaKey> {
        self.api.deps.registry.list(prefix)
    }
    fn base_url(&self) -> &str {
        &self.base_url
    }
}

pub(super) async fn get(State(_api): State<Shared>, RawQuery(_query): RawQuery) -> ApiResult {
    Err(ApiError::internal("later"))
}
