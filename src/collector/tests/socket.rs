//! Durability, overload, time and number: what the server does when something is slow, full or hostile.

use super::server::{Client, Server, status};
use crate::collector::{BuildError, Config, build};
use crate::pipeline::drain::Drain;
use crate::platform::clock::Clock;
use crate::platform::fs_sim::SimFs;
use crate::platform::testing::PATIENCE;
use crate::telemetry::Metrics;
use std::sync::Arc;
use std::time::{Duration, Instant};

const GET: &[u8] = b"GET /i?e=pv HTTP/1.1\r\nHost: h\r\nOrigin: https://a.example\r\n\r\n";

#[test]
fn no_reply_before_the_sync() {
    let fs = SimFs::new(1);
    let server = Server::on("", &fs);
    fs.hold_syncs(true);
    let mut clients: Vec<Client> = (0..5).map(|_| server.connect()).collect();
    for client in &mut clients {
        client.send(GET);
    }
    assert!(clients.iter_mut().all(|c| c.is_silent(Duration::from_millis(100))));
    assert_eq!(server.count(), 0);
    let mut other = server.connect();
    other.send(b"GET /health HTTP/1.1\r\nHost: h\r\n\r\n");
    assert_eq!(status(&other.reply()), 200, "what needs no journal is answered at once");
    fs.hold_syncs(false);
    for client in &mut clients {
        assert_eq!(status(&client.reply()), 200);
    }
    assert_eq!(server.count(), 5);
}

#[test]
fn a_disk_that_cannot_be_written_is_503_until_it_can() {
    let fs = SimFs::new(2);
    let server = Server::on("limits = { retry_after = \"7s\" }", &fs);
    let sink = b"GET /sink-health HTTP/1.1\r\nHost: h\r\n\r\n";
    let mut client = server.connect();
    client.send(GET);
    assert_eq!(status(&client.reply()), 200);
    fs.set_read_only(true);
    let refused = loop {
        client.send(GET);
        let reply = client.reply();
        if status(&reply) != 200 {
            break reply;
        }
    };
    assert_eq!(status(&refused), 503);
    assert!(
        refused.contains("Retry-After: 7\r\n") && refused.contains("Access-Control-Allow-Origin: https://a.example"),
        "{refused}"
    );
    assert!(!refused.contains("Set-Cookie"));
    client.send(sink);
    let unwell = client.reply();
    assert!(status(&unwell) == 503 && unwell.ends_with("Service Unavailable"), "{unwell}");
    client.send(b"GET /health HTTP/1.1\r\nHost: h\r\n\r\n");
    assert_eq!(status(&client.reply()), 200);
    fs.set_read_only(false);
    let until = Instant::now() + PATIENCE;
    loop {
        client.send(sink);
        if status(&client.reply()) == 200 {
            break;
        }
        assert!(Instant::now() < until, "it does not become well again");
        std::thread::sleep(Duration::from_millis(50));
    }
    client.send(GET);
    assert_eq!(status(&client.reply()), 200);
}

#[test]
fn what_waits_for_the_journal_is_bounded() {
    let fs = SimFs::new(3);
    let server = Server::on("limits = { queue_bytes = \"1 MiB\" }", &fs);
    fs.hold_syncs(true);
    let body = "x".repeat(200_000);
    let post = format!("POST /a/b HTTP/1.1\r\nHost: h\r\nContent-Length: {}\r\n\r\n{body}", body.len());
    let mut clients: Vec<Client> = (0..20).map(|_| server.connect()).collect();
    for client in &mut clients {
        client.send(post.as_bytes());
    }
    std::thread::sleep(Duration::from_millis(300));
    let mut refused = 0;
    let mut waiting = Vec::new();
    for mut client in clients {
        if client.is_silent(Duration::from_millis(20)) {
            waiting.push(client);
        } else {
            let reply = client.reply();
            assert!(status(&reply) == 503 && reply.contains("Retry-After"), "{reply}");
            refused += 1;
        }
    }
    assert!((4..=7).contains(&waiting.len()), "{} wait", waiting.len());
    assert_eq!(server.metric("snowshed_collector_refusals_total{reason=\"overload\"}"), f64::from(refused));
    let bounds = server.bounds.list();
    let bound = bounds.iter().find(|b| b.name == "collector.limits.queue_bytes").unwrap();
    assert_eq!(bound.refused, u64::try_from(refused).unwrap());
    assert!(bound.now >= 200_000 && bound.highest >= bound.now, "{bound:?}");
    fs.hold_syncs(false);
    for client in &mut waiting {
        assert_eq!(status(&client.reply()), 200);
    }
    assert_eq!(server.count(), waiting.len() as u64, "nothing that was refused was stored, nothing accepted was lost");
}

