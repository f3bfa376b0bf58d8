//! The files of the page under addresses that change with their content.
//!
//! Everything but `index.html` is served from `assets/<hash>/`, where the hash covers all files: browsers may keep such a
//! file for ever, and a new build is a new folder, so that old and new modules never mix. Module imports are relative and
//! stay inside the folder. `index.html` is rewritten once to point there, and is never kept.

use axum::body::Body;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::Response;
use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use rust_embed::RustEmbed;
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::io::Write;

#[derive(RustEmbed)]
#[folder = "src/serving/dashboard/ui"]
struct Embedded;

/// The files, ready to be sent.
pub struct Assets {
    /// Folder name of this build.
    version: String,
    files: BTreeMap<String, File>,
    index: File,
}

struct File {
    kind: &'static str,
    plain: Bytes,
    gzip: Bytes,
}

impl std::fmt::Debug for Assets {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Assets({}, {} files)", self.version, self.files.len())
    }
}

/// Name of the page among the files.
const INDEX: &str = "index.html";

impl Assets {
    /// The embedded files.
    pub fn embedded() -> Self {
        let files = Embedded::iter().filter_map(|name| {
            let file = Embedded::get(&name)?;
            Some((name.into_owned(), file.data.into_owned()))
        });
        Self::new(files.collect())
    }

    /// Any set of files; names are relative to the folder of the page.
    pub fn new(mut files: BTreeMap<String, Vec<u8>>) -> Self {
        let mut hash = Sha256::new();
        for (name, data) in &files {
            hash.update(name.as_bytes());
            hash.update([0]);
            hash.update((data.len() as u64).to_le_bytes());
            hash.update(data);
        }
        let version: String = hash.finalize().iter().take(8).map(|b| format!("{b:02x}")).collect();
        let index = files.remove(INDEX).unwrap_or_default();
        let index = rewrite(&String::from_utf8_lossy(&index), &version, files.keys());
        let index = File::new(INDEX, index.into_bytes());
        let files = files.into_iter().map(|(name, data)| (name.clone(), File::new(&name, data))).collect();
        Assets { version, files, index }
    }

    /// The page.
    pub fn page(&self, request: &HeaderMap) -> Response {
        let mut response = self.index.response(request);
        response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
        response
    }

    /// One file of this build; `None` for another build or an unknown name.
    pub fn file(&self, version: &str, name: &str, request: &HeaderMap) -> Option<Response> {
        let file = self.files.get(name).filter(|_| version == self.version)?;
        let mut response = file.response(request);
        let forever = HeaderValue::from_static("public, max-age=31536000, immutable");
        response.headers_mut().insert(header::CACHE_CONTROL, forever);
        Some(response)
    }
}

impl File {
    fn new(name: &str, data: Vec<u8>) -> Self {
        let mut encoder = GzEncoder::new(Vec::with_capacity(data.len() / 2), Compression::best());
        // Writing into a vector cannot fail; an empty result would only mean that the file goes out uncompressed.
        let gzip = encoder.write_all(&data).and_then(|()| encoder.finish()).unwrap_or_default();
        File { kind: kind(name), plain: data.into(), gzip: gzip.into() }
    }

    fn response(&self, request: &HeaderMap) -> Response {
        let accepts = |v: &HeaderValue| v.to_str().is_ok_and(|v| v.split(',').any(|e| accepts_gzip(e.trim())));
        let zipped = !self.gzip.is_empty()
            && self.gzip.len() < self.plain.len()
            && request.get_all(header::ACCEPT_ENCODING).iter().any(accepts);
        let body = if zipped { &self.gzip } else { &self.plain };
        let mut response = Response::new(Body::from(body.clone()));
        *response.status_mut() = StatusCode::OK;
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(self.kind));
        headers.insert(header::VARY, HeaderValue::from_static("Accept-Encoding"));
        if zipped {
            headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
        }
        response
    }
}

