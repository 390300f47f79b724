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

/// The positions of the values of [`HEADERS`], which are written one after the other into one
/// buffer.
#[derive(Debug)]
pub(super) struct HeaderValues {
    ends: [usize; HEADERS.len()],
}

impl HeaderValues {
    /// Appends the values to a buffer.
    pub(super) fn append(caller: &Principal, text: &mut Vec<u8>) -> Self {
        let mut ends = [0; HEADERS.len()];
        let token = caller.token();
        for (n, end) in ends.iter_mut().enumerate() {
            match n {
                0 | 2 => percent_encode(&caller.email, text),
                1 => percent_encode(if caller.name.is_empty() { &caller.email } else { &caller.name }, text),
                3 => text.extend_from_slice(groups(caller)),
                4 => write_number(caller.person_id, text),
                5 => write_number(caller.workspace_id, text),
                6 => match token {
                    Some(token) => {
                        let mut id = uuid::Uuid::encode_buffer();
                        text.extend_from_slice(token.id.as_hyphenated().encode_lower(&mut id).as_bytes());
                    }
                    None => text.push(b'-'),
                },
                7 => match token.and_then(|token| token.expires_at) {
                    Some(end) => Timestamp::from(end).append_to(text),
                    None => text.extend_from_slice(b"never"),
                },
                _ => text.extend_from_slice(match token.and_then(|token| token.scopes.as_str()) {
                    None => b"*",
                    Some("") => b"-",
                    Some(scopes) => scopes.as_bytes(),
                }),
            }
            *end = text.len();
        }
        Self { ends }
    }

    /// Returns the values from the buffer to which they were appended at `start`. They share its
    /// memory.
    pub(super) fn slice(&self, text: &Bytes, start: usize) -> [HeaderValue; HEADERS.len()] {
        let mut start = start;
        self.ends.map(|end| {
            let text = text.slice(start..end);
            start = end;
            header_value(text)
        })
    }
}

/// Returns the value of `Remote-Groups`. A service account is in one group only, whatever its role.
fn groups(caller: &Principal) -> &'static [u8] {
    match (caller.is_service_account(), caller.is_admin) {
        (true, _) => b"service",
        (false, true) => b"user,admin",
        (false, false) => b"user",
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
    values.slice(&text.into(), 0).map(|value| value.to_str().unwrap_or("-").to_owned())
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
