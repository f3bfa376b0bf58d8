//! What is allowed in `[collector]`: every problem with its key, and in words that say how to put it right.

use super::config::{Config, Trust};
use super::identity::is_uuid;
use crate::net::Network;
use crate::net::http1::head::is_token;
use crate::platform::units::{ByteSize, Span};
use std::net::SocketAddr;

struct Problems(Vec<(String, String)>);

impl Problems {
    fn add(&mut self, key: &str, problem: impl Into<String>) {
        self.0.push((key.to_owned(), problem.into()));
    }

    fn span(&mut self, key: &str, value: Span, least_ms: i64, most_days: i64) {
        let most = Span::from_secs(most_days * 86_400);
        let least = Span::from_millis(least_ms);
        if value < least || value > most {
            self.add(key, format!("is {value}; allowed is {least} to {most}"));
        }
    }

    fn size(&mut self, key: &str, value: ByteSize, least: u64, most: u64) {
        if !(least..=most).contains(&value.0) {
            self.add(key, format!("is {value}; allowed is {} to {}", ByteSize(least), ByteSize(most)));
        }
    }

    fn number(&mut self, key: &str, value: u64, least: u64, most: u64) {
        if !(least..=most).contains(&value) {
            self.add(key, format!("is {value}; allowed is {least} to {most}"));
        }
    }

    fn token(&mut self, key: &str, value: &str) {
        if value.is_empty() || !value.bytes().all(is_token) {
            self.add(key, format!("is \"{value}\"; allowed are letters, digits and !#$%&'*+-.^_`|~"));
        }
    }

    fn host(&mut self, key: &str, value: &str) {
        let fine = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'_');
        if value.is_empty() || value.starts_with('.') || !value.bytes().all(fine) {
            self.add(key, format!("has \"{value}\"; write a host name without leading dot, scheme, port or path"));
        }
    }

    fn header_value(&mut self, key: &str, value: &str) {
        if value.bytes().any(|b| b < 0x20 || b == 0x7f) {
            self.add(key, format!("has {value:?}; control characters are not allowed in a header"));
        }
    }
}

impl Config {
    /// Every problem: the key (below `[collector]`), and what is wrong and allowed.
    pub fn check(&self) -> Vec<(String, String)> {
        let mut p = Problems(Vec::new());
        self.check_listen(&mut p);
        self.check_paths(&mut p);
        self.check_cookie(&mut p);
        self.check_redirects(&mut p);
        self.check_headers(&mut p);
        self.check_proxy(&mut p);
        self.check_limits(&mut p);
        p.0
    }

    fn check_listen(&self, p: &mut Problems) {
        for (key, value) in [("listen", &self.listen), ("tls.listen", &self.tls.listen)] {
            if !value.is_empty() && value.parse::<SocketAddr>().is_err() {
                p.add(
                    key,
                    format!("is \"{value}\"; write an address and a port as in \"0.0.0.0:8080\" or \"[::]:8080\""),
                );
            }
        }
        if self.listen.is_empty() && self.tls.listen.is_empty() {
            p.add("listen", "is empty, and so is tls.listen: nothing would be collected; set one of them");
        }
        if !self.tls.listen.is_empty() {
            for (key, value) in [("tls.cert", &self.tls.cert), ("tls.key", &self.tls.key)] {
                if value.is_empty() {
                    p.add(key, "is empty, but tls.listen is set: name a PEM file");
                }
            }
        }
        p.span("tls.reload", self.tls.reload, 100, 365);
        p.span("tls.handshake_timeout", self.tls.handshake_timeout, 100, 1);
        p.number("workers", self.workers as u64, 0, 256);
        p.number("http2.max_streams", self.http2.max_streams.into(), 1, 10_000);
        p.number("http2.max_resets", self.http2.max_resets.into(), 1, 10_000);
    }

    fn check_paths(&self, p: &mut Problems) {
        let segments = |path: &str| {
            path.strip_prefix('/')
                .map_or(0, |rest| if rest.split('/').any(str::is_empty) { 0 } else { rest.split('/').count() })
        };
        for (from, to) in &self.path_map {
            // One segment is allowed, as in the reference, and has no effect: no route has it.
            if !(1..=2).contains(&segments(from)) {
                p.add("path_map", format!("has \"{from}\"; a path to map has two segments, as in \"/v1/track\""));
            }
            if segments(to) < 1 {
                p.add(
                    "path_map",
                    format!("maps to \"{to}\"; write a path that begins with / and has no empty segment"),
                );
            }
        }
        p.number("root.status", self.root.status.into(), 200, 599);
        for (name, value) in &self.root.headers {
            p.token("root.headers", name);
            p.header_value("root.headers", value);
            if ["content-length", "transfer-encoding", "connection"].contains(&name.to_ascii_lowercase().as_str()) {
                p.add("root.headers", format!("has \"{name}\", which the server itself sets"));
            }
        }
        for domain in &self.flash_policy.domains {
            if domain.bytes().any(|b| b <= 0x20 || matches!(b, b'"' | b'<' | b'>' | b'&')) {
                p.add("flash_policy.domains", format!("has \"{domain}\"; write a domain, or * for all"));
            }
        }
    }

