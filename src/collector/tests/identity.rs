//! Identity (specification §2): which id, which cookie, do-not-track, bounce, anonymous.

use super::harness::{Core, text};

const NEW: &str = "00000000-0000-4000-8000-000000000001";
const ZERO: &str = "00000000-0000-0000-0000-000000000000";
const A: &str = "6c1a0d9e-1b2f-4c3d-8e4f-5a6b7c8d9e0f";
const B: &str = "11111111-2222-4333-8444-555555555555";

#[test]
fn which_id() {
    for (head, wanted) in [
        ("GET /i HTTP/1.1".to_owned(), NEW),
        (format!("GET /i HTTP/1.1\nCookie: sp={A}"), A),
        (format!("GET /i HTTP/1.1\nCookie: x=y\nCookie: z=1;sp={A}"), A),
        (format!("GET /i?nuid={B} HTTP/1.1\nCookie: sp={A}"), B),
        (format!("GET /i?nuid={B}&nuid={A} HTTP/1.1"), B),
        (format!("GET /i?nuid=junk HTTP/1.1\nCookie: sp={A}"), A),
        (format!("GET /i?nuid= HTTP/1.1\nCookie: sp={A}"), A),
        ("GET /i?nuid=a%0d%0ab HTTP/1.1\nCookie: sp=".to_owned(), NEW),
        ("GET /i HTTP/1.1\nCookie: sp=junk".to_owned(), NEW),
        (format!("GET /i?nuid={B} HTTP/1.1\nCookie: sp={A}\nSP-Anonymous: *"), ZERO),
        ("GET /i?n3pc=true HTTP/1.1".to_owned(), NEW),
    ] {
        let asked = Core::new("").ask(&head);
        assert_eq!(asked.id(), wanted, "{head}");
        if wanted != ZERO {
            assert!(asked.header("Set-Cookie").unwrap().starts_with(&format!("sp={wanted}; ")), "{head}");
        }
    }
}

#[test]
fn cookie_attributes() {
    for (config, wanted) in [
        ("", "sp=ID; Expires=Wed, 24 Nov 2027 10:00:00 GMT; Path=/; SameSite=None; Secure; HttpOnly"),
        (
            "cookie = { secure = false, http_only = false, same_site = \"Lax\" }",
            "sp=ID; Expires=Wed, 24 Nov 2027 10:00:00 GMT; Path=/; SameSite=Lax",
        ),
        (
            "cookie = { secure = false }",
            "sp=ID; Expires=Wed, 24 Nov 2027 10:00:00 GMT; Path=/; SameSite=None; Secure; HttpOnly",
        ),
        (
            "cookie = { name = \"n\", same_site = \"omit\", max_age = \"1h\" }",
            "n=ID; Expires=Tue, 24 Nov 2026 11:00:00 GMT; Path=/; Secure; HttpOnly",
        ),
        (
            "cookie = { max_age = \"-1s\" }",
            "sp=ID; Expires=Tue, 24 Nov 2026 09:59:59 GMT; Path=/; SameSite=None; Secure; HttpOnly",
        ),
        (
            "cookie = { fallback_domain = \"f.example\" }",
            "sp=ID; Expires=Wed, 24 Nov 2027 10:00:00 GMT; Domain=f.example; Path=/; SameSite=None; Secure; HttpOnly",
        ),
    ] {
        let asked = Core::new(config).ask("GET /i HTTP/1.1");
        assert_eq!(asked.header("Set-Cookie"), Some(wanted.replace("ID", NEW).as_str()), "{config}");
    }
    let off = Core::new("cookie = { enabled = false, client_readable_name = \"c\" }")
        .ask(&format!("GET /i HTTP/1.1\nCookie: sp={A}"));
    assert_eq!((off.header("Set-Cookie"), off.id().as_str()), (None, A));
    let twin = Core::new("cookie = { client_readable_name = \"c\" }").ask("POST /a/b HTTP/1.1");
    let [main, twin] = twin.all("Set-Cookie")[..] else { panic!("two cookies") };
    assert_eq!(twin, main.replacen("sp=", "c=", 1).replace("; HttpOnly", ""));
}

