//! Small tools to look into a bad row and to quote from it.

use crate::enrich::parameters_of;
use crate::event::SchemaKey;
use crate::event::json::{self, Json};

/// Deepest bad row that is looked into.
pub(super) const MAX_DEPTH: usize = 200;
/// Longest excerpt of a value, in characters.
const EXCERPT: usize = 200;

/// The data of the event or entity with this schema, from the event inside a bad row.
pub(super) fn datum(data: &Json, key: &SchemaKey) -> Option<Json<'static>> {
    let payload = data.get("payload")?;
    let uri = key.uri();
    let enriched = payload.get("enriched").unwrap_or(&Json::Null);
    let parameters = payload.get("raw").and_then(|r| r.get("parameters")).and_then(Json::as_array).unwrap_or(&[]);
    let fields = ["unstruct_event", "contexts", "derived_contexts"].map(|f| enriched.get(f).and_then(Json::as_str));
    let raw = parameters.iter().filter_map(|p| {
        let name = p.get("name").and_then(Json::as_str)?;
        let value = p.get("value").and_then(Json::as_str)?;
        match name {
            "ue_pr" | "co" => Some(value.to_owned()),
            "ue_px" | "cx" => decode(value),
            _ => None,
        }
    });
    fields.into_iter().flatten().map(str::to_owned).chain(raw).find_map(|text| {
        let parsed = json::parse(&text, MAX_DEPTH).ok()?;
        let inner = parsed.get("data")?;
        let items = inner.as_array().unwrap_or(std::slice::from_ref(inner));
        let found = items.iter().find(|i| i.get("schema").and_then(Json::as_str) == Some(uri.as_str()))?;
        found.get("data").map(|d| d.clone().into_owned())
    })
}

/// What was sent in a tracker parameter, from the bad row of an event. A parameter that stands twice counts as it counted then:
/// the last one.
pub(super) fn parameter<'d>(data: &'d Json, name: &str) -> Option<&'d str> {
    let raw = data.get("payload")?.get("raw")?;
    let list = raw.get("parameters").and_then(Json::as_array)?;
    let named = list.iter().rev().filter(|p| p.get("name").and_then(Json::as_str) == Some(name));
    named.filter_map(|p| p.get("value").and_then(Json::as_str)).next()
}

/// What made a column too long, from the bad row of an event, where the column itself is empty by now: its parameter, the
/// header it comes from, or the URL it was cut out of.
pub(super) fn source_of<'d>(data: &'d Json, column: &str) -> Option<&'d str> {
    let payload = data.get("payload")?;
    let text = |of: &str, member: &str| payload.get(of)?.get(member)?.as_str();
    let sent = || parameters_of(column).find_map(|name| parameter(data, name));
    let origin = match column {
        "useragent" => text("raw", "useragent"),
        "page_referrer" => text("raw", "refererUri"),
        "network_userid" => text("raw", "userId"),
        "user_ipaddress" => text("raw", "ipAddress"),
        "v_collector" => text("raw", "loaderName"),
        _ if column.starts_with("refr_") => parameter(data, "refr").or_else(|| text("raw", "refererUri")),
        _ if column.starts_with("page_url") || column.starts_with("mkt_") => {
            parameter(data, "url").or_else(|| text("raw", "refererUri"))
        }
        _ => None,
    };
    text("enriched", column).or_else(sent).or(origin)
}

/// What an expectation names, as a noun: `a UUID is expected` → `a UUID`, and what was found instead, if it says so.
pub(super) fn wanted(expectation: &str) -> (String, Option<String>) {
    let (wanted, found) = match expectation.split_once("; there is ") {
        Some((wanted, found)) => (wanted, Some(format!("there is {}", cut(found)))),
        None => (expectation, None),
    };
    let noun = [" is expected", " are expected"].iter().find_map(|tail| wanted.strip_suffix(tail)).unwrap_or(wanted);
    (cut(noun), found)
}

/// Base64 of either alphabet, padded or not.
fn decode(text: &str) -> Option<String> {
    use base64::Engine;
    use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
    let lenient = GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent);
    let engine = GeneralPurpose::new(&base64::alphabet::URL_SAFE, lenient);
    let bytes = engine.decode(text.replace('+', "-").replace('/', "_")).ok()?;
    String::from_utf8(bytes).ok()
}

/// The value at `$.a.b[1]`.
pub(super) fn pick(value: &Json, path: &str) -> Option<Json<'static>> {
    let mut at = value;
    for step in path.strip_prefix('$')?.split(['.', '[']).filter(|s| !s.is_empty()) {
        at = match step.strip_suffix(']').and_then(|n| n.parse::<usize>().ok()) {
            Some(index) => at.as_array()?.get(index)?,
            None => at.get(step)?,
        };
    }
    Some(at.clone().into_owned())
}

pub(super) fn kind(value: &Json) -> &'static str {
    match value {
        Json::Null => "null",
        Json::Bool(_) => "a flag",
        Json::Number(n) if n.contains(['.', 'e', 'E']) => "a number",
        Json::Number(_) => "an integer",
        Json::String(_) => "text",
        Json::Array(_) => "an array",
        Json::Object(_) => "an object",
    }
}

pub(super) fn cut(text: &str) -> String {
    match text.char_indices().nth(EXCERPT) {
        Some((at, _)) => format!("{}…", &text[..at]),
        None => text.to_owned(),
    }
}

/// 20 characters before and after a byte position.
pub(super) fn around(text: &str, at: usize) -> String {
    let at = (0..=at.min(text.len())).rev().find(|i| text.is_char_boundary(*i)).unwrap_or(0);
    let from = text[..at].char_indices().rev().nth(19).map_or(0, |(i, _)| i);
    let to = text[at..].char_indices().nth(20).map_or(text.len(), |(i, _)| at + i);
    text[from..to].to_owned()
}

/// Edit distance, no further than `most`.
pub(super) fn distance(a: &str, b: &str, most: usize) -> usize {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().take(256).collect(), b.chars().take(256).collect());
    if a.len().abs_diff(b.len()) > most {
        return most + 1;
    }
    let mut row: Vec<usize> = (0..=b.len()).collect();
    // The row has one cell more than `b`, so every index below is one of its cells.
    for (i, x) in a.iter().enumerate() {
        let mut diagonal = i;
        row[0] = i + 1;
        for (j, y) in b.iter().enumerate() {
            let cost = diagonal + usize::from(x != y);
            diagonal = row[j + 1];
            row[j + 1] = cost.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distances_are_edits() {
        assert_eq!(distance("cart", "cart", 3), 0);
        assert_eq!(distance("cart", "crat", 3), 2);
        assert_eq!(distance("quantity", "quanttity", 3), 1);
        assert!(distance("a", "abcdefgh", 3) > 3);
    }

    #[test]
    fn excerpts_keep_characters_whole() {
        let text = "ä".repeat(60);
        assert_eq!(around(&text, 41), "ä".repeat(40));
        assert_eq!(around("ab", 99), "ab");
        assert_eq!(cut(&"ß".repeat(300)).chars().count(), EXCERPT + 1);
    }

    #[test]
    fn paths_lead_to_values() {
        let value = json::parse(r#"{"a":{"b":[1,{"c":"x"}]}}"#, 9).unwrap();
        assert_eq!(pick(&value, "$.a.b[1].c"), Some(Json::String("x".into())));
        assert_eq!(pick(&value, "$"), Some(value.clone().into_owned()));
        assert_eq!(pick(&value, "$.a.z"), None);
    }
}
