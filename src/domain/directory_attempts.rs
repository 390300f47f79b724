//! Limits on wrong passwords for accounts of a directory, below the limit at which the directory locks
//! the account.

use sha2::{Digest as _, Sha256};

/// The time after which the attempts of an account are forgotten.
pub const WINDOW_SECONDS: i64 = 30 * 60;
/// The time without attempts after the directory has reported that it locked the account.
pub const LOCKED_OUT_SECONDS: i64 = 5 * 60;

/// The place that an attempt comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AttemptPlace {
    /// An address or a browser from which the person has signed in before.
    Known,
    Unknown,
}

impl AttemptPlace {
    /// All places.
    pub const ALL: [Self; 2] = [Self::Known, Self::Unknown];

    /// Returns the number of wrong passwords in a window. `guard` is `lockout_guard`, the number for
    /// unknown places. Known places have two of their own, so that attempts elsewhere do not lock out
    /// the owner; the sum must stay below the limit of the directory.
    #[must_use]
    pub const fn limit(self, guard: u32) -> u32 {
        match self {
            Self::Known => 2,
            Self::Unknown => guard,
        }
    }
}

/// The SHA-256 of a provider, the subject of an entry, and the kind of place: the key of a counter.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct AttemptDigest([u8; 32]);

impl AttemptDigest {
    /// Returns the key of an entry, which is the same for all spellings of its login.
    #[must_use]
    pub fn of_entry(provider: &str, subject: &str, place: AttemptPlace) -> Self {
        let place = match place {
            AttemptPlace::Known => "known",
            AttemptPlace::Unknown => "unknown",
        };
        let mut hash = Sha256::new();
        for part in [provider, subject, place] {
            hash.update((part.len() as u64).to_be_bytes());
            hash.update(part.as_bytes());
        }
        Self(hash.finalize().into())
    }

    /// Returns the 32 bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_provider_entry_and_place_has_a_counter_of_its_own() {
        let of = AttemptDigest::of_entry;
        let first = of("company", "a", AttemptPlace::Known);
        assert_eq!(first, of("company", "a", AttemptPlace::Known));
        for other in [
            of("company", "a", AttemptPlace::Unknown),
            of("company", "b", AttemptPlace::Known),
            of("companya", "", AttemptPlace::Known),
        ] {
            assert_ne!(first, other);
        }
    }
}
