//! `r/tp2`: a click that the collector answered with a redirect. The target becomes an event of its own, or an entity of the
//! event that the link carries.

use super::{Adapted, AdapterContext, input, not_json, query, unstruct_envelope};
use crate::enrich::failure::Problem;
use crate::enrich::loader::Collected;
use crate::enrich::map::base64;
use crate::enrich::params::Params;
use crate::event::json::{self, Json};
use crate::event::tsv::CONTEXTS_SCHEMA;
use std::borrow::Cow;

const URI_REDIRECT: &str = "iglu:com.snowplowanalytics.snowplow/uri_redirect/jsonschema/1-0-0";

pub(super) fn read<'c>(collected: &'c Collected<'c>, cx: &AdapterContext<'_, '_>) -> Adapted<'c> {
    let mut params = query(collected);
    if params.is_empty() {
        return Err(vec![input("querystring", None, "the target of the redirect in u")]);
    }
    let Some(Some(target)) = params.remove("u") else {
        return Err(vec![input("querystring", None, "the target of the redirect in u")]);
    };
    let mut data = String::from("{\"uri\":");
    json::write_string(&target, &mut data);
    data.push('}');
    params.set("tv", Some(Cow::Borrowed("r-tp2")));
    if params.get("p").is_none() {
        params.set("p", Some(Cow::Borrowed("web")));
    }
    if params.get("e").is_none() {
        params.set("e", Some(Cow::Borrowed("ue")));
        params.set("ue_pr", Some(Cow::Owned(unstruct_envelope(URI_REDIRECT, &data))));
        // The encoded form would win over the event that was just made.
        params.remove("ue_px");
    } else {
        add_entity(&mut params, &data, cx.max_depth).map_err(|problem| vec![problem])?;
    }
    Ok(vec![params])
}

/// Puts the redirect first among the contexts: in `cx` if there is one, else in `co`, else in a new `co`.
fn add_entity(params: &mut Params<'_>, data: &str, max_depth: usize) -> Result<(), Problem> {
    let entity = format!("{{\"schema\":\"{URI_REDIRECT}\",\"data\":{data}}}");
    let present = |text: Option<&str>| text.filter(|t| !t.is_empty()).map(str::to_owned);
    if let Some(encoded) = present(params.get("cx")) {
        let text = base64::decode(&encoded);
        let text = with_first(&text, &entity, max_depth).map_err(|e| not_json("cx", &text, &e))?;
        params.set("cx", Some(Cow::Owned(base64::encode(&text))));
    } else if let Some(text) = present(params.get("co")) {
        let text = with_first(&text, &entity, max_depth).map_err(|e| not_json("co", &text, &e))?;
        params.set("co", Some(Cow::Owned(text)));
        params.remove("cx");
    } else {
        params.set("co", Some(Cow::Owned(format!("{{\"schema\":\"{CONTEXTS_SCHEMA}\",\"data\":[{entity}]}}"))));
        params.remove("cx");
    }
    Ok(())
}

/// The contexts with one more in front. What is no envelope of an array stays as it is and fails later.
fn with_first(text: &str, entity: &str, max_depth: usize) -> Result<String, json::JsonError> {
    let mut envelope = json::parse(text, max_depth)?;
    if let Json::Object(members) = &mut envelope
        && let Some((_, Json::Array(items))) = members.iter_mut().find(|(k, _)| k == "data")
    {
        items.insert(0, json::parse(entity, max_depth)?.into_owned());
    }
    Ok(envelope.to_text())
}
