//! The session's cookie (RFC 6265bis): `__Host-tokenward`, which a browser takes only over TLS, for this host and every path.
//! Over plain HTTP it has a plain name, and only on loopback. Beside it is a long-lived cookie that opens nothing: by it a browser is
//! known from which an account has signed in before.

use axum::http::{
    HeaderMap, HeaderName, HeaderValue, Uri, header::COOKIE, header::FORWARDED, header::HOST, header::ORIGIN,
};

use crate::domain::{
    session::SessionValue,
    source::{DeviceValue, KNOWN_FOR_SECONDS},
};

const SECURE: &str = "__Host-tokenward";
const PLAIN: &str = "tokenward";
const SECURE_DEVICE: &str = "__Host-tokenward-device";
const PLAIN_DEVICE: &str = "tokenward-device";

const SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");
const X_FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");

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

    /// How a browser reached us. `known_as` is the host of the service's `https` URL, where it has one.
    ///
    /// Browsers name their origin with each form. With other requests they send `Sec-Fetch-Site`, but to no origin that is reached by
    /// plain HTTP over a network (Fetch Metadata, section 2). A proxy that ends TLS says so. None of these is proof against a client
    /// that lies, and none needs to be: it is the client's own password.
    pub(super) fn way(self, headers: &HeaderMap, known_as: Option<&str>) -> Way {
        let origin = headers.get(ORIGIN).and_then(|value| value.to_str().ok());
        let host = host(headers);
        match origin.and_then(|origin| origin.split_once("://")) {
            Some(("https", _)) => Way::Secure,
            Some(("http", host)) if !is_loopback(host) => Way::Open,
            Some(("http", _)) if !self.only_secure => Way::Loopback,
            Some(_) => Way::Secure,
            None if host.is_some_and(is_loopback) => {
                if self.only_secure {
                    Way::Secure
                } else {
                    Way::Loopback
                }
            }
            None if headers.contains_key(SEC_FETCH_SITE) => Way::Secure,
            None => match forwarded_scheme(headers) {
                Some(scheme) if scheme.eq_ignore_ascii_case("https") => Way::Secure,
                // Reached under the very name that is known to have TLS.
                None if self.only_secure && host.is_some() && host == known_as => Way::Secure,
                _ => Way::Open,
            },
        }
    }

    /// The session's value, if a cookie of ours holds one. Two of one name are none: somebody has planted one of them.
    pub(super) fn read(self, headers: &HeaderMap) -> Option<SessionValue> {
        self.read_one(headers, SECURE, PLAIN, SessionValue::parse)
    }

    /// The browser's long-lived value, if a cookie of ours holds one.
    pub(super) fn read_device(self, headers: &HeaderMap) -> Option<DeviceValue> {
        self.read_one(headers, SECURE_DEVICE, PLAIN_DEVICE, DeviceValue::parse)
    }

    fn read_one<T>(
        self,
        headers: &HeaderMap,
        secure: &str,
        plain: &str,
        parse: impl Fn(&str) -> Option<T>,
    ) -> Option<T> {
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
                (Some(value), None) => parse(value),
                _ => None,
            }
        };
        one(secure).or_else(|| if takes_plain { one(plain) } else { None })
    }

    /// The fields that make the browser keep a session's value until it is closed, under one name and no other.
    pub(super) fn set(value: &SessionValue, way: Way) -> [HeaderValue; 2] {
        let value = value.expose();
        let [no_secure, no_plain] = Self::clear();
        let (text, other) = match way {
            Way::Loopback => (format!("{PLAIN}={value}; Path=/; HttpOnly; SameSite=Lax"), no_secure),
            Way::Secure | Way::Open => (format!("{SECURE}={value}; Path=/; Secure; HttpOnly; SameSite=Lax"), no_plain),
        };
        [other, secret(&text)]
    }

    /// The field that makes the browser keep its long-lived value for as long as the store knows it.
    pub(super) fn set_device(value: &DeviceValue, way: Way) -> HeaderValue {
        let (name, secure) = match way {
            Way::Loopback => (PLAIN_DEVICE, ""),
            Way::Secure | Way::Open => (SECURE_DEVICE, " Secure;"),
        };
        let value = value.expose();
        secret(&format!("{name}={value}; Path=/; Max-Age={KNOWN_FOR_SECONDS};{secure} HttpOnly; SameSite=Lax"))
    }

    /// The fields that make the browser forget both.
    pub(super) fn clear() -> [HeaderValue; 2] {
        [
            HeaderValue::from_static("__Host-tokenward=; Path=/; Max-Age=0; Secure; HttpOnly; SameSite=Lax"),
            HeaderValue::from_static("tokenward=; Path=/; Max-Age=0; HttpOnly; SameSite=Lax"),
        ]
    }
}

