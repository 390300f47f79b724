//! Who a caller is, as headers that a proxy copies to the service behind it.

use std::borrow::Cow;

use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};

use crate::{domain::time::Timestamp, guard::Principal};

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

/// The values of [`HEADERS`], in that order.
pub(super) fn values(caller: &Principal) -> [Cow<'_, str>; 8] {
    let email = escape(&caller.email);
    let name = if caller.name.is_empty() { email.clone() } else { escape(&caller.name) };
    let groups = if caller.is_admin { "user,admin" } else { "user" };
    let expires_at = caller.token().and_then(|token| token.expires_at);
    [
        email.clone(),
        name,
        email,
        groups.into(),
        caller.person_id.to_string().into(),
        caller.workspace_id.to_string().into(),
        caller.token().map_or("-", |token| token.id.as_str()).into(),
        expires_at.map_or("never".into(), |end| Timestamp::from(end).to_string().into()),
    ]
}

fn escape(text: &str) -> Cow<'_, str> {
    utf8_percent_encode(text, ESCAPED).into()
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
        assert_eq!(escape("100% ok"), "100%25 ok");
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
