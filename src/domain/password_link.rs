//! Password links: secret links with which a person sets the password of an account.

use std::fmt;

use sha2::{Digest as _, Sha256};

use super::{random::Random, time::Timestamp};

/// 62^43 is just above 2^256.
const VALUE_CHARS: usize = 43;

/// The kind of a password link.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LinkKind {
    /// An administrator or the operator created the link, and gives it to the person.
    Invite,
    /// A client requested the link on the sign-in page. It is sent to the e-mail address of the account.
    Reset,
}

impl LinkKind {
    /// Returns the stored name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Invite => "invite",
            Self::Reset => "reset",
        }
    }

    /// Returns the end of the validity of a link that is created now. At that time it has expired.
    #[must_use]
    pub const fn expires_at(self, created_at: Timestamp) -> Timestamp {
        match self {
            Self::Invite => created_at.plus_seconds(72 * 3_600),
            Self::Reset => created_at.plus_seconds(3_600),
        }
    }
}

/// The secret in a password link: 43 base62 characters, 256 random bits.
#[derive(Clone, PartialEq, Eq)]
pub struct LinkValue(String);

impl LinkValue {
    /// Generates an unpredictable value.
    #[must_use]
    pub fn generate(random: &Random) -> Self {
        Self(random.base62(VALUE_CHARS))
    }

    /// Reads the text of a link. Returns `None` if it does not have the format of a value.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let is_well_formed = text.len() == VALUE_CHARS && text.bytes().all(|b| b.is_ascii_alphanumeric());
        is_well_formed.then(|| Self(text.to_owned()))
    }

    /// Returns the secret text, for the link.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// Returns the digest, which is stored instead of the value.
    #[must_use]
    pub fn digest(&self) -> LinkDigest {
        LinkDigest(Sha256::digest(self.0.as_bytes()).into())
    }
}

impl fmt::Debug for LinkValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("LinkValue([hidden])")
    }
}

/// The SHA-256 of a link value. Values have 256 bits of entropy, so one fast hash is enough.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct LinkDigest([u8; 32]);

impl LinkDigest {
    /// Returns the 32 bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Debug for LinkDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("LinkDigest([hidden])")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_generated_value_parses_and_is_hidden_in_debug_output() {
        let value = LinkValue::generate(&Random::system());
        assert_eq!(LinkValue::parse(value.expose()), Some(value.clone()));
        assert_ne!(value, LinkValue::generate(&Random::system()));
        let hidden = format!("{value:?} {:?}", value.digest());
        assert_eq!(hidden, "LinkValue([hidden]) LinkDigest([hidden])");
        for invalid in ["", "x", &"a".repeat(44), &format!("{}-", "a".repeat(42)), &format!("{}é", "a".repeat(41))] {
            assert_eq!(LinkValue::parse(invalid), None, "{invalid}");
        }
    }

    #[test]
    fn an_invite_link_is_valid_for_three_days_and_a_reset_link_for_an_hour() {
        let expires_at = LinkKind::Invite.expires_at(Timestamp::from_millis(1_000));
        assert_eq!(expires_at.as_millis(), 1_000 + 3 * 86_400 * 1_000);
        assert_eq!(LinkKind::Reset.expires_at(Timestamp::from_millis(1_000)).as_millis(), 3_601_000);
    }
}
