//! Claims of the facts sheet about the loader, one by one.

use super::*;
use bytes::Bytes;

fn payload(path: &str, query: &str) -> Payload {
    Payload {
        ip: Bytes::from_static(b"10.0.0.1"),
        timestamp_ms: 1,
        encoding: Bytes::from_static(b"UTF-8"),
        collector: Bytes::from_static(b"test"),
        path: Some(Bytes::copy_from_slice(path.as_bytes())),
        querystring: Some(Bytes::copy_from_slice(query.as_bytes())),
        schema: Bytes::from_static(crate::event::payload::SCHEMA.as_bytes()),
        ..Payload::default()
    }
}

fn fields(p: &Payload) -> Vec<&'static str> {
    load(&Texts::of(p)).map_or_else(|v| v.into_iter().filter_map(|v| v.field).collect(), |_| Vec::new())
}

#[test]
fn two_segments_choose_an_adapter_and_the_pixel_is_tp1() {
    for (path, key) in [
        ("/com.snowplowanalytics.snowplow/tp2", Some(("com.snowplowanalytics.snowplow", "tp2"))),
        ("/com.acme/v1/", Some(("com.acme", "v1"))),
        ("com.acme/v1", Some(("com.acme", "v1"))),
        ("/r/tp2", Some(("r", "tp2"))),
        ("/i", Some(("com.snowplowanalytics.snowplow", "tp1"))),
        ("/i?e=pv", Some(("com.snowplowanalytics.snowplow", "tp1"))),
        ("/ice.png", Some(("com.snowplowanalytics.snowplow", "tp1"))),
        ("/ice.png2", Some(("com.snowplowanalytics.snowplow", "tp1"))),
        ("/", None),
        ("", None),
        ("/com.acme", None),
        ("/a/b/c", None),
        ("//", None),
        ("/health", None),
        ("/index", None),
    ] {
        assert_eq!(adapter_key(path), key, "{path}");
    }
}

#[test]
fn every_problem_of_a_record_is_told() {
    let mut p = payload("/nowhere", "e=pv&page=a b");
    p.network_user_id = Some(Bytes::from_static(b"someone"));
    assert_eq!(fields(&p), ["querystring", "networkUserId", "path"]);
    p.path = None;
    assert_eq!(fields(&p).last(), Some(&"path"));
}

#[test]
fn unrendered_macros_make_a_payload_illegal() {
    assert_eq!(fields(&payload("/i", "e=pv&x={GCLID}")), ["querystring"]);
    assert_eq!(fields(&payload("/i", "e=pv&x=%zz")), ["querystring"]);
    assert!(fields(&payload("/i", "e=pv&x=[1]&y==")).is_empty());
}

#[test]
fn another_record_schema_is_refused() {
    let mut p = payload("/i", "");
    assert!(check_schema(&p).is_ok());
    p.schema = Bytes::from_static(b"iglu:com.snowplowanalytics.snowplow/CollectorPayload/thrift/1-0-7");
    assert!(check_schema(&p).is_ok());
    for other in [
        "",
        "iglu:com.snowplowanalytics.snowplow/CollectorPayload/thrift/2-0-0",
        "iglu:com.snowplowanalytics.snowplow/CollectorPayload/thrift/1-0-",
    ] {
        p.schema = Bytes::copy_from_slice(other.as_bytes());
        assert!(check_schema(&p).is_err(), "{other}");
    }
}
