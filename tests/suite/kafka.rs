//! Streams to a real Apache Kafka, killed in the middle.

use crate::harness::{Instance, Setup, components, free_ports, page_view, skip};
use rdkafka::config::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::{Message, Offset, TopicPartitionList};
use std::collections::HashMap;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

struct Broker(Child);

impl Broker {
    fn start(components: &Path, dir: &Path, port: u16) -> Self {
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/components/kafka/start");
        let child = Command::new(script)
            .arg(components)
            .arg(dir)
            .arg(port.to_string())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let broker = Broker(child);
        let end = Instant::now() + Duration::from_secs(90);
        let probe: BaseConsumer = ClientConfig::new()
            .set("bootstrap.servers", format!("127.0.0.1:{port}"))
            .set("log_level", "0")
            .create()
            .unwrap();
        while probe.fetch_metadata(None, Duration::from_secs(1)).is_err() {
            assert!(Instant::now() < end, "Kafka does not start");
            std::thread::sleep(Duration::from_millis(200));
        }
        broker
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Reads topics until `enough` says so.
fn read(
    port: u16,
    topic: &str,
    mut enough: impl FnMut(&[(Option<String>, String)]) -> bool,
) -> Vec<(Option<String>, String)> {
    let consumer: BaseConsumer = ClientConfig::new()
        .set("bootstrap.servers", format!("127.0.0.1:{port}"))
        .set("group.id", uuid::Uuid::new_v4().to_string())
        .set("enable.auto.commit", "false")
        .create()
        .unwrap();
    // Every partition from its beginning, without a group: the broker was killed a moment ago. Its topics may not even be
    // there yet: the producer makes them when it has found the broker again.
    let end = Instant::now() + Duration::from_secs(60);
    let mut partitions = TopicPartitionList::new();
    while partitions.count() == 0 {
        assert!(Instant::now() < end, "topic {topic} does not come");
        let Ok(metadata) = consumer.fetch_metadata(Some(topic), Duration::from_secs(10)) else { continue };
        for partition in metadata.topics()[0].partitions() {
            partitions.add_partition_offset(topic, partition.id(), Offset::Beginning).unwrap();
        }
        std::thread::sleep(Duration::from_millis(100));
    }
    consumer.assign(&partitions).unwrap();
    let mut out = Vec::new();
    while Instant::now() < end && !enough(&out) {
        // Some more before the whole is looked at again.
        for _ in 0..200 {
            match consumer.poll(Duration::from_millis(100)) {
                Some(Ok(message)) => {
                    let text = |b: &[u8]| String::from_utf8_lossy(b).into_owned();
                    out.push((message.key().map(text), text(message.payload().unwrap_or_default())));
                }
                Some(Err(e)) => println!("consumer: {e}"),
                None => break,
            }
        }
    }
    out
}

#[test]
fn a_broker_killed_in_the_middle_leaves_no_gap_and_nothing_twice() {
    let Some(components) = components().filter(|c| c.join("kafka/libs").is_dir()) else {
        skip("no Apache Kafka: make components");
        return;
    };
    let dir = tempfile::tempdir().unwrap();
    let (port, _) = free_ports();
    let kafka_dir = dir.path().join("kafka");
    let mut broker = Broker::start(&components, &kafka_dir, port);
    let setup = Setup::default()
        .set("streams.kind", "kafka")
        .set("streams.brokers", &format!("127.0.0.1:{port}"))
        // Far smaller than what waits during the outage, so that the journal has to be read again.
        .set("streams.max_buffer", "1 MiB");
    let mut instance = Instance::start(&dir.path().join("data"), &setup);
    let mut sent = HashMap::new();
    let send = |instance: &Instance, sent: &mut HashMap<String, String>, requests: usize| {
        for _ in 0..requests {
            let filler = "x".repeat(400);
            let mut events: Vec<_> = (0..20).map(|_| page_view("shop", &[("page", &filler)])).collect();
            events.push(page_view("shop", &[("vid", "first")]));
            let body: Vec<_> = events.iter().map(|e| e.1.clone()).collect();
            assert_eq!(instance.post(&body), 200, "a dead broker takes no traffic away");
            for (id, event) in &events[..20] {
                sent.insert(id.clone(), event["duid"].as_str().unwrap().to_owned());
            }
        }
    };
    send(&instance, &mut sent, 20);
    let streams = |instance: &Instance| {
        let all = instance.status()["sinks"].as_array().unwrap().clone();
        all.into_iter().find(|s| s["name"] == "streams").unwrap()
    };
    let becomes = |instance: &Instance, state: &str| {
        let end = Instant::now() + Duration::from_secs(60);
        while streams(instance)["state"] != state {
            assert!(Instant::now() < end, "not {state}: {}", streams(instance));
            std::thread::sleep(Duration::from_millis(50));
        }
        streams(instance)
    };
    let end = Instant::now() + Duration::from_secs(60);
    while streams(&instance)["last_success"].is_null() {
        assert!(Instant::now() < end, "no acknowledgement: {}", streams(&instance));
        std::thread::sleep(Duration::from_millis(50));
    }
    drop(broker);
    send(&instance, &mut sent, 150);
    instance.settle();
    let away = becomes(&instance, "retrying");
    assert!(away["last_success"].is_string() && away["error"].is_string(), "{away}");
    assert!(away["retries"].as_u64() > Some(0), "{away}");
    // Restart ourselves while the broker is away: the cursor is on disk.
    assert!(instance.stop(), "{}", instance.log.lock().unwrap());
    drop(instance);
    let instance = Instance::start(&dir.path().join("data"), &setup);
    send(&instance, &mut sent, 20);
    broker = Broker::start(&components, &kafka_dir, port);
    send(&instance, &mut sent, 20);

    let id_of = |tsv: &str| tsv.split('\t').nth(6).unwrap_or_default().to_owned();
    let records = read(port, "enriched", |r| {
        r.iter().map(|(_, v)| id_of(v)).collect::<std::collections::HashSet<_>>().len() >= sent.len()
    });
    let mut seen: HashMap<String, u32> = HashMap::new();
    for (key, value) in &records {
        assert_eq!(value.split('\t').count(), 131, "{value}");
        let id = id_of(value);
        assert_eq!(key.as_deref(), sent.get(&id).map(String::as_str), "the key is domain_userid");
        *seen.entry(id).or_default() += 1;
    }
    let gap: Vec<_> = sent.keys().filter(|id| !seen.contains_key(*id)).collect();
    let state = || format!("{}\n{}", instance.status()["sinks"], instance.log.lock().unwrap());
    assert!(gap.is_empty(), "{} of {} events are not in the topic: {}", gap.len(), sent.len(), state());
    let twice = seen.values().filter(|n| **n > 1).count();
    // Our own stop is orderly and the producer idempotent; only what was under way when the broker died may be repeated by
    // the restart of this process.
    assert!(twice <= 21 * 20, "{twice} events are in the topic more than once");
    let failed = read(port, "failed", |r| r.len() >= 210);
    assert!(failed.iter().all(|(_, v)| v.contains("schema_violations")));
    assert!(failed.len() >= 210, "{} bad rows", failed.len());
    let aggregates = read(port, "aggregates", |r| r.len() > 3);
    assert!(aggregates.iter().all(|(_, v)| serde_json::from_str::<serde_json::Value>(v).is_ok()));
    assert!(!aggregates.is_empty());
    let well = becomes(&instance, "ok");
    assert!(well["last_success"].is_string() && well["retries"] == 0 && well["error"].is_null(), "{well}");
    drop(broker);
    let status = instance.status();
    assert_eq!(status["equation"]["enriched"].as_u64(), Some(sent.len() as u64), "{status}");
}
