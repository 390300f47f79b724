//! Access tokens: their stored form, the rules for issuing them, and the rules for using them.

use std::net::IpAddr;

use tokenward_guard::Scopes;
use uuid::Uuid;

use super::{
    ValidationError,
    id::{PersonId, WorkspaceId},
    person::TokenAccess,
    setting::{ChildTokenPolicy, Settings},
    text_rules,
    time::Timestamp,
    token_limits::{AllowedNetworks, TokenLimits},
    validation,
};

/// A stored access token: all of it except the value, which exists only in the response that
/// created it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Token {
    pub id: Uuid,
    pub workspace_id: WorkspaceId,
    pub person_id: PersonId,
    /// The prefix and the first four random characters of the value, for recognition.
    pub display_prefix: String,
    pub description: String,
    pub created_at: Timestamp,
    /// `None`: never expires.
    pub expires_at: Option<Timestamp>,
    pub last_used_at: Option<Timestamp>,
    /// The client address of the last use. `None`: unknown, or the workspace does not record it.
    pub last_used_from: Option<IpAddr>,
    /// The token that created this one; `None`: the owner did, by password or on a page.
    pub parent_id: Option<Uuid>,
    pub limits: TokenLimits,
    pub replacement: Option<Replacement>,
}

/// The replacement of a token by a newer one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Replacement {
    /// The token that replaces this one.
    pub replaced_by: Uuid,
    /// When this token is deleted; never later than its expiry. It does not authenticate from then on.
    pub deletes_at: Timestamp,
}

impl Token {
    /// Returns when the token stops authenticating: its scheduled deletion or its expiry. `None`: never.
    #[must_use]
    pub fn ends_at(&self) -> Option<Timestamp> {
        self.replacement.map(|replacement| replacement.deletes_at).or(self.expires_at)
    }

    /// Returns the status at a time. A token is expired from `ends_at` on.
    #[must_use]
    pub fn status(&self, now: Timestamp) -> TokenStatus {
        if is_expired(self.ends_at(), now) { TokenStatus::Expired } else { TokenStatus::Active }
    }
}

fn is_expired(expires_at: Option<Timestamp>, now: Timestamp) -> bool {
    expires_at.is_some_and(|expires_at| now >= expires_at)
}

/// The position of a token in its lifetime.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TokenStatus {
    Active,
    Expired,
}

impl TokenStatus {
    /// Returns the name in the API.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Expired => "expired",
        }
    }
}

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

    /// Returns when a token with this lifetime expires if it is created now. `None`: never.
    #[must_use]
    pub fn expires_at(self, now: Timestamp) -> Option<Timestamp> {
        match self {
            Self::Forever => None,
            Self::Seconds(seconds) => Some(now.plus_seconds(seconds)),
        }
    }

    fn check_maximum(self, max_days: Option<i64>) -> Result<(), ValidationError> {
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
        if (0..=Self::MAX_SECONDS).contains(&seconds) { Ok(Self(seconds)) } else { Err(ValidationError::GraceSeconds) }
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

/// The owner's note about a token: one line of at most 255 characters, stored as sent.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Description(String);

impl Description {
    /// The maximum length, in Unicode scalar values. The pages count UTF-16 code units, of which a
    /// description has up to twice as many.
    pub const MAX_CHARS: usize = 255;

    /// Validates a description.
    ///
    /// # Errors
    /// [`ValidationError::TooLong`] over [`Description::MAX_CHARS`],
    /// [`ValidationError::ForbiddenCharacter`] for control characters, line breaks and overrides of
    /// the writing direction.
    pub fn parse(text: String) -> Result<Self, ValidationError> {
        text_rules::validate_single_line("description", &text, Self::MAX_CHARS)?;
        Ok(Self(text))
    }

    /// Returns the text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Returns the text without a copy.
    #[must_use]
    pub fn into_string(self) -> String {
        self.0
    }
}

/// The facts that decide whether a person may create a token. They are read in the transaction that
/// creates it.
#[derive(Clone, Debug)]
pub struct IssuePolicy {
    /// The owner is a service account, to which `allowUsers` does not apply.
    pub is_service_account: bool,
    pub is_admin: bool,
    pub is_disabled: bool,
    pub token_access: TokenAccess,
    pub settings: Settings,
}

/// The reason why a token is not created.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum IssueError {
    FeatureOff,
    /// The person was disabled or removed while the request was processed.
    PersonUnavailable,
    /// The person's `tokenAccess` is `disabled`.
    AccessDisabled,
    /// Only administrators may generate tokens in the workspace.
    AdministratorsOnly,
    /// The token would belong to another person.
    OwnerNotServiceAccount,
    /// The service account that would own the token is disabled.
    ServiceAccountDisabled,
    /// Only administrators create tokens of a service account that is an administrator.
    AdministratorAccount,
    Lifetime(ValidationError),
    /// The form was already used to create a token, or its session has ended.
    FormConsumed,
    /// The workspace does not allow tokens to create tokens.
    ChildTokensForbidden,
    /// The creating token expires earlier, and the workspace does not allow a token to outlive its
    /// parent.
    OutlivesParent {
        parent_expires_at: Timestamp,
    },
    /// The person has as many active tokens as the operator allows.
    TooManyActiveTokens {
        max: u32,
    },
    /// The `Idempotency-Key` was used before with a different body.
    IdempotencyKeyReused,
    /// The token that the same request created before has been deleted.
    IdempotentTokenDeleted,
    /// The request asks for more than the workspace or the creating token allows.
    Limits(ValidationError),
    /// There is no such token to replace, or it belongs to another person.
    ReplacedTokenNotFound,
    /// The token to replace has expired.
    ReplacedTokenExpired,
    /// The token was replaced before.
    AlreadyReplaced,
    /// A node of an older version would ignore the limits of the token.
    OlderNodes,
}

