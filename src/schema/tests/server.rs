//! An HTTP registry for tests: says what it is told to say, and remembers what it was asked.

use parking_lot::Mutex;
use std::collections::HashMap;
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::time::Duration;

#[derive(Clone, Default)]
pub struct State {
    /// Status and body by path; anything else is 404.
    pub replies: HashMap<String, (u16, String)>,
    /// Extra header lines of every reply.
    pub headers: Vec<String>,
    /// Close connections without a reply.
    pub is_down: bool,
    pub delay: Duration,
    /// Request lines and headers.
    pub requests: Vec<String>,
}

pub struct Server {
    pub address: String,
    pub state: Arc<Mutex<State>>,
}

impl Server {
    pub fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let state: Arc<Mutex<State>> = Arc::default();
        let shared = state.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let state = shared.clone();
                std::thread::spawn(move || answer(stream, &state));
            }
        });
        Server { address, state }
    }

    pub fn says(&self, schema: &str, status: u16, body: &str) {
        self.state.lock().replies.insert(format!("/schemas/{schema}"), (status, body.to_owned()));
    }

    pub fn asked(&self) -> usize {
        self.state.lock().requests.len()
    }

    pub fn goes_down(&self, is_down: bool) {
        self.state.lock().is_down = is_down;
    }
}

fn answer(stream: TcpStream, state: &Mutex<State>) {
    let mut lines = BufReader::new(stream.try_clone().unwrap()).lines();
    while let Some(Ok(first)) = lines.next() {
        let mut request = first.clone();
        while let Some(Ok(line)) = lines.next()
            && !line.is_empty()
        {
            request = format!("{request}\n{}", line.to_ascii_lowercase());
        }
        let now = {
            let mut state = state.lock();
            state.requests.push(request);
            state.clone()
        };
        std::thread::sleep(now.delay);
        if now.is_down {
            return;
        }
        let path = first.split(' ').nth(1).unwrap_or("");
        let (status, body) = now.replies.get(path).cloned().unwrap_or((404, "{}".to_owned()));
        let headers: String = now.headers.iter().map(|h| format!("{h}\r\n")).collect();
        let reply = format!("HTTP/1.1 {status} X\r\ncontent-length: {}\r\n{headers}\r\n{body}", body.len());
        if (&stream).write_all(reply.as_bytes()).is_err() {
            return;
        }
    }
}
