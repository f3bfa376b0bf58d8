//! Starts the program, talks to it, kills it.

use serde_json::{Value, json};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

pub const TP2: &str = "/com.snowplowanalytics.snowplow/tp2";

/// A running program with its data in a temporary folder (or one that was given).
pub struct Instance {
    pub collector: SocketAddr,
    pub serving: SocketAddr,
    pub child: Child,
    pub log: Arc<Mutex<String>>,
}

/// How to start it.
#[derive(Clone, Default)]
pub struct Setup {
    pub env: Vec<(String, String)>,
    pub config: Option<PathBuf>,
}

impl Setup {
    pub fn set(mut self, key: &str, value: &str) -> Self {
        let name = format!("SNOWSHED__{}", key.to_uppercase().replace('.', "__"));
        self.env.push((name, value.to_owned()));
        self
    }
    pub fn env(mut self, key: &str, value: &str) -> Self {
        self.env.push((key.to_owned(), value.to_owned()));
        self
    }
}

pub fn binary() -> &'static str {
    env!("CARGO_BIN_EXE_snowshed")
}

/// Two ports that nobody listens on at the moment.
pub fn free_ports() -> (u16, u16) {
    let a = TcpListener::bind("127.0.0.1:0").unwrap();
    let b = TcpListener::bind("127.0.0.1:0").unwrap();
    (a.local_addr().unwrap().port(), b.local_addr().unwrap().port())
}

pub fn command(data: &Path, collector: u16, serving: u16, setup: &Setup) -> Command {
    let mut command = Command::new(binary());
    command
        .env("SNOWSHED__DATA_DIR", data)
        .env("SNOWSHED__COLLECTOR__LISTEN", format!("127.0.0.1:{collector}"))
        .env("SNOWSHED__SERVING__LISTEN", format!("127.0.0.1:{serving}"))
        .env("SNOWSHED__BATCH__MAX_AGE", "1s")
        .envs(setup.env.iter().map(|(k, v)| (k.as_str(), v.as_str())))
        .stdin(Stdio::null());
    if let Some(config) = &setup.config {
        command.arg("-c").arg(config);
    }
    command.arg("run");
    command
}

impl Instance {
    /// Starts it and waits until it is ready.
    pub fn start(data: &Path, setup: &Setup) -> Self {
        let (collector, serving) = free_ports();
        Self::start_at(data, collector, serving, setup)
    }

    pub fn start_at(data: &Path, collector: u16, serving: u16, setup: &Setup) -> Self {
        let instance = Self::spawn(data, collector, serving, setup);
        instance.wait_ready(Duration::from_secs(60));
        instance
    }

    /// Starts it without waiting.
    pub fn spawn(data: &Path, collector: u16, serving: u16, setup: &Setup) -> Self {
        let mut child = command(data, collector, serving, setup)
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the program starts");
        let log = Arc::new(Mutex::new(String::new()));
        let stderr = child.stderr.take().unwrap();
        let sink = log.clone();
        std::thread::spawn(move || {
            for line in BufReader::new(stderr).lines().map_while(Result::ok) {
                let mut log = sink.lock().unwrap();
                log.push_str(&line);
                log.push('\n');
            }
        });
        let at = |port| SocketAddr::from(([127, 0, 0, 1], port));
        Instance { collector: at(collector), serving: at(serving), child, log }
    }

