//! Validation of the `Host` header field (RFC 9112, section 3.2).

use std::net::Ipv6Addr;

use axum::http::{HeaderValue, Request, Uri, Version, header::HOST, uri::PathAndQuery};

use crate::http::ApiError;

/// Validates the `Host` field. If the target is in absolute form, its authority replaces the field
/// (section 3.2.2).
///
/// # Errors
/// [`ApiError::BadRequest`] if the host is missing, repeated or invalid.
pub(crate) fn normalize_host<B>(request: &mut Request<B>) -> Result<(), ApiError> {
    let mut fields = request.headers().get_all(HOST).iter();
    match (fields.next(), fields.next()) {
        (Some(host), None) if is_host(host.as_bytes()) => {}
        (None, _) if request.version() < Version::HTTP_11 => {}
        _ => return Err(invalid_host()),
    }
    if request.uri().authority().is_some() { replace_host_with_authority(request) } else { Ok(()) }
}

fn replace_host_with_authority<B>(request: &mut Request<B>) -> Result<(), ApiError> {
    let parts = request.uri().clone().into_parts();
    let host = parts.authority.as_ref().map_or("", |authority| authority.as_str());
    // RFC 9110, section 4.2: an http URI has a host and no userinfo.
    if host.is_empty() || !is_host(host.as_bytes()) {
        return Err(invalid_host());
    }
    let host = HeaderValue::from_str(host).map_err(|_| invalid_host())?;
    let path = parts.path_and_query.unwrap_or(PathAndQuery::from_static("/"));
    request.headers_mut().insert(HOST, host);
    *request.uri_mut() = Uri::from(path);
    Ok(())
}

fn invalid_host() -> ApiError {
    ApiError::BadRequest("The request must have one Host header field with a valid host name or address.".to_owned())
}

/// Returns whether a value is `uri-host [ ":" port ]` or empty.
fn is_host(value: &[u8]) -> bool {
    let (is_name, port) = if let Some(literal) = value.strip_prefix(b"[") {
        let end = literal.iter().position(|b| *b == b']').unwrap_or(literal.len());
        let address = std::str::from_utf8(&literal[..end]).ok().and_then(|text| text.parse::<Ipv6Addr>().ok());
        // Without the closing bracket, the port is empty.
        (address.is_some() && end < literal.len(), literal.get(end + 1..).unwrap_or_default())
    } else {
        let end = value.iter().position(|b| *b == b':').unwrap_or(value.len());
        (is_registered_name(&value[..end]), &value[end..])
    };
    is_name && (port.is_empty() || (port[0] == b':' && port.len() <= 6 && port[1..].iter().all(u8::is_ascii_digit)))
}

/// Returns whether a name is a `reg-name` (RFC 3986, section 3.2.2).
fn is_registered_name(name: &[u8]) -> bool {
    let is_allowed = |b: u8| b.is_ascii_alphanumeric() || b"-._~!$&'()*+,;=".contains(&b);
    let mut rest = name;
    loop {
        match rest {
            [] => return true,
            [b'%', high, low, after @ ..] if high.is_ascii_hexdigit() && low.is_ascii_hexdigit() => rest = after,
            [b, after @ ..] if is_allowed(*b) => rest = after,
            _ => return false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_are_names_or_addresses_with_or_without_a_port() {
        for valid in [
            "",
            "localhost",
            "127.0.0.1:3005",
            "[::1]",
            "[::1]:3005",
            "[::ffff:10.0.0.1]:1",
            "tokens.example.com:",
            "a_b",
            "xn--bcher-kva.example",
            "x%41",
            "a,b",
            ":80",
        ] {
            assert!(is_host(valid.as_bytes()), "{valid}");
        }
        for invalid in [
            "a b",
            "a/b",
            "user@host",
            "http://host",
            "host:port",
            "host:1:2",
            "host:-1",
            "::1",
            "[::1",
            "[]",
            "[x]",
            "[::1]x",
            "[::1]1",
            "[",
            "x%4",
            "x%zz",
            "b\u{fc}cher",
            "a\\b",
            "a?b",
            "a#b",
            "<a>",
            "\"a\"",
            "host:123456",
        ] {
            assert!(!is_host(invalid.as_bytes()), "{invalid}");
        }
    }

    fn normalized(version: Version, target: &str, hosts: &[&str]) -> Option<(String, Option<String>)> {
        let mut request = Request::builder().version(version).uri(target).body(()).unwrap();
        for host in hosts {
            request.headers_mut().append(HOST, host.parse().unwrap());
        }
        normalize_host(&mut request).ok()?;
        let host = request.headers().get(HOST).map(|host| host.to_str().unwrap().to_owned());
        Some((request.uri().to_string(), host))
    }

    #[test]
    fn a_request_needs_exactly_one_host() {
        let is_accepted = |version, hosts: &[&str]| normalized(version, "/x", hosts).is_some();
        assert!(is_accepted(Version::HTTP_11, &["a"]) && is_accepted(Version::HTTP_11, &[""]));
        assert!(is_accepted(Version::HTTP_10, &[]) && is_accepted(Version::HTTP_10, &["a"]));
        for hosts in [&[][..], &["a", "a"], &["a", "b"], &["a b"], &["", ""]] {
            assert!(!is_accepted(Version::HTTP_11, hosts), "{hosts:?}");
            assert!(hosts.is_empty() || !is_accepted(Version::HTTP_10, hosts), "{hosts:?}");
        }
    }

    #[test]
    fn an_absolute_target_overrides_the_host_field() {
        let normalized_host = |target: &str, hosts: &[&str]| normalized(Version::HTTP_11, target, hosts);
        let expected = |path: &str, host: &str| Some((path.to_owned(), Some(host.to_owned())));
        assert_eq!(normalized_host("http://a:1/x?y=1", &["b"]), expected("/x?y=1", "a:1"));
        assert_eq!(normalized_host("http://a", &["a"]), expected("/", "a"));
        assert_eq!(normalized_host("http://a?x", &["a"]), expected("/?x", "a"));
        assert_eq!(normalized_host("/http://a/", &["b"]), expected("/http://a/", "b"));
        for (target, hosts) in [("http://a/", &[][..]), ("http://a/", &["a", "a"]), ("http://u:p@a/", &["a"])] {
            assert_eq!(normalized_host(target, hosts), None, "{target}");
        }
    }
}
