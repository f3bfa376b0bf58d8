//! Routes and replies (specification §1), CORS (§3), redirects (§4).

use super::harness::Core;

#[test]
fn pixel_and_ok() {
    let mut core = Core::new("");
    for line in ["GET /i?e=pv HTTP/1.1", "GET /ice.png HTTP/1.1", "GET /com.acme/track?e=pv HTTP/1.1"] {
        let asked = core.ask(line);
        assert_eq!(
            (asked.status, asked.header("Content-Type"), asked.header("Content-Length")),
            (200, Some("image/gif"), Some("43"))
        );
        assert_eq!(asked.header("Cache-Control"), Some("no-cache, no-store, must-revalidate"));
        assert!(asked.body().starts_with("GIF89a") && asked.stored);
        assert_eq!(asked.header("Date"), Some("Tue, 24 Nov 2026 10:00:00 GMT"));
    }
    let head = core.ask("HEAD /i?e=pv HTTP/1.1");
    assert_eq!(
        (head.header("Content-Type"), head.header("Content-Length"), head.body()),
        (Some("image/gif"), Some("43"), "")
    );
    assert!(head.stored);
    let post = core.post("POST /com.snowplowanalytics.snowplow/tp2 HTTP/1.1", b"{}");
    assert_eq!((post.status, post.header("Content-Type"), post.body()), (200, Some("text/plain"), "ok"));
    assert_eq!(post.header("Cache-Control"), None);
    assert_eq!(super::super::reply::PIXEL.len(), 43);
    use base64::Engine as _;
    let gif = base64::engine::general_purpose::STANDARD.encode(super::super::reply::PIXEL);
    assert_eq!(gif, "R0lGODlhAQABAPAAAP///wAAACH5BAUAAAAALAAAAAABAAEAAAICRAEAOw==");
}