#[test]
fn partial_requests_share_a_memory_budget() {
    let server = Server::new("limits = { buffer_bytes = \"1 MiB\" }");
    let head = b"POST /a/b HTTP/1.1\r\nHost: h\r\nContent-Length: 1000000\r\n\r\n";
    let mut clients: Vec<Client> = (0..4).map(|_| server.connect()).collect();
    for client in &mut clients {
        client.send(head);
        client.send(&vec![b'x'; 400_000]);
    }
    std::thread::sleep(Duration::from_millis(200));
    let refused = clients.iter_mut().filter_map(|c| (!c.is_silent(Duration::from_millis(20))).then(|| c.reply()));
    let refused: Vec<String> = refused.collect();
    assert!((1..4).contains(&refused.len()), "{refused:?}");
    assert!(refused.iter().all(|r| status(r) == 503 && r.contains("Retry-After") && r.contains("Connection: close")));
    drop(clients);
    std::thread::sleep(Duration::from_millis(100));
    let mut client = server.connect();
    client.send(head);
    client.send(&vec![b'x'; 1_000_000]);
    assert_eq!(status(&client.reply()), 200, "what was held is given back");
}

#[test]
fn slow_senders_are_cut() {
    let server =
        Server::new("limits = { header_timeout = \"300ms\", body_timeout = \"300ms\", idle_timeout = \"600ms\" }");
    let started = Instant::now();
    let mut head = server.connect();
    head.send(b"GET /i HT");
    let mut body = server.connect();
    body.send(b"POST /a/b HTTP/1.1\r\nHost: h\r\nContent-Length: 10\r\n\r\nhi");
    let mut chunks = server.connect();
    chunks.send(b"POST /a/b HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx");
    let mut idle = server.connect();
    // A byte now and then does not buy more time.
    for _ in 0..3 {
        std::thread::sleep(Duration::from_millis(80));
        head.send(b"T");
        body.send(b"x");
    }
    for (name, client) in [("head", &mut head), ("body", &mut body), ("chunks", &mut chunks)] {
        let reply = client.rest();
        assert!(status(&reply) == 408 && reply.contains("Connection: close"), "{name}: {reply}");
    }
    assert!(started.elapsed() < Duration::from_secs(15));
    assert_eq!(idle.rest(), "", "a resting connection is closed without a word");
    assert!(started.elapsed() >= Duration::from_millis(600));
    assert_eq!(server.count(), 0);
}

#[test]
fn a_client_that_does_not_read_is_cut() {
    let server = Server::new("limits = { write_timeout = \"300ms\" }");
    let mut client = server.connect();
    // Less for the kernel to take in before it tells.
    socket2::SockRef::from(&client.0).set_recv_buffer_size(4096).unwrap();
    let mut sender = Client(client.0.try_clone().unwrap());
    let sending = std::thread::spawn(move || {
        let many = b"GET /robots.txt HTTP/1.1\r\nHost: h\r\n\r\n".repeat(200);
        while std::io::Write::write_all(&mut sender.0, &many).is_ok() {}
    });
    let until = Instant::now() + PATIENCE;
    while server.metric("snowshed_collector_connections ") > 0.0 {
        assert!(Instant::now() < until, "the connection is still open");
        std::thread::sleep(Duration::from_millis(50));
    }
    client.rest();
    drop(client);
    sending.join().unwrap();
}

#[test]
fn storing_that_takes_longer_than_the_handler_may_is_503() {
    let fs = SimFs::new(4);
    let server = Server::on("limits = { handler_timeout = \"300ms\" }", &fs);
    fs.hold_syncs(true);
    let reply = server.once(GET);
    assert!(
        status(&reply) == 503 && reply.contains("Connection: close") && reply.contains("Retry-After: 5"),
        "{reply}"
    );
    assert!(reply.contains("Access-Control-Allow-Origin") && !reply.contains("Set-Cookie"));
    fs.hold_syncs(false);
}

