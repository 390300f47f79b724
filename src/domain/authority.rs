//! Authorization of mutations: the caller's state that a transaction re-reads before it writes.
//!
//! A request is authenticated before its body is validated, its password hashed and its locks
//! acquired. Meanwhile the caller may be disabled, demoted or removed, or the credential deleted.
//! The transaction therefore checks the caller again, under the lock that orders it against all of
//! these changes.

use std::fmt;

use uuid::Uuid;

use super::{
    event::AuditContext,
    id::{PersonId, WorkspaceId},
    person::TokenAccess,
    time::{Clock, Timestamp},
    token::{self, TokenFacts},
    token_limits::AllowedNetworks,
};

/// A requested mutation: its audit context, and the authorization that its transaction checks
/// again.
#[derive(Clone, Debug)]
pub struct Mutation {
    pub context: AuditContext,
    /// `None`: there is no caller to re-read. The operator, the service itself, and the holder of
    /// the very token that is deleted are authorized by other means.
    pub authority: Option<Authority>,
}

impl Mutation {
    /// Creates a mutation without a caller to re-read.
    #[must_use]
    pub fn without_caller(context: AuditContext) -> Self {
        Self { context, authority: None }
    }
}

/// The caller and the role that authorized a request. The transaction that serves the request
/// checks both again.
#[derive(Clone, Debug)]
pub struct Authority {
    pub workspace_id: WorkspaceId,
    pub person_id: PersonId,
    pub credential: VerifiedCredential,
    pub role: RequiredRole,
    /// The value of `feature.apiAccessTokens.enabled` for a workspace that has not set it.
    pub enabled_by_default: bool,
    /// Read after the locks are acquired, because a token may expire while its request waits.
    pub clock: Clock,
}

/// The credential that authenticated the caller.
#[derive(Clone, Debug)]
pub enum VerifiedCredential {
    /// The token with this ID.
    Token(Uuid),
    /// A password that matched this hash.
    Password(PasswordHash),
    /// The web session with this ID.
    Session(Uuid),
    /// The external identity with this ID, whose provider accepted the password.
    Identity(Uuid),
}

/// A stored Argon2id hash (PHC string). `Debug` does not print it.
#[derive(Clone, PartialEq, Eq)]
pub struct PasswordHash(pub String);

impl fmt::Debug for PasswordHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PasswordHash([hidden])")
    }
}

/// The role that a mutation requires of its caller.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RequiredRole {
    /// Any person, including one who must change the password first.
    PasswordChanger,
    /// Any person.
    Member,
    /// A custodian of this service account, or an administrator of the workspace.
    Custodian(PersonId),
    /// An administrator of the workspace.
    Administrator,
    /// A platform administrator.
    PlatformAdministrator,
}

impl RequiredRole {
    /// Returns the service account whose custodian the caller must be.
    #[must_use]
    pub const fn service_account(self) -> Option<PersonId> {
        if let Self::Custodian(id) = self { Some(id) } else { None }
    }
}

/// The caller's current state, as the transaction reads it.
#[derive(Clone, Debug)]
pub struct CallerFacts {
    pub is_admin: bool,
    pub is_platform_admin: bool,
    pub is_disabled: bool,
    /// The caller is a custodian of the service account that [`RequiredRole::Custodian`] names.
    pub is_custodian: bool,
    pub token_access: TokenAccess,
    pub force_password_change: bool,
    /// `None`: the person has no password.
    pub password_hash: Option<PasswordHash>,
    /// When the presented token stops authenticating; `None` if it never does or no token was presented.
    pub ends_at: Option<Timestamp>,
    /// The presented token was issued in exchange for a JWT.
    pub is_exchanged: bool,
    /// The workspace's own value of `feature.apiAccessTokens.enabled`; `None` if it has not set
    /// one.
    pub enabled: Option<bool>,
}

/// The reason why a transaction writes nothing: the caller lost the authorization meanwhile.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AuthorizationLost {
    #[error("the account or the credential was disabled, changed or removed")]
    CallerRevoked,
    #[error("API access tokens are switched off for the workspace")]
    FeatureOff,
    #[error("person {person_id} must change the password first")]
    PasswordChangeRequired { person_id: PersonId },
    #[error("the caller is no longer an administrator")]
    NotAdministrator,
    #[error("the caller is no longer a custodian of the service account")]
    NotCustodian,
    #[error("the caller is no longer a platform administrator")]
    NotPlatformAdministrator,
}

