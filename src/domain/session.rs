//! Web sessions: a signed-in browser, its secret, and its lifetime.

use std::fmt;

use sha2::{Digest as _, Sha256};
use uuid::Uuid;

use super::{
    id::{PersonId, WorkspaceId},
    time::Timestamp,
};
use crate::domain::random::Random;

/// 62^43 is just above 2^256.
const VALUE_CHARS: usize = 43;
/// The time after which a sensitive operation asks for the password again.
const REAUTH_AFTER_SECONDS: i64 = 15 * 60;

/// A stored web session: all of it except the value in the cookie.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Session {
    pub id: Uuid,
    pub workspace_id: WorkspaceId,
    pub person_id: PersonId,
    pub created_at: Timestamp,
    /// When the person last entered the password in this session, or authenticated at the provider.
    pub authenticated_at: Timestamp,
    /// When the session was last used, with a precision of one minute.
    pub last_seen_at: Timestamp,
    /// The browser's `User-Agent`; at most [`UserAgent::MAX_CHARS`] characters.
    pub user_agent: String,
    /// The client address of the sign-in, in canonical form; `None` if it is unknown.
    pub address: Option<String>,
    /// The client address at `last_seen_at`, in canonical form; `None` if it is unknown.
    pub last_address: Option<String>,
    /// The name of the identity provider that the user signed in through; `None`: with a local password.
    pub provider: Option<String>,
}

impl Session {
    /// Returns whether a sensitive operation must ask for the password again.
    #[must_use]
    pub fn needs_reauth(&self, now: Timestamp) -> bool {
        now >= self.authenticated_at.plus_seconds(REAUTH_AFTER_SECONDS)
    }

    /// Returns whether the session has ended. At the exact end of its lifetime it has.
    #[must_use]
    pub fn is_expired(&self, now: Timestamp, lifetime: SessionLifetime) -> bool {
        now >= self.created_at.plus_seconds(lifetime.max_age_seconds)
            || now >= self.last_seen_at.plus_seconds(lifetime.idle_timeout_seconds)
    }
}

/// The limits after which a session ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SessionLifetime {
    /// The maximum time without use.
    pub idle_timeout_seconds: i64,
    /// The maximum age, regardless of use.
    pub max_age_seconds: i64,
}

/// A `User-Agent` header without control characters, truncated to [`UserAgent::MAX_CHARS`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct UserAgent(String);

impl UserAgent {
    /// The maximum length, in Unicode scalar values.
    pub const MAX_CHARS: usize = 200;

    /// Removes control characters from a header value and truncates it.
    #[must_use]
    pub fn from_header(header: &str) -> Self {
        Self(header.chars().filter(|c| !c.is_control()).take(Self::MAX_CHARS).collect())
    }

    /// Returns the text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// The secret in the session cookie: 43 base62 characters, 256 random bits.
#[derive(Clone, PartialEq, Eq)]
pub struct SessionValue(String);

impl SessionValue {
    /// Generates an unpredictable value.
    #[must_use]
    pub fn generate(random: &Random) -> Self {
        Self(random.base62(VALUE_CHARS))
    }

    /// Reads the text of a cookie. Returns `None` if it does not have the format of a value.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let is_well_formed = text.len() == VALUE_CHARS && text.bytes().all(|b| b.is_ascii_alphanumeric());
        is_well_formed.then(|| Self(text.to_owned()))
    }

    /// Returns the secret text, for the cookie.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// Returns the digest, which is stored instead of the value.
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

/// The SHA-256 of a session value, the key of the stored session. Values have 256 bits of entropy,
/// so one fast hash is enough.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct SessionDigest([u8; 32]);

impl SessionDigest {
    /// Returns the 32 bytes.
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

    const LIFETIME: SessionLifetime = SessionLifetime { idle_timeout_seconds: 1_800, max_age_seconds: 43_200 };

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_millis(seconds * 1_000)
    }

    fn session(created_at: i64, last_seen_at: i64) -> Session {
        Session {
            id: Uuid::nil(),
            workspace_id: WorkspaceId::FIRST,
            person_id: PersonId::new(1),
            created_at: at(created_at),
            authenticated_at: at(created_at),
            last_seen_at: at(last_seen_at),
            user_agent: String::new(),
            address: None,
            last_address: None,
            provider: None,
        }
    }

    #[test]
    fn a_session_expires_by_idle_time_and_by_age() {
        assert!(!session(0, 0).is_expired(at(1_799), LIFETIME));
        assert!(session(0, 0).is_expired(at(1_800), LIFETIME));
        assert!(!session(0, 43_000).is_expired(at(43_199), LIFETIME));
        assert!(session(0, 43_000).is_expired(at(43_200), LIFETIME));
    }

    #[test]
    fn reauthentication_is_needed_15_minutes_after_the_password_was_entered() {
        assert!(!session(0, 0).needs_reauth(at(899)));
        assert!(session(0, 0).needs_reauth(at(900)));
    }

    #[test]
    fn a_generated_value_parses_and_is_hidden_in_debug_output() {
        let value = SessionValue::generate(&Random::system());
        assert_eq!(SessionValue::parse(value.expose()), Some(value.clone()));
        assert!(!format!("{value:?} {:?}", value.digest()).contains(value.expose()));
        for invalid in ["", "x", &"a".repeat(44), &format!("{}-", "a".repeat(42)), &"é".repeat(21)] {
            assert_eq!(SessionValue::parse(invalid), None, "{invalid}");
        }
    }

    #[test]
    fn a_user_agent_is_truncated_to_200_characters() {
        let header = format!("a\u{1b}b{}", "é".repeat(300));
        assert_eq!(UserAgent::from_header(&header).as_str().chars().count(), 200);
    }
}
