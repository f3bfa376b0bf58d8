//! One event as a tracker writes it: an object of strings in the `payload_data` envelope.

use super::Shape;
use super::site::{Site, random_uuid};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use rand::Rng;
use rand::rngs::SmallRng;
use serde_json::{Map, Value, json};

/// The envelope version that current trackers send.
pub const ENVELOPE: &str = "iglu:com.snowplowanalytics.snowplow/payload_data/jsonschema/1-0-4";

/// The next event of some visitor of `site`, created at `now` (milliseconds).
pub fn next(site: &mut Site, shape: &Shape, now: i64, rng: &mut SmallRng) -> Map<String, Value> {
    let next_page = site.any_page(rng);
    let (platform, lang, zone, app_id, host) =
        (site.platform, site.lang, site.zone, site.app_id.clone(), site.host.clone());
    let visitor = site.visitor(rng);
    let kind = if visitor.events == 0 { 0.0 } else { rng.random::<f64>() };
    let first = visitor.events == 0;
    if kind < PAGE_VIEW {
        visitor.page = next_page;
        visitor.page_view = random_uuid(rng);
    }
    visitor.events += 1;
    let v = visitor.clone();
    let created = if rng.random_bool(shape.late) { now - rng.random_range(60_000..900_000) } else { now - 40 };
    let (path, title) = site.page(v.page);
    let query = match v.campaign {
        Some(c) if first => format!("?{c}"),
        _ => String::new(),
    };
    let mut e = Map::new();
    let mut put = |k: &str, value: String| {
        e.insert(k.to_owned(), Value::String(value));
    };
    put("eid", random_uuid(rng).to_string());
    put("tv", if platform == "mob" { "andr-6.3.2" } else { "js-4.10.1" }.to_owned());
    put("tna", "sp".to_owned());
    put("aid", shape.app_id.clone().unwrap_or(app_id));
    put("p", platform.to_owned());
    put("dtm", created.to_string());
    put("stm", now.to_string());
    put("duid", v.domain_userid.to_string());
    put("sid", v.session.to_string());
    put("vid", v.session_index.to_string());
    put("lang", lang.to_owned());
    put("tz", zone.to_owned());
    put("cs", "UTF-8".to_owned());
    put("cd", "24".to_owned());
    put("cookie", "1".to_owned());
    put("res", format!("{}x{}", v.device.screen.0, v.device.screen.1));
    put("vp", format!("{}x{}", v.device.view.0, v.device.view.1));
    put("ds", format!("{}x{}", v.device.view.0, v.device.view.1 * 4));
    put("url", format!("https://{host}{path}{query}"));
    put("page", title.to_owned());
    if let Some(referrer) = v.referrer.filter(|_| first) {
        put("refr", referrer.to_owned());
    }
    let mut contexts = vec![
        json!({"schema": "iglu:com.snowplowanalytics.snowplow/web_page/jsonschema/1-0-0", "data": {"id": v.page_view.to_string()}}),
        json!({"schema": "iglu:com.snowplowanalytics.snowplow/client_session/jsonschema/1-0-2", "data": {
            "userId": v.domain_userid.to_string(), "sessionId": v.session.to_string(), "eventIndex": v.events, "sessionIndex": v.session_index,
            "previousSessionId": null, "storageMechanism": "COOKIE_1", "firstEventId": null, "firstEventTimestamp": null}}),
    ];
    let scene = Scene { kind, host: &host, page: next_page, view: v.device.view };
    act(&mut put, &scene, rng);
    if kind < PAGE_VIEW && platform == "web" {
        contexts.push(timing(created, rng));
    }
    if rng.random_bool(shape.failing) {
        spoil(&mut put, rng);
    }
    put(
        "cx",
        encode(&json!({"schema": "iglu:com.snowplowanalytics.snowplow/contexts/jsonschema/1-0-0", "data": contexts})),
    );
    e
}

/// Base64 as trackers send self-describing JSON.
pub fn encode(value: &Value) -> String {
    URL_SAFE_NO_PAD.encode(value.to_string())
}

