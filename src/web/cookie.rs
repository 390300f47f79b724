//! The cookies of the pages (RFC 6265bis).
//!
//! The session cookie is named `__Host-tokenward`. Browsers accept it only over TLS, for one host and
//! all paths. On loopback over plain HTTP its name is `tokenward`. A second, long-lived cookie grants
//! no access. It identifies browsers from which an account has signed in before. A third one connects
//! a sign-in at an identity provider with the browser that began it.

use axum::http::{
    HeaderMap, HeaderName, HeaderValue, Uri, header::COOKIE, header::FORWARDED, header::HOST, header::ORIGIN,
};

use crate::domain::{
    session::SessionValue,
    sign_in_flow::FLOW_SECONDS,
    source::{DeviceValue, RETENTION_SECONDS},
};

const SESSION_COOKIE: &str = "__Host-tokenward";
const PLAIN_SESSION_COOKIE: &str = "tokenward";
const DEVICE_COOKIE: &str = "__Host-tokenward-device";
const PLAIN_DEVICE_COOKIE: &str = "tokenward-device";
const FLOW_COOKIE: &str = "__Host-tokenward-flow";
const PLAIN_FLOW_COOKIE: &str = "tokenward-flow";
/// The longest value of the flow cookie.
const MAX_FLOW_CHARS: usize = 64;

const SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");
const X_FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");

/// Reads the cookies of requests and builds those of responses.
#[derive(Clone, Copy, Debug)]
pub(super) struct Cookies {
    /// The public URL is `https`, so cookies with the names for plain HTTP are ignored.
    https_only: bool,
}

/// The transport between browser and service, as far as the request shows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Transport {
    /// TLS, or an origin that the browser considers as trustworthy.
    Https,
    /// Plain HTTP on a loopback address.
    Loopback,
    /// Plain HTTP over a network. Passwords are readable in transit, and browsers reject the cookie.
    Insecure,
}

impl Cookies {
    pub(super) fn new(https_only: bool) -> Self {
        Self { https_only }
    }

    /// Returns the transport of a request. `public_host` is the host of the public `https` URL, if
    /// there is one.
    ///
    /// Browsers send `Origin` with every form. With other requests they send `Sec-Fetch-Site`, but not
    /// to origins that are reached by plain HTTP over a network (Fetch Metadata, section 2). A proxy
    /// that terminates TLS names the scheme in a header. A client can forge these headers, but risks
    /// only its own password.
    pub(super) fn transport(self, headers: &HeaderMap, public_host: Option<&str>) -> Transport {
        let origin = headers.get(ORIGIN).and_then(|value| value.to_str().ok());
        let host = host(headers);
        match origin.and_then(|origin| origin.split_once("://")) {
            Some(("https", _)) => Transport::Https,
            Some(("http", host)) if !is_loopback(host) => Transport::Insecure,
            Some(("http", _)) if !self.https_only => Transport::Loopback,
            Some(_) => Transport::Https,
            None if host.is_some_and(is_loopback) => {
                if self.https_only {
                    Transport::Https
                } else {
                    Transport::Loopback
                }
            }
            None if headers.contains_key(SEC_FETCH_SITE) => Transport::Https,
            None => match forwarded_scheme(headers) {
                Some(scheme) if scheme.eq_ignore_ascii_case("https") => Transport::Https,
                // The host is that of the public URL, which has TLS.
                None if self.https_only && host.is_some() && host == public_host => Transport::Https,
                _ => Transport::Insecure,
            },
        }
    }

    /// Returns the value of the session cookie. Two cookies of one name are ignored, because an
    /// attacker may have planted one of them.
    pub(super) fn read_session(self, headers: &HeaderMap) -> Option<SessionValue> {
        self.read_cookie(headers, SESSION_COOKIE, PLAIN_SESSION_COOKIE, SessionValue::parse)
    }

    /// Returns the value of the device cookie.
    pub(super) fn read_device(self, headers: &HeaderMap) -> Option<DeviceValue> {
        self.read_cookie(headers, DEVICE_COOKIE, PLAIN_DEVICE_COOKIE, DeviceValue::parse)
    }

    /// Returns the value of the flow cookie.
    pub(super) fn read_flow(self, headers: &HeaderMap) -> Option<String> {
        let parse = |value: &str| (value.len() <= MAX_FLOW_CHARS).then(|| value.to_owned());
        self.read_cookie(headers, FLOW_COOKIE, PLAIN_FLOW_COOKIE, parse)
    }

