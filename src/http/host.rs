//! The `Host` field of requests that come from the network (RFC 9112, section 3.2).

use std::net::Ipv6Addr;

use axum::http::{HeaderValue, Request, Uri, Version, header::HOST, uri::PathAndQuery};

use crate::http::ApiError;

/// Makes sure that a request names one host, and names it in `Host` alone: in absolute form the target's authority replaces the field
/// (section 3.2.2).
pub(crate) fn settle<B>(request: &mut Request<B>) -> Result<(), ApiError> {
    let mut fields = request.headers().get_all(HOST).iter();
    match (fields.next(), fields.next()) {
        (Some(host), None) if is_host(host.as_bytes()) => {}
        (None, _) if request.version() < Version::HTTP_11 => {}
        _ => return Err(wrong()),
    }
    if request.uri().authority().is_some() { take_from_target(request) } else { Ok(()) }
}

fn take_from_target<B>(request: &mut Request<B>) -> Result<(), ApiError> {
    let parts = request.uri().clone().into_parts();
    let host = parts.authority.as_ref().map_or("", |authority| authority.as_str());
    // RFC 9110, section 4.2: an http URI has a host and no user information.
    if host.is_empty() || !is_host(host.as_bytes()) {
        return Err(wrong());
    }
    let host = HeaderValue::from_str(host).map_err(|_| wrong())?;
    let path = parts.path_and_query.unwrap_or(PathAndQuery::from_static("/"));
    request.headers_mut().insert(HOST, host);
    *request.uri_mut() = Uri::from(path);
    Ok(())
}

fn wrong() -> ApiError {
    ApiError::Form("The request must have one Host header field with a valid host name or address.".to_owned())
}

/// `uri-host [ ":" port ]`, which may be empty.
fn is_host(value: &[u8]) -> bool {
    let (is_name, port) = if let Some(literal) = value.strip_prefix(b"[") {
        let end = literal.iter().position(|b| *b == b']').unwrap_or(literal.len());
        let address = std::str::from_utf8(&literal[..end]).ok().and_then(|text| text.parse::<Ipv6Addr>().ok());
        // Without its end the rest is empty.
        (address.is_some() && end < literal.len(), literal.get(end + 1..).unwrap_or_default())
    } else {
        let end = value.iter().position(|b| *b == b':').unwrap_or(value.len());
        (is_registered_name(&value[..end]), &value[end..])
    };
    is_name && (port.is_empty() || (port[0] == b':' && port.len() <= 6 && port[1..].iter().all(u8::is_ascii_digit)))
}

/// RFC 3986, section 3.2.2.
fn is_registered_name(name: &[u8]) -> bool {
    let is_plain = |b: u8| b.is_ascii_alphanumeric() || b"-._~!$&'()*+,;=".contains(&b);
    let mut rest = name;
    loop {
        match rest {
            [] => return true,
            [b'%', high, low, after @ ..] if high.is_ascii_hexdigit() && low.is_ascii_hexdigit() => rest = after,
            [b, after @ ..] if is_plain(*b) => rest = after,
            _ => return false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_are_names_or_addresses_with_or_without_a_port() {
        for fine in [
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
            assert!(is_host(fine.as_bytes()), "{fine}");
        }
        for wrong in [
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
            assert!(!is_host(wrong.as_bytes()), "{wrong}");
        }
    }

    fn settled(version: Version, target: &str, hosts: &[&str]) -> Option<(String, Option<String>)> {
        let mut request = Request::builder().version(version).uri(target).body(()).unwrap();
        for host in hosts {
            request.headers_mut().append(HOST, host.parse().unwrap());
        }
        settle(&mut request).ok()?;
        let host = request.headers().get(HOST).map(|host| host.to_str().unwrap().to_owned());
        Some((request.uri().to_string(), host))
    }

    #[test]
    fn a_request_names_one_host() {
        let is_fine = |version, hosts: &[&str]| settled(version, "/x", hosts).is_some();
        assert!(is_fine(Version::HTTP_11, &["a"]) && is_fine(Version::HTTP_11, &[""]));
        assert!(is_fine(Version::HTTP_10, &[]) && is_fine(Version::HTTP_10, &["a"]));
        for hosts in [&[][..], &["a", "a"], &["a", "b"], &["a b"], &["", ""]] {
            assert!(!is_fine(Version::HTTP_11, hosts), "{hosts:?}");
            assert!(hosts.is_empty() || !is_fine(Version::HTTP_10, hosts), "{hosts:?}");
        }
    }

    #[test]
    fn the_target_names_the_host_where_it_is_absolute() {
        let settled = |target: &str, hosts: &[&str]| settled(Version::HTTP_11, target, hosts);
        let meant = |path: &str, host: &str| Some((path.to_owned(), Some(host.to_owned())));
        assert_eq!(settled("http://a:1/x?y=1", &["b"]), meant("/x?y=1", "a:1"));
        assert_eq!(settled("http://a", &["a"]), meant("/", "a"));
        assert_eq!(settled("http://a?x", &["a"]), meant("/?x", "a"));
        assert_eq!(settled("/http://a/", &["b"]), meant("/http://a/", "b"));
        for (target, hosts) in [("http://a/", &[][..]), ("http://a/", &["a", "a"]), ("http://u:p@a/", &["a"])] {
            assert_eq!(settled(target, hosts), None, "{target}");
        }
    }
}
