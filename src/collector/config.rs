//! `[collector]`: every key with its default and its meaning. What is allowed is in [`Config::check`].
//!
//! A pure table, and therefore longer than other files. An empty text means "not set" wherever a key is optional, so that the complete default can be written down.

use crate::platform::units::{ByteSize, Span};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// `[collector]`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Address and port of the public port without TLS; empty: none. Port 0 takes any free one.
    pub listen: String,
    /// Threads that serve connections; 0: half of the cores.
    pub workers: usize,
    /// With the journal on Kafka: records of one client address stay in one partition.
    pub partition_by_ip: bool,
    /// Another path for a path of two segments, as in `"/v1/track" = "/com.snowplowanalytics.snowplow/tp2"`.
    pub path_map: BTreeMap<String, String>,
    /// The network user id cookie.
    pub cookie: Cookie,
    /// The do-not-track cookie.
    pub dnt: Dnt,
    /// The redirect that finds out whether a client keeps cookies.
    pub bounce: Bounce,
    /// Click redirects, `/r/…`.
    pub redirects: Redirects,
    /// What requests with `SP-Anonymous` leave out of the record beside address and cookies.
    pub anonymous: Anonymous,
    /// The reply to `GET /`.
    pub root: Root,
    /// `/crossdomain.xml`.
    pub flash_policy: FlashPolicy,
    /// Cross-origin requests.
    pub cors: Cors,
    /// `Strict-Transport-Security`.
    pub hsts: Hsts,
    /// Whom to believe about the client's address.
    pub proxy: Proxy,
    /// TLS.
    pub tls: Tls,
    /// HTTP/2.
    pub http2: Http2,
    /// Bounds in bytes, time and number.
    pub limits: Limits,
    /// How the collector stops.
    pub drain: DrainConfig,
}

impl Default for Config {
    fn default() -> Self {
        Config {
            listen: "0.0.0.0:8080".to_owned(),
            workers: 0,
            partition_by_ip: false,
            path_map: BTreeMap::new(),
            cookie: Cookie::default(),
            dnt: Dnt::default(),
            bounce: Bounce::default(),
            redirects: Redirects::default(),
            anonymous: Anonymous::default(),
            root: Root::default(),
            flash_policy: FlashPolicy::default(),
            cors: Cors::default(),
            hsts: Hsts::default(),
            proxy: Proxy::default(),
            tls: Tls::default(),
            http2: Http2::default(),
            limits: Limits::default(),
            drain: DrainConfig::default(),
        }
    }
}

/// `[collector.cookie]`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Cookie {
    /// Whether replies set it.
    pub enabled: bool,
    /// Its name.
    pub name: String,
    /// How long the client keeps it; renewed with every reply. Negative: it expires at once.
    pub max_age: Span,
    /// Domains to set it for: the first that is the host of `Origin`, or a parent of it.
    pub domains: Vec<String>,
    /// Domain when none of `domains` fits; empty: the cookie belongs to the collector's own host.
    pub fallback_domain: String,
    /// Whether a request without `Origin`, as image pixels are, chooses among `domains` by the host of its `Referer`.
    pub use_referer: bool,
    /// Attribute `Secure`. `SameSite=None` implies it.
    pub secure: bool,
    /// Attribute `HttpOnly`.
    pub http_only: bool,
    /// Attribute `SameSite`: `"None"`, `"Lax"`, `"Strict"`, or `"omit"`.
    pub same_site: SameSite,
    /// Name of a second cookie with the same value that scripts may read; empty: none.
    pub client_readable_name: String,
}

impl Default for Cookie {
    fn default() -> Self {
        Cookie {
            enabled: true,
            name: "sp".to_owned(),
            max_age: Span::from_secs(365 * 86_400),
            domains: Vec::new(),
            fallback_domain: String::new(),
            use_referer: false,
            secure: true,
            http_only: true,
            same_site: SameSite::None,
            client_readable_name: String::new(),
        }
    }
}

/// Attribute `SameSite`; read in any case.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String")]
#[allow(missing_docs)]
pub enum SameSite {
    None,
    Lax,
    Strict,
    /// The attribute is left out.
    #[serde(rename = "omit")]
    Omit,
}

impl TryFrom<String> for SameSite {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        match text.to_ascii_lowercase().as_str() {
            "none" => Ok(SameSite::None),
            "lax" => Ok(SameSite::Lax),
            "strict" => Ok(SameSite::Strict),
            "omit" => Ok(SameSite::Omit),
            _ => Err(format!("\"{text}\" is none of \"None\", \"Lax\", \"Strict\", \"omit\"")),
        }
    }
}

/// `[collector.dnt]`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Dnt {
    /// Whether it is looked for. A request with it is answered as usual, but without cookie, and is not stored.
    pub enabled: bool,
    /// Its name.
    pub cookie_name: String,
    /// Regular expression that its whole value must match.
    pub value_regex: String,
}

