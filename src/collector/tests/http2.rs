//! HTTP/2 and TLS: the same replies and records by another door.

use super::server::{Server, status};
use crate::event::payload::Payload;
use crate::platform::testing::PATIENCE;
use bytes::Bytes;
use http::{Request, Response};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

fn block_on<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(future)
}

/// Sends requests over one connection, all at once, and collects the replies.
async fn exchange<S>(io: S, requests: Vec<(Request<()>, &'static [u8])>) -> Vec<(Response<()>, Bytes)>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let (client, connection) = h2::client::handshake(io).await.unwrap();
    let driving = tokio::spawn(connection);
    let mut client = client.ready().await.unwrap();
    let mut waiting = Vec::new();
    for (request, body) in requests {
        let (response, mut stream) = client.send_request(request, body.is_empty()).unwrap();
        if !body.is_empty() {
            stream.send_data(Bytes::from_static(body), true).unwrap();
        }
        waiting.push(response);
    }
    let mut replies = Vec::new();
    for response in waiting {
        let (parts, mut stream) = response.await.unwrap().into_parts();
        let mut body = Vec::new();
        while let Some(data) = stream.data().await {
            let data = data.unwrap();
            stream.flow_control().release_capacity(data.len()).unwrap();
            body.extend_from_slice(&data);
        }
        replies.push((Response::from_parts(parts, ()), body.into()));
    }
    drop(client);
    driving.abort();
    replies
}

fn get(path: &str) -> (Request<()>, &'static [u8]) {
    (Request::get(format!("http://c.example:8080{path}")).header("user-agent", "h2").body(()).unwrap(), b"")
}

#[test]
fn prior_knowledge() {
    let server = Server::new("cookie = { client_readable_name = \"c\" }");
    let post = Request::post("http://c.example/a/b?x={y}")
        .header("content-type", "application/json; charset=UTF-8")
        .header("origin", "https://a.example")
        .header("cookie", "a=b")
        .header("x-y", "1")
        .header("cookie", "sp=6c1a0d9e-1b2f-4c3d-8e4f-5a6b7c8d9e0f")
        .body(())
        .unwrap();
    let head = Request::head("http://c.example/i").body(()).unwrap();
    let replies = block_on(async {
        let io = TcpStream::connect(server.addr).await.unwrap();
        let requests = vec![get("/i?e=pv"), (post, b"{}".as_slice()), (head, b""), get("/nope"), get("/health")];
        exchange(io, requests).await
    });
    let statuses: Vec<u16> = replies.iter().map(|(r, _)| r.status().as_u16()).collect();
    assert_eq!(statuses, [200, 200, 200, 404, 200]);
    let (pixel, gif) = &replies[0];
    assert_eq!((pixel.headers()["content-type"].as_bytes(), gif.len()), (&b"image/gif"[..], 43));
    assert_eq!(pixel.headers().get_all("set-cookie").iter().count(), 2);
    assert!(pixel.headers().contains_key("date"));
    let (ok, body) = &replies[1];
    assert_eq!(
        (&body[..], ok.headers()["access-control-allow-origin"].as_bytes()),
        (&b"ok"[..], &b"https://a.example"[..])
    );
    assert_eq!((replies[2].0.headers()["content-length"].as_bytes(), replies[2].1.len()), (&b"43"[..], 0));

    let (payloads, _) = server.stored();
    assert_eq!(payloads.len(), 3);
    let post: &Payload = payloads.iter().find(|p| p.body.is_some()).unwrap();
    assert_eq!(post.hostname.as_deref(), Some(&b"c.example"[..]));
    assert_eq!(post.querystring.as_deref(), Some(&b"x={y}"[..]));
    assert_eq!(post.network_user_id.as_deref(), Some(&b"6c1a0d9e-1b2f-4c3d-8e4f-5a6b7c8d9e0f"[..]));
    let headers: Vec<&[u8]> = post.headers.iter().map(|h| &h[..]).collect();
    assert!(headers.contains(&&b"Cookie: a=b;sp=6c1a0d9e-1b2f-4c3d-8e4f-5a6b7c8d9e0f"[..]), "{headers:?}");
    assert_eq!(headers.last(), Some(&&b"application/json"[..]));
}

#[test]
fn large_bodies_and_drain() {
    let mut server = Server::new("limits = { request_body_max_bytes = 4096 }");
    static LARGE: [u8; 4096] = [b'x'; 4096];
    let post = |n: usize| (Request::post("http://h/a/b").body(()).unwrap(), &LARGE[..n]);
    let replies = block_on(async {
        exchange(TcpStream::connect(server.addr).await.unwrap(), vec![post(4095), post(4096)]).await
    });
    assert_eq!((replies[0].0.status().as_u16(), replies[1].0.status().as_u16()), (200, 413));
    // A body that means nothing is not held against the event.
    let get = (Request::get("http://h/i?e=pv").body(()).unwrap(), &LARGE[..]);
    let replies = block_on(async { exchange(TcpStream::connect(server.addr).await.unwrap(), vec![get]).await });
    assert_eq!(replies[0].0.status().as_u16(), 200);
    // A connection that rests is told to go away.
    let ended = block_on(async {
        let io = TcpStream::connect(server.addr).await.unwrap();
        let (client, connection) = h2::client::handshake(io).await.unwrap();
        let driving = tokio::spawn(connection);
        let _client = client.ready().await.unwrap();
        server.drain.raise();
        tokio::time::timeout(PATIENCE, driving).await
    });
    assert!(ended.is_ok());
    server.stop();
    assert_eq!(server.count(), 2);
}

#[test]
fn a_disk_that_hangs_is_503_here_too() {
    let fs = crate::platform::fs_sim::SimFs::new(11);
    let server = Server::on_patient("", &fs, Duration::from_millis(300));
    fs.hold_syncs(true);
    let replies = block_on(async {
        exchange(TcpStream::connect(server.addr).await.unwrap(), vec![get("/i"), get("/health")]).await
    });
    assert_eq!((replies[0].0.status().as_u16(), replies[1].0.status().as_u16()), (503, 200));
    assert_eq!(replies[0].0.headers()["retry-after"], "5");
    fs.hold_syncs(false);
}

#[test]
fn opening_and_taking_back_is_not_for_free() {
    let fs = crate::platform::fs_sim::SimFs::new(9);
    let server = Server::on("http2 = { max_resets = 20, max_streams = 10 }", &fs);
    fs.hold_syncs(true);
    let opened = block_on(async {
        let io = TcpStream::connect(server.addr).await.unwrap();
        let (client, connection) = h2::client::handshake(io).await.unwrap();
        let driving = tokio::spawn(connection);
        let mut opened = 0;
        let mut client = client;
        while let Ok(mut ready) = client.ready().await {
            let Ok((_, mut stream)) = ready.send_request(get("/i").0, true) else { break };
            // Long enough that the request is surely under way when it is taken back.
            tokio::time::sleep(Duration::from_millis(20)).await;
            stream.send_reset(h2::Reason::CANCEL);
            opened += 1;
            assert!(opened < 1000, "nobody stops it");
            client = ready;
        }
        driving.abort();
        opened
    });
    fs.hold_syncs(false);
    assert!(opened >= 20, "{opened}");
    let floods = || server.metric("snowshed_collector_refusals_total{reason=\"flood\"}");
    let until = std::time::Instant::now() + PATIENCE;
    while floods() < 1.0 && std::time::Instant::now() < until {
        std::thread::sleep(Duration::from_millis(10));
    }
    assert_eq!(floods(), 1.0);
}

#[test]
fn a_client_that_takes_a_few_back_is_served_on() {
    let server = Server::new("http2 = { max_resets = 1 }");
    block_on(async {
        let io = TcpStream::connect(server.addr).await.unwrap();
        let (mut client, connection) = h2::client::handshake(io).await.unwrap();
        let driving = tokio::spawn(connection);
        for n in 0..200 {
            client = client.ready().await.unwrap();
            if n % 16 == 15 {
                // Taken back while its body is awaited, so that it is surely under way.
                let post = Request::post("http://h/a/b").body(()).unwrap();
                let (_, mut stream) = client.send_request(post, false).unwrap();
                tokio::time::sleep(Duration::from_millis(20)).await;
                stream.send_reset(h2::Reason::CANCEL);
            } else {
                let (response, _) = client.send_request(get("/i").0, true).unwrap();
                assert_eq!(response.await.unwrap().status().as_u16(), 200);
            }
        }
        driving.abort();
    });
    assert_eq!(server.metric("snowshed_collector_refusals_total{reason=\"flood\"}"), 0.0);
}

#[test]
fn switched_off() {
    let server = Server::new("http2 = { enabled = false }");
    let reply = server.once(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
    assert_eq!(status(&reply), 505);
}

fn write_pair(dir: &Path) -> rustls_pki_types::CertificateDer<'static> {
    let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    std::fs::write(dir.join("c.pem"), made.cert.pem()).unwrap();
    std::fs::write(dir.join("k.pem"), made.signing_key.serialize_pem()).unwrap();
    made.cert.der().clone()
}

async fn connect(
    server: &Server,
    trust: &rustls_pki_types::CertificateDer<'static>,
    alpn: &[&[u8]],
) -> std::io::Result<tokio_rustls::client::TlsStream<TcpStream>> {
    let mut roots = tokio_rustls::rustls::RootCertStore::empty();
    roots.add(trust.clone()).unwrap();
    let provider = Arc::new(tokio_rustls::rustls::crypto::ring::default_provider());
    let mut config = tokio_rustls::rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = alpn.iter().map(|p| p.to_vec()).collect();
    let io = TcpStream::connect(server.tls_addr.unwrap()).await?;
    TlsConnector::from(Arc::new(config)).connect("localhost".try_into().unwrap(), io).await
}

#[test]
fn tls_with_both_versions_and_a_new_certificate() {
    let dir = tempfile::tempdir().unwrap();
    let first = write_pair(dir.path());
    let file = |name: &str| dir.path().join(name).display().to_string();
    let server = Server::new(&format!(
        "tls = {{ listen = \"127.0.0.1:0\", cert = \"{}\", key = \"{}\", reload = \"100ms\", handshake_timeout = \"500ms\" }}",
        file("c.pem"),
        file("k.pem")
    ));
    block_on(async {
        let mut io = connect(&server, &first, &[b"http/1.1"]).await.unwrap();
        io.write_all(b"GET /i HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n").await.unwrap();
        let mut reply = Vec::new();
        io.read_to_end(&mut reply).await.unwrap();
        assert_eq!(status(&String::from_utf8_lossy(&reply)), 200);

        let io = connect(&server, &first, &[b"h2", b"http/1.1"]).await.unwrap();
        assert_eq!(io.get_ref().1.alpn_protocol(), Some(&b"h2"[..]));
        assert_eq!(exchange(io, vec![get("/i")]).await[0].0.status().as_u16(), 200);

        let second = write_pair(dir.path());
        let mut tries = 0;
        while connect(&server, &second, &[]).await.is_err() {
            tries += 1;
            assert!(tries < 50, "the new certificate is not used");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        assert!(connect(&server, &first, &[]).await.is_err());

        // Somebody who does not shake hands is cut.
        let mut silent = TcpStream::connect(server.tls_addr.unwrap()).await.unwrap();
        let mut byte = [0];
        let ended = tokio::time::timeout(PATIENCE, silent.read(&mut byte)).await;
        assert!(matches!(ended, Ok(Ok(0) | Err(_))));
    });
    assert_eq!(server.count(), 2);
    assert!(server.metric("snowshed_collector_certificate_reloads_total") >= 1.0);
    assert!(server.metric("snowshed_collector_refusals_total{reason=\"handshake\"}") >= 1.0);
}
