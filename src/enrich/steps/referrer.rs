//! `referer_parser`: where a visitor came from, by the host of the referrer; and by the page's `utm_source`, where the database
//! or the configuration says which referrer that stands for.

use super::StepConfig;
use super::asset::Asset;
use super::config::Reader;
use super::referrer_database::Database;
use crate::enrich::map::text::sanitise_into;
use crate::enrich::query::decoded;
use crate::enrich::step::{Enrichment, StepContext};
use crate::event::json::write_string;
use crate::event::{SchemaKey, columns};
use crate::telemetry::Metrics;
use crate::telemetry::striped::StripedCounter;
use std::borrow::Cow;

/// Media that have no search term, whatever parameters the database lists.
const TERMLESS: [&str; 3] = ["social", "email", "paid"];

#[derive(Debug)]
struct Referrer {
    key: SchemaKey,
    utm_referrer: SchemaKey,
    internal: Vec<String>,
    database: Database,
    assets: Vec<Asset>,
    known: StripedCounter,
    unknown: StripedCounter,
}

/// Reads the configuration and the database.
pub(super) fn build(config: &StepConfig) -> Result<Box<dyn Enrichment>, Vec<String>> {
    let mut read = Reader::new(config.parameters());
    let internal = read.texts("internalDomains").iter().map(|d| d.trim().to_ascii_lowercase()).collect();
    let (uri, file) = (read.text("uri"), read.text("database"));
    let mut database = Database::default();
    if let Some(own) = config.parameters().get("referrers")
        && let Err(e) = database.add(own)
    {
        read.problem(format!("referrers: {e}"));
    }
    let mut assets = Vec::new();
    match Database::load(&uri, &file) {
        Ok((found, asset)) => {
            database.merge(found);
            assets.push(asset);
        }
        Err(e) => read.other(e),
    }
    let utm_referrer = SchemaKey::new("com.snowplowanalytics.snowplow", "utm_referrer", "jsonschema", (1, 0, 0));
    read.finish(Referrer {
        key: config.schema.clone(),
        utm_referrer,
        internal,
        database,
        assets,
        known: StripedCounter::default(),
        unknown: StripedCounter::default(),
    })
}

impl Enrichment for Referrer {
    fn identifier(&self) -> &'static str {
        "referer-parser"
    }

    fn config_key(&self) -> Option<&SchemaKey> {
        Some(&self.key)
    }

    fn assets(&self) -> &[Asset] {
        &self.assets
    }

    fn register(&self, metrics: &Metrics) {
        metrics.register("enrich_referrers_known", "Referrers whose host is in the database", self.known.clone());
        metrics.register("enrich_referrers_unknown", "Referrers whose host is not", self.unknown.clone());
    }

    fn apply(&self, cx: &mut StepContext<'_>) {
        self.by_host(cx);
        self.by_campaign(cx);
    }
}

impl Referrer {
    fn by_host(&self, cx: &mut StepContext<'_>) {
        let Some(referrer) = &cx.referrer else { return };
        let known_scheme = referrer
            .scheme()
            .is_some_and(|s| ["http", "https", "android-app"].iter().any(|known| s.eq_ignore_ascii_case(known)));
        let Some(host) = referrer.host().filter(|_| known_scheme) else { return };
        let host = lower(host);
        let page = cx.event.text(columns::PAGE_URLHOST);
        if page.is_some_and(|page| page.eq_ignore_ascii_case(&host)) || self.internal.iter().any(|i| *i == host) {
            cx.event.set_text(columns::REFR_MEDIUM, "internal");
            return;
        }
        let path = percent_encoding::percent_decode_str(referrer.path().unwrap_or_default()).decode_utf8_lossy();
        let Some(known) = self.database.find(&host, &path) else {
            self.unknown.inc();
            cx.event.set_text(columns::REFR_MEDIUM, "unknown");
            return;
        };
        self.known.inc();
        cx.event.set_text_with(columns::REFR_MEDIUM, |out| sanitise_into(&known.medium, out));
        if known.medium == "unknown" || known.medium == "internal" {
            return;
        }
        cx.event.set_text_with(columns::REFR_SOURCE, |out| sanitise_into(&known.source, out));
        if TERMLESS.contains(&known.medium.as_str()) {
            return;
        }
        if let Some(term) = referrer.query().and_then(|query| search_term(query, &known.parameters)) {
            cx.event.set_text_with(columns::REFR_TERM, |out| sanitise_into(&term, out));
        }
    }

    /// Only adds a context: `refr_*` and `mkt_source` stay as they are.
    fn by_campaign(&self, cx: &mut StepContext<'_>) {
        if !self.database.has_campaigns() || cx.page.is_none() {
            return;
        }
        let Some((medium, source)) = cx.page_query().last("utm_source").and_then(|s| self.database.campaign(s)) else {
            return;
        };
        let mut data = String::from("{\"source\":");
        write_string(source, &mut data);
        data.push_str(",\"medium\":");
        write_string(medium, &mut data);
        data.push_str(",\"term\":null}");
        cx.derive(self.utm_referrer.clone(), data);
    }
}

fn lower(text: &str) -> Cow<'_, str> {
    if text.bytes().any(|b| b.is_ascii_uppercase()) {
        Cow::Owned(text.to_ascii_lowercase())
    } else {
        Cow::Borrowed(text)
    }
}

/// The first pair, in the order of the URL, whose name is one of the source's.
fn search_term<'q>(query: &'q str, parameters: &[String]) -> Option<Cow<'q, str>> {
    query.split('&').find_map(|pair| {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        let name = decoded(name);
        parameters.iter().any(|p| *p == name).then(|| decoded(value))
    })
}