/// `[collector.bounce]`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Bounce {
    /// Whether a client without id is sent round once.
    pub enabled: bool,
    /// Query parameter that marks the second request.
    pub param: String,
    /// The id of clients that keep no cookies.
    pub fallback_id: String,
    /// Header in which a proxy tells the scheme (`http`, `https`) that the client used; empty: the redirect is relative.
    pub proto_header: String,
}

impl Default for Bounce {
    fn default() -> Self {
        Bounce {
            enabled: false,
            param: "n3pc".to_owned(),
            fallback_id: "00000000-0000-4000-A000-000000000000".to_owned(),
            proto_header: String::new(),
        }
    }
}

/// `[collector.redirects]`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Redirects {
    /// Whether `/r/…` redirects. Paths mapped to `/r/…` do in any case.
    pub enabled: bool,
    /// Hosts that may be redirected to, each exactly.
    pub allowed_hosts: Vec<String>,
    /// Redirect to every host: an open redirector, which phishing uses.
    pub allow_any_host: bool,
    /// The placeholder for the network user id in a target.
    #[serde(rename = "macro")]
    pub placeholder: Macro,
}

/// `[collector.redirects.macro]`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Macro {
    /// Whether it is replaced.
    pub enabled: bool,
    /// Its text.
    pub token: String,
}

impl Default for Macro {
    fn default() -> Self {
        Macro { enabled: false, token: "${SP_NUID}".to_owned() }
    }
}

/// `[collector.anonymous]`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Anonymous {
    /// Leave the user agent out of anonymous records.
    pub drop_user_agent: bool,
    /// Keep `Authorization` in them, for webhooks that need it.
    pub keep_authorization: bool,
    /// Further headers to leave out, beside those by which proxies are known to tell addresses.
    pub drop_headers: Vec<String>,
}

/// `[collector.root]`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Root {
    /// Whether `GET /` has a reply of its own; otherwise it is 404.
    pub enabled: bool,
    /// Its status.
    pub status: u16,
    /// Its headers.
    pub headers: BTreeMap<String, String>,
    /// Its body.
    pub body: String,
}

impl Default for Root {
    fn default() -> Self {
        Root { enabled: false, status: 302, headers: BTreeMap::new(), body: String::new() }
    }
}

/// `[collector.flash_policy]`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct FlashPolicy {
    /// Whether there is a `/crossdomain.xml`.
    pub enabled: bool,
    /// Domains that it allows.
    pub domains: Vec<String>,
    /// Its attribute `secure`.
    pub secure: bool,
}

impl Default for FlashPolicy {
    fn default() -> Self {
        FlashPolicy { enabled: false, domains: vec!["*".to_owned()], secure: true }
    }
}

/// `[collector.cors]`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Cors {
    /// How long browsers may remember a preflight. `"-1s"`: not at all.
    pub max_age: Span,
    /// Origins that may read replies, as in `"https://shop.example"`, or `"https://*.shop.example"` for all below; empty: every origin.
    /// Requests of other origins are stored all the same.
    pub allowed_origins: Vec<String>,
    /// Request headers to allow beside `Content-Type` and `SP-Anonymous`.
    pub allowed_headers: Vec<String>,
    /// Methods for `Access-Control-Allow-Methods`; empty: the header is left out, since GET, HEAD and POST need none.
    pub allowed_methods: Vec<String>,
}

impl Default for Cors {
    fn default() -> Self {
        Cors {
            max_age: Span::from_secs(3600),
            allowed_origins: Vec::new(),
            allowed_headers: Vec::new(),
            allowed_methods: Vec::new(),
        }
    }
}

/// `[collector.hsts]`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Hsts {
    /// Whether every reply carries the header.
    pub enabled: bool,
    /// Its `max-age`.
    pub max_age: Span,
}

impl Default for Hsts {
    fn default() -> Self {
        Hsts { enabled: false, max_age: Span::from_secs(365 * 86_400) }
    }
}

/// `[collector.proxy]`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Proxy {
    /// Who is believed: `"everyone"` (the first address of `X-Forwarded-For`), `"hops"` (so many proxies in front of us),
    /// or `"networks"` (proxies at these addresses). With the latter two, `X-Forwarded-For` is recorded from the client's
    /// address on and `Forwarded` is not recorded, so that nothing downstream believes more.
    pub trust: Trust,
    /// Number of proxies in front, for `"hops"`. 0: only the connection itself counts.
    pub hops: u32,
    /// Addresses and prefixes of proxies, for `"networks"`.
    pub networks: Vec<String>,
    /// Whether connections begin with a PROXY protocol header (version 1 or 2): `"off"` or `"required"`.
    pub protocol: ProxyProtocol,
}