/// A field that logs do not show.
fn secret(text: &str) -> HeaderValue {
    let mut field = HeaderValue::from_str(text).unwrap_or(HeaderValue::from_static(""));
    field.set_sensitive(true);
    field
}

/// The scheme of the browser's request, as the last proxy that names one saw it.
fn forwarded_scheme(headers: &HeaderMap) -> Option<&str> {
    let last = |name: &HeaderName| headers.get_all(name).iter().next_back()?.to_str().ok()?.rsplit(',').next();
    let of_forwarded = || {
        let pairs = last(&FORWARDED)?.split(';').filter_map(|pair| pair.trim().split_once('='));
        pairs.into_iter().find(|(name, _)| name.trim().eq_ignore_ascii_case("proto")).map(|(_, value)| value)
    };
    last(&X_FORWARDED_PROTO).or_else(of_forwarded).map(|scheme| scheme.trim().trim_matches('"'))
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
        let host = ("host", "tokens.example.com");
        for (fields, way) in [
            (vec![("origin", "https://tokens.example.com")], Way::Secure),
            (vec![("origin", "http://localhost:3005")], Way::Loopback),
            (vec![("origin", "http://tokens.example.com")], Way::Open),
            (vec![("origin", "http://tokens.example.com"), host, ("sec-fetch-site", "same-origin")], Way::Open),
            (vec![("origin", "null"), ("host", "127.0.0.1")], Way::Loopback),
            (vec![("origin", "null"), host], Way::Open),
            (vec![("host", "[::1]:3005")], Way::Loopback),
            (vec![host], Way::Open),
            (vec![("host", "10.0.0.7:3005")], Way::Open),
            (vec![], Way::Open),
            // Browsers send this to origins that they trust.
            (vec![host, ("sec-fetch-site", "none")], Way::Secure),
            (vec![host, ("x-forwarded-proto", "https")], Way::Secure),
            (vec![host, ("x-forwarded-proto", "http, HTTPS")], Way::Secure),
            (vec![host, ("x-forwarded-proto", "https, http")], Way::Open),
            (vec![host, ("forwarded", "for=192.0.2.1;proto=http, for=192.0.2.2; Proto=\"https\"")], Way::Secure),
            (vec![host, ("forwarded", "for=192.0.2.1;proto=http")], Way::Open),
            (vec![host, ("x-forwarded-proto", "\u{e9}")], Way::Open),
        ] {
            assert_eq!(Cookies::new(false).way(&headers(&fields), None), way, "{fields:?}");
        }
        let way =
            |fields: &[(&'static str, &str)]| Cookies::new(true).way(&headers(fields), Some("tokens.example.com"));
        assert_eq!(way(&[("origin", "http://localhost")]), Way::Secure);
        assert_eq!((way(&[host]), way(&[("host", "localhost")])), (Way::Secure, Way::Secure));
        assert_eq!((way(&[("host", "tokens.example.com:3005")]), way(&[])), (Way::Open, Way::Open));
        assert_eq!(way(&[host, ("x-forwarded-proto", "http")]), Way::Open);
    }

    #[test]
    fn the_long_lived_cookie_is_one_of_its_own() {
        let value = DeviceValue::parse(A).unwrap();
        assert_eq!(
            Cookies::set_device(&value, Way::Secure),
            format!("__Host-tokenward-device={A}; Path=/; Max-Age=7776000; Secure; HttpOnly; SameSite=Lax")
        );
        assert_eq!(
            Cookies::set_device(&value, Way::Loopback),
            format!("tokenward-device={A}; Path=/; Max-Age=7776000; HttpOnly; SameSite=Lax")
        );
        assert!(!format!("{:?}", Cookies::set_device(&value, Way::Secure)).contains(A));
        let both = headers(&[("host", "localhost"), ("cookie", &format!("tokenward={A}; tokenward-device={B}"))]);
        let cookies = Cookies::new(false);
        assert_eq!(cookies.read(&both).map(|value| value.expose().to_owned()).as_deref(), Some(A));
        assert_eq!(cookies.read_device(&both), DeviceValue::parse(B));
        assert_eq!(Cookies::new(true).read_device(&both), None);
    }
}