impl Authority {
    /// Checks the caller's current state. `None` means that the person or the credential no longer
    /// exists.
    ///
    /// # Errors
    /// [`AuthorizationLost`] if the same request would be rejected when sent now.
    pub fn check(&self, facts: Option<&CallerFacts>) -> Result<(), AuthorizationLost> {
        let facts = facts.filter(|facts| !facts.is_disabled).ok_or(AuthorizationLost::CallerRevoked)?;
        match &self.credential {
            VerifiedCredential::Token(_) => self.check_token(facts)?,
            VerifiedCredential::Password(verified) if facts.password_hash.as_ref() != Some(verified) => {
                return Err(AuthorizationLost::CallerRevoked);
            }
            VerifiedCredential::Password(_) | VerifiedCredential::Session(_) | VerifiedCredential::Identity(_) => {
                if facts.force_password_change && self.role != RequiredRole::PasswordChanger {
                    return Err(AuthorizationLost::PasswordChangeRequired { person_id: self.person_id });
                }
            }
        }
        match self.role {
            RequiredRole::PasswordChanger | RequiredRole::Member => Ok(()),
            RequiredRole::Custodian(_) if facts.is_admin || facts.is_custodian => Ok(()),
            RequiredRole::Custodian(_) => Err(AuthorizationLost::NotCustodian),
            RequiredRole::Administrator if facts.is_admin => Ok(()),
            RequiredRole::Administrator => Err(AuthorizationLost::NotAdministrator),
            RequiredRole::PlatformAdministrator if facts.is_admin && facts.is_platform_admin => Ok(()),
            RequiredRole::PlatformAdministrator => Err(AuthorizationLost::NotPlatformAdministrator),
        }
    }

