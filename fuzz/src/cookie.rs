//! Cookies: one field to a line. A page is shown to whoever has the one session in the one place for it, and to nobody else.

use super::test_service::with_service;

/// The value that a name has, where it has one that is shaped like a session's.
fn value<'c>(fields: &[&'c [u8]], name: &str) -> Option<&'c str> {
    let pairs = fields.iter().flat_map(|field| field.split(|b| *b == b';'));
    let texts = pairs.filter_map(|pair| std::str::from_utf8(pair).ok());
    let pairs = texts.filter_map(|text| text.trim_matches([' ', '\t']).split_once('='));
    let values: Vec<&str> = pairs.filter(|(found, _)| *found == name).map(|(_, value)| value).collect();
    match values[..] {
        [value] if value.len() == 43 && value.bytes().all(|b| b.is_ascii_alphanumeric()) => Some(value),
        _ => None,
    }
}

/// Checks one input; panics where the service is wrong about it.
pub fn run(bytes: &[u8]) {
    with_service(|service| {
        let bytes = service.filled_in(bytes);
        let fields: Vec<&[u8]> = bytes.split(|b| *b == b'\n').collect();
        let headers = fields.iter().map(|field| ("cookie", *field));
        let Some(reply) = service.send("GET", "/preferences/access-tokens", headers, b"") else { return };
        let decides = value(&fields, "__Host-tokenward").or_else(|| value(&fields, "tokenward"));
        let expected = if decides == Some(service.session.as_str()) { 200 } else { 303 };
        assert_eq!(reply.status, expected);
    });
}
