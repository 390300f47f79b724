//! Identity headers: the caller of an auth check, as headers that a proxy copies to the upstream service.

use std::io::Write as _;

use axum::{
    body::Bytes,
    http::{HeaderName, HeaderValue},
};
use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};

use crate::domain::time::Timestamp;
use tokenward_guard::Principal;

/// The headers that tell who a caller is. Each is on every 200 and never empty: a proxy that copies them overwrites what the
/// client sent, and some proxies leave the client's where ours is empty or missing.
pub(super) const HEADERS: [&str; 8] = [
    "remote-user",
    "remote-name",
    "remote-email",
    "remote-groups",
    "x-tokenward-person-id",
    "x-tokenward-workspace-id",
    "x-tokenward-token-id",
    "x-tokenward-token-expires",
];

/// What is not visible ASCII is percent-encoded UTF-8, and so is the percent sign, that it can be read back.
const ESCAPED: &AsciiSet = &CONTROLS.add(b'%');

/// The names of [`HEADERS`].
pub(super) fn names() -> [HeaderName; HEADERS.len()] {
    HEADERS.map(HeaderName::from_static)
}

fn write_display(value: i64, text: &mut Vec<u8>) {
    // Writing to memory does not fail.
    write!(text, "{value}").ok();
}

/// The values of [`HEADERS`], in that order, one after the other in one text.
#[derive(Debug)]
pub(super) struct Values {
    ends: [usize; HEADERS.len()],
}

impl Values {
    /// Appends the values to a text.
    pub(super) fn append(caller: &Principal, text: &mut Vec<u8>) -> Self {
        let mut ends = [0; HEADERS.len()];
        let token = caller.token();
        for (n, end) in ends.iter_mut().enumerate() {
            match n {
                0 | 2 => escape(&caller.email, text),
                1 => escape(if caller.name.is_empty() { &caller.email } else { &caller.name }, text),
                3 => text.extend_from_slice(if caller.is_admin { b"user,admin" } else { b"user" }),
                4 => write_display(caller.person_id, text),
                5 => write_display(caller.workspace_id, text),
                6 => match token {
                    Some(token) => {
                        let mut id = uuid::Uuid::encode_buffer();
                        text.extend_from_slice(token.id.as_hyphenated().encode_lower(&mut id).as_bytes());
                    }
                    None => text.push(b'-'),
                },
                _ => match token.and_then(|token| token.expires_at) {
                    Some(end) => Timestamp::from(end).append_to(text),
                    None => text.extend_from_slice(b"never"),
                },
            }
            *end = text.len();
        }
        Self { ends }
    }

    /// The values, of the text to which they were appended at `begin`. They share its memory.
    pub(super) fn of(&self, text: &Bytes, begin: usize) -> [HeaderValue; HEADERS.len()] {
        let mut begin = begin;
        self.ends.map(|end| {
            let text = text.slice(begin..end);
            begin = end;
            value(text)
        })
    }
}

/// A text as a header's value. All of it is visible ASCII; were it otherwise, a hyphen is still no client's value.
pub(super) fn value(text: Bytes) -> HeaderValue {
    HeaderValue::from_maybe_shared(text).unwrap_or(HeaderValue::from_static("-"))
}

fn escape(value: &str, text: &mut Vec<u8>) {
    for part in utf8_percent_encode(value, ESCAPED) {
        text.extend_from_slice(part.as_bytes());
    }
}

/// The values of [`HEADERS`] as texts.
pub(super) fn values(caller: &Principal) -> [String; HEADERS.len()] {
    let mut text = Vec::new();
    let values = Values::append(caller, &mut text);
    values.of(&text.into(), 0).map(|value| value.to_str().unwrap_or("-").to_owned())
}

/// Whether a header of the client's could be taken for one of ours: the same letters in any case, with `_` or `.` for `-`.
pub(super) fn resembles_ours(name: &str) -> bool {
    let plain = name.to_ascii_lowercase().replace(['_', '.'], "-");
    HEADERS.contains(&plain.as_str()) || plain.starts_with("x-tokenward-")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_value_is_ever_empty_or_outside_ascii() {
        let ada = Principal::for_tests(7, "jos\u{e9}@example.com");
        assert_eq!(values(&ada)[..2], ["jos%C3%A9@example.com", "jos%C3%A9@example.com"]);
        for value in values(&ada) {
            assert!(!value.is_empty() && value.bytes().all(|b| (b' '..=b'~').contains(&b)), "{value}");
        }
        assert_eq!(values(&Principal::for_tests(7, "100% ok"))[0], "100%25 ok");
    }

    #[test]
    fn the_values_stand_under_their_names() {
        let told = values(&Principal::for_tests(7, "ada@example.com"));
        let expected = [
            "ada@example.com",
            "ada@example.com",
            "ada@example.com",
            "user",
            "7",
            "1",
            "00000000-0000-7000-8000-000000000000",
            "never",
        ];
        assert_eq!(told, expected);
    }

    #[test]
    fn spellings_of_our_headers_are_recognised() {
        for ours in ["Remote-User", "REMOTE_USER", "remote.groups", "X-Tokenward-Anything", "x_tokenward-Token.Id"] {
            assert!(resembles_ours(ours), "{ours}");
        }
        for foreign in ["remote-addr", "x-token", "user"] {
            assert!(!resembles_ours(foreign), "{foreign}");
        }
    }
}
