//! The public port as an operator meets it: overload, many resting connections, what `snowshed check` says.

use crate::harness::{Instance, Setup, TP2, binary, free_ports, page_view};
use serde_json::Value;
use std::collections::HashSet;
use std::net::SocketAddr;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// Bytes of one request's body: one event, and spaces.
const BODY: usize = 16 * 1024;
const APP: &str = "overload";

/// What one client, or all of them, came to.
#[derive(Default)]
struct Tally {
    acked: Vec<String>,
    /// Requests whose answer did not come.
    unknown: usize,
    refused: usize,
    latency: Vec<Duration>,
}

impl Tally {
    fn p99(&mut self) -> Duration {
        self.latency.sort_unstable();
        self.latency.get(self.latency.len().saturating_sub(1) * 99 / 100).copied().unwrap_or_default()
    }
}

fn request() -> (String, Vec<u8>) {
    let (id, event) = page_view(APP, &[]);
    let body = crate::harness::envelope(&[event]);
    let head =
        format!("POST {TP2} HTTP/1.1\r\nHost: c\r\nContent-Type: application/json\r\nContent-Length: {BODY}\r\n\r\n");
    let mut bytes = head.into_bytes();
    bytes.extend_from_slice(body.as_bytes());
    bytes.resize(bytes.len() + BODY - body.len(), b' ');
    (id, bytes)
}

