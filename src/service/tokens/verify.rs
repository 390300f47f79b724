//! Verifying: a bearer becomes somebody, or nobody.

use std::{sync::Arc, time::Duration};

use super::Tokens;
use crate::{
    domain::{
        event::Action,
        network::counted_by,
        time::Timestamp,
        token::{Refused as NotGood, Standing},
    },
    guard::{Cause, Denied, Principal, TokenId, TokenRef, Verify},
    live::{Facts, Unavailable},
    service::{act, refusals::Refused},
    value::Presented,
};

/// How much longer a refusal takes for whoever has had too many: well below the time that proxies wait for a check (Envoy 200 ms), so that
/// it stays a refusal.
pub(super) const SLOWED_BY: Duration = Duration::from_millis(100);

impl Verify for Tokens {
    async fn verify(&self, presented: Presented<'_>) -> std::result::Result<Principal, Denied> {
        let inspected = self.inspect(presented).await?;
        self.note_use(&inspected);
        Ok(inspected.principal)
    }
}

/// A token that was found good, and when.
#[derive(Clone, Debug)]
pub struct Inspected {
    principal: Principal,
    facts: Facts,
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
    /// [`Denied::Invalid`], or [`Denied::Unavailable`] where the store could not be asked.
    pub async fn inspect(&self, presented: Presented<'_>) -> std::result::Result<Inspected, Denied> {
        let digest = self.format.recognise(presented).ok_or(Denied::Invalid(Cause::Shape))?;
        let facts = match self.live.find(&digest) {
            Some(facts) => Some(facts),
            None => self.live.read(&digest).await.map_err(|Unavailable| Denied::Unavailable)?,
        };
        let Some(facts) = facts else {
            self.refusals.note_unknown(digest, act::origin());
            self.slow_down().await;
            return Err(Denied::Invalid(Cause::UnknownToken));
        };
        let judged = self.judged(facts.clone());
        if judged.is_err() {
            if matches!(judged, Err(Denied::Invalid(Cause::Expired))) {
                self.refusals.note(used_after_its_end(&facts), act::origin());
            }
            self.slow_down().await;
        }
        judged
    }

    /// Lets whoever sends many bearers that are refused wait for the answer. Good ones of the same address are not looked at here, so
    /// they are as fast as ever.
    async fn slow_down(&self) {
        let Some(address) = act::origin().address else { return };
        if self.limits.refused.spend(counted_by(address), self.clock.now()).is_err() {
            tokio::time::sleep(SLOWED_BY).await;
        }
    }

    /// The same, where it takes no waiting: for a token that is known and good, and for what cannot be one.
    #[must_use]
    pub fn inspect_at_once(&self, presented: Presented<'_>) -> Option<std::result::Result<Inspected, Denied>> {
        match self.format.recognise(presented) {
            None => Some(Err(Denied::Invalid(Cause::Shape))),
            Some(digest) => self.live.find(&digest).and_then(|facts| self.judged(facts).ok()).map(Ok),
        }
    }

    pub(super) fn judged(&self, facts: Facts) -> std::result::Result<Inspected, Denied> {
        let now = self.clock.now();
        self.judge(&facts, now)?;
        Ok(Inspected { principal: principal(&facts), facts, at: now })
    }

    /// Notes that a token was used when it was inspected.
    pub fn note_use(&self, inspected: &Inspected) {
        self.live.note_use(&inspected.facts, inspected.at);
    }

    fn judge(&self, facts: &Facts, now: Timestamp) -> std::result::Result<(), Denied> {
        let standing = Standing {
            expires_at: facts.expires_at,
            is_disabled: facts.person.is_disabled,
            token_access: facts.person.token_access,
            feature_enabled: facts.person.workspace.enabled.unwrap_or(self.defaults.enabled),
        };
        standing.check(now).map_err(|refused| {
            Denied::Invalid(match refused {
                NotGood::Expired => Cause::Expired,
                NotGood::PersonDisabled => Cause::PersonDisabled,
                NotGood::AccessDisabled => Cause::AccessDisabled,
                NotGood::FeatureOff => Cause::FeatureOff,
            })
        })
    }
}

fn used_after_its_end(facts: &Facts) -> Refused {
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

fn principal(facts: &Facts) -> Principal {
    let token = TokenRef {
        id: TokenId::from_bytes(facts.token_id.into_bytes()),
        issued_at: facts.created_at.into(),
        expires_at: facts.expires_at.map(Into::into),
    };
    Principal::new(Arc::clone(&facts.person.holder), Some(token))
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    #[test]
    fn an_id_is_written_as_the_library_writes_it() {
        for id in [Uuid::nil(), Uuid::max(), Uuid::from_u128(0x0123_4567_89ab_cdef_1032_5476_98ba_dcfe)] {
            let ours = TokenId::from_bytes(id.into_bytes());
            assert_eq!(ours.as_str(), id.to_string());
            assert_eq!(TokenId::parse(ours.as_str()), Some(ours));
        }
    }
}
