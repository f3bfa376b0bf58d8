//! The network user id of a request, and where new ids come from.

use super::cookies;
use super::query;
use super::request::Request;
use super::settings::Settings;
use crate::net::http1::Name;
use uuid::Uuid;

/// The id of whoever asks not to be known.
pub const ANONYMOUS: Id = *b"00000000-0000-0000-0000-000000000000";

/// A UUID in its text form.
pub type Id = [u8; 36];

/// Where new ids come from.
#[derive(Debug)]
pub enum Entropy {
    /// The machine's random numbers.
    System,
    /// A counter: ids that can be foretold.
    #[cfg(test)]
    Counted(u64),
}

impl Entropy {
    /// A new id.
    pub fn id(&mut self) -> Id {
        let uuid = match self {
            Entropy::System => Uuid::new_v4(),
            #[cfg(test)]
            Entropy::Counted(n) => {
                *n += 1;
                uuid::Builder::from_random_bytes(u128::from(*n).to_be_bytes()).into_uuid()
            }
        };
        let mut id = [0; 36];
        uuid.hyphenated().encode_lower(&mut id);
        id
    }
}

/// Where an id came from.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Source {
    /// `SP-Anonymous`.
    Anonymous,
    /// Query parameter `nuid`.
    Parameter,
    /// The cookie.
    Cookie,
    /// The client was sent round and came back without cookie.
    Fallback,
    /// New.
    New,
}

/// Finds the id by the first rule that applies. What is no UUID counts as absent: downstream would refuse the whole request.
pub fn identify(settings: &Settings, request: &Request<'_>, anonymous: bool, entropy: &mut Entropy) -> (Id, Source) {
    if anonymous {
        return (ANONYMOUS, Source::Anonymous);
    }
    let query = request.target.query.unwrap_or_default();
    // Nearly always there is none, which one search tells.
    if (request.target.escaped_letters || settings.nuid.find(query).is_some())
        && let Some(id) = query::first(query, b"nuid").and_then(|v| as_id(&v))
    {
        return (id, Source::Parameter);
    }
    if let Some(id) = cookies::find(request.headers.all(Name::Cookie), &settings.cookie_name).and_then(as_id) {
        return (id, Source::Cookie);
    }
    match &settings.bounce {
        Some(bounce) if query::first(query, &bounce.param).is_some() => (bounce.fallback, Source::Fallback),
        _ => (entropy.id(), Source::New),
    }
}

/// The id, if the bytes are a UUID in its canonical form, in any case.
pub fn as_id(text: &[u8]) -> Option<Id> {
    let id: Id = text.try_into().ok()?;
    is_uuid(&id).then_some(id)
}

/// Whether the bytes are 8-4-4-4-12 hexadecimal digits.
pub fn is_uuid(text: &[u8]) -> bool {
    text.len() == 36
        && text.iter().enumerate().all(|(i, b)| match i {
            8 | 13 | 18 | 23 => *b == b'-',
            _ => b.is_ascii_hexdigit(),
        })
}

/// Whether a do-not-track cookie asks that nothing be stored.
pub fn do_not_track(settings: &Settings, request: &Request<'_>) -> bool {
    settings.dnt.as_ref().is_some_and(|(name, value)| {
        cookies::find(request.headers.all(Name::Cookie), name).is_some_and(|v| value.is_match(v))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn uuids() {
        assert!(is_uuid(b"6C1A0D9e-1b2f-4c3d-8e4f-5a6b7c8d9e0f"));
        for bad in ["", "1-1-1-1-1", "6c1a0d9e1b2f4c3d8e4f5a6b7c8d9e0f", "6c1a0d9e-1b2f-4c3d-8e4f-5a6b7c8d9e0g"] {
            assert!(!is_uuid(bad.as_bytes()), "{bad}");
        }
        let mut entropy = Entropy::System;
        let (a, b) = (entropy.id(), entropy.id());
        assert!(a != b && is_uuid(&a) && a[14] == b'4');
    }
}
