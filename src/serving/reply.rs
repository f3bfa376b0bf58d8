//! Replies that several routes give alike.

use super::error::ApiError;
use crate::event::json::write_string;
use axum::body::Body;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use serde_json::value::RawValue;

/// A JSON reply.
pub fn json(value: &impl Serialize) -> Response {
    match serde_json::to_vec(value) {
        Ok(bytes) => text("application/json", bytes),
        Err(e) => ApiError::internal(format!("the answer cannot be written: {e}")).into_response(),
    }
}

/// JSON text as a part of a reply, as it was written: a tree of ours would round what a double cannot hold. Text that is no
/// JSON becomes a JSON string.
pub fn verbatim(text: String) -> Box<RawValue> {
    let escaped = |text: &str| {
        let mut out = String::with_capacity(text.len() + 2);
        write_string(text, &mut out);
        out
    };
    // `write_string` makes a JSON string of any text, so the second try does not fail.
    RawValue::from_string(text.clone()).or_else(|_| RawValue::from_string(escaped(&text))).unwrap_or_default()
}

/// A JSON reply with another status.
pub fn json_status(status: StatusCode, value: &impl Serialize) -> Response {
    let mut response = json(value);
    *response.status_mut() = status;
    response
}

/// A reply of any type.
pub fn text(kind: &'static str, body: impl Into<Body>) -> Response {
    let mut response = Response::new(body.into());
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    response
}

#[cfg(test)]
mod tests {
    use super::verbatim;

    #[test]
    fn json_text_stays_as_it_was_and_other_text_becomes_a_string() {
        for text in ["123456789012345678901234567890.12345678901234567890", r#"{"b":1.10,"a":[null]}"#, "null"] {
            assert_eq!(verbatim(text.to_owned()).get(), text);
        }
        let deep = "[".repeat(10_000) + &"]".repeat(10_000);
        assert_eq!(verbatim(deep.clone()).get(), deep);
        for text in ["", "no \"json\"\n", "{\"a\":", "1 2"] {
            let back: String = serde_json::from_str(verbatim(text.to_owned()).get()).unwrap();
            assert_eq!(back, text);
        }
    }
}
