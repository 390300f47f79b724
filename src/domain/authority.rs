//! Authorization of mutations: what a transaction re-reads of its caller before it writes.
//!
//! A request is authenticated before its body is judged, its password hashed and its locks acquired. Meanwhile the caller may be
//! disabled, demoted or removed, or the credential deleted. The transaction therefore checks the caller again, under the lock that
//! orders it against all of these.

use std::fmt;

use uuid::Uuid;

use super::{
    event::Act,
    person::TokenAccess,
    time::{Clock, Timestamp},
    token::{self, Standing},
};

/// A mutation that is asked for: who asks, when and from which address, and what its transaction re-reads of the caller.
#[derive(Clone, Debug)]
pub struct Mutation {
    pub act: Act,
    /// None: there is no caller. The operator, the service itself, and the holder of the very token that is deleted are authorized
    /// by other means.
    pub authority: Option<Authority>,
}

impl Mutation {
    /// A mutation without a caller to re-read.
    #[must_use]
    pub fn without_caller(act: Act) -> Self {
        Self { act, authority: None }
    }
}

/// What authorized a request, to be checked again inside the transaction that acts on it.
#[derive(Clone, Debug)]
pub struct Authority {
    pub workspace_id: i64,
    pub person_id: i64,
    pub credential: Credential,
    pub role: RequiredRole,
    /// Whether a workspace that has not set the switch has tokens.
    pub enabled_by_default: bool,
    /// Read after the locks are held: a request may have waited for them while its token expired.
    pub clock: Clock,
}

/// What proved the caller.
#[derive(Clone, Debug)]
pub enum Credential {
    /// The token of this ID.
    Token(Uuid),
    /// A password, by the hash that it matched.
    Password(PasswordHash),
    /// The web session of this ID.
    Session(Uuid),
}

/// A stored Argon2id hash (PHC string). `Debug` does not print it.
#[derive(Clone, PartialEq, Eq)]
pub struct PasswordHash(pub String);

impl fmt::Debug for PasswordHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PasswordHash([hidden])")
    }
}

/// The role that a mutation demands of its caller.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RequiredRole {
    /// Any person, even one who must change the password first.
    PasswordChanger,
    /// Any person.
    Member,
    /// An administrator of the workspace.
    Administrator,
    /// A platform administrator.
    PlatformAdministrator,
}

/// The caller as the transaction finds it.
#[derive(Clone, Debug)]
pub struct CallerFacts {
    pub is_admin: bool,
    pub is_platform_admin: bool,
    pub is_disabled: bool,
    pub token_access: TokenAccess,
    pub force_password_change: bool,
    pub password_hash: PasswordHash,
    /// When the presented token expires; `None` where none was presented or it never expires.
    pub expires_at: Option<Timestamp>,
    /// What the workspace set its switch to, if it did.
    pub enabled: Option<bool>,
}

/// Why the transaction writes nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AuthorityLost {
    #[error("the account or the credential was disabled, changed or removed")]
    CallerGone,
    #[error("the workspace has API access tokens switched off")]
    FeatureOff,
    #[error("person {person_id} must change the password first")]
    PasswordChangeRequired { person_id: i64 },
    #[error("the caller is no longer an administrator")]
    NotAdministrator,
    #[error("the caller is no longer a platform administrator")]
    NotPlatformAdministrator,
}

impl Authority {
    /// Checks the caller as it is now; `None` says that the person or the credential is gone.
    ///
    /// # Errors
    /// [`AuthorityLost`], which is what the same request would get if it were sent now.
    pub fn check(&self, facts: Option<&CallerFacts>) -> Result<(), AuthorityLost> {
        let facts = facts.filter(|facts| !facts.is_disabled).ok_or(AuthorityLost::CallerGone)?;
        match &self.credential {
            Credential::Token(_) => self.check_token(facts)?,
            Credential::Password(proven) if *proven != facts.password_hash => return Err(AuthorityLost::CallerGone),
            Credential::Password(_) | Credential::Session(_) => {
                if facts.force_password_change && self.role != RequiredRole::PasswordChanger {
                    return Err(AuthorityLost::PasswordChangeRequired { person_id: self.person_id });
                }
            }
        }
        match self.role {
            RequiredRole::PasswordChanger | RequiredRole::Member => Ok(()),
            RequiredRole::Administrator if facts.is_admin => Ok(()),
            RequiredRole::Administrator => Err(AuthorityLost::NotAdministrator),
            RequiredRole::PlatformAdministrator if facts.is_admin && facts.is_platform_admin => Ok(()),
            RequiredRole::PlatformAdministrator => Err(AuthorityLost::NotPlatformAdministrator),
        }
    }

