//! The configured steps against the example tables of Snowplow's enrichments, through the whole core.

use super::*;
use crate::enrich::steps::StepConfig;
use crate::event::SchemaKey;
use serde_json::json;

const SNOWPLOW: &str = "com.snowplowanalytics.snowplow";
const ENRICHMENTS: &str = "com.snowplowanalytics.snowplow.enrichments";

fn config(vendor: &str, name: &str, version: (u32, u32, u32), parameters: Value) -> StepConfig {
    let mut data = json!({"vendor": vendor, "name": name, "enabled": true});
    if !parameters.is_null() {
        data["parameters"] = parameters;
    }
    StepConfig { file: name.into(), schema: SchemaKey::new(vendor, name, "jsonschema", version), data }
}

fn kit_of(configs: &[StepConfig]) -> Kit {
    kit_with(Config::default(), Steps::from_configs(configs).unwrap())
}

fn one(vendor: &str, name: &str, version: (u32, u32, u32), parameters: Value) -> Kit {
    kit_of(&[config(vendor, name, version, parameters)])
}

/// Data of the derived contexts of one name.
fn derived(event: &Event, name: &str) -> Vec<Value> {
    let of = |d: &&crate::event::SelfDescribing| d.schema.name() == name;
    event.derived.iter().filter(of).map(|d| serde_json::from_str(&d.data).unwrap()).collect()
}

#[test]
fn fingerprints_hash_raw_parameters_in_the_order_of_their_names() {
    let usual = json!(["eid", "nuid", "stm", "cv"]);
    let page = format!("e=pv&url=https://shop.example/&eid={EID}&stm=1700000000000");
    let other = "stm=1700000000001&url=https://shop.example/&e=pv";
    for (algorithm, excluded, query, hash) in [
        ("MD5", &usual, page.as_str(), "393091e0084bf680b2d13ece2100b656"),
        ("SHA1", &usual, &page, "678fd0da7e8f4d035cddafc4228ba58f33d69dc8"),
        ("SHA1", &usual, other, "678fd0da7e8f4d035cddafc4228ba58f33d69dc8"),
        ("SHA256", &usual, &page, "578f7e6ef8d0e0ac19cbddefc47755b4952e36a6a90d31a3612bd0b6d894e3c8"),
        (
            "SHA384",
            &usual,
            &page,
            "683e215ef9c5387182481c9ba20667693b381603e15c5b942749849e2590a7bf2ec41299f92da8244810920d640295a2",
        ),
        ("MD5", &json!([]), "e=pv", "779b97a7bba83fff77ba8d8bfed1abc8"),
        ("SHA256", &json!([]), "e=pv", "f76f177decd44ebc134150194ed7d2a8ac3662df637cb6972cbdb80d08078fc8"),
        (
            "SHA512",
            &json!([]),
            "e=pv",
            "dee29fb01052b61b0542fc2cb4210bf398b87331bb8ef6821d250ca2d9119df13398b1da45bdd7b5cc6cca3d3286ad06a20fc697fef02c2b020acbd5b7e32983",
        ),
        ("MD5", &json!([]), "e=se&se_ca=&se_ac=gr%C3%BC%C3%9F", "2c550f7aba58ba04f006f18c145c8267"),
        ("MD5", &json!([]), "e=se&valueless&se_ca=&se_ac=gr%C3%BC%C3%9F", "2c550f7aba58ba04f006f18c145c8267"),
        ("MD5", &json!(["e", "aid"]), "e=pv&aid=x", "d41d8cd98f00b204e9800998ecf8427e"),
    ] {
        let parameters = json!({"hashAlgorithm": algorithm, "excludeParameters": excluded});
        let kit = one(SNOWPLOW, "event_fingerprint_config", (1, 0, 1), parameters);
        let made = cell(&kit.event(query), "event_fingerprint");
        assert_eq!(made, hash, "{algorithm} {query}");
    }
}

