//! Kafka through librdkafka: an idempotent producer that waits for ever.
//!
//! An outage shows as a full queue, never as a lost record: the message time-out is off, so a record stays queued until the
//! broker has it. Only what no retry can help (a record larger than the topic takes) is reported as refused.

use super::config::Config;
use super::{Message, Pending, StreamSink};
use parking_lot::Mutex;
use rdkafka::client::ClientContext;
use rdkafka::config::{ClientConfig, FromClientConfigAndContext, RDKafkaLogLevel};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{Header, OwnedHeaders};
use rdkafka::producer::{BaseProducer, BaseRecord, DeliveryResult, Producer, ProducerContext};
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// The header that carries where an event stands in the journal.
const ADDRESS: &str = "snowshed-address";

#[derive(Default)]
struct Context {
    trouble: Mutex<Option<String>>,
    failures: AtomicU64,
}

impl ClientContext for Context {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        tracing::debug!(?level, facility, "kafka: {message}");
    }

    fn error(&self, error: KafkaError, reason: &str) {
        tracing::debug!("kafka: {error}: {reason}");
        self.failures.fetch_add(1, Ordering::Relaxed);
        *self.trouble.lock() = Some(reason.to_owned());
    }
}

impl ProducerContext for Context {
    type DeliveryOpaque = Box<Arc<Pending>>;

    fn delivery(&self, result: &DeliveryResult<'_>, pending: Self::DeliveryOpaque) {
        match result {
            Ok(_) => {
                *self.trouble.lock() = None;
                pending.acknowledged();
            }
            // The producer is going away: nobody refused the record, it was only never acknowledged.
            Err((KafkaError::MessageProduction(RDKafkaErrorCode::PurgeQueue | RDKafkaErrorCode::PurgeInflight), _)) => {
            }
            Err((error, _)) => {
                let text = format!("a record was refused for good: {error}");
                tracing::error!("kafka: {text}");
                *self.trouble.lock() = Some(text);
                pending.refused();
            }
        }
    }
}

/// The producer.
pub struct Kafka {
    producer: BaseProducer<Context>,
}

impl Kafka {
    /// Makes the producer; it connects in the background.
    ///
    /// # Errors
    /// When librdkafka does not take the properties.
    pub fn new(config: &Config) -> io::Result<Self> {
        let mut client = ClientConfig::new();
        client
            .set("bootstrap.servers", &config.brokers)
            .set("client.id", "snowshed")
            .set("enable.idempotence", "true")
            .set("message.timeout.ms", "0")
            .set("linger.ms", "5")
            .set("queue.buffering.max.kbytes", "65536")
            .set("queue.buffering.max.messages", "100000")
            .set("topic.metadata.refresh.interval.ms", "10000")
            .set("reconnect.backoff.max.ms", "2000");
        for (key, value) in &config.properties {
            client.set(key, value);
        }
        let producer = BaseProducer::from_config_and_context(&client, Context::default())
            .map_err(|e| io::Error::new(io::ErrorKind::InvalidInput, format!("streams.properties: {e}")))?;
        Ok(Kafka { producer })
    }
}

impl StreamSink for Kafka {
    fn send(&mut self, message: &Message<'_>, pending: &Arc<Pending>) -> io::Result<bool> {
        let mut record: BaseRecord<'_, str, [u8], Box<Arc<Pending>>> =
            BaseRecord::with_opaque_to(message.topic, Box::new(pending.clone())).payload(message.value);
        if let Some(key) = message.key {
            record = record.key(key);
        }
        if let Some(address) = message.address {
            record = record.headers(OwnedHeaders::new().insert(Header { key: ADDRESS, value: Some(address) }));
        }
        pending.sent();
        match self.producer.send(record) {
            Ok(()) => Ok(true),
            Err((KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull), _)) => {
                pending.taken_back();
                Ok(false)
            }
            Err((KafkaError::MessageProduction(RDKafkaErrorCode::MessageSizeTooLarge), _)) => {
                tracing::error!(
                    address = message.address,
                    "kafka: a record is larger than message.max.bytes and is not published"
                );
                pending.refused();
                Ok(true)
            }
            Err((error, _)) => {
                pending.taken_back();
                Err(io::Error::other(error.to_string()))
            }
        }
    }

    fn poll(&mut self, time: Duration) {
        self.producer.poll(time);
    }

    fn trouble(&self) -> Option<String> {
        self.producer.client().context().trouble.lock().clone()
    }

    fn failures(&self) -> u64 {
        self.producer.client().context().failures.load(Ordering::Relaxed)
    }
}
