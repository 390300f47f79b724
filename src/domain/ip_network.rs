//! IP networks of trusted proxies and of tokens, and the addresses that rate limits use as keys.

use std::{
    fmt,
    net::{IpAddr, Ipv6Addr},
    str::FromStr,
};

use ipnet::{IpNet, Ipv4Net};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// An IP network or a single address. Never the network of all addresses: a list of trusted
/// networks that contains it is a mistake.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct IpNetwork(IpNet);

/// The error of parsing an [`IpNetwork`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidIpNetwork {
    #[error("{0:?} is neither an IP address nor a network such as 10.0.0.0/8")]
    Syntax(String),
    #[error("{0} matches all addresses; list the addresses of your proxies instead")]
    MatchesAllAddresses(String),
}

impl IpNetwork {
    /// Returns whether the network contains an address. An IPv4-mapped IPv6 address counts as IPv4.
    #[must_use]
    pub fn contains(&self, address: IpAddr) -> bool {
        self.0.contains(&address.to_canonical())
    }

    /// Returns whether the network contains every address of another one.
    #[must_use]
    pub fn contains_network(&self, other: Self) -> bool {
        self.0.contains(&other.0)
    }

    /// Returns the first address of the network.
    #[must_use]
    pub fn first_address(&self) -> IpAddr {
        self.0.network()
    }

    /// Returns whether the address has bits beyond the length of the prefix, as in 10.0.0.1/8.
    #[must_use]
    pub fn has_host_bits(&self) -> bool {
        self.0.trunc() != self.0
    }

    /// Returns the network without the bits beyond the length of the prefix.
    #[must_use]
    pub fn without_host_bits(&self) -> Self {
        Self(self.0.trunc())
    }
}

impl FromStr for IpNetwork {
    type Err = InvalidIpNetwork;

    fn from_str(text: &str) -> Result<Self, InvalidIpNetwork> {
        if text == "*" {
            return Err(InvalidIpNetwork::MatchesAllAddresses(text.to_owned()));
        }
        let network = text.parse::<IpAddr>().map(IpNet::from).or_else(|_| text.parse::<IpNet>());
        let network = network.map_err(|_| InvalidIpNetwork::Syntax(text.chars().take(60).collect()))?;
        let network = canonicalize(network);
        if network.prefix_len() == 0 {
            Err(InvalidIpNetwork::MatchesAllAddresses(text.to_owned()))
        } else {
            Ok(Self(network))
        }
    }
}

/// Converts a network of IPv4-mapped IPv6 addresses (RFC 4291, section 2.5.5.2) to IPv4, because
/// addresses are compared in their canonical form.
fn canonicalize(network: IpNet) -> IpNet {
    let IpNet::V6(v6_network) = network else { return network };
    let mapped = v6_network.addr().to_ipv4_mapped().zip(v6_network.prefix_len().checked_sub(96));
    let v4_network = mapped.and_then(|(address, length)| Ipv4Net::new(address, length).ok());
    v4_network.map_or(network, IpNet::V4)
}

impl fmt::Display for IpNetwork {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl Serialize for IpNetwork {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for IpNetwork {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

/// The header in which proxies report the client address. Only one is read: a proxy that writes one
/// of them passes the other through unchanged.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ForwardedHeader {
    #[default]
    XForwardedFor,
    /// RFC 7239.
    Forwarded,
}

/// Returns the address that rate limits count a client by. IPv6 addresses are reduced to their
/// first 64 bits, because a client that has one address of a /64 network has all of them.
#[must_use]
pub fn rate_limit_key(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V4(address) => IpAddr::V4(address),
        IpAddr::V6(address) => IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() & !u128::from(u64::MAX))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn networks_of_all_addresses_and_invalid_ones_are_rejected() {
        for invalid in ["*", "0.0.0.0/0", "::/0", "0.0.0.0/00", "::ffff:0:0/96", "10.0.0.0/33", "proxy.example", ""] {
            assert!(invalid.parse::<IpNetwork>().is_err(), "{invalid}");
        }
        for valid in ["127.0.0.1", "10.0.0.0/8", "::1", "fd00::/8", "192.0.2.7/32"] {
            assert!(valid.parse::<IpNetwork>().is_ok(), "{valid}");
        }
    }

    #[test]
    fn an_ipv4_mapped_network_contains_ipv4_addresses() {
        let mapped: IpNetwork = "::ffff:10.0.0.0/104".parse().unwrap();
        assert!(mapped.contains("10.1.2.3".parse().unwrap()));
        assert!(!mapped.contains("11.0.0.1".parse().unwrap()));
    }

    #[test]
    fn ipv6_clients_are_counted_by_their_first_64_bits() {
        let key = |text: &str| rate_limit_key(text.parse().unwrap()).to_string();
        assert_eq!(key("2001:db8:1:2:3:4:5:6"), "2001:db8:1:2::");
        assert_eq!(key("2001:db8:1:2::ffff"), key("2001:db8:1:2:9::"));
        assert_ne!(key("2001:db8:1:2::"), key("2001:db8:1:3::"));
        assert_eq!(key("192.0.2.1"), "192.0.2.1");
        assert_eq!(key("::ffff:192.0.2.1"), "192.0.2.1");
    }
}
