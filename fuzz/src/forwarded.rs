//! `X-Forwarded-For` and `Forwarded`: one field to a line, behind a first line that is the other end of the connection.
//!
//! Whoever is not trusted says nothing about anybody; whoever is names an address that stands in its header, or itself.

use std::net::IpAddr;

use http::{HeaderMap, HeaderValue};
use tokenward::{
    domain::ip_network::{ForwardedHeader, Network, counted_by},
    http::client_ip::Proxies,
};

/// Checks one input; panics where the service is wrong about it.
pub fn run(bytes: &[u8]) {
    let mut lines = bytes.split(|b| *b == b'\n');
    let first = lines.next().and_then(|line| std::str::from_utf8(line).ok());
    let Some(peer) = first.and_then(|line| line.parse::<IpAddr>().ok()) else { return };
    let fields: Vec<HeaderValue> = lines.filter_map(|line| HeaderValue::from_bytes(line).ok()).collect();
    let trusted: [Network; 2] = ["10.0.0.0/8", "2001:db8::/32"].map(|text| text.parse().expect("a network"));
    for (header, name) in
        [(ForwardedHeader::XForwardedFor, "x-forwarded-for"), (ForwardedHeader::Forwarded, "forwarded")]
    {
        let mut headers = HeaderMap::new();
        for field in &fields {
            headers.append(name, field.clone());
        }
        let proxies = Proxies::new(&trusted, header);
        let client = proxies.client(peer, &headers);
        assert_eq!(Proxies::default().client(peer, &headers), peer.to_canonical());
        if !proxies.trust(peer) {
            assert_eq!(client, peer.to_canonical());
        } else if client != peer.to_canonical() {
            // Whoever is named is named in the header: the last one there that is no proxy, or the first of all.
            let text: String = fields.iter().map(|field| String::from_utf8_lossy(field.as_bytes()) + ",").collect();
            let named = text.split([',', ';', '=', '"', ' ', '\t']).any(|word| reads_as(word, client));
            assert!(named, "{client} is not in {text}");
        }
        assert_eq!(counted_by(counted_by(client)), counted_by(client));
    }
}

/// Whether a word is an address, perhaps with brackets and a port.
fn reads_as(word: &str, address: IpAddr) -> bool {
    let bare = word.trim_matches(|c| c == '[' || c == ']');
    let with_port = word.parse::<std::net::SocketAddr>().map(|socket| socket.ip());
    bare.parse::<IpAddr>().or(with_port).is_ok_and(|read| read.to_canonical() == address)
}
