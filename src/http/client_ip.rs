//! The client IP address of a request: the peer of the connection, or the client that a trusted
//! proxy names in a forwarding header.

use std::{
    net::{IpAddr, Ipv4Addr, SocketAddr},
    sync::Once,
};

use axum::http::{HeaderMap, HeaderName, header::FORWARDED};

use crate::{
    domain::{
        event::RequestContext,
        ip_network::{ForwardedHeader, IpNetwork},
        session::UserAgent,
    },
    http::request_id::RequestId,
};

const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

/// The IP address of the peer of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PeerAddr(pub IpAddr);

/// The proxies whose forwarding header determines the client address.
#[derive(Clone, Debug, Default)]
pub struct TrustedProxies {
    networks: Vec<IpNetwork>,
    header: ForwardedHeader,
}

impl TrustedProxies {
    /// Creates the list of trusted networks and the header that their proxies write.
    #[must_use]
    pub fn new(trusted: &[IpNetwork], header: ForwardedHeader) -> Self {
        Self { networks: trusted.to_vec(), header }
    }

    /// Returns whether an address belongs to a trusted proxy.
    #[must_use]
    pub fn contains(&self, address: IpAddr) -> bool {
        self.networks.iter().any(|network| network.contains(address))
    }

    /// Returns the client's address: the rightmost hop that is not a trusted proxy.
    ///
    /// Hops further left can be forged by the client. If a hop is not a valid address, the hop to
    /// its right is returned.
    #[must_use]
    pub fn client_ip(&self, peer: IpAddr, headers: &HeaderMap) -> IpAddr {
        let mut client = peer.to_canonical();
        if !self.contains(client) {
            if self.is_unlisted_proxy(client, headers) {
                warn_about_unlisted_proxy(client);
            }
            return client;
        }
        let hops: Vec<Option<IpAddr>> = match self.header {
            ForwardedHeader::XForwardedFor => list_elements(headers, &X_FORWARDED_FOR).map(parse_hop).collect(),
            ForwardedHeader::Forwarded => list_elements(headers, &FORWARDED).map(parse_forwarded_for).collect(),
        };
        for hop in hops.into_iter().rev() {
            let Some(hop) = hop else { break };
            client = hop;
            if !self.contains(client) {
                break;
            }
        }
        client
    }

    /// Returns the context of a request for the audit log: address, user agent and request ID.
    #[must_use]
    pub(crate) fn request_context(
        &self,
        peer: Option<PeerAddr>,
        headers: &HeaderMap,
        id: &RequestId,
    ) -> RequestContext {
        let user_agent = headers.get(axum::http::header::USER_AGENT).and_then(|value| value.to_str().ok());
        RequestContext {
            user_agent: user_agent.map(UserAgent::from_header).unwrap_or_default(),
            request_id: id.as_str().to_owned(),
            ..self.client_context(peer, headers)
        }
    }

    /// Returns the context of a request with the client address only, without the fields that only
    /// events need.
    #[must_use]
    pub(crate) fn client_context(&self, peer: Option<PeerAddr>, headers: &HeaderMap) -> RequestContext {
        let Some(PeerAddr(peer)) = peer else { return RequestContext::default() };
        let peer = peer.to_canonical();
        let address = self.client_ip(peer, headers);
        // If the client address is the proxy's own, many clients share it: the header is missing,
        // or `listen.forwarded_header` is set to the other header.
        let is_client_ip_shared = address == peer && (self.contains(peer) || self.is_unlisted_proxy(peer, headers));
        RequestContext { client_ip: Some(address), is_client_ip_shared, ..RequestContext::default() }
    }

    /// Returns whether a peer appears to be a proxy that is missing from `listen.trusted_proxies`:
    /// it sends a forwarding header from a private address. At a public address the header proves
    /// nothing, because every client can send it.
    fn is_unlisted_proxy(&self, peer: IpAddr, headers: &HeaderMap) -> bool {
        let forwards = headers.contains_key(X_FORWARDED_FOR) || headers.contains_key(FORWARDED);
        forwards && is_private_network(peer) && !self.contains(peer)
    }
}

/// Returns whether the only hop in the forwarding headers is this address.
#[must_use]
pub(crate) fn names_only(headers: &HeaderMap, address: IpAddr) -> bool {
    let x_forwarded_for = list_elements(headers, &X_FORWARDED_FOR).map(parse_hop);
    let mut hops = x_forwarded_for.chain(list_elements(headers, &FORWARDED).map(parse_forwarded_for));
    hops.next() == Some(Some(address.to_canonical())) && hops.next().is_none()
}

