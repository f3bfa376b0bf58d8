//! Parameters to columns.
//!
//! Nothing is truncated and nothing guessed: a value that its column cannot take leaves the column empty and adds a
//! [`FieldError`]; all of them together become one schema violation. Where two parameters mean the same column, the
//! base64 form beats the plain one and the modern name the old one.

pub mod base64;
mod numbers;
mod table;
pub mod text;

pub use numbers::hex_digit;
pub use table::parameters_of;
pub use text::{sanitise, sanitise_into};

use super::loader::Collected;
use super::params::Params;
use crate::event::columns as c;
use crate::event::{Cell, Event, calendar, tsv};
use std::borrow::Cow;
use table::Action;

/// Milliseconds since the epoch as Java reads them, within the calendar of the columns.
pub fn parse_millis(text: &str) -> Option<i64> {
    numbers::long(text).filter(|ms| (calendar::MIN_MS..=calendar::MAX_MS).contains(ms))
}

/// A parameter whose value does not fit its column.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct FieldError {
    /// The tracker parameter, or the column for values that no parameter gave.
    pub field: &'static str,
    /// What it held.
    pub value: String,
    /// What is allowed.
    pub message: Cow<'static, str>,
}

/// The two self-describing parameters, decoded but not yet parsed.
#[derive(Debug, Default)]
pub struct JsonTexts<'a> {
    /// Text of the self-describing event.
    pub unstruct: Option<Cow<'a, str>>,
    /// Text of the contexts.
    pub contexts: Option<Cow<'a, str>>,
}

/// Sets what the request itself says, before any parameter is looked at.
pub fn start(event: &mut Event, collected: &Collected<'_>, etl_ms: i64, v_etl: &str, errors: &mut Vec<FieldError>) {
    event.set_text_with(c::V_COLLECTOR, |out| sanitise_into(collected.collector, out));
    event.set_text(c::V_ETL, v_etl);
    event.set(c::ETL_TSTAMP, Cell::Time(etl_ms));
    if (calendar::MIN_MS..=calendar::MAX_MS).contains(&collected.timestamp_ms) {
        event.set(c::COLLECTOR_TSTAMP, Cell::Time(collected.timestamp_ms));
    } else {
        errors.push(FieldError {
            field: "collector_tstamp",
            value: collected.timestamp_ms.to_string(),
            message: "milliseconds since 1970 between the years 0 and 9999 are expected".into(),
        });
    }
    if let Some(id) = &collected.user_id {
        event.set_text_with(c::NETWORK_USERID, |out| sanitise_into(id, out));
    }
    if let Some(ip) = &collected.ip {
        event.set_text_with(c::USER_IPADDRESS, |out| sanitise_into(first_address(ip), out));
    }
    if let Some(agent) = collected.user_agent {
        event.set_text_with(c::USERAGENT, |out| text::header_into(agent, out));
    }
}

/// Applies every parameter that has a value.
pub fn apply<'a>(params: &'a Params<'a>, event: &mut Event, errors: &mut Vec<FieldError>) -> JsonTexts<'a> {
    let mut json = JsonTexts::default();
    let mut network_user = None;
    for param in params.iter() {
        let Some(value) = param.value.as_deref() else { continue };
        let Some((name, action)) = table::find(&param.name) else { continue };
        match action {
            Action::Text(column) => event.set_text_with(column.into(), |out| sanitise_into(value, out)),
            Action::OldText(column, newer) => {
                if params.get(newer).is_none() {
                    event.set_text_with(column.into(), |out| sanitise_into(value, out));
                }
            }
            Action::NetworkUser => network_user = Some(value),
            Action::Address => {
                event.set_text_with(c::USER_IPADDRESS, |out| sanitise_into(first_address(value), out));
            }
            Action::EncodedContexts => json.contexts = Some(Cow::Owned(base64::decode(value))),
            Action::EncodedUnstruct => json.unstruct = Some(Cow::Owned(base64::decode(value))),
            Action::Contexts => {
                if params.get("cx").is_none() {
                    json.contexts = Some(Cow::Borrowed(value));
                }
            }
            Action::Unstruct => {
                if params.get("ue_px").is_none() {
                    json.unstruct = Some(Cow::Borrowed(value));
                }
            }
            Action::OldDecimal(_, newer) if params.get(newer).is_some() => {}
            typed => {
                if let Err(message) = set_typed(event, typed, value) {
                    errors.push(FieldError { field: name, value: value.to_owned(), message: message.into() });
                }
            }
        }
    }
    if let Some(value) = network_user {
        event.set_text_with(c::NETWORK_USERID, |out| sanitise_into(value, out));
    }
    json
}

fn set_typed(event: &mut Event, action: Action, value: &str) -> Result<(), &'static str> {
    match action {
        Action::EventCode => {
            event.set_text(c::EVENT, event_name(value).ok_or("one of pv, pp, se, ue, tr, ti, ad and ev is expected")?)
        }
        Action::Platform => event.set_text(
            c::PLATFORM,
            platform(value).ok_or("one of web, iot, app, mob, pc, cnsl, tv, srv and headset is expected")?,
        ),
        Action::Uuid(column) => {
            if !tsv::is_uuid(value) {
                return Err("a UUID of 8-4-4-4-12 hexadecimal digits is expected");
            }
            event.set_text_with(column.into(), |out| {
                let at = out.len();
                out.push_str(value);
                out[at..].make_ascii_lowercase(); // where it was just appended
            });
        }
        Action::Int(column) => match numbers::int(value) {
            Some(v) => event.set(column.into(), Cell::Int(v)),
            None if numbers::is_null_word(value) => event.clear(column.into()),
            None => return Err("a 32-bit integer is expected"),
        },
        Action::Decimal(column) | Action::OldDecimal(column, _) => {
            let mut read = false;
            event.set_text_with(column.into(), |out| read = numbers::decimal(value, out));
            if !read && !numbers::is_null_word(value) {
                return Err("a decimal number with an exponent of at most 400 is expected");
            }
        }
        Action::Flag(column) => {
            let flag = match value {
                "1" => true,
                "0" => false,
                _ => return Err("1 or 0 is expected"),
            };
            event.set(column.into(), Cell::Bool(flag));
        }
        Action::Size(width, height) => {
            let (w, h) = numbers::size(value).ok_or("a size like 1280x720 within 32 bits is expected")?;
            event.set(width.into(), Cell::Int(w));
            event.set(height.into(), Cell::Int(h));
        }
        Action::Time(column) => {
            let ms = parse_millis(value).ok_or("milliseconds since 1970 between the years 0 and 9999 are expected")?;
            event.set(column.into(), Cell::Time(ms));
        }
        // The caller has dealt with every other action.
        _ => {}
    }
    Ok(())
}

fn event_name(code: &str) -> Option<&'static str> {
    Some(match code {
        "pv" => "page_view",
        "pp" => "page_ping",
        "se" | "ev" => "struct",
        "ue" => "unstruct",
        "tr" => "transaction",
        "ti" => "transaction_item",
        "ad" => "ad_impression",
        _ => return None,
    })
}

fn platform(code: &str) -> Option<&str> {
    matches!(code, "web" | "iot" | "app" | "mob" | "pc" | "cnsl" | "tv" | "srv" | "headset").then_some(code)
}

/// The part before the first comma, bar or blank.
fn first_address(text: &str) -> &str {
    text.split([',', '|', ' ']).next().unwrap_or_default()
}

#[cfg(test)]
mod tests;
