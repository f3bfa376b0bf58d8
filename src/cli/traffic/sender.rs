//! Sends the traffic: requests of a few events each, at a steady rate, over keep-alive connections.

use super::{Shape, Sites, event};
use crate::pipeline::drain::Drain;
use crate::platform::clock::Clock;
use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};
use serde_json::{Value, json};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::sync::Semaphore;

/// Where the traffic goes.
#[derive(Clone, Debug)]
pub struct Target {
    /// Base URL of the collector, `http://127.0.0.1:8080`.
    pub collector: String,
}

/// What was sent, counted as it goes.
#[derive(Debug, Default)]
pub struct Sent {
    /// Events in requests that were answered 200.
    pub accepted: AtomicU64,
    /// Events in requests that were refused or not answered; they are not sent again.
    pub refused: AtomicU64,
}

/// Requests under way at once; at the bound the generator waits, as a tracker's queue would.
const IN_FLIGHT: usize = 64;
const TICK: Duration = Duration::from_millis(20);

/// Sends until `until` passes or `drain` is raised.
///
/// # Errors
/// When no HTTP client can be made.
pub async fn run(
    target: Target,
    shape: Shape,
    clock: Clock,
    until: Option<Duration>,
    drain: Drain,
    sent: Arc<Sent>,
) -> Result<(), reqwest::Error> {
    let client =
        reqwest::Client::builder().timeout(Duration::from_secs(10)).pool_max_idle_per_host(IN_FLIGHT).build()?;
    let url = format!("{}/com.snowplowanalytics.snowplow/tp2", target.collector);
    let mut sites = Sites::new(shape.sites, shape.seed);
    let mut rng = SmallRng::seed_from_u64(shape.seed ^ clock.now_ms() as u64);
    let room = Arc::new(Semaphore::new(IN_FLIGHT));
    let mut tick = tokio::time::interval(TICK);
    let start = tokio::time::Instant::now();
    let mut owed = 0.0;
    loop {
        tokio::select! {
            _ = tick.tick() => {}
            () = drain.raised() => break,
        }
        if until.is_some_and(|u| start.elapsed() >= u) {
            break;
        }
        // A slow breath, so that the picture is no flat line.
        let breath = 1.0 + 0.15 * (start.elapsed().as_secs_f64() / 11.0).sin();
        owed += f64::from(shape.rate) * TICK.as_secs_f64() * breath;
        while owed >= 1.0 {
            let (user_agent, events) = request(&mut sites, &shape, clock.now_ms(), owed as usize, &mut rng);
            owed -= events.len() as f64;
            let Ok(permit) = room.clone().acquire_owned().await else { return Ok(()) };
            let times = if rng.random_bool(shape.repeated) { 2 } else { 1 };
            let (client, url, sent) = (client.clone(), url.clone(), sent.clone());
            tokio::spawn(async move {
                for _ in 0..times {
                    post(&client, &url, user_agent, &events, &sent).await;
                }
                drop(permit);
            });
        }
    }
    // Everything under way is answered before the caller counts.
    let _ = room.acquire_many(IN_FLIGHT as u32).await;
    Ok(())
}

/// Sends `count` good events of one app now, and waits until they are accepted.
///
/// # Errors
/// Why they were not accepted.
pub async fn send_some(target: &Target, app_id: &str, count: usize, clock: &Clock) -> Result<(), String> {
    let client = reqwest::Client::builder().timeout(Duration::from_secs(10)).build().map_err(|e| e.to_string())?;
    let url = format!("{}/com.snowplowanalytics.snowplow/tp2", target.collector);
    let shape =
        Shape { sites: 1, failing: 0.0, repeated: 0.0, late: 0.0, app_id: Some(app_id.to_owned()), ..Shape::default() };
    let mut sites = Sites::new(1, rand::random());
    let mut rng = SmallRng::seed_from_u64(rand::random());
    let sent = Sent::default();
    let mut left = count;
    while left > 0 {
        let (user_agent, events) = request(&mut sites, &shape, clock.now_ms(), left, &mut rng);
        left -= events.len().min(left);
        post(&client, &url, user_agent, &events, &sent).await;
    }
    match sent.refused.load(Ordering::Relaxed) {
        0 => Ok(()),
        refused => Err(format!("the collector refused {refused} of {count} events")),
    }
}

fn request(sites: &mut Sites, shape: &Shape, now: i64, most: usize, rng: &mut SmallRng) -> (&'static str, Vec<Value>) {
    let site = sites.pick(rng);
    let count = rng.random_range(1..=4).min(most.max(1));
    let user_agent = site.visitor(rng).device.user_agent;
    let events = (0..count).map(|_| Value::Object(event::next(site, shape, now, rng))).collect();
    (user_agent, events)
}

async fn post(client: &reqwest::Client, url: &str, user_agent: &str, events: &[Value], sent: &Sent) {
    let body = json!({"schema": event::ENVELOPE, "data": events}).to_string();
    let reply = client
        .post(url)
        .header("content-type", "application/json; charset=UTF-8")
        .header("user-agent", user_agent)
        .body(body)
        .send()
        .await;
    let counter = match reply {
        Ok(r) if r.status().is_success() => &sent.accepted,
        _ => &sent.refused,
    };
    counter.fetch_add(events.len() as u64, Ordering::Relaxed);
}
