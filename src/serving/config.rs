//! `[serving]`: where the private port listens, who may use it, and how much one question may cost.

use super::token::Token;
use crate::platform::units::{ByteSize, Span};
use serde::{Deserialize, Serialize};
use std::net::{SocketAddr, ToSocketAddrs};

/// `[serving]`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Address of the private port. Loopback by default; any other address needs a token (or `allow_anonymous`).
    pub listen: String,
    /// Tokens that open the private port; each at least 16 characters. Sent as `Authorization: Bearer …`.
    pub tokens: Vec<Token>,
    /// File with further tokens, one a line (a Docker or Kubernetes secret); empty for none.
    pub token_file: String,
    /// Lets anybody who reaches the port read. Writing (uploading schemas) still needs a token on a port that is not loopback.
    pub allow_anonymous: bool,
    /// Host names with dots by which browsers may reach this port (`"board.example.com"`); others are refused, because a
    /// web page could otherwise point its own name at this address. IP addresses, single-label names and `.localhost`,
    /// `.local`, `.internal` need not be listed.
    pub allowed_hosts: Vec<String>,
    /// Origins that may show the dashboard in a frame (`"https://portal.example.com"`).
    pub frame_ancestors: Vec<String>,
    /// How long a browser stays signed in.
    pub session_ttl: Span,
    /// Most open connections.
    pub max_connections: usize,
    /// Largest request body.
    pub max_body: ByteSize,
    /// Longest time for a request to arrive, headers and body each.
    pub request_timeout: Span,
    /// Most rows (bucket × group) that one view answer may have.
    pub view_max_rows: usize,
    /// Longest time for a view answer or an audit.
    pub view_timeout: Span,
    /// View answers and audits that may read the warehouse at the same time; others wait for `queue_timeout`.
    pub view_max_concurrent: usize,
    /// Most rows of a JSON answer of `/v1/sql`; what is beyond is cut and said.
    pub sql_max_rows: usize,
    /// Most rows of an NDJSON, CSV or Arrow answer of `/v1/sql`; beyond it the transfer is broken off.
    pub sql_stream_max_rows: usize,
    /// Largest JSON answer of `/v1/sql` in memory; what is beyond is cut and said.
    pub sql_max_bytes: ByteSize,
    /// Longest time for one SQL statement, its transfer included.
    pub sql_timeout: Span,
    /// SQL statements that may run at the same time; others wait for `queue_timeout`.
    pub sql_max_concurrent: usize,
    /// How long a question waits for its turn before it is answered 503.
    pub queue_timeout: Span,
    /// Most open streams (`/v1/live` and `/v1/tail` together); further ones are answered 503.
    pub live_max: usize,
    /// Allows `POST /v1/demo` also when the journal is not empty.
    pub allow_demo: bool,
}

impl Default for Config {
    fn default() -> Self {
        Config {
            listen: "127.0.0.1:9090".to_owned(),
            tokens: Vec::new(),
            token_file: String::new(),
            allow_anonymous: false,
            allowed_hosts: Vec::new(),
            frame_ancestors: Vec::new(),
            session_ttl: Span::from_secs(30 * 86_400),
            max_connections: 512,
            max_body: ByteSize::mib(1),
            request_timeout: Span::from_secs(10),
            view_max_rows: 200_000,
            view_timeout: Span::from_secs(30),
            view_max_concurrent: 4,
            sql_max_rows: 10_000,
            sql_stream_max_rows: 10_000_000,
            sql_max_bytes: ByteSize::mib(64),
            sql_timeout: Span::from_secs(60),
            sql_max_concurrent: 4,
            queue_timeout: Span::from_secs(5),
            live_max: 64,
            allow_demo: false,
        }
    }
}

/// Shortest token that is taken.
const TOKEN_MIN: usize = 16;