#[test]
fn campaigns_are_read_from_the_query_of_the_page() {
    let kit = one(
        SNOWPLOW,
        "campaign_attribution",
        (1, 0, 1),
        json!({"mapping": "static", "fields": {"mktMedium": ["utm_medium", "medium"], "mktSource": ["utm_source"], "mktTerm": ["utm_term"],
            "mktContent": [], "mktCampaign": ["utm_campaign", "cid"], "mktClickId": {"fbclid": "Facebook", "gclid": "Ads"}}}),
    );
    for (query, set) in [
        ("utm_source=news&utm_medium=email&utm_campaign=May", ["news", "email", "", "May", "", ""]),
        ("cid=old&utm_campaign=new", ["", "", "", "new", "", ""]),
        ("medium=cpc", ["", "cpc", "", "", "", ""]),
        ("utm_medium=&medium=cpc", [""; 6]),
        ("utm_medium&medium=cpc", [""; 6]),
        ("utm_source=a&utm_source=b", ["b", "", "", "", "", ""]),
        ("UTM_SOURCE=a", [""; 6]),
        ("utm_term=blue+suede%20shoes", ["", "", "blue suede shoes", "", "", ""]),
        ("utm_content=x", [""; 6]),
        ("gclid=G1", ["", "", "", "", "G1", "Ads"]),
        ("fbclid=F1&gclid=G1", ["", "", "", "", "G1", "Ads"]),
        ("msclkid=", ["", "", "", "", "", "Microsoft"]),
        ("a=1;utm_source=s", ["s", "", "", "", "", ""]),
        ("x=1#utm_source=frag", [""; 6]),
        ("utm_source=caf%E9", ["caf\u{FFFD}", "", "", "", "", ""]),
    ] {
        let event = kit.event(&format!("e=pv&url={}", enc(&format!("https://shop.example/?{query}"))));
        let names = ["mkt_source", "mkt_medium", "mkt_term", "mkt_campaign", "mkt_clickid", "mkt_network"];
        assert_eq!(names.map(|name| cell(&event, name)), set, "{query}");
        assert_eq!(cell(&event, "mkt_content"), "");
    }
}

fn referrers() -> Kit {
    let folder = tempfile::tempdir().unwrap();
    let database = json!({
        "search": {
            "Google": {"domains": ["google.com", "www.google.com"], "parameters": ["q"]},
            "Google Images": {"domains": ["google.com/imgres"], "parameters": ["q"]}},
        "social": {"Facebook": {"domains": ["facebook.com"], "parameters": ["q"]}},
        "paid": {"Acme Ads": {"domains": ["ads.acme.example"], "parameters": ["q"]}},
        "email": {"Acme Mail": {"domains": ["mail.acme.example"], "parameters": ["q"], "utm_sources": ["acme-mail"]}},
        "unknown": {"Google": {"domains": ["support.google.com"]}}});
    std::fs::write(folder.path().join("referers.json"), database.to_string()).unwrap();
    let parameters = json!({
        "internalDomains": ["app.shop.example"], "database": "referers.json", "uri": format!("file://{}", folder.path().display()),
        "referrers": {"chatbot": {"Acme Chat": {"domains": ["chat.acme.example"], "parameters": ["q"], "utm_sources": ["acme chat"]}}}});
    one(SNOWPLOW, "referer_parser", (2, 0, 2), parameters)
}

