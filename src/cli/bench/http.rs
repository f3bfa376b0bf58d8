//! Our collector against nginx `empty_gif` with its access log, one core each, the same generator (wrk) on the other core.

use super::{Figure, figure};
use crate::cli::traffic::load::Bodies;
use std::fs;
use std::io::Write;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// Length of the query string of the GET measurement.
const QUERY: usize = 900;
/// Length of an event in the POST measurement.
const EVENT: usize = 1200;

pub(super) fn measure(seconds: u64) -> Result<Vec<Figure>, String> {
    let tools = ["nginx", "wrk", "taskset"];
    let missing: Vec<&str> = tools.into_iter().filter(|t| find(t).is_none()).collect();
    if !missing.is_empty() {
        return Err(format!("needs {} on the PATH (apt-get install nginx-light wrk)", missing.join(", ")));
    }
    let work = std::env::temp_dir().join(format!("snowshed-bench-{}", std::process::id()));
    fs::create_dir_all(&work).map_err(|e| format!("{}: {e}", work.display()))?;
    let result = compare(&work, seconds);
    let _ = fs::remove_dir_all(&work);
    result
}

fn compare(work: &Path, seconds: u64) -> Result<Vec<Figure>, String> {
    let (nginx_port, ours_port) = (free_port()?, free_port()?);
    let nginx = nginx(work, nginx_port)?;
    let ours = ours(work, ours_port)?;
    wait_for(nginx_port)?;
    wait_for(ours_port)?;
    let query = query();
    let get = |port: u16| format!("http://127.0.0.1:{port}/i?{query}");
    let script = work.join("post.lua");
    let (text, bytes) = Bodies::render(200, 10, 3, 1_764_000_000_000).wrk_script(10 * EVENT);
    fs::write(&script, text).map_err(|e| e.to_string())?;
    let post = format!("http://127.0.0.1:{ours_port}/com.snowplowanalytics.snowplow/tp2");
    // Turn about, so that a slow phase of the machine meets all.
    let mut rounds: Vec<[f64; 5]> = Vec::new();
    for _ in 0..3 {
        let theirs = wrk(&get(nginx_port), None, seconds)?;
        let pixels = wrk(&get(ours_port), None, seconds)?;
        let cpu = cpu_seconds(ours.0.id());
        let posts = wrk(&post, Some(&script), seconds)?;
        let used = cpu_seconds(ours.0.id()) - cpu;
        let raw = raw_sync(work, seconds)?;
        rounds.push([theirs, pixels, posts, posts * seconds as f64 / used, raw]);
    }
    drop((nginx, ours));
    let [theirs, get, post, post_cpu, raw] = std::array::from_fn(|at| {
        let mut values: Vec<f64> = rounds.iter().map(|round| round[at]).collect();
        values.sort_by(f64::total_cmp);
        values[values.len() / 2]
    });
    let bytes = bytes as f64;
    Ok(vec![
        figure("nginx empty_gif with access log, one core", theirs, "requests/s"),
        figure("GET pixel accepted and fsynced, one core", get, "requests/s"),
        figure("  ratio to nginx (floor 0.45, aim 0.7)", get / theirs, "x"),
        figure("POST of 10 events accepted and fsynced, one core", post * 10.0, "events/s"),
        figure("  in a second of CPU (floor 250 000, aim 400 000)", post_cpu * 10.0, "events/s"),
        figure("  size of such a body", bytes, "bytes"),
        figure("  bodies to the disk", post * bytes / 1e6, "MB/s"),
        figure("  this disk, raw, 1 MiB written and synced at a time", raw, "MB/s"),
    ])
}

/// Seconds of CPU that a process has used.
fn cpu_seconds(pid: u32) -> f64 {
    let text = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    // Behind the name, which stands in brackets; user and system time are fields 14 and 15, in ticks of 10 ms.
    let fields = text.rsplit_once(')').map(|(_, rest)| rest.split_whitespace().skip(11).take(2));
    fields.into_iter().flatten().filter_map(|f| f.parse::<f64>().ok()).sum::<f64>() / 100.0
}

/// What the disk takes when nothing but writing and syncing is done, one thread, MB/s.
fn raw_sync(work: &Path, seconds: u64) -> Result<f64, String> {
    let path = work.join("raw");
    let write = || -> std::io::Result<f64> {
        let mut file = fs::File::create(&path)?;
        let block = vec![0xa5u8; 1 << 20];
        let (start, mut blocks) = (Instant::now(), 0u32);
        while start.elapsed() < Duration::from_secs(seconds.min(3)) {
            file.write_all(&block)?;
            file.sync_data()?;
            blocks += 1;
        }
        Ok(f64::from(blocks) * block.len() as f64 / start.elapsed().as_secs_f64() / 1e6)
    };
    let rate = write().map_err(|e| format!("{}: {e}", path.display()));
    let _ = fs::remove_file(&path);
    rate
}

