//! The client's address: whom to believe, and what of the forwarding headers is recorded.
//!
//! The reference believes everybody's `X-Forwarded-For`, and so does the default here. With trusted hops or networks only
//! the part that trusted proxies wrote counts; and since readers downstream look into the recorded headers again, the
//! untrusted part is not recorded either.

use super::request::Request;
use super::settings::{Settings, Trusted};
use crate::net::http1::Name;
use crate::net::peer::canonical;
use std::fmt::Write as _;
use std::net::{IpAddr, SocketAddr};

/// The address of an anonymous client, and of one that a proxy does not know.
pub const UNKNOWN: &str = "unknown";

/// What was found out about the client's address.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Client {
    /// For the record.
    pub ip: IpText,
    /// What to record as `X-Forwarded-For`.
    pub forwarded: Forwarded,
}

/// What to record as `X-Forwarded-For`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Forwarded {
    /// The headers as they came.
    AsSent,
    /// Not at all, and no `Forwarded` either.
    Nothing,
    /// This instead, and no `Forwarded`.
    Only(String),
}

/// An address as text, without allocating. IPv6 in the form of RFC 5952, without brackets.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct IpText {
    len: u8,
    bytes: [u8; 46],
}

impl std::fmt::Debug for IpText {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&String::from_utf8_lossy(self.as_bytes()))
    }
}

impl IpText {
    /// The text of an address.
    pub fn of(ip: IpAddr) -> Self {
        let mut text = IpText { len: 0, bytes: [0; 46] };
        // The longest address has 45 characters, and writing into the array cannot fail otherwise.
        let _ = write!(text, "{}", canonical(ip));
        text
    }

    /// `unknown`.
    pub fn unknown() -> Self {
        let mut text = IpText { len: 0, bytes: [0; 46] };
        let _ = text.write_str(UNKNOWN);
        text
    }

    /// The bytes.
    pub fn as_bytes(&self) -> &[u8] {
        self.bytes.get(..usize::from(self.len)).unwrap_or_default()
    }
}

impl std::fmt::Write for IpText {
    fn write_str(&mut self, s: &str) -> std::fmt::Result {
        let from = usize::from(self.len);
        let room = self.bytes.get_mut(from..from + s.len()).ok_or(std::fmt::Error)?;
        room.copy_from_slice(s.as_bytes());
        self.len += s.len() as u8;
        Ok(())
    }
}

/// Finds the client's address.
pub fn client(settings: &Settings, request: &Request<'_>, anonymous: bool) -> Client {
    if anonymous {
        // The header list of an anonymous record leaves all of these out by itself.
        return Client { ip: IpText::unknown(), forwarded: Forwarded::AsSent };
    }
    let sent = request.headers.all(Name::XForwardedFor);
    match &settings.trusted {
        Trusted::Everyone => {
            Client { ip: first_of_all(sent).unwrap_or(request.peer.text), forwarded: Forwarded::AsSent }
        }
        Trusted::Hops(hops) => {
            let mut left = *hops;
            behind(request.peer.addr, sent, |_| {
                let trusted = left > 0;
                left = left.saturating_sub(1);
                trusted
            })
        }
        Trusted::Networks(networks) => {
            behind(request.peer.addr, sent, |addr| networks.iter().any(|network| network.contains(addr)))
        }
    }
}

/// The first element, if every element of every header is an address (or the word `unknown`).
fn first_of_all<'h>(headers: impl Iterator<Item = &'h [u8]>) -> Option<IpText> {
    let mut first = None;
    for element in headers.flat_map(|h| h.split(|&b| b == b',')) {
        let element = element.trim_ascii();
        let text = if element.eq_ignore_ascii_case(UNKNOWN.as_bytes()) {
            IpText::unknown()
        } else {
            IpText::of(std::str::from_utf8(element).ok()?.parse().ok()?)
        };
        first.get_or_insert(text);
    }
    first
}

