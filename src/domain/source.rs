//! Sign-in sources: the client addresses and browsers from which an account has signed in before.
//!
//! An attacker who tries wrong passwords for an account must not lock out its owner. So each known
//! source has a failure counter of its own, which failed logins from elsewhere do not affect.

use std::{fmt, net::IpAddr};

use sha2::{Digest as _, Sha256};

use super::{id::PersonId, ip_network::rate_limit_key};
use crate::domain::random::Random;

/// 62^43 is just above 2^256.
const VALUE_CHARS: usize = 43;
/// The maximum number of addresses, and of browsers, that an account keeps. A further one replaces
/// the source whose last sign-in is the oldest.
pub const MAX_SOURCES_PER_KIND: i64 = 10;
/// The time that a source is kept after its last sign-in.
pub const RETENTION_SECONDS: i64 = 90 * 86_400;
/// The precision of `seen_at`. A client that sends its password with each request causes one write
/// per day.
pub const LAST_SEEN_RESOLUTION_SECONDS: i64 = 86_400;

/// The random value in a browser's long-lived cookie: 43 base62 characters, 256 bits. It
/// authenticates nothing.
#[derive(Clone, PartialEq, Eq)]
pub struct DeviceValue(String);

impl DeviceValue {
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
}

impl fmt::Debug for DeviceValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("DeviceValue([hidden])")
    }
}

/// The SHA-256 of an account and a source, the key of the stored source.
///
/// The account is part of the input, so that the rows of two accounts do not reveal a common
/// source. The digest hides a browser's value. It does not hide an address from an attacker who
/// holds the database and tries all 2^32 addresses of IPv4.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct SourceDigest([u8; 32]);

impl SourceDigest {
    /// Returns the digest of a client address, for IPv6 of its first 64 bits.
    fn for_address(person_id: PersonId, address: IpAddr) -> Self {
        Self::compute(person_id, "address", &rate_limit_key(address).to_string())
    }

    /// Returns the digest of a browser.
    fn for_device(person_id: PersonId, value: &DeviceValue) -> Self {
        Self::compute(person_id, "device", value.expose())
    }

    fn compute(person_id: PersonId, kind: &str, text: &str) -> Self {
        Self(Sha256::digest(format!("{person_id} {kind} {text}")).into())
    }

    /// Returns the 32 bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

/// A source of sign-ins to one account.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SignInSource {
    pub digest: SourceDigest,
    /// The source is a browser. Otherwise it is an address.
    pub is_device: bool,
}

impl SignInSource {
    /// Returns the source of a client address.
    #[must_use]
    pub fn from_address(person_id: PersonId, address: IpAddr) -> Self {
        Self { digest: SourceDigest::for_address(person_id, address), is_device: false }
    }

    /// Returns the source of a browser.
    #[must_use]
    pub fn from_device(person_id: PersonId, value: &DeviceValue) -> Self {
        Self { digest: SourceDigest::for_device(person_id, value), is_device: true }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_digest_depends_on_the_account_and_the_rate_limit_key() {
        let digest = |id, text: &str| SourceDigest::for_address(PersonId::new(id), text.parse().unwrap());
        assert_eq!(digest(1, "2001:db8:1:2::1"), digest(1, "2001:db8:1:2:ffff::9"));
        assert_eq!(digest(1, "192.0.2.1"), digest(1, "::ffff:192.0.2.1"));
        assert_ne!(digest(1, "192.0.2.1"), digest(2, "192.0.2.1"));
        assert_ne!(digest(1, "192.0.2.1"), digest(1, "192.0.2.2"));
    }

    #[test]
    fn a_device_digest_depends_on_the_account() {
        let value = DeviceValue::generate(&Random::system());
        let digest = |id| SourceDigest::for_device(PersonId::new(id), &value);
        assert_ne!(digest(1), digest(2));
    }

    #[test]
    fn a_generated_device_value_parses_and_is_hidden_in_debug_output() {
        let value = DeviceValue::generate(&Random::system());
        assert_eq!(DeviceValue::parse(value.expose()), Some(value.clone()));
        assert!(!format!("{value:?}").contains(value.expose()));
        for invalid in ["", "x", &"a".repeat(44), &format!("{}-", "a".repeat(42))] {
            assert_eq!(DeviceValue::parse(invalid), None, "{invalid}");
        }
    }
}
