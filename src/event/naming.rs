//! Names of warehouse columns for self-describing data.
//!
//! The rule is the one of Snowplow's analytics SDKs (Apache-2.0), so that SQL written for a Snowplow warehouse finds its
//! columns here.

use super::schema_key::SchemaKey;

/// `unstruct_event_<vendor>_<name>_<model>`.
pub fn unstruct_column(key: &SchemaKey) -> String {
    column("unstruct_event_", key)
}

/// `contexts_<vendor>_<name>_<model>`, for contexts and derived contexts alike.
pub fn context_column(key: &SchemaKey) -> String {
    column("contexts_", key)
}

fn column(prefix: &str, key: &SchemaKey) -> String {
    let mut out = String::with_capacity(prefix.len() + key.vendor().len() + key.name().len() + 8);
    out.push_str(prefix);
    for c in key.vendor().chars() {
        out.push(if matches!(c, '.' | '-') { '_' } else { c.to_ascii_lowercase() });
    }
    out.push('_');
    let mut last: Option<char> = None;
    for c in key.name().chars() {
        let c = if matches!(c, '.' | '-') { '_' } else { c };
        if c.is_ascii_uppercase() && last.is_some_and(|l| !l.is_ascii_uppercase() && l != '_') {
            out.push('_');
        }
        out.push(c.to_ascii_lowercase());
        last = Some(c);
    }
    out.push('_');
    out.push_str(&key.model().to_string());
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_follow_the_analytics_sdk() {
        let name = |v: &str, n: &str, m| context_column(&SchemaKey::new(v, n, "jsonschema", (m, 0, 0)));
        assert_eq!(name("org.w3", "PerformanceTiming", 1), "contexts_org_w3_performance_timing_1");
        assert_eq!(name("com.acmeCorp", "event-v2-final", 10), "contexts_com_acmecorp_event_v2_final_10");
        assert_eq!(name("a", "XMLHttpRequest", 1), "contexts_a_xmlhttp_request_1");
        assert_eq!(name("a", "ABTest", 1), "contexts_a_abtest_1");
        assert_eq!(name("a", "CartItemAdded", 1), "contexts_a_cart_item_added_1");
    }
}
