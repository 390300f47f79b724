//! Verifying: a bearer becomes somebody, or nobody.

use std::{sync::Arc, time::Duration};

use super::Tokens;
use crate::{
    cache::{Unavailable, entry::CachedToken},
    domain::{
        event::Action,
        ip_network::counted_by,
        time::Timestamp,
        token::{Refused as NotGood, Standing},
    },
    service::{denied_attempts::Refused, request_context},
};
use tokenward_guard::{AuthError, DenialReason, Principal, TokenInfo, Verify, token_format::BearerToken};

/// How much longer a refusal takes for whoever has had too many: well below the time that proxies wait for a check (Envoy 200 ms), so that
/// it stays a refusal.
pub(super) const SLOWED_BY: Duration = Duration::from_millis(100);

impl Verify for Tokens {
    async fn verify(&self, presented: BearerToken<'_>) -> std::result::Result<Principal, AuthError> {
        let inspected = self.inspect(presented).await?;
        self.note_use(&inspected);
        Ok(inspected.principal)
    }
}

/// A token that was found good, and when.
#[derive(Clone, Debug)]
pub struct Inspected {
    principal: Principal,
    facts: CachedToken,
    at: Timestamp,
}

impl Inspected {
    /// Whose token it is.
    #[must_use]
    pub fn principal(&self) -> &Principal {
        &self.principal
    }

    #[must_use]
    pub fn into_principal(self) -> Principal {
        self.principal
    }
}

impl Tokens {
    /// The one place where a bearer becomes somebody: every door asks here. Looking is not using, see [`Tokens::note_use`].
    ///
    /// # Errors
    /// [`AuthError::Denied`], or [`AuthError::Unavailable`] where the store could not be asked.
    pub async fn inspect(&self, presented: BearerToken<'_>) -> std::result::Result<Inspected, AuthError> {
        let digest = self.format.parse_digest(presented).ok_or(AuthError::Denied(DenialReason::Malformed))?;
        let facts = match self.live.find(&digest) {
            Some(facts) => Some(facts),
            None => self.live.read(&digest).await.map_err(|Unavailable| AuthError::Unavailable)?,
        };
        let Some(facts) = facts else {
            self.refusals.note_unknown(digest, request_context::origin());
            self.slow_down().await;
            return Err(AuthError::Denied(DenialReason::UnknownToken));
        };
        let judged = self.judged(facts.clone());
        if judged.is_err() {
            if matches!(judged, Err(AuthError::Denied(DenialReason::Expired))) {
                self.refusals.note(used_after_its_end(&facts), request_context::origin());
            }
            self.slow_down().await;
        }
        judged
    }

    /// Lets whoever sends many bearers that are refused wait for the answer. Good ones of the same address are not looked at here, so
    /// they are as fast as ever.
    async fn slow_down(&self) {
        let Some(address) = request_context::origin().address else { return };
        if self.limits.refused.spend(counted_by(address), self.clock.now()).is_err() {
            tokio::time::sleep(SLOWED_BY).await;
        }
    }

    /// The same, where it takes no waiting: for a token that is known and good, and for what cannot be one.
    #[must_use]
    pub fn inspect_at_once(&self, presented: BearerToken<'_>) -> Option<std::result::Result<Inspected, AuthError>> {
        match self.format.parse_digest(presented) {
            None => Some(Err(AuthError::Denied(DenialReason::Malformed))),
            Some(digest) => self.live.find(&digest).and_then(|facts| self.judged(facts).ok()).map(Ok),
        }
    }

    pub(super) fn judged(&self, facts: CachedToken) -> std::result::Result<Inspected, AuthError> {
        let now = self.clock.now();
        self.judge(&facts, now)?;
        Ok(Inspected { principal: principal(&facts), facts, at: now })
    }

    /// Notes that a token was used when it was inspected.
    pub fn note_use(&self, inspected: &Inspected) {
        self.live.note_use(&inspected.facts, inspected.at);
    }

    fn judge(&self, facts: &CachedToken, now: Timestamp) -> std::result::Result<(), AuthError> {
        let standing = Standing {
            expires_at: facts.expires_at,
            is_disabled: facts.person.is_disabled,
            token_access: facts.person.token_access,
            feature_enabled: facts.person.workspace.enabled.unwrap_or(self.defaults.enabled),
        };
        standing.check(now).map_err(|refused| {
            AuthError::Denied(match refused {
                NotGood::Expired => DenialReason::Expired,
                NotGood::PersonDisabled => DenialReason::PersonDisabled,
                NotGood::AccessDisabled => DenialReason::AccessDisabled,
                NotGood::FeatureOff => DenialReason::FeatureOff,
            })
        })
    }
}

fn used_after_its_end(facts: &CachedToken) -> Refused {
    Refused {
        workspace_id: facts.person.holder.workspace_id,
        action: Action::TokenUsedAfterDeath,
        person_id: Some(facts.person.holder.person_id),
        target: facts.token_id.to_string(),
        label: String::new(),
        cause: "expired".to_owned(),
        // One token is told once an hour, wherever it comes from; the last address is told with it.
        address: None,
    }
}

fn principal(facts: &CachedToken) -> Principal {
    let token = TokenInfo::new(facts.token_id, facts.created_at.into(), facts.expires_at.map(Into::into));
    Principal::new(Arc::clone(&facts.person.holder), Some(token))
}