#[test]
fn a_body_slower_than_the_handler_may_be_is_408() {
    let server = Server::new("limits = { handler_timeout = \"300ms\" }");
    let started = Instant::now();
    let reply = server.once(b"POST /a/b HTTP/1.1\r\nHost: h\r\nContent-Length: 10\r\n\r\nhi");
    assert_eq!(status(&reply), 408);
    assert!(started.elapsed() < Duration::from_secs(15));
}

/// How many of the payloads have this query string.
fn times(server: &Server, query: &str) -> usize {
    server.stored().0.iter().filter(|p| p.querystring.as_deref() == Some(query.as_bytes())).count()
}

/// Lets held syncs go even when an assertion fails, because the journal waits for them when it is dropped.
struct Release<'f>(&'f SimFs);

impl Drop for Release<'_> {
    fn drop(&mut self) {
        self.0.hold_syncs(false);
    }
}

#[test]
fn a_disk_that_hangs_is_answered_in_time_and_what_it_writes_later_is_there_once() {
    let fs = SimFs::new(10);
    let stalled_after = Duration::from_millis(500);
    let server = Server::on_patient("limits = { retry_after = \"7s\" }", &fs, stalled_after);
    let _release = Release(&fs);
    let get = |id: usize, round: usize| {
        format!("GET /i?e=pv&eid={id} HTTP/1.1\r\nHost: h\r\nX-Round: {round}\r\nOrigin: https://a.example\r\n\r\n")
    };
    let ask = |id: usize, round: usize| {
        let mut client = server.connect();
        client.send(get(id, round).as_bytes());
        client
    };
    assert_eq!(status(&ask(0, 0).reply()), 200);

    fs.hold_syncs(true);
    let started = Instant::now();
    // One after the other, so that they become several appends and more wait behind those.
    let mut waiting: Vec<Client> = Vec::new();
    for id in 1..=8 {
        waiting.push(ask(id, 1));
        std::thread::sleep(Duration::from_millis(10));
    }
    for client in &mut waiting {
        let reply = client.rest();
        assert!(status(&reply) == 503 && reply.contains("Retry-After: 7\r\n"), "{reply}");
        assert!(reply.contains("Connection: close") && !reply.contains("Set-Cookie"), "{reply}");
        assert!(reply.contains("Access-Control-Allow-Origin: https://a.example"), "the page may read why: {reply}");
    }
    let took = started.elapsed();
    // Deadlines are kept to the millisecond.
    assert!((stalled_after * 9 / 10..stalled_after + Duration::from_secs(10)).contains(&took), "{took:?}");
    assert_eq!(server.metric("snowshed_collector_refusals_total{reason=\"stalled\"}"), 8.0);

    // From now on nobody waits for nothing, and readiness is off; liveness is not.
    let mut client = server.connect();
    let until = Instant::now() + PATIENCE;
    loop {
        client.send(b"GET /sink-health HTTP/1.1\r\nHost: h\r\n\r\n");
        if status(&client.reply()) == 503 {
            break;
        }
        assert!(Instant::now() < until, "readiness stays on");
        std::thread::sleep(Duration::from_millis(20));
    }
    let started = Instant::now();
    for id in 20..30 {
        client.send(get(id, 1).as_bytes());
        let reply = client.reply();
        assert!(status(&reply) == 503 && reply.contains("Retry-After"), "{reply}");
    }
    // Waiting for each would take ten times `stalled_after`.
    assert!(started.elapsed() < 5 * stalled_after, "{:?}", started.elapsed());
    client.send(b"GET /health HTTP/1.1\r\nHost: h\r\n\r\n");
    assert_eq!(status(&client.reply()), 200);

    fs.hold_syncs(false);
    let until = Instant::now() + PATIENCE;
    while server.count() < 9 {
        assert!(Instant::now() < until, "what waited is not written: {}", server.count());
        std::thread::sleep(Duration::from_millis(20));
    }
    for id in (1..=8).chain(20..30) {
        assert_eq!(status(&ask(id, 2).reply()), 200, "the client's retry");
    }
    for id in 0..=8 {
        let late = usize::from(id > 0);
        assert_eq!(times(&server, &format!("e=pv&eid={id}")), 1 + late, "late and again, the same event: {id}");
    }
    for id in 20..30 {
        assert_eq!(times(&server, &format!("e=pv&eid={id}")), 1, "what was refused at once was not kept: {id}");
    }
}

