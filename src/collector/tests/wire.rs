//! HTTP/1.1 on the wire: how requests may be cut, put together and spoilt (issue: smuggling shapes, pipelining, limits).

use super::server::{Server, status};
use std::time::Duration;

const GET: &[u8] = b"GET /i?e=pv HTTP/1.1\r\nHost: h\r\n\r\n";

#[test]
fn a_request_is_in_the_journal_when_it_is_answered() {
    let server = Server::new("");
    let mut client = server.connect();
    client.send(b"GET /i?e=pv&page={x} HTTP/1.1\r\nHost: c.example\r\nUser-Agent: nc\r\n\r\n");
    let reply = client.reply();
    assert!(
        reply.starts_with("HTTP/1.1 200 OK\r\nDate: ") && reply.contains("\r\nContent-Length: 43\r\n\r\nGIF89a"),
        "{reply}"
    );
    let (payloads, rows) = server.stored();
    assert_eq!((payloads.len(), rows.len()), (1, 0));
    assert_eq!(payloads[0].querystring.as_deref(), Some(&b"e=pv&page={x}"[..]));
    assert_eq!(&payloads[0].ip[..], b"127.0.0.1");
    client.send(b"GET /i?%zz HTTP/1.1\r\nHost: h\r\n\r\n");
    assert_eq!(status(&client.reply()), 200);
    assert!(server.stored().1[0].contains("generic_error"));
}

#[test]
fn pipelined_requests_are_answered_in_order() {
    let server = Server::new("");
    let mut client = server.connect();
    let mut all = Vec::new();
    all.extend_from_slice(GET);
    all.extend_from_slice(b"POST /a/b HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\nhello");
    all.extend_from_slice(b"GET /nope HTTP/1.1\r\nHost: h\r\n\r\n");
    all.extend_from_slice(b"POST /a/b HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nwor\r\n2;x=y\r\nld\r\n0\r\nT: x\r\n\r\n");
    all.extend_from_slice(b"HEAD /i HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n");
    client.send(&all);
    let replies: Vec<String> = (0..4).map(|_| client.reply()).collect();
    let statuses: Vec<u16> = replies.iter().map(|r| status(r)).collect();
    assert_eq!(statuses, [200, 200, 404, 200]);
    assert!(replies[0].contains("GIF89a") && replies[1].ends_with("ok") && replies[3].ends_with("ok"));
    let last = client.rest();
    assert!(
        last.contains("Connection: close") && last.ends_with("\r\n\r\n") && last.contains("Content-Length: 43"),
        "{last}"
    );
    let bodies: Vec<_> = server.stored().0.into_iter().map(|p| p.body).collect();
    assert_eq!(bodies, [None, Some("hello".into()), Some("world".into()), None]);
}

#[test]
fn many_pipelined_requests_in_one_piece() {
    let server = Server::new("");
    let mut client = server.connect();
    client.send(&GET.repeat(300));
    for n in 0..300 {
        assert_eq!(status(&client.reply()), 200, "{n}");
    }
    assert_eq!(server.count(), 300);
    assert!(server.metric("snowshed_collector_appends_total") < 100.0, "requests of one read share an append");
}

#[test]
fn bytes_that_come_one_by_one() {
    let server = Server::new("");
    let mut client = server.connect();
    let chunked = b"POST /a/b HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n";
    for request in [GET, b"POST /a/b HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\nhello", chunked] {
        for byte in request {
            client.send(&[*byte]);
            std::thread::sleep(Duration::from_micros(200));
        }
        assert_eq!(status(&client.reply()), 200);
    }
    assert_eq!(server.stored().0[2].body.as_deref(), Some(&b"hello"[..]));
}

