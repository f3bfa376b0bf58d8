//! `anon_ip`: masks the end of the visitor's address.
//!
//! A privacy control fails closed: where Snowplow's reference lets odd spellings through unmasked (the hexadecimal form of a
//! mapped address, short addresses, zone ids), everything is masked here.

use super::StepConfig;
use super::config::Reader;
use crate::enrich::step::{Enrichment, StepContext};
use crate::event::{SchemaKey, columns};
use std::net::{Ipv4Addr, Ipv6Addr};

const OCTETS: usize = 4;
const SEGMENTS: usize = 8;

#[derive(Debug)]
struct AnonIp {
    key: SchemaKey,
    octets: usize,
    segments: usize,
}

/// Reads the configuration. `anonSegments` defaults to the value of `anonOctets`.
pub(super) fn build(config: &StepConfig) -> Result<Box<dyn Enrichment>, Vec<String>> {
    let mut read = Reader::new(config.parameters());
    if config.parameters().get("anonOctets").is_none() {
        read.problem("anonOctets: is missing; allowed: 1 to 4".to_owned());
    }
    let octets = read.whole("anonOctets", 1..=4).unwrap_or(4) as usize;
    let segments = read.whole("anonSegments", 1..=8).map_or(octets, |n| n as usize);
    read.finish(AnonIp { key: config.schema.clone(), octets, segments })
}

impl Enrichment for AnonIp {
    fn identifier(&self) -> &'static str {
        "anon-ip"
    }

    fn config_key(&self) -> Option<&SchemaKey> {
        Some(&self.key)
    }

    fn apply(&self, cx: &mut StepContext<'_>) {
        if let Some(masked) = cx.event.text(columns::USER_IPADDRESS).and_then(|ip| mask(ip, self.octets, self.segments))
        {
            cx.event.set_text(columns::USER_IPADDRESS, &masked);
        }
    }
}

/// The masked text; `None` when there is nothing to mask.
fn mask(ip: &str, octets: usize, segments: usize) -> Option<String> {
    if let Ok(v4) = ip.parse::<Ipv4Addr>() {
        return Some(mask_v4(v4, octets));
    }
    if let Ok(v6) = ip.parse::<Ipv6Addr>() {
        if let Some(v4) = v6.to_ipv4_mapped() {
            let prefix = if ip.starts_with("::FFFF:") { "::FFFF:" } else { "::ffff:" };
            return Some(format!("{prefix}{}", mask_v4(v4, octets)));
        }
        let groups = v6.segments();
        let parts: Vec<String> = (0..SEGMENTS)
            .map(|i| if i < SEGMENTS - segments { format!("{:x}", groups[i]) } else { "x".to_owned() })
            .collect();
        return Some(parts.join(":"));
    }
    // Not an address that can be cut in the right place; words such as "unknown" give nothing away.
    ip.contains(|c: char| c.is_ascii_digit() || c == ':').then(|| "x".to_owned())
}

fn mask_v4(ip: Ipv4Addr, octets: usize) -> String {
    let numbers = ip.octets();
    let parts: Vec<String> =
        (0..OCTETS).map(|i| if i < OCTETS - octets { numbers[i].to_string() } else { "x".to_owned() }).collect();
    parts.join(".")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_of_an_address_is_masked_and_nothing_slips_through() {
        for (ip, octets, segments, masked) in [
            ("203.0.113.77", 1, 1, "203.0.113.x"),
            ("203.0.113.77", 4, 4, "x.x.x.x"),
            ("2001:db8::8a2e:370:7334", 1, 3, "2001:db8:0:0:0:x:x:x"),
            ("2001:DB8:0:0:8:800:200C:417A", 2, 4, "2001:db8:0:0:x:x:x:x"),
            ("::1", 1, 1, "0:0:0:0:0:0:0:x"),
            ("::1", 1, 8, "x:x:x:x:x:x:x:x"),
            ("64:ff9b::192.0.2.33", 1, 2, "64:ff9b:0:0:0:0:x:x"),
            ("::FFFF:192.0.2.9", 2, 1, "::FFFF:192.0.x.x"),
            ("::ffff:192.0.2.9", 1, 1, "::ffff:192.0.2.x"),
            ("::ffff:c000:209", 1, 1, "::ffff:192.0.2.x"),
            ("300.1.2", 2, 1, "x"),
            ("fe80::1%eth0", 1, 2, "x"),
        ] {
            assert_eq!(mask(ip, octets, segments).as_deref(), Some(masked), "{ip}");
        }
        assert_eq!(mask("unknown", 1, 1), None);
    }
}