    fn check_cookie(&self, p: &mut Problems) {
        let c = &self.cookie;
        p.token("cookie.name", &c.name);
        if !c.client_readable_name.is_empty() {
            p.token("cookie.client_readable_name", &c.client_readable_name);
            if c.client_readable_name == c.name {
                p.add("cookie.client_readable_name", "is the same as cookie.name; choose another name");
            }
        }
        for domain in &c.domains {
            p.host("cookie.domains", domain);
        }
        if !c.fallback_domain.is_empty() {
            p.host("cookie.fallback_domain", &c.fallback_domain);
        }
        p.span("cookie.max_age", c.max_age, -36_500 * 86_400_000, 36_500);
        if self.dnt.enabled {
            p.token("dnt.cookie_name", &self.dnt.cookie_name);
            if let Err(e) = super::cookies::full_match(&self.dnt.value_regex) {
                p.add("dnt.value_regex", format!("is no regular expression: {e}"));
            }
        }
        if self.bounce.enabled {
            let fine = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'_' | b'~');
            if self.bounce.param.is_empty() || !self.bounce.param.bytes().all(fine) {
                p.add("bounce.param", "must be one or more letters, digits, or -._~");
            }
            if !self.bounce.proto_header.is_empty() {
                p.token("bounce.proto_header", &self.bounce.proto_header);
            }
        }
        if !is_uuid(self.bounce.fallback_id.as_bytes()) {
            p.add("bounce.fallback_id", format!("is \"{}\"; write a UUID", self.bounce.fallback_id));
        }
    }

    fn check_redirects(&self, p: &mut Problems) {
        let r = &self.redirects;
        let redirects = r.enabled || self.path_map.values().any(|to| super::route::is_redirect(to.as_bytes()));
        if redirects && r.allowed_hosts.is_empty() && !r.allow_any_host {
            p.add(
                "redirects.allowed_hosts",
                "is empty, but redirects are in use: name the hosts that may be redirected to, or set redirects.allow_any_host = true",
            );
        }
        for host in &r.allowed_hosts {
            if super::redirect::canonical_host(host).is_none() {
                p.add(
                    "redirects.allowed_hosts",
                    format!("has \"{host}\"; write a host name without scheme, port or path"),
                );
            }
        }
        if r.placeholder.enabled && r.placeholder.token.is_empty() {
            p.add("redirects.macro.token", "is empty; write the text to replace");
        }
    }

    fn check_headers(&self, p: &mut Problems) {
        p.span("cors.max_age", self.cors.max_age, -1000, 365);
        for origin in &self.cors.allowed_origins {
            if super::cors::AllowedOrigin::parse(origin).is_none() {
                p.add(
                    "cors.allowed_origins",
                    format!("has \"{origin}\"; write scheme://host[:port], or scheme://*.host for all hosts below"),
                );
            }
        }
        for (key, list) in [
            ("cors.allowed_headers", &self.cors.allowed_headers),
            ("cors.allowed_methods", &self.cors.allowed_methods),
            ("anonymous.drop_headers", &self.anonymous.drop_headers),
        ] {
            list.iter().for_each(|name| p.token(key, name));
        }
        p.span("hsts.max_age", self.hsts.max_age, 0, 36_500);
    }

    fn check_proxy(&self, p: &mut Problems) {
        for network in &self.proxy.networks {
            if let Err(e) = network.parse::<Network>() {
                p.add("proxy.networks", e);
            }
        }
        if self.proxy.trust == Trust::Networks && self.proxy.networks.is_empty() {
            p.add("proxy.networks", "is empty, but proxy.trust is \"networks\": name the addresses of your proxies");
        }
        p.number("proxy.hops", self.proxy.hops.into(), 0, 32);
    }

    fn check_limits(&self, p: &mut Problems) {
        let l = &self.limits;
        const GIB: u64 = 1 << 30;
        p.size("limits.record_max_bytes", l.record_max_bytes, 256, 64 << 20);
        p.size("limits.payload_max_bytes", l.payload_max_bytes, 256, 64 << 20);
        p.size("limits.request_body_max_bytes", l.request_body_max_bytes, 1024, 64 << 20);
        p.size("limits.request_line_max", l.request_line_max, 256, 1 << 20);
        p.size("limits.headers_max", l.headers_max, 256, 1 << 20);
        p.number("limits.header_count", l.header_count as u64, 8, 10_000);
        for (key, span) in [
            ("limits.handler_timeout", l.handler_timeout),
            ("limits.header_timeout", l.header_timeout),
            ("limits.body_timeout", l.body_timeout),
            ("limits.write_timeout", l.write_timeout),
            ("limits.idle_timeout", l.idle_timeout),
        ] {
            p.span(key, span, 100, 1);
        }
        p.number("limits.connections", l.connections as u64, 1, 10_000_000);
        p.number("limits.connections_per_address", l.connections_per_address as u64, 1, 10_000_000);
        p.number("limits.requests_per_connection", l.requests_per_connection, 1, u64::MAX);
        p.size("limits.buffer_bytes", l.buffer_bytes, 1 << 20, 1024 * GIB);
        p.size("limits.queue_bytes", l.queue_bytes, 1 << 20, 64 * GIB);
        p.span("limits.retry_after", l.retry_after, 0, 1);
        p.span("drain.delay", self.drain.delay, 0, 1);
        p.span("drain.deadline", self.drain.deadline, 0, 1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_is_allowed_and_reads_back() {
        let config = Config::default();
        assert_eq!(config.check(), Vec::new());
        let text = toml::to_string(&config).unwrap();
        assert_eq!(toml::from_str::<Config>(&text).unwrap(), config);
    }

    #[test]
    fn every_key_of_the_sheet_exists() {
        let text = r#"
            partition_by_ip = true
            path_map = { "/v1/v2" = "/vendor/version" }
            cookie = { enabled = true, name = "n", max_age = "-1s", domains = ["a.example"], fallback_domain = "b.example", secure = false, http_only = false, same_site = "lax", client_readable_name = "c" }
            dnt = { enabled = true, cookie_name = "d", value_regex = "y|n" }
            bounce = { enabled = true, param = "p", fallback_id = "11111111-1111-4111-8111-111111111111", proto_header = "X-Forwarded-Proto" }
            redirects = { enabled = true, allowed_hosts = ["a.example"], allow_any_host = false, macro = { enabled = true, token = "T" } }
            root = { enabled = true, status = 200, headers = { A = "b" }, body = "hi" }
            flash_policy = { enabled = true, domains = ["*"], secure = false }
            cors = { max_age = "-1s" }
            hsts = { enabled = true, max_age = "1d" }
            limits = { record_max_bytes = "1 MB", payload_max_bytes = 1048576, request_body_max_bytes = "2 MiB", request_line_max = 20480, headers_max = 40960, handler_timeout = "30s" }
        "#;
        let config: Config = toml::from_str(text).unwrap();
        assert_eq!(config.check(), Vec::new());
        for same_site in ["nOnE", "STRICT", "Omit"] {
            assert!(toml::from_str::<Config>(&format!("cookie = {{ same_site = \"{same_site}\" }}")).is_ok());
        }
    }

    #[test]
    fn a_key_stands_alone() {
        for text in [
            "limits = { record_max_bytes = 1000 }",
            "limits = { payload_max_bytes = 5000 }",
            "limits = { headers_max = \"1 MiB\" }",
            "limits = { request_line_max = \"1 MiB\" }",
            "path_map = { \"/one\" = \"/a/b\" }",
            "bounce = { enabled = true }\ncookie = { enabled = false }",
        ] {
            assert_eq!(toml::from_str::<Config>(text).unwrap().check(), Vec::new(), "{text}");
        }
    }

    #[test]
    fn problems_name_their_key() {
        for (text, key) in [
            ("listen = \"8080\"", "listen"),
            ("listen = \"\"", "listen"),
            ("tls = { listen = \"0.0.0.0:8443\" }", "tls.cert"),
            ("path_map = { \"/a/b/c\" = \"/a/b\" }", "path_map"),
            ("path_map = { \"/a/b\" = \"r/tp2\" }", "path_map"),
            ("path_map = { \"/a/b\" = \"/r/tp2\" }", "redirects.allowed_hosts"),
            ("cookie = { name = \"a b\" }", "cookie.name"),
            ("cookie = { domains = [\".a.example\"] }", "cookie.domains"),
            ("cookie = { fallback_domain = \"a;b\" }", "cookie.fallback_domain"),
            ("cookie = { client_readable_name = \"sp\" }", "cookie.client_readable_name"),
            ("dnt = { enabled = true, cookie_name = \"d\", value_regex = \"(\" }", "dnt.value_regex"),
            ("bounce = { fallback_id = \"x\" }", "bounce.fallback_id"),
            ("redirects = { enabled = true }", "redirects.allowed_hosts"),
            ("redirects = { enabled = true, allowed_hosts = [\"https://a\"] }", "redirects.allowed_hosts"),
            ("root = { status = 99 }", "root.status"),
            ("root = { headers = { A = \"b\\r\\nC: d\" } }", "root.headers"),
            ("cors = { allowed_origins = [\"a.example\"] }", "cors.allowed_origins"),
            ("proxy = { trust = \"networks\" }", "proxy.networks"),
            ("proxy = { networks = [\"10.0.0.0/40\"] }", "proxy.networks"),
            ("limits = { handler_timeout = \"1ms\" }", "limits.handler_timeout"),
            ("limits = { record_max_bytes = 100 }", "limits.record_max_bytes"),
        ] {
            let config: Config = toml::from_str(text).unwrap();
            let keys: Vec<String> = config.check().into_iter().map(|(key, _)| key).collect();
            assert!(keys.iter().any(|k| k == key), "{text}: {keys:?}");
        }
        for wrong in
            ["cookie = { same_site = \"Loose\" }", "cookie = { same_site = 1 }", "unknown = 1", "limits = { nope = 1 }"]
        {
            assert!(toml::from_str::<Config>(wrong).is_err(), "{wrong}");
        }
    }
}
