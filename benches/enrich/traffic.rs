//! Journal records as a web site's trackers cause them, for the enrichment benches: page views with three contexts, page
//! pings and self-describing events of about 1.2 kB, from a few hundred browsers.

use base64::Engine;
use bytes::{Bytes, BytesMut};
use snowshed::enrich::{Config, Enricher, Steps, load_steps};
use snowshed::event::{Payload, payload, thrift};
use snowshed::schema;
use snowshed::telemetry::Metrics;
use std::path::Path;
use uuid::Uuid;

/// How events travel.
#[derive(Clone, Copy, Debug)]
pub enum Form {
    /// POST, contexts as JSON text inside JSON: what the JavaScript tracker does by default.
    Json(usize),
    /// POST, contexts in base64: what the Python and Node trackers do by default.
    Base64(usize),
    /// GET.
    Get,
}

/// A small generator, so that every run sees the same traffic.
pub struct Rng(u64);

impl Rng {
    fn next(&mut self, below: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % below
    }

    fn uuid(&mut self) -> Uuid {
        let word = |r: &mut Self| (u128::from(r.next(1 << 31)) << 31) | u128::from(r.next(1 << 31));
        let (a, b) = (word(self), word(self));
        uuid::Builder::from_random_bytes((a << 64 | b << 2).to_be_bytes()).into_uuid()
    }
}

/// Records and the number of events in each.
pub fn records(form: Form, count: usize) -> (Vec<Bytes>, usize) {
    let mut rng = Rng(42);
    let records = (0..count).map(|_| record(form, &mut rng)).collect();
    (
        records,
        match form {
            Form::Json(n) | Form::Base64(n) => n,
            Form::Get => 1,
        },
    )
}

fn record(form: Form, rng: &mut Rng) -> Bytes {
    let agent = agent(rng);
    let mut p = Payload {
        ip: Bytes::from_static(b"10.1.2.3"),
        timestamp_ms: 1_700_000_000_000 + rng.next(1_000_000) as i64,
        encoding: Bytes::from_static(b"UTF-8"),
        collector: Bytes::from_static(b"snowshed-0.1.0"),
        user_agent: Some(Bytes::from(agent.clone())),
        referer: Some(Bytes::from_static(b"https://www.shop.example/")),
        network_user_id: Some(Bytes::from(rng.uuid().to_string())),
        hostname: Some(Bytes::from_static(b"collect.shop.example")),
        headers: [
            "Host: collect.shop.example",
            "Connection: keep-alive",
            "sec-ch-ua: \"Chromium\";v=\"126\", \"Google Chrome\";v=\"126\"",
            "Accept: */*",
            "Origin: https://www.shop.example",
            "Sec-Fetch-Site: same-site",
            "Sec-Fetch-Mode: cors",
            "Referer: https://www.shop.example/",
            "Accept-Encoding: gzip, deflate, br",
            "Accept-Language: de-DE,de;q=0.9,en;q=0.8",
            "Cookie: sp=11111111-1111-4111-8111-111111111111",
            "X-Forwarded-For: 203.0.113.7",
        ]
        .iter()
        .map(|h| Bytes::from_static(h.as_bytes()))
        .chain([Bytes::from(format!("User-Agent: {agent}"))])
        .collect(),
        schema: Bytes::from_static(payload::SCHEMA.as_bytes()),
        ..Payload::default()
    };
    match form {
        Form::Get => {
            p.path = Some(Bytes::from_static(b"/i"));
            let pairs = event(rng, true);
            let query: Vec<String> = pairs.iter().map(|(n, v)| format!("{n}={}", encoded(v))).collect();
            p.querystring = Some(Bytes::from(query.join("&")));
        }
        Form::Json(n) | Form::Base64(n) => {
            p.path = Some(Bytes::from_static(b"/com.snowplowanalytics.snowplow/tp2"));
            p.content_type = Some(Bytes::from_static(b"application/json; charset=utf-8"));
            let base64 = matches!(form, Form::Base64(_));
            let events: Vec<serde_json::Value> = (0..n)
                .map(|_| {
                    serde_json::Value::Object(
                        event(rng, base64).into_iter().map(|(n, v)| (n.to_owned(), v.into())).collect(),
                    )
                })
                .collect();
            let body = serde_json::json!({
                "schema": "iglu:com.snowplowanalytics.snowplow/payload_data/jsonschema/1-0-4", "data": events
            });
            p.body = Some(Bytes::from(body.to_string()));
        }
    }
    let mut out = BytesMut::new();
    thrift::encode(&p, &mut out);
    out.freeze()
}

