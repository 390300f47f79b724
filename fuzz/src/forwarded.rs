//! The headers `X-Forwarded-For` and `Forwarded`. The first line of the input is the peer address,
//! and each further line is one field.
//!
//! The headers of an untrusted peer are ignored. For a trusted peer, the client address is an
//! address in the header, or that of the peer.

use std::net::IpAddr;

use http::{HeaderMap, HeaderValue};
use tokenward::{
    domain::ip_network::{ForwardedHeader, IpNetwork, rate_limit_key},
    http::client_ip::TrustedProxies,
};

/// Checks one input.
///
/// # Panics
///
/// Panics if the service treats the input incorrectly.
pub fn run(bytes: &[u8]) {
    let mut lines = bytes.split(|b| *b == b'\n');
    let first = lines.next().and_then(|line| std::str::from_utf8(line).ok());
    let Some(peer) = first.and_then(|line| line.parse::<IpAddr>().ok()) else { return };
    let fields: Vec<HeaderValue> = lines.filter_map(|line| HeaderValue::from_bytes(line).ok()).collect();
    let trusted: [IpNetwork; 2] = ["10.0.0.0/8", "2001:db8::/32"].map(|text| text.parse().expect("a network"));
    for (header, name) in
        [(ForwardedHeader::XForwardedFor, "x-forwarded-for"), (ForwardedHeader::Forwarded, "forwarded")]
    {
        let mut headers = HeaderMap::new();
        for field in &fields {
            headers.append(name, field.clone());
        }
        let proxies = TrustedProxies::new(&trusted, header);
        let client = proxies.client_ip(peer, &headers);
        assert_eq!(TrustedProxies::default().client_ip(peer, &headers), peer.to_canonical());
        if !proxies.contains(peer) {
            assert_eq!(client, peer.to_canonical());
        } else if client != peer.to_canonical() {
            // The last address that is not a proxy, or the first one.
            let text: String = fields.iter().map(|field| String::from_utf8_lossy(field.as_bytes()) + ",").collect();
            let named = text.split([',', ';', '=', '"', ' ', '\t']).any(|word| reads_as(word, client));
            assert!(named, "{client} is not in {text}");
        }
        assert_eq!(rate_limit_key(rate_limit_key(client)), rate_limit_key(client));
    }
}

/// Returns whether a word is this address, optionally with brackets and a port.
fn reads_as(word: &str, address: IpAddr) -> bool {
    let bare = word.trim_matches(|c| c == '[' || c == ']');
    let with_port = word.parse::<std::net::SocketAddr>().map(|socket| socket.ip());
    bare.parse::<IpAddr>().or(with_port).is_ok_and(|read| read.to_canonical() == address)
}