#[test]
fn cookie_domain() {
    let config =
        r#"cookie = { domains = ["domain.com", "client.other.org", "other.org"], fallback_domain = "fallback.net" }"#;
    for (origin, domain) in [
        ("https://domain.com", "domain.com"),
        ("http://www.domain.com:8080", "domain.com"),
        ("https://WWW.Domain.COM", "domain.com"),
        ("https://notdomain.com", "fallback.net"),
        ("https://domain.com.evil.org", "fallback.net"),
        ("https://client.other.org", "client.other.org"),
        ("https://x.client.other.org", "client.other.org"),
        ("https://other.org", "other.org"),
        ("https://none.example https://a.other.org", "other.org"),
        ("null", "fallback.net"),
    ] {
        let asked = Core::new(config)
            .ask(&format!("GET /i HTTP/1.1\nHost: domain.com\nReferer: https://domain.com/\nOrigin: {origin}"));
        let cookie = asked.header("Set-Cookie").unwrap();
        assert!(cookie.contains(&format!("; Domain={domain}; ")), "{origin}: {cookie}");
    }
    for (head, fits) in [
        ("Referer: https://www.domain.com/a?b", true),
        ("Referer: https://evil.example/domain.com", false),
        ("Referer: https://www.domain.com/\nOrigin: https://x.example", false),
    ] {
        let asked = Core::new("cookie = { domains = [\"domain.com\"], use_referer = true }")
            .ask(&format!("GET /i HTTP/1.1\n{head}"));
        assert_eq!(asked.header("Set-Cookie").unwrap().contains("; Domain=domain.com; "), fits, "{head}");
    }
    let none = Core::new("cookie = { domains = [\"domain.com\"] }").ask("GET /i HTTP/1.1\nOrigin: https://x.example");
    assert!(!none.header("Set-Cookie").unwrap().contains("Domain"));
}

#[test]
fn do_not_track() {
    let config = "dnt = { enabled = true, cookie_name = \"opt\", value_regex = \"yes|1+\" }\nredirects = { enabled = true, allowed_hosts = [\"x.example\"] }\nbounce = { enabled = true }";
    for (line, status, body) in [
        ("GET /i HTTP/1.1", 200, "GIF89a"),
        ("POST /a/b HTTP/1.1", 200, "ok"),
        ("GET /r/tp2?u=https://x.example HTTP/1.1", 302, ""),
    ] {
        let asked = Core::new(config).ask(&format!("{line}\nCookie: a=b; opt=11"));
        assert_eq!((asked.status, asked.stored, asked.header("Set-Cookie")), (status, false, None), "{line}");
        assert!(asked.body().starts_with(body) && asked.header("Access-Control-Allow-Origin").is_some());
    }
    for cookie in ["opt=no", "opt=yes!", "OPT=yes", "xopt=yes"] {
        let asked = Core::new(config).ask(&format!("POST /a/b HTTP/1.1\nCookie: {cookie}\nDNT: 1"));
        assert!(asked.stored, "{cookie}");
    }
}

