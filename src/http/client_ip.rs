//! Whose address a request comes from: the other end of the connection, or, where that is a proxy which the operator trusts, the
//! client that the proxy names.

use std::{
    net::{IpAddr, Ipv4Addr, SocketAddr},
    sync::Once,
};

use axum::http::{HeaderMap, HeaderName, header::FORWARDED};

use crate::{
    domain::{
        event::Origin,
        ip_network::{ForwardedHeader, Network},
        session::UserAgent,
    },
    http::request_id::RequestId,
};

const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

/// The other end of the connection that a request came by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Peer(pub IpAddr);

/// The proxies that may name their clients. Nobody else's word is taken for anybody's address.
#[derive(Clone, Debug, Default)]
pub struct Proxies {
    trusted: Vec<Network>,
    header: ForwardedHeader,
}

impl Proxies {
    #[must_use]
    pub fn new(trusted: &[Network], header: ForwardedHeader) -> Self {
        Self { trusted: trusted.to_vec(), header }
    }

    /// Whether this address is a trusted proxy's.
    #[must_use]
    pub fn trust(&self, address: IpAddr) -> bool {
        self.trusted.iter().any(|network| network.contains(address))
    }

    /// The client's address: from the right, the first hop that is no trusted proxy. What stands further left anybody may have
    /// written. Where a hop cannot be read, it is the one behind it.
    #[must_use]
    pub fn client(&self, peer: IpAddr, headers: &HeaderMap) -> IpAddr {
        let mut client = peer.to_canonical();
        if !self.trust(client) {
            if self.is_unnamed_proxy(client, headers) {
                warn_of_unnamed_proxy(client);
            }
            return client;
        }
        let hops: Vec<Option<IpAddr>> = match self.header {
            ForwardedHeader::XForwardedFor => elements(headers, &X_FORWARDED_FOR).map(hop).collect(),
            ForwardedHeader::Forwarded => elements(headers, &FORWARDED).map(forwarded_for).collect(),
        };
        for hop in hops.into_iter().rev() {
            let Some(hop) = hop else { break };
            client = hop;
            if !self.trust(client) {
                break;
            }
        }
        client
    }

    /// Whence a request comes, to be written down with what it does.
    #[must_use]
    pub(crate) fn origin(&self, peer: Option<Peer>, headers: &HeaderMap, id: &RequestId) -> Origin {
        let user_agent = headers.get(axum::http::header::USER_AGENT).and_then(|value| value.to_str().ok());
        Origin {
            user_agent: user_agent.map(UserAgent::of).unwrap_or_default(),
            request_id: id.as_str().to_owned(),
            ..self.source(peer, headers)
        }
    }

    /// The source address of a request, without what only events need.
    #[must_use]
    pub(crate) fn source(&self, peer: Option<Peer>, headers: &HeaderMap) -> Origin {
        let Some(Peer(peer)) = peer else { return Origin::default() };
        let peer = peer.to_canonical();
        let address = self.client(peer, headers);
        // A named proxy that names no client is as little of one: its header is missing, or `listen.forwarded_header` is another.
        let is_shared = address == peer && (self.trust(peer) || self.is_unnamed_proxy(peer, headers));
        Origin { address: Some(address), is_shared, ..Origin::default() }
    }

    /// Returns whether a peer is a proxy that the operator did not name: it forwards clients, and stands where proxies stand. At a public
    /// address the header alone proves nothing, because each client can send it.
    fn is_unnamed_proxy(&self, peer: IpAddr, headers: &HeaderMap) -> bool {
        let forwards = headers.contains_key(X_FORWARDED_FOR) || headers.contains_key(FORWARDED);
        forwards && is_near(peer) && !self.trust(peer)
    }
}

/// Returns whether an address belongs to this machine or to a network that is not public, where the proxy of a deployment is.
fn is_near(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => {
            // RFC 6598, which clouds give to containers.
            let is_carrier_grade = address.to_bits() >> 22 == Ipv4Addr::new(100, 64, 0, 0).to_bits() >> 22;
            address.is_loopback() || address.is_private() || address.is_link_local() || is_carrier_grade
        }
        IpAddr::V6(address) => address.is_loopback() || address.is_unique_local() || address.is_unicast_link_local(),
    }
}

/// Logs once that the clients of a proxy cannot be told apart by address.
fn warn_of_unnamed_proxy(peer: IpAddr) {
    static SAID: Once = Once::new();
    SAID.call_once(|| {
        tracing::warn!(
            %peer,
            "a proxy that listen.trusted_proxies does not name forwards clients: no limit by address holds for them, and events name the proxy"
        );
    });
}

/// The elements of a list that may stand in several fields (RFC 9110, section 5.3), in their order. What is no text is an element
/// that nobody can read; those beside it in the same field are not: a proxy appends to what a client sent.
fn elements<'a>(headers: &'a HeaderMap, name: &HeaderName) -> impl Iterator<Item = &'a str> {
    let fields = headers.get_all(name).into_iter().flat_map(|field| field.as_bytes().split(|byte| *byte == b','));
    fields.map(|element| std::str::from_utf8(element).unwrap_or("?"))
}

