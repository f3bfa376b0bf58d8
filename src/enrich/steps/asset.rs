//! Data files that a configuration names by folder and file. Read once, before anything starts: enrichment itself never waits
//! for the network.

use serde::Serialize;
use std::io::Read;
use std::path::PathBuf;
use std::time::Duration;

/// Name of data that are part of the program.
pub(super) const BUILT_IN: &str = "built in";

/// A data file that a step was made from. Another checksum is another answer to the same event.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Asset {
    /// Identifier of the step that uses it.
    pub step: &'static str,
    /// Name of the file without its folder, which may hold a secret; `built in` for what the program brings along.
    pub name: String,
    /// CRC-32C of its content, eight hexadecimal digits.
    pub checksum: String,
    /// Its size.
    pub bytes: u64,
}

impl Asset {
    pub(super) fn new(step: &'static str, name: &str, content: &str) -> Self {
        let checksum = format!("{:08x}", crc32c::crc32c(content.as_bytes()));
        Asset { step, name: name.to_owned(), checksum, bytes: content.len() as u64 }
    }
}

/// Largest data file, in bytes.
const MAX_FILE: u64 = 64 << 20;
/// How often a web server is asked, how long each time, and the pause between.
const TRIES: usize = 3;
const TIMEOUT: Duration = Duration::from_secs(20);
const PAUSE: Duration = Duration::from_secs(1);

/// Reads `uri` + `/` + `file`: a `file:` URL, a path, or an address of a web server. Files in buckets are fetched beforehand by
/// whoever deploys.
pub(super) fn read(uri: &str, file: &str) -> Result<String, String> {
    let folder = match uri.split_once(':') {
        Some(("file", rest)) => {
            let path = rest.strip_prefix("//").unwrap_or(rest);
            path.strip_prefix("localhost").unwrap_or(path)
        }
        Some(("http" | "https", _)) => return download(&format!("{}/{file}", uri.trim_end_matches('/'))),
        Some((scheme, _)) if scheme.len() > 1 => {
            return Err(format!(
                "uri \"{uri}\": allowed are file:, http: and https: addresses and paths; fetch {file} beforehand and name its folder"
            ));
        }
        _ => uri,
    };
    let path = PathBuf::from(folder).join(file);
    let say = |e: std::io::Error| format!("{}: {e}", path.display());
    let opened = std::fs::File::open(&path).map_err(say)?;
    text(opened).map_err(|e| format!("{}: {e}", path.display()))
}

fn text(from: impl Read) -> Result<String, String> {
    let mut bytes = Vec::new();
    from.take(MAX_FILE + 1).read_to_end(&mut bytes).map_err(|e| e.to_string())?;
    if bytes.len() as u64 > MAX_FILE {
        return Err(format!("is larger than {MAX_FILE} bytes"));
    }
    String::from_utf8(bytes).map_err(|_| "is no UTF-8".to_owned())
}

fn download(url: &str) -> Result<String, String> {
    // The blocking client may not be used on a thread of an async runtime, and nobody here knows whether this is one.
    let fetched = std::thread::scope(|scope| scope.spawn(|| try_often(url)).join());
    fetched
        .unwrap_or_else(|_| Err("the download stopped on an internal error".to_owned()))
        .map_err(|e| format!("{url}: {e}"))
}

fn try_often(url: &str) -> Result<String, String> {
    // An error says that the process has chosen one already.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let client = reqwest::blocking::Client::builder().timeout(TIMEOUT).build().map_err(|e| e.to_string())?;
    let mut last = String::new();
    for attempt in 0..TRIES {
        if attempt > 0 {
            std::thread::sleep(PAUSE);
        }
        match client.get(url).send() {
            Ok(response) if response.status().is_success() => return text(response),
            Ok(response) => last = format!("the server said {}", response.status()),
            Err(e) => last = format!("cannot be fetched: {}", e.without_url()),
        }
    }
    Err(last)
}
