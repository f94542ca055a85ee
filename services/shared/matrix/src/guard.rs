//! Which addresses we connect to: nobody can make us talk to a network that is not public.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::IpNet;
use url::{Host, Url};

/// An address, or a whole URL, that we do not connect to.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("connecting to {0} is refused")]
pub struct Refused(pub String);

/// Which addresses may be connected to.
#[derive(Debug, Clone, Default)]
pub struct AddressPolicy {
    allow: Vec<IpNet>,
    deny: Vec<IpNet>,
}

impl AddressPolicy {
    /// All public addresses but `deny`, and those of `allow` whatever else is said.
    pub fn new(allow: Vec<IpNet>, deny: Vec<IpNet>) -> Self {
        Self { allow, deny }
    }

    /// Whether this address may be connected to.
    pub fn permits(&self, address: IpAddr) -> bool {
        let within = |ranges: &[IpNet]| ranges.iter().any(|range| range.contains(&address));
        if within(&self.allow) {
            return true;
        }
        if within(&self.deny) {
            return false;
        }
        match address {
            IpAddr::V4(address) => is_public_v4(address),
            IpAddr::V6(address) => {
                is_public_v6(address) && embedded_v4(address).into_iter().all(|inner| self.permits(inner.into()))
            }
        }
    }

    /// Refuses an address that may not be connected to.
    pub fn check(&self, address: IpAddr) -> Result<(), Refused> {
        if self.permits(address) { Ok(()) } else { Err(Refused(address.to_string())) }
    }

    /// Refuses a URL whose host is an address, however it is spelled, that may not be
    /// connected to. Resolvers are not asked about those.
    pub fn check_literal(&self, url: &Url) -> Result<(), Refused> {
        let address = match url.host() {
            Some(Host::Ipv4(address)) => IpAddr::V4(address),
            Some(Host::Ipv6(address)) => IpAddr::V6(address),
            Some(Host::Domain(_)) => return Ok(()),
            None => return Err(Refused(url.to_string())),
        };
        self.check(address)
    }
}

/// IPv4 ranges that are not public.
const NOT_PUBLIC_V4: [(Ipv4Addr, u32); 15] = [
    (Ipv4Addr::UNSPECIFIED, 8),
    (Ipv4Addr::new(10, 0, 0, 0), 8),
    (Ipv4Addr::new(100, 64, 0, 0), 10),
    (Ipv4Addr::new(127, 0, 0, 0), 8),
    (Ipv4Addr::new(169, 254, 0, 0), 16),
    (Ipv4Addr::new(172, 16, 0, 0), 12),
    (Ipv4Addr::new(192, 0, 0, 0), 24),
    (Ipv4Addr::new(192, 0, 2, 0), 24),
    (Ipv4Addr::new(192, 88, 99, 0), 24),
    (Ipv4Addr::new(192, 168, 0, 0), 16),
    (Ipv4Addr::new(198, 18, 0, 0), 15),
    (Ipv4Addr::new(198, 51, 100, 0), 24),
    (Ipv4Addr::new(203, 0, 113, 0), 24),
    (Ipv4Addr::new(224, 0, 0, 0), 4),
    (Ipv4Addr::new(240, 0, 0, 0), 4),
];

/// IPv6 ranges that are not public and hold no IPv4 address.
const NOT_PUBLIC_V6: [(Ipv6Addr, u32); 13] = [
    (Ipv6Addr::new(0x64, 0xff9b, 1, 0, 0, 0, 0, 0), 48),
    (Ipv6Addr::new(0x100, 0, 0, 0, 0, 0, 0, 0), 64),
    (Ipv6Addr::new(0x100, 0, 0, 1, 0, 0, 0, 0), 64),
    (Ipv6Addr::new(0x2001, 2, 0, 0, 0, 0, 0, 0), 48),
    (Ipv6Addr::new(0x2001, 0x10, 0, 0, 0, 0, 0, 0), 28),
    (Ipv6Addr::new(0x2001, 0x20, 0, 0, 0, 0, 0, 0), 28),
    (Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 0), 32),
    (Ipv6Addr::new(0x3fff, 0, 0, 0, 0, 0, 0, 0), 20),
    (Ipv6Addr::new(0x5f00, 0, 0, 0, 0, 0, 0, 0), 16),
    (Ipv6Addr::new(0xfc00, 0, 0, 0, 0, 0, 0, 0), 7),
    (Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 0), 10),
    (Ipv6Addr::new(0xfec0, 0, 0, 0, 0, 0, 0, 0), 10),
    (Ipv6Addr::new(0xff00, 0, 0, 0, 0, 0, 0, 0), 8),
];

fn is_public_v4(address: Ipv4Addr) -> bool {
    !NOT_PUBLIC_V4.iter().any(|(base, length)| (address.to_bits() ^ base.to_bits()) >> (32 - length) == 0)
}

