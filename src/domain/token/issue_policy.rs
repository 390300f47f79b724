//! The rules for issuing tokens.

use tokenward_guard::Scopes;

use super::lifetime::Lifetime;
use crate::domain::{
    ValidationError,
    person::TokenAccess,
    setting::{ChildTokenPolicy, Settings},
    time::Timestamp,
    token_limits::TokenLimits,
};

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
    /// The caller is neither a custodian of the service account nor an administrator.
    NotCustodian,
    /// The service account that would own the token is disabled.
    ServiceAccountDisabled,
    /// Only administrators create tokens of a service account that is an administrator.
    AdministratorAccount,
    Lifetime(ValidationError),
    /// The form was already used to create a token, or its session has ended.
    FormConsumed,
    /// The device authorization is not approved in this session, has expired, or has created a token.
    DeviceAuthorizationSpent,
    /// The workspace does not allow tokens to create tokens.
    ChildTokensForbidden,
    /// The creating token was issued in exchange for a JWT.
    ExchangedToken,
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
    /// A person, by password or on a page: the owner, or a custodian or administrator for a service
    /// account.
    Person,
    /// A token of such a person or of the owner, with its expiry.
    Token {
        expires_at: Option<Timestamp>,
        /// The token was itself issued in exchange for a JWT.
        is_exchanged: bool,
    },
}

/// The facts about a caller who creates a token for another account.
#[derive(Clone, Copy, Debug)]
pub struct MakerFacts {
    pub is_admin: bool,
    /// The caller is a custodian of the owner.
    pub is_custodian: bool,
    pub token_access: TokenAccess,
}

/// The facts about the account that will own the token.
#[derive(Clone, Copy, Debug)]
pub struct OwnerFacts {
    pub is_service_account: bool,
    pub is_admin: bool,
    pub is_disabled: bool,
}

impl MakerFacts {
    /// Checks whether the caller may create tokens for the owner, which is another account. No caller
    /// creates a token of another person.
    ///
    /// # Errors
    /// The reason of the first rule that forbids it.
    pub fn check_owner(&self, owner: OwnerFacts) -> Result<(), IssueError> {
        if !owner.is_service_account {
            return Err(IssueError::OwnerNotServiceAccount);
        }
        if !(self.is_admin || self.is_custodian) {
            return Err(IssueError::NotCustodian);
        }
        if owner.is_disabled {
            return Err(IssueError::ServiceAccountDisabled);
        }
        if !self.token_access.allows_use() {
            return Err(IssueError::AccessDisabled);
        }
        if owner.is_admin && !self.is_admin {
            return Err(IssueError::AdministratorAccount);
        }
        Ok(())
    }
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
    /// [`IssueError::ExchangedToken`] if the token was issued in exchange for a JWT,
    /// [`IssueError::ChildTokensForbidden`] or [`IssueError::OutlivesParent`] if the workspace's
    /// [`ChildTokenPolicy`] forbids it.
    pub fn check_issuer(&self, issued_by: IssuedBy, expires_at: Option<Timestamp>) -> Result<(), IssueError> {
        let IssuedBy::Token { expires_at: parent_expires_at, is_exchanged } = issued_by else { return Ok(()) };
        if is_exchanged {
            return Err(IssueError::ExchangedToken);
        }
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
