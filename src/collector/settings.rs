//! `[collector]` made ready: what every request needs is parsed, compiled and rendered once at start.

use super::config::{Config, Cookie, SameSite, Trust};
use super::cookies;
use super::cors::{self, AllowedOrigin};
use super::identity::{Id, as_id};
use super::redirect;
use super::request::Headers;
use super::route::PathMap;
use crate::net::Network;
use crate::net::http1::Name;
use crate::platform::units::Span;
use bytes::Bytes;
use memchr::memmem;
use regex::bytes::Regex;

/// Name and version of this collector in bad rows.
pub const ARTIFACT: &str = "snowshed";
/// See [`ARTIFACT`].
pub const VERSION: &str = env!("CARGO_PKG_VERSION");

/// Whose forwarding headers are believed.
#[derive(Clone, Debug)]
pub enum Trusted {
    /// Everybody's.
    Everyone,
    /// Those of so many proxies in front.
    Hops(u32),
    /// Those of proxies at these addresses.
    Networks(Vec<Network>),
}

/// The cookie bounce.
#[derive(Clone, Debug)]
pub struct Bounce {
    /// Marker of the second request.
    pub param: Vec<u8>,
    /// Id of clients that keep no cookies.
    pub fallback: Id,
    /// Header with the scheme that the client used.
    pub proto_header: Option<String>,
}

/// Parts of `Set-Cookie` that do not change from reply to reply.
#[derive(Clone, Debug)]
pub struct CookieText {
    /// `name=`
    pub lead: Vec<u8>,
    /// Everything after the date, one for each choice of domain: none, the fallback, then the configured domains.
    pub tails: Vec<Vec<u8>>,
}

/// Which of the tails of a [`CookieText`] a reply uses.
pub type DomainChoice = usize;

/// The configuration as the core uses it.
#[derive(Debug)]
#[allow(missing_docs)]
pub struct Settings {
    pub collector: Bytes,
    pub path_map: PathMap,
    /// Looks for the name of the parameter that tells an id.
    pub nuid: memmem::Finder<'static>,
    pub cookie_name: Vec<u8>,
    pub cookie: Option<CookieText>,
    pub client_cookie: Option<CookieText>,
    pub cookie_domains: Vec<String>,
    pub has_fallback_domain: bool,
    pub cookie_by_referer: bool,
    pub cookie_age: Span,
    pub dnt: Option<(Vec<u8>, Regex)>,
    pub bounce: Option<Bounce>,
    pub redirects: bool,
    pub allowed_hosts: Vec<String>,
    pub allow_any_host: bool,
    pub placeholder: Option<Vec<u8>>,
    pub drop_user_agent: bool,
    pub keep_authorization: bool,
    pub drop_headers: Vec<String>,
    pub root: Option<RootReply>,
    pub flash_policy: Option<Bytes>,
    pub allowed_origins: Vec<AllowedOrigin>,
    pub preflight_headers: Vec<u8>,
    pub preflight_methods: Option<Vec<u8>>,
    pub preflight_max_age: Vec<u8>,
    pub hsts: Option<Vec<u8>>,
    pub trusted: Trusted,
    pub retry_after: Vec<u8>,
    pub unhealthy_while_draining: bool,
    pub record_max: usize,
    pub payload_max: usize,
    pub body_max: usize,
    /// The longest row in bytes.
    pub row_max: usize,
}

/// The configured reply to `GET /`.
#[derive(Clone, Debug)]
#[allow(missing_docs)]
pub struct RootReply {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub body: Bytes,
}

