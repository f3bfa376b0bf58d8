//! Order of registries, outages, caches, refresh.

use super::server::Server;
use super::*;
use crate::platform::testing::PATIENCE;
use crate::platform::units::Span;
use std::time::{Duration, Instant};

const CART: &str = "com.acme/cart/jsonschema/1-0-0";

fn registry(name: &str, server: &Server) -> RegistryConfig {
    RegistryConfig {
        name: name.to_owned(),
        uri: server.address.clone(),
        vendor_prefixes: Vec::new(),
        priority: 0,
        api_key: None,
        required: true,
    }
}

fn config(registries: Vec<RegistryConfig>) -> Config {
    Config {
        registries,
        cache_ttl: Span::from_secs(1),
        missing_ttl: Span::from_secs(1),
        timeout: Span::from_millis(500),
        ..Config::default()
    }
}

fn until(what: &str, done: impl Fn() -> bool) {
    let end = Instant::now() + PATIENCE;
    while !done() {
        assert!(Instant::now() < end, "{what} did not happen");
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn nothing_is_known_before_it_is_fetched() {
    let resolver = resolver(&Config::default(), None);
    let page = key("com.snowplowanalytics.snowplow/web_page/jsonschema/1-0-0");
    assert!(matches!(resolver.get(&page), Lookup::NotYet));
    assert!(matches!(fetched(&resolver, &page), Lookup::Found(_)));
    let (same, lookup) = resolver.get_uri(&page.uri()).unwrap();
    assert_eq!(same, page);
    assert!(matches!(lookup, Lookup::Found(_)));
    assert!(resolver.get_uri("iglu:a/b").is_err());
    let Lookup::Missing(history) = fetched(&resolver, &key(CART)) else { panic!("not missing") };
    assert_eq!(history.repositories(), [("built-in".to_owned(), LookupError::NotFound)]);
}

#[test]
fn registries_are_asked_by_prefix_then_kind_then_priority() {
    let (low, high, own) = (Server::start(), Server::start(), Server::start());
    let folder = tempfile::tempdir().unwrap();
    let configured = |path: bool| Config {
        path: if path { vec![folder.path().to_owned()] } else { Vec::new() },
        ..config(vec![
            RegistryConfig { priority: 5, ..registry("low", &low) },
            RegistryConfig { priority: 1, ..registry("high", &high) },
            RegistryConfig { vendor_prefixes: vec!["com.acme".to_owned()], priority: 9, ..registry("own", &own) },
        ])
    };
    for (path, answers) in [(CART, [&own, &high, &low]), ("org.else/cart/jsonschema/1-0-0", [&high, &low, &own])] {
        let key = key(path);
        for (i, server) in answers.iter().enumerate() {
            server.says(path, 200, &schema_text(&key, i as u32 + 1));
        }
        for (i, server) in answers.iter().enumerate() {
            let resolver = resolver(&configured(false), None);
            assert_eq!(maximum(&fetched(&resolver, &key)), Some(i as u32 + 1), "{path}");
            server.says(path, 404, "");
        }
        let resolver = resolver(&configured(false), None);
        let Lookup::Missing(history) = fetched(&resolver, &key) else { panic!("not missing") };
        let names: Vec<&str> = history.repositories().iter().map(|(name, _)| name.as_str()).collect();
        let wanted = if path == CART { ["own", "built-in", "high", "low"] } else { ["built-in", "high", "low", "own"] };
        assert_eq!(names, wanted);
    }
    // A folder comes before registries, but after the one whose prefix fits.
    put_file(folder.path(), CART, &schema_text(&key(CART), 77));
    high.says(CART, 200, &schema_text(&key(CART), 2));
    assert_eq!(maximum(&fetched(&resolver(&configured(true), None), &key(CART))), Some(77));
    own.says(CART, 200, &schema_text(&key(CART), 3));
    assert_eq!(maximum(&fetched(&resolver(&configured(true), None), &key(CART))), Some(3));
}

#[test]
fn the_api_key_is_sent_and_never_to_another_host() {
    let (server, other) = (Server::start(), Server::start());
    server.says(CART, 200, &schema_text(&key(CART), 1));
    let with_key = RegistryConfig { api_key: Some("s3cret".to_owned()), ..registry("ours", &server) };
    let resolver = resolver(&config(vec![with_key]), None);
    assert!(maximum(&fetched(&resolver, &key(CART))).is_some());
    let request = server.state.lock().requests[0].clone();
    assert!(request.starts_with(&format!("GET /schemas/{CART} ")), "{request}");
    assert!(request.contains("apikey: s3cret"), "{request}");
    server.state.lock().headers = vec![format!("location: {}/x", other.address.replace("127.0.0.1", "localhost"))];
    let moved = key("com.acme/moved/jsonschema/1-0-0");
    server.says(&moved.path(), 302, "");
    assert!(resolver.fetch(&[moved]).is_err());
    assert_eq!(other.asked(), 0);
}

#[test]
fn not_found_and_no_answer_are_told_apart() {
    for (status, body, is_outage) in [
        (404, "", false),
        (500, "", true),
        (503, "", true),
        (403, "", true),
        (200, "<html>", true),
        (200, "[]", true),
        (200, "{\"type\":", true),
    ] {
        let server = Server::start();
        server.says(CART, status, body);
        let resolver = resolver(&config(vec![registry("ours", &server)]), None);
        let result = resolver.fetch(&[key(CART)]);
        assert_eq!(result.is_err(), is_outage, "{status} {body}");
        if let Err(outage) = result {
            assert_eq!((outage.schema.as_str(), outage.registry.as_str()), (key(CART).uri().as_str(), "ours"));
            assert!(matches!(resolver.get(&key(CART)), Lookup::NotYet), "an outage concludes nothing");
        } else {
            assert!(matches!(resolver.get(&key(CART)), Lookup::Missing(_)));
        }
    }
}

#[test]
fn an_outage_ends_and_is_not_hammered() {
    let server = Server::start();
    server.goes_down(true);
    let resolver = resolver(&config(vec![registry("ours", &server)]), None);
    let keys = [key(CART), key("com.acme/other/jsonschema/1-0-0")];
    for _ in 0..20 {
        let outage = resolver.fetch(&keys).unwrap_err();
        assert!(outage.retry_after <= Duration::from_secs(60));
    }
    // Keep-alive libraries may repeat a request on a dropped connection once.
    assert!(server.asked() <= 8, "{} requests", server.asked());
    server.goes_down(false);
    server.says(CART, 200, &schema_text(&key(CART), 4));
    until("the end of the outage", || resolver.fetch(&keys).is_ok());
    assert_eq!(maximum(&resolver.get(&keys[0])), Some(4));
    assert!(matches!(resolver.get(&keys[1]), Lookup::Missing(_)));
}

#[test]
fn one_that_has_it_is_enough_and_an_optional_one_holds_nobody_up() {
    let (broken, good) = (Server::start(), Server::start());
    broken.says(CART, 500, "");
    good.says(CART, 200, &schema_text(&key(CART), 6));
    let both = vec![registry("broken", &broken), RegistryConfig { priority: 1, ..registry("good", &good) }];
    assert_eq!(maximum(&fetched(&resolver(&config(both), None), &key(CART))), Some(6));
    let optional = RegistryConfig { required: false, ..registry("broken", &broken) };
    let resolver = resolver(&config(vec![optional]), None);
    let Lookup::Missing(history) = fetched(&resolver, &key(CART)) else { panic!("not missing") };
    assert!(
        matches!(&history.repositories()[1], (name, LookupError::RepoFailure(m)) if name == "broken" && m.contains("500"))
    );
    until("the optional registry's recovery", || {
        broken.says(CART, 200, &schema_text(&key(CART), 7));
        maximum(&resolver.get(&key(CART))) == Some(7)
    });
}

#[test]
fn a_slow_registry_times_out() {
    let server = Server::start();
    server.state.lock().delay = Duration::from_secs(120);
    let resolver = resolver(&config(vec![registry("ours", &server)]), None);
    let begin = Instant::now();
    let outage = resolver.fetch(&[key(CART)]).unwrap_err();
    assert!(begin.elapsed() < Duration::from_secs(60));
    assert!(outage.message.contains("timed out"), "{outage}");
}

#[test]
fn a_dead_optional_registry_does_not_stop_the_flow() {
    let server = Server::start();
    server.state.lock().delay = Duration::from_secs(300);
    let dead = RegistryConfig { required: false, ..registry("dead", &server) };
    let config = Config { timeout: Span::from_secs(2), ..config(vec![dead]) };
    let resolver = resolver(&config, None);
    let begin = Instant::now();
    for n in 0..200 {
        let key = key(&format!("com.acme/n{n}/jsonschema/1-0-0"));
        assert!(matches!(fetched(&resolver, &key), Lookup::Missing(_)));
    }
    assert!(begin.elapsed() < PATIENCE, "{:?}", begin.elapsed());
}

#[test]
fn one_request_serves_many_threads() {
    let server = Server::start();
    server.state.lock().delay = Duration::from_millis(200);
    server.says(CART, 200, &schema_text(&key(CART), 5));
    let resolver = resolver(&config(vec![registry("ours", &server)]), None);
    std::thread::scope(|scope| {
        for _ in 0..16 {
            scope.spawn(|| assert_eq!(maximum(&fetched(&resolver, &key(CART))), Some(5)));
        }
    });
    assert_eq!(server.asked(), 1);
}

#[test]
fn many_schemas_are_asked_for_at_the_same_time() {
    let server = Server::start();
    server.state.lock().delay = Duration::from_millis(100);
    let keys: Vec<SchemaKey> = (1..=32).map(|n| key(&format!("com.acme/n{n}/jsonschema/1-0-0"))).collect();
    let resolver = resolver(&config(vec![registry("ours", &server)]), None);
    let begin = Instant::now();
    resolver.fetch(&keys).unwrap();
    assert!(begin.elapsed() < Duration::from_millis(1600), "{:?}", begin.elapsed());
    assert!(keys.iter().all(|key| matches!(resolver.get(key), Lookup::Missing(_))));
}

#[test]
fn fetched_schemas_are_refreshed_and_kept_through_an_outage() {
    let server = Server::start();
    server.says(CART, 200, &schema_text(&key(CART), 1));
    let resolver = resolver(&config(vec![registry("ours", &server)]), None);
    assert_eq!(maximum(&fetched(&resolver, &key(CART))), Some(1));
    assert_eq!(resolver.generation(), 0);
    server.says(CART, 200, &schema_text(&key(CART), 2));
    until("the refresh", || maximum(&resolver.get(&key(CART))) == Some(2));
    assert_eq!(resolver.generation(), 1);
    server.goes_down(true);
    std::thread::sleep(Duration::from_secs(4));
    assert_eq!(maximum(&resolver.get(&key(CART))), Some(2), "the old one stays while the registry is away");
    server.goes_down(false);
    server.says(CART, 404, "");
    until("its removal", || matches!(resolver.get(&key(CART)), Lookup::Missing(_)));
}

#[test]
fn a_missing_schema_turns_up_by_itself() {
    let server = Server::start();
    let resolver = resolver(&config(vec![registry("ours", &server)]), None);
    assert!(matches!(fetched(&resolver, &key(CART)), Lookup::Missing(_)));
    server.says(CART, 200, &schema_text(&key(CART), 9));
    until("its arrival", || maximum(&resolver.get(&key(CART))) == Some(9));
    assert_eq!(resolver.generation(), 1);
}

#[test]
fn a_restart_without_network_resolves_from_disk() {
    let server = Server::start();
    let data = tempfile::tempdir().unwrap();
    server.says(CART, 200, &schema_text(&key(CART), 8));
    let config = config(vec![registry("ours", &server)]);
    assert_eq!(maximum(&fetched(&resolver(&config, Some(data.path())), &key(CART))), Some(8));
    server.goes_down(true);
    assert_eq!(maximum(&fetched(&resolver(&config, Some(data.path())), &key(CART))), Some(8));
    std::thread::sleep(Duration::from_millis(1100));
    let late = resolver(&config, Some(data.path()));
    assert_eq!(maximum(&fetched(&late, &key(CART))), Some(8), "an old answer is better than none");
    let asked = server.asked();
    assert!(asked > 1, "it was asked again, being old");
    server.goes_down(false);
    server.says(CART, 404, "");
    std::thread::sleep(Duration::from_millis(1500));
    assert!(matches!(fetched(&resolver(&config, Some(data.path())), &key(CART)), Lookup::Missing(_)));
    server.goes_down(true);
    assert!(resolver(&config, Some(data.path())).fetch(&[key(CART)]).is_err(), "what is gone is not kept");
}

#[test]
fn folders_are_followed_while_running() {
    let folder = tempfile::tempdir().unwrap();
    let config = Config { path: vec![folder.path().to_owned()], ..Config::default() };
    let resolver = resolver(&config, None);
    let page = key("com.snowplowanalytics.snowplow/web_page/jsonschema/1-0-0");
    assert!(matches!(fetched(&resolver, &key(CART)), Lookup::Missing(_)));
    assert!(matches!(fetched(&resolver, &page), Lookup::Found(_)));
    put_file(folder.path(), &format!("{CART}.json"), &schema_text(&key(CART), 3));
    until("the new file", || maximum(&resolver.get(&key(CART))) == Some(3));
    put_file(folder.path(), &format!("{CART}.json"), &schema_text(&key(CART), 44));
    until("the changed file", || maximum(&resolver.get(&key(CART))) == Some(44));
    put_file(folder.path(), &format!("{CART}.json"), "{ half a docu");
    std::thread::sleep(Duration::from_secs(3));
    assert_eq!(maximum(&resolver.get(&key(CART))), Some(44), "a broken file does not replace a good schema");
    std::fs::remove_file(folder.path().join(format!("{CART}.json"))).unwrap();
    until("the removal", || matches!(resolver.get(&key(CART)), Lookup::Missing(_)));
    put_file(folder.path(), &format!("schemas/{}", page.path()), &schema_text(&page, 5));
    until("a file beside a built-in schema", || maximum(&resolver.get(&page)) == Some(5));
    assert!(resolver.generation() >= 4);
}

#[test]
fn a_document_that_cannot_be_read_is_a_faulty_schema() {
    let folder = tempfile::tempdir().unwrap();
    put_file(folder.path(), CART, "not json");
    let resolver = resolver(&Config { path: vec![folder.path().to_owned()], ..Config::default() }, None);
    let Lookup::Found(schema) = fetched(&resolver, &key(CART)) else { panic!("not found") };
    assert!(schema.schema_issues()[0].message.contains("no JSON"));
    let data = crate::event::json::parse("{}", 9).unwrap();
    assert!(!schema.is_valid(&data));
    assert!(matches!(schema.check(&data), Err(Invalid::Schema(_))));
    assert_eq!(schema.validate(&data).len(), 1);
}

#[test]
fn a_vendor_of_dots_leads_nowhere() {
    let data = tempfile::tempdir().unwrap();
    put_file(data.path(), "name/jsonschema/1-0-0", &schema_text(&key(CART), 3));
    let server = Server::start();
    let resolver = resolver(&config(vec![registry("ours", &server)]), Some(data.path()));
    let dots = SchemaKey::parse("iglu:../name/jsonschema/1-0-0").unwrap();
    assert!(matches!(fetched(&resolver, &dots), Lookup::Missing(_)));
    assert_eq!(server.asked(), 0);
}

#[test]
fn a_superseding_version_comes_along() {
    let folder = tempfile::tempdir().unwrap();
    let (old, new) = (key(CART), key("com.acme/cart/jsonschema/1-0-2"));
    put_file(folder.path(), CART, &schema_text(&old, 1));
    put_file(
        folder.path(),
        &new.path(),
        &schema_text(&new, 2).replacen('{', r#"{"$supersedes":["1-0-0","1-0-1"],"#, 1),
    );
    let resolver = resolver(&Config { path: vec![folder.path().to_owned()], ..Config::default() }, None);
    let Lookup::Found(schema) = fetched(&resolver, &old) else { panic!("not found") };
    assert_eq!(schema.superseded_by(), Some(&new));
    assert_eq!(maximum(&resolver.get(&new)), Some(2));
    assert!(resolver.document(&old).unwrap().contains(r#""$supersededBy":"1-0-2""#));
    assert!(!resolver.document(&new).unwrap().contains("supersededBy"));
}

#[test]
fn a_record_full_of_made_up_names_is_answered_completely() {
    let resolver = resolver(&Config::default(), None);
    let keys: Vec<SchemaKey> = (0..30_000).map(|n| key(&format!("com.flood{n}/x/jsonschema/1-0-0"))).collect();
    let page = key("com.snowplowanalytics.snowplow/web_page/jsonschema/1-0-0");
    assert!(matches!(fetched(&resolver, &page), Lookup::Found(_)));
    let answers = resolver.answers(&keys, Network::Free).unwrap();
    assert_eq!(answers.len(), keys.len());
    assert!(answers.iter().all(|(_, lookup)| matches!(lookup, Lookup::Missing(_))));
    // Memory for names that nobody has is bounded, and such names push no schema out.
    assert!(keys.iter().filter(|key| matches!(resolver.get(key), Lookup::Missing(_))).count() <= 1 << 14);
    assert!(matches!(resolver.get(&page), Lookup::Found(_)));
}

#[test]
fn look_ups_are_counted() {
    let metrics = Metrics::new();
    let resolver = build(&Config::default(), None, &metrics).unwrap();
    let page = key("com.snowplowanalytics.snowplow/web_page/jsonschema/1-0-0");
    let _ = resolver.get(&page);
    resolver.fetch(&[page.clone(), key(CART)]).unwrap();
    let _ = (resolver.get(&page), resolver.get(&page), resolver.get(&key(CART)));
    let text = metrics.render().unwrap();
    for line in [
        "iglu_hits_total 2",
        "iglu_misses_total 1",
        "iglu_missing_hits_total 1",
        "iglu_fetches_total 2",
        "iglu_schemas_cached 1",
        "iglu_missing_cached 1",
    ] {
        assert!(text.contains(line), "{line}\n{text}");
    }
}