fn is_public_v6(address: Ipv6Addr) -> bool {
    !NOT_PUBLIC_V6.iter().any(|(base, length)| (address.to_bits() ^ base.to_bits()) >> (128 - length) == 0)
}

/// The IPv4 addresses that packets to an IPv6 address of a transition range end up at.
/// `::` and `::1` fall among them as `0.0.0.0` and `0.0.0.1`, which are not public.
fn embedded_v4(address: Ipv6Addr) -> Vec<Ipv4Addr> {
    let segments = address.segments();
    let v4 = |at: usize| {
        let [[a, b], [c, d]] = [segments[at].to_be_bytes(), segments[at + 1].to_be_bytes()];
        Ipv4Addr::new(a, b, c, d)
    };
    match segments {
        // Mapped, compatible (deprecated), NAT64.
        [0, 0, 0, 0, 0, 0xffff | 0, ..] | [0x64, 0xff9b, 0, 0, 0, 0, ..] => vec![v4(6)],
        // Teredo: the relay's, and the client's with every bit turned.
        [0x2001, 0, ..] => vec![v4(2), Ipv4Addr::from_bits(!v4(6).to_bits())],
        [0x2002, ..] => vec![v4(1)],
        _ => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn permits(policy: &AddressPolicy, address: &str) -> bool {
        policy.permits(address.parse().unwrap())
    }

    #[test]
    fn addresses_that_are_not_public_are_refused() {
        let policy = AddressPolicy::default();
        for address in [
            "0.0.0.0",
            "0.1.2.3",
            "10.0.0.1",
            "100.64.0.1",
            "100.127.255.255",
            "127.0.0.1",
            "169.254.169.254",
            "172.16.0.1",
            "172.31.255.255",
            "192.0.0.1",
            "192.0.2.1",
            "192.88.99.1",
            "192.168.1.1",
            "198.18.0.1",
            "198.19.255.255",
            "198.51.100.1",
            "203.0.113.1",
            "224.0.0.1",
            "239.255.255.255",
            "240.0.0.1",
            "255.255.255.255",
            "::",
            "::1",
            "::ffff:127.0.0.1",
            "::127.0.0.1",
            "64:ff9b::10.0.0.1",
            "64:ff9b:1::1",
            "100::1",
            "2001:0:808:808:0:0:f5ff:fffe",
            "2001:0:a00:1::",
            "100:0:0:1::1",
            "2001:2::1",
            "2001:10::1",
            "2001:2f:ffff::1",
            "2001:db8::1",
            "3fff:fff::1",
            "5f00::1",
            "2002:7f00:1::",
            "fc00::1",
            "fdff::1",
            "fe80::1",
            "febf::1",
            "fec0::1",
            "ff02::1",
        ] {
            assert!(!permits(&policy, address), "{address}");
        }
    }

    #[test]
    fn public_addresses_are_permitted_in_every_wrapping() {
        let policy = AddressPolicy::default();
        for address in [
            "1.1.1.1",
            "100.63.255.255",
            "100.128.0.1",
            "172.15.0.1",
            "172.32.0.1",
            "198.17.0.1",
            "198.20.0.1",
            "223.255.255.255",
            "2606:4700::1111",
            "2001:4860::8888",
            "::ffff:8.8.8.8",
            "64:ff9b::8.8.8.8",
            "2002:808:808::1",
            "2001:0:808:808:0:0:f7f7:f7f7",
        ] {
            assert!(permits(&policy, address), "{address}");
        }
    }

    #[test]
    fn the_operator_adds_ranges_and_allowed_ones_win() {
        let ranges = |text: &str| vec![text.parse::<IpNet>().unwrap()];
        let policy = AddressPolicy::new(ranges("10.1.0.0/16"), ranges("10.0.0.0/7"));
        assert!(permits(&policy, "10.1.2.3") && permits(&policy, "::ffff:10.1.2.3"));
        assert!(!permits(&policy, "10.2.0.1") && !permits(&policy, "11.0.0.1") && !permits(&policy, "::ffff:11.0.0.1"));
    }

    #[test]
    fn addresses_in_urls_are_seen_in_every_spelling() {
        let policy = AddressPolicy::default();
        for host in
            ["127.0.0.1", "127.1", "0x7f.1", "2130706433", "0177.0.0.1", "[::1]", "[::ffff:7f00:1]", "127.0.0.1."]
        {
            let url: Url = format!("https://{host}:8448/x").parse().unwrap();
            assert!(policy.check_literal(&url).is_err(), "{host}");
        }
        for host in ["8.8.8.8", "[2606:4700::1111]", "localhost", "a.example"] {
            assert_eq!(policy.check_literal(&format!("https://{host}/").parse().unwrap()), Ok(()), "{host}");
        }
    }
}