    pub fn wait_ready(&self, time: Duration) {
        let end = Instant::now() + time;
        while Instant::now() < end {
            if let Ok((200, _)) = http(self.serving, "GET", "/health/ready", &[], b"") {
                return;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        panic!("not ready in {time:?}; its log:\n{}", self.log.lock().unwrap());
    }

    /// Waits until the collector listens or the process has ended.
    pub fn wait_listening(&mut self, time: Duration) {
        let end = Instant::now() + time;
        while Instant::now() < end
            && matches!(self.child.try_wait(), Ok(None))
            && TcpStream::connect(self.collector).is_err()
        {
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// As kill -9.
    pub fn kill(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// SIGTERM, then waits for the orderly end; true if the exit code is 0.
    pub fn stop(&mut self) -> bool {
        let _ = Command::new("kill").args(["-TERM", &self.child.id().to_string()]).status();
        let end = Instant::now() + Duration::from_secs(60);
        while Instant::now() < end {
            if let Ok(Some(status)) = self.child.try_wait() {
                return status.success();
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        self.kill();
        false
    }

    pub fn get(&self, path: &str) -> Value {
        let (status, body) = http(self.serving, "GET", path, &[], b"").expect("an answer");
        assert_eq!(status, 200, "GET {path}: {}", String::from_utf8_lossy(&body));
        serde_json::from_slice(&body).unwrap_or_else(|e| panic!("GET {path}: {e}: {}", String::from_utf8_lossy(&body)))
    }

    /// Rows of a query over both layers.
    pub fn sql(&self, sql: &str) -> Vec<Vec<Value>> {
        let body = json!({"sql": sql}).to_string();
        let (status, reply) =
            http(self.serving, "POST", "/v1/sql", &["content-type: application/json"], body.as_bytes())
                .expect("an answer");
        let text = String::from_utf8_lossy(&reply).into_owned();
        assert_eq!(status, 200, "{sql}: {text}");
        let reply: Value = serde_json::from_str(&text).unwrap();
        reply["rows"].as_array().unwrap().iter().map(|r| r.as_array().unwrap().clone()).collect()
    }

    /// One number of a query over both layers.
    pub fn count(&self, sql: &str) -> u64 {
        let rows = self.sql(sql);
        let cell = &rows[0][0];
        cell.as_u64().or_else(|| cell.as_str().and_then(|s| s.parse().ok())).unwrap_or_else(|| panic!("{sql}: {cell}"))
    }

    pub fn status(&self) -> Value {
        self.get("/v1/status")
    }

    /// Waits until everything that is journalled is enriched and committed.
    pub fn settle(&self) -> Value {
        let end = Instant::now() + Duration::from_secs(60);
        loop {
            let s = self.status();
            if s["journal_end"] == s["enriched"] && s["enriched"] == s["boundary"]["offset"] {
                return s;
            }
            assert!(Instant::now() < end, "it does not settle: {s}\n{}", self.log.lock().unwrap());
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// Waits until everything that is journalled is in the merged answers.
    pub fn caught_up(&self) -> Value {
        let end = Instant::now() + Duration::from_secs(60);
        loop {
            let s = self.status();
            if s["journal_end"] == s["enriched"] {
                return s;
            }
            assert!(Instant::now() < end, "it does not catch up: {s}\n{}", self.log.lock().unwrap());
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// Sends events in one POST; the status.
    pub fn post(&self, events: &[Value]) -> u16 {
        let body = envelope(events);
        http(self.collector, "POST", TP2, &["content-type: application/json; charset=UTF-8"], body.as_bytes())
            .map_or(0, |r| r.0)
    }
}

impl Drop for Instance {
    fn drop(&mut self) {
        self.kill();
    }
}

pub fn envelope(events: &[Value]) -> String {
    json!({"schema": "iglu:com.snowplowanalytics.snowplow/payload_data/jsonschema/1-0-4", "data": events}).to_string()
}

/// A page view with a fresh id; `more` adds or replaces parameters.
pub fn page_view(app: &str, more: &[(&str, &str)]) -> (String, Value) {
    let id = uuid::Uuid::new_v4().to_string();
    let mut event = json!({
        "e": "pv", "eid": id, "tv": "js-4.10.1", "p": "web", "aid": app, "duid": uuid::Uuid::new_v4().to_string(),
        "url": "https://shop.example/cars/1?x=1", "page": "Cars", "dtm": "1764000000000", "stm": "1764000000100",
    });
    for (key, value) in more {
        event[*key] = json!(value);
    }
    (event["eid"].as_str().unwrap_or_default().to_owned(), event)
}

/// One request over its own connection.
pub fn http(
    to: SocketAddr,
    method: &str,
    path: &str,
    headers: &[&str],
    body: &[u8],
) -> std::io::Result<(u16, Vec<u8>)> {
    let mut stream = TcpStream::connect_timeout(&to, Duration::from_secs(5))?;
    stream.set_read_timeout(Some(Duration::from_secs(60)))?;
    let mut head = format!("{method} {path} HTTP/1.1\r\nHost: 127.0.0.1:{}\r\nConnection: close\r\n", to.port());
    for header in headers {
        head.push_str(header);
        head.push_str("\r\n");
    }
    if method == "POST" || !body.is_empty() {
        head.push_str(&format!("Content-Length: {}\r\n", body.len()));
    }
    head.push_str("\r\n");
    let mut request = head.into_bytes();
    request.extend_from_slice(body);
    // A server that refuses a large body answers before it has read it all.
    let _ = stream.write_all(&request);
    let mut reply = Vec::new();
    let end = stream.read_to_end(&mut reply);
    parse_reply(&reply).ok_or_else(|| end.err().unwrap_or_else(|| std::io::ErrorKind::UnexpectedEof.into()))
}

fn parse_reply(reply: &[u8]) -> Option<(u16, Vec<u8>)> {
    let split = reply.windows(4).position(|w| w == b"\r\n\r\n")?;
    let head = String::from_utf8_lossy(&reply[..split]).to_ascii_lowercase();
    let status = head.split(' ').nth(1)?.parse().ok()?;
    let body = &reply[split + 4..];
    if !head.contains("transfer-encoding: chunked") {
        return Some((status, body.to_vec()));
    }
    let mut out = Vec::new();
    let mut rest = body;
    loop {
        let line = rest.windows(2).position(|w| w == b"\r\n")?;
        let size =
            usize::from_str_radix(std::str::from_utf8(&rest[..line]).ok()?.split(';').next()?.trim(), 16).ok()?;
        if size == 0 {
            return Some((status, out));
        }
        out.extend_from_slice(rest.get(line + 2..line + 2 + size)?);
        rest = rest.get(line + 4 + size..)?;
    }
}

/// The folder of real components, when they are installed.
pub fn components() -> Option<PathBuf> {
    let dir = PathBuf::from(std::env::var_os("SNOWSHED_COMPONENTS")?);
    dir.is_dir().then_some(dir)
}

/// Says why a test is skipped, past the test runner, which would keep it to itself. In CI nothing may be skipped.
pub fn skip(why: &str) {
    assert!(std::env::var("CI").as_deref() != Ok("true"), "CI skips nothing: {why}");
    let _ = writeln!(std::io::stderr(), "skip: {why}");
}

/// All Parquet files of a lake folder.
pub fn parquet_files(lake: &Path) -> Vec<PathBuf> {
    let mut out = Vec::new();
    let mut todo = vec![lake.to_owned()];
    while let Some(dir) = todo.pop() {
        for entry in std::fs::read_dir(&dir).into_iter().flatten().flatten() {
            let path = entry.path();
            if path.is_dir() {
                todo.push(path);
            } else if path.extension().is_some_and(|e| e == "parquet") {
                out.push(path);
            }
        }
    }
    out.sort();
    out
}
