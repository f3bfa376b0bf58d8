//! Our own fingerprint of an event, by which deduplication tells a tracker's retry from another event.
//!
//! It is the sum, modulo 2^128, of one XXH3 128-bit hash per parameter that has a value: the hash of the value, seeded with
//! the name. So the order in which parameters came does not matter, and nothing has to be sorted. The seed is the name itself
//! as a little-endian number where it has at most eight bytes (all of Snowplow's have), else the low half of its own hash.
//! What a tracker or the collector changes between two tries is left out. Fingerprints are stored: this may not change.

use super::params::Params;
use twox_hash::XxHash3_128;

/// Parameters that differ between two tries to send one event.
const LEFT_OUT: [&str; 4] = ["eid", "nuid", "stm", "cv"];

/// The fingerprint of a raw event.
pub(super) fn of(params: &Params<'_>) -> u128 {
    let mut sum = 0u128;
    for param in params.iter() {
        if let Some(value) = &param.value
            && !LEFT_OUT.contains(&&*param.name)
        {
            sum = sum.wrapping_add(XxHash3_128::oneshot_with_seed(seed(&param.name), value.as_bytes()));
        }
    }
    sum
}

fn seed(name: &str) -> u64 {
    let mut bytes = [0u8; 8];
    match bytes.get_mut(..name.len()) {
        Some(head) => {
            head.copy_from_slice(name.as_bytes());
            u64::from_le_bytes(bytes)
        }
        None => XxHash3_128::oneshot(name.as_bytes()) as u64,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::enrich::params::Param;

    fn of_pairs(pairs: &[(&'static str, &'static str)]) -> u128 {
        let params =
            pairs.iter().map(|(n, v)| Param { name: (*n).into(), value: Some((*v).into()) }).collect::<Vec<_>>();
        of(&Params::from_pairs(params))
    }

    #[test]
    fn a_retry_has_the_fingerprint_of_the_first_try_and_other_content_another() {
        let first = of_pairs(&[("e", "pv"), ("url", "http://a.test/"), ("eid", "1"), ("stm", "1")]);
        assert_eq!(first, of_pairs(&[("stm", "2"), ("url", "http://a.test/"), ("e", "pv"), ("eid", "1")]));
        assert_ne!(first, of_pairs(&[("e", "pv"), ("url", "http://b.test/"), ("eid", "1")]));
        assert_ne!(of_pairs(&[("a", "bc")]), of_pairs(&[("ab", "c")]));
        assert_ne!(of_pairs(&[("a", "1"), ("b", "2")]), of_pairs(&[("a", "2"), ("b", "1")]));
    }

    #[test]
    fn the_definition_does_not_change() {
        assert_eq!(of_pairs(&[("e", "pv"), ("aid", "shop")]), 125_801_358_422_226_226_469_548_410_145_037_821_921);
    }
}
