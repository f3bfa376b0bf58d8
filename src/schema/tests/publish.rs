//! Uploads: what is stored, what is refused, what takes effect.

use super::*;

const CART: &str = "com.acme/cart/jsonschema/1-0-0";

#[test]
fn an_upload_takes_effect_at_once_and_survives_a_restart() {
    let data = tempfile::tempdir().unwrap();
    let first = resolver(&Config::default(), Some(data.path()));
    assert!(matches!(fetched(&first, &key(CART)), Lookup::Missing(_)));
    let stored = first.put(&key(CART), &schema_text(&key(CART), 7)).unwrap();
    assert!(stored.created);
    assert_eq!(maximum(&first.get(&key(CART))), Some(7));
    assert_eq!(first.generation(), 1);
    let second = resolver(&Config::default(), Some(data.path()));
    assert_eq!(maximum(&fetched(&second, &key(CART))), Some(7));
    assert_eq!(second.document(&key(CART)).as_deref(), Some(schema_text(&key(CART), 7).as_str()));
}

#[test]
fn a_published_schema_never_changes() {
    let data = tempfile::tempdir().unwrap();
    let resolver = resolver(&Config::default(), Some(data.path()));
    let text = schema_text(&key(CART), 7);
    resolver.put(&key(CART), &text).unwrap();
    let again = resolver.put(&key(CART), &text.replace('\n', "  \n")).unwrap();
    assert!(!again.created, "the same document in other spacing");
    let other = schema_text(&key(CART), 8);
    assert!(matches!(resolver.put(&key(CART), &other), Err(PutProblem::Conflict(_))));
    let page = key("com.snowplowanalytics.snowplow/web_page/jsonschema/1-0-0");
    assert!(matches!(resolver.put(&page, &schema_text(&page, 1)), Err(PutProblem::Conflict(_))));
    assert_eq!(maximum(&resolver.get(&key(CART))), Some(7));
}

