//! `cross_navigation_config`: the whole `_sp` parameter of a page that was reached from another site, as a derived context.
//!
//! The two columns are set with or without it by the always-on step; what is wrong with the parameter is reported there.

use super::StepConfig;
use crate::enrich::map::{base64, parse_millis, text::sanitise};
use crate::enrich::step::{Enrichment, StepContext};
use crate::event::SchemaKey;
use crate::event::calendar::{TimeForm, write_time};
use crate::event::json::write_string;

/// More parts than this and the parameter is not ours.
const PARTS: usize = 7;

#[derive(Debug)]
struct CrossNavigation {
    key: SchemaKey,
    context: SchemaKey,
}

/// Reads the configuration, which has no parameters.
pub(super) fn build(config: &StepConfig) -> Result<Box<dyn Enrichment>, Vec<String>> {
    let context = SchemaKey::new("com.snowplowanalytics.snowplow", "cross_navigation", "jsonschema", (1, 0, 0));
    Ok(Box::new(CrossNavigation { key: config.schema.clone(), context }))
}

impl Enrichment for CrossNavigation {
    fn identifier(&self) -> &'static str {
        "cross-navigation"
    }

    fn config_key(&self) -> Option<&SchemaKey> {
        Some(&self.key)
    }

    fn apply(&self, cx: &mut StepContext<'_>) {
        if cx.page.is_none() {
            return;
        }
        if let Some(data) = cx.page_query().last("_sp").and_then(context) {
            cx.derive(self.context.clone(), data);
        }
    }
}

/// The context's data, when the parameter names a user and a time.
fn context(sp: &str) -> Option<String> {
    let trimmed = sp.trim_end_matches('.');
    let parts: Vec<&str> = trimmed.split('.').collect();
    if parts.len() > PARTS {
        return None;
    }
    let part = |i: usize| parts.get(i).copied().filter(|p| !p.is_empty());
    let decoded = |i: usize| part(i).map(base64::decode);
    let user = part(0).map(|p| sanitise(p).into_owned())?;
    let time = parse_millis(part(1)?)?;
    let mut stamp = String::new();
    write_time(time, TimeForm::Iso, &mut stamp);
    let mut out = String::from("{\"domain_user_id\":");
    write_string(&user, &mut out);
    out.push_str(",\"timestamp\":");
    write_string(&stamp, &mut out);
    for (name, value) in [
        ("session_id", part(2).map(str::to_owned)),
        ("user_id", decoded(3)),
        ("source_id", decoded(4)),
        ("source_platform", part(5).map(str::to_owned)),
        ("reason", decoded(6)),
    ] {
        out.push_str(",\"");
        out.push_str(name);
        out.push_str("\":");
        match value {
            Some(value) => write_string(&value, &mut out),
            None => out.push_str("null"),
        }
    }
    out.push('}');
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_seven_parts_stand_in_the_context() {
        let all = context("d1.1700000000000.0f0e0d0c-0b0a-4908-8706-050403020100.dTE=.c2hvcA.web.cHJvbW8").unwrap();
        let all: serde_json::Value = serde_json::from_str(&all).unwrap();
        assert_eq!(all["timestamp"], "2023-11-14T22:13:20.000Z");
        assert_eq!(
            (&all["user_id"], &all["source_id"], &all["reason"]),
            (&"u1".into(), &"shop".into(), &"promo".into())
        );
        let few: serde_json::Value = serde_json::from_str(&context("d1.1700000000000....web").unwrap()).unwrap();
        assert_eq!(few["source_platform"], "web");
        assert!(few["session_id"].is_null() && few["user_id"].is_null());
        for none in ["d1", ".1700000000000", "d1.soon", ".", "", "a.1.b.c.d.e.f.g"] {
            assert!(context(none).is_none(), "{none}");
        }
    }
}