    /// Returns the value of a cookie, whose plain name is accepted on loopback only.
    pub(super) fn read_cookie<T>(
        self,
        headers: &HeaderMap,
        secure_name: &str,
        plain_name: &str,
        parse: impl Fn(&str) -> Option<T>,
    ) -> Option<T> {
        let accepts_plain_name = !self.https_only && host(headers).is_some_and(is_loopback);
        // Cookies of other applications may not be UTF-8. They are skipped one by one.
        let pairs = || {
            let fields = headers.get_all(COOKIE).iter().flat_map(|field| field.as_bytes().split(|b| *b == b';'));
            let texts = fields.filter_map(|pair| std::str::from_utf8(pair).ok());
            texts.filter_map(|pair| pair.trim_matches([' ', '\t']).split_once('='))
        };
        let find_single = |name: &str| {
            let mut found = pairs().filter(|(other, _)| *other == name).map(|(_, value)| value);
            match (found.next(), found.next()) {
                (Some(value), None) => parse(value),
                _ => None,
            }
        };
        find_single(secure_name).or_else(|| if accepts_plain_name { find_single(plain_name) } else { None })
    }

    /// Returns the `Set-Cookie` values that store a session value until the browser is closed, and
    /// remove the cookie of the other name.
    pub(super) fn set_session(value: &SessionValue, transport: Transport) -> [HeaderValue; 2] {
        let value = value.expose();
        let [clear_secure, clear_plain] = Self::clear_session();
        let (cookie, cleared) = match transport {
            Transport::Loopback => {
                (format!("{PLAIN_SESSION_COOKIE}={value}; Path=/; HttpOnly; SameSite=Lax"), clear_secure)
            }
            Transport::Https | Transport::Insecure => {
                (format!("{SESSION_COOKIE}={value}; Path=/; Secure; HttpOnly; SameSite=Lax"), clear_plain)
            }
        };
        [cleared, sensitive_header(&cookie)]
    }

    /// Returns the `Set-Cookie` value that stores a device value for as long as the store keeps it.
    pub(super) fn set_device(value: &DeviceValue, transport: Transport) -> HeaderValue {
        let (name, secure) = match transport {
            Transport::Loopback => (PLAIN_DEVICE_COOKIE, ""),
            Transport::Https | Transport::Insecure => (DEVICE_COOKIE, " Secure;"),
        };
        let value = value.expose();
        sensitive_header(&format!(
            "{name}={value}; Path=/; Max-Age={RETENTION_SECONDS};{secure} HttpOnly; SameSite=Lax"
        ))
    }

    /// Returns the `Set-Cookie` value that stores the value of a flow for as long as the flow is valid.
    pub(super) fn set_flow(value: &str, transport: Transport) -> HeaderValue {
        let (name, secure) = match transport {
            Transport::Loopback => (PLAIN_FLOW_COOKIE, ""),
            Transport::Https | Transport::Insecure => (FLOW_COOKIE, " Secure;"),
        };
        sensitive_header(&format!("{name}={value}; Path=/; Max-Age={FLOW_SECONDS};{secure} HttpOnly; SameSite=Lax"))
    }

    /// Returns the `Set-Cookie` values that remove the flow cookie under both names.
    pub(super) fn clear_flow() -> [HeaderValue; 2] {
        [
            HeaderValue::from_static("__Host-tokenward-flow=; Path=/; Max-Age=0; Secure; HttpOnly; SameSite=Lax"),
            HeaderValue::from_static("tokenward-flow=; Path=/; Max-Age=0; HttpOnly; SameSite=Lax"),
        ]
    }

    /// Returns the `Set-Cookie` values that remove the session cookie under both names.
    pub(super) fn clear_session() -> [HeaderValue; 2] {
        [
            HeaderValue::from_static("__Host-tokenward=; Path=/; Max-Age=0; Secure; HttpOnly; SameSite=Lax"),
            HeaderValue::from_static("tokenward=; Path=/; Max-Age=0; HttpOnly; SameSite=Lax"),
        ]
    }
}

/// Returns a header value that is redacted in logs.
pub(super) fn sensitive_header(text: &str) -> HeaderValue {
    let mut field = HeaderValue::from_str(text).unwrap_or(HeaderValue::from_static(""));
    field.set_sensitive(true);
    field
}

/// Returns the scheme of the browser's request, as the last proxy reports it.
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

