//! The record (specification §5), and illegal requests that become failed rows (§12).

use super::harness::{Core, NOW, text};
use crate::event::payload::SCHEMA;
use std::io::Write as _;

#[test]
fn every_field_of_a_get() {
    let asked = Core::new("").ask(
        "GET /i?e=pv&page=%20{a}|\"<>\\^` HTTP/1.1\nHost: C.Example:8080\nUser-Agent:  UA 1 \nReferer: https://r.example/\nX-Dup: 1\nx-dup: 2\nContent-Type: text/plain\nEmpty:",
    );
    let p = asked.payload();
    assert_eq!(&p.ip[..], b"198.51.100.7");
    assert_eq!((p.timestamp_ms, &p.encoding[..]), (NOW, &b"UTF-8"[..]));
    assert_eq!(&p.collector[..], format!("snowshed-{}-journal", env!("CARGO_PKG_VERSION")).as_bytes());
    assert_eq!((text(&p.user_agent), text(&p.referer)), (Some("UA 1"), Some("https://r.example/")));
    assert_eq!((text(&p.path), text(&p.querystring)), (Some("/i"), Some("e=pv&page=%20{a}|\"<>\\^`")));
    assert_eq!((&p.body, &p.content_type), (&None, &None));
    assert_eq!((text(&p.hostname), &p.schema[..]), (Some("c.example"), SCHEMA.as_bytes()));
    assert_eq!(
        asked.headers(),
        [
            "Host: C.Example:8080",
            "User-Agent: UA 1",
            "Referer: https://r.example/",
            "X-Dup: 1",
            "x-dup: 2",
            "Content-Type: text/plain",
            "Empty: "
        ]
    );
}

#[test]
fn every_field_of_a_post() {
    let body = b"\xef\xbb\xbf{\"caf\xe9\":1}\r\n";
    let asked = Core::new("").post(
        "POST /a/b HTTP/1.1\ncontent-type: Application/JSON ; charset=\"UTF-8\"\ncookie: a=b; q=\"x\"; c=d",
        body,
    );
    let p = asked.payload();
    assert_eq!(p.body.as_deref(), Some(&body[..]));
    assert_eq!((text(&p.querystring), text(&p.content_type)), (Some(""), Some("application/json; charset=utf-8")));
    assert_eq!(
        asked.headers(),
        [
            "content-type: Application/JSON ; charset=\"UTF-8\"",
            "Cookie: a=b;c=d",
            "Host: c.example",
            "application/json"
        ]
    );
    let bare = Core::new("").post("POST /a/b HTTP/1.1\nContent-Type: nonsense\nCookie: {\"a\":1}", b"");
    let p = bare.payload();
    assert_eq!((p.body.as_deref(), &p.content_type), (Some(&b""[..]), &None));
    assert_eq!(bare.headers(), ["Content-Type: nonsense", "Host: c.example"]);
}

#[test]
fn a_get_body_is_ignored() {
    let asked = Core::new("").post("GET /i HTTP/1.1\nContent-Length: 3", b"abc");
    assert_eq!(asked.payload().body, None);
}

#[test]
fn hostnames_and_absolute_targets() {
    for (head, wanted) in [
        ("GET /i HTTP/1.1\nHost: [2001:DB8::1]:80", "2001:db8::1"),
        ("GET http://Other.example:1/i?e=pv HTTP/1.1\nHost: c.example", "other.example"),
    ] {
        let asked = Core::new("").ask(head);
        assert_eq!(
            (text(&asked.payload().hostname), text(&asked.payload().path)),
            (Some(wanted), Some("/i")),
            "{head}"
        );
    }
    let asked = Core::new("").raw(b"GET /i HTTP/1.0\r\n\r\n", b"");
    assert_eq!((&asked.payload().hostname, asked.payload().headers.len()), (&None, 0));
}

#[test]
fn addresses() {
    for (config, headers, ip, recorded) in [
        ("", "", "198.51.100.7", &[][..]),
        ("", "\nX-Forwarded-For: 203.0.113.9, 10.0.0.1", "203.0.113.9", &["X-Forwarded-For: 203.0.113.9, 10.0.0.1"]),
        ("", "\nX-Forwarded-For: 203.0.113.9:80", "198.51.100.7", &["X-Forwarded-For: 203.0.113.9:80"]),
        (
            "",
            "\nForwarded: for=1.2.3.4\nX-Real-Ip: 1.2.3.4",
            "198.51.100.7",
            &["Forwarded: for=1.2.3.4", "X-Real-Ip: 1.2.3.4"],
        ),
        (
            "proxy = { trust = \"hops\", hops = 0 }",
            "\nX-Forwarded-For: 6.6.6.6\nForwarded: for=6.6.6.6",
            "198.51.100.7",
            &[],
        ),
        (
            "proxy = { trust = \"hops\", hops = 1 }",
            "\nX-Forwarded-For: 6.6.6.6\nx-forwarded-for: 203.0.113.9",
            "203.0.113.9",
            &["X-Forwarded-For: 203.0.113.9"],
        ),
        (
            "proxy = { trust = \"networks\", networks = [\"198.51.100.0/24\", \"10.0.0.0/8\"] }",
            "\nX-Forwarded-For: 6.6.6.6, 203.0.113.9, 10.1.1.1",
            "203.0.113.9",
            &["X-Forwarded-For: 203.0.113.9, 10.1.1.1"],
        ),
        (
            "proxy = { trust = \"networks\", networks = [\"10.0.0.0/8\"] }",
            "\nX-Forwarded-For: 6.6.6.6",
            "198.51.100.7",
            &[],
        ),
    ] {
        let asked = Core::new(config).ask(&format!("GET /i HTTP/1.1\nHost: c.example{headers}"));
        assert_eq!(&asked.payload().ip[..], ip.as_bytes(), "{config} {headers}");
        assert_eq!(&asked.headers()[1..], recorded, "{config} {headers}");
    }
    let mut v6 = Core::new("");
    v6.peer = "2001:db8::7".parse().unwrap();
    assert_eq!(&v6.ask("GET /i HTTP/1.1").payload().ip[..], b"2001:db8::7");
    v6.peer = "::ffff:192.0.2.1".parse().unwrap();
    assert_eq!(&v6.ask("GET /i HTTP/1.1").payload().ip[..], b"192.0.2.1");
}

