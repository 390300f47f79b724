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
        setting::Settings,
        token::{Description, IssueError, IssuePolicy, Lifetime, MakerFacts, OwnerFacts, Token},
        token_limits::RequestedLimits,
    },
    service::{Actor, Error, Result},
    store::{Committed, ConsumedForm, DeviceGrant, IssueOutcome, NewToken, Replaces},
};
use tokenward_guard::{Principal, Scopes, token_format::TokenValue};

/// The way in which repeated requests are recognized.
#[derive(Clone, Copy)]
pub enum Idempotency<'a> {
    /// Each request creates a token.
    Disabled,
    /// A form on a page. The second submission is rejected.
    Form(ConsumedForm),
    /// An approved device authorization. The second request is rejected.
    Device(DeviceGrant),
    /// An idempotency key. For ten minutes, repeated requests return the same response.
    Key(&'a IdempotencyKey),
}

/// A request for a new token. A field without a value is inherited, see [`NewToken`].
#[derive(Clone, Debug, Default)]
pub struct TokenRequest {
    pub lifetime: Option<Lifetime>,
    pub description: Option<Description>,
    pub limits: RequestedLimits,
    pub replaces: Option<Replaces>,
    /// The service account that will own the token; `None`: the caller.
    pub owner: Option<PersonId>,
}

impl TokenRequest {
    /// Returns the digest by which two requests are equal. It covers every field of the request.
    fn digest(&self) -> [u8; 32] {
        let Self { lifetime, description, limits: RequestedLimits { scopes, networks }, replaces, owner } = self;
        let lifetime = lifetime.map(Lifetime::as_seconds);
        let description = description.as_ref().map(Description::as_str);
        let mut text = format!("{}\n{}", lifetime.unwrap_or_default(), description.unwrap_or_default());
        // A node of an earlier version computes the first part only.
        if scopes.is_some() || networks.is_some() || replaces.is_some() {
            let scopes = scopes.as_ref().map(Scopes::as_str);
            let networks = networks.as_ref().map(ToString::to_string);
            let replaces = replaces.map(|replaces| (replaces.token_id, replaces.grace.as_seconds()));
            // `Debug` tells an absent field from an empty one.
            text.push_str(&format!("\n{:?}", (description.is_some(), scopes, networks, replaces)));
        }
        if let Some(owner) = owner {
            text.push_str(&format!("\nowner {owner}"));
        }
        Sha256::digest(text).into()
    }
}

impl Tokens {
    /// Creates a token for the caller, or for a service account of which the caller is a custodian. The
    /// value appears in the response of this request only.
    ///
    /// # Errors
    /// [`Error::RateLimited`] if the caller creates too many tokens, [`Error::FeatureOff`],
    /// [`Error::TokenCreationRestricted`] or [`Error::TokenAccessDisabled`] if the caller may not
    /// create tokens, [`Error::ChildTokensDisabled`] if a token may not create this one,
    /// [`Error::TooManyTokens`], [`Error::PersonNotFound`], [`Error::TokenForAnotherPerson`],
    /// [`Error::NotCustodian`], [`Error::AdministratorAccount`] or [`Error::ServiceAccountDisabled`] if
    /// the caller may not create tokens for the owner, and [`Error::Invalid`] if the lifetime is above the maximum or the
    /// idempotency key was used for another request.
    pub async fn issue(
        &self,
        caller: &Actor,
        request: TokenRequest,
        idempotency: Idempotency<'_>,
    ) -> Result<(TokenValue, Token)> {
        let now = self.clock.now();
        self.limits
            .creations
            .try_acquire(PersonId::of(caller), now)
            .map_err(|millis| Error::RateLimited { retry_after_millis: millis })?;
        let owner = request.owner.unwrap_or(PersonId::of(caller));
        let role = self.role_to_issue(caller, owner).await?;
        let value = self.format.generate(|bytes| self.random.fill(bytes));
        let cipher =
            if let Idempotency::Key(key) = idempotency { Some(IdempotencyCipher::new(key, caller)) } else { None };
        let record = cipher.as_ref().map(|cipher| {
            cipher
                .encrypt(&value, request.digest(), &self.random)
                .ok_or(Error::Invalid(ValidationError::IdempotencyKeyFormat))
        });
        let new = NewToken {
            id: generate_id(now, &self.random),
            workspace_id: WorkspaceId::of(caller),
            person_id: owner,
            digest: value.digest(),
            display_prefix: value.display_prefix().to_owned(),
            description: request.description.map(Description::into_string),
            lifetime: request.lifetime,
            limits: request.limits,
            replaces: request.replaces,
            mutation: self.mutations.by_actor(caller, role),
            form: if let Idempotency::Form(form) = idempotency { Some(form) } else { None },
            device: if let Idempotency::Device(grant) = idempotency { Some(grant) } else { None },
            idempotency: record.transpose()?,
            max_active: self.limits.max_active,
        };
        let issued = self.store.issue_token(&new, &self.defaults).await;
        // The scheduled deletion of a replaced token takes a right away, as a deletion does.
        let issued = match new.replaces {
            Some(_) => self.node.revoke_and_wait(&caller.request().clone(), issued).await,
            None => issued.map(Committed::into_granted),
        };
        match (issued.map_err(map_feature_off)?.map_err(map_issue_error)?, cipher) {
            (IssueOutcome::Created(token), _) => Ok((value, token)),
            (IssueOutcome::Replayed(replayed), cipher) => {
                let value = cipher.and_then(|cipher| cipher.decrypt(&replayed.encrypted_value));
                Ok((value.ok_or(Error::Invalid(ValidationError::IdempotencyKeyReused))?, replayed.token))
            }
        }
    }