/// A child that ends with its owner.
struct Server(Child);

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn nginx(work: &Path, port: u16) -> Result<Server, String> {
    let conf = work.join("nginx.conf");
    let dir = work.display();
    let text = format!(
        "daemon off; worker_processes 1; pid {dir}/nginx.pid; error_log {dir}/error.log;\n\
         events {{ worker_connections 1024; }}\n\
         http {{ access_log {dir}/access.log; client_body_temp_path {dir}; proxy_temp_path {dir}; fastcgi_temp_path {dir};\n\
         uwsgi_temp_path {dir}; scgi_temp_path {dir}; keepalive_requests 100000000;\n\
         server {{ listen 127.0.0.1:{port}; location / {{ empty_gif; }} }} }}\n"
    );
    fs::write(&conf, text).map_err(|e| e.to_string())?;
    let program = find("nginx").ok_or("no nginx")?;
    spawn(Command::new("taskset").args(["-c", "0"]).arg(program).arg("-c").arg(&conf))
}

fn ours(work: &Path, port: u16) -> Result<Server, String> {
    let program = std::env::current_exe().map_err(|e| e.to_string())?;
    spawn(
        Command::new("taskset")
            .args(["-c", "0"])
            .arg(program)
            .args(["bench", "serve"])
            .env("SNOWSHED__DATA_DIR", work.join("data"))
            .env("SNOWSHED__COLLECTOR__LISTEN", format!("127.0.0.1:{port}"))
            .env("SNOWSHED__TELEMETRY__LOG", "error"),
    )
}

fn spawn(command: &mut Command) -> Result<Server, String> {
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::inherit());
    command.spawn().map(Server).map_err(|e| format!("{command:?}: {e}"))
}

fn wrk(url: &str, script: Option<&PathBuf>, seconds: u64) -> Result<f64, String> {
    let mut command = Command::new("taskset");
    // Every connection waits for its own reply: with few of them, large bodies leave the core idle during a sync.
    let connections = if script.is_some() { "-c256" } else { "-c64" };
    command.args(["-c", "1", "wrk", "-t1", connections, &format!("-d{seconds}s")]);
    if let Some(script) = script {
        command.arg("-s").arg(script);
    }
    let out = command.arg(url).output().map_err(|e| format!("wrk: {e}"))?;
    let text = String::from_utf8_lossy(&out.stdout);
    if text.contains("Non-2xx") {
        return Err(format!("{url}: some replies were no 200:\n{text}"));
    }
    text.lines()
        .find_map(|l| l.trim().strip_prefix("Requests/sec:"))
        .and_then(|v| v.trim().parse().ok())
        .ok_or_else(|| format!("wrk said: {text}{}", String::from_utf8_lossy(&out.stderr)))
}

fn query() -> String {
    let mut query = String::from(
        "e=pv&eid=3f1d0a4e-7f2b-4c7e-9b0e-5d3f6c2a1b00&tv=js-4.10.1&p=web&aid=shop&tna=sp&dtm=1764000000000",
    );
    query.push_str(
        "&url=https%3A%2F%2Fshop.example%2Fcars%2F1&page=Cars&lang=en-US&cs=UTF-8&res=1920x1080&vp=1903x969&cx=",
    );
    while query.len() < QUERY {
        query.push_str("eyJzY2hlbWEiOiJpZ2x1OmNvbS5z");
    }
    query.truncate(QUERY);
    query
}

pub(super) fn free_port() -> Result<u16, String> {
    let listener = TcpListener::bind("127.0.0.1:0").map_err(|e| e.to_string())?;
    listener.local_addr().map(|a| a.port()).map_err(|e| e.to_string())
}

pub(super) fn wait_for(port: u16) -> Result<(), String> {
    let end = Instant::now() + Duration::from_secs(30);
    let to = SocketAddr::from(([127, 0, 0, 1], port));
    while TcpStream::connect_timeout(&to, Duration::from_millis(200)).is_err() {
        if Instant::now() > end {
            return Err(format!("nothing listens on port {port}"));
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    Ok(())
}

fn find(tool: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    let places = std::env::split_paths(&path).chain(["/usr/sbin".into(), "/sbin".into()]);
    places.map(|p| p.join(tool)).find(|p| p.is_file())
}
