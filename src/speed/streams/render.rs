//! One outcome as a record: which topic, which key, which bytes.

use super::Message;
use super::config::{Config, Format, Topics};
use crate::event::{Outcome, Processed, columns, sdk_json, tsv};
use std::fmt::Write as _;

/// Renders into buffers that it keeps, so that publishing allocates nothing per event.
#[derive(Debug)]
pub struct Renderer {
    topics: Topics,
    format: Format,
    key_column: usize,
    value: String,
    address: String,
}

impl Renderer {
    /// A renderer for this configuration.
    pub fn new(config: &Config) -> Self {
        Renderer {
            topics: config.topics.clone(),
            format: config.format,
            key_column: columns::index_of(&config.partition_key).unwrap_or(columns::DOMAIN_USERID),
            value: String::new(),
            address: String::new(),
        }
    }

    /// Renders an outcome as a record, if it is to be published. Duplicates and dropped events are not.
    pub fn event<'a>(&'a mut self, item: &'a Processed) -> Option<Message<'a>> {
        self.value.clear();
        self.address.clear();
        let _ = write!(self.address, "{}", item.addr);
        let (topic, key) = match &item.outcome {
            Outcome::Enriched(event) if !self.topics.enriched.is_empty() => {
                match self.format {
                    Format::Tsv => tsv::write(event, &mut self.value),
                    Format::Json => sdk_json::write(event, sdk_json::Form::Lossy, &mut self.value),
                }
                (&self.topics.enriched, event.text(self.key_column))
            }
            Outcome::Failed(failure) if !self.topics.failed.is_empty() => {
                self.value.push_str(&failure.bad_row);
                (&self.topics.failed, failure.app_id.as_deref())
            }
            _ => return None,
        };
        Some(Message { topic, key, value: self.value.as_bytes(), address: Some(&self.address) })
    }
}