/// The head of a reply in lower case, its body read over.
async fn reply(stream: &mut TcpStream, buf: &mut Vec<u8>) -> std::io::Result<String> {
    buf.clear();
    loop {
        if stream.read_buf(buf).await? == 0 {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
        let Some(end) = buf.windows(4).position(|w| w == b"\r\n\r\n") else { continue };
        let head = String::from_utf8_lossy(&buf[..end]).to_ascii_lowercase();
        let length = head.lines().find_map(|l| l.strip_prefix("content-length: ")?.parse().ok()).unwrap_or(0);
        if buf.len() >= end + 4 + length {
            return Ok(head);
        }
    }
}

/// Sends on one keep-alive connection, a request every `gap` (or one after the other), until `end`.
async fn client(to: SocketAddr, gap: Duration, end: Instant) -> Tally {
    let mut tally = Tally::default();
    let (mut open, mut buf) = (None, Vec::new());
    let mut due = tokio::time::Instant::now();
    while Instant::now() < end {
        tokio::time::sleep_until(due).await;
        due += gap;
        let mut stream = match open.take() {
            Some(stream) => stream,
            None => match TcpStream::connect(to).await {
                Ok(stream) => stream,
                Err(_) => continue,
            },
        };
        let (id, bytes) = request();
        let sent = Instant::now();
        let head = match stream.write_all(&bytes).await {
            Ok(()) => reply(&mut stream, &mut buf).await,
            Err(e) => Err(e),
        };
        let Ok(head) = head else {
            tally.unknown += 1;
            continue;
        };
        if head.starts_with("http/1.1 200") {
            tally.acked.push(id);
            tally.latency.push(sent.elapsed());
        } else {
            assert!(head.starts_with("http/1.1 503") && head.contains("\r\nretry-after: "), "{head}");
            tally.refused += 1;
        }
        if !head.contains("connection: close") {
            open = Some(stream);
        }
    }
    tally
}

/// Offers load from `connections` clients; the sum of what they came to.
fn offer(to: SocketAddr, connections: u32, rate: Option<f64>, time: Duration) -> Tally {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let gap = rate.map_or(Duration::ZERO, |rate| Duration::from_secs_f64(f64::from(connections) / rate));
    runtime.block_on(async {
        let end = Instant::now() + time;
        let mut clients = tokio::task::JoinSet::new();
        for _ in 0..connections {
            clients.spawn(client(to, gap, end));
        }
        let mut sum = Tally::default();
        while let Some(tally) = clients.join_next().await {
            let tally = tally.unwrap();
            sum.acked.extend(tally.acked);
            sum.latency.extend(tally.latency);
            sum.unknown += tally.unknown;
            sum.refused += tally.refused;
        }
        sum
    })
}

/// Resident memory of a process, bytes.
fn resident(pid: u32) -> u64 {
    let text = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = text.lines().find_map(|l| l.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").trim().parse::<u64>().unwrap() * 1024
}

#[test]
fn at_three_times_the_rate_nothing_accepted_is_lost_and_memory_is_bounded() {
    let dir = tempfile::tempdir().unwrap();
    // What one worker may have waiting, and how often the disk is written, bound the rate on any machine.
    let setup = Setup::default()
        .set("collector.workers", "1")
        .set("collector.limits.queue_bytes", "1 MiB")
        .set("journal.commit_interval", "100ms");
    let instance = Instance::start(dir.path(), &setup);
    let (to, pid) = (instance.collector, instance.child.id());
    let time = Duration::from_secs(4);
    let mut calm = offer(to, 40, None, time);
    assert_eq!(calm.refused, 0, "40 requests fit into the queue");
    let rate = calm.acked.len() as f64 / time.as_secs_f64();
    let before = resident(pid);
    let mut storm = offer(to, 240, Some(3.0 * rate), time);
    let after = resident(pid);
    let offered = (storm.acked.len() + storm.refused + storm.unknown) as f64 / time.as_secs_f64();
    let (calm_p99, storm_p99) = (calm.p99(), storm.p99());
    println!(
        "sustainable {rate:.0}/s with p99 {calm_p99:?}; offered {offered:.0}/s with p99 {storm_p99:?} of those accepted"
    );
    println!(
        "{} accepted, {} refused; resident {} -> {} MB",
        storm.acked.len(),
        storm.refused,
        before >> 20,
        after >> 20
    );
    assert!(storm.refused > 0, "three times the rate is refused in part");
    assert!(!storm.acked.is_empty() && storm.unknown == 0, "every request is answered");
    assert!(storm_p99 < calm_p99 * 5 + Duration::from_secs(1), "{storm_p99:?} after {calm_p99:?}");
    assert!(after < before + (200 << 20), "{before} -> {after}");

    let status = instance.caught_up();
    assert_eq!(status["equation"]["failed"], 0, "{status}");
    let rows = instance.sql(&format!("SELECT event_id FROM events WHERE app_id = '{APP}'"));
    let found: HashSet<&str> = rows.iter().filter_map(|r| r[0].as_str()).collect();
    assert_eq!(found.len(), rows.len(), "nothing is there twice");
    let acked: Vec<&String> = calm.acked.iter().chain(&storm.acked).collect();
    assert!(acked.iter().all(|id| found.contains(id.as_str())), "an acknowledged event is lost");
    assert_eq!(found.len(), acked.len(), "what was refused was not kept");
}

/// `snowshed check` with a file and the environment: key → (value, origin).
fn check(file: &std::path::Path, env: &[(&str, &str)]) -> (bool, Vec<(String, Value, String)>, String) {
    let out =
        Command::new(binary()).args(["check", "--json", "-c"]).arg(file).envs(env.iter().copied()).output().unwrap();
    let list: Value = serde_json::from_slice(&out.stdout).unwrap_or_default();
    let text = |v: &Value| v.as_str().unwrap_or_default().to_owned();
    let values = list["values"].as_array().cloned().unwrap_or_default();
    let values = values.iter().map(|v| (text(&v["key"]), v["value"].clone(), text(&v["origin"]))).collect();
    (out.status.success(), values, String::from_utf8_lossy(&out.stderr).into_owned())
}

#[test]
fn check_prints_every_value_with_its_origin_and_names_what_is_wrong() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("c.toml");
    std::fs::write(
        &file,
        "[collector.cookie]\nname = \"file\"\nmax_age = \"1d\"\n[collector.path_map]\n\"/v1/go\" = \"/com.acme/track\"\n",
    )
    .unwrap();
    let (right, values, said) = check(&file, &[("SNOWSHED__COLLECTOR__COOKIE__MAX_AGE", "2d")]);
    assert!(right, "{said}");
    for (key, value, origin) in [
        ("collector.cookie.name", "file", "file"),
        ("collector.cookie.max_age", "2", "environment (SNOWSHED__COLLECTOR__COOKIE__MAX_AGE)"),
        ("collector.cookie.secure", "true", "default"),
        ("collector.limits.request_line_max", "20", "default"),
    ] {
        let (_, v, o) = values.iter().find(|(k, ..)| k == key).unwrap_or_else(|| panic!("no {key}"));
        assert!(v.to_string().contains(value) && o == origin, "{key}: {v} from {o}");
    }
    assert!(values.iter().any(|(k, _, o)| k.starts_with("collector.path_map") && o == "file"));
    for (text, key) in [
        ("[collector.cookie]\nsame_site = \"Loose\"", "same_site"),
        ("[collector.limits]\nrecord_max_bytes = \"20 MiB\"", "record_max_bytes"),
        ("[collector]\nnope = 1", "nope"),
        ("[collector.redirects]\nenabled = true", "collector.redirects.allowed_hosts"),
    ] {
        std::fs::write(&file, text).unwrap();
        let (right, _, said) = check(&file, &[]);
        assert!(!right && said.contains(key), "{text}: {said}");
    }
}

/// `cargo test --release --test suite -- --ignored --nocapture resting`: prints bytes a connection.
#[test]
#[ignore = "a measurement, and it needs 20 000 file handles"]
fn ten_thousand_resting_connections_take_a_few_kilobytes_each() {
    const COUNT: usize = 9_900;
    snowshed::net::listener::raise_open_files();
    let dir = tempfile::tempdir().unwrap();
    let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    let (cert, key) = (dir.path().join("c.pem"), dir.path().join("k.pem"));
    std::fs::write(&cert, made.cert.pem()).unwrap();
    std::fs::write(&key, made.signing_key.serialize_pem()).unwrap();
    let (plain, tls) = free_ports();
    for kind in ["plain", "plain, after a request", "TLS", "TLS, after a request"] {
        let mut child = Command::new(binary())
            .args(["bench", "serve"])
            .env("SNOWSHED__DATA_DIR", dir.path().join("data"))
            .env("SNOWSHED__COLLECTOR__WORKERS", "1")
            .env("SNOWSHED__COLLECTOR__LISTEN", format!("127.0.0.1:{plain}"))
            .env("SNOWSHED__COLLECTOR__TLS__LISTEN", format!("127.0.0.1:{tls}"))
            .env("SNOWSHED__COLLECTOR__TLS__CERT", &cert)
            .env("SNOWSHED__COLLECTOR__TLS__KEY", &key)
            .env("SNOWSHED__TELEMETRY__LOG", "warn")
            .stdin(Stdio::null())
            .spawn()
            .unwrap();
        let at = SocketAddr::from(([127, 0, 0, 1], if kind.starts_with("TLS") { tls } else { plain }));
        let end = Instant::now() + Duration::from_secs(30);
        while std::net::TcpStream::connect(at).is_err() {
            assert!(Instant::now() < end);
            std::thread::sleep(Duration::from_millis(20));
        }
        let trust = made.cert.der().clone();
        // What the first ones cost is not theirs alone.
        let first = rest(at, kind, &trust, 100);
        let before = resident(child.id());
        let open = rest(at, kind, &trust, COUNT);
        std::thread::sleep(Duration::from_secs(1));
        let each = (resident(child.id()) - before) / COUNT as u64;
        println!("{kind}: {each} bytes a connection");
        let _ = child.kill();
        let _ = child.wait();
        drop((first, open));
        assert!(each < 16 * 1024, "{kind}: {each} bytes a connection");
    }
}

type Resting = (std::net::TcpStream, Option<rustls::ClientConnection>);

/// Opens connections that say nothing more.
fn rest(at: SocketAddr, kind: &str, trust: &rustls_pki_types::CertificateDer<'static>, count: usize) -> Vec<Resting> {
    use std::io::{Read, Write};
    let mut roots = rustls::RootCertStore::empty();
    roots.add(trust.clone()).unwrap();
    let provider = std::sync::Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let config = std::sync::Arc::new(config);
    let get = b"GET /i?e=pv&p=web&tv=x HTTP/1.1\r\nHost: localhost\r\n\r\n";
    let mut reply = [0; 4096];
    (0..count)
        .map(|_| {
            let mut socket = std::net::TcpStream::connect(at).unwrap();
            if !kind.starts_with("TLS") {
                if kind.ends_with("request") {
                    socket.write_all(get).unwrap();
                    assert!(socket.read(&mut reply).unwrap() > 40);
                }
                return (socket, None);
            }
            let name = "localhost".try_into().unwrap();
            let mut tls = rustls::ClientConnection::new(config.clone(), name).unwrap();
            while tls.is_handshaking() {
                tls.complete_io(&mut socket).unwrap();
            }
            if kind.ends_with("request") {
                let mut stream = rustls::Stream::new(&mut tls, &mut socket);
                stream.write_all(get).unwrap();
                assert!(stream.read(&mut reply).unwrap() > 40);
            }
            (socket, Some(tls))
        })
        .collect()
}