/// The credential that creates a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IssuedBy {
    /// The owner, by password or on a page.
    Person,
    /// Another token of the owner, with its expiry.
    Token { expires_at: Option<Timestamp> },
}

impl IssuePolicy {
    /// Checks whether the person may create a token with this lifetime.
    ///
    /// # Errors
    /// The reason of the first rule that forbids it.
    pub fn check(&self, lifetime: Lifetime) -> Result<(), IssueError> {
        self.check_person()?;
        self.check_lifetime(lifetime)
    }

    /// Checks whether the person may create tokens.
    ///
    /// # Errors
    /// The reason of the first rule that forbids it.
    pub fn check_person(&self) -> Result<(), IssueError> {
        if self.is_disabled {
            return Err(IssueError::PersonUnavailable);
        }
        if !self.settings.enabled {
            return Err(IssueError::FeatureOff);
        }
        match self.token_access {
            TokenAccess::Disabled => Err(IssueError::AccessDisabled),
            TokenAccess::Default if !(self.is_service_account || self.is_admin || self.settings.allow_users) => {
                Err(IssueError::AdministratorsOnly)
            }
            TokenAccess::Default | TokenAccess::Enabled => Ok(()),
        }
    }

    /// Checks the lifetime against the workspace's maximum.
    ///
    /// # Errors
    /// [`IssueError::Lifetime`] if it is above the maximum.
    pub fn check_lifetime(&self, lifetime: Lifetime) -> Result<(), IssueError> {
        lifetime.check_maximum(self.settings.max_lifetime_days).map_err(IssueError::Lifetime)
    }

    /// Checks the limits of the new token. `inherited` are the scopes of the tokens from which it may
    /// inherit.
    ///
    /// # Errors
    /// [`IssueError::Limits`] if the workspace requires scopes and the token has none, or a scope is not in
    /// the workspace's catalog.
    pub fn check_limits(&self, limits: &TokenLimits, inherited: &[&Scopes]) -> Result<(), IssueError> {
        self.settings.scopes.check(&limits.scopes, inherited).map_err(IssueError::Limits)?;
        if self.settings.require_scopes && limits.scopes.is_unrestricted() {
            return Err(IssueError::Limits(ValidationError::ScopesRequired));
        }
        Ok(())
    }

    /// Checks whether the credential may create a token that expires at `expires_at`.
    ///
    /// # Errors
    /// [`IssueError::ChildTokensForbidden`] or [`IssueError::OutlivesParent`] if the workspace's
    /// [`ChildTokenPolicy`] forbids it.
    pub fn check_issuer(&self, issued_by: IssuedBy, expires_at: Option<Timestamp>) -> Result<(), IssueError> {
        let IssuedBy::Token { expires_at: parent_expires_at } = issued_by else { return Ok(()) };
        match (self.settings.child_tokens, parent_expires_at) {
            (ChildTokenPolicy::Forbidden, _) => Err(IssueError::ChildTokensForbidden),
            (ChildTokenPolicy::WithinParent, Some(parent_expires_at))
                if expires_at.is_none_or(|expires_at| expires_at > parent_expires_at) =>
            {
                Err(IssueError::OutlivesParent { parent_expires_at })
            }
            (ChildTokenPolicy::WithinParent | ChildTokenPolicy::Allowed, _) => Ok(()),
        }
    }
}

/// The facts that decide whether a presented token authenticates, read in one look-up.
#[derive(Clone, Copy, Debug)]
pub struct TokenFacts<'a> {
    /// When the token stops authenticating: its scheduled deletion or its expiry.
    pub ends_at: Option<Timestamp>,
    pub networks: &'a AllowedNetworks,
    pub is_disabled: bool,
    pub token_access: TokenAccess,
    pub feature_enabled: bool,
}

/// The reason why an existing token does not authenticate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UnusableReason {
    Expired,
    PersonDisabled,
    AccessDisabled,
    /// The client's address is not known, or in none of the token's networks.
    OutsideNetworks,
    /// The feature is switched off in the workspace. Checked last: it is reported only for a token
    /// that would otherwise authenticate.
    FeatureOff,
}

impl TokenFacts<'_> {
    /// Checks whether the token authenticates at a time, for a client with this address. The address is
    /// determined only for a token with networks.
    ///
    /// # Errors
    /// The reason of the first rule that rejects the token.
    pub fn ensure_usable(&self, now: Timestamp, client: impl FnOnce() -> Option<IpAddr>) -> Result<(), UnusableReason> {
        if is_expired(self.ends_at, now) {
            return Err(UnusableReason::Expired);
        }
        if self.is_disabled {
            return Err(UnusableReason::PersonDisabled);
        }
        if !self.token_access.allows_use() {
            return Err(UnusableReason::AccessDisabled);
        }
        if !self.networks.is_any() && !self.networks.allow(client()) {
            return Err(UnusableReason::OutsideNetworks);
        }
        if !self.feature_enabled {
            return Err(UnusableReason::FeatureOff);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