#[test]
fn bounce() {
    let config = "bounce = { enabled = true, proto_header = \"X-Forwarded-Proto\" }\nredirects = { enabled = true, allow_any_host = true }";
    let asked = Core::new(config).ask("GET /i?e=pv&e=%20{x} HTTP/1.1\nOrigin: https://a.example");
    assert_eq!((asked.status, asked.stored), (302, false));
    assert_eq!(asked.header("Location"), Some("/i?e=pv&e=%20%7Bx%7D&n3pc=true"));
    assert!(asked.header("Set-Cookie").unwrap().starts_with(&format!("sp={NEW};")));
    assert!(
        asked.header("Cache-Control").is_some()
            && asked.header("Access-Control-Allow-Origin") == Some("https://a.example")
    );
    let asked = Core::new(config).ask("GET /i HTTP/1.1\nX-Forwarded-Proto: HTTPS\nHost: c.example:81");
    assert_eq!(asked.header("Location"), Some("https://c.example:81/i?n3pc=true"));
    let asked = Core::new(config).ask("GET /\\evil.example/x HTTP/1.1");
    assert_eq!(asked.header("Location"), Some("/%5Cevil.example/x?n3pc=true"));

    let second = Core::new(config).ask("GET /i?e=pv&n3pc=true HTTP/1.1");
    assert_eq!((second.status, second.id().as_str()), (200, "00000000-0000-4000-A000-000000000000"));
    let second = Core::new(config).ask(&format!("GET /i?n3pc=true HTTP/1.1\nCookie: sp={A}"));
    assert_eq!(second.id(), A);
    for head in [
        format!("GET /i HTTP/1.1\nCookie: sp={A}"),
        format!("GET /i?nuid={A} HTTP/1.1"),
        "POST /a/b HTTP/1.1".to_owned(),
        "GET /r/x?u=https://x.example HTTP/1.1".to_owned(),
        "GET /i HTTP/1.1\nSP-Anonymous: *".to_owned(),
        "GET /i?a=%zz HTTP/1.1".to_owned(),
    ] {
        assert!(Core::new(config).ask(&head).stored, "{head}");
    }
}

#[test]
fn anonymous_requests_leak_nothing() {
    let head = "POST /com.snowplowanalytics.snowplow/tp2 HTTP/1.1\nSP-Anonymous: *\nUser-Agent: UA\nX-Forwarded-For: localhost, 203.0.113.9\n\
                X-Forwarded-For: 203.0.113.9\nForwarded: for=203.0.113.9\nX-Real-Ip: 203.0.113.9\nTrue-Client-Ip: 203.0.113.9\nCF-Connecting-IP: 203.0.113.9\n\
                Fastly-Client-IP: 203.0.113.9\nX-Azure-ClientIP: 203.0.113.9\nAuthorization: Basic 203.0.113.9\nX-Secret: 203.0.113.9\n\
                cookie: {\"ip\": \"203.0.113.9\"}\nContent-Type: application/json";
    let asked = Core::new("anonymous = { drop_headers = [\"X-Secret\"] }").post(head, b"{}");
    let p = asked.payload();
    assert_eq!((&p.ip[..], asked.id().as_str(), text(&p.user_agent)), (&b"unknown"[..], ZERO, Some("UA")));
    assert_eq!(
        asked.headers(),
        ["SP-Anonymous: *", "User-Agent: UA", "Content-Type: application/json", "Host: c.example", "application/json"]
    );
    assert_eq!(asked.header("Set-Cookie"), None);

    let mut keep = Core::new(
        "anonymous = { keep_authorization = true, drop_user_agent = true }\nproxy = { trust = \"hops\", hops = 1 }",
    );
    let asked = keep.post(head, b"{}");
    assert!(asked.headers().contains(&"Authorization: Basic 203.0.113.9".to_owned()));
    assert_eq!((asked.payload().user_agent.as_ref(), &asked.payload().ip[..]), (None, &b"unknown"[..]));
    assert!(!asked.headers().iter().any(|h| h.starts_with("User-Agent")));

    // A failed row is as anonymous as a record.
    let row = Core::new("")
        .ask("GET /i?a=%zz HTTP/1.1\nSP-Anonymous: *\nX-Forwarded-For: 203.0.113.9\nCookie: a=203.0.113.9");
    assert!(!row.rows[0].to_string().contains("203.0.113") && row.rows[0].to_string().contains("unknown"));
}

#[test]
fn an_anonymous_client_is_told_to_forget() {
    let config = "cookie = { client_readable_name = \"c\", max_age = \"1d\" }";
    let asked = Core::new(config).ask(&format!("GET /i HTTP/1.1\nSP-Anonymous: *\nCookie: sp={A}"));
    assert_eq!(
        asked.all("Set-Cookie"),
        [
            "sp=; Expires=Mon, 23 Nov 2026 10:00:00 GMT; Path=/; SameSite=None; Secure; HttpOnly",
            "c=; Expires=Mon, 23 Nov 2026 10:00:00 GMT; Path=/; SameSite=None; Secure"
        ]
    );
    assert_eq!(asked.id(), ZERO);
}
