//! From a bad row to what a person does about it: a title, what came, what was wanted, a hint and a command.
//!
//! Works on the bad row's own text, so that a failure of last month and one of this second are explained alike.

use super::words::{MAX_DEPTH, around, cut, datum, distance, kind, parameter, pick, source_of, wanted};
use crate::event::Cause;
use crate::event::SchemaKey;
use crate::event::json::{self, Json};
use serde::Serialize;

/// A failure in words.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize)]
pub struct Explained {
    /// One line: `cart/1-0-0 $.sku is missing`.
    pub title: String,
    /// Where in the data.
    pub path: Option<String>,
    /// What came, cut.
    pub got: Option<String>,
    /// What is allowed.
    pub want: Option<String>,
    /// What to change.
    pub hint: Option<String>,
    /// A command that repairs it, to be pasted into a shell.
    pub command: Option<String>,
}

/// What the explanation may look up.
pub trait Advice {
    /// Names of known schemas whose path begins so (`com.acme`, `com.acme/cart`).
    fn schemas(&self, prefix: &str) -> Vec<SchemaKey>;
    /// Address of this port as the asker reached it: `http://127.0.0.1:9090`.
    fn base_url(&self) -> &str;
}

/// Explains a failure.
pub fn explain(cause: &Cause, bad_row: &str, advice: &dyn Advice) -> Explained {
    let parsed = json::parse(bad_row, MAX_DEPTH).unwrap_or(Json::Null);
    let data = parsed.get("data").unwrap_or(&Json::Null);
    let failure = data.get("failure").unwrap_or(&Json::Null);
    let message = failure.get("messages").and_then(Json::as_array).and_then(<[Json]>::first).unwrap_or(&Json::Null);
    let mut out = Explained { path: cause.path.clone(), ..Explained::default() };
    let schema = cause.schema.as_deref().and_then(|s| SchemaKey::parse(s).ok());
    match cause.failure.as_str() {
        "ResolutionError" => resolution(&mut out, schema.as_ref(), message, advice),
        "ValidationError" if cause.schema.as_deref().is_some_and(|s| s.contains("/atomic/jsonschema/")) => {
            atomic(&mut out, cause, message, data);
        }
        "ValidationError" => validation(&mut out, cause, schema.as_ref(), message, data),
        "NotJSON" => not_json(&mut out, message),
        "NotIglu" => not_iglu(&mut out, message),
        "CriterionMismatch" => criterion(&mut out, message),
        f if f.starts_with("EnrichmentError") => enrichment(&mut out, f, message),
        _ => other(&mut out, cause, failure, message, data),
    }
    if out.title.is_empty() {
        out.title = cut(&cause.message);
    }
    out
}

/// `cart/1-0-0` of `iglu:com.acme/cart/jsonschema/1-0-0`.
fn short(schema: Option<&SchemaKey>) -> String {
    schema.map_or_else(|| "the schema".to_owned(), |k| format!("{}/{}", k.name(), k.version_text()))
}

fn resolution(out: &mut Explained, schema: Option<&SchemaKey>, message: &Json, advice: &dyn Advice) {
    out.title = format!("schema {} was not found", short(schema));
    let history = message.get("error").and_then(|e| e.get("lookupHistory")).and_then(Json::as_array).unwrap_or(&[]);
    let mut asked = Vec::new();
    let mut trouble = None;
    for entry in history {
        let name = entry.get("repository").and_then(Json::as_str).unwrap_or("?");
        asked.push(name.to_owned());
        for error in entry.get("errors").and_then(Json::as_array).unwrap_or(&[]) {
            let kind = error.get("error").and_then(Json::as_str).unwrap_or("");
            if kind != "NotFound" {
                let text = error.get("message").and_then(Json::as_str).unwrap_or(kind);
                trouble = Some(format!("{name}: {text}"));
            }
        }
    }
    out.want = Some(format!("registries asked: {}", asked.join(", ")));
    let Some(key) = schema else { return };
    out.got = Some(key.uri());
    let replay = format!("snowshed replay --failed --schema {}", key.uri());
    if let Some(trouble) = trouble {
        out.title = format!("schema {} could not be fetched", short(schema));
        out.hint = Some(format!("a registry did not answer properly ({}); replay when it is back", cut(&trouble)));
        out.command = Some(replay);
        return;
    }
    out.hint = Some(match nearest(key, advice) {
        Some(known) => {
            format!("the nearest name that is known is {known}; use it, or upload the missing schema and replay")
        }
        None => "upload the schema, then replay: the failed events are counted once".to_owned(),
    });
    out.command = Some(format!(
        "curl -X PUT -H 'Content-Type: application/json' --data @{}.json {}/iglu/schemas/{} && {replay}",
        key.version_text(),
        advice.base_url(),
        key.path(),
    ));
}

