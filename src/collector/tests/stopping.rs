//! How the collector stops (specification §7.2).

use super::server::{Client, Server, status};
use crate::platform::fs_sim::SimFs;
use std::net::TcpStream;
use std::time::{Duration, Instant};

const GET: &[u8] = b"GET /i?e=pv HTTP/1.1\r\nHost: h\r\n\r\n";

#[test]
fn it_goes_on_for_a_while_and_says_so() {
    let mut server = Server::new("drain = { delay = \"600ms\" }");
    let mut resting = server.connect();
    resting.send(GET);
    assert!(!resting.reply().contains("Connection: close"));
    let mut busy = server.connect();
    busy.send(b"POST /a/b HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\nhe");
    let mut health = server.connect();
    std::thread::sleep(Duration::from_millis(100));
    server.drain.raise();
    std::thread::sleep(Duration::from_millis(150));
    health.send(b"GET /health HTTP/1.1\r\nHost: h\r\n\r\n");
    let reply = health.reply();
    assert!(status(&reply) == 503 && reply.contains("Connection: close"), "{reply}");
    let mut fresh = server.connect();
    fresh.send(GET);
    let reply = fresh.rest();
    assert!(status(&reply) == 200 && reply.contains("Connection: close"), "a new connection is still served: {reply}");
    std::thread::sleep(Duration::from_millis(600));
    busy.send(b"llo");
    let reply = busy.rest();
    assert!(status(&reply) == 200 && reply.contains("Connection: close"), "a request under way is finished: {reply}");
    assert_eq!(resting.rest(), "");
    server.stop();
    assert!(TcpStream::connect(server.addr).is_err());
    assert_eq!(server.count(), 3);
}

#[test]
fn what_was_handed_to_the_journal_is_waited_for() {
    let fs = SimFs::new(5);
    let mut server = Server::on("", &fs);
    fs.hold_syncs(true);
    let mut client = server.connect();
    client.send(GET);
    std::thread::sleep(Duration::from_millis(100));
    server.drain.raise();
    let release = {
        let fs = fs.clone();
        std::thread::spawn(move || {
            std::thread::sleep(Duration::from_millis(300));
            fs.hold_syncs(false);
        })
    };
    let reply = client.rest();
    assert!(status(&reply) == 200 && reply.contains("Connection: close"), "{reply}");
    server.stop();
    release.join().unwrap();
    assert_eq!(server.count(), 1);
}

#[test]
fn a_client_that_never_finishes_is_cut_at_the_deadline() {
    let mut server = Server::new("drain = { deadline = \"300ms\" }");
    let mut stuck = server.connect();
    stuck.send(b"POST /a/b HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\nhe");
    std::thread::sleep(Duration::from_millis(100));
    let started = Instant::now();
    server.stop();
    assert!(started.elapsed() < Duration::from_secs(20));
    assert_eq!(stuck.rest(), "");
}

#[test]
fn connections_are_counted_down_again() {
    let server = Server::new("");
    let clients: Vec<Client> = (0..10).map(|_| server.connect()).collect();
    std::thread::sleep(Duration::from_millis(100));
    assert_eq!(server.metric("snowshed_collector_connections "), 10.0);
    drop(clients);
    std::thread::sleep(Duration::from_millis(100));
    assert_eq!(server.metric("snowshed_collector_connections "), 0.0);
}
