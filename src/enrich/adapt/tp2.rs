//! `tp2`: the tracker protocol. By GET one event out of the query string, by POST an array of events that must pass the
//! schema payload_data. The checks come in a fixed order, because which of several faults is told is part of the contract.

use super::{Adapted, AdapterContext, input, not_json, payload_data, query};
use crate::enrich::failure::Problem;
use crate::enrich::loader::Collected;
use crate::enrich::params::{Param, Params};
use crate::enrich::schemas::code;
use crate::event::SchemaKey;
use crate::event::json::{self, Json};

/// Content types of a POST, compared exactly.
const CONTENT_TYPES: [&str; 3] =
    ["application/json", "application/json; charset=utf-8", "application/json; charset=UTF-8"];

const CRITERION: &str = "iglu:com.snowplowanalytics.snowplow/payload_data/jsonschema/1-0-*";

pub(super) fn read<'c>(collected: &'c Collected<'c>, cx: &AdapterContext<'_, '_>) -> Adapted<'c> {
    let over = query(collected);
    if collected.body.is_none() && over.is_empty() {
        return Err(vec![
            input("body", None, "a body or a query string"),
            input("querystring", None, "a query string or a body"),
        ]);
    }
    if let Some(kind) = collected.content_type.filter(|t| !CONTENT_TYPES.contains(t)) {
        return Err(vec![input("contentType", Some(kind), "one of application/json, application/json; charset=utf-8")]);
    }
    match (collected.body, collected.content_type) {
        (Some(_), None) => Err(vec![input("contentType", None, "application/json, since there is a body")]),
        (None, Some(_)) => Err(vec![input("body", None, "a body, since there is a content type")]),
        (None, None) => Ok(vec![over]),
        (Some(body), Some(_)) => events(body, &over, cx),
    }
}

/// Levels of nesting that the usual body has.
const USUAL_DEPTH: usize = 4;

fn events<'c>(body: &'c str, over: &Params<'c>, cx: &AdapterContext<'_, '_>) -> Adapted<'c> {
    let mut out = match payload_data::quick(body).filter(|_| cx.max_depth >= USUAL_DEPTH) {
        Some(events) => events,
        None => any_events(body, cx)?,
    };
    if !over.is_empty() {
        for params in &mut out {
            params.overlay(over);
        }
    }
    Ok(out)
}

/// The events of any body, or what is wrong with it.
pub(super) fn any_events<'c>(body: &'c str, cx: &AdapterContext<'_, '_>) -> Adapted<'c> {
    let json = json::parse(body, cx.max_depth).map_err(|e| vec![not_json("body", body, &e)])?;
    let data = checked(json, cx).map_err(|problem| vec![problem])?;
    let Json::Array(items) = data else { return Err(vec![not_strings(body)]) };
    let mut out = Vec::with_capacity(items.len());
    for item in items {
        let Json::Object(members) = item else { return Err(vec![not_strings(body)]) };
        let mut pairs = Vec::with_capacity(members.len());
        for (name, value) in members {
            let Json::String(value) = value else { return Err(vec![not_strings(body)]) };
            pairs.push(Param { name, value: Some(value) });
        }
        out.push(Params::from_unique(pairs));
    }
    if out.is_empty() { Err(vec![not_strings(body)]) } else { Ok(out) }
}

/// Only a registry that redefines payload_data lets such data come so far.
fn not_strings(body: &str) -> Problem {
    input("body", Some(body), "an array of objects of strings")
}

/// Takes the envelope apart: it is checked against its own schema first, and only then has to be payload_data.
fn checked<'c>(mut json: Json<'c>, cx: &AdapterContext<'_, '_>) -> Result<Json<'c>, Problem> {
    let not_iglu = |json: &Json<'_>, error| Problem::NotIglu { json: json.to_text(), error };
    let Some(uri) = json.get("schema").and_then(Json::as_str) else {
        return Err(not_iglu(&json, "INVALID_DATA_PAYLOAD"));
    };
    let looked_up = cx.schemas.look_up(uri);
    if json.get("data").is_none() {
        return Err(not_iglu(&json, "INVALID_DATA_PAYLOAD"));
    }
    let (key, lookup) = looked_up.map_err(|e| not_iglu(&json, code(e)))?;
    let data = json.take("data").unwrap_or(Json::Null);
    cx.schemas.check(key.clone(), lookup, &data)?;
    if !is_payload_data(&key) {
        return Err(Problem::Criterion { key, criterion: CRITERION });
    }
    Ok(data)
}

fn is_payload_data(key: &SchemaKey) -> bool {
    let (model, revision, _) = key.version();
    key.vendor() == "com.snowplowanalytics.snowplow"
        && key.name() == "payload_data"
        && key.format() == "jsonschema"
        && (model, revision) == (1, 0)
}
