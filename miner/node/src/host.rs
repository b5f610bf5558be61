//! Where packets come from, as far as it is dear to have another place to send them from.

use std::net::{IpAddr, Ipv6Addr};

/// A host, as far as others can tell hosts apart: an IPv4 address, or an IPv6 network of 64 bits, within which whoever has
/// one address has all (RFC 4291, section 2.5.4). An IPv4 address inside an IPv6 one is that IPv4 address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Host(IpAddr);

impl Host {
    /// The host of an address.
    pub fn of(address: IpAddr) -> Self {
        Self(match address.to_canonical() {
            v4 @ IpAddr::V4(_) => v4,
            IpAddr::V6(v6) => IpAddr::V6(Ipv6Addr::from_bits(v6.to_bits() & !u128::from(u64::MAX))),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_is_an_ipv4_address_or_an_ipv6_network_of_64_bits() {
        let host = |text: &str| Host::of(text.parse().unwrap());
        assert_eq!(host("2001:db8::1"), host("2001:db8::ffff:1"));
        assert_ne!(host("2001:db8:0:1::1"), host("2001:db8:0:2::1"));
        assert_eq!(host("::ffff:192.0.2.1"), host("192.0.2.1"));
        assert_ne!(host("192.0.2.1"), host("192.0.2.2"));
    }
}
