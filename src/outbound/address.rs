//! The rule that decides which addresses may be connected to.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::{Ipv4Net, Ipv6Net};

/// The kinds of addresses that may be connected to. The default allows only globally routable ones.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AddressPolicy {
    /// Allows private (RFC 1918), unique-local (RFC 4193) and loopback addresses as well.
    pub allow_private: bool,
}

/// The reason why an address may not be connected to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AddressRejection {
    #[error("the address is private or loopback; the operator can allow such addresses with outbound.allow_private")]
    Private,
    #[error("the address is not globally routable, or reserved")]
    NotRoutable,
}

/// The class of an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum AddressClass {
    Global,
    /// Private, unique-local or loopback.
    Private,
    /// Link-local, multicast, unspecified, reserved, or the metadata service of a cloud.
    Forbidden,
}

use AddressClass::{Forbidden, Private};

const fn v4(a: u8, b: u8, c: u8, d: u8, length: u8) -> Ipv4Net {
    Ipv4Net::new_assert(Ipv4Addr::new(a, b, c, d), length)
}

const fn v6(segments: [u16; 4], length: u8) -> Ipv6Net {
    let [a, b, c, d] = segments;
    Ipv6Net::new_assert(Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0), length)
}

/// The networks that are not globally routable, from the IANA IPv4 special-purpose address registry.
/// The first one that contains an address decides.
const V4_NETWORKS: [(Ipv4Net, AddressClass); 16] = [
    (v4(10, 0, 0, 0, 8), Private),
    (v4(127, 0, 0, 0, 8), Private),
    (v4(172, 16, 0, 0, 12), Private),
    (v4(192, 168, 0, 0, 16), Private),
    (v4(0, 0, 0, 0, 8), Forbidden),
    // Shared address space (RFC 6598).
    (v4(100, 64, 0, 0, 10), Forbidden),
    // A service of the host, in one cloud.
    (v4(168, 63, 129, 16, 32), Forbidden),
    (v4(169, 254, 0, 0, 16), Forbidden),
    (v4(192, 0, 0, 0, 24), Forbidden),
    (v4(192, 0, 2, 0, 24), Forbidden),
    (v4(192, 88, 99, 0, 24), Forbidden),
    (v4(198, 18, 0, 0, 15), Forbidden),
    (v4(198, 51, 100, 0, 24), Forbidden),
    (v4(203, 0, 113, 0, 24), Forbidden),
    (v4(224, 0, 0, 0, 4), Forbidden),
    (v4(240, 0, 0, 0, 4), Forbidden),
];

/// As [`V4_NETWORKS`], for IPv6 (RFC 4291 and the IANA registry). Addresses outside 2000::/3 that no
/// row contains are not routable either.
const V6_NETWORKS: [(Ipv6Net, AddressClass); 7] = [
    (Ipv6Net::new_assert(Ipv6Addr::LOCALHOST, 128), Private),
    // Metadata services of clouds in unique-local networks.
    (v6([0xfd00, 0xec2, 0, 0], 32), Forbidden),
    (v6([0xfd20, 0xce, 0, 0], 32), Forbidden),
    (v6([0xfc00, 0, 0, 0], 7), Private),
    // Protocol assignments, with Teredo and ORCHID.
    (v6([0x2001, 0, 0, 0], 23), Forbidden),
    (v6([0x2001, 0xdb8, 0, 0], 32), Forbidden),
    (v6([0x3fff, 0, 0, 0], 20), Forbidden),
];

/// The IPv6 addresses that are allocated for global use.
const GLOBAL_UNICAST: Ipv6Net = v6([0x2000, 0, 0, 0], 3);
/// NAT64 (RFC 6052): the IPv4 address is in the last 32 bits.
const NAT64: Ipv6Net = v6([0x64, 0xff9b, 0, 0], 96);
/// 6to4 (RFC 3056): the IPv4 address is in the 32 bits after the first 16.
const SIX_TO_FOUR: Ipv6Net = v6([0x2002, 0, 0, 0], 16);

impl AddressPolicy {
    /// Checks an address. An IPv4 address inside an IPv6 one (mapped, NAT64, 6to4) is checked as IPv4.
    ///
    /// # Errors
    /// [`AddressRejection`] if the address may not be connected to.
    pub fn check(self, address: IpAddr) -> Result<(), AddressRejection> {
        match classify(address) {
            AddressClass::Global => Ok(()),
            Private if self.allow_private => Ok(()),
            Private => Err(AddressRejection::Private),
            Forbidden => Err(AddressRejection::NotRoutable),
        }
    }
}

fn classify(address: IpAddr) -> AddressClass {
    match address {
        IpAddr::V4(address) => classify_v4(address),
        IpAddr::V6(address) => embedded_v4(address).map_or_else(|| classify_v6(address), classify_v4),
    }
}

fn classify_v4(address: Ipv4Addr) -> AddressClass {
    let found = V4_NETWORKS.iter().find(|(network, _)| network.contains(&address));
    found.map_or(AddressClass::Global, |(_, class)| *class)
}

fn classify_v6(address: Ipv6Addr) -> AddressClass {
    let found = V6_NETWORKS.iter().find(|(network, _)| network.contains(&address));
    let otherwise = if GLOBAL_UNICAST.contains(&address) { AddressClass::Global } else { Forbidden };
    found.map_or(otherwise, |(_, class)| *class)
}

