//! The canonical event as JSON, by the rules of Snowplow's analytics SDKs.
//!
//! Where the SDKs differ, this is the Scala one (nulls are shown, contexts carry `_schema_version`), except that times keep
//! their three decimals and that contexts and derived contexts of one schema are joined instead of one hiding the other.

use super::calendar::{TimeForm, write_time};
use super::columns::{self, COLUMNS, Kind};
use super::json::{self, Json, write_string};
use super::model::{Cell, Event, SelfDescribing};
use super::naming;
use super::tsv;

/// What becomes of the three self-describing columns.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Form {
    /// One key per kind, vendor, name and model; the three columns disappear; `geo_location` is added.
    Lossy,
    /// The three columns stay as envelopes (`{}` or `null` when empty): 131 keys.
    Lossless,
}

/// The envelope of contexts in the lossless form.
const LOSSLESS_CONTEXTS: &str = "iglu:com.snowplowanalytics.snowplow/contexts/jsonschema/1-0-0";

/// Appends the event as one compact JSON object.
pub fn write(event: &Event, form: Form, out: &mut String) {
    out.push('{');
    let mut first = true;
    for (i, column) in COLUMNS.iter().enumerate() {
        if column.kind == Kind::Json && form == Form::Lossy {
            continue;
        }
        if !std::mem::take(&mut first) {
            out.push(',');
        }
        out.push('"');
        out.push_str(column.name);
        out.push_str("\":");
        value(event, i, out);
    }
    if form == Form::Lossy {
        geo_location(event, out);
        if let Some(datum) = &event.unstruct {
            out.push_str(",\"");
            out.push_str(&naming::unstruct_column(&datum.schema));
            out.push_str("\":");
            out.push_str(&datum.data);
        }
        contexts(event, out);
    }
    out.push('}');
}

/// The event as a text of its own.
pub fn text(event: &Event, form: Form) -> String {
    let mut out = String::with_capacity(event.weight() + 3000);
    write(event, form, &mut out);
    out
}

fn value(event: &Event, column: usize, out: &mut String) {
    match column {
        columns::CONTEXTS => envelope(&event.contexts, out),
        columns::DERIVED_CONTEXTS => envelope(&event.derived, out),
        columns::UNSTRUCT_EVENT => match &event.unstruct {
            Some(datum) => tsv::write_unstruct(datum, out),
            None => out.push_str("null"),
        },
        _ => match event.cell(column) {
            Cell::Null => out.push_str("null"),
            Cell::Text { .. } => {
                let text = event.text(column).unwrap_or_default();
                if COLUMNS[column].kind == Kind::Decimal && matches!(json::parse(text, 1), Ok(Json::Number(_))) {
                    out.push_str(text);
                } else {
                    write_string(text, out);
                }
            }
            Cell::Int(v) => out.push_str(itoa::Buffer::new().format(v)),
            Cell::Bool(v) => out.push_str(if v { "true" } else { "false" }),
            Cell::Time(ms) => {
                out.push('"');
                write_time(ms, TimeForm::Iso, out);
                out.push('"');
            }
            Cell::Float(v) if v.is_finite() => tsv::write_float(v, out),
            Cell::Float(_) => out.push_str("null"),
        },
    }
}

fn envelope(items: &[SelfDescribing], out: &mut String) {
    if items.is_empty() {
        out.push_str("{}");
    } else {
        tsv::write_contexts(items, LOSSLESS_CONTEXTS, out);
    }
}

fn geo_location(event: &Event, out: &mut String) {
    let (Some(latitude), Some(longitude)) = (event.float(columns::GEO_LATITUDE), event.float(columns::GEO_LONGITUDE))
    else {
        return;
    };
    out.push_str(",\"geo_location\":\"");
    tsv::write_float(latitude, out);
    out.push(',');
    tsv::write_float(longitude, out);
    out.push('"');
}

