//! Identity headers: the caller of an auth check, as headers that a proxy copies to the upstream
//! service.

use std::io::Write as _;

use axum::{
    body::Bytes,
    http::{HeaderName, HeaderValue},
};
use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};

use crate::domain::time::Timestamp;
use tokenward_guard::Principal;

/// The names of the identity headers. Each is present on every 200 and never empty: some proxies
/// keep the client's header if the response's is empty or missing.
pub(super) const HEADERS: [&str; 9] = [
    "remote-user",
    "remote-name",
    "remote-email",
    "remote-groups",
    "x-tokenward-person-id",
    "x-tokenward-workspace-id",
    "x-tokenward-token-id",
    "x-tokenward-token-expires",
    "x-tokenward-scopes",
];

/// The characters that are percent-encoded in addition to non-ASCII ones. The percent sign is
/// included, so that values can be decoded.
const ENCODE_SET: &AsciiSet = &CONTROLS.add(b'%');

/// Returns [`HEADERS`] as header names.
pub(super) fn header_names() -> [HeaderName; HEADERS.len()] {
    HEADERS.map(HeaderName::from_static)
}

fn write_number(value: i64, text: &mut Vec<u8>) {
    // Writing to a `Vec` cannot fail.
    write!(text, "{value}").ok();
}

/// The value of a header.
#[derive(Clone, Copy, Debug)]
enum Value {
    Fixed(&'static str),
    /// The part of a buffer from a position to another one.
    Text(usize, usize),
}

/// The values of [`HEADERS`]. Those that depend on the caller are in one buffer.
#[derive(Debug)]
pub(super) struct HeaderValues([Value; HEADERS.len()]);

impl HeaderValues {
    /// Appends the texts to a buffer.
    pub(super) fn append(caller: &Principal, text: &mut Vec<u8>) -> Self {
        let token = caller.token();
        let email = append_with(text, |text| percent_encode(&caller.email, text));
        let name = match &*caller.name {
            "" => email,
            name => append_with(text, |text| percent_encode(name, text)),
        };
        let person_id = append_with(text, |text| write_number(caller.person_id, text));
        let workspace_id = append_with(text, |text| write_number(caller.workspace_id, text));
        let token_id = token.map_or(Value::Fixed("-"), |token| {
            let mut id = uuid::Uuid::encode_buffer();
            let id = token.id.as_hyphenated().encode_lower(&mut id);
            append_with(text, |text| text.extend_from_slice(id.as_bytes()))
        });
        let expires = match token.and_then(|token| token.expires_at) {
            Some(end) => append_with(text, |text| Timestamp::from(end).append_to(text)),
            None => Value::Fixed("never"),
        };
        let scopes = match token.and_then(|token| token.scopes.as_str()) {
            None => Value::Fixed("*"),
            Some("") => Value::Fixed("-"),
            Some(scopes) => append_with(text, |text| text.extend_from_slice(scopes.as_bytes())),
        };
        let groups = Value::Fixed(groups(caller));
        Self([email, name, email, groups, person_id, workspace_id, token_id, expires, scopes])
    }

    /// Returns the values, with the buffer to which the texts were appended. They share its memory.
    pub(super) fn render(&self, text: &Bytes) -> [HeaderValue; HEADERS.len()] {
        self.0.map(|value| match value {
            Value::Fixed(value) => HeaderValue::from_static(value),
            Value::Text(start, end) => header_value(text.slice(start..end)),
        })
    }
}

/// Appends a text to a buffer, and returns where it is.
fn append_with(text: &mut Vec<u8>, append: impl FnOnce(&mut Vec<u8>)) -> Value {
    let start = text.len();
    append(text);
    Value::Text(start, text.len())
}

/// Returns the value of `Remote-Groups`. A service account is in one group only, whatever its role.
fn groups(caller: &Principal) -> &'static str {
    match (caller.is_service_account(), caller.is_admin) {
        (true, _) => "service",
        (false, true) => "user,admin",
        (false, false) => "user",
    }
}

/// Converts a text to a header value. All texts are visible ASCII; a hyphen is the safe fallback.
pub(super) fn header_value(text: Bytes) -> HeaderValue {
    HeaderValue::from_maybe_shared(text).unwrap_or(HeaderValue::from_static("-"))
}

fn percent_encode(value: &str, text: &mut Vec<u8>) {
    for part in utf8_percent_encode(value, ENCODE_SET) {
        text.extend_from_slice(part.as_bytes());
    }
}

/// Returns the values of [`HEADERS`] as strings.
pub(super) fn header_texts(caller: &Principal) -> [String; HEADERS.len()] {
    let mut text = Vec::new();
    let values = HeaderValues::append(caller, &mut text);
    values.render(&text.into()).map(|value| value.to_str().unwrap_or("-").to_owned())
}

/// Returns whether an upstream service could take a client's header for an identity header: the
/// same letters in any case, with `_` or `.` for `-`.
pub(super) fn resembles_identity_header(name: &str) -> bool {
    let normalized = name.to_ascii_lowercase().replace(['_', '.'], "-");
    HEADERS.contains(&normalized.as_str()) || normalized.starts_with("x-tokenward-")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_never_empty_and_always_ascii() {
        let caller = Principal::for_tests(7, "jos\u{e9}@example.com");
        assert_eq!(header_texts(&caller)[..2], ["jos%C3%A9@example.com", "jos%C3%A9@example.com"]);
        for value in header_texts(&caller) {
            assert!(!value.is_empty() && value.bytes().all(|b| (b' '..=b'~').contains(&b)), "{value}");
        }
        assert_eq!(header_texts(&Principal::for_tests(7, "100% ok"))[0], "100%25 ok");
    }

    #[test]
    fn each_value_belongs_to_its_header() {
        let actual = header_texts(&Principal::for_tests(7, "ada@example.com"));
        let expected = [
            "ada@example.com",
            "ada@example.com",
            "ada@example.com",
            "user",
            "7",
            "1",
            "00000000-0000-0000-0000-000000000000",
            "never",
            "*",
        ];
        assert_eq!(actual, expected);
    }

    #[test]
    fn a_service_account_is_named_by_its_identity() {
        let actual = header_texts(&Principal::for_tests(7, "service:ci"));
        assert_eq!(actual[..4], ["service:ci", "service:ci", "service:ci", "service"]);
    }

    #[test]
    fn spellings_of_identity_headers_are_recognized() {
        for lookalike in ["Remote-User", "REMOTE_USER", "remote.groups", "X-Tokenward-Anything", "x_tokenward-Token.Id"]
        {
            assert!(resembles_identity_header(lookalike), "{lookalike}");
        }
        for other in ["remote-addr", "x-token", "user"] {
            assert!(!resembles_identity_header(other), "{other}");
        }
    }
}
