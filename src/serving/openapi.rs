//! `GET /v1/openapi.json`: the description of this API, written by hand and held to the route table by a test.

use super::reply;
use axum::response::Response;

/// The document.
pub const DOCUMENT: &str = include_str!("openapi.json");

pub(super) async fn get() -> Response {
    reply::text("application/json", DOCUMENT)
}

#[cfg(test)]
mod tests {
    use super::super::guard::Access;
    use super::super::routes::table;
    use super::DOCUMENT;
    use serde_json::Value;
    use std::collections::BTreeSet;

    #[test]
    fn every_route_is_described_and_nothing_else() {
        let document: Value = serde_json::from_str(DOCUMENT).unwrap();
        let mut described = BTreeSet::new();
        for (path, item) in document["paths"].as_object().unwrap() {
            for (method, operation) in item.as_object().unwrap() {
                if method == "parameters" {
                    continue;
                }
                assert!(operation["summary"].is_string(), "{method} {path} has no summary");
                assert!(!operation["responses"].as_object().unwrap().is_empty(), "{method} {path} has no response");
                described.insert(format!("{} {path}", method.to_uppercase()));
            }
        }
        let routes: BTreeSet<String> = table().iter().map(|r| format!("{} {}", r.method, r.path)).collect();
        assert_eq!(described, routes);
    }

    #[test]
    fn path_parameters_and_references_are_whole() {
        let document: Value = serde_json::from_str(DOCUMENT).unwrap();
        for (path, item) in document["paths"].as_object().unwrap() {
            let named: BTreeSet<&str> = path.split('{').skip(1).filter_map(|p| p.split('}').next()).collect();
            for (method, operation) in item.as_object().unwrap() {
                if method == "parameters" {
                    continue;
                }
                let lists = [&item["parameters"], &operation["parameters"]];
                let all = lists.iter().filter_map(|l| l.as_array()).flatten();
                let given: BTreeSet<&str> =
                    all.filter(|p| p["in"] == "path").filter_map(|p| p["name"].as_str()).collect();
                assert_eq!(given, named, "{method} {path}");
            }
        }
        let mut open = vec![&document];
        while let Some(value) = open.pop() {
            if let Some(target) = value.get("$ref").and_then(Value::as_str) {
                let pointer = target.strip_prefix('#').unwrap();
                assert!(document.pointer(pointer).is_some(), "{target} leads nowhere");
            }
            match value {
                Value::Object(members) => open.extend(members.values()),
                Value::Array(items) => open.extend(items),
                _ => {}
            }
        }
    }

    #[test]
    fn open_routes_are_marked_as_such() {
        let document: Value = serde_json::from_str(DOCUMENT).unwrap();
        for route in table() {
            let operation = &document["paths"][route.path][route.method.as_str().to_lowercase()];
            let open = operation["security"].as_array().is_some_and(Vec::is_empty);
            assert_eq!(open, matches!(route.access, Access::Open | Access::Enter), "{}", route.path);
        }
    }
}