/// The known schema whose name differs least, if any is near.
fn nearest(key: &SchemaKey, advice: &dyn Advice) -> Option<String> {
    let same_name = advice.schemas(&format!("{}/{}", key.vendor(), key.name()));
    if let Some(last) = same_name.last() {
        return Some(last.uri());
    }
    let wanted = format!("{}/{}", key.vendor(), key.name());
    let all = advice.schemas("");
    let near = all.iter().map(|k| (distance(&wanted, &format!("{}/{}", k.vendor(), k.name()), 4), k));
    near.filter(|(d, _)| *d <= 3).min_by_key(|(d, _)| *d).map(|(_, k)| k.uri())
}

fn validation(out: &mut Explained, cause: &Cause, schema: Option<&SchemaKey>, message: &Json, data: &Json) {
    let name = short(schema);
    let error = message.get("error").unwrap_or(&Json::Null);
    let first = |list: &str| error.get(list).and_then(Json::as_array).and_then(|l| l.first().cloned());
    if let Some(issue) = first("schemaIssues") {
        out.title = format!("{name} is no valid schema");
        out.path = issue.get("path").and_then(Json::as_str).map(cut);
        out.got = issue.get("message").and_then(Json::as_str).map(cut);
        out.hint = Some("every event that uses it fails: repair the schema in its registry, then replay".to_owned());
        out.command = schema.map(|k| format!("snowshed replay --failed --schema {}", k.uri()));
        return;
    }
    let report = first("dataReports").unwrap_or(Json::Null);
    let text = |field: &str| report.get(field).and_then(Json::as_str).unwrap_or("");
    // A row of a newer program may be shaped otherwise; the cause was read when it was made.
    let or = |read: &'_ str, known: &Option<String>| match read.is_empty() {
        true => known.clone().unwrap_or_default(),
        false => read.to_owned(),
    };
    let (path, keyword) = (or(text("path"), &cause.path), or(text("keyword"), &cause.keyword));
    let (path, keyword) = (path.as_str(), keyword.as_str());
    let targets = report.get("targets").and_then(Json::as_array).unwrap_or(&[]);
    let target = targets.first().map(|t| t.as_str().map_or_else(|| t.to_text(), str::to_owned)).unwrap_or_default();
    let found = schema.and_then(|key| datum(data, key)).and_then(|d| pick(&d, path));
    let next = schema.map_or_else(String::new, |k| {
        let (m, r, a) = k.version();
        format!("{m}-{r}-{}", a + 1)
    });
    out.path = Some(path.to_owned()).filter(|p| !p.is_empty());
    out.got = found.as_ref().map(|v| format!("{} ({})", cut(&v.to_text()), kind(v)));
    out.want = Some(text("message").to_owned()).filter(|m| !m.is_empty()).map(|m| cut(&m));
    match keyword {
        "required" => {
            out.title = format!("{name} {path}.{target} is missing");
            out.path = Some(format!("{path}.{target}"));
            out.hint = Some(format!("send \"{target}\", or make it optional in {next}"));
        }
        "additionalProperties" => {
            out.title = format!("{name} {path}.{target} is not known to the schema");
            out.path = Some(format!("{path}.{target}"));
            let known = found.as_ref().and_then(Json::as_object).unwrap_or(&[]);
            let near = known.iter().map(|(k, _)| k.as_ref()).filter(|k| *k != target && distance(k, &target, 3) <= 2);
            let near = near.min_by_key(|k| distance(k, &target, 3));
            out.hint = Some(match near {
                Some(near) => {
                    format!("\"{target}\" looks like \"{near}\": rename it, or add it to the schema in {next}")
                }
                None => format!("leave \"{target}\" out, or add it to the schema in {next}"),
            });
        }
        "type" => {
            out.title = format!("{name} {path} has the wrong type");
            out.hint = Some("send the type that the schema names; a number in quotes is text".to_owned());
        }
        "" => out.title = format!("{name}: {}", cut(&cause.message)),
        other => {
            out.title = format!("{name} {path} breaks {other}");
            out.hint = Some(format!(
                "send a value that the schema allows, or publish a version that allows this one ({next})"
            ));
        }
    }
}