fn accepts_gzip(item: &str) -> bool {
    let mut parts = item.split(';').map(str::trim);
    matches!(parts.next(), Some("gzip" | "*")) && !parts.any(|p| matches!(p, "q=0" | "q=0.0" | "q=0.00" | "q=0.000"))
}

fn kind(name: &str) -> &'static str {
    match name.rsplit_once('.').map_or("", |(_, end)| end) {
        "html" => "text/html; charset=utf-8",
        "css" => "text/css; charset=utf-8",
        "js" | "mjs" => "text/javascript; charset=utf-8",
        "json" | "map" => "application/json",
        "svg" => "image/svg+xml",
        "png" => "image/png",
        "ico" => "image/x-icon",
        "woff2" => "font/woff2",
        "txt" => "text/plain; charset=utf-8",
        _ => "application/octet-stream",
    }
}

/// Points `src` and `href` attributes that name a file of the page into the folder of this build, and lets the browser
/// fetch all modules at once instead of one import after the other.
fn rewrite<'a>(html: &str, version: &str, names: impl Iterator<Item = &'a String>) -> String {
    let mut html = html.to_owned();
    let mut preloads = String::new();
    for name in names {
        let target = format!("assets/{version}/{name}");
        for attribute in ["src", "href"] {
            for prefix in ["", "./"] {
                html = html.replace(&format!("{attribute}=\"{prefix}{name}\""), &format!("{attribute}=\"{target}\""));
            }
        }
        if name.ends_with(".js") {
            preloads.push_str(&format!("<link rel=\"modulepreload\" href=\"{target}\">\n"));
        }
    }
    match html.find("</head>") {
        Some(at) => html.insert_str(at, &preloads),
        None => html.push_str(&preloads),
    }
    html
}

#[cfg(test)]
mod tests {
    use super::*;

    fn assets(script: &str) -> Assets {
        let file = |name: &str, data: &str| (name.to_owned(), data.as_bytes().to_vec());
        Assets::new(BTreeMap::from([
            file(
                "index.html",
                "<head><script type=\"module\" src=\"./app.js\"></script></head><a href=\"#/live\">x</a>",
            ),
            file("app.js", script),
        ]))
    }

    #[test]
    fn the_folder_changes_with_the_content() {
        let (a, b) = (assets("let a;"), assets("let b;"));
        assert_ne!(a.version, b.version);
        assert_eq!(a.version, assets("let a;").version);
        let none = HeaderMap::new();
        assert!(a.file(&a.version, "app.js", &none).is_some());
        assert!(a.file(&b.version, "app.js", &none).is_none());
        assert!(a.file(&a.version, "../app.js", &none).is_none());
        let page = String::from_utf8(a.index.plain.to_vec()).unwrap();
        assert!(page.contains(&format!("src=\"assets/{}/app.js\"", a.version)), "{page}");
        assert!(page.contains("modulepreload") && page.contains("href=\"#/live\""), "{page}");
    }

    #[test]
    fn the_page_stays_inside_its_budget() {
        let page = Assets::embedded();
        let sent: usize = page.files.values().chain([&page.index]).map(|f| f.gzip.len()).sum();
        assert!(sent > 1000 && sent <= 150 * 1024, "{sent} bytes compressed");
        assert!(page.files.len() < 60, "{} requests", page.files.len());
    }

    #[test]
    fn compressed_only_for_those_who_take_it() {
        let a = assets(&"let a = 1;\n".repeat(100));
        let mut headers = HeaderMap::new();
        let encoding =
            |h: &HeaderMap| a.file(&a.version, "app.js", h).unwrap().headers().get("content-encoding").cloned();
        assert_eq!(encoding(&headers), None);
        headers.insert("accept-encoding", HeaderValue::from_static("br, gzip;q=0.8"));
        assert_eq!(encoding(&headers).unwrap(), "gzip");
        headers.insert("accept-encoding", HeaderValue::from_static("gzip;q=0"));
        assert_eq!(encoding(&headers), None);
    }
}