    /// Returns the role that the caller needs to create a token for the owner.
    ///
    /// # Errors
    /// [`Error::PersonNotFound`] if the workspace has no such person, [`Error::TokenForAnotherPerson`].
    async fn role_to_issue(&self, caller: &Principal, owner: PersonId) -> Result<RequiredRole> {
        if owner == PersonId::of(caller) {
            return Ok(RequiredRole::Member);
        }
        let person = self.store.find_person(WorkspaceId::of(caller), owner).await?.ok_or(Error::PersonNotFound)?;
        if person.is_service_account() { Ok(RequiredRole::Custodian(owner)) } else { Err(Error::TokenForAnotherPerson) }
    }

    /// Checks whether a custodian or an administrator may create a token for a service account now.
    /// Returns the settings in effect, which limit the token.
    ///
    /// # Errors
    /// The error that [`Tokens::issue`] would return.
    pub async fn check_may_issue_for(&self, person: &Person, account: &Person) -> Result<Settings> {
        let is_custodian = account.custodians.contains(&person.id);
        let maker = MakerFacts { is_admin: person.is_admin, is_custodian, token_access: person.token_access };
        let (is_admin, is_disabled) = (account.is_admin, account.is_disabled);
        let owner = OwnerFacts { is_service_account: account.is_service_account(), is_admin, is_disabled };
        maker.check_owner(owner).map_err(map_issue_error)?;
        self.check_may_issue(account).await
    }

    /// Checks whether the person may create a token now. Returns the settings in effect, which limit
    /// the token.
    ///
    /// # Errors
    /// The error that [`Tokens::issue`] would return.
    pub async fn check_may_issue(&self, person: &Person) -> Result<Settings> {
        let settings = self.defaults.with_overrides(self.store.find_settings(person.workspace_id).await?);
        let Person { is_admin, is_disabled, token_access, .. } = *person;
        let is_service_account = person.is_service_account();
        let policy = IssuePolicy { is_service_account, is_admin, is_disabled, token_access, settings };
        policy.check(Lifetime::Seconds(1)).map_err(map_issue_error)?;
        Ok(policy.settings)
    }
}

/// Maps the reason why the store issued no token.
pub(in crate::service) fn map_issue_error(reason: IssueError) -> Error {
    match reason {
        IssueError::PersonUnavailable => Error::CallerRevoked,
        IssueError::FeatureOff => Error::FeatureOff,
        IssueError::AccessDisabled => Error::TokenAccessDisabled,
        IssueError::AdministratorsOnly => Error::TokenCreationRestricted,
        IssueError::OwnerNotServiceAccount => Error::TokenForAnotherPerson,
        IssueError::NotCustodian => Error::NotCustodian,
        IssueError::ServiceAccountDisabled => Error::ServiceAccountDisabled,
        IssueError::AdministratorAccount => Error::AdministratorAccount,
        IssueError::Lifetime(invalid) => Error::Invalid(invalid),
        IssueError::FormConsumed => Error::FormAlreadyUsed,
        IssueError::DeviceAuthorizationSpent => Error::DeviceAuthorizationSpent,
        IssueError::ChildTokensForbidden => Error::ChildTokensDisabled,
        IssueError::ExchangedToken => Error::ExchangedTokenCreates,
        IssueError::OutlivesParent { parent_expires_at: end } => {
            Error::Invalid(ValidationError::OutlivesParent { end })
        }
        IssueError::TooManyActiveTokens { max: most } => Error::TooManyTokens { max: most },
        IssueError::IdempotentTokenDeleted => Error::IdempotentTokenDeleted,
        IssueError::Limits(invalid) => Error::Invalid(invalid),
        IssueError::ReplacedTokenNotFound => Error::TokenNotFound,
        IssueError::ReplacedTokenExpired => Error::ReplacedTokenExpired,
        IssueError::AlreadyReplaced => Error::AlreadyReplaced,
        IssueError::OlderNodes => Error::OlderNodes,
        IssueError::IdempotencyKeyReused => Error::Invalid(ValidationError::IdempotencyKeyReused),
    }
}