fn atomic(out: &mut Explained, cause: &Cause, message: &Json, data: &Json) {
    let report = message.get("error").and_then(|e| e.get("dataReports")).and_then(Json::as_array);
    let report = report.and_then(<[Json]>::first).unwrap_or(&Json::Null);
    let text = |field: &str| report.get(field).and_then(Json::as_str).map(str::to_owned);
    let field = text("path").or_else(|| cause.path.clone()).unwrap_or_default();
    out.path = Some(field.clone());
    out.want = text("message").map(|m| wanted(&m).0);
    if cause.keyword.as_deref() == Some("atomic_field_length_exceeded") {
        out.title = format!("{field} is too long");
        out.got = source_of(data, &field).map(|v| format!("{} ({} characters)", cut(v), v.encode_utf16().count()));
        out.hint = Some(format!("send a shorter value, or raise enrich.atomic_limits.{field}"));
        return;
    }
    out.title = format!("{field} cannot be read");
    out.got = parameter(data, &field).map(cut);
    out.hint = Some(format!("the tracker sends a value in \"{field}\" that its column cannot hold; repair it there"));
}

fn not_json(out: &mut Explained, message: &Json) {
    let field = message.get("field").and_then(Json::as_str).unwrap_or("?");
    let value = message.get("value").and_then(Json::as_str).unwrap_or("");
    out.title = format!("{field} is not JSON");
    out.path = Some(field.to_owned());
    out.want = Some("valid JSON".to_owned());
    match json::parse(value, MAX_DEPTH) {
        Err(e) if value.is_empty() => {
            out.hint = Some(message.get("error").and_then(Json::as_str).map_or_else(|| e.to_string(), cut));
        }
        Err(e) => {
            out.got = Some(format!("…{}…", around(value, e.at())));
            out.hint = Some(format!("{e}; 20 characters on either side are shown"));
        }
        Ok(_) => {
            out.want = Some("JSON nested no deeper than enrich.max_json_depth".to_owned());
            out.got = Some(cut(value));
            out.hint = Some("it is nested deeper than enrich.max_json_depth allows".to_owned());
        }
    }
}

