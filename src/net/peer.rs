//! Who is connected: the limits on connections, in all and per address, and sets of addresses.

use crate::pipeline::bound::Bound;
use parking_lot::Mutex;
use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::str::FromStr;
use std::sync::Arc;

/// Bounds on open connections.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ConnectionLimits {
    /// In all.
    pub total: usize,
    /// From one IPv4 address or one IPv6 /64.
    pub per_address: usize,
}

/// Why a connection is not let in.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Refused {
    /// All places are taken.
    Total,
    /// This address has as many as one may have.
    PerAddress,
}

/// Lets connections in up to the limits. Clones share the count.
#[derive(Clone, Debug)]
pub struct Gate {
    limits: ConnectionLimits,
    open: Arc<Mutex<Open>>,
}

#[derive(Debug, Default)]
struct Open {
    total: usize,
    /// The most that were inside, in all and from one address.
    highest: (usize, usize),
    by_address: HashMap<IpAddr, usize, ahash::RandomState>,
}

impl Gate {
    /// A gate with nobody inside.
    pub fn new(limits: ConnectionLimits) -> Self {
        Gate { limits, open: Arc::default() }
    }

    /// Counts a connection in.
    ///
    /// # Errors
    /// Which limit refuses it.
    pub fn enter(&self, from: IpAddr) -> Result<Pass, Refused> {
        let from = holder(from);
        let mut open = self.open.lock();
        if open.total >= self.limits.total {
            return Err(Refused::Total);
        }
        let here = open.by_address.entry(from).or_insert(0);
        if *here >= self.limits.per_address {
            if *here == 0 {
                open.by_address.remove(&from);
            }
            return Err(Refused::PerAddress);
        }
        *here += 1;
        let here = *here;
        open.total += 1;
        open.highest = (open.highest.0.max(open.total), open.highest.1.max(here));
        Ok(Pass { gate: self.clone(), from })
    }

    /// The limits as bounds of these names: in all, and of the address that has most.
    pub fn bounds(&self, [total, per_address]: [&'static str; 2]) -> [Bound; 2] {
        let open = self.open.lock();
        let one = open.by_address.values().max().copied().unwrap_or(0);
        let bound = |name, limit: usize, now: usize, highest: usize| {
            let (limit, now, highest) = (limit as u64, now as u64, highest as u64);
            Bound { name, limit, now, highest, ..Bound::default() }
        };
        [
            bound(total, self.limits.total, open.total, open.highest.0),
            bound(per_address, self.limits.per_address, one, open.highest.1),
        ]
    }

    /// Connections inside.
    pub fn open(&self) -> usize {
        self.open.lock().total
    }
}

/// One connection's place; free again when it is dropped.
#[derive(Debug)]
pub struct Pass {
    gate: Gate,
    from: IpAddr,
}

impl Drop for Pass {
    fn drop(&mut self) {
        let mut open = self.gate.open.lock();
        open.total -= 1;
        if let Some(here) = open.by_address.get_mut(&self.from) {
            *here -= 1;
            if *here == 0 {
                open.by_address.remove(&self.from);
            }
        }
    }
}

/// The address that connections are counted by: an IPv6 user owns a /64 at least, so the lower half tells nothing apart.
fn holder(addr: IpAddr) -> IpAddr {
    match canonical(addr) {
        IpAddr::V6(v6) => {
            let [a, b, c, d, ..] = v6.segments();
            IpAddr::V6(Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0))
        }
        v4 => v4,
    }
}

/// An IPv4 address that came through an IPv6 socket as the IPv4 address it is.
pub fn canonical(addr: IpAddr) -> IpAddr {
    addr.to_canonical()
}

/// A set of addresses with a common prefix: `10.0.0.0/8`, `2001:db8::/32`, or one address.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Network {
    base: IpAddr,
    prefix: u8,
}

impl Network {
    /// Whether `addr` is in it.
    pub fn contains(&self, addr: IpAddr) -> bool {
        match (self.base, canonical(addr)) {
            (IpAddr::V4(base), IpAddr::V4(addr)) => {
                let shift = 32 - u32::from(self.prefix);
                u32::from(base).checked_shr(shift) == u32::from(addr).checked_shr(shift)
            }
            (IpAddr::V6(base), IpAddr::V6(addr)) => {
                let shift = 128 - u32::from(self.prefix);
                u128::from(base).checked_shr(shift) == u128::from(addr).checked_shr(shift)
            }
            _ => false,
        }
    }
}

impl FromStr for Network {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let bad = || format!("\"{text}\" is no network: write an address or a prefix as in \"10.0.0.0/8\"");
        let (base, prefix) = match text.split_once('/') {
            Some((base, prefix)) => (base, Some(prefix)),
            None => (text, None),
        };
        let base: IpAddr = base.trim().parse().map_err(|_| bad())?;
        let most = if base.is_ipv4() { 32 } else { 128 };
        let prefix = match prefix {
            Some(p) => p.trim().parse().ok().filter(|p| *p <= most).ok_or_else(bad)?,
            None => most,
        };
        Ok(Network { base, prefix })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_gate_counts_in_all_and_per_address() {
        let gate = Gate::new(ConnectionLimits { total: 3, per_address: 2 });
        let ip = |s: &str| s.parse::<IpAddr>().unwrap();
        let a = gate.enter(ip("10.0.0.1")).unwrap();
        let _b = gate.enter(ip("::ffff:10.0.0.1")).unwrap();
        assert_eq!(gate.enter(ip("10.0.0.1")).unwrap_err(), Refused::PerAddress);
        let _c = gate.enter(ip("10.0.0.2")).unwrap();
        assert_eq!(gate.enter(ip("10.0.0.3")).unwrap_err(), Refused::Total);
        drop(a);
        assert_eq!(gate.open(), 2);
        let _d = gate.enter(ip("2001:db8::1")).unwrap();
        assert_eq!(gate.open(), 3);
    }

    #[test]
    fn one_ipv6_user_is_one_address() {
        let gate = Gate::new(ConnectionLimits { total: 9, per_address: 1 });
        let _a = gate.enter("2001:db8:1:2::1".parse().unwrap()).unwrap();
        assert!(gate.enter("2001:db8:1:2:ffff::9".parse().unwrap()).is_err());
        assert!(gate.enter("2001:db8:1:3::1".parse().unwrap()).is_ok());
    }

    #[test]
    fn networks() {
        for (network, addr, inside) in [
            ("10.0.0.0/8", "10.200.1.1", true),
            ("10.0.0.0/8", "11.0.0.1", false),
            ("10.0.0.0/8", "::ffff:10.1.1.1", true),
            ("192.0.2.7", "192.0.2.7", true),
            ("192.0.2.7", "192.0.2.8", false),
            ("0.0.0.0/0", "203.0.113.1", true),
            ("2001:db8::/32", "2001:db8:ffff::1", true),
            ("2001:db8::/32", "2001:db9::1", false),
            ("::/0", "::1", true),
            ("::/0", "10.0.0.1", false),
        ] {
            let network: Network = network.parse().unwrap();
            assert_eq!(network.contains(addr.parse().unwrap()), inside, "{network:?} {addr}");
        }
        for bad in ["", "10.0.0.0/33", "10.0.0/8", "::/129", "host"] {
            assert!(bad.parse::<Network>().is_err(), "{bad}");
        }
    }
}
