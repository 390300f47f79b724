//! Addresses to listen on, as operators write them.

use std::{
    fmt,
    net::{IpAddr, Ipv4Addr, SocketAddr},
};

use serde::{Deserialize, Deserializer, de};

/// A text that is no address to listen on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected ADDRESS:PORT, for example 127.0.0.1:3005")]
pub struct InvalidListenAddress;

/// Parses `ADDRESS:PORT`, where the address may be `localhost`. `PORT` or `:PORT` alone means
/// 127.0.0.1, so that a service is reachable from other machines only if its address says so.
///
/// # Errors
/// [`InvalidListenAddress`] for any other text. Other names are not resolved.
pub fn parse(text: &str) -> Result<SocketAddr, InvalidListenAddress> {
    let text = text.trim();
    if let Ok(address) = text.parse() {
        return Ok(address);
    }
    let (host, port) = text.rsplit_once(':').unwrap_or(("", text));
    let port: u16 = port.parse().map_err(|_| InvalidListenAddress)?;
    if host.is_empty() || host.eq_ignore_ascii_case("localhost") {
        Ok(loopback(port))
    } else {
        Err(InvalidListenAddress)
    }
}

fn loopback(port: u16) -> SocketAddr {
    SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), port)
}

/// Deserializes an address, which may be a bare port.
pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<SocketAddr, D::Error> {
    struct Visitor;

    impl de::Visitor<'_> for Visitor {
        type Value = SocketAddr;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("ADDRESS:PORT, for example \"127.0.0.1:3005\"")
        }

        fn visit_str<E: de::Error>(self, text: &str) -> Result<SocketAddr, E> {
            parse(text).map_err(|_| E::invalid_value(de::Unexpected::Str(text), &self))
        }

        fn visit_u64<E: de::Error>(self, port: u64) -> Result<SocketAddr, E> {
            let port = u16::try_from(port).map_err(|_| E::invalid_value(de::Unexpected::Unsigned(port), &self))?;
            Ok(loopback(port))
        }

        fn visit_i64<E: de::Error>(self, port: i64) -> Result<SocketAddr, E> {
            let port = u16::try_from(port).map_err(|_| E::invalid_value(de::Unexpected::Signed(port), &self))?;
            Ok(loopback(port))
        }
    }

    deserializer.deserialize_any(Visitor)
}

/// Deserializes an address that may be unset.
pub(super) fn deserialize_optional<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<SocketAddr>, D::Error> {
    #[derive(Deserialize)]
    #[serde(transparent)]
    struct Address(#[serde(deserialize_with = "deserialize")] SocketAddr);

    Ok(Option::<Address>::deserialize(deserializer)?.map(|Address(address)| address))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_alone_means_the_loopback_address() {
        for (text, expected) in [
            ("127.0.0.1:3005", "127.0.0.1:3005"),
            ("0.0.0.0:80", "0.0.0.0:80"),
            ("[::1]:3005", "[::1]:3005"),
            ("3199", "127.0.0.1:3199"),
            (":3199", "127.0.0.1:3199"),
            ("localhost:3199", "127.0.0.1:3199"),
            ("0", "127.0.0.1:0"),
        ] {
            assert_eq!(parse(text).unwrap().to_string(), expected, "{text}");
        }
        for invalid in
            ["", "127.0.0.1", "localhost", "example.com:80", "127.0.0.1:99999", "127.0.0.1:", "a:b", "::1:80x"]
        {
            assert_eq!(parse(invalid), Err(InvalidListenAddress), "{invalid}");
        }
    }
}
