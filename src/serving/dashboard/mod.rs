//! The page at `/`: files embedded in the program, and the headers that make hostile event data harmless in a browser.
//!
//! The page itself holds no data; it asks the API like anybody else. `ui/` is plain HTML, CSS and ES modules: no bundler,
//! no framework, nothing from another origin.

mod assets;

pub use assets::Assets;

use axum::http::HeaderValue;

/// The content security policy of the page. `frame_ancestors` says who may show it in a frame.
pub fn policy(frame_ancestors: &[String]) -> Option<HeaderValue> {
    let ancestors = if frame_ancestors.is_empty() { "'none'".to_owned() } else { frame_ancestors.join(" ") };
    HeaderValue::from_str(&format!(
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; base-uri 'none'; \
         form-action 'none'; frame-ancestors {ancestors}; require-trusted-types-for 'script'; trusted-types 'none'"
    ))
    .ok()
}