#[test]
fn referrers_are_known_by_host_and_path() {
    let kit = referrers();
    for (referrer, set) in [
        ("https://www.google.com/search?q=red+shoes&hl=en", ["search", "Google", "red shoes"]),
        ("https://www.google.com/", ["search", "Google", ""]),
        ("https://www.google.com/search?oq=a&q=b&q=c", ["search", "Google", "b"]),
        ("https://www.google.com/search?q=", ["search", "Google", ""]),
        ("https://www.google.com/imgres/x?q=cat", ["search", "Google Images", "cat"]),
        ("https://support.google.com/q?q=1", ["unknown", "", ""]),
        ("https://l.facebook.com/l.php?u=x", ["social", "Facebook", ""]),
        ("https://www.shop.example:8443/cart", ["internal", "", ""]),
        ("https://app.shop.example/", ["internal", "", ""]),
        ("https://shop.example/", ["unknown", "", ""]),
        ("android-app://mail.acme.example/inbox", ["email", "Acme Mail", ""]),
        ("ftp://www.google.com/", ["", "", ""]),
        ("about:blank", ["", "", ""]),
        ("/cart", ["", "", ""]),
        ("", ["", "", ""]),
        ("https://www.google.com/search?q=%0Aa%09b", ["search", "Google", "a    b"]),
        ("https://blog.example/?ref=1", ["unknown", "", ""]),
        ("HTTPS://WWW.google.com./", ["search", "Google", ""]),
        ("https://chat.acme.example/", ["chatbot", "Acme Chat", ""]),
        // Parameters are listed for all of these.
        ("https://chat.acme.example/?q=x", ["chatbot", "Acme Chat", "x"]),
        ("https://facebook.com/?q=x", ["social", "Facebook", ""]),
        ("https://mail.acme.example/?q=x", ["email", "Acme Mail", ""]),
        ("https://ads.acme.example/?q=x", ["paid", "Acme Ads", ""]),
    ] {
        let event = kit.event(&format!("e=pv&url=https://www.shop.example/&refr={}", enc(referrer)));
        assert_eq!(["refr_medium", "refr_source", "refr_term"].map(|name| cell(&event, name)), set, "{referrer}");
    }
}

#[test]
fn data_files_are_read_from_web_servers_too_and_a_missing_one_is_a_start_up_error() {
    let server = crate::schema::tests::server::Server::start();
    let database = r#"{"social": {"Acme": {"domains": ["acme.example"]}}}"#;
    server.state.lock().replies.insert("/data/referers.json".to_owned(), (200, database.to_owned()));
    let of = |file: &str, uri: String| {
        let parameters = json!({"internalDomains": [], "database": file, "uri": uri});
        Steps::from_configs(&[config(SNOWPLOW, "referer_parser", (2, 0, 0), parameters)])
    };
    let steps = of("referers.json", format!("{}/data/", server.address)).unwrap();
    let event = kit_with(Config::default(), steps).event("e=pv&refr=https://acme.example/");
    assert_eq!(cell(&event, "refr_source"), "Acme");
    for (uri, wanted) in [
        (format!("{}/none", server.address), "404"),
        ("s3://bucket".to_owned(), "beforehand"),
        ("file:///nowhere".to_owned(), "No such file"),
    ] {
        let problems = of("referers.json", uri).unwrap_err();
        assert!(problems.len() == 1 && problems[0].contains(wanted), "{problems:?}");
    }
}

#[test]
fn a_utm_source_that_stands_for_a_referrer_adds_a_context_and_changes_nothing_else() {
    let kit = referrers();
    let of = |query: &str| kit.event(&format!("e=pv&url={}", enc(&format!("https://www.shop.example/?{query}"))));
    for (query, medium, source) in
        [("utm_source=acme-mail", "email", "Acme Mail"), ("utm_source=x&utm_source=acme+chat", "chatbot", "Acme Chat")]
    {
        let event = of(query);
        let wanted = json!({"medium": medium, "source": source, "term": null});
        assert_eq!(derived(&event, "utm_referrer"), [wanted], "{query}");
        assert_eq!(["refr_medium", "mkt_source"].map(|name| cell(&event, name)), ["", ""]);
    }
    for query in ["utm_source=ACME-MAIL", "utm_source=", "source=acme-mail", ""] {
        assert!(derived(&of(query), "utm_referrer").is_empty(), "{query}");
    }
}