fn encoded(value: &str) -> String {
    percent_encoding::utf8_percent_encode(value, percent_encoding::NON_ALPHANUMERIC).to_string()
}

fn agent(rng: &mut Rng) -> String {
    let version = 100 + rng.next(30);
    match rng.next(4) {
        0 => format!(
            "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/{version}.0.0.0 Safari/537.36"
        ),
        1 => format!("Mozilla/5.0 (X11; Ubuntu; Linux x86_64; rv:{version}.0) Gecko/20100101 Firefox/{version}.0"),
        2 => format!(
            "Mozilla/5.0 (iPhone; CPU iPhone OS 17_5_1 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/17.{} Mobile/15E148 Safari/604.1",
            version % 7
        ),
        _ => format!(
            "Mozilla/5.0 (Linux; Android 14; Pixel 8) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/{version}.0.6478.71 Mobile Safari/537.36"
        ),
    }
}

fn event(rng: &mut Rng, base64: bool) -> Vec<(&'static str, String)> {
    let page = rng.next(500);
    let campaign = if rng.next(4) == 0 { "?utm_source=news&utm_medium=email&utm_campaign=spring" } else { "" };
    let mut out = vec![
        ("eid", rng.uuid().to_string()),
        ("tv", "js-4.10.1".to_owned()),
        ("tna", "sp".to_owned()),
        ("aid", format!("shop-{}", rng.next(180))),
        ("p", "web".to_owned()),
        ("cookie", "1".to_owned()),
        ("cs", "UTF-8".to_owned()),
        ("lang", "de-DE".to_owned()),
        ("res", "1920x1080".to_owned()),
        ("cd", "24".to_owned()),
        ("tz", "Europe/Berlin".to_owned()),
        ("dtm", (1_700_000_000_000 + rng.next(1_000_000)).to_string()),
        ("vp", "1280x720".to_owned()),
        ("ds", "1280x4711".to_owned()),
        ("vid", rng.next(40).to_string()),
        ("sid", rng.uuid().to_string()),
        ("duid", rng.uuid().to_string()),
        ("url", format!("https://www.shop.example/de/articles/{page}/a-longer-page-name.html{campaign}")),
        ("page", format!("Article {page}: a page title of usual length | Shop")),
        ("refr", "https://www.google.com/search?q=red+shoes&hl=de".to_owned()),
        ("stm", "1700000000999".to_owned()),
    ];
    let mut contexts = vec![
        format!(
            "{{\"schema\":\"iglu:com.snowplowanalytics.snowplow/web_page/jsonschema/1-0-0\",\"data\":{{\"id\":\"{}\"}}}}",
            rng.uuid()
        ),
        format!(
            "{{\"schema\":\"iglu:com.snowplowanalytics.snowplow/client_session/jsonschema/1-0-2\",\"data\":{{\"userId\":\"{}\",\"sessionId\":\"{}\",\"eventIndex\":{},\"sessionIndex\":3,\"previousSessionId\":null,\"storageMechanism\":\"COOKIE_1\",\"firstEventId\":\"{}\"}}}}",
            rng.uuid(),
            rng.uuid(),
            rng.next(100),
            rng.uuid()
        ),
    ];
    let put_json = |out: &mut Vec<(&'static str, String)>, plain: &'static str, coded: &'static str, text: String| {
        if base64 {
            out.push((coded, base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(text)));
        } else {
            out.push((plain, text));
        }
    };
    match rng.next(10) {
        0..4 => {
            out.push(("e", "pv".to_owned()));
            contexts.push(if rng.next(3) == 0 { timing(rng) } else { client_hints() });
        }
        4..8 => {
            out.push(("e", "pp".to_owned()));
            for (name, max) in [("pp_mix", 1), ("pp_max", 1), ("pp_miy", 200), ("pp_may", 4000)] {
                out.push((name, rng.next(max).to_string()));
            }
        }
        _ => {
            out.push(("e", "ue".to_owned()));
            let text = format!(
                "{{\"schema\":\"iglu:com.snowplowanalytics.snowplow/unstruct_event/jsonschema/1-0-0\",\"data\":{{\"schema\":\"iglu:com.snowplowanalytics.snowplow/link_click/jsonschema/1-0-1\",\"data\":{{\"targetUrl\":\"https://www.shop.example/offers/{}\",\"elementId\":\"teaser-{}\",\"elementClasses\":[\"teaser\",\"wide\"],\"elementTarget\":\"_self\"}}}}}}",
                rng.next(500),
                rng.next(9)
            );
            put_json(&mut out, "ue_pr", "ue_px", text);
        }
    }
    let text = format!(
        "{{\"schema\":\"iglu:com.snowplowanalytics.snowplow/contexts/jsonschema/1-0-0\",\"data\":[{}]}}",
        contexts.join(",")
    );
    put_json(&mut out, "co", "cx", text);
    out
}