impl Config {
    /// Values that cannot work, as (key within the section, problem and what is allowed).
    pub fn check(&self) -> Vec<(String, String)> {
        let mut bad = Vec::new();
        let mut say = |key: &str, problem: String| bad.push((key.to_owned(), problem));
        match self.address() {
            Err(problem) => say("listen", problem),
            Ok(addr) if !addr.ip().is_loopback() && self.is_open() && !self.allow_anonymous => say(
                "listen",
                format!(
                    "{addr} can be reached from other machines and no token is set: set serving.tokens or \
                     serving.token_file, listen on 127.0.0.1, or set serving.allow_anonymous = true"
                ),
            ),
            Ok(_) => {}
        }
        for token in &self.tokens {
            if let Err(problem) = check_token(token.text()) {
                say("tokens", problem);
            }
        }
        for host in &self.allowed_hosts {
            if host.is_empty() || host.contains(['/', ':', ' ', '*']) {
                say("allowed_hosts", format!("\"{host}\" is no host name: write it without scheme, port and wildcard"));
            }
        }
        for origin in &self.frame_ancestors {
            let allowed = origin == "'self'" || origin.starts_with("https://") || origin.starts_with("http://");
            if !allowed || origin.contains([';', ',', ' ', '\n', '\r', '"']) || !origin.is_ascii() {
                say(
                    "frame_ancestors",
                    format!("\"{origin}\" is no origin: write it as in \"https://portal.example.com\""),
                );
            }
        }
        for (key, span, least, most) in [
            ("session_ttl", self.session_ttl, 60_000, 400 * 86_400_000),
            ("request_timeout", self.request_timeout, 100, 600_000),
            ("view_timeout", self.view_timeout, 100, 3_600_000),
            ("sql_timeout", self.sql_timeout, 100, 86_400_000),
            ("queue_timeout", self.queue_timeout, 0, 600_000),
        ] {
            if !(least..=most).contains(&span.as_millis()) {
                let (least, most) = (Span::from_millis(least), Span::from_millis(most));
                say(key, format!("{span} is out of range: {least} to {most}"));
            }
        }
        for (key, n, most) in [
            ("max_connections", self.max_connections, 1_000_000),
            ("view_max_rows", self.view_max_rows, 10_000_000),
            ("view_max_concurrent", self.view_max_concurrent, 256),
            ("sql_max_rows", self.sql_max_rows, 10_000_000),
            ("sql_stream_max_rows", self.sql_stream_max_rows, 1_000_000_000_000),
            ("sql_max_concurrent", self.sql_max_concurrent, 256),
            ("live_max", self.live_max, 100_000),
        ] {
            if n == 0 || n > most {
                say(key, format!("{n} is out of range: 1 to {most}"));
            }
        }
        for (key, size, most) in [
            ("max_body", self.max_body, ByteSize::mib(1024)),
            ("sql_max_bytes", self.sql_max_bytes, ByteSize::mib(65_536)),
        ] {
            if size.0 < 1024 || size > most {
                say(key, format!("{size} is out of range: 1 KiB to {most}"));
            }
        }
        bad
    }

    /// The address to bind.
    ///
    /// # Errors
    /// What was read and what is allowed.
    pub fn address(&self) -> Result<SocketAddr, String> {
        if let Ok(addr) = self.listen.parse() {
            return Ok(addr);
        }
        let bad = || {
            format!("\"{}\" is no address: write IP and port as in \"127.0.0.1:9090\" or \"[::1]:9090\"", self.listen)
        };
        // The one name that never leaves the machine.
        match self.listen.rsplit_once(':') {
            Some(("localhost", _)) => self.listen.to_socket_addrs().ok().and_then(|mut a| a.next()).ok_or_else(bad),
            _ => Err(bad()),
        }
    }

    /// Whether no token was configured.
    pub fn is_open(&self) -> bool {
        self.tokens.is_empty() && self.token_file.is_empty()
    }
}

/// Whether a text is good enough as a token.
pub(super) fn check_token(text: &str) -> Result<(), String> {
    if text.len() < TOKEN_MIN {
        return Err(format!("a token of {} characters is too short: at least {TOKEN_MIN}", text.len()));
    }
    if !text.bytes().all(|b| b.is_ascii_graphic()) {
        return Err("a token may hold only printable ASCII characters without spaces".to_owned());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys(config: &Config) -> Vec<String> {
        config.check().into_iter().map(|(key, _)| key).collect()
    }

    #[test]
    fn defaults_are_good() {
        assert_eq!(Config::default().check(), vec![]);
    }

    #[test]
    fn a_port_for_everybody_needs_a_token_or_a_yes() {
        let mut c = Config { listen: "0.0.0.0:9090".to_owned(), ..Config::default() };
        assert_eq!(keys(&c), ["listen"]);
        c.allow_anonymous = true;
        assert!(keys(&c).is_empty());
        c.allow_anonymous = false;
        c.tokens = vec![Token::from("0123456789abcdef")];
        assert!(keys(&c).is_empty());
        c.tokens = vec![Token::from("short")];
        assert_eq!(keys(&c), ["tokens"]);
    }

    #[test]
    fn what_cannot_work_is_named() {
        let c = Config {
            listen: "nowhere".to_owned(),
            allowed_hosts: vec!["https://x".to_owned()],
            frame_ancestors: vec!["https://a; script-src *".to_owned()],
            live_max: 0,
            max_body: ByteSize(1),
            sql_timeout: Span::from_millis(0),
            ..Config::default()
        };
        let mut found = keys(&c);
        found.sort();
        let all = ["allowed_hosts", "frame_ancestors", "listen", "live_max", "max_body", "sql_timeout"];
        assert_eq!(found, all);
    }
}
