//! Whether the reader of a list that is still being sent may go on reading.

use super::{Inspected, Tokens};
use crate::{
    cache::Unavailable,
    service::{Refusal, Result, sign_in::SignedIn},
    store,
};
use tokenward_guard::{
    Principal,
    token_format::{BearerToken, TokenDigest},
};

/// The caller who reads a list, with the credential that authenticated them.
#[derive(Clone)]
pub struct Reading {
    tokens: Tokens,
    principal: Principal,
    proof: Proof,
}

#[derive(Clone)]
enum Proof {
    Token(TokenDigest),
    Password(String),
    /// Neither was handed on: nothing can be verified again.
    None,
}

impl Tokens {
    /// Remembers what authenticated a caller whose list will be sent page by page.
    #[must_use]
    pub fn reading(&self, principal: &Principal, bearer: Option<BearerToken<'_>>, proof: Option<&SignedIn>) -> Reading {
        let proof = match (bearer.and_then(|bearer| self.format.parse_digest(bearer)), proof) {
            (Some(digest), _) if principal.token().is_some() => Proof::Token(digest),
            (_, Some(signed_in)) => Proof::Password(signed_in.password_hash.0.clone()),
            _ => Proof::None,
        };
        Reading { tokens: self.clone(), principal: principal.clone(), proof }
    }
}

impl Reading {
    /// Verifies again that the caller may read: the token or password, the person, and no right taken away since.
    ///
    /// # Errors
    /// [`Refusal::CallerGone`].
    pub async fn verify(&self) -> Result<()> {
        let was = &self.principal;
        let (is_admin, is_platform_admin) = match &self.proof {
            Proof::Token(digest) => {
                let now = self.tokens.verify_again(digest).await?.ok_or(Refusal::CallerGone)?;
                (now.is_admin, now.is_platform_admin)
            }
            Proof::Password(hash) => {
                let now = self.tokens.store.find_reader(was.workspace_id, was.person_id).await?;
                let now = now.filter(|now| !now.is_disabled && now.password_hash == *hash);
                let now = now.ok_or(Refusal::CallerGone)?;
                (now.is_admin, now.is_platform_admin)
            }
            Proof::None => return Err(Refusal::CallerGone),
        };
        let is_demoted = (was.is_admin && !is_admin) || (was.is_platform_admin && !is_platform_admin);
        if is_demoted { Err(Refusal::CallerGone) } else { Ok(()) }
    }
}

impl Tokens {
    /// The caller of a token that was verified before, if it still is one. Nothing is noted of it.
    async fn verify_again(&self, digest: &TokenDigest) -> Result<Option<Principal>> {
        let facts = match self.live.find(digest) {
            Some(facts) => Some(facts),
            None => self.live.read(digest).await.map_err(|Unavailable| store::Error::timed_out())?,
        };
        Ok(facts.and_then(|facts| self.judged(facts).ok()).map(Inspected::into_principal))
    }
}
