//! Validation errors: the reason why a value of the right type is rejected.

use crate::domain::{time::Timestamp, trust_rule::InvalidTrustRule};

/// The maximum lifetime of a token: 100 years of 365 days.
pub(super) const MAX_LIFETIME_SECONDS: i64 = 3_153_600_000;
/// The maximum length of a password, in Unicode scalar values after NFC normalization.
pub(super) const MAX_PASSWORD_CHARS: usize = 128;

/// A rejected value. Each message states what is accepted.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ValidationError {
    #[error("lifetimeSeconds must be -1 (never expires) or from 1 to {}", MAX_LIFETIME_SECONDS)]
    Lifetime,
    #[error(
        "lifetimeSeconds exceeds the workspace's maximum lifetime of {max_days} days ({} seconds); \
         an administrator can change the setting feature.apiAccessTokens.maxLifetimeDays",
        max_days * 86_400
    )]
    LifetimeTooLong { max_days: i64 },
    #[error(
        "the new token would expire after the token that creates it, which expires at {end}; request a shorter lifetime, \
         or authenticate with e-mail and password (workspace setting tokenward.childTokens)"
    )]
    OutlivesParent { end: Timestamp },
    #[error(
        "this Idempotency-Key was sent with a different body in the last ten minutes; send a new key with a new request"
    )]
    IdempotencyKeyReused,
    #[error("Idempotency-Key must have from 16 to 255 visible ASCII characters; a UUID, for example")]
    IdempotencyKeyFormat,
    #[error("{field} must have at most {max} characters")]
    TooLong { field: &'static str, max: usize },
    #[error("{field} must not be empty")]
    Empty { field: &'static str },
    #[error("{field} must not contain control characters or characters that reverse the writing direction")]
    ForbiddenCharacter { field: &'static str },
    #[error("{parameter} is {value}; it must be from {min} to {max}")]
    OutOfRange { parameter: &'static str, value: i64, min: i64, max: i64 },
    #[error("{field} has {count} entries; at most {max} entries are allowed")]
    TooManyEntries { field: &'static str, count: usize, max: usize },
    #[error(
        "scope {word:?} is invalid; a scope has 1 to 64 of the characters a-z, 0-9, colon, period, underscore and hyphen, and \
         begins with a letter or digit"
    )]
    ScopeSyntax { word: String },
    #[error("scope {word:?} appears more than once")]
    DuplicateScope { word: String },
    #[error(
        "scope {word:?} is unknown; the scopes that begin with tokenward: are {}",
        super::token_limits::reserved_scope::ALL.join(", ")
    )]
    UnknownReservedScope { word: String },
    #[error("scope {word:?} is always accepted; leave it out of the catalog")]
    ReservedScopeInCatalog { word: String },
    #[error(
        "scope {word:?} is not in the workspace's catalog (setting tokenward.scopes); the nearest scope is {nearest:?}"
    )]
    ScopeNotInCatalog { word: String, nearest: String },
    #[error(
        "scopes must be among those of the token that creates this one; authenticate with e-mail and password for others"
    )]
    ScopesExceedMaker,
    #[error("the workspace requires scopes (setting tokenward.requireScopes); send scopes, for example \"scopes\": []")]
    ScopesRequired,
    #[error("allowedNetworks must have at least one network; leave it out to allow any")]
    NoNetworks,
    #[error("network {text:?} is neither an IP address nor a network such as 10.0.0.0/8")]
    Network { text: String },
    #[error("network {text} has bits beyond its prefix; did you mean {network}?")]
    NetworkHostBits { text: String, network: String },
    #[error("network {text} contains all addresses; leave allowedNetworks out to allow any")]
    NetworkOfAllAddresses { text: String },
    #[error(
        "allowedNetworks must be within those of the token that creates this one; authenticate with e-mail and password for others"
    )]
    NetworksExceedMaker,
    #[error("graceSeconds is {seconds}; it must be from 0 to 2592000 (30 days)")]
    GraceSeconds { seconds: i64 },
    #[error("graceSeconds needs replaces: send the ID of the token that the new one replaces")]
    GraceWithoutReplaces,
    #[error("lifetimeSeconds is missing; send -1 (never expires) or from 1 to {}", MAX_LIFETIME_SECONDS)]
    LifetimeMissing,
    #[error("neverUsed: true selects tokens without lastUsed; remove it, or remove lastUsedBefore and lastUsedAfter")]
    NeverUsedWithRange,
    #[error("the filter is empty; send a condition, or all: true to delete all tokens")]
    EmptyDeletionFilter,
    #[error("dryRun is missing; send true to count the tokens, or false to delete them")]
    DryRunMissing,
    #[error("all: true must not be sent with a condition; remove all, or the conditions")]
    AllWithFilter,
    #[error("email must be an address such as ada@example.com, without spaces or colons")]
    Email,
    #[error("email contains the invisible character U+{:04X}; type the address instead of pasting it", u32::from(*character))]
    EmailInvisibleCharacter { character: char },
    #[error(
        "the name of a service account must have 1 to 63 of the characters a-z, 0-9, period, underscore and hyphen, and \
         begin with a letter or digit"
    )]
    ServiceName,
    #[error(
        "the name of a SCIM credential must have 1 to 63 of the characters a-z, 0-9, period, underscore and hyphen, and \
         begin with a letter or digit"
    )]
    ScimCredentialName,
    #[error(
        "the user has no e-mail address: send emails with one value that is primary, or a userName that is an address"
    )]
    ScimEmailMissing,
    #[error("emails has several values that are primary; send at most one")]
    ScimSeveralPrimary,
    #[error("externalId is missing; it must be the identifier of the person at {provider}")]
    ScimExternalIdMissing { provider: String },
    #[error("custodians is empty; send the ID of at least one person")]
    NoCustodians,
    #[error("custodians has person {id} more than once")]
    DuplicateCustodian { id: i64 },
    #[error("custodians: {id} is not the ID of an enabled person of the workspace")]
    InvalidCustodian { id: i64 },
    #[error("{email} is not the e-mail of an enabled person of the workspace")]
    UnknownCustodian { email: String },
    #[error("custodians is missing; send the IDs of the people who manage the tokens of the service account")]
    CustodiansMissing,
    #[error("{field} cannot be set for a service account, which has neither e-mail nor password; remove it")]
    NotForServiceAccounts { field: &'static str },
    #[error("{field} can be set for service accounts only; remove it, or send kind: service")]
    ForServiceAccountsOnly { field: &'static str },
    #[error("email is missing; send the e-mail of the person, or kind: service for a service account")]
    EmailMissing,
    #[error("tokenAccess must be default, enabled or disabled")]
    TokenAccess,
    #[error("password must have from {min} to {} characters", MAX_PASSWORD_CHARS)]
    PasswordLength { min: usize },
    #[error(
        "password is too easy to guess: it is a common password, a repetition of one, or made of words known about this account"
    )]
    PasswordCommon,
    #[error("password is missing; send password, or send invite: true to get an invite link for the person")]
    PasswordOrInviteMissing,
    #[error("password must not be sent with invite: true; remove password and password2, or remove invite")]
    PasswordWithInvite,
    #[error("password2 must equal password")]
    PasswordMismatch,
    #[error("password must differ from the current password")]
    PasswordUnchanged,
    #[error("unknown setting {key:?}; the settings are {known_keys}")]
    UnknownSetting { key: String, known_keys: String },
    #[error("{key} appears more than once in the request")]
    DuplicateSetting { key: &'static str },
    #[error("{key} must be {expected}")]
    InvalidSettingValue { key: &'static str, expected: &'static str },
    #[error(
        "no value of {key} conflicts with existing tokens; the settings with a preview are {}",
        super::setting_conflict::SettingConflict::KEYS.map(super::setting::SettingKey::as_str).join(", ")
    )]
    SettingWithoutPreview { key: &'static str },
    #[error("events must name at least one event; send [\"*\"] for all events")]
    NoEvents,
    #[error("events must be either [\"*\"] or the names of events, not both")]
    AllEventsBesideNames,
    #[error("{name} is not the name of an event; the nearest is {nearest}")]
    UnknownEvent { name: String, nearest: &'static str },
    #[error(transparent)]
    TrustRule(#[from] InvalidTrustRule),
}