/// Shares of the kinds of event, cumulated.
const PAGE_VIEW: f64 = 0.35;
const PING: f64 = 0.80;
const CLICK: f64 = 0.90;
const STRUCT: f64 = 0.96;

/// What somebody does where.
struct Scene<'a> {
    kind: f64,
    host: &'a str,
    page: usize,
    view: (u32, u32),
}

fn act(put: &mut impl FnMut(&str, String), scene: &Scene<'_>, rng: &mut SmallRng) {
    match scene.kind {
        k if k < PAGE_VIEW => put("e", "pv".to_owned()),
        k if k < PING => ping(put, scene.view, rng),
        k if k < CLICK => {
            put("e", "ue".to_owned());
            put("ue_px", encode(&link_click(scene.host, scene.page, rng)));
        }
        k if k < STRUCT => {
            put("e", "se".to_owned());
            put("se_ca", "listing".to_owned());
            put("se_ac", ["save", "share", "zoom", "contact"][rng.random_range(0..4)].to_owned());
            put("se_la", format!("item-{}", 100 + scene.page));
            put("se_va", format!("{}.{:02}", rng.random_range(1..500), rng.random_range(0..100)));
        }
        _ => order(put, rng),
    }
}

fn ping(put: &mut impl FnMut(&str, String), view: (u32, u32), rng: &mut SmallRng) {
    put("e", "pp".to_owned());
    put("pp_mix", "0".to_owned());
    put("pp_max", "0".to_owned());
    put("pp_miy", rng.random_range(0..200).to_string());
    put("pp_may", rng.random_range(200..view.1 * 3).to_string());
}

fn order(put: &mut impl FnMut(&str, String), rng: &mut SmallRng) {
    let total = f64::from(rng.random_range(900..25_000)) / 100.0;
    put("e", "tr".to_owned());
    put("tr_id", format!("o-{}", random_uuid(rng).simple()));
    put("tr_tt", format!("{total:.2}"));
    put("tr_tx", format!("{:.2}", total * 0.19));
    put("tr_sh", "4.90".to_owned());
    put("tr_cu", "EUR".to_owned());
    put("tr_co", "DE".to_owned());
}

fn timing(at: i64, rng: &mut SmallRng) -> Value {
    let mut t = at - rng.random_range(300..2500);
    let mut data = Map::new();
    for key in [
        "navigationStart",
        "fetchStart",
        "requestStart",
        "responseStart",
        "responseEnd",
        "domLoading",
        "domInteractive",
        "domComplete",
        "loadEventStart",
        "loadEventEnd",
    ] {
        data.insert(key.to_owned(), t.into());
        t += rng.random_range(0..180);
    }
    json!({"schema": "iglu:org.w3/PerformanceTiming/jsonschema/1-0-0", "data": data})
}

fn unstruct(schema: &str, data: Value) -> Value {
    json!({"schema": "iglu:com.snowplowanalytics.snowplow/unstruct_event/jsonschema/1-0-0",
        "data": {"schema": schema, "data": data}})
}

fn link_click(host: &str, page: usize, rng: &mut SmallRng) -> Value {
    unstruct(
        "iglu:com.snowplowanalytics.snowplow/link_click/jsonschema/1-0-1",
        json!({"targetUrl": format!("https://{host}/offers/{}", 100 + page), "elementId": format!("teaser-{}", rng.random_range(1..9)),
            "elementClasses": ["teaser", "wide"], "elementTarget": "_self"}),
    )
}

/// What goes wrong in the field: a missing required field, an unpublished schema, a wrong type.
fn spoil(put: &mut impl FnMut(&str, String), rng: &mut SmallRng) {
    match rng.random_range(0..4) {
        0 | 1 => {
            put("e", "ue".to_owned());
            let data = json!({"elementId": "buy-now"});
            put("ue_px", encode(&unstruct("iglu:com.snowplowanalytics.snowplow/link_click/jsonschema/1-0-1", data)));
        }
        2 => {
            put("e", "ue".to_owned());
            let data = json!({"sku": "A-1", "step": 2});
            put("ue_px", encode(&unstruct("iglu:com.example.shop/checkout_step/jsonschema/1-0-0", data)));
        }
        _ => put("vid", "first".to_owned()),
    }
}
