//! Re-validation of the reader while a list is being sent.

use std::sync::Arc;

use super::{TokenScope, Tokens};
use crate::{
    cache::Unavailable,
    domain::{
        authority::VerifiedCredential,
        id::{PersonId, WorkspaceId},
    },
    service::{Actor, Error, Login, Result},
    store::{self, ReaderRights},
};
use tokenward_guard::{
    Identity, Principal,
    token_format::{BearerToken, TokenDigest},
};

/// The caller of a list request with the credential that authenticated the request.
#[derive(Clone)]
pub struct ReadAccess {
    tokens: Tokens,
    principal: Principal,
    credential: ReadCredential,
    /// The scope of the list if it has tokens.
    token_scope: Option<TokenScope>,
}

/// The credential to validate again.
#[derive(Clone)]
enum ReadCredential {
    Token(TokenDigest),
    /// The hash of the verified password, the external identity that was verified, or the web session.
    Login(VerifiedCredential),
    /// No credential is known, so the reader cannot be validated again.
    None,
}

impl Tokens {
    /// Returns the read access of a caller whose list will be sent page by page.
    #[must_use]
    pub fn read_access(
        &self,
        principal: &Principal,
        bearer: Option<BearerToken<'_>>,
        login: Option<&Login>,
    ) -> ReadAccess {
        let credential = match (bearer.and_then(|bearer| self.format.parse_digest(bearer)), login) {
            (Some(digest), _) if principal.token().is_some() => ReadCredential::Token(digest),
            (_, Some(login)) => ReadCredential::Login(login.credential.clone()),
            _ => ReadCredential::None,
        };
        ReadAccess { tokens: self.clone(), principal: principal.clone(), credential, token_scope: None }
    }

    /// Returns the read access of a user who is signed in on the pages.
    #[must_use]
    pub fn session_read_access(&self, actor: &Actor) -> ReadAccess {
        let credential = ReadCredential::Login(actor.credential().clone());
        ReadAccess { tokens: self.clone(), principal: actor.principal().clone(), credential, token_scope: None }
    }
}

impl ReadAccess {
    /// Limits the access to a list of tokens, which requires a role for its scope.
    #[must_use]
    pub fn for_tokens(self, scope: TokenScope) -> Self {
        Self { token_scope: Some(scope), ..self }
    }

    /// Validates the credential again, and checks that the caller was neither disabled nor demoted and
    /// still has the role that the list requires.
    ///
    /// # Errors
    /// [`Error::CallerRevoked`] or [`Error::NotAdministrator`] if the caller may no longer read,
    /// [`Error::Unavailable`] if the database is unreachable or too slow.
    pub async fn recheck(&self) -> Result<()> {
        let initial = &self.principal;
        let (is_admin, is_platform_admin) = match &self.credential {
            ReadCredential::Token(digest) => {
                let current = self.tokens.revalidate(digest).await?.ok_or(Error::CallerRevoked)?;
                (current.is_admin, current.is_platform_admin)
            }
            ReadCredential::Login(credential) => {
                let (workspace_id, person_id) = (WorkspaceId::of(initial), PersonId::of(initial));
                let credential_id = match credential {
                    VerifiedCredential::Identity(id) | VerifiedCredential::Session(id) => Some(*id),
                    VerifiedCredential::Password(_) | VerifiedCredential::Token(_) => None,
                };
                let current = self.tokens.store.find_reader_rights(workspace_id, person_id, credential_id).await?;
                let current = current.filter(|current| !current.is_disabled && is_still_valid(credential, current));
                let current = current.ok_or(Error::CallerRevoked)?;
                (current.is_admin, current.is_platform_admin)
            }
            ReadCredential::None => return Err(Error::CallerRevoked),
        };
        let is_demoted = (initial.is_admin && !is_admin) || (initial.is_platform_admin && !is_platform_admin);
        if is_demoted {
            return Err(Error::CallerRevoked);
        }
        if let Some(scope) = self.token_scope {
            self.tokens.required_role(initial, scope).await?;
        }
        Ok(())
    }
}

/// Returns whether the login that authenticated the reader would still succeed.
fn is_still_valid(credential: &VerifiedCredential, current: &ReaderRights) -> bool {
    match credential {
        VerifiedCredential::Password(hash) => current.password_hash.as_ref() == Some(&hash.0),
        VerifiedCredential::Identity(_) => current.password_hash.is_none() && current.has_identity,
        VerifiedCredential::Session(_) => current.has_session,
        VerifiedCredential::Token(_) => false,
    }
}

impl Tokens {
    /// Returns the owner of a token if the token is still valid. Does not record a use.
    async fn revalidate(&self, digest: &TokenDigest) -> Result<Option<Arc<Identity>>> {
        let token = match self.node.find_cached(digest) {
            Some(token) => Some(token),
            None => self.node.load(digest).await.map_err(|Unavailable| store::Error::timed_out())?,
        };
        // The address was checked when the request was authenticated. It does not change meanwhile.
        let valid = token.and_then(|token| self.evaluate_from_any_address(&token).ok());
        Ok(valid.map(|token| Arc::clone(token.owner())))
    }
}