/// Returns whether an address is a loopback, private, link-local or carrier-grade NAT address.
fn is_private_network(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => {
            // RFC 6598. Clouds assign these addresses to containers.
            let is_carrier_grade = address.to_bits() >> 22 == Ipv4Addr::new(100, 64, 0, 0).to_bits() >> 22;
            address.is_loopback() || address.is_private() || address.is_link_local() || is_carrier_grade
        }
        IpAddr::V6(address) => address.is_loopback() || address.is_unique_local() || address.is_unicast_link_local(),
    }
}

/// Logs once per process that clients behind a proxy share one address.
fn warn_about_unlisted_proxy(peer: IpAddr) {
    static WARNED: Once = Once::new();
    WARNED.call_once(|| {
        tracing::warn!(
            %peer,
            "received a forwarding header from a proxy that is not in listen.trusted_proxies; its clients have no known \
             address: their tokens with allowed networks do not authenticate, limits per address do not apply, and \
             events record the proxy's address"
        );
    });
}

/// Returns the elements of a list header, in order, across all its fields (RFC 9110, section 5.3).
///
/// An element that is not UTF-8 becomes `?`, which is not a valid address. The other elements of
/// the field remain usable, because a proxy appends to the value that the client sent.
fn list_elements<'a>(headers: &'a HeaderMap, name: &HeaderName) -> impl Iterator<Item = &'a str> + use<'a> {
    let fields = headers.get_all(name).into_iter().flat_map(|field| field.as_bytes().split(|byte| *byte == b','));
    fields.map(|element| std::str::from_utf8(element).unwrap_or("?"))
}

/// Parses an IP address with an optional port. IPv6 addresses may be in brackets.
fn parse_hop(text: &str) -> Option<IpAddr> {
    let text = text.trim();
    let bare = text.strip_prefix('[').and_then(|text| text.strip_suffix(']')).unwrap_or(text);
    let address: IpAddr = match bare.parse() {
        Ok(address) => address,
        Err(_) => text.parse::<SocketAddr>().ok()?.ip(),
    };
    Some(address.to_canonical())
}

