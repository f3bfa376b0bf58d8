//! The one shape of every error of the private port, and why the port cannot be opened.

use axum::body::Body;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::json;
use std::io;
use std::net::SocketAddr;

/// Why the private port could not be built.
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    /// A value of `[serving]` cannot work.
    #[error("{key}: {problem}")]
    Config {
        /// The key.
        key: String,
        /// What is wrong and what is allowed.
        problem: String,
    },
    /// The address cannot be bound.
    #[error("serving.listen = \"{address}\": {reason}")]
    Bind {
        /// What was to be bound.
        address: SocketAddr,
        /// What the system said, in words.
        reason: String,
    },
    /// The token file cannot be read.
    #[error("serving.token_file = \"{path}\": {error}")]
    TokenFile {
        /// The file.
        path: String,
        /// What the system said.
        error: io::Error,
    },
}

impl BuildError {
    /// Words for a failed bind.
    pub(super) fn bind(address: SocketAddr, error: &io::Error) -> Self {
        let reason = match error.kind() {
            io::ErrorKind::AddrInUse => {
                "the port is in use by another process: stop it, or choose another port for this key".to_owned()
            }
            io::ErrorKind::PermissionDenied => {
                "not permitted: ports below 1024 need a privilege; choose a higher one".to_owned()
            }
            io::ErrorKind::AddrNotAvailable => "this machine has no such address".to_owned(),
            _ => error.to_string(),
        };
        BuildError::Bind { address, reason }
    }
}

/// An error reply: `{"error":{"code","message","hint"}}`. `code` is stable, the rest is for people.
#[derive(Debug)]
pub struct ApiError {
    status: StatusCode,
    code: &'static str,
    message: String,
    hint: Option<String>,
    retry_after: Option<u32>,
}

/// What a handler gives.
pub type ApiResult<T = Response> = Result<T, ApiError>;

impl ApiError {
    /// An error with any status.
    pub fn new(status: StatusCode, code: &'static str, message: impl Into<String>) -> Self {
        ApiError { status, code, message: message.into(), hint: None, retry_after: None }
    }

    /// 400: a parameter or body that cannot be understood.
    pub fn bad(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "bad_parameter", message)
    }

    /// 404.
    pub fn not_found(message: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, "not_found", message)
    }

    /// 503 with `Retry-After`: a bound of this server is reached.
    pub fn busy(message: impl Into<String>, retry_after_s: u32) -> Self {
        let mut e = Self::new(StatusCode::SERVICE_UNAVAILABLE, "busy", message);
        e.retry_after = Some(retry_after_s.max(1));
        e
    }

    /// 503: the warehouse or another part cannot answer now.
    pub fn unavailable(message: impl Into<String>) -> Self {
        let mut e = Self::new(StatusCode::SERVICE_UNAVAILABLE, "unavailable", message);
        e.retry_after = Some(1);
        e
    }

    /// 504: it took longer than allowed.
    pub fn timeout(message: impl Into<String>) -> Self {
        Self::new(StatusCode::GATEWAY_TIMEOUT, "timeout", message)
    }

    /// 500: a fault of the program.
    pub fn internal(message: impl Into<String>) -> Self {
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", message)
    }

    /// Adds what to do about it.
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// The body, for a reply that is a stream already.
    pub fn body(&self) -> String {
        json!({"error": {"code": self.code, "message": self.message, "hint": self.hint}}).to_string()
    }

    /// The stable code.
    pub fn code(&self) -> &'static str {
        self.code
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let mut response = Response::new(Body::from(self.body()));
        *response.status_mut() = self.status;
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        if let Some(s) = self.retry_after {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(s));
        }
        if self.status == StatusCode::UNAUTHORIZED {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer realm=\"snowshed\""));
        }
        response
    }
}