/// Returns the IPv4 address that packets to an IPv6 address finally reach.
fn embedded_v4(address: Ipv6Addr) -> Option<Ipv4Addr> {
    let [.., a, b, c, d] = address.octets();
    if let Some(mapped) = address.to_ipv4_mapped() {
        return Some(mapped);
    }
    if NAT64.contains(&address) {
        return Some(Ipv4Addr::new(a, b, c, d));
    }
    let [_, _, a, b, c, d, ..] = address.octets();
    SIX_TO_FOUR.contains(&address).then(|| Ipv4Addr::new(a, b, c, d))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Each address with its class, by the registries of IANA.
    const TABLE: &[(&str, AddressClass)] = &[
        ("1.1.1.1", AddressClass::Global),
        ("9.255.255.255", AddressClass::Global),
        ("11.0.0.0", AddressClass::Global),
        ("100.63.255.255", AddressClass::Global),
        ("100.128.0.0", AddressClass::Global),
        ("126.255.255.255", AddressClass::Global),
        ("128.0.0.0", AddressClass::Global),
        ("169.253.255.255", AddressClass::Global),
        ("169.255.0.0", AddressClass::Global),
        ("172.15.255.255", AddressClass::Global),
        ("172.32.0.0", AddressClass::Global),
        ("192.167.255.255", AddressClass::Global),
        ("192.169.0.0", AddressClass::Global),
        ("198.17.255.255", AddressClass::Global),
        ("198.20.0.0", AddressClass::Global),
        ("223.255.255.255", AddressClass::Global),
        ("2606:4700:4700::1111", AddressClass::Global),
        ("2001:4860:4860::8888", AddressClass::Global),
        ("2a00::1", AddressClass::Global),
        ("::ffff:1.1.1.1", AddressClass::Global),
        ("64:ff9b::1.1.1.1", AddressClass::Global),
        ("2002:101:101::1", AddressClass::Global),
        ("10.0.0.0", Private),
        ("10.255.255.255", Private),
        ("127.0.0.1", Private),
        ("127.255.255.254", Private),
        ("172.16.0.1", Private),
        ("172.31.255.255", Private),
        ("192.168.0.1", Private),
        ("192.168.255.255", Private),
        ("::1", Private),
        ("fc00::1", Private),
        ("fdff:ffff::1", Private),
        ("::ffff:127.0.0.1", Private),
        ("::ffff:10.1.2.3", Private),
        ("64:ff9b::10.1.2.3", Private),
        ("64:ff9b::7f00:1", Private),
        ("2002:7f00:1::", Private),
        ("2002:c0a8:101::1", Private),
        ("0.0.0.0", Forbidden),
        ("0.1.2.3", Forbidden),
        ("100.64.0.1", Forbidden),
        ("100.100.100.200", Forbidden),
        ("168.63.129.16", Forbidden),
        ("169.254.0.1", Forbidden),
        ("169.254.169.254", Forbidden),
        ("169.254.255.255", Forbidden),
        ("192.0.0.1", Forbidden),
        ("192.0.0.192", Forbidden),
        ("192.0.2.1", Forbidden),
        ("192.88.99.1", Forbidden),
        ("198.18.0.1", Forbidden),
        ("198.19.255.255", Forbidden),
        ("198.51.100.1", Forbidden),
        ("203.0.113.1", Forbidden),
        ("224.0.0.1", Forbidden),
        ("239.255.255.255", Forbidden),
        ("240.0.0.1", Forbidden),
        ("255.255.255.255", Forbidden),
        ("::", Forbidden),
        ("::2", Forbidden),
        ("::127.0.0.1", Forbidden),
        ("::ffff:0.0.0.0", Forbidden),
        ("::ffff:169.254.169.254", Forbidden),
        ("::ffff:0:7f00:1", Forbidden),
        ("64:ff9b::169.254.169.254", Forbidden),
        ("64:ff9b::224.0.0.1", Forbidden),
        ("64:ff9b:1::1", Forbidden),
        ("2002:a9fe:a9fe::1", Forbidden),
        ("2002:e000:1::1", Forbidden),
        ("100::1", Forbidden),
        ("2001::1", Forbidden),
        ("2001:0:a00:1::1", Forbidden),
        ("2001:20::1", Forbidden),
        ("2001:db8::1", Forbidden),
        ("3fff::1", Forbidden),
        ("4000::1", Forbidden),
        ("5f00::1", Forbidden),
        ("fd00:ec2::254", Forbidden),
        ("fd20:ce::254", Forbidden),
        ("fe80::1", Forbidden),
        ("febf::1", Forbidden),
        ("fec0::1", Forbidden),
        ("ff02::1", Forbidden),
        ("ff0e::1", Forbidden),
    ];

    #[test]
    fn only_globally_routable_addresses_are_allowed_and_private_ones_on_demand() {
        let (default, private) = (AddressPolicy::default(), AddressPolicy { allow_private: true });
        for (text, class) in TABLE {
            let address: IpAddr = text.parse().unwrap();
            assert_eq!(classify(address), *class, "{text}");
            assert_eq!(default.check(address).is_ok(), *class == AddressClass::Global, "{text}");
            assert_eq!(private.check(address).is_ok(), *class != Forbidden, "{text}");
        }
    }
}