impl Default for Proxy {
    fn default() -> Self {
        Proxy { trust: Trust::Everyone, hops: 1, networks: Vec::new(), protocol: ProxyProtocol::Off }
    }
}

/// Who is believed about the client's address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[allow(missing_docs)]
pub enum Trust {
    Everyone,
    Hops,
    Networks,
}

/// Whether connections begin with a PROXY protocol header.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[allow(missing_docs)]
pub enum ProxyProtocol {
    Off,
    Required,
}

/// `[collector.tls]`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Tls {
    /// Address and port with TLS; empty: none.
    pub listen: String,
    /// File with the certificate chain, PEM.
    pub cert: String,
    /// File with the private key, PEM.
    pub key: String,
    /// Oldest version: `"1.2"` or `"1.3"`.
    pub min_version: TlsVersion,
    /// How often the files are looked at; changed ones are used from the next connection on.
    pub reload: Span,
    /// How long a handshake may take.
    pub handshake_timeout: Span,
}

impl Default for Tls {
    fn default() -> Self {
        Tls {
            listen: String::new(),
            cert: String::new(),
            key: String::new(),
            min_version: TlsVersion::V12,
            reload: Span::from_secs(30),
            handshake_timeout: Span::from_secs(10),
        }
    }
}

/// A TLS version.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs)]
pub enum TlsVersion {
    #[serde(rename = "1.2")]
    V12,
    #[serde(rename = "1.3")]
    V13,
}

/// `[collector.http2]`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Http2 {
    /// Whether HTTP/2 is offered with TLS and taken without (prior knowledge).
    pub enabled: bool,
    /// Requests under way on one connection.
    pub max_streams: u32,
    /// Requests that a client may open and take back, beside one in eight, before the connection is closed.
    pub max_resets: u32,
}

impl Default for Http2 {
    fn default() -> Self {
        Http2 { enabled: true, max_streams: 100, max_resets: 50 }
    }
}

/// `[collector.limits]`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Limits {
    /// M: a record of this size or more is split, or becomes a size_violation row.
    pub record_max_bytes: ByteSize,
    /// P: a record larger than this becomes a size_violation row without being split.
    pub payload_max_bytes: ByteSize,
    /// A request body of this size or more is refused with 413, as it came and after decompression.
    pub request_body_max_bytes: ByteSize,
    /// Longest request line.
    pub request_line_max: ByteSize,
    /// Longest header lines, together.
    pub headers_max: ByteSize,
    /// Most header fields.
    pub header_count: usize,
    /// How long a request may take once its head has come: a body that takes longer is 408. Storing that takes longer, or
    /// longer than `journal.stalled_after`, is 503.
    pub handler_timeout: Span,
    /// How long a head may take to arrive, from its first byte; then 408.
    pub header_timeout: Span,
    /// How long a body may take to arrive, if that is less than `handler_timeout`; then 408.
    pub body_timeout: Span,
    /// How long a client may take to read a reply.
    pub write_timeout: Span,
    /// How long a connection may rest. Keep it above that of a load balancer in front.
    pub idle_timeout: Span,
    /// Open connections.
    pub connections: usize,
    /// Open connections of one address (of one /64 with IPv6); with a proxy in front, of the proxy.
    pub connections_per_address: usize,
    /// Requests on one connection; then it is closed, so that load spreads again.
    pub requests_per_connection: u64,
    /// Memory for requests that have arrived in part, over all connections.
    pub buffer_bytes: ByteSize,
    /// Memory of one worker for records that wait for the journal; beyond it 503.
    pub queue_bytes: ByteSize,
    /// `Retry-After` of a 503.
    pub retry_after: Span,
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            record_max_bytes: ByteSize(1_000_000),
            payload_max_bytes: ByteSize::mib(1),
            request_body_max_bytes: ByteSize::mib(2),
            request_line_max: ByteSize::kib(20),
            headers_max: ByteSize::kib(40),
            header_count: 128,
            handler_timeout: Span::from_secs(30),
            header_timeout: Span::from_secs(20),
            body_timeout: Span::from_secs(25),
            write_timeout: Span::from_secs(30),
            idle_timeout: Span::from_secs(610),
            connections: 20_000,
            connections_per_address: 15_000,
            requests_per_connection: 100_000,
            buffer_bytes: ByteSize::mib(256),
            queue_bytes: ByteSize::mib(16),
            retry_after: Span::from_secs(5),
        }
    }
}

/// `[collector.drain]`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct DrainConfig {
    /// How long the collector goes on serving after it was told to stop, so that load balancers can notice.
    pub delay: Span,
    /// Whether `/health` answers 503 during that time.
    pub unhealthy: bool,
    /// How long open connections may take to finish after that.
    pub deadline: Span,
}

impl Default for DrainConfig {
    fn default() -> Self {
        DrainConfig { delay: Span::from_millis(0), unhealthy: true, deadline: Span::from_secs(10) }
    }
}