impl Settings {
    /// Makes a checked configuration ready.
    ///
    /// # Errors
    /// The first value that cannot be used; [`Config::check`] finds all of them and says more.
    pub fn new(config: &Config) -> Result<Self, String> {
        let dnt = match config.dnt.enabled {
            true => {
                let value =
                    cookies::full_match(&config.dnt.value_regex).map_err(|e| format!("dnt.value_regex: {e}"))?;
                Some((config.dnt.cookie_name.clone().into_bytes(), value))
            }
            false => None,
        };
        let fallback = as_id(config.bounce.fallback_id.as_bytes()).ok_or("bounce.fallback_id is no UUID")?;
        let bounce = (config.bounce.enabled && config.cookie.enabled).then(|| Bounce {
            param: config.bounce.param.clone().into_bytes(),
            fallback,
            proto_header: Some(config.bounce.proto_header.clone()).filter(|h| !h.is_empty()),
        });
        let twin = &config.cookie.client_readable_name;
        let path = |text: &String| text.as_bytes().into();
        Ok(Settings {
            collector: Bytes::from(format!("snowshed-{VERSION}-journal")),
            path_map: config.path_map.iter().map(|(from, to)| (path(from), path(to))).collect(),
            nuid: memmem::Finder::new(b"nuid"),
            cookie_name: config.cookie.name.clone().into_bytes(),
            cookie: config
                .cookie
                .enabled
                .then(|| cookie_text(&config.cookie, &config.cookie.name, config.cookie.http_only)),
            client_cookie: (config.cookie.enabled && !twin.is_empty())
                .then(|| cookie_text(&config.cookie, twin, false)),
            cookie_domains: config.cookie.domains.clone(),
            has_fallback_domain: !config.cookie.fallback_domain.is_empty(),
            cookie_by_referer: config.cookie.use_referer,
            cookie_age: config.cookie.max_age,
            dnt,
            bounce,
            redirects: config.redirects.enabled,
            allowed_hosts: config.redirects.allowed_hosts.iter().filter_map(|h| redirect::canonical_host(h)).collect(),
            allow_any_host: config.redirects.allow_any_host,
            placeholder: Some(config.redirects.placeholder.token.clone().into_bytes())
                .filter(|token| config.redirects.placeholder.enabled && !token.is_empty()),
            drop_user_agent: config.anonymous.drop_user_agent,
            keep_authorization: config.anonymous.keep_authorization,
            drop_headers: config.anonymous.drop_headers.clone(),
            root: config.root.enabled.then(|| RootReply {
                status: config.root.status,
                headers: config.root.headers.clone().into_iter().collect(),
                body: Bytes::from(config.root.body.clone()),
            }),
            flash_policy: config.flash_policy.enabled.then(|| flash_policy(config)),
            allowed_origins: config.cors.allowed_origins.iter().filter_map(|o| AllowedOrigin::parse(o)).collect(),
            preflight_headers: preflight_headers(&config.cors.allowed_headers),
            preflight_methods: Some(config.cors.allowed_methods.join(", ").into_bytes()).filter(|m| !m.is_empty()),
            preflight_max_age: config.cors.max_age.as_secs().to_string().into_bytes(),
            hsts: config
                .hsts
                .enabled
                .then(|| format!("max-age={}; includeSubDomains", config.hsts.max_age.as_secs()).into_bytes()),
            trusted: trusted(config)?,
            retry_after: config.limits.retry_after.as_secs().max(1).to_string().into_bytes(),
            unhealthy_while_draining: config.drain.unhealthy,
            record_max: config.limits.record_max_bytes.as_usize(),
            payload_max: config.limits.payload_max_bytes.as_usize(),
            body_max: config.limits.request_body_max_bytes.as_usize(),
            row_max: config.limits.payload_max_bytes.max(config.limits.record_max_bytes).as_usize(),
        })
    }

    /// The domain of the cookie for a request: the first configured one that is the host of an origin or a parent of it.
    pub fn cookie_domain(&self, headers: Headers<'_>) -> DomainChoice {
        let within = |host: &[u8], domain: &[u8]| host.eq_ignore_ascii_case(domain) || cors::is_below(host, domain);
        let referer =
            headers.get(Name::Referer).filter(|_| self.cookie_by_referer && headers.get(Name::Origin).is_none());
        let referer = referer.and_then(cors::Origin::of_url);
        let fits = |domain: &str| {
            let domain = domain.as_bytes();
            cors::origins(headers).chain(referer).any(|o| within(o.host(), domain))
        };
        match self.cookie_domains.iter().position(|d| fits(d)) {
            Some(at) => 2 + at,
            None => usize::from(self.has_fallback_domain),
        }
    }
}

fn trusted(config: &Config) -> Result<Trusted, String> {
    Ok(match config.proxy.trust {
        Trust::Everyone => Trusted::Everyone,
        Trust::Hops => Trusted::Hops(config.proxy.hops),
        Trust::Networks => {
            Trusted::Networks(config.proxy.networks.iter().map(|n| n.parse()).collect::<Result<_, String>>()?)
        }
    })
}

fn cookie_text(cookie: &Cookie, name: &str, http_only: bool) -> CookieText {
    let tail = |domain: Option<&String>| {
        let mut tail = String::new();
        if let Some(domain) = domain {
            tail.push_str("; Domain=");
            tail.push_str(domain);
        }
        tail.push_str("; Path=/");
        match cookie.same_site {
            SameSite::None => tail.push_str("; SameSite=None"),
            SameSite::Lax => tail.push_str("; SameSite=Lax"),
            SameSite::Strict => tail.push_str("; SameSite=Strict"),
            SameSite::Omit => {}
        }
        // Browsers refuse SameSite=None without Secure.
        if cookie.secure || cookie.same_site == SameSite::None {
            tail.push_str("; Secure");
        }
        if http_only {
            tail.push_str("; HttpOnly");
        }
        tail.into_bytes()
    };
    let fallback = Some(&cookie.fallback_domain).filter(|d| !d.is_empty());
    let tails = [None, fallback].into_iter().chain(cookie.domains.iter().map(Some)).map(tail).collect();
    CookieText { lead: format!("{name}=").into_bytes(), tails }
}

fn preflight_headers(more: &[String]) -> Vec<u8> {
    let mut names = vec!["Content-Type".to_owned(), "SP-Anonymous".to_owned()];
    names.extend(more.iter().cloned());
    names.join(", ").into_bytes()
}

fn flash_policy(config: &Config) -> Bytes {
    let mut xml = String::from("<?xml version=\"1.0\"?>\n<cross-domain-policy>\n");
    for domain in &config.flash_policy.domains {
        let secure = config.flash_policy.secure;
        xml.push_str(&format!("<allow-access-from domain=\"{domain}\" secure=\"{secure}\" />\n"));
    }
    xml.push_str("</cross-domain-policy>");
    Bytes::from(xml)
}