#[test]
fn the_steps_without_outside_data_work_together_in_their_order() {
    let kit = kit_of(&[
        config(SNOWPLOW, "anon_ip", (1, 0, 1), json!({"anonOctets": 2.0})),
        config(SNOWPLOW, "cookie_extractor_config", (1, 0, 0), json!({"cookies": ["sp", "flag", ""]})),
        config(ENRICHMENTS, "http_header_extractor_config", (1, 0, 0), json!({"headersPattern": "(?i)(?!cookie)x-.*"})),
        config(SNOWPLOW, "ua_parser_config", (1, 0, 1), Value::Null),
        config(ENRICHMENTS, "cross_navigation_config", (1, 0, 0), Value::Null),
    ]);
    let mut p = request("/i", "e=pv&url=http://a.test/?_sp=d1.1700000000000....web");
    p.user_agent = Some(Bytes::from_static(b"curl/8.5.0"));
    p.headers =
        ["COOKIE: sp=abc, x; flag; =v", "X-A: 1", "x-b:  a:b ", "Host: c", "garbage", "X-Forwarded-For: 1.2.3.4"]
            .map(Bytes::from)
            .into();
    let event = enriched(kit.run(&p)).remove(0);
    let names: Vec<&str> = event.derived.iter().map(|d| d.schema.name()).collect();
    let wanted = [
        "http_header",
        "http_header",
        "http_header",
        "http_cookie",
        "http_cookie",
        "http_cookie",
        "cross_navigation",
        "ua_parser_context",
    ];
    assert_eq!(names, wanted, "the latest step stands first, contexts of one step in their order");
    assert_eq!(
        derived(&event, "http_cookie"),
        [
            json!({"name": "sp", "value": "abc, x"}),
            json!({"name": "flag", "value": null}),
            json!({"name": "", "value": "v"})
        ]
    );
    let headers = derived(&event, "http_header");
    assert_eq!(headers[1], json!({"name": "x-b", "value": "a:b"}));
    assert_eq!(derived(&event, "ua_parser_context")[0]["useragentVersion"], "curl 8.5.0");
    assert_eq!(derived(&event, "cross_navigation")[0]["source_platform"], "web");
    assert_eq!(cell(&event, "user_ipaddress"), "1.2.x.x");
}

#[test]
fn over_long_cookies_and_headers_are_left_out_counted_and_cost_no_event() {
    let steps = Steps::from_configs(&[
        config(SNOWPLOW, "cookie_extractor_config", (1, 0, 0), json!({"cookies": ["sp"]})),
        config(ENRICHMENTS, "http_header_extractor_config", (1, 0, 0), json!({"headersPattern": "(?i)x-.*"})),
    ])
    .unwrap();
    let metrics = Metrics::new();
    steps.register(&metrics);
    let kit = kit_with(Config::default(), steps);
    let (fits, long) = ("f".repeat(4096), "l".repeat(4097));
    let mut p = request("/i", "e=pv");
    p.headers = [
        format!("Cookie: sp={fits}; sp={long}; other={long}"),
        format!("X-A: {fits}"),
        format!("X-B: {long}"),
        format!("X-C: {long}"),
        format!("Host: {long}"),
    ]
    .map(Bytes::from)
    .into();
    let event = enriched(kit.run(&p)).remove(0);
    assert_eq!(derived(&event, "http_cookie"), [json!({"name": "sp", "value": fits})]);
    assert_eq!(derived(&event, "http_header"), [json!({"name": "X-A", "value": fits})]);
    let counts = || {
        let told = metrics.render().unwrap();
        ["snowshed_enrich_cookies_skipped_total ", "snowshed_enrich_headers_skipped_total "]
            .map(|name| told.lines().find_map(|line| line.strip_prefix(name)).unwrap().parse::<u64>().unwrap())
    };
    // The first event was processed again when its schemas were there; the next one is not.
    let before = counts();
    enriched(kit.run(&p));
    let after = counts();
    assert_eq!([after[0] - before[0], after[1] - before[1]], [1, 2], "only those that were wanted");
}