/// Parses the `for` parameter of one `Forwarded` element (RFC 7239, section 4). Returns `None` for
/// obfuscated identifiers.
fn parse_forwarded_for(element: &str) -> Option<IpAddr> {
    let pairs = element.split(';').filter_map(|pair| pair.trim().split_once('='));
    let (_, value) = pairs.into_iter().find(|(name, _)| name.trim().eq_ignore_ascii_case("for"))?;
    let value = value.trim();
    parse_hop(value.strip_prefix('"').and_then(|value| value.strip_suffix('"')).unwrap_or(value))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn trusted_proxies(header: ForwardedHeader) -> TrustedProxies {
        let trusted = ["10.0.0.0/8", "192.0.2.1", "2001:db8::/32"].map(|text| text.parse().unwrap()).to_vec();
        TrustedProxies { networks: trusted, header }
    }

    fn client_ip(proxies: &TrustedProxies, peer: &str, name: &'static str, fields: &[&str]) -> String {
        let mut headers = HeaderMap::new();
        for field in fields {
            headers.append(name, field.parse().unwrap());
        }
        proxies.client_ip(peer.parse().unwrap(), &headers).to_string()
    }

    #[test]
    fn no_proxy_is_trusted_by_default() {
        assert_eq!(
            client_ip(&TrustedProxies::default(), "127.0.0.1", "x-forwarded-for", &["203.0.113.9"]),
            "127.0.0.1"
        );
        let proxies = trusted_proxies(ForwardedHeader::XForwardedFor);
        assert_eq!(client_ip(&proxies, "203.0.113.7", "x-forwarded-for", &["203.0.113.9"]), "203.0.113.7");
    }

    #[test]
    fn a_proxy_address_without_a_client_is_shared() {
        let is_client_ip_shared = |proxies: &TrustedProxies, peer: &str, header: &'static str| {
            let mut headers = HeaderMap::new();
            headers.insert(header, "203.0.113.9".parse().unwrap());
            let context = proxies.client_context(Some(PeerAddr(peer.parse().unwrap())), &headers);
            assert_eq!(context.unshared_client_ip().is_none(), context.is_client_ip_shared);
            context.is_client_ip_shared
        };
        let (listed, unlisted) = (trusted_proxies(ForwardedHeader::XForwardedFor), TrustedProxies::default());
        for peer in
            ["127.0.0.1", "::1", "10.0.0.1", "192.168.1.1", "172.17.0.1", "100.64.0.1", "fd00::1", "::ffff:10.0.0.1"]
        {
            assert!(
                is_client_ip_shared(&unlisted, peer, "x-forwarded-for")
                    && is_client_ip_shared(&unlisted, peer, "forwarded"),
                "{peer}"
            );
            assert!(!is_client_ip_shared(&unlisted, peer, "x-real-ip"), "{peer}");
        }
        // A client at a public address cannot change the result.
        for peer in ["203.0.113.7", "100.63.255.255", "100.128.0.1", "2001:4860::1", "::ffff:203.0.113.7"] {
            assert!(
                !is_client_ip_shared(&unlisted, peer, "x-forwarded-for")
                    && !is_client_ip_shared(&unlisted, peer, "forwarded"),
                "{peer}"
            );
        }
        assert!(!is_client_ip_shared(&listed, "10.0.0.1", "x-forwarded-for"), "the header names the client");
        assert!(is_client_ip_shared(&listed, "10.0.0.1", "forwarded"), "the header that is not configured");
        assert!(is_client_ip_shared(&listed, "10.0.0.1", "x-real-ip"), "no header");
    }

    #[test]
    fn the_client_is_the_rightmost_untrusted_hop() {
        let proxies = trusted_proxies(ForwardedHeader::XForwardedFor);
        let table: [(&[&str], &str); 12] = [
            (&[], "10.0.0.1"),
            (&["203.0.113.9"], "203.0.113.9"),
            (&["198.51.100.1, 203.0.113.9"], "203.0.113.9"),
            (&["198.51.100.1", "203.0.113.9"], "203.0.113.9"),
            (&["203.0.113.9, 192.0.2.1"], "203.0.113.9"),
            (&["203.0.113.9, 10.1.2.3, 192.0.2.1"], "203.0.113.9"),
            (&["10.1.2.3, 10.4.5.6"], "10.1.2.3"),
            (&["203.0.113.9:4711"], "203.0.113.9"),
            (&["[2001:4860::1]:443"], "2001:4860::1"),
            (&["2001:4860::1, 2001:db8::7"], "2001:4860::1"),
            (&["203.0.113.9, unknown"], "10.0.0.1"),
            (&["203.0.113.9, ::ffff:10.1.1.1"], "203.0.113.9"),
        ];
        for (fields, expected) in table {
            assert_eq!(client_ip(&proxies, "10.0.0.1", "x-forwarded-for", fields), expected, "{fields:?}");
        }
        // A dual-stack listener reports IPv4 peers as IPv4-mapped IPv6 addresses.
        assert_eq!(client_ip(&proxies, "::ffff:10.0.0.1", "x-forwarded-for", &["203.0.113.9"]), "203.0.113.9");
        assert_eq!(client_ip(&proxies, "10.0.0.1", "forwarded", &["for=203.0.113.9"]), "10.0.0.1", "the other header");
        // An undecodable element does not hide the client.
        let mut headers = HeaderMap::new();
        headers.insert("x-forwarded-for", axum::http::HeaderValue::from_bytes(b"\xe9, 203.0.113.9").unwrap());
        assert_eq!(proxies.client_ip("10.0.0.1".parse().unwrap(), &headers).to_string(), "203.0.113.9");
    }

    #[test]
    fn forwarded_is_parsed_when_configured() {
        let proxies = trusted_proxies(ForwardedHeader::Forwarded);
        let table: [(&[&str], &str); 6] = [
            (&["for=203.0.113.9"], "203.0.113.9"),
            (&["proto=https; For=\"203.0.113.9:80\" ;by=10.0.0.1"], "203.0.113.9"),
            (&["for=198.51.100.1, for=\"[2001:4860::1]:9\""], "2001:4860::1"),
            (&["for=198.51.100.1;proto=http, for=192.0.2.1"], "198.51.100.1"),
            (&["for=_hidden"], "10.0.0.1"),
            (&["proto=https"], "10.0.0.1"),
        ];
        for (fields, expected) in table {
            assert_eq!(client_ip(&proxies, "10.0.0.1", "forwarded", fields), expected, "{fields:?}");
        }
    }
}
