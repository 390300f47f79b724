//! Verifying: a bearer becomes somebody, or nobody.

use std::sync::Arc;

use super::Tokens;
use crate::{
    domain::{
        time::Timestamp,
        token::{Refused, Standing},
    },
    guard::{Cause, Denied, Principal, TokenId, TokenRef, Verify},
    live::{Facts, Unavailable},
    value::Presented,
};

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
        if let Some(facts) = self.live.find(&digest) {
            return self.judged(facts);
        }
        let read = self.live.read(&digest).await.map_err(|Unavailable| Denied::Unavailable)?;
        self.judged(read.ok_or(Denied::Invalid(Cause::UnknownToken))?)
    }

    /// The same, where it takes no waiting; none where the store has to be asked.
    #[must_use]
    pub fn inspect_at_once(&self, presented: Presented<'_>) -> Option<std::result::Result<Inspected, Denied>> {
        match self.format.recognise(presented) {
            None => Some(Err(Denied::Invalid(Cause::Shape))),
            Some(digest) => self.live.find(&digest).map(|facts| self.judged(facts)),
        }
    }

    fn judged(&self, facts: Facts) -> std::result::Result<Inspected, Denied> {
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
                Refused::Expired => Cause::Expired,
                Refused::PersonDisabled => Cause::PersonDisabled,
                Refused::AccessDisabled => Cause::AccessDisabled,
                Refused::FeatureOff => Cause::FeatureOff,
            })
        })
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
