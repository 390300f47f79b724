//! Networks and addresses, as they are trusted and counted.

use std::{
    fmt,
    net::{IpAddr, Ipv6Addr},
    str::FromStr,
};

use ipnet::{IpNet, Ipv4Net};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A network, or a single address. Never all of them: a list of those who are trusted that lets everybody in is a mistake.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Network(IpNet);

/// What is no network that could be meant.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadNetwork {
    #[error("{0:?} is neither an address nor a network like 10.0.0.0/8")]
    Shape(String),
    #[error("{0} is everybody: name the addresses of your proxies")]
    Everybody(String),
}

impl Network {
    /// Whether the address is in it.
    #[must_use]
    pub fn contains(&self, address: IpAddr) -> bool {
        self.0.contains(&address.to_canonical())
    }
}

impl FromStr for Network {
    type Err = BadNetwork;

    fn from_str(text: &str) -> Result<Self, BadNetwork> {
        if text == "*" {
            return Err(BadNetwork::Everybody(text.to_owned()));
        }
        let network = text.parse::<IpAddr>().map(IpNet::from).or_else(|_| text.parse::<IpNet>());
        let network = network.map_err(|_| BadNetwork::Shape(text.chars().take(60).collect()))?;
        let network = canonical(network);
        if network.prefix_len() == 0 { Err(BadNetwork::Everybody(text.to_owned())) } else { Ok(Self(network)) }
    }
}

/// A network of IPv4 that is written as one of IPv6 (RFC 4291, section 2.5.5.2) is one of IPv4: so addresses are compared.
fn canonical(network: IpNet) -> IpNet {
    let IpNet::V6(six) = network else { return network };
    let of_four = six.addr().to_ipv4_mapped().zip(six.prefix_len().checked_sub(96));
    let four = of_four.and_then(|(address, length)| Ipv4Net::new(address, length).ok());
    four.map_or(network, IpNet::V4)
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl Serialize for Network {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Network {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

/// The header by which proxies name their clients. Only one is read: a proxy that writes one passes the other through.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ForwardedHeader {
    #[default]
    XForwardedFor,
    /// RFC 7239.
    Forwarded,
}

/// By what an address is counted: one of IPv6 by its first 64 bits, because whoever has one of those has them all.
#[must_use]
pub fn counted_by(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V4(address) => IpAddr::V4(address),
        IpAddr::V6(address) => IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() & !u128::from(u64::MAX))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everybody_is_no_network() {
        for wrong in ["*", "0.0.0.0/0", "::/0", "0.0.0.0/00", "::ffff:0:0/96", "10.0.0.0/33", "proxy.example", ""] {
            assert!(wrong.parse::<Network>().is_err(), "{wrong}");
        }
        let mapped: Network = "::ffff:10.0.0.0/104".parse().unwrap();
        assert!(mapped.contains("10.1.2.3".parse().unwrap()) && !mapped.contains("11.0.0.1".parse().unwrap()));
        for right in ["127.0.0.1", "10.0.0.0/8", "::1", "fd00::/8", "192.0.2.7/32"] {
            assert!(right.parse::<Network>().is_ok(), "{right}");
        }
    }

    #[test]
    fn addresses_of_ipv6_are_counted_by_their_64_bits() {
        let counted = |text: &str| counted_by(text.parse().unwrap()).to_string();
        assert_eq!(counted("2001:db8:1:2:3:4:5:6"), "2001:db8:1:2::");
        assert_eq!(counted("2001:db8:1:2::ffff"), counted("2001:db8:1:2:9::"));
        assert_ne!(counted("2001:db8:1:2::"), counted("2001:db8:1:3::"));
        assert_eq!((counted("192.0.2.1"), counted("::ffff:192.0.2.1")), ("192.0.2.1".into(), "192.0.2.1".into()));
    }
}