#[test]
fn a_configuration_that_cannot_be_used_is_a_start_up_error_that_says_why() {
    for (config, wanted) in [
        (config(ENRICHMENTS, "weather_enrichment_config", (1, 0, 0), json!({})), "retired"),
        (config(SNOWPLOW, "anon_ip", (1, 0, 1), json!({"anonOctets": 1.5})), "1 to 4"),
        (config(SNOWPLOW, "anon_ip", (2, 0, 0), json!({"anonOctets": 1})), "1-0-*"),
        (config(SNOWPLOW, "ua_parser_config", (1, 0, 1), json!({"uri": "file:/x"})), "database"),
        (
            config(
                SNOWPLOW,
                "event_fingerprint_config",
                (1, 0, 1),
                json!({"hashAlgorithm": "SHA-1", "excludeParameters": []}),
            ),
            "SHA1",
        ),
        (
            config(ENRICHMENTS, "http_header_extractor_config", (1, 0, 0), json!({"headersPattern": "("})),
            "regular expression",
        ),
        (config(SNOWPLOW, "currency_conversion_config", (1, 0, 0), json!({})), "no step"),
    ] {
        let problems = Steps::from_configs(std::slice::from_ref(&config)).unwrap_err();
        assert!(problems.len() == 1 && problems[0].contains(wanted), "{problems:?}");
        let off = StepConfig { data: json!({"enabled": false}), ..config.clone() };
        let refused = Steps::from_configs(&[off]).is_err();
        assert_eq!(
            refused,
            wanted == "1-0-*",
            "a disabled file is refused only for a version that nobody knows: {config:?}"
        );
    }
    let twice = [(1, 0, 0), (1, 0, 1)].map(|v| config(SNOWPLOW, "anon_ip", v, json!({"anonOctets": 1})));
    assert!(Steps::from_configs(&twice).unwrap_err()[0].contains("already configures"));
}

#[test]
fn an_addition_that_is_not_built_in_is_refused_with_those_that_are() {
    let folder = tempfile::tempdir().unwrap();
    let text = json!({"schema": "iglu:com.snowplowanalytics.snowplow/anon_ip/jsonschema/1-0-9",
        "data": {"vendor": SNOWPLOW, "name": "anon_ip", "enabled": true, "parameters": {"anonOctets": 1}}});
    std::fs::write(folder.path().join("anon.json"), text.to_string()).unwrap();
    let problems = Steps::from_folder(folder.path(), &kit().resolver, &|_| None).unwrap_err();
    assert!(problems[0].contains("anon.json") && problems[0].contains("1-0-0, 1-0-1"), "{problems:?}");
}

/// A configuration file as it stands in a folder.
fn file(name: &str, version: &str, parameters: Value) -> String {
    let vendor = if name == "http_header_extractor_config" { ENRICHMENTS } else { SNOWPLOW };
    let data = json!({"vendor": vendor, "name": name, "enabled": true, "parameters": parameters});
    json!({"schema": format!("iglu:{vendor}/{name}/jsonschema/{version}"), "data": data}).to_string()
}

#[test]
fn all_problems_of_a_folder_are_told_at_once_each_with_its_place() {
    let folder = tempfile::tempdir().unwrap();
    let missing = folder.path().join("nope.json").display().to_string();
    for (name, text) in [
        ("a.json", "{".to_owned()),
        ("b.json", file("http_header_extractor_config", "1-0-0", json!({"headersPattern": "("}))),
        (
            "c.json",
            file(
                "referer_parser",
                "2-0-0",
                json!({"internalDomains": [], "database": "nope.json", "uri": format!("file://{}", folder.path().display())}),
            ),
        ),
        ("d.json", file("cookie_extractor_config", "1-0-0", json!({}))),
        ("e.json", file("anon_ip", "1-0-1", json!({"anonOctets": 1}))),
        ("f.json", "{\"schema\": 1}".to_owned()),
    ] {
        std::fs::write(folder.path().join(name), text).unwrap();
    }
    let mut problems = Steps::from_folder(folder.path(), &kit().resolver, &|_| None).unwrap_err();
    problems.sort();
    let wanted = [
        ("a.json", "no JSON"),
        ("b.json", "parameters.headersPattern: \"(\" is no regular expression"),
        ("c.json", &format!("{missing}: No such file")),
        ("d.json", "$.parameters: "),
        ("f.json", "no self-describing JSON"),
    ];
    assert_eq!(problems.len(), wanted.len(), "{problems:#?}");
    for (problem, (name, begin)) in problems.iter().zip(wanted) {
        let begin = format!("{}: {begin}", folder.path().join(name).display());
        assert!(problem.starts_with(&begin), "{problem}\nshould begin with\n{begin}");
        assert_eq!(problem.matches("parameters: ").count(), usize::from(name == "d.json"), "{problem}");
    }
}

