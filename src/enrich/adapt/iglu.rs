//! The Iglu webhook: any self-describing JSON, or any data together with a schema in the query string.
//!
//! By GET the data are the parameters that are no tracker parameters. The reference leaves `eid`, `ttm` and `url` in the data
//! as well, where a closed schema then rejects them; here they are only tracker parameters.

use super::{Adapted, AdapterContext, input, not_json, query, unstruct_envelope};
use crate::enrich::failure::Problem;
use crate::enrich::loader::Collected;
use crate::enrich::params::{Param, Params};
use crate::enrich::query as form;
use crate::enrich::schemas::code;
use crate::enrich::uri::first_illegal_in_query;
use crate::event::SchemaKey;
use crate::event::json::{self, Json};
use std::borrow::Cow;

const JSON: [&str; 2] = ["application/json", "application/json; charset=utf-8"];
const FORM: &str = "application/x-www-form-urlencoded";
/// Tracker parameters that are taken over from the query string, beside `p`.
const TAKEN: [&str; 6] = ["nuid", "aid", "cv", "eid", "ttm", "url"];

pub(super) fn read<'c>(collected: &'c Collected<'c>, cx: &AdapterContext<'_, '_>) -> Adapted<'c> {
    let params = query(collected);
    let one = |problem: Problem| vec![problem];
    let kind = match (collected.body, collected.content_type) {
        (Some(_), None) => return Err(one(input("contentType", None, "a content type, since there is a body"))),
        (_, kind) => kind.unwrap_or_default(),
    };
    let Some(schema) = params.get("schema") else {
        let Some(body) = collected.body else {
            return Err(vec![
                input("schema", None, "a schema in the query string or a self-describing body"),
                input("body", None, "a self-describing body or a schema in the query string"),
            ]);
        };
        if !JSON.contains(&kind) {
            return Err(one(input("contentType", Some(kind), "application/json")));
        }
        let envelope = self_describing(body, cx).map_err(one)?;
        return Ok(vec![event(&params, "app", envelope)]);
    };
    let key = SchemaKey::parse(schema).map_err(|e| one(input("schema", Some(schema), code(e))))?.uri();
    match collected.body {
        None => Ok(vec![event(&params, "app", unstruct_envelope(&key, &query_data(&params)))]),
        Some(body) if JSON.contains(&kind) => {
            let items = json_data(body, cx).map_err(one)?;
            Ok(items.iter().map(|data| event(&params, "app", unstruct_envelope(&key, data))).collect())
        }
        Some(body) if kind == FORM => {
            let data = form_data(body).map_err(one)?;
            Ok(vec![event(&params, "srv", unstruct_envelope(&key, &data))])
        }
        Some(_) => Err(one(input("contentType", Some(kind), "application/json or application/x-www-form-urlencoded"))),
    }
}

fn event<'c>(params: &Params<'c>, platform: &'static str, envelope: String) -> Params<'c> {
    let mut out = Params::with_capacity(10);
    out.set("e", Some(Cow::Borrowed("ue")));
    out.set("tv", Some(Cow::Borrowed("com.snowplowanalytics.iglu-v1")));
    for param in params.iter() {
        if TAKEN.contains(&&*param.name) || (param.name == "p" && param.value.is_some()) {
            out.set(param.name.clone(), param.value.clone());
        }
    }
    if !out.has("p") {
        out.set("p", Some(Cow::Borrowed(platform)));
    }
    out.set("ue_pr", Some(Cow::Owned(envelope)));
    out
}

fn self_describing(body: &str, cx: &AdapterContext<'_, '_>) -> Result<String, Problem> {
    let json = json::parse(body, cx.max_depth).map_err(|e| not_json("body", body, &e))?;
    let not_iglu = |error| Problem::NotIglu { json: json.to_text(), error };
    match (json.get("schema").and_then(Json::as_str), json.get("data")) {
        (Some(uri), Some(data)) => {
            let key = SchemaKey::parse(uri).map_err(|e| not_iglu(code(e)))?;
            Ok(unstruct_envelope(&key.uri(), &data.to_text()))
        }
        _ => Err(not_iglu("INVALID_DATA_PAYLOAD")),
    }
}

fn json_data(body: &str, cx: &AdapterContext<'_, '_>) -> Result<Vec<String>, Problem> {
    let json = json::parse(body, cx.max_depth).map_err(|e| not_json("body", body, &e))?;
    match &json {
        Json::Object(members) if !members.is_empty() => Ok(vec![json.to_text()]),
        Json::Array(items) if !items.is_empty() => Ok(items.iter().map(Json::to_text).collect()),
        _ => Err(input("body", Some(body), "an object, or an array, that is not empty")),
    }
}

fn form_data(body: &str) -> Result<String, Problem> {
    if let Some((at, what)) = first_illegal_in_query(body) {
        return Err(input("body", Some(body), &format!("a urlencoded form; there is {what} at byte {at}")));
    }
    let pairs = Params::from_pairs(form::params(body));
    Ok(object(pairs.iter(), |value| value.map_or(Json::Null, |v| Json::String(Cow::Borrowed(v)))))
}

/// All parameters that are no tracker parameters; empty ones are null.
fn query_data(params: &Params<'_>) -> String {
    let own = |p: &&Param<'_>| p.name != "schema" && p.name != "p" && !TAKEN.contains(&&*p.name);
    object(params.iter().filter(own), |value| match value {
        Some(v) if !v.is_empty() => Json::String(Cow::Borrowed(v)),
        _ => Json::Null,
    })
}

fn object<'a, 'b: 'a>(
    params: impl Iterator<Item = &'a Param<'b>>,
    value: impl Fn(Option<&'a str>) -> Json<'a>,
) -> String {
    Json::Object(params.map(|p| (Cow::Borrowed(&*p.name), value(p.value.as_deref()))).collect()).to_text()
}
