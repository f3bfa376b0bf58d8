//! `$ref`: where it points to.

use crate::event::json::Json;

/// What a reference means.
pub(super) enum Target<'j, 'a> {
    /// A place in the same document.
    Local(&'j Json<'a>),
    /// Another document: never fetched, accepts everything.
    Remote,
    /// A place that does not exist.
    Nowhere,
}

/// Follows one reference in `root`.
pub(super) fn follow<'j, 'a>(root: &'j Json<'a>, reference: &str) -> Target<'j, 'a> {
    let (base, fragment) = reference.split_once('#').unwrap_or((reference, ""));
    let own = root.get("id").and_then(Json::as_str).map(|id| id.split('#').next().unwrap_or(id));
    if !base.is_empty() && own != Some(base) {
        return Target::Remote;
    }
    let fragment = percent_encoding::percent_decode_str(fragment).decode_utf8_lossy();
    let found = match fragment.strip_prefix('/') {
        Some(pointer) => pointer.split('/').try_fold(root, |at, part| {
            let part = part.replace("~1", "/").replace("~0", "~");
            match at {
                Json::Array(items) => items.get(part.parse::<usize>().ok()?),
                other => other.get(&part),
            }
        }),
        None if fragment.is_empty() => Some(root),
        None => anchor(root, &format!("#{fragment}")),
    };
    found.map_or(Target::Nowhere, Target::Local)
}

/// The sub-schema whose `id` is `#name`.
fn anchor<'j, 'a>(at: &'j Json<'a>, id: &str) -> Option<&'j Json<'a>> {
    match at {
        Json::Object(members) => {
            if at.get("id").and_then(Json::as_str) == Some(id) {
                return Some(at);
            }
            members.iter().find_map(|(_, value)| anchor(value, id))
        }
        Json::Array(items) => items.iter().find_map(|item| anchor(item, id)),
        _ => None,
    }
}