    fn check_token(&self, facts: &CallerFacts) -> Result<(), AuthorizationLost> {
        let token_facts = TokenFacts {
            ends_at: facts.ends_at,
            // The client's address was checked when the request was authenticated.
            networks: &AllowedNetworks::any(),
            is_disabled: facts.is_disabled,
            token_access: facts.token_access,
            feature_enabled: facts.enabled.unwrap_or(self.enabled_by_default),
            // Only time can have paused the token since the request was authenticated.
            pauses_at: None,
        };
        token_facts.ensure_usable(self.clock.now(), || None).map_err(|reason| match reason {
            token::UnusableReason::FeatureOff => AuthorizationLost::FeatureOff,
            token::UnusableReason::Expired
            | token::UnusableReason::PersonDisabled
            | token::UnusableReason::AccessDisabled
            | token::UnusableReason::Paused
            | token::UnusableReason::OutsideNetworks
            | token::UnusableReason::ClientAddressUnknown => AuthorizationLost::CallerRevoked,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_millis(1_000);

    fn facts() -> CallerFacts {
        CallerFacts {
            is_admin: true,
            is_platform_admin: true,
            is_disabled: false,
            is_custodian: false,
            token_access: TokenAccess::Default,
            force_password_change: false,
            password_hash: Some(PasswordHash("verified".to_owned())),
            ends_at: None,
            is_exchanged: false,
            enabled: None,
        }
    }

    fn check(
        credential: &VerifiedCredential,
        role: RequiredRole,
        facts: Option<&CallerFacts>,
    ) -> Result<(), AuthorizationLost> {
        let clock = Clock::from_fn(|| NOW);
        let credential = credential.clone();
        Authority {
            workspace_id: WorkspaceId::FIRST,
            person_id: PersonId::new(7),
            credential,
            role,
            enabled_by_default: true,
            clock,
        }
        .check(facts)
    }

    fn credentials() -> [VerifiedCredential; 4] {
        [
            VerifiedCredential::Token(Uuid::nil()),
            VerifiedCredential::Password(PasswordHash("verified".to_owned())),
            VerifiedCredential::Session(Uuid::nil()),
            VerifiedCredential::Identity(Uuid::nil()),
        ]
    }

    #[test]
    fn a_removed_or_disabled_caller_is_rejected_with_every_credential() {
        let disabled = CallerFacts { is_disabled: true, ..facts() };
        for credential in credentials() {
            for role in [
                RequiredRole::PasswordChanger,
                RequiredRole::Member,
                RequiredRole::Administrator,
                RequiredRole::PlatformAdministrator,
            ] {
                assert_eq!(check(&credential, role, Some(&facts())), Ok(()));
                assert_eq!(check(&credential, role, None), Err(AuthorizationLost::CallerRevoked));
                assert_eq!(check(&credential, role, Some(&disabled)), Err(AuthorizationLost::CallerRevoked));
            }
        }
    }

    #[test]
    fn a_demoted_caller_keeps_the_rights_of_a_member() {
        let user = CallerFacts { is_admin: false, ..facts() };
        let administrator = CallerFacts { is_platform_admin: false, ..facts() };
        for credential in credentials() {
            assert_eq!(check(&credential, RequiredRole::Member, Some(&user)), Ok(()));
            let role = RequiredRole::Administrator;
            assert_eq!(check(&credential, role, Some(&user)), Err(AuthorizationLost::NotAdministrator));
            let role = RequiredRole::PlatformAdministrator;
            for demoted in [&user, &administrator] {
                assert_eq!(check(&credential, role, Some(demoted)), Err(AuthorizationLost::NotPlatformAdministrator));
            }
        }
    }

    #[test]
    fn the_tokens_of_a_service_account_need_a_custodian_or_an_administrator() {
        let role = RequiredRole::Custodian(PersonId::new(9));
        assert_eq!(role.service_account(), Some(PersonId::new(9)));
        assert_eq!(RequiredRole::Member.service_account(), None);
        let member = CallerFacts { is_admin: false, ..facts() };
        let custodian = CallerFacts { is_custodian: true, ..member.clone() };
        let disabled = CallerFacts { is_disabled: true, ..custodian.clone() };
        for credential in credentials() {
            for permitted in [&custodian, &facts()] {
                assert_eq!(check(&credential, role, Some(permitted)), Ok(()));
            }
            assert_eq!(check(&credential, role, Some(&member)), Err(AuthorizationLost::NotCustodian));
            assert_eq!(check(&credential, role, Some(&disabled)), Err(AuthorizationLost::CallerRevoked));
            let lost = Err(AuthorizationLost::NotAdministrator);
            assert_eq!(check(&credential, RequiredRole::Administrator, Some(&custodian)), lost);
        }
    }

    #[test]
    fn a_token_is_checked_by_the_rules_of_authentication() {
        let token = VerifiedCredential::Token(Uuid::nil());
        for (changed, expected) in [
            (CallerFacts { ends_at: Some(NOW), ..facts() }, Err(AuthorizationLost::CallerRevoked)),
            (CallerFacts { ends_at: Some(Timestamp::from_millis(1_001)), ..facts() }, Ok(())),
            (CallerFacts { token_access: TokenAccess::Disabled, ..facts() }, Err(AuthorizationLost::CallerRevoked)),
            (CallerFacts { enabled: Some(false), ..facts() }, Err(AuthorizationLost::FeatureOff)),
            (CallerFacts { password_hash: Some(PasswordHash("another".to_owned())), ..facts() }, Ok(())),
            (CallerFacts { force_password_change: true, ..facts() }, Ok(())),
        ] {
            assert_eq!(check(&token, RequiredRole::Member, Some(&changed)), expected, "{changed:?}");
        }
    }

    #[test]
    fn a_password_authorizes_nothing_after_it_was_changed() {
        let password = VerifiedCredential::Password(PasswordHash("verified".to_owned()));
        let changed = CallerFacts { password_hash: Some(PasswordHash("another".to_owned())), ..facts() };
        let role = RequiredRole::PasswordChanger;
        let removed = CallerFacts { password_hash: None, ..facts() };
        for facts in [&changed, &removed] {
            assert_eq!(check(&password, role, Some(facts)), Err(AuthorizationLost::CallerRevoked));
        }
        let forced = CallerFacts { force_password_change: true, ..facts() };
        assert_eq!(check(&password, role, Some(&forced)), Ok(()));
        let required = Err(AuthorizationLost::PasswordChangeRequired { person_id: PersonId::new(7) });
        assert_eq!(check(&password, RequiredRole::Member, Some(&forced)), required);
    }
}
