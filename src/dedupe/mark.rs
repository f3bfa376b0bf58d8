//! Giving an event with a taken id one of its own.

use crate::event::{Event, EventAddr, SchemaKey, SelfDescribing, columns};
use uuid::Uuid;

/// The id under which the event at `addr` goes on when another event has its id already: the same on every replay.
pub(super) fn own_id(journal: &Uuid, addr: EventAddr) -> Uuid {
    Uuid::new_v5(journal, addr.to_string().as_bytes())
}

/// Writes the id into the event, and the original one into a `duplicate` context.
pub(super) fn rename(event: &mut Event, own: Uuid) {
    let original = event.text(columns::EVENT_ID).unwrap_or_default();
    let data = format!("{{\"originalEventId\":\"{original}\"}}");
    event.set_text(columns::EVENT_ID, &own.hyphenated().to_string());
    let schema = SchemaKey::new("com.snowplowanalytics.snowplow", "duplicate", "jsonschema", (1, 0, 0));
    event.derived.push(SelfDescribing { schema, data: data.into() });
}
