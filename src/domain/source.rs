//! Known sources: the client addresses and browsers from which an account has signed in before.
//!
//! An attacker who tries wrong passwords for an account must not keep its owner out. So a known source has a failure counter of its
//! own, and what strangers try elsewhere does not delay it.

use std::{fmt, net::IpAddr};

use sha2::{Digest as _, Sha256};

use super::ip_network::counted_by;
use crate::domain::random::Random;

/// 62^43 is just above 2^256.
const VALUE_CHARS: usize = 43;
/// The number of addresses, and of browsers, that an account keeps; a further one replaces the one that signed in the longest time ago.
pub const MOST_OF_A_KIND: i64 = 10;
/// How long a source stays known without a sign-in.
pub const KNOWN_FOR_SECONDS: i64 = 90 * 86_400;
/// How exact `seen_at` is: a client that sends its password with each request writes once a day.
pub const SEEN_EVERY_SECONDS: i64 = 86_400;

/// The random value in a browser's long-lived cookie: 43 characters base62, 256 bits. It opens nothing.
#[derive(Clone, PartialEq, Eq)]
pub struct DeviceValue(String);

impl DeviceValue {
    /// Makes a value that no client can guess.
    #[must_use]
    pub fn make(random: &Random) -> Self {
        Self(random.base62(VALUE_CHARS))
    }

    /// Reads the text of a cookie. None where it has not the shape of a value.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let shaped = text.len() == VALUE_CHARS && text.bytes().all(|b| b.is_ascii_alphanumeric());
        shaped.then(|| Self(text.to_owned()))
    }

    /// Returns the characters themselves, for the cookie.
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

/// The SHA-256 of an account and a source: how the store knows a source.
///
/// The account is part of it, so that the rows of two accounts do not show that both sign in from one place. It hides a browser's
/// value. It does not hide an address from an attacker who holds the database and tries all 2^32 of IPv4.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct SourceDigest([u8; 32]);

impl SourceDigest {
    /// The digest of a client address, of IPv6 by its first 64 bits.
    fn of_address(person_id: i64, address: IpAddr) -> Self {
        Self::of(person_id, "address", &counted_by(address).to_string())
    }

    /// The digest of a browser.
    fn of_device(person_id: i64, value: &DeviceValue) -> Self {
        Self::of(person_id, "device", value.expose())
    }

    fn of(person_id: i64, kind: &str, text: &str) -> Self {
        Self(Sha256::digest(format!("{person_id} {kind} {text}")).into())
    }

    #[must_use]
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

/// A source of a sign-in, as one account knows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Source {
    pub digest: SourceDigest,
    /// A browser, not an address.
    pub is_device: bool,
}

impl Source {
    #[must_use]
    pub fn address(person_id: i64, address: IpAddr) -> Self {
        Self { digest: SourceDigest::of_address(person_id, address), is_device: false }
    }

    #[must_use]
    pub fn device(person_id: i64, value: &DeviceValue) -> Self {
        Self { digest: SourceDigest::of_device(person_id, value), is_device: true }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_source_is_known_by_account_kind_and_text() {
        let address = |person_id, text: &str| SourceDigest::of_address(person_id, text.parse().unwrap());
        assert_eq!(address(1, "2001:db8:1:2::1"), address(1, "2001:db8:1:2:ffff::9"));
        assert_eq!(address(1, "192.0.2.1"), address(1, "::ffff:192.0.2.1"));
        assert_ne!(address(1, "192.0.2.1"), address(2, "192.0.2.1"));
        assert_ne!(address(1, "192.0.2.1"), address(1, "192.0.2.2"));
        let value = DeviceValue::make(&Random::system());
        assert_ne!(SourceDigest::of_device(1, &value), SourceDigest::of_device(2, &value));
        assert_eq!(DeviceValue::parse(value.expose()), Some(value.clone()));
        assert!(!format!("{value:?}").contains(value.expose()));
        for wrong in ["", "x", &"a".repeat(44), &format!("{}-", "a".repeat(42))] {
            assert_eq!(DeviceValue::parse(wrong), None, "{wrong}");
        }
    }
}