/// Walks from the connection towards the client for as long as the hop that was reached is trusted.
fn behind<'h>(
    peer: IpAddr,
    headers: impl Iterator<Item = &'h [u8]> + Clone,
    mut trusted: impl FnMut(IpAddr) -> bool,
) -> Client {
    let mut elements: Vec<&[u8]> = headers.flat_map(|h| h.split(|&b| b == b',')).map(<[u8]>::trim_ascii).collect();
    let mut at = peer;
    let mut chain: Vec<IpAddr> = Vec::new();
    while trusted(at) {
        // A proxy that was trusted wrote this element; if it is no address, the proxy itself is the last that is known.
        let Some(next) = elements.pop().and_then(hop) else { break };
        at = next;
        chain.push(next);
    }
    let forwarded = match chain.split_last() {
        None => Forwarded::Nothing,
        Some((client, hops)) => {
            let mut text = client.to_string();
            hops.iter().rev().for_each(|hop| {
                let _ = write!(text, ", {hop}");
            });
            Forwarded::Only(text)
        }
    };
    Client { ip: IpText::of(at), forwarded }
}

/// An address as proxies write it: bare, with a port, in brackets.
fn hop(element: &[u8]) -> Option<IpAddr> {
    let text = std::str::from_utf8(element).ok()?;
    let addr = text
        .parse::<IpAddr>()
        .ok()
        .or_else(|| text.parse::<SocketAddr>().ok().map(|a| a.ip()))
        .or_else(|| text.strip_prefix('[')?.strip_suffix(']')?.parse().ok())?;
    Some(canonical(addr))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::Network;

    fn first(headers: &[&str]) -> Option<String> {
        first_of_all(headers.iter().map(|h| h.as_bytes())).map(|t| format!("{t:?}"))
    }

    #[test]
    fn everyone_is_believed_if_the_whole_header_parses() {
        for (headers, wanted) in [
            (&["203.0.113.9"][..], Some("203.0.113.9")),
            (&["203.0.113.9, 10.0.0.1"], Some("203.0.113.9")),
            (&["203.0.113.9", "10.0.0.1"], Some("203.0.113.9")),
            (&["2001:DB8:0:0::1"], Some("2001:db8::1")),
            (&["unknown, 10.0.0.1"], Some("unknown")),
            (&["203.0.113.9:4711"], None),
            (&["203.0.113.9, garbage"], None),
            (&["localhost"], None),
            (&[""], None),
            (&[], None),
        ] {
            assert_eq!(first(headers).as_deref(), wanted, "{headers:?}");
        }
    }

    #[test]
    fn hops_and_networks() {
        let peer: IpAddr = "10.0.0.1".parse().unwrap();
        let sent = ["6.6.6.6, 203.0.113.9:80", "[2001:db8::2], 10.0.0.2"];
        let by_hops = |hops: u32| {
            let mut left = hops;
            behind(peer, sent.iter().map(|h| h.as_bytes()), |_| {
                let trusted = left > 0;
                left = left.saturating_sub(1);
                trusted
            })
        };
        for (hops, ip, forwarded) in [
            (0, "10.0.0.1", Forwarded::Nothing),
            (1, "10.0.0.2", Forwarded::Only("10.0.0.2".to_owned())),
            (2, "2001:db8::2", Forwarded::Only("2001:db8::2, 10.0.0.2".to_owned())),
            (3, "203.0.113.9", Forwarded::Only("203.0.113.9, 2001:db8::2, 10.0.0.2".to_owned())),
            (9, "6.6.6.6", Forwarded::Only("6.6.6.6, 203.0.113.9, 2001:db8::2, 10.0.0.2".to_owned())),
        ] {
            let client = by_hops(hops);
            assert_eq!((format!("{:?}", client.ip).as_str(), client.forwarded), (ip, forwarded), "{hops}");
        }
        let networks: [Network; 2] = ["10.0.0.0/8".parse().unwrap(), "2001:db8::/32".parse().unwrap()];
        let trusted = |addr| networks.iter().any(|n| n.contains(addr));
        let client = behind(peer, sent.iter().map(|h| h.as_bytes()), trusted);
        assert_eq!(client.ip.as_bytes(), b"203.0.113.9");
        let outsider = behind("8.8.8.8".parse().unwrap(), sent.iter().map(|h| h.as_bytes()), trusted);
        assert_eq!((outsider.ip.as_bytes(), outsider.forwarded), (&b"8.8.8.8"[..], Forwarded::Nothing));
        let odd = behind(peer, [&b"1.2.3.4, oops"[..]].into_iter(), trusted);
        assert_eq!((odd.ip.as_bytes(), odd.forwarded), (&b"10.0.0.1"[..], Forwarded::Nothing));
    }
}
