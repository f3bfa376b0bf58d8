//! Derived contexts that were checked before.
//!
//! Steps hand out the same text again and again: a user agent's context comes out of their cache. A text that was checked
//! once against the very same compiled schema need not be parsed again. Both are known by identity, and both are held while
//! they are remembered, so an address cannot come to mean something else.

use crate::schema::CompiledSchema;
use std::cell::RefCell;
use std::sync::Arc;

/// Texts that each thread remembers, by a hash of their address.
const SLOTS: usize = 256;
/// Longer texts are not kept alive for this.
const MAX_LEN: usize = 4096;

type Slot = Option<(Arc<CompiledSchema>, Arc<str>)>;

thread_local! {
    static PASSED: RefCell<Vec<Slot>> = RefCell::new(vec![None; SLOTS]);
}

fn slot(text: &Arc<str>) -> usize {
    let address = text.as_ptr() as usize as u64;
    (address.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 56) as usize % SLOTS
}

/// Whether this text passed this schema before.
pub(super) fn knows(schema: &Arc<CompiledSchema>, text: &Arc<str>) -> bool {
    PASSED.with_borrow(|slots| {
        slots
            .get(slot(text))
            .and_then(Option::as_ref)
            .is_some_and(|(s, t)| Arc::ptr_eq(s, schema) && Arc::ptr_eq(t, text))
    })
}

/// Remembers that this text, which is compact, passed this schema. Texts that nobody else holds will not come again.
pub(super) fn remember(schema: &Arc<CompiledSchema>, text: &Arc<str>) {
    if Arc::strong_count(text) > 1 && text.len() <= MAX_LEN {
        PASSED.with_borrow_mut(|slots| {
            if let Some(place) = slots.get_mut(slot(text)) {
                *place = Some((schema.clone(), text.clone()));
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::SchemaKey;
    use crate::event::json;

    #[test]
    fn a_text_is_known_by_identity_and_only_for_its_schema() {
        let schema = |document: &str| {
            let key = SchemaKey::parse("iglu:a/b/jsonschema/1-0-0").unwrap();
            Arc::new(CompiledSchema::compile(key, &json::parse(document, 9).unwrap()))
        };
        let (one, other) = (schema("{}"), schema("{}"));
        let text: Arc<str> = "{}".into();
        remember(&one, &text);
        assert!(!knows(&one, &text), "nobody else holds it");
        let held = text.clone();
        remember(&one, &text);
        assert!(knows(&one, &held));
        assert!(!knows(&other, &held) && !knows(&one, &"{}".into()));
    }
}
