//! The session's cookie (RFC 6265bis): `__Host-tokenward`, which a browser takes only over TLS, for this host and every path.
//! Over plain HTTP it has a plain name, and only on loopback.

use axum::http::{HeaderMap, HeaderValue, Uri, header::COOKIE, header::HOST, header::ORIGIN};

use crate::domain::session::SessionValue;

const SECURE: &str = "__Host-tokenward";
const PLAIN: &str = "tokenward";

/// Reads and writes the cookie. Cheap to clone.
#[derive(Clone, Copy, Debug)]
pub(super) struct Cookies {
    /// The service is known by an `https` URL, so nobody needs the plain name.
    only_secure: bool,
}

/// How the browser reached us, as far as it says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Way {
    /// By TLS, or so that a browser trusts it as much.
    Secure,
    /// Plain HTTP on this machine.
    Loopback,
    /// Plain HTTP over a network: a password was readable on the way, and no cookie would be kept.
    Open,
}

impl Cookies {
    pub(super) fn new(only_secure: bool) -> Self {
        Self { only_secure }
    }

    /// How a form's sender reached us. Browsers name their origin with each form.
    pub(super) fn way(self, headers: &HeaderMap) -> Way {
        let origin = headers.get(ORIGIN).and_then(|value| value.to_str().ok());
        match origin.and_then(|origin| origin.split_once("://")) {
            Some(("https", _)) => Way::Secure,
            Some(("http", host)) if !is_loopback(host) => Way::Open,
            Some(("http", _)) if !self.only_secure => Way::Loopback,
            None if !self.only_secure && host(headers).is_some_and(is_loopback) => Way::Loopback,
            _ => Way::Secure,
        }
    }

    /// The session's value, if a cookie of ours holds one. Two of one name are none: somebody has planted one of them.
    pub(super) fn read(self, headers: &HeaderMap) -> Option<SessionValue> {
        let takes_plain = !self.only_secure && host(headers).is_some_and(is_loopback);
        // Others' cookies may hold bytes that are no text, and are passed over one by one.
        let pairs = || {
            let fields = headers.get_all(COOKIE).iter().flat_map(|field| field.as_bytes().split(|b| *b == b';'));
            let texts = fields.filter_map(|pair| std::str::from_utf8(pair).ok());
            texts.filter_map(|pair| pair.trim_matches([' ', '\t']).split_once('='))
        };
        let one = |wanted: &str| {
            let mut found = pairs().filter(|(name, _)| *name == wanted).map(|(_, value)| value);
            match (found.next(), found.next()) {
                (Some(value), None) => SessionValue::parse(value),
                _ => None,
            }
        };
        one(SECURE).or_else(|| if takes_plain { one(PLAIN) } else { None })
    }

    /// The fields that make the browser keep a session's value until it is closed, under one name and no other.
    pub(super) fn set(value: &SessionValue, way: Way) -> [HeaderValue; 2] {
        let value = value.expose();
        let [no_secure, no_plain] = Self::clear();
        let (text, other) = match way {
            Way::Loopback => (format!("{PLAIN}={value}; Path=/; HttpOnly; SameSite=Lax"), no_secure),
            Way::Secure | Way::Open => (format!("{SECURE}={value}; Path=/; Secure; HttpOnly; SameSite=Lax"), no_plain),
        };
        let mut field = HeaderValue::from_str(&text).unwrap_or(HeaderValue::from_static(""));
        field.set_sensitive(true);
        [other, field]
    }

    /// The fields that make the browser forget both.
    pub(super) fn clear() -> [HeaderValue; 2] {
        [
            HeaderValue::from_static("__Host-tokenward=; Path=/; Max-Age=0; Secure; HttpOnly; SameSite=Lax"),
            HeaderValue::from_static("tokenward=; Path=/; Max-Age=0; HttpOnly; SameSite=Lax"),
        ]
    }
}

fn host(headers: &HeaderMap) -> Option<&str> {
    headers.get(HOST)?.to_str().ok()
}

/// Whether a host, with or without a port, is this machine by whatever name a browser trusts.
fn is_loopback(authority: &str) -> bool {
    let Ok(uri) = authority.parse::<Uri>() else { return false };
    let name = uri.host().unwrap_or_default().trim_matches(['[', ']']);
    name.eq_ignore_ascii_case("localhost")
        || name.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: &str = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";
    const B: &str = "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb";

    fn headers(fields: &[(&'static str, &str)]) -> HeaderMap {
        fields
            .iter()
            .map(|(name, value)| (name.parse().unwrap(), HeaderValue::from_bytes(value.as_bytes()).unwrap()))
            .collect()
    }

    fn read(host: &str, cookie: &str) -> Option<String> {
        Cookies::new(false).read(&headers(&[("host", host), ("cookie", cookie)])).map(|v| v.expose().to_owned())
    }

    #[test]
    fn the_plain_name_is_taken_on_loopback_only() {
        for host in ["127.0.0.1:3005", "localhost", "LOCALHOST:1", "[::1]:3005", "127.8.9.1"] {
            assert_eq!(read(host, &format!("x=1; tokenward={A}")).as_deref(), Some(A), "{host}");
        }
        for host in ["tokens.example.com", "127.0.0.1.example.com", "localhost.example.com", "10.0.0.1", "", "::"] {
            assert_eq!(read(host, &format!("tokenward={A}")), None, "{host}");
        }
        assert_eq!(read("tokens.example.com", &format!("__Host-tokenward={A}")).as_deref(), Some(A));
        let known_by_https = Cookies::new(true);
        assert!(
            known_by_https.read(&headers(&[("host", "localhost"), ("cookie", &format!("tokenward={A}"))])).is_none()
        );
    }

    #[test]
    fn the_name_that_cannot_be_planted_wins_and_two_of_one_name_are_none() {
        assert_eq!(read("localhost", &format!("tokenward={B}; __Host-tokenward={A}")).as_deref(), Some(A));
        assert_eq!(read("localhost", &format!("tokenward={B}; tokenward={A}")), None);
        assert_eq!(read("localhost", "tokenward=short"), None);
        assert_eq!(read("localhost", &format!("theirs=é; tokenward={A}")).as_deref(), Some(A));
        assert_eq!(read("localhost", &format!("\u{2000}tokenward={A}")), None);
        assert_eq!(read("localhost", &format!("\"tokenward\"={A}; tokenward2={A}; =; ;;")), None);
    }

    #[test]
    fn the_browser_says_how_it_came() {
        let cookies = Cookies::new(false);
        for (fields, way) in [
            (vec![("origin", "https://tokens.example.com")], Way::Secure),
            (vec![("origin", "http://localhost:3005")], Way::Loopback),
            (vec![("origin", "http://tokens.example.com")], Way::Open),
            (vec![("origin", "null"), ("host", "127.0.0.1")], Way::Loopback),
            (vec![("host", "tokens.example.com")], Way::Secure),
        ] {
            assert_eq!(cookies.way(&headers(&fields)), way, "{fields:?}");
        }
        assert_eq!(Cookies::new(true).way(&headers(&[("origin", "http://localhost")])), Way::Secure);
    }
}