#[test]
fn an_upload_that_supersedes_marks_the_older_version_at_once() {
    let data = tempfile::tempdir().unwrap();
    let resolver = resolver(&Config::default(), Some(data.path()));
    let (old, new) = (key(CART), key("com.acme/cart/jsonschema/1-0-1"));
    resolver.put(&old, &schema_text(&old, 1)).unwrap();
    resolver.put(&new, &schema_text(&new, 2).replacen('{', r#"{"$supersedes":["1-0-0"],"#, 1)).unwrap();
    let Lookup::Found(schema) = resolver.get(&old) else { panic!("not found") };
    assert_eq!(schema.superseded_by(), Some(&new));
    assert!(!resolver.put(&old, &schema_text(&old, 1)).unwrap().created, "the mark is not part of the document");
}

#[test]
fn schemas_are_listed_by_prefix() {
    let data = tempfile::tempdir().unwrap();
    let resolver = resolver(&Config::default(), Some(data.path()));
    for path in
        [CART, "com.acme/cart/jsonschema/1-0-10", "com.acme/cart/jsonschema/1-0-2", "com.acme/cart/jsonschema/2-0-0"]
    {
        resolver.put(&key(path), &schema_text(&key(path), 7)).unwrap();
    }
    let versions = |prefix: &str| resolver.list(prefix).iter().map(SchemaKey::version_text).collect::<Vec<_>>();
    assert_eq!(versions("com.acme"), ["1-0-0", "1-0-2", "1-0-10", "2-0-0"]);
    assert_eq!(versions("com.acme/cart/jsonschema/1"), ["1-0-0", "1-0-2", "1-0-10"]);
    assert_eq!(versions("com.acme/cart/jsonschema/1-*-*"), ["1-0-0", "1-0-2", "1-0-10"]);
    assert_eq!(versions("com.acme/cart/jsonschema/2-0-0"), ["2-0-0"]);
    assert!(versions("com.ac").is_empty());
    assert!(resolver.list("").len() > 250);
    assert!(matches!(super::resolver(&Config::default(), None).put(&key(CART), "{}"), Err(PutProblem::NoStore)));
}

#[test]
fn the_linter_says_what_is_wrong() {
    let good = schema_text(&key(CART), 7);
    let said = |text: &str| match lint(&key(CART), text) {
        Ok(warnings) => panic!("{text} passed with {warnings:?}"),
        Err(errors) => errors.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"),
    };
    assert!(lint(&key(CART), &good).unwrap().is_empty());
    for (text, part) in [
        ("{\n  \"a\": }".to_owned(), "line 2, column 8"),
        ("[]".to_owned(), "must be a JSON object"),
        ("{}".to_owned(), "$.self: is missing"),
        (good.replace("self-desc/schema", "other/schema"), "$.$schema: is \"http://iglucentral.com"),
        (
            good.replace("com.acme", "com.other"),
            "$.self.vendor: is \"com.other\", but the schema is published as \"com.acme\"",
        ),
        (good.replace("1-0-0\"}", "1-0-1\"}"), "$.self.version: is \"1-0-1\""),
        (good.replace("\"version\":", "\"revision\":"), "$.self.revision: is no part"),
        (good.replace("\"integer\"", "\"int\""), "$.properties.a.type: is string \"int\""),
        (good.replace("\"minimum\":0", "\"minimum\":9"), "$.properties.a.minimum: is 9, above maximum 7"),
        (
            good.replace("\"description\"", "\"required\":[\"b\"],\"description\""),
            "asks for \"b\", which additionalProperties false forbids",
        ),
        (good.replace("\"description\"", "\"required\":[],\"description\""), "$.required: has 0 items"),
        (good.replace("\"integer\"", "\"string\",\"pattern\":\"(\""), "cannot be used"),
        (
            good.replace("\"description\"", "\"$supersededBy\":\"1-0-0\",\"description\""),
            "$.$supersededBy: must be a version above",
        ),
        (
            good.replace("\"description\"", "\"$supersedes\":[\"2-0-0\"],\"description\""),
            "$.$supersedes: must be a list of versions below",
        ),
    ] {
        let findings = said(&text);
        assert!(findings.contains(part), "{text}\n{findings}\nlacks {part}");
        let data = tempfile::tempdir().unwrap();
        let resolver = resolver(&Config::default(), Some(data.path()));
        assert!(matches!(resolver.put(&key(CART), &text), Err(PutProblem::Refused(_))));
        assert!(resolver.list("com.acme").is_empty());
    }
}

#[test]
fn the_linter_says_what_could_be_better() {
    let good = schema_text(&key(CART), 7);
    let warned =
        |text: &str| lint(&key(CART), text).unwrap().iter().map(ToString::to_string).collect::<Vec<_>>().join("\n");
    for (text, part) in [
        (good.replace("\"description\":\"d\",", ""), "$.description: is missing"),
        (good.replace("\"integer\"", "\"string\""), "$.properties.a.maxLength: is missing"),
        (good.replace("\"minimum\":0,", ""), "$.properties.a.maximum: minimum or maximum is missing"),
        (
            good.replace("\"additionalProperties\":false", "\"additionalProperties\":true"),
            "$.additionalProperties: is not false",
        ),
        (good.replace("\"type\":\"object\"", "\"type\":\"array\""), "$.type: is not \"object\""),
        (good.replace("\"minimum\":0", "\"minimum\":0,\"const\":1"), "$.properties.a.const: is no keyword of draft-04"),
        (good.replace("\"minimum\":0", "\"minimum\":0,\"maxLength\":1"), "$.properties.a.maxLength: has no effect"),
        (
            good.replace("{\"type\":\"integer\"", "{\"format\":\"iban\",\"type\":\"integer\""),
            "$.properties.a.format: \"iban\" is not checked",
        ),
        (good.replace("{\"type\":\"integer\"", "{\"$ref\":\"http://x\",\"type\":\"integer\""), "accepts everything"),
    ] {
        let findings = warned(&text);
        assert!(findings.contains(part), "{text}\n{findings}\nlacks {part}");
    }
}

#[test]
fn a_reader_sees_uploads_and_writes_nothing() {
    let data = tempfile::tempdir().unwrap();
    let empty = build_reader(&Config::default(), data.path(), &Metrics::new()).unwrap();
    assert!(matches!(fetched(&empty, &key(CART)), Lookup::Missing(_)));
    assert_eq!(std::fs::read_dir(data.path()).unwrap().count(), 0);
    resolver(&Config::default(), Some(data.path())).put(&key(CART), &schema_text(&key(CART), 7)).unwrap();
    let reader = build_reader(&Config::default(), data.path(), &Metrics::new()).unwrap();
    assert_eq!(maximum(&fetched(&reader, &key(CART))), Some(7));
    assert!(matches!(reader.put(&key(CART), &schema_text(&key(CART), 7)), Err(PutProblem::NoStore)));
}

#[test]
fn uploads_and_fetches_work_inside_an_async_runtime() {
    let server = super::server::Server::start();
    let registry = RegistryConfig {
        name: "ours".to_owned(),
        uri: server.address.clone(),
        vendor_prefixes: vec!["com.acme".to_owned()],
        priority: 0,
        api_key: None,
        required: true,
    };
    let data = tempfile::tempdir().unwrap();
    let config = Config { registries: vec![registry], ..Config::default() };
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    runtime.block_on(async {
        let resolver = resolver(&config, Some(data.path()));
        let task = tokio::task::spawn_blocking(move || {
            let missing = matches!(fetched(&resolver, &key(CART)), Lookup::Missing(_));
            (missing, resolver.put(&key(CART), &schema_text(&key(CART), 7)).unwrap().created)
        });
        assert_eq!(task.await.unwrap(), (true, true));
    });
}
