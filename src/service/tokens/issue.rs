//! Issuing: a token for whoever asks, if the rules allow it.

use sha2::{Digest as _, Sha256};

use super::{
    Tokens, feature_off,
    idempotency::{IdempotencyKey, Seal},
    new_id,
};
use crate::{
    domain::{
        Invalid,
        authority::RequiredRole,
        person::Person,
        token::{Description, Grounds, Lifetime, NotIssued, Token},
    },
    service::{Actor, Refusal, Result},
    store::{Form, Issued, NewToken},
};
use tokenward_guard::token_format::TokenValue;

/// What makes one token of a request, however often it is sent.
#[derive(Clone, Copy)]
pub enum Once<'a> {
    /// Each time it is sent it makes another.
    Never,
    /// A form on a page: the second time is refused.
    Form(Form),
    /// A key of the client's: for ten minutes the answer is the same.
    Key(&'a IdempotencyKey),
}

impl Tokens {
    /// Makes a token for the caller; the value is in no other answer, ever.
    ///
    /// # Errors
    /// Where the feature is off, the caller may not generate, or the lifetime is over the maximum; where too many are made.
    pub async fn issue(
        &self,
        caller: &Actor,
        lifetime: Lifetime,
        description: Description,
        once: Once<'_>,
    ) -> Result<(TokenValue, Token)> {
        let now = self.clock.now();
        self.limits.made.spend(caller.person_id, now).map_err(|millis| Refusal::TooFast { millis })?;
        let value = self.format.generate(|bytes| self.random.fill(bytes));
        let seal = if let Once::Key(key) = once { Some(Seal::new(key, caller)) } else { None };
        let sealed = seal.as_ref().map(|seal| {
            seal.close(&value, asked(lifetime, &description), &self.random)
                .ok_or(Refusal::Invalid(Invalid::IdempotencyKey))
        });
        let new = NewToken {
            id: new_id(now, &self.random),
            workspace_id: caller.workspace_id,
            person_id: caller.person_id,
            digest: value.digest(),
            hint: value.display_prefix().to_owned(),
            description: description.into_string(),
            lifetime,
            mutation: self.mutations.by(caller, RequiredRole::Member),
            form: if let Once::Form(form) = once { Some(form) } else { None },
            once: sealed.transpose()?,
            most_live: self.limits.most_live,
        };
        let issued = self.store.issue_token(&new, self.defaults).await.map_err(feature_off)?;
        match (issued.map_err(not_issued)?, seal) {
            (Issued::Now { created_at, expires_at }, _) => {
                let token = Token {
                    id: new.id,
                    workspace_id: new.workspace_id,
                    person_id: new.person_id,
                    hint: new.hint,
                    description: new.description,
                    created_at,
                    expires_at,
                    last_used_at: None,
                    parent_id: new.mutation.act.token_id,
                };
                Ok((value, token))
            }
            (Issued::Before(before), seal) => {
                let value = seal.and_then(|seal| seal.open(&before.sealed));
                Ok((value.ok_or(Refusal::Invalid(Invalid::OtherBody))?, before.token))
            }
        }
    }

    /// Whether the caller could make a token now, and for how many days at the most.
    ///
    /// # Errors
    /// Why not.
    pub async fn may_issue(&self, caller: &Person) -> Result<Option<i64>> {
        let settings = self.defaults.overlaid(self.store.find_settings(caller.workspace_id).await?);
        let Person { is_admin, is_disabled, token_access, .. } = *caller;
        let grounds = Grounds { is_admin, is_disabled, token_access, settings };
        grounds.permit(Lifetime::Seconds(1)).map_err(not_issued)?;
        Ok(settings.max_lifetime_days)
    }
}

/// By what two requests are the same.
fn asked(lifetime: Lifetime, description: &Description) -> [u8; 32] {
    let seconds = match lifetime {
        Lifetime::Forever => -1,
        Lifetime::Seconds(seconds) => seconds,
    };
    Sha256::new()
        .chain_update(seconds.to_string())
        .chain_update("\n")
        .chain_update(description.as_str())
        .finalize()
        .into()
}

fn not_issued(reason: NotIssued) -> Refusal {
    match reason {
        NotIssued::PersonGone => Refusal::CallerGone,
        NotIssued::FeatureOff => Refusal::FeatureOff,
        NotIssued::AccessDisabled => Refusal::TokenAccessDisabled,
        NotIssued::AdministratorsOnly => Refusal::GeneratingIsForAdministrators,
        NotIssued::Lifetime(invalid) => Refusal::Invalid(invalid),
        NotIssued::FormSpent => Refusal::FormSpent,
        NotIssued::TokensMakeNone => Refusal::TokensMakeNone,
        NotIssued::OutlivesMaker { end } => Refusal::Invalid(Invalid::OutlivesMaker { end }),
        NotIssued::TooMany { most } => Refusal::TooManyTokens { most },
        NotIssued::Deleted => Refusal::RepeatedIsDeleted,
        NotIssued::OtherBody => Refusal::Invalid(Invalid::OtherBody),
    }
}