fn client_hints() -> String {
    "{\"schema\":\"iglu:org.ietf/http_client_hints/jsonschema/1-0-0\",\"data\":{\"isMobile\":false,\"brands\":[{\"brand\":\"Chromium\",\"version\":\"126\"},{\"brand\":\"Google Chrome\",\"version\":\"126\"}]}}".to_owned()
}

fn timing(rng: &mut Rng) -> String {
    let mut t = 1_700_000_000_000 + rng.next(1000);
    let mut fields = Vec::new();
    for key in [
        "navigationStart",
        "redirectStart",
        "redirectEnd",
        "fetchStart",
        "domainLookupStart",
        "domainLookupEnd",
        "connectStart",
        "secureConnectionStart",
        "connectEnd",
        "requestStart",
        "responseStart",
        "responseEnd",
        "unloadEventStart",
        "unloadEventEnd",
        "domLoading",
        "domInteractive",
        "domContentLoadedEventStart",
        "domContentLoadedEventEnd",
        "domComplete",
        "loadEventStart",
        "loadEventEnd",
    ] {
        fields.push(format!("\"{key}\":{t}"));
        t += rng.next(40);
    }
    format!("{{\"schema\":\"iglu:org.w3/PerformanceTiming/jsonschema/1-0-0\",\"data\":{{{}}}}}", fields.join(","))
}

/// Enrichment configurations that a usual installation switches on.
const STEPS: &[(&str, &str)] = &[
    (
        "ua_parser.json",
        r#"{"schema":"iglu:com.snowplowanalytics.snowplow/ua_parser_config/jsonschema/1-0-1","data":{"vendor":"com.snowplowanalytics.snowplow","name":"ua_parser_config","enabled":true}}"#,
    ),
    (
        "referer_parser.json",
        r#"{"schema":"iglu:com.snowplowanalytics.snowplow/referer_parser/jsonschema/2-0-0","data":{"vendor":"com.snowplowanalytics.snowplow","name":"referer_parser","enabled":true,"parameters":{"internalDomains":["app.shop.example"],"database":"referers-latest.json","uri":"embedded:"}}}"#,
    ),
    (
        "campaign_attribution.json",
        r#"{"schema":"iglu:com.snowplowanalytics.snowplow/campaign_attribution/jsonschema/1-0-1","data":{"vendor":"com.snowplowanalytics.snowplow","name":"campaign_attribution","enabled":true,"parameters":{"mapping":"static","fields":{"mktMedium":["utm_medium"],"mktSource":["utm_source"],"mktTerm":["utm_term"],"mktContent":["utm_content"],"mktCampaign":["utm_campaign"]}}}}"#,
    ),
    (
        "event_fingerprint.json",
        r#"{"schema":"iglu:com.snowplowanalytics.snowplow/event_fingerprint_config/jsonschema/1-0-1","data":{"vendor":"com.snowplowanalytics.snowplow","name":"event_fingerprint_config","enabled":true,"parameters":{"excludeParameters":["cv","eid","nuid","stm"],"hashAlgorithm":"MD5"}}}"#,
    ),
];

/// The core, with the steps of a usual installation or only those that are always on.
pub fn enricher(folder: &Path, usual: bool) -> Enricher {
    let resolver = schema::build(&schema::Config::default(), None, &Metrics::new()).expect("a resolver");
    let mut config = Config::default();
    let steps = if usual {
        for (name, text) in STEPS {
            std::fs::write(folder.join(name), text).expect("a configuration file");
        }
        config.enrichments = Some(folder.to_owned());
        load_steps(&config, &resolver).unwrap_or_else(|problems| panic!("{}", problems.join("\n")))
    } else {
        Steps::always_on()
    };
    Enricher::new(&config, steps, resolver, Uuid::nil()).expect("an enricher")
}