#[test]
fn escapes_that_are_no_utf8_are_normal() {
    let asked = Core::new("").ask("GET /i?a=%FF%fe&b={{macro}} HTTP/1.1");
    assert_eq!(text(&asked.payload().querystring), Some("a=%FF%fe&b={{macro}}"));
}

#[test]
fn illegal_targets_are_kept_as_failed_rows() {
    for (target, why) in [
        (&b"/i?a=%zz&b=1"[..], "a % that no two"),
        (b"/i?a=1%", "a % that no two"),
        (b"/i?a=1#frag", "a #"),
        (b"/i?a=caf\xc3\xa9", "above 0x7F"),
        (b"/com.acme/tr%ick?a=1", "a % that no two"),
    ] {
        let text = [b"GET ", target, b" HTTP/1.1\r\nHost: c.example\r\nUser-Agent: UA\r\n\r\n"].concat();
        let asked = Core::new("").raw(&text, b"");
        assert_eq!((asked.status, asked.payloads.len(), asked.rows.len()), (200, 0, 1), "{target:?}");
        assert_eq!(asked.header("Content-Type"), Some("image/gif"));
        assert!(asked.header("Set-Cookie").is_some());
        let row = &asked.rows[0];
        assert_eq!(row["schema"], "iglu:com.snowplowanalytics.snowplow.badrows/generic_error/jsonschema/1-0-0");
        assert_eq!(row["data"]["processor"]["artifact"], "snowshed");
        assert_eq!(row["data"]["failure"]["timestamp"], "2026-11-24T10:00:00.123Z");
        assert!(row["data"]["failure"]["errors"][0].as_str().unwrap().contains(why), "{row}");
        let payload = row["data"]["payload"].as_str().unwrap();
        let query = target.split(|&b| b == b'?').nth(1).unwrap();
        assert!(payload.contains(std::str::from_utf8(query).unwrap()) && payload.contains("UA"), "{payload}");
    }
    let latin = Core::new("").raw(b"GET /i?a=caf\xe9 HTTP/1.1\r\nHost: h\r\n\r\n", b"");
    let payload = latin.rows[0]["data"]["payload"].as_str().unwrap();
    assert!(payload.contains("\"querystring_base64\":\"YT1jYWbp\""), "{payload}");
    let path = Core::new("").raw(b"GET /a%20/caf\xe9?b HTTP/1.1\r\nHost: h\r\n\r\n", b"");
    let payload = path.rows[0]["data"]["payload"].as_str().unwrap();
    assert!(payload.contains("\"path_base64\":\"L2ElMjAvY2Fm6Q==\""), "{payload}");
    let post = Core::new("").post("POST /a/b?%zz HTTP/1.1", b"{\"event\":1}");
    assert_eq!((post.status, post.body()), (200, "ok"));
    assert!(post.rows[0]["data"]["payload"].as_str().unwrap().contains("event"));
    let long = "x".repeat(900_000);
    let post = Core::new("").post("POST /a/b?%zz HTTP/1.1", long.as_bytes());
    assert!(post.rows[0]["data"]["payload"].as_str().unwrap().contains(&long), "all of it is kept");
}

#[test]
fn compressed_bodies() {
    let body = br#"{"schema":"iglu:x","data":[]}"#;
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    gzip.write_all(body).unwrap();
    let packed = gzip.finish().unwrap();
    let asked =
        Core::new("").post("POST /a/b HTTP/1.1\nContent-Encoding: gzip\nContent-Type: application/json", &packed);
    assert_eq!(asked.payload().body.as_deref(), Some(&body[..]));
    assert!(asked.headers().contains(&"Content-Encoding: gzip".to_owned()));

    let corrupt = Core::new("").post("POST /a/b HTTP/1.1\nContent-Encoding: gzip", b"no gzip");
    assert_eq!((corrupt.status, corrupt.rows.len()), (200, 1));
    assert!(corrupt.rows[0]["data"]["failure"]["errors"][0].as_str().unwrap().contains("no valid gzip"));
    let unknown = Core::new("").post("POST /a/b HTTP/1.1\nContent-Encoding: lzw", b"raw");
    assert_eq!(unknown.payload().body.as_deref(), Some(&b"raw"[..]));

    let bomb = zstd::encode_all(&vec![0u8; 3 << 20][..], 19).unwrap();
    let refused = Core::new("").post("POST /a/b HTTP/1.1\nContent-Encoding: zstd", &bomb);
    assert_eq!((refused.status, refused.stored), (413, false));
}
