//! Web sessions: who is signed in to the pages, and for how long.

use std::fmt;

use sha2::{Digest as _, Sha256};
use uuid::Uuid;

use super::time::Timestamp;
use crate::domain::random::Random;

/// 62^43 is just above 2^256.
const VALUE_CHARS: usize = 43;
/// How long after the password was typed an act of weight does not ask for it again.
const PROVEN_FOR_SECONDS: i64 = 15 * 60;

/// A session as it is kept: everything but the value in the cookie.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Session {
    pub id: Uuid,
    pub workspace_id: i64,
    pub person_id: i64,
    pub begun_at: Timestamp,
    /// When the password was typed last in this session.
    pub proven_at: Timestamp,
    /// When the session was used last, to the minute.
    pub seen_at: Timestamp,
    /// The browser, as it calls itself; at most [`UserAgent::MAX_CHARS`] characters.
    pub user_agent: String,
}

impl Session {
    /// Whether an act of weight must ask for the password again.
    #[must_use]
    pub fn needs_proof(&self, now: Timestamp) -> bool {
        now >= self.proven_at.plus_seconds(PROVEN_FOR_SECONDS)
    }

    /// Whether the session is still good. At equality it is over.
    #[must_use]
    pub fn is_over(&self, now: Timestamp, lifetime: Lifetime) -> bool {
        now >= self.begun_at.plus_seconds(lifetime.absolute_seconds)
            || now >= self.seen_at.plus_seconds(lifetime.idle_seconds)
    }
}

/// How long a session lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lifetime {
    /// Without being used.
    pub idle_seconds: i64,
    /// However much it is used.
    pub absolute_seconds: i64,
}

/// What a browser calls itself, cut to length and without control characters.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct UserAgent(String);

impl UserAgent {
    /// The most characters that are kept.
    pub const MAX_CHARS: usize = 200;

    /// Keeps what can be shown of a header.
    #[must_use]
    pub fn of(header: &str) -> Self {
        Self(header.chars().filter(|c| !c.is_control()).take(Self::MAX_CHARS).collect())
    }

    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// The secret in the cookie: 43 characters base62, 256 random bits.
#[derive(Clone, PartialEq, Eq)]
pub struct SessionValue(String);

impl SessionValue {
    /// Makes a value that nobody can guess.
    #[must_use]
    pub fn make(random: &Random) -> Self {
        Self(random.base62(VALUE_CHARS))
    }

    /// Takes what a cookie holds, if it has the shape of a value.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let shaped = text.len() == VALUE_CHARS && text.bytes().all(|b| b.is_ascii_alphanumeric());
        shaped.then(|| Self(text.to_owned()))
    }

    /// The characters themselves, for the cookie.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// What is stored instead of the value.
    #[must_use]
    pub fn digest(&self) -> SessionDigest {
        SessionDigest(Sha256::digest(self.0.as_bytes()).into())
    }
}

impl fmt::Debug for SessionValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SessionValue([hidden])")
    }
}

/// SHA-256 of a value: how the store knows a session. Values have 256 bits of entropy, so one fast hash is enough.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct SessionDigest([u8; 32]);

impl SessionDigest {
    #[must_use]
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Debug for SessionDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SessionDigest([hidden])")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIFETIME: Lifetime = Lifetime { idle_seconds: 1_800, absolute_seconds: 43_200 };

    fn session(begun: i64, seen: i64) -> Session {
        Session {
            id: Uuid::nil(),
            workspace_id: 1,
            person_id: 1,
            begun_at: Timestamp::from_millis(begun * 1_000),
            proven_at: Timestamp::from_millis(begun * 1_000),
            seen_at: Timestamp::from_millis(seen * 1_000),
            user_agent: String::new(),
        }
    }

    #[test]
    fn a_session_ends_when_it_idles_and_when_it_is_old() {
        let at = |seconds: i64| Timestamp::from_millis(seconds * 1_000);
        assert!(!session(0, 0).is_over(at(1_799), LIFETIME));
        assert!(session(0, 0).is_over(at(1_800), LIFETIME));
        assert!(!session(0, 43_000).is_over(at(43_199), LIFETIME));
        assert!(session(0, 43_000).is_over(at(43_200), LIFETIME));
        assert!(!session(0, 0).needs_proof(at(899)) && session(0, 0).needs_proof(at(900)));
    }

    #[test]
    fn a_value_is_read_back_and_never_printed() {
        let value = SessionValue::make(&Random::system());
        assert_eq!(SessionValue::parse(value.expose()), Some(value.clone()));
        assert!(!format!("{value:?} {:?}", value.digest()).contains(value.expose()));
        for wrong in ["", "x", &"a".repeat(44), &format!("{}-", "a".repeat(42)), &"é".repeat(21)] {
            assert_eq!(SessionValue::parse(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn a_browsers_name_is_cut() {
        assert_eq!(UserAgent::of(&format!("a\u{1b}b{}", "é".repeat(300))).as_str().chars().count(), 200);
    }
}