    fn check_token(&self, facts: &CallerFacts) -> Result<(), AuthorityLost> {
        let standing = Standing {
            expires_at: facts.expires_at,
            is_disabled: facts.is_disabled,
            token_access: facts.token_access,
            feature_enabled: facts.enabled.unwrap_or(self.enabled_by_default),
        };
        standing.check(self.clock.now()).map_err(|refused| match refused {
            token::Refused::FeatureOff => AuthorityLost::FeatureOff,
            token::Refused::Expired | token::Refused::PersonDisabled | token::Refused::AccessDisabled => {
                AuthorityLost::CallerGone
            }
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
            token_access: TokenAccess::Default,
            force_password_change: false,
            password_hash: PasswordHash("proven".to_owned()),
            expires_at: None,
            enabled: None,
        }
    }

    fn check(credential: &Credential, role: RequiredRole, facts: Option<&CallerFacts>) -> Result<(), AuthorityLost> {
        let clock = Clock::from_fn(|| NOW);
        let credential = credential.clone();
        Authority { workspace_id: 1, person_id: 7, credential, role, enabled_by_default: true, clock }.check(facts)
    }

    fn credentials() -> [Credential; 3] {
        [
            Credential::Token(Uuid::nil()),
            Credential::Password(PasswordHash("proven".to_owned())),
            Credential::Session(Uuid::nil()),
        ]
    }

    #[test]
    fn a_caller_who_is_gone_or_disabled_is_rejected_whatever_the_credential() {
        let disabled = CallerFacts { is_disabled: true, ..facts() };
        for credential in credentials() {
            for role in [RequiredRole::PasswordChanger, RequiredRole::Member, RequiredRole::Administrator] {
                assert_eq!(check(&credential, role, Some(&facts())), Ok(()));
                assert_eq!(check(&credential, role, None), Err(AuthorityLost::CallerGone));
                assert_eq!(check(&credential, role, Some(&disabled)), Err(AuthorityLost::CallerGone));
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
            assert_eq!(check(&credential, role, Some(&user)), Err(AuthorityLost::NotAdministrator));
            let role = RequiredRole::PlatformAdministrator;
            for lost in [&user, &administrator] {
                assert_eq!(check(&credential, role, Some(lost)), Err(AuthorityLost::NotPlatformAdministrator));
            }
        }
    }

    #[test]
    fn a_token_is_checked_as_at_authentication() {
        let token = Credential::Token(Uuid::nil());
        for (changed, expected) in [
            (CallerFacts { expires_at: Some(NOW), ..facts() }, Err(AuthorityLost::CallerGone)),
            (CallerFacts { expires_at: Some(Timestamp::from_millis(1_001)), ..facts() }, Ok(())),
            (CallerFacts { token_access: TokenAccess::Disabled, ..facts() }, Err(AuthorityLost::CallerGone)),
            (CallerFacts { enabled: Some(false), ..facts() }, Err(AuthorityLost::FeatureOff)),
            (CallerFacts { password_hash: PasswordHash("another".to_owned()), ..facts() }, Ok(())),
            (CallerFacts { force_password_change: true, ..facts() }, Ok(())),
        ] {
            assert_eq!(check(&token, RequiredRole::Member, Some(&changed)), expected, "{changed:?}");
        }
    }

    #[test]
    fn a_password_proves_nothing_after_it_was_changed() {
        let password = Credential::Password(PasswordHash("proven".to_owned()));
        let changed = CallerFacts { password_hash: PasswordHash("another".to_owned()), ..facts() };
        let role = RequiredRole::PasswordChanger;
        assert_eq!(check(&password, role, Some(&changed)), Err(AuthorityLost::CallerGone));
        let forced = CallerFacts { force_password_change: true, ..facts() };
        assert_eq!(check(&password, role, Some(&forced)), Ok(()));
        let required = Err(AuthorityLost::PasswordChangeRequired { person_id: 7 });
        assert_eq!(check(&password, RequiredRole::Member, Some(&forced)), required);
    }
}