#[test]
fn whatever_changes_an_answer_changes_the_checksum_of_the_steps() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    let resolver = kit().resolver;
    let checksum = || Steps::from_folder(path, &resolver, &|_| None).unwrap().checksum();
    let put = |name: &str, text: &str| std::fs::write(path.join(name), text).unwrap();
    assert_eq!((checksum(), Steps::always_on().checksum()), (0, 0));
    let mut seen = vec![0];
    let mut another = || {
        let now = checksum();
        assert_eq!(now, checksum(), "the same files give the same checksum");
        assert!(!seen.contains(&now));
        seen.push(now);
    };
    put("anon_ip.json", &file("anon_ip", "1-0-1", json!({"anonOctets": 1})));
    another();
    put("anon_ip.json", &file("anon_ip", "1-0-1", json!({"anonOctets": 2})));
    another();
    put("ua.json", &file("ua_parser_config", "1-0-1", json!({})));
    another();
    let uri = format!("file://{}", path.display());
    put("rules.yaml", "user_agent_parsers:\n  - regex: '(curl)/(\\d+)'\nos_parsers: []\ndevice_parsers: []\n");
    put("ua.json", &file("ua_parser_config", "1-0-1", json!({"uri": uri, "database": "rules.yaml"})));
    another();
    put("rules.yaml", "user_agent_parsers:\n  - regex: '(wget)/(\\d+)'\nos_parsers: []\ndevice_parsers: []\n");
    another();
    put("refr.db", r#"{"social": {"Acme": {"domains": ["acme.example"]}}}"#);
    let parameters = json!({"internalDomains": [], "uri": uri, "database": "refr.db"});
    put("refr.json", &file("referer_parser", "2-0-0", parameters));
    another();
    put("refr.db", r#"{"social": {"Acme": {"domains": ["acme.test"]}}}"#);
    another();
    let steps = Steps::from_folder(path, &resolver, &|_| None).unwrap();
    let names: Vec<_> = steps.assets().map(|a| (a.step, a.name.as_str(), a.bytes)).collect();
    assert_eq!(names, [("ua-parser", "rules.yaml", 80), ("referer-parser", "refr.db", 48)]);
    // What is off, and how a file is called and laid out, changes nothing.
    let before = checksum();
    put("off.json", &file("cookie_extractor_config", "1-0-0", json!({"cookies": []})).replace("true", "false"));
    put("anon_ip.json", &format!("# kept short\n{}", file("anon_ip", "1-0-1", json!({"anonOctets": 2}))));
    assert_eq!(checksum(), before);
}

#[test]
fn user_agents_are_cached_and_the_hit_rate_is_a_metric() {
    let metrics = Metrics::new();
    let steps = Steps::from_configs(&[config(SNOWPLOW, "ua_parser_config", (1, 0, 1), Value::Null)]).unwrap();
    steps.register(&metrics);
    let kit = kit_with(Config { accept_invalid: true, ..Config::default() }, steps);
    for agent in ["curl/8.5.0", "curl/8.5.0", "okhttp/4.12.0", "curl/8.5.0"] {
        kit.event(&format!("e=pv&ua={agent}"));
    }
    // What is over the bound is not read to its end, and not kept whole.
    let long = format!("curl/8.5.0 {}", "x".repeat(900_000));
    let event = kit.tp2(&format!(r#"{{"e":"pv","p":"web","tv":"t","ua":"{long}"}}"#));
    assert_eq!(derived(&enriched(event)[0], "ua_parser_context")[0]["useragentVersion"], "curl 8.5.0");
    let text = metrics.render().unwrap();
    // The very first event is looked at twice: the schema of its context had to be fetched.
    for line in
        ["user_agent_hits_total 3", "user_agent_misses_total 3", "user_agents_cached 3", "user_agents_bound 5000"]
    {
        assert!(text.contains(&format!("snowshed_enrich_{line}\n")), "{line}: {text}");
    }
}