/// An address, perhaps with a port; one of IPv6 perhaps in brackets.
fn hop(text: &str) -> Option<IpAddr> {
    let text = text.trim();
    let bare = text.strip_prefix('[').and_then(|text| text.strip_suffix(']')).unwrap_or(text);
    let address: IpAddr = match bare.parse() {
        Ok(address) => address,
        Err(_) => text.parse::<SocketAddr>().ok()?.ip(),
    };
    Some(address.to_canonical())
}

/// The `for` of one element of `Forwarded` (RFC 7239, section 4). Names that stand for no address are not read.
fn forwarded_for(element: &str) -> Option<IpAddr> {
    let pairs = element.split(';').filter_map(|pair| pair.trim().split_once('='));
    let (_, value) = pairs.into_iter().find(|(name, _)| name.trim().eq_ignore_ascii_case("for"))?;
    let value = value.trim();
    hop(value.strip_prefix('"').and_then(|value| value.strip_suffix('"')).unwrap_or(value))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn proxies(header: ForwardedHeader) -> Proxies {
        let trusted = ["10.0.0.0/8", "192.0.2.1", "2001:db8::/32"].map(|text| text.parse().unwrap()).to_vec();
        Proxies { trusted, header }
    }

    fn client(proxies: &Proxies, peer: &str, name: &'static str, fields: &[&str]) -> String {
        let mut headers = HeaderMap::new();
        for field in fields {
            headers.append(name, field.parse().unwrap());
        }
        proxies.client(peer.parse().unwrap(), &headers).to_string()
    }

    #[test]
    fn nobody_is_trusted_unless_the_operator_says_so() {
        assert_eq!(client(&Proxies::default(), "127.0.0.1", "x-forwarded-for", &["203.0.113.9"]), "127.0.0.1");
        let proxies = proxies(ForwardedHeader::XForwardedFor);
        assert_eq!(client(&proxies, "203.0.113.7", "x-forwarded-for", &["203.0.113.9"]), "203.0.113.7");
    }

    #[test]
    fn the_address_of_a_proxy_stands_for_many_clients() {
        let is_shared = |proxies: &Proxies, peer: &str, header: &'static str| {
            let mut headers = HeaderMap::new();
            headers.insert(header, "203.0.113.9".parse().unwrap());
            let origin = proxies.source(Some(Peer(peer.parse().unwrap())), &headers);
            assert_eq!(origin.own_address().is_none(), origin.is_shared);
            origin.is_shared
        };
        let (named, unnamed) = (proxies(ForwardedHeader::XForwardedFor), Proxies::default());
        for peer in
            ["127.0.0.1", "::1", "10.0.0.1", "192.168.1.1", "172.17.0.1", "100.64.0.1", "fd00::1", "::ffff:10.0.0.1"]
        {
            assert!(is_shared(&unnamed, peer, "x-forwarded-for") && is_shared(&unnamed, peer, "forwarded"), "{peer}");
            assert!(!is_shared(&unnamed, peer, "x-real-ip"), "{peer}");
        }
        // What a client says of itself at a public address changes nothing.
        for peer in ["203.0.113.7", "100.63.255.255", "100.128.0.1", "2001:4860::1", "::ffff:203.0.113.7"] {
            assert!(!is_shared(&unnamed, peer, "x-forwarded-for") && !is_shared(&unnamed, peer, "forwarded"), "{peer}");
        }
        assert!(!is_shared(&named, "10.0.0.1", "x-forwarded-for"), "it names the client");
        assert!(is_shared(&named, "10.0.0.1", "forwarded"), "the header that is not read");
        assert!(is_shared(&named, "10.0.0.1", "x-real-ip"), "no header");
    }

    #[test]
    fn it_is_the_rightmost_hop_that_is_no_proxy() {
        let proxies = proxies(ForwardedHeader::XForwardedFor);
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
            assert_eq!(client(&proxies, "10.0.0.1", "x-forwarded-for", fields), expected, "{fields:?}");
        }
        // A listener of both families gives addresses of IPv4 in the form of IPv6.
        assert_eq!(client(&proxies, "::ffff:10.0.0.1", "x-forwarded-for", &["203.0.113.9"]), "203.0.113.9");
        assert_eq!(client(&proxies, "10.0.0.1", "forwarded", &["for=203.0.113.9"]), "10.0.0.1", "the other header");
        // What a client says that nobody can read hides nobody.
        let mut headers = HeaderMap::new();
        headers.insert("x-forwarded-for", axum::http::HeaderValue::from_bytes(b"\xe9, 203.0.113.9").unwrap());
        assert_eq!(proxies.client("10.0.0.1".parse().unwrap(), &headers).to_string(), "203.0.113.9");
    }

    #[test]
    fn the_standards_header_is_read_where_it_is_asked_for() {
        let proxies = proxies(ForwardedHeader::Forwarded);
        let table: [(&[&str], &str); 6] = [
            (&["for=203.0.113.9"], "203.0.113.9"),
            (&["proto=https; For=\"203.0.113.9:80\" ;by=10.0.0.1"], "203.0.113.9"),
            (&["for=198.51.100.1, for=\"[2001:4860::1]:9\""], "2001:4860::1"),
            (&["for=198.51.100.1;proto=http, for=192.0.2.1"], "198.51.100.1"),
            (&["for=_hidden"], "10.0.0.1"),
            (&["proto=https"], "10.0.0.1"),
        ];
        for (fields, expected) in table {
            assert_eq!(client(&proxies, "10.0.0.1", "forwarded", fields), expected, "{fields:?}");
        }
    }
}
