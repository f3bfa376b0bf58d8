//! Always on: which schema the event as a whole follows.

use super::{Enrichment, StepContext};
use crate::event::columns::{EVENT, EVENT_FORMAT, EVENT_NAME, EVENT_VENDOR, EVENT_VERSION};

struct SchemaColumns;

pub(super) fn make() -> Box<dyn Enrichment> {
    Box::new(SchemaColumns)
}

impl Enrichment for SchemaColumns {
    fn identifier(&self) -> &'static str {
        "event"
    }

    fn apply(&self, cx: &mut StepContext<'_>) {
        let event = &mut *cx.event;
        match event.text(EVENT) {
            Some("page_view" | "page_ping" | "transaction" | "transaction_item") => {
                event.set_text(EVENT_VENDOR, "com.snowplowanalytics.snowplow");
                event.share_text(EVENT, EVENT_NAME);
                event.set_text(EVENT_FORMAT, "jsonschema");
                event.set_text(EVENT_VERSION, "1-0-0");
            }
            Some("struct") => {
                event.set_text(EVENT_VENDOR, "com.google.analytics");
                event.set_text(EVENT_NAME, "event");
                event.set_text(EVENT_FORMAT, "jsonschema");
                event.set_text(EVENT_VERSION, "1-0-0");
            }
            Some("unstruct") => {
                // Absent or invalid data leave the four columns empty; the invalid kind was reported before.
                if let Some(schema) = event.unstruct.as_ref().map(|u| u.schema.clone()) {
                    event.set_text(EVENT_VENDOR, schema.vendor());
                    event.set_text(EVENT_NAME, schema.name());
                    event.set_text(EVENT_FORMAT, schema.format());
                    event.set_text_with(EVENT_VERSION, |out| schema.write_version(out));
                }
            }
            other => {
                let value = other.map(str::to_owned);
                cx.fail_input("event", value.as_deref(), "an event type that has a schema");
            }
        }
    }
}
