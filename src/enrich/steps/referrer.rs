//! `referer_parser`: where a visitor came from, by the host of the referrer.

use super::StepConfig;
use super::config::Reader;
use super::referrer_database::Database;
use crate::enrich::map::text::sanitise;
use crate::enrich::query::QueryPairs;
use crate::enrich::step::{Enrichment, StepContext};
use crate::event::{SchemaKey, columns};

#[derive(Debug)]
struct Referrer {
    key: SchemaKey,
    internal: Vec<String>,
    database: Database,
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
    match Database::load(&uri, &file) {
        Ok(found) => database.merge(found),
        Err(e) => read.problem(e),
    }
    read.finish(Referrer { key: config.schema.clone(), internal, database })
}

impl Enrichment for Referrer {
    fn identifier(&self) -> &'static str {
        "referer-parser"
    }

    fn config_key(&self) -> Option<&SchemaKey> {
        Some(&self.key)
    }

    fn apply(&self, cx: &mut StepContext<'_>) {
        let Some(referrer) = &cx.referrer else { return };
        let known_scheme = referrer
            .scheme()
            .is_some_and(|s| ["http", "https", "android-app"].iter().any(|known| s.eq_ignore_ascii_case(known)));
        let Some(host) = referrer.host().filter(|_| known_scheme) else { return };
        let host = host.to_ascii_lowercase();
        let page = cx.event.text(columns::PAGE_URLHOST).map(str::to_ascii_lowercase);
        let mut term = None;
        let (medium, source) = if page.as_deref() == Some(host.as_str()) || self.internal.contains(&host) {
            ("internal".to_owned(), None)
        } else {
            let path = percent_encoding::percent_decode_str(referrer.path().unwrap_or_default()).decode_utf8_lossy();
            match self.database.find(&host, &path) {
                None => ("unknown".to_owned(), None),
                Some(known) if known.medium == "unknown" || known.medium == "internal" => (known.medium.clone(), None),
                Some(known) => {
                    term = referrer.query().and_then(|query| search_term(query, &known.parameters));
                    (known.medium.clone(), Some(known.source.clone()))
                }
            }
        };
        cx.event.set_text(columns::REFR_MEDIUM, &sanitise(&medium));
        if let Some(source) = source {
            cx.event.set_text(columns::REFR_SOURCE, &sanitise(&source));
        }
        if let Some(term) = term {
            cx.event.set_text(columns::REFR_TERM, &sanitise(&term));
        }
    }
}

/// The first pair, in the order of the URL, whose name is one of the source's.
fn search_term(query: &str, parameters: &[String]) -> Option<String> {
    query.split('&').find_map(|pair| {
        let pairs = QueryPairs::parse(&pair.replace(';', "%3B"));
        let (name, value) = pairs.iter().next()?;
        parameters.iter().any(|p| p == name).then(|| value.to_owned())
    })
}
