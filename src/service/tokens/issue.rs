//! Creation of tokens.

use sha2::{Digest as _, Sha256};

use super::{
    Tokens, generate_id,
    idempotency::{IdempotencyCipher, IdempotencyKey},
    map_feature_off,
};
use crate::{
    domain::{
        ValidationError,
        authority::RequiredRole,
        id::{PersonId, WorkspaceId},
        person::Person,
        token::{Description, IssueError, IssuePolicy, Lifetime, Token},
    },
    service::{Actor, Error, Result},
    store::{ConsumedForm, IssueOutcome, NewToken},
};
use tokenward_guard::token_format::TokenValue;

/// The way in which repeated requests are recognized.
#[derive(Clone, Copy)]
pub enum Idempotency<'a> {
    /// Each request creates a token.
    Disabled,
    /// A form on a page. The second submission is rejected.
    Form(ConsumedForm),
    /// An idempotency key. For ten minutes, repeated requests return the same response.
    Key(&'a IdempotencyKey),
}

impl Tokens {
    /// Creates a token for the caller. The value appears in the response of this request only.
    ///
    /// # Errors
    /// [`Error::RateLimited`] if the caller creates too many tokens, [`Error::FeatureOff`],
    /// [`Error::TokenCreationRestricted`] or [`Error::TokenAccessDisabled`] if the caller may not
    /// create tokens, [`Error::ChildTokensDisabled`] if a token may not create this one,
    /// [`Error::TooManyTokens`], and [`Error::Invalid`] if the lifetime is above the maximum or the
    /// idempotency key was used for another request.
    pub async fn issue(
        &self,
        caller: &Actor,
        lifetime: Lifetime,
        description: Description,
        idempotency: Idempotency<'_>,
    ) -> Result<(TokenValue, Token)> {
        let now = self.clock.now();
        self.limits
            .creations
            .try_acquire(PersonId::of(caller), now)
            .map_err(|millis| Error::RateLimited { retry_after_millis: millis })?;
        let value = self.format.generate(|bytes| self.random.fill(bytes));
        let cipher =
            if let Idempotency::Key(key) = idempotency { Some(IdempotencyCipher::new(key, caller)) } else { None };
        let record = cipher.as_ref().map(|cipher| {
            cipher
                .encrypt(&value, request_digest(lifetime, &description), &self.random)
                .ok_or(Error::Invalid(ValidationError::IdempotencyKeyFormat))
        });
        let new = NewToken {
            id: generate_id(now, &self.random),
            workspace_id: WorkspaceId::of(caller),
            person_id: PersonId::of(caller),
            digest: value.digest(),
            display_prefix: value.display_prefix().to_owned(),
            description: description.into_string(),
            lifetime,
            mutation: self.mutations.by_actor(caller, RequiredRole::Member),
            form: if let Idempotency::Form(form) = idempotency { Some(form) } else { None },
            idempotency: record.transpose()?,
            max_active: self.limits.max_active,
        };
        let issued = self.store.issue_token(&new, self.defaults).await.map_err(map_feature_off)?;
        match (issued.map_err(map_issue_error)?, cipher) {
            (IssueOutcome::Created { created_at, expires_at }, _) => {
                let token = Token {
                    id: new.id,
                    workspace_id: new.workspace_id,
                    person_id: new.person_id,
                    display_prefix: new.display_prefix,
                    description: new.description,
                    created_at,
                    expires_at,
                    last_used_at: None,
                    parent_id: new.mutation.context.token_id,
                };
                Ok((value, token))
            }
            (IssueOutcome::Replayed(replayed), cipher) => {
                let value = cipher.and_then(|cipher| cipher.decrypt(&replayed.encrypted_value));
                Ok((value.ok_or(Error::Invalid(ValidationError::IdempotencyKeyReused))?, replayed.token))
            }
        }
    }

    /// Checks whether the person may create a token now. Returns the maximum lifetime in days, or
    /// `None` if it is unlimited.
    ///
    /// # Errors
    /// The error that [`Tokens::issue`] would return.
    pub async fn check_may_issue(&self, person: &Person) -> Result<Option<i64>> {
        let settings = self.defaults.with_overrides(self.store.find_settings(person.workspace_id).await?);
        let Person { is_admin, is_disabled, token_access, .. } = *person;
        let policy = IssuePolicy { is_admin, is_disabled, token_access, settings };
        policy.check(Lifetime::Seconds(1)).map_err(map_issue_error)?;
        Ok(settings.max_lifetime_days)
    }
}

/// Returns the digest by which two requests are equal.
fn request_digest(lifetime: Lifetime, description: &Description) -> [u8; 32] {
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

/// Maps the reason why the store issued no token.
fn map_issue_error(reason: IssueError) -> Error {
    match reason {
        IssueError::PersonUnavailable => Error::CallerRevoked,
        IssueError::FeatureOff => Error::FeatureOff,
        IssueError::AccessDisabled => Error::TokenAccessDisabled,
        IssueError::AdministratorsOnly => Error::TokenCreationRestricted,
        IssueError::Lifetime(invalid) => Error::Invalid(invalid),
        IssueError::FormConsumed => Error::FormAlreadyUsed,
        IssueError::ChildTokensForbidden => Error::ChildTokensDisabled,
        IssueError::OutlivesParent { parent_expires_at: end } => {
            Error::Invalid(ValidationError::OutlivesParent { end })
        }
        IssueError::TooManyActiveTokens { max: most } => Error::TooManyTokens { max: most },
        IssueError::IdempotentTokenDeleted => Error::IdempotentTokenDeleted,
        IssueError::IdempotencyKeyReused => Error::Invalid(ValidationError::IdempotencyKeyReused),
    }
}