fn contexts(event: &Event, out: &mut String) {
    let mut groups: Vec<(String, Vec<&SelfDescribing>)> = Vec::new();
    for datum in event.contexts.iter().chain(&event.derived) {
        let name = naming::context_column(&datum.schema);
        match groups.iter_mut().find(|(n, _)| *n == name) {
            Some((_, items)) => items.push(datum),
            None => groups.push((name, vec![datum])),
        }
    }
    for (name, items) in groups {
        out.push_str(",\"");
        out.push_str(&name);
        out.push_str("\":");
        for (i, datum) in items.iter().enumerate() {
            out.push(if i == 0 { '[' } else { ',' });
            versioned(datum, out);
        }
        out.push(']');
    }
}

fn versioned(datum: &SelfDescribing, out: &mut String) {
    match datum.data.strip_prefix('{') {
        Some(rest) => {
            out.push_str("{\"_schema_version\":\"");
            out.push_str(&datum.schema.version_text());
            out.push('"');
            if rest != "}" {
                out.push(',');
            }
            out.push_str(rest);
        }
        None => out.push_str(&datum.data),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::SchemaKey;
    use crate::event::columns::*;

    fn event() -> Event {
        let mut e = Event::new();
        e.set_text(APP_ID, "shop \"x\"");
        e.set(COLLECTOR_TSTAMP, Cell::Time(1_700_000_000_000));
        e.set_text(TR_TOTAL, "12.50");
        e.set(BR_COOKIES, Cell::Bool(true));
        e.set(GEO_LATITUDE, Cell::Float(37.443604));
        e.set(GEO_LONGITUDE, Cell::Float(-122.0));
        let sd = |uri: &str, data: &str| SelfDescribing { schema: SchemaKey::parse(uri).unwrap(), data: data.into() };
        e.unstruct = Some(sd("iglu:com.acme/CartItemAdded/jsonschema/1-0-0", r#"{"n":1.10}"#));
        e.contexts = vec![
            sd("iglu:com.acme/user/jsonschema/2-0-1", "{}"),
            sd("iglu:com.acme/web-page/jsonschema/1-0-0", r#"{"id":1}"#),
        ];
        e.derived = vec![sd("iglu:com.acme/user/jsonschema/2-0-3", r#"{"d":1}"#)];
        e
    }

    #[test]
    fn the_lossy_form_has_typed_values_and_one_key_per_schema() {
        let text = text(&event(), Form::Lossy);
        let json: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!(json["app_id"], "shop \"x\"");
        assert_eq!(json["collector_tstamp"], "2023-11-14T22:13:20.000Z");
        assert!(text.contains("\"tr_total\":12.50,"));
        assert_eq!(json["br_cookies"], true);
        assert_eq!(json["geo_location"], "37.443604,-122.0");
        assert!(text.contains(r#""unstruct_event_com_acme_cart_item_added_1":{"n":1.10}"#));
        assert_eq!(
            json["contexts_com_acme_user_2"],
            serde_json::json!([{"_schema_version": "2-0-1"}, {"_schema_version": "2-0-3", "d": 1}])
        );
        assert_eq!(json["contexts_com_acme_web_page_1"][0]["id"], 1);
        assert_eq!(json["page_url"], serde_json::Value::Null);
        for gone in ["contexts", "derived_contexts", "unstruct_event"] {
            assert!(json.get(gone).is_none());
        }
    }

    #[test]
    fn the_lossless_form_has_131_keys_with_envelopes_and_nulls() {
        let json: serde_json::Value = serde_json::from_str(&text(&event(), Form::Lossless)).unwrap();
        assert_eq!(json.as_object().unwrap().len(), 131);
        assert_eq!(json["contexts"]["schema"], LOSSLESS_CONTEXTS);
        assert_eq!(json["contexts"]["data"][1]["data"]["id"], 1);
        assert_eq!(json["unstruct_event"]["data"]["data"]["n"].to_string(), "1.1");
        let empty: serde_json::Value = serde_json::from_str(&text(&Event::new(), Form::Lossless)).unwrap();
        assert_eq!(empty["contexts"], serde_json::json!({}));
        assert_eq!(empty["derived_contexts"], serde_json::json!({}));
        assert_eq!(empty["unstruct_event"], serde_json::Value::Null);
    }
}
