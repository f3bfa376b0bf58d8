//! The core under test: a request as text goes in, the reply as text and the records come out.

use crate::collector::answer::{Answer, answer};
use crate::collector::config::Config;
use crate::collector::http1::{Persistence, render};
use crate::collector::identity::Entropy;
use crate::collector::record::Records;
use crate::collector::reply::Reply;
use crate::collector::request::{Headers, Method, Request, Target};
use crate::collector::settings::Settings;
use crate::collector::wall::Wall;
use crate::event::payload::Payload;
use crate::event::thrift;
use crate::journal::RecordKind;
use crate::net::http1::{Head, HeadLimits, Parsed};
use std::net::IpAddr;

/// The moment of every test: 2026-11-24 10:00:00.123 UTC.
pub const NOW: i64 = 1_795_514_400_123;

pub struct Core {
    pub settings: Settings,
    pub peer: IpAddr,
    pub draining: bool,
    entropy: Entropy,
}

/// What became of one request.
pub struct Asked {
    pub reply: String,
    pub status: u16,
    pub stored: bool,
    pub payloads: Vec<Payload>,
    pub rows: Vec<serde_json::Value>,
    /// Sizes of the records.
    pub sizes: Vec<usize>,
}

impl Core {
    /// With this `[collector]` section.
    pub fn new(toml: &str) -> Self {
        let config: Config = toml::from_str(toml).unwrap();
        assert_eq!(config.check(), Vec::new());
        Core {
            settings: Settings::new(&config).unwrap(),
            peer: "198.51.100.7".parse().unwrap(),
            draining: false,
            entropy: Entropy::Counted(0),
        }
    }

    /// Head (request line and header lines, `\n` for line ends, `Host` added if there is none) and body.
    pub fn post(&mut self, head: &str, body: &[u8]) -> Asked {
        let host = if head.to_ascii_lowercase().contains("\nhost:") { "" } else { "\nHost: c.example" };
        let text = format!("{head}{host}\n\n").replace('\n', "\r\n");
        self.raw(text.as_bytes(), body)
    }

    pub fn ask(&mut self, head: &str) -> Asked {
        self.post(head, b"")
    }

    pub fn raw(&mut self, text: &[u8], body: &[u8]) -> Asked {
        let mut head = Head::default();
        let limits = HeadLimits { line: 100_000, headers: 100_000, count: 100 };
        assert_eq!(head.parse(text, &limits), Ok(Parsed::Complete), "{}", String::from_utf8_lossy(text));
        let request = Request {
            method: Method::of(head.method.of(text)),
            target: Target::of(head.target.of(text)).unwrap(),
            authority: None,
            headers: Headers::new(text, &head.headers),
            body,
            peer: self.peer.into(),
        };
        let wall = Wall::new(NOW, self.settings.cookie_age);
        let mut records = Records::default();
        let answer = answer(&self.settings, &request, &wall, self.draining, &mut self.entropy, &mut records);
        let (reply, stored) = match answer {
            Answer::Now(reply) => (reply, false),
            Answer::Store(recipe) => (recipe.not_stored(), true),
            Answer::SinkHealth => (Reply::sink_health(true), false),
        };
        let mut out = Vec::new();
        render(&reply, &self.settings, &wall, request.method == Method::Head, Persistence::Stays, &mut out);
        let mut asked = Asked {
            reply: String::from_utf8_lossy(&out).into_owned(),
            status: reply.status(),
            stored,
            payloads: Vec::new(),
            rows: Vec::new(),
            sizes: Vec::new(),
        };
        for record in records.take() {
            asked.sizes.push(record.body.len());
            match record.kind {
                RecordKind::Payload => asked.payloads.push(thrift::decode(&record.body).unwrap()),
                RecordKind::BadRow => asked.rows.push(serde_json::from_slice(&record.body).unwrap()),
                RecordKind::Replay => panic!("the collector makes no replays"),
            }
        }
        assert_eq!(asked.stored, !asked.sizes.is_empty(), "a stored answer has records, another has none");
        asked
    }
}

impl Asked {
    /// The values of a header, in order.
    pub fn all(&self, name: &str) -> Vec<&str> {
        let head = self.reply.split("\r\n\r\n").next().unwrap();
        head.split("\r\n")
            .skip(1)
            .filter_map(|l| l.split_once(": "))
            .filter(|(n, _)| *n == name)
            .map(|(_, v)| v)
            .collect()
    }

    /// The only value of a header.
    pub fn header(&self, name: &str) -> Option<&str> {
        let all = self.all(name);
        assert!(all.len() < 2, "{name} occurs {} times", all.len());
        all.first().copied()
    }

    pub fn body(&self) -> &str {
        self.reply.split_once("\r\n\r\n").unwrap().1
    }

    /// The one payload that was recorded.
    pub fn payload(&self) -> &Payload {
        assert_eq!((self.payloads.len(), self.rows.len()), (1, 0), "{}", self.reply);
        &self.payloads[0]
    }

    /// The header list of the one payload.
    pub fn headers(&self) -> Vec<String> {
        self.payload().headers.iter().map(|h| String::from_utf8_lossy(h).into_owned()).collect()
    }

    pub fn id(&self) -> String {
        String::from_utf8(self.payload().network_user_id.clone().unwrap().to_vec()).unwrap()
    }
}

/// An optional text field.
pub fn text(field: &Option<bytes::Bytes>) -> Option<&str> {
    field.as_deref().map(|b| std::str::from_utf8(b).unwrap())
}
