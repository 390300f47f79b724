//! What a value was refused for.

use crate::domain::{password, time::Timestamp, token};

/// Why a value of the right type is refused. Each message is a sentence that says what would be right.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Invalid {
    #[error("lifetimeSeconds must be -1 (never expires) or from 1 to {}", token::Lifetime::MAX_SECONDS)]
    Lifetime,
    #[error(
        "lifetimeSeconds is over the workspace's maximum lifetime of {max_days} days ({} seconds); \
         an administrator can raise it by the setting feature.apiAccessTokens.maxLifetimeDays",
        max_days * 86_400
    )]
    LifetimeTooLong { max_days: i64 },
    #[error(
        "the token would outlive the one that makes it, which ends at {end}; the workspace's setting tokenward.tokenMintedTokens \
         allows that only by password or on a page"
    )]
    OutlivesMaker { end: Timestamp },
    #[error("this Idempotency-Key came with another body within the last ten minutes; use a new key for a new request")]
    OtherBody,
    #[error("Idempotency-Key must have from 16 to 255 visible ASCII characters, for instance a UUID")]
    IdempotencyKey,
    #[error("{field} must have at most {max} characters")]
    TooLong { field: &'static str, max: usize },
    #[error("{field} must not be empty")]
    Empty { field: &'static str },
    #[error("{field} must not contain control characters or characters that reverse the writing direction")]
    Control { field: &'static str },
    #[error("{parameter} must be from {least} to {most}")]
    OutOfRange { parameter: &'static str, least: i64, most: i64 },
    #[error("email must be an address such as ada@example.com, without spaces or colons")]
    Email,
    #[error("email contains the invisible character U+{:04X}; type the address instead of pasting it", u32::from(*character))]
    EmailInvisible { character: char },
    #[error("tokenAccess must be default, enabled or disabled")]
    TokenAccess,
    #[error("password must have from {min} to {} characters", password::MAX_CHARS)]
    PasswordLength { min: usize },
    #[error(
        "password is too easy to guess: it is a common one, repeats one, or is made of words known of this account"
    )]
    PasswordCommon,
    #[error("password2 must equal password")]
    PasswordRepeat,
    #[error("password must differ from the present one")]
    PasswordUnchanged,
    #[error("there is no setting {key:?}; the settings are {}", crate::domain::setting::Key::names())]
    UnknownSetting { key: String },
    #[error("a setting may be named only once in a request: {key}")]
    SettingTwice { key: &'static str },
    #[error("the setting {key} takes {expected}")]
    SettingValue { key: &'static str, expected: &'static str },
}