fn not_iglu(out: &mut Explained, message: &Json) {
    let found = message.get("json").unwrap_or(&Json::Null);
    out.title = "the data is not self-describing".to_owned();
    out.got = Some(cut(&found.to_text()));
    out.want = Some(r#"{"schema":"iglu:vendor/name/jsonschema/1-0-0","data":{…}}"#.to_owned());
    let schema = found.get("schema");
    out.hint = Some(match (schema.and_then(Json::as_str), found.get("data")) {
        (None, _) if schema.is_some() => "\"schema\" must be text".to_owned(),
        (None, _) => "\"schema\" is missing".to_owned(),
        (Some(_), None) => "\"data\" is missing".to_owned(),
        (Some(uri), Some(_)) => match SchemaKey::parse(uri) {
            Err(e) => format!("\"{}\" is no Iglu URI ({e})", cut(uri)),
            Ok(_) => "wrap the data as shown".to_owned(),
        },
    });
}

fn criterion(out: &mut Explained, message: &Json) {
    let text = |field: &str| message.get(field).and_then(Json::as_str).map(cut);
    out.title = "the data stands in the wrong envelope".to_owned();
    out.got = text("schemaKey");
    out.want = text("schemaCriterion");
    out.hint = Some(
        "send a self-describing event as ue_pr or ue_px and entities as co or cx, each in its own envelope".to_owned(),
    );
}

fn enrichment(out: &mut Explained, failure: &str, message: &Json) {
    let inner = message.get("message").unwrap_or(&Json::Null);
    let text = |field: &str| inner.get(field).and_then(Json::as_str).map(cut);
    let name = failure.strip_prefix("EnrichmentError:").unwrap_or("").trim();
    let (field, error) = (text("field"), text("error"));
    out.title = match (name.is_empty(), &field, &error) {
        (false, ..) => format!("enrichment {name} failed"),
        (true, Some(field), _) => format!("{field} cannot be used"),
        (true, None, Some(error)) => error.clone(),
        (true, None, None) => "an enrichment failed".to_owned(),
    };
    out.path = field;
    out.got = text("value");
    out.want = text("expectation").map(|e| wanted(&e).0);
    let configured = "look at the configuration of this enrichment in the folder enrich.enrichments, or at its input";
    out.hint = Some(match (name.is_empty(), error) {
        (true, _) => "the tracker sends a value that enrichment cannot use; repair it there".to_owned(),
        (false, Some(error)) => format!("{error}; {configured}"),
        (false, None) => configured.to_owned(),
    });
}

/// Bad rows that are made before there is an event: adapters, protocol, size, query string.
fn other(out: &mut Explained, cause: &Cause, failure: &Json, message: &Json, data: &Json) {
    let text = |of: &Json, field: &str| of.get(field).and_then(Json::as_str).map(cut);
    match cause.kind.name() {
        "size_violation" => {
            out.title = "the record is too large".to_owned();
            out.got = failure.get("actualSizeBytes").map(|v| format!("{} bytes", v.to_text()));
            out.want = failure.get("maximumAllowedSizeBytes").map(|v| format!("at most {} bytes", v.to_text()));
            out.hint = Some("send smaller batches, or raise the limit of the box that refused it".to_owned());
        }
        "collector_payload_format_violation" => {
            let m = failure.get("message").unwrap_or(&Json::Null);
            let field = text(m, "payloadField").unwrap_or_else(|| "the record".to_owned());
            out.title = format!("{field} cannot be read");
            out.got = text(m, "value");
            let (want, found) = text(m, "expectation").map_or((None, None), |e| {
                let (want, found) = wanted(&e);
                (Some(want), found)
            });
            out.want = want;
            let repair = match field.as_str() {
                "querystring" => Some("percent-encode what the tracker puts into the query string".to_owned()),
                "networkUserId" => Some("send a UUID in nuid, or leave it out".to_owned()),
                "path" => Some("send to a path of the tracker protocol or of a webhook".to_owned()),
                _ => text(m, "error"),
            };
            let said: Vec<String> = found.into_iter().chain(repair).collect();
            out.hint = Some(said.join("; ")).filter(|hint| !hint.is_empty());
            out.path = Some(field);
        }
        "generic_error" => {
            let first = failure.get("errors").and_then(Json::as_array).and_then(<[Json]>::first);
            out.title = first.and_then(Json::as_str).map_or_else(|| cut(&cause.message), cut);
        }
        _ => protocol(out, cause, failure, message, data),
    }
}

fn protocol(out: &mut Explained, cause: &Cause, failure: &Json, message: &Json, data: &Json) {
    let text = |of: &Json, field: &str| of.get(field).and_then(Json::as_str).map(cut);
    let field = text(message, "field").unwrap_or_else(|| cause.failure.clone());
    let sender = match (text(failure, "vendor"), text(failure, "version")) {
        (Some(vendor), Some(version)) => format!("{vendor}/{version}"),
        _ => "this path".to_owned(),
    };
    out.path = Some(field.clone());
    out.got = text(message, "value");
    out.want = text(message, "expectation").map(|e| wanted(&e).0);
    if field == "vendor/version" {
        out.title = format!("nothing here understands {sender}");
        out.hint = Some(
            "known paths: /com.snowplowanalytics.snowplow/tp2, /com.snowplowanalytics.iglu/v1 and the webhooks in the manual"
                .to_owned(),
        );
        return;
    }
    out.title = format!("{sender}: {field} is not as expected");
    let kind = data.get("payload").and_then(|p| text(p, "contentType"));
    out.hint = Some(match (cause.keyword.as_deref(), kind) {
        (Some("additionalProperties" | "required" | "type"), _) => {
            "one event that is no proper tracker event spoils its whole batch: repair the tracker".to_owned()
        }
        (_, Some(kind)) if field == "contentType" => {
            format!("it was sent as \"{kind}\"; send application/json; charset=utf-8")
        }
        _ => "compare the request with the tracker protocol".to_owned(),
    });
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::BadRowKind;

    struct Known(Vec<&'static str>);

    impl Advice for Known {
        fn schemas(&self, prefix: &str) -> Vec<SchemaKey> {
            self.0.iter().filter(|p| p.starts_with(prefix)).filter_map(|p| SchemaKey::parse_path(p).ok()).collect()
        }
        fn base_url(&self) -> &str {
            "http://127.0.0.1:9090"
        }
    }

    fn cause(kind: BadRowKind, failure: &str, schema: Option<&str>, keyword: Option<&str>) -> Cause {
        Cause {
            kind,
            failure: failure.to_owned(),
            schema: schema.map(str::to_owned),
            path: None,
            keyword: keyword.map(str::to_owned),
            message: "said so".to_owned(),
        }
    }

    fn row(message: &str, payload: &str) -> String {
        format!(r#"{{"schema":"x","data":{{"failure":{{"messages":[{message}]}},"payload":{payload}}}}}"#)
    }

    const CART: &str = "iglu:com.acme/cart/jsonschema/1-0-0";

    #[test]
    fn a_missing_schema_names_its_neighbour_and_the_repair() {
        let cause = cause(BadRowKind::SchemaViolations, "ResolutionError", Some(CART), None);
        let message = format!(
            r#"{{"schemaKey":"{CART}","error":{{"error":"ResolutionError","lookupHistory":[{{"repository":"built-in","errors":[{{"error":"NotFound"}}]}}]}}}}"#
        );
        let e = explain(&cause, &row(&message, "{}"), &Known(vec!["com.acme/card/jsonschema/1-0-0"]));
        assert_eq!(e.title, "schema cart/1-0-0 was not found");
        assert!(e.hint.unwrap().contains("iglu:com.acme/card/jsonschema/1-0-0"));
        let command = e.command.unwrap();
        assert!(command.contains("http://127.0.0.1:9090/iglu/schemas/com.acme/cart/jsonschema/1-0-0"), "{command}");
        let trouble = message.replace(r#"{"error":"NotFound"}"#, r#"{"error":"RepoFailure","message":"status 500"}"#);
        let e = explain(&cause, &row(&trouble, "{}"), &Known(vec![]));
        assert!(e.title.contains("could not be fetched") && e.hint.unwrap().contains("status 500"));
    }

    #[test]
    fn a_broken_rule_shows_value_and_next_version() {
        let report = |keyword: &str, target: &str| {
            format!(
                r#"{{"schemaKey":"{CART}","error":{{"error":"ValidationError","dataReports":[{{"message":"m","path":"$.item","keyword":"{keyword}","targets":["{target}"]}}]}}}}"#
            )
        };
        let event = r#"{"schema":"iglu:com.snowplowanalytics.snowplow/unstruct_event/jsonschema/1-0-0","data":{"schema":"iglu:com.acme/cart/jsonschema/1-0-0","data":{"item":{"quanttity":1,"quantity":2}}}}"#;
        let mut text = String::new();
        json::write_string(event, &mut text);
        let payload = format!(r#"{{"raw":{{"parameters":[{{"name":"ue_pr","value":{text}}}]}},"enriched":{{}}}}"#);
        let of = |keyword: &str, target: &str| {
            let cause = cause(BadRowKind::SchemaViolations, "ValidationError", Some(CART), Some(keyword));
            explain(&cause, &row(&report(keyword, target), &payload), &Known(vec![]))
        };
        let missing = of("required", "sku");
        assert_eq!(missing.title, "cart/1-0-0 $.item.sku is missing");
        assert_eq!(missing.hint.as_deref(), Some("send \"sku\", or make it optional in 1-0-1"));
        let unknown = of("additionalProperties", "quanttity");
        assert!(unknown.hint.unwrap().contains("looks like \"quantity\""));
        let typed = of("type", "");
        assert_eq!(typed.got.as_deref(), Some(r#"{"quanttity":1,"quantity":2} (an object)"#));
    }

    #[test]
    fn text_that_is_no_json_shows_the_place() {
        let cause = cause(BadRowKind::SchemaViolations, "NotJSON", None, None);
        let message = r#"{"field":"unstruct","value":"{\"a\":1,,\"b\":2}","error":"unexpected"}"#;
        let e = explain(&cause, &row(message, "{}"), &Known(vec![]));
        assert_eq!(e.title, "unstruct is not JSON");
        assert!(e.got.unwrap().contains(r#"{"a":1,,"b":2}"#));
        let e = explain(
            &Cause { failure: "NotIglu".to_owned(), ..cause },
            &row(r#"{"json":{"data":1}}"#, "{}"),
            &Known(vec![]),
        );
        assert_eq!(e.hint.as_deref(), Some("\"schema\" is missing"));
    }

    #[test]
    fn a_value_that_its_column_cannot_take_is_shown_beside_what_is_wanted() {
        let payload = r#"{"enriched":{"br_colordepth":null,"page_urlhost":null},"raw":{"parameters":[{"name":"vid","value":"x"},
            {"name":"cd","value":"01234567890123456789"},{"name":"url","value":"https://h.test/"},{"name":"f","value":null}],
            "useragent":"curl/8"}}"#;
        let of = |keyword: &str, field: &str, message: &str| {
            let schema = "iglu:com.snowplowanalytics.snowplow/atomic/jsonschema/1-0-0";
            let report = format!(
                r#"{{"schemaKey":"{schema}","error":{{"error":"ValidationError","dataReports":[{{"message":"{message}","path":"{field}","keyword":"{keyword}","targets":[]}}]}}}}"#
            );
            let cause = cause(BadRowKind::SchemaViolations, "ValidationError", Some(schema), Some(keyword));
            let e = explain(&cause, &row(&report, payload), &Known(vec![]));
            (e.title, e.got.unwrap_or_default(), e.want.unwrap_or_default())
        };
        let words = |a: &str, b: &str, c: &str| (a.to_owned(), b.to_owned(), c.to_owned());
        assert_eq!(
            of("atomic_field_parse_error", "vid", "a 32-bit integer is expected"),
            words("vid cannot be read", "x", "a 32-bit integer")
        );
        for (column, got) in [
            ("br_colordepth", "01234567890123456789 (20 characters)"),
            ("page_urlhost", "https://h.test/ (15 characters)"),
            ("useragent", "curl/8 (6 characters)"),
            ("se_label", ""),
        ] {
            assert_eq!(
                of("atomic_field_length_exceeded", column, "at most 12 characters are expected"),
                words(&format!("{column} is too long"), got, "at most 12 characters")
            );
        }
    }

    #[test]
    fn what_is_wanted_never_says_what_was_found() {
        let format = |message: &str| {
            let c = cause(BadRowKind::CollectorPayloadFormatViolation, "x", None, None);
            let row = format!(r#"{{"schema":"x","data":{{"failure":{{"message":{message}}},"payload":"AA=="}}}}"#);
            explain(&c, &row, &Known(vec![]))
        };
        let e = format(
            r#"{"payloadField":"querystring","value":"e=pv&x=|","expectation":"a query string of legal characters; there is a character that must be percent-encoded at byte 7"}"#,
        );
        assert_eq!(e.want.as_deref(), Some("a query string of legal characters"));
        assert!(
            e.hint.unwrap().starts_with("there is a character that must be percent-encoded at byte 7; percent-encode")
        );
        let e = format(r#"{"payloadField":"networkUserId","value":"me","expectation":"a UUID is expected"}"#);
        assert_eq!((e.got.as_deref(), e.want.as_deref()), (Some("me"), Some("a UUID")));
        assert!(!e.hint.unwrap().contains("percent"));
        let e = format(r#"{"error":"the record's schema is \"x\""}"#);
        assert_eq!((e.want, e.hint.as_deref()), (None, Some("the record's schema is \"x\"")));

        let c = cause(BadRowKind::EnrichmentFailures, "EnrichmentError: ", None, None);
        let e =
            explain(&c, &row(r#"{"message":{"error":"the page URL \"x\" cannot be parsed"}}"#, "{}"), &Known(vec![]));
        assert_eq!((e.title.as_str(), e.want), ("the page URL \"x\" cannot be parsed", None));
        let c = cause(BadRowKind::SchemaViolations, "NotJSON", None, None);
        for (value, wanted) in [
            ("\"{\"", "valid JSON"),
            ("\"{}\"", "JSON nested no deeper than enrich.max_json_depth"),
            ("null", "valid JSON"),
        ] {
            let message = format!(r#"{{"field":"unstruct","value":{value},"error":"no member name at byte 1"}}"#);
            let e = explain(&c, &row(&message, "{}"), &Known(vec![]));
            assert_eq!((e.want.as_deref(), e.hint.is_some()), (Some(wanted), true));
        }
    }

    #[test]
    fn anything_else_has_at_least_a_title() {
        for kind in [
            BadRowKind::CollectorPayloadFormatViolation,
            BadRowKind::AdapterFailures,
            BadRowKind::TrackerProtocolViolations,
            BadRowKind::SchemaViolations,
            BadRowKind::EnrichmentFailures,
            BadRowKind::SizeViolation,
            BadRowKind::GenericError,
        ] {
            for text in ["", "{}", "[", r#"{"data":{"failure":{"messages":[{"field":"vendor/version"}]}}}"#] {
                let c = cause(kind, "whatever", None, None);
                assert!(!explain(&c, text, &Known(vec![])).title.is_empty(), "{kind:?} {text}");
                let c = cause(kind, "EnrichmentError: ", None, None);
                assert!(!explain(&c, text, &Known(vec![])).title.is_empty());
            }
        }
    }
}
