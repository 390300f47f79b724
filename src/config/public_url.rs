//! The public URL of a service that has not configured one.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// The port that URLs with the scheme `http` omit.
const HTTP_PORT: u16 = 80;

/// Returns the URL of a listener for clients on the same machine. A listener on all addresses is
/// reached at the loopback address.
pub(super) fn of_listener(address: SocketAddr) -> String {
    let ip = match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => IpAddr::V4(Ipv4Addr::LOCALHOST),
        IpAddr::V6(ip) if ip.is_unspecified() => IpAddr::V6(Ipv6Addr::LOCALHOST),
        ip => ip,
    };
    match (ip, address.port()) {
        (IpAddr::V4(ip), HTTP_PORT) => format!("http://{ip}"),
        (IpAddr::V6(ip), HTTP_PORT) => format!("http://[{ip}]"),
        (ip, port) => format!("http://{}", SocketAddr::new(ip, port)),
    }
}

#[cfg(test)]
mod tests {
    use super::super::Config;

    #[test]
    fn the_url_of_a_listener_is_reachable_from_the_machine() {
        for (listen, url) in [
            ("127.0.0.1:3005", "http://127.0.0.1:3005"),
            ("0.0.0.0:3005", "http://127.0.0.1:3005"),
            ("[::]:3005", "http://[::1]:3005"),
            ("[::1]:4000", "http://[::1]:4000"),
            ("10.1.2.3:8080", "http://10.1.2.3:8080"),
            ("[2001:db8::7]:8080", "http://[2001:db8::7]:8080"),
            ("0.0.0.0:80", "http://127.0.0.1"),
            ("[::]:80", "http://[::1]"),
        ] {
            assert_eq!(super::of_listener(listen.parse().unwrap()), url, "{listen}");
        }
    }

    #[test]
    fn a_configured_url_takes_precedence() {
        let mut config = Config::default();
        assert_eq!((config.public_url().as_str(), config.has_public_url()), ("http://127.0.0.1:3005", false));
        config.listen.http = "0.0.0.0:4000".parse().unwrap();
        assert_eq!(config.public_url(), "http://127.0.0.1:4000");
        assert!(config.lacks_public_url());
        // Compose files pass an unset variable as an empty text.
        for unset in ["", "/"] {
            config.set_public_url(unset);
            assert!(!config.has_public_url() && config.public_url() == "http://127.0.0.1:4000", "{unset}");
        }
        config.set_public_url("https://tokens.example.com/");
        assert_eq!((config.public_url().as_str(), config.has_public_url()), ("https://tokens.example.com", true));
        assert!(!config.lacks_public_url());
        // The origin is trusted only if it is configured, even if it is the one of the listener.
        config.set_public_url("http://127.0.0.1:4000");
        assert!(config.has_public_url());
    }

    #[test]
    fn only_a_listener_for_other_machines_lacks_a_url() {
        for (listen, lacks) in [
            ("127.0.0.1:1", false),
            ("127.8.0.1:1", false),
            ("[::1]:1", false),
            ("0.0.0.0:1", true),
            ("[::]:1", true),
            ("10.0.0.1:1", true),
        ] {
            let mut config = Config::default();
            config.listen.http = listen.parse().unwrap();
            assert_eq!(config.lacks_public_url(), lacks, "{listen}");
        }
    }
}
