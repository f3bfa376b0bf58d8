//! `campaign_attribution`: marketing columns from the query of the page URL.

use super::StepConfig;
use super::config::{Reader, texts};
use crate::enrich::map::text::sanitise;
use crate::enrich::step::{Enrichment, StepContext};
use crate::event::{SchemaKey, columns};
use serde_json::Value;

/// Click ids that are known without configuration, in the order in which they are looked for.
const CLICK_IDS: [(&str, &str); 3] = [("gclid", "Google"), ("msclkid", "Microsoft"), ("dclid", "DoubleClick")];

const FIELDS: [(&str, usize); 5] = [
    ("mktMedium", columns::MKT_MEDIUM),
    ("mktSource", columns::MKT_SOURCE),
    ("mktTerm", columns::MKT_TERM),
    ("mktContent", columns::MKT_CONTENT),
    ("mktCampaign", columns::MKT_CAMPAIGN),
];

#[derive(Debug)]
struct Campaign {
    key: SchemaKey,
    fields: Vec<(usize, Vec<String>)>,
    clicks: Vec<(String, String)>,
}

/// Reads the configuration.
pub(super) fn build(config: &StepConfig) -> Result<Box<dyn Enrichment>, Vec<String>> {
    let mut read = Reader::new(config.parameters());
    let fields = read.object("fields");
    if fields.is_none() {
        read.problem("fields: is missing; allowed: an object".to_owned());
    }
    let member = |name: &str| fields.and_then(|f| f.get(name));
    let mut names = Vec::new();
    for (field, column) in FIELDS {
        match member(field).and_then(texts) {
            Some(list) => names.push((column, list)),
            None => {
                read.problem(format!("fields.{field}: is missing or no list of texts; allowed: a list, may be empty"))
            }
        }
    }
    let mut clicks: Vec<(String, String)> =
        CLICK_IDS.map(|(name, network)| (name.to_owned(), network.to_owned())).into();
    match member("mktClickId") {
        None => {}
        Some(Value::Object(own)) => {
            for (name, network) in own {
                let Some(network) = network.as_str() else {
                    read.problem(format!("fields.mktClickId.{name}: is {network}; allowed: the name of a network"));
                    continue;
                };
                match clicks.iter_mut().find(|(known, _)| known == name) {
                    Some((_, known)) => network.clone_into(known),
                    None => clicks.push((name.clone(), network.to_owned())),
                }
            }
        }
        Some(other) => {
            read.problem(format!("fields.mktClickId: is {other}; allowed: an object of parameter to network"))
        }
    }
    read.finish(Campaign { key: config.schema.clone(), fields: names, clicks })
}

impl Enrichment for Campaign {
    fn identifier(&self) -> &'static str {
        "campaign-attribution"
    }

    fn config_key(&self) -> Option<&SchemaKey> {
        Some(&self.key)
    }

    fn apply(&self, cx: &mut StepContext<'_>) {
        if cx.page.is_none() {
            return;
        }
        let mut found: Vec<(usize, String)> = Vec::new();
        let query = cx.page_query();
        for (column, names) in &self.fields {
            // A parameter that is there but empty wins too, and leaves the column absent.
            if let Some(value) = names.iter().find_map(|name| query.last(name)) {
                found.push((*column, sanitise(value).into_owned()));
            }
        }
        if let Some((value, network)) =
            self.clicks.iter().find_map(|(name, network)| Some((query.last(name)?, network)))
        {
            found.push((columns::MKT_CLICKID, sanitise(value).into_owned()));
            found.push((columns::MKT_NETWORK, sanitise(network).into_owned()));
        }
        for (column, value) in found {
            cx.event.set_text(column, &value);
        }
    }
}
