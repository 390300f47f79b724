//! The pausing of tokens whose owner does not sign in, as pages show it.

use super::Tokens;
use crate::{
    domain::{person::Person, reaffirmation::ProviderSignIn, time::Timestamp},
    service::Result,
};

/// When the tokens of a person pause.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenPause {
    /// The name of the provider through which the person signs in.
    pub provider: String,
    /// Tokens do not authenticate from this time until the next sign-in.
    pub at: Timestamp,
    pub is_paused: bool,
}

impl Tokens {
    /// Returns when the tokens of a person pause; `None`: they do not.
    ///
    /// # Errors
    /// [`Error::Unavailable`](crate::service::Error::Unavailable) if the database is unreachable or too
    /// slow.
    pub async fn pause_of(&self, person: &Person) -> Result<Option<TokenPause>> {
        let rules = &self.limits.reaffirmation;
        if rules.is_empty() || person.has_password || person.provider.is_none() {
            return Ok(None);
        }
        let identities = self.store.list_identities_of(person.id).await?;
        let Some(identity) = identities.into_iter().next_back() else { return Ok(None) };
        let at = identity.last_sign_in_at.unwrap_or(identity.linked_at);
        let sign_in = ProviderSignIn { provider: identity.provider, at };
        Ok(rules.pauses_at(Some(&sign_in)).map(|at| TokenPause {
            provider: sign_in.provider,
            at,
            is_paused: self.clock.now() >= at,
        }))
    }
}
