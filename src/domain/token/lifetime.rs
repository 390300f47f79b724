//! The lifetime of a token, and the time for which it outlives its replacement.

use crate::domain::{ValidationError, time::Timestamp, validation};

/// The requested lifetime of a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lifetime {
    /// The token never expires.
    Forever,
    /// 1 to [`Lifetime::MAX_SECONDS`].
    Seconds(i64),
}

impl Lifetime {
    /// 100 years of 365 days.
    pub const MAX_SECONDS: i64 = validation::MAX_LIFETIME_SECONDS;

    /// Reads `lifetimeSeconds`, in which `-1` means that the token never expires.
    ///
    /// # Errors
    /// [`ValidationError::Lifetime`] if it is neither -1 nor from 1 to [`Lifetime::MAX_SECONDS`].
    pub fn from_seconds(seconds: i64) -> Result<Self, ValidationError> {
        match seconds {
            -1 => Ok(Self::Forever),
            1..=Self::MAX_SECONDS => Ok(Self::Seconds(seconds)),
            _ => Err(ValidationError::Lifetime),
        }
    }

    /// Returns the number of seconds, or -1 if the token never expires.
    #[must_use]
    pub const fn as_seconds(self) -> i64 {
        match self {
            Self::Forever => -1,
            Self::Seconds(seconds) => seconds,
        }
    }

    /// Returns when a token with this lifetime expires if it is created now. `None`: never.
    #[must_use]
    pub fn expires_at(self, now: Timestamp) -> Option<Timestamp> {
        match self {
            Self::Forever => None,
            Self::Seconds(seconds) => Some(now.plus_seconds(seconds)),
        }
    }

    pub(super) fn check_maximum(self, max_days: Option<i64>) -> Result<(), ValidationError> {
        let Some(max_days) = max_days else { return Ok(()) };
        match self {
            Self::Seconds(seconds) if seconds <= max_days * 86_400 => Ok(()),
            _ => Err(ValidationError::LifetimeTooLong { max_days }),
        }
    }
}

/// The time between the replacement of a token and its deletion.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GracePeriod(
    /// Seconds; 0 deletes at once.
    i64,
);

impl GracePeriod {
    /// 30 days.
    pub const MAX_SECONDS: i64 = 2_592_000;
    /// One day.
    pub const DEFAULT: Self = Self(86_400);

    /// Reads `graceSeconds`.
    ///
    /// # Errors
    /// [`ValidationError::GraceSeconds`] if it is not from 0 to [`GracePeriod::MAX_SECONDS`].
    pub fn from_seconds(seconds: i64) -> Result<Self, ValidationError> {
        let is_valid = (0..=Self::MAX_SECONDS).contains(&seconds);
        if is_valid { Ok(Self(seconds)) } else { Err(ValidationError::GraceSeconds { seconds }) }
    }

    /// Returns the number of seconds.
    #[must_use]
    pub const fn as_seconds(self) -> i64 {
        self.0
    }

    /// Returns when a period that begins now ends. `None`: there is none.
    #[must_use]
    pub fn ends_at(self, now: Timestamp) -> Option<Timestamp> {
        (self.0 > 0).then(|| now.plus_seconds(self.0))
    }
}
