//! The `Cookie` header. Each line of the input is one field. A page is shown if the session cookie
//! occurs exactly once with the value of a session.

use super::test_service::with_service;

/// Returns the value of a cookie if it occurs once and is a well-formed session value.
fn session_value<'c>(fields: &[&'c [u8]], name: &str) -> Option<&'c str> {
    let pairs = fields.iter().flat_map(|field| field.split(|b| *b == b';'));
    let texts = pairs.filter_map(|pair| std::str::from_utf8(pair).ok());
    let pairs = texts.filter_map(|text| text.trim_matches([' ', '\t']).split_once('='));
    let values: Vec<&str> =
        pairs.filter(|(cookie_name, _)| *cookie_name == name).map(|(_, session_value)| session_value).collect();
    match values[..] {
        [session_value] if session_value.len() == 43 && session_value.bytes().all(|b| b.is_ascii_alphanumeric()) => {
            Some(session_value)
        }
        _ => None,
    }
}

/// Checks one input.
///
/// # Panics
///
/// Panics if the service treats the input incorrectly.
pub fn run(bytes: &[u8]) {
    with_service(|service| {
        let bytes = service.substitute(bytes);
        let fields: Vec<&[u8]> = bytes.split(|b| *b == b'\n').collect();
        let headers = fields.iter().map(|field| ("cookie", *field));
        let Some(reply) = service.send("GET", "/preferences/access-tokens", headers, b"") else { return };
        let session_cookie = session_value(&fields, "__Host-tokenward").or_else(|| session_value(&fields, "tokenward"));
        let expected = if session_cookie == Some(service.session.as_str()) { 200 } else { 303 };
        assert_eq!(reply.status, expected);
    });
}