/// Returns whether an authority, with or without a port, is `localhost` or a loopback address.
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
        Cookies::new(false).read_session(&headers(&[("host", host), ("cookie", cookie)])).map(|v| v.expose().to_owned())
    }

    #[test]
    fn the_plain_cookie_is_accepted_only_on_loopback() {
        for host in ["127.0.0.1:3005", "localhost", "LOCALHOST:1", "[::1]:3005", "127.8.9.1"] {
            assert_eq!(read(host, &format!("x=1; tokenward={A}")).as_deref(), Some(A), "{host}");
        }
        for host in ["tokens.example.com", "127.0.0.1.example.com", "localhost.example.com", "10.0.0.1", "", "::"] {
            assert_eq!(read(host, &format!("tokenward={A}")), None, "{host}");
        }
        assert_eq!(read("tokens.example.com", &format!("__Host-tokenward={A}")).as_deref(), Some(A));
        let known_by_https = Cookies::new(true);
        assert!(
            known_by_https
                .read_session(&headers(&[("host", "localhost"), ("cookie", &format!("tokenward={A}"))]))
                .is_none()
        );
    }

    #[test]
    fn the_host_prefixed_cookie_takes_precedence_and_duplicates_are_ignored() {
        assert_eq!(read("localhost", &format!("tokenward={B}; __Host-tokenward={A}")).as_deref(), Some(A));
        assert_eq!(read("localhost", &format!("tokenward={B}; tokenward={A}")), None);
        assert_eq!(read("localhost", "tokenward=short"), None);
        assert_eq!(read("localhost", &format!("theirs=é; tokenward={A}")).as_deref(), Some(A));
        assert_eq!(read("localhost", &format!("\u{2000}tokenward={A}")), None);
        assert_eq!(read("localhost", &format!("\"tokenward\"={A}; tokenward2={A}; =; ;;")), None);
    }

    #[test]
    fn the_transport_is_derived_from_request_headers() {
        let host = ("host", "tokens.example.com");
        for (fields, transport) in [
            (vec![("origin", "https://tokens.example.com")], Transport::Https),
            (vec![("origin", "http://localhost:3005")], Transport::Loopback),
            (vec![("origin", "http://tokens.example.com")], Transport::Insecure),
            (
                vec![("origin", "http://tokens.example.com"), host, ("sec-fetch-site", "same-origin")],
                Transport::Insecure,
            ),
            (vec![("origin", "null"), ("host", "127.0.0.1")], Transport::Loopback),
            (vec![("origin", "null"), host], Transport::Insecure),
            (vec![("host", "[::1]:3005")], Transport::Loopback),
            (vec![host], Transport::Insecure),
            (vec![("host", "10.0.0.7:3005")], Transport::Insecure),
            (vec![], Transport::Insecure),
            // Browsers send this header only to trustworthy origins.
            (vec![host, ("sec-fetch-site", "none")], Transport::Https),
            (vec![host, ("x-forwarded-proto", "https")], Transport::Https),
            (vec![host, ("x-forwarded-proto", "http, HTTPS")], Transport::Https),
            (vec![host, ("x-forwarded-proto", "https, http")], Transport::Insecure),
            (vec![host, ("forwarded", "for=192.0.2.1;proto=http, for=192.0.2.2; Proto=\"https\"")], Transport::Https),
            (vec![host, ("forwarded", "for=192.0.2.1;proto=http")], Transport::Insecure),
            (vec![host, ("x-forwarded-proto", "\u{e9}")], Transport::Insecure),
        ] {
            assert_eq!(Cookies::new(false).transport(&headers(&fields), None), transport, "{fields:?}");
        }
        let transport = |fields: &[(&'static str, &str)]| {
            Cookies::new(true).transport(&headers(fields), Some("tokens.example.com"))
        };
        assert_eq!(transport(&[("origin", "http://localhost")]), Transport::Https);
        assert_eq!((transport(&[host]), transport(&[("host", "localhost")])), (Transport::Https, Transport::Https));
        assert_eq!(
            (transport(&[("host", "tokens.example.com:3005")]), transport(&[])),
            (Transport::Insecure, Transport::Insecure)
        );
        assert_eq!(transport(&[host, ("x-forwarded-proto", "http")]), Transport::Insecure);
    }

    #[test]
    fn the_device_cookie_is_separate_from_the_session_cookie() {
        let value = DeviceValue::parse(A).unwrap();
        assert_eq!(
            Cookies::set_device(&value, Transport::Https),
            format!("__Host-tokenward-device={A}; Path=/; Max-Age=7776000; Secure; HttpOnly; SameSite=Lax")
        );
        assert_eq!(
            Cookies::set_device(&value, Transport::Loopback),
            format!("tokenward-device={A}; Path=/; Max-Age=7776000; HttpOnly; SameSite=Lax")
        );
        assert!(!format!("{:?}", Cookies::set_device(&value, Transport::Https)).contains(A));
        let both = headers(&[("host", "localhost"), ("cookie", &format!("tokenward={A}; tokenward-device={B}"))]);
        let cookies = Cookies::new(false);
        assert_eq!(cookies.read_session(&both).map(|value| value.expose().to_owned()).as_deref(), Some(A));
        assert_eq!(cookies.read_device(&both), DeviceValue::parse(B));
        assert_eq!(Cookies::new(true).read_device(&both), None);
    }
}