#[test]
fn large_bodies_in_many_pieces() {
    let server = Server::new(
        "limits = { record_max_bytes = \"4 MiB\", payload_max_bytes = \"4 MiB\", request_body_max_bytes = \"2 MiB\" }",
    );
    let mut client = server.connect();
    let body: Vec<u8> = (0..(2 << 20) - 1).map(|i| (i % 251) as u8).collect();
    client.send(format!("POST /a/b HTTP/1.1\r\nHost: h\r\nContent-Length: {}\r\n\r\n", body.len()).as_bytes());
    client.send(&body);
    assert_eq!(status(&client.reply()), 200);
    client.send(b"POST /a/b HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n");
    for piece in body.chunks(100_000) {
        client.send(format!("{:x}\r\n", piece.len()).as_bytes());
        client.send(piece);
        client.send(b"\r\n");
    }
    client.send(b"0\r\n\r\n");
    assert_eq!(status(&client.reply()), 200);
    let (payloads, _) = server.stored();
    assert!(payloads.iter().all(|p| p.body.as_deref() == Some(&body[..])));
    client.send(GET);
    assert_eq!(status(&client.reply()), 200);
}

#[test]
fn shapes_that_two_parties_could_read_differently_are_refused() {
    let server = Server::new("");
    let smuggled = "GET /i?smuggled HTTP/1.1\r\nHost: h\r\n\r\n";
    for (head, wanted) in [
        ("POST /a/b HTTP/1.1\r\nHost: h\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400),
        ("POST /a/b HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\nContent-Length: 40\r\n\r\n", 400),
        ("POST /a/b HTTP/1.1\r\nHost: h\r\nContent-Length: 0, 40\r\n\r\n", 400),
        ("POST /a/b HTTP/1.1\r\nHost: h\r\nContent-Length: 0x0\r\n\r\n", 400),
        ("POST /a/b HTTP/1.1\r\nHost: h\r\nContent-Length : 0\r\n\r\n", 400),
        ("POST /a/b HTTP/1.1\r\nHost: h\r\nX: y\r\n Content-Length: 40\r\n\r\n", 400),
        ("POST /a/b HTTP/1.1\nHost: h\nContent-Length: 0\n\n", 400),
        ("POST /a/b HTTP/1.1\r\nHost: h\r\nX: a\nContent-Length: 40\r\n\r\n", 400),
        ("POST /a/b HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked, identity\r\n\r\n", 501),
        ("POST /a/b HTTP/1.1\r\nHost: h\r\nTransfer-Encoding:\x0bchunked\r\n\r\n", 400),
        ("POST /a/b HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n", 400),
        ("POST /a/b HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400),
        ("POST /a/b HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n0\n\n", 400),
        ("POST /a/b HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n1;a\nb\r\nx\r\n0\r\n\r\n", 400),
        ("POST /a/b HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n-1\r\n", 400),
        ("GET /i HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", 400),
        ("GET /i HTTP/1.1\r\n\r\n", 400),
        ("GET /i HTTP/1.1\r\nHost: \r\n\r\n", 400),
        ("GET /i x HTTP/1.1\r\nHost: h\r\n\r\n", 400),
        ("GET /i HTTP/3.0\r\nHost: h\r\n\r\n", 505),
        ("CONNECT h:80 HTTP/1.1\r\nHost: h\r\n\r\n", 400),
        ("POST /a/b HTTP/1.1\r\nHost: h\r\nExpect: cake\r\nContent-Length: 0\r\n\r\n", 417),
        ("\u{16}\u{3}\u{1}", 400),
    ] {
        let reply = server.once(format!("{head}{smuggled}").as_bytes());
        assert_eq!(status(&reply), wanted, "{head:?}");
        assert!(reply.contains("Connection: close") && reply.matches("HTTP/1.1 ").count() == 1, "{head:?}: {reply}");
    }
    assert_eq!(server.count(), 0, "nothing of it was stored");
}

#[test]
fn long_lines_and_headers() {
    let server = Server::new("");
    let line = |n: usize| format!("GET /i?{} HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n", "x".repeat(n - 16));
    assert_eq!(status(&server.once(line(20_480).as_bytes())), 200);
    assert_eq!(status(&server.once(line(20_481).as_bytes())), 400);
    let headers = |n: usize| format!("GET /i HTTP/1.1\r\nHost: h\r\nConnection: close\r\nX: {}\r\n\r\n", "y".repeat(n));
    assert_eq!(status(&server.once(headers(40_900).as_bytes())), 200);
    assert_eq!(status(&server.once(headers(41_000).as_bytes())), 400);
    let many = format!("GET /i HTTP/1.1\r\nHost: h\r\n{}\r\n", "A: b\r\n".repeat(200));
    assert_eq!(status(&server.once(many.as_bytes())), 400);
    assert_eq!(server.count(), 2);
}

#[test]
fn bodies_over_the_limit() {
    let server = Server::new("limits = { request_body_max_bytes = 2000 }");
    let post = |n: usize| {
        format!("POST /a/b HTTP/1.1\r\nHost: h\r\nConnection: close\r\nContent-Length: {n}\r\n\r\n{}", "x".repeat(n))
    };
    assert_eq!(status(&server.once(post(1999).as_bytes())), 200);
    let reply = server.once(post(2000).as_bytes());
    assert!(status(&reply) == 413 && !reply.contains("Access-Control") && !reply.contains("Set-Cookie"), "{reply}");
    let chunked = |n: usize| {
        format!(
            "POST /a/b HTTP/1.1\r\nHost: h\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n{n:x}\r\n{}\r\n0\r\n\r\n",
            "x".repeat(n)
        )
    };
    assert_eq!(status(&server.once(chunked(1999).as_bytes())), 200);
    assert_eq!(status(&server.once(chunked(2000).as_bytes())), 413);
    // A body that means nothing is not held against the event.
    let get = |n: usize| format!("GET /i HTTP/1.1\r\nHost: h\r\nContent-Length: {n}\r\n\r\n{}", "x".repeat(n));
    let mut client = server.connect();
    client.send(get(5000).as_bytes());
    assert_eq!(status(&client.reply()), 200);
    client.send(get(100_000).as_bytes());
    let reply = client.rest();
    assert!(status(&reply) == 200 && reply.contains("Connection: close"), "{reply}");
    assert_eq!(server.count(), 4);
}

#[test]
fn expect_continue() {
    let server = Server::new("");
    let mut client = server.connect();
    for framing in ["Content-Length: 5", "Transfer-Encoding: chunked"] {
        client.send(format!("POST /a/b HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\n{framing}\r\n\r\n").as_bytes());
        assert_eq!(client.reply(), "HTTP/1.1 100 Continue\r\n\r\n");
        client.send(if framing.starts_with('C') { b"hello" } else { b"5\r\nhello\r\n0\r\n\r\n" });
        assert_eq!(status(&client.reply()), 200);
    }
    // After a request in the same piece, its reply comes first.
    client.send(&[GET, b"POST /a/b HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n"].concat());
    assert_eq!(status(&client.reply()), 200);
    assert_eq!(client.reply(), "HTTP/1.1 100 Continue\r\n\r\n");
    client.send(b"hi");
    assert_eq!(status(&client.reply()), 200);
    // The body is there already, or will not be wanted.
    client.send(b"POST /a/b HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\nhi");
    assert_eq!(status(&client.reply()), 200);
    client.send(b"POST /a/b HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: 9999999\r\n\r\n");
    assert_eq!(status(&client.reply()), 413);
}

#[test]
fn http10() {
    let server = Server::new("");
    let reply = server.once(b"GET /i HTTP/1.0\r\n\r\n");
    assert!(status(&reply) == 200 && reply.contains("Connection: close"));
    let mut client = server.connect();
    for _ in 0..2 {
        client.send(b"GET /i HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
        let reply = client.reply();
        assert!(status(&reply) == 200 && reply.contains("Connection: keep-alive"));
    }
}

#[test]
fn a_connection_has_so_many_requests() {
    let server = Server::new("limits = { requests_per_connection = 3 }");
    let mut client = server.connect();
    client.send(&GET.repeat(5));
    let replies = client.rest();
    assert_eq!(replies.matches("HTTP/1.1 200").count(), 3);
    assert_eq!(replies.matches("Connection: close").count(), 1);
    assert_eq!(server.count(), 3);
}