#[test]
fn connections_are_limited() {
    let server = Server::new("limits = { connections = 3, retry_after = \"9s\" }\nhsts = { enabled = true }");
    let mut inside: Vec<Client> = (0..3).map(|_| server.connect()).collect();
    for client in &mut inside {
        client.send(GET);
        assert_eq!(status(&client.reply()), 200);
    }
    let turned_away = server.connect().rest();
    assert!(turned_away.starts_with("HTTP/1.1 503") && turned_away.contains("Retry-After: 9\r\n"), "{turned_away}");
    assert!(turned_away.contains("Strict-Transport-Security") && turned_away.contains("Connection: close"));
    drop(inside.pop());
    std::thread::sleep(Duration::from_millis(100));
    assert_eq!(status(&server.once(b"GET /i HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n")), 200);
    assert_eq!(server.metric("snowshed_collector_refusals_total{reason=\"connections\"}"), 1.0);

    let server = Server::new("limits = { connections_per_address = 1 }");
    let _first = server.connect();
    std::thread::sleep(Duration::from_millis(50));
    assert!(server.connect().rest().starts_with("HTTP/1.1 503"));
}

#[test]
fn proxy_protocol() {
    let server = Server::new("proxy = { protocol = \"required\" }");
    let close = "GET /i HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n";
    let reply = server.once(format!("PROXY TCP4 203.0.113.7 10.0.0.1 4711 80\r\n{close}").as_bytes());
    assert_eq!(status(&reply), 200);
    assert_eq!(&server.stored().0[0].ip[..], b"203.0.113.7");
    assert_eq!(server.once(close.as_bytes()), "", "without the header nobody is served");
    assert_eq!(server.count(), 1);
    let mut v2 = b"\r\n\r\n\0\r\nQUIT\n\x21\x21\x00\x24".to_vec();
    for addr in ["2001:db8::9", "::1"] {
        v2.extend_from_slice(&addr.parse::<std::net::Ipv6Addr>().unwrap().octets());
    }
    v2.extend_from_slice(&[0x12, 0x34, 0, 80]);
    v2.extend_from_slice(close.as_bytes());
    assert_eq!(status(&server.once(&v2)), 200);
    assert_eq!(&server.stored().0[1].ip[..], b"2001:db8::9");
}

#[test]
fn a_taken_port_is_a_clear_error() {
    let server = Server::new("");
    let config = Config { listen: server.addr.to_string(), ..Config::default() };
    let health = Arc::new(|| Ok(()));
    let error =
        build(&config, server.journal.appender(), health, Clock::System, &Metrics::new(), Drain::new()).unwrap_err();
    assert!(matches!(error, BuildError::Bind(_)));
    assert!(
        error.to_string().starts_with(&format!("collector.listen = \"{}\": this port is in use", server.addr)),
        "{error}"
    );
    let config = Config { listen: "nonsense".to_owned(), ..Config::default() };
    let health = Arc::new(|| Ok(()));
    let error =
        build(&config, server.journal.appender(), health, Clock::System, &Metrics::new(), Drain::new()).unwrap_err();
    assert!(error.to_string().starts_with("collector.listen is \"nonsense\""), "{error}");
}

#[test]
fn many_connections_at_once() {
    let server = Server::new("workers = 2");
    let threads: Vec<_> = (0..16)
        .map(|t| {
            let addr = server.addr;
            std::thread::spawn(move || {
                let mut client = Client::to(addr);
                for n in 0..100 {
                    client.send(format!("GET /i?t={t}&n={n} HTTP/1.1\r\nHost: h\r\n\r\n").as_bytes());
                    assert_eq!(status(&client.reply()), 200);
                }
            })
        })
        .collect();
    threads.into_iter().for_each(|t| t.join().unwrap());
    let (payloads, _) = server.stored();
    let mut queries: Vec<_> = payloads.into_iter().map(|p| p.querystring).collect();
    queries.sort();
    queries.dedup();
    assert_eq!(queries.len(), 1600);
    assert_eq!(server.metric("snowshed_collector_accepted_total"), 1600.0);
}