#[test]
fn other_routes() {
    let mut core = Core::new(
        r#"root = { enabled = true, status = 301, headers = { Location = "https://x.example", "Content-Type" = "text/html" }, body = "<p>" }
           flash_policy = { enabled = true, domains = ["*", "a.example"], secure = false }"#,
    );
    let (text, plain) = (Some("text/plain; charset=UTF-8"), Some("text/plain"));
    for (line, status, kind, body) in [
        ("GET /health HTTP/1.1", 200, text, "ok"),
        ("HEAD /health HTTP/1.1", 200, text, ""),
        ("GET /sink-health HTTP/1.1", 200, plain, "ok"),
        ("GET /nope HTTP/1.1", 404, text, "Not found"),
        ("GET /i/ HTTP/1.1", 404, text, "Not found"),
        ("PUT /com.acme/track HTTP/1.1", 404, text, "Not found"),
        ("DELETE /com.acme/track HTTP/1.1", 404, text, "Not found"),
        ("BREW /pot HTTP/1.1", 404, text, "Not found"),
        ("POST /i HTTP/1.1", 404, text, "Not found"),
        ("GET /r/tp2?u=https://x.example HTTP/1.1", 404, plain, "redirects are off"),
        ("OPTIONS /r/tp2 HTTP/1.1", 404, plain, "redirects are off"),
        ("HEAD / HTTP/1.1", 404, text, ""),
        ("GET / HTTP/1.1", 301, Some("text/html"), "<p>"),
    ] {
        let asked = core.ask(line);
        assert_eq!((asked.status, asked.header("Content-Type"), asked.body()), (status, kind, body), "{line}");
        assert!(!asked.stored, "{line}");
        for name in ["Set-Cookie", "Access-Control-Allow-Origin", "Vary", "Cache-Control"] {
            assert_eq!(asked.header(name), None, "{line}: {name}");
        }
    }
    assert_eq!(core.ask("GET / HTTP/1.1").header("Location"), Some("https://x.example"));
    let robots = core.ask("GET /robots.txt HTTP/1.1");
    assert_eq!(robots.header("Content-Type"), Some("text/plain"));
    assert_eq!(robots.body().matches("Disallow: /").count(), 3);
    let xml = core.ask("GET /crossdomain.xml HTTP/1.1");
    assert_eq!(xml.header("Content-Type"), Some("text/xml"));
    assert!(xml.body().contains(r#"<allow-access-from domain="a.example" secure="false" />"#), "{}", xml.body());
    let mut bare = Core::new("");
    assert_eq!(bare.ask("GET / HTTP/1.1").status, 404);
    assert_eq!(bare.ask("GET /crossdomain.xml HTTP/1.1").status, 404);
}

#[test]
fn a_root_reply_without_content() {
    let asked = Core::new("root = { enabled = true, status = 204 }").ask("GET / HTTP/1.1");
    assert!(asked.reply.starts_with("HTTP/1.1 204 \r\n"), "{}", asked.reply);
    assert_eq!(asked.header("Content-Length"), None, "RFC 9110 §8.6");
}

#[test]
fn health_while_draining_and_hsts() {
    let mut core = Core::new("hsts = { enabled = true, max_age = \"1d\" }");
    assert_eq!(core.ask("GET /health HTTP/1.1").status, 200);
    core.draining = true;
    for (line, status) in [("GET /health HTTP/1.1", 503), ("GET /nope HTTP/1.1", 404), ("GET /i HTTP/1.1", 200)] {
        let asked = core.ask(line);
        assert_eq!(asked.status, status);
        assert_eq!(asked.header("Strict-Transport-Security"), Some("max-age=86400; includeSubDomains"));
    }
    let mut quiet = Core::new("drain = { unhealthy = false }");
    quiet.draining = true;
    assert_eq!(quiet.ask("GET /health HTTP/1.1").status, 200);
}

#[test]
fn mapped_paths() {
    let mut core = Core::new(
        r#"path_map = { "/v1/track" = "/com.snowplowanalytics.snowplow/tp2", "/c/go" = "/r/tp2" }
           redirects = { allowed_hosts = ["x.example"] }"#,
    );
    let asked = core.post("POST /v1/track HTTP/1.1", b"{}");
    assert_eq!(asked.payload().path.as_deref(), Some(&b"/com.snowplowanalytics.snowplow/tp2"[..]));
    let go = core.ask("GET /c/go?u=https%3A%2F%2Fx.example%2Fa HTTP/1.1");
    assert_eq!((go.status, go.header("Location")), (302, Some("https://x.example/a")));
    assert_eq!(go.payload().path.as_deref(), Some(&b"/r/tp2"[..]));
    assert_eq!(core.ask("GET /r/tp2?u=https://x.example HTTP/1.1").status, 404);
}

#[test]
fn cors() {
    let mut core = Core::new("");
    for (origin, wanted) in [
        ("", "*"),
        ("\nOrigin: null", "*"),
        ("\nOrigin: https://Shop.Example:443", "https://shop.example:443"),
        ("\nOrigin: https://a.example https://b.example", "https://a.example"),
        ("\nOrigin: https://a.example/path", "*"),
        ("\nOrigin: chrome-extension://abc", "chrome-extension://abc"),
    ] {
        for line in ["GET /i HTTP/1.1", "POST /com.acme/track HTTP/1.1", "OPTIONS /com.acme/track HTTP/1.1"] {
            let asked = core.ask(&format!("{line}{origin}"));
            assert_eq!(asked.header("Access-Control-Allow-Origin"), Some(wanted), "{origin}");
            assert_eq!(asked.header("Access-Control-Allow-Credentials"), Some("true"));
            assert_eq!(asked.header("Vary"), Some("Origin"));
        }
    }
}

#[test]
fn preflights() {
    let mut core = Core::new("");
    for path in ["/i", "/", "/health", "/a/b/c", "*", "/com.snowplowanalytics.snowplow/tp2"] {
        let asked = core.ask(&format!(
            "OPTIONS {path} HTTP/1.1\nOrigin: https://a.example\nAccess-Control-Request-Headers: x-other"
        ));
        assert_eq!((asked.status, asked.body(), asked.header("Content-Type")), (200, "", None), "{path}");
        assert_eq!(asked.header("Access-Control-Allow-Headers"), Some("Content-Type, SP-Anonymous"));
        assert_eq!(asked.header("Access-Control-Max-Age"), Some("3600"));
        assert_eq!(asked.header("Access-Control-Allow-Methods"), None);
        assert_eq!(asked.header("Set-Cookie"), None);
        assert!(!asked.stored);
    }
    let mut core = Core::new(
        r#"cors = { max_age = "-1 second", allowed_origins = ["https://a.example"], allowed_headers = ["X-More"], allowed_methods = ["POST", "GET"] }"#,
    );
    let asked = core.ask("OPTIONS /i HTTP/1.1\nOrigin: https://a.example");
    assert_eq!(asked.header("Access-Control-Max-Age"), Some("-1"));
    assert_eq!(asked.header("Access-Control-Allow-Headers"), Some("Content-Type, SP-Anonymous, X-More"));
    assert_eq!(asked.header("Access-Control-Allow-Methods"), Some("POST, GET"));
    let other = core.ask("GET /i HTTP/1.1\nOrigin: https://b.example");
    assert_eq!((other.header("Access-Control-Allow-Origin"), other.header("Vary")), (None, Some("Origin")));
    assert!(other.stored, "an event is kept even when its sender may not read the reply");
}

#[test]
fn redirects() {
    let mut core =
        Core::new(r#"redirects = { enabled = true, allowed_hosts = ["allowed.example"], macro = { enabled = true } }"#);
    for method in ["GET", "HEAD", "POST"] {
        let asked = core.ask(&format!(
            "{method} /r/tp2?u=https%3A%2F%2Fallowed.example%2Fx&e=pv HTTP/1.1\nOrigin: https://a.example"
        ));
        assert_eq!(
            (asked.status, asked.header("Location"), asked.body()),
            (302, Some("https://allowed.example/x"), "")
        );
        assert_eq!(asked.header("Access-Control-Allow-Origin"), Some("https://a.example"));
        assert_eq!(asked.header("Cache-Control").is_some(), method != "POST");
        assert!(asked.header("Set-Cookie").is_some() && asked.stored);
    }
    for query in
        ["", "?u=", "?u=https%3A%2F%2Fevil.example", "?u=http://evil%5C@allowed.example/", "?u=javascript:alert(1)"]
    {
        let asked = core.ask(&format!("GET /r/anything{query} HTTP/1.1"));
        assert_eq!((asked.status, asked.header("Location"), asked.body()), (400, None, ""), "{query}");
        assert!(asked.header("Set-Cookie").is_some() && asked.stored, "{query}");
    }
    let nuid = "6c1a0d9e-1b2f-4c3d-8e4f-5a6b7c8d9e0f";
    let asked = core
        .ask(&format!("GET /r/tp2?nuid={nuid}&u=https%3A%2F%2Fallowed.example%2F%3Fid%3D%24%7BSP_NUID%7D HTTP/1.1"));
    assert_eq!(asked.header("Location"), Some(format!("https://allowed.example/?id={nuid}").as_str()));
}
