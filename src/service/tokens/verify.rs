//! Validation of bearer tokens.

use std::{net::IpAddr, sync::Arc, time::Duration};

use futures_util::future::join_all;

use super::Tokens;
use crate::{
    cache::entry::{CachedPerson, CachedToken},
    domain::{
        event::{Action, RequestContext},
        id::{PersonId, WorkspaceId},
        ip_network::{IpNetwork, rate_limit_key},
        session::UserAgent,
        time::Timestamp,
        token::{TokenFacts, UnusableReason},
    },
    service::denied_attempts::DeniedAttempt,
};
use tokenward_guard::{
    AuthError, DenialReason, Identity, Principal, TokenInfo, Verify,
    token_format::{BearerToken, TokenDigest},
};

/// The delay of rejections above the limit. It is well below the timeout of proxies for auth checks
/// (Envoy: 200 ms), so the proxy still gets the rejection.
pub(super) const TARPIT_DELAY: Duration = Duration::from_millis(100);

/// A valid token and the time of its validation.
#[derive(Clone, Debug)]
pub struct ValidToken {
    principal: Principal,
    token: CachedToken,
    validated_at: Timestamp,
}

/// Lets [`GuardLayer`](tokenward_guard::GuardLayer) verify tokens in this process.
impl Verify for Tokens {
    async fn verify(
        &self,
        bearer: BearerToken<'_>,
        client: Option<IpAddr>,
    ) -> std::result::Result<Principal, AuthError> {
        let context = RequestContext { client_ip: client, ..RequestContext::default() };
        let token = self.validate(bearer, &context).await?;
        self.record_use(&token, &|| client);
        Ok(token.into_principal())
    }
}

/// The outcome of a validation without waiting.
#[derive(Clone, Debug)]
pub enum CachedVerdict {
    /// The token is cached and valid, or the text is not a token.
    Decided(std::result::Result<ValidToken, AuthError>),
    /// The token must be loaded, or its denial recorded: see [`Tokens::validate_uncached`].
    Unknown(TokenLookup),
}

/// A parsed bearer token whose validation is not complete. Holds the digest, so that it is parsed and
/// hashed once.
#[derive(Clone, Debug)]
pub struct TokenLookup {
    digest: TokenDigest,
    /// The cached entry, if there is one and it does not authenticate.
    cached: Option<CachedToken>,
}

impl ValidToken {
    fn new(token: CachedToken, validated_at: Timestamp) -> Self {
        Self { principal: principal_of_token(&token), token, validated_at }
    }

    /// Returns the principal of the token.
    #[must_use]
    pub fn principal(&self) -> &Principal {
        &self.principal
    }

    /// Returns the principal of the token.
    #[must_use]
    pub fn into_principal(self) -> Principal {
        self.principal
    }

    /// Returns the owner with all rights, whatever the token's scopes.
    #[must_use]
    pub fn owner(&self) -> &Arc<Identity> {
        &self.token.person.identity
    }
}

impl Tokens {
    /// Validates a bearer token. All entry points use this function or its two parts,
    /// [`Tokens::validate_cached`] and [`Tokens::validate_uncached`]. It does not update the last-used
    /// time, see [`Tokens::record_use`].
    ///
    /// # Errors
    /// [`AuthError::Denied`] if the token does not authenticate, [`AuthError::Unavailable`] if the
    /// database is unreachable or too slow.
    pub async fn validate(
        &self,
        bearer: BearerToken<'_>,
        request: &RequestContext,
    ) -> std::result::Result<ValidToken, AuthError> {
        self.validate_for_client(bearer, request.unshared_client_ip(), request).await
    }

    /// Validates a bearer token that a service received from a client with the address `client`. `request`
    /// is the service's own request, to which the limit on rejections applies.
    ///
    /// # Errors
    /// The same as [`Tokens::validate`].
    pub async fn validate_for_client(
        &self,
        bearer: BearerToken<'_>,
        client: Option<IpAddr>,
        request: &RequestContext,
    ) -> std::result::Result<ValidToken, AuthError> {
        match self.validate_cached(bearer, || client) {
            CachedVerdict::Decided(result) => result,
            CachedVerdict::Unknown(lookup) => self.complete(lookup, client, request).await,
        }
    }

    /// Validates many tokens that a service received, each with the address of its client. `None` is a
    /// text that is no token. Returns each token that authenticates. Rejections above the limit delay the
    /// batch once.
    ///
    /// # Errors
    /// [`AuthError::Unavailable`] if the database is unreachable or too slow.
    pub async fn validate_batch(
        &self,
        presented: impl Iterator<Item = (Option<BearerToken<'_>>, Option<IpAddr>)>,
        request: &RequestContext,
    ) -> std::result::Result<Vec<Option<ValidToken>>, AuthError> {
        let checks = presented.map(|(bearer, client)| async move {
            match bearer.map(|bearer| self.validate_cached(bearer, || client)) {
                None => (Err(AuthError::Denied(DenialReason::Malformed)), false),
                Some(CachedVerdict::Decided(result)) => (result, false),
                Some(CachedVerdict::Unknown(lookup)) => self.decide(lookup, client, request).await,
            }
        });
        let results = join_all(checks).await;
        if results.iter().any(|(_, exceeds_limit)| *exceeds_limit) {
            tokio::time::sleep(TARPIT_DELAY).await;
        }
        results
            .into_iter()
            .map(|(result, _)| match result {
                Ok(token) => Ok(Some(token)),
                Err(AuthError::Unavailable) => Err(AuthError::Unavailable),
                Err(_) => Ok(None),
            })
            .collect()
    }

    /// Validates a bearer token without waiting. `client` determines the client's address, and is called
    /// only for a token with networks.
    #[must_use]
    pub fn validate_cached(&self, bearer: BearerToken<'_>, client: impl FnOnce() -> Option<IpAddr>) -> CachedVerdict {
        let Some(digest) = self.format.parse_digest(bearer) else {
            return CachedVerdict::Decided(Err(AuthError::Denied(DenialReason::Malformed)));
        };
        let Some(token) = self.node.find_cached(&digest) else {
            return CachedVerdict::Unknown(TokenLookup { digest, cached: None });
        };
        let now = self.clock.now();
        match self.check_usable(&token, now, client) {
            Ok(()) => CachedVerdict::Decided(Ok(ValidToken::new(token, now))),
            // A denial is recorded and delayed, which may wait.
            Err(_) => CachedVerdict::Unknown(TokenLookup { digest, cached: Some(token) }),
        }
    }

    /// Completes a validation that the cache could not decide: loads the token, and records and delays
    /// a denial.
    ///
    /// # Errors
    /// [`AuthError::Denied`] if the token does not authenticate, [`AuthError::Unavailable`] if the
    /// database is unreachable or too slow.
    pub async fn validate_uncached(
        &self,
        lookup: TokenLookup,
        request: &RequestContext,
    ) -> std::result::Result<ValidToken, AuthError> {
        self.complete(lookup, request.unshared_client_ip(), request).await
    }

    /// Decides a lookup, and delays a rejection for addresses that send many invalid tokens. Valid tokens
    /// from the same address are not delayed.
    async fn complete(
        &self,
        lookup: TokenLookup,
        client: Option<IpAddr>,
        request: &RequestContext,
    ) -> std::result::Result<ValidToken, AuthError> {
        let (result, exceeds_limit) = self.decide(lookup, client, request).await;
        if exceeds_limit {
            tokio::time::sleep(TARPIT_DELAY).await;
        }
        result
    }

    /// Loads the token of a lookup, validates it and records a denial. Returns `true` beside the result if
    /// the address of the request has sent too many invalid tokens.
    async fn decide(
        &self,
        lookup: TokenLookup,
        client: Option<IpAddr>,
        request: &RequestContext,
    ) -> (std::result::Result<ValidToken, AuthError>, bool) {
        let TokenLookup { digest, cached } = lookup;
        let token = match cached {
            Some(token) if !self.is_paused(&token) => Ok(Some(token)),
            Some(paused) => self.node.reload(&digest, PersonId::of(&paused.person.identity)).await,
            None => self.node.load(&digest).await,
        };
        let Ok(token) = token else { return (Err(AuthError::Unavailable), false) };
        let Some(token) = token else {
            self.denied_attempts.record_unknown_token(digest, token_client_context(request, client));
            return (Err(AuthError::Denied(DenialReason::UnknownToken)), self.exceeds_rejections(request));
        };
        let result = self.evaluate(&token, || client);
        if let Err(error) = result {
            if let Some(attempt) = denied_attempt(&token, error) {
                self.denied_attempts.record(attempt, token_client_context(request, client));
            }
            return (result, self.exceeds_rejections(request));
        }
        (result, false)
    }

    /// Counts a rejected credential of another kind, and delays it if the address of the request has too
    /// many rejections.
    pub(in crate::service) async fn delay_rejection(&self, request: &RequestContext) {
        if self.exceeds_rejections(request) {
            tokio::time::sleep(TARPIT_DELAY).await;
        }
    }

    /// Counts a rejection. Returns `true` if the address of the request has too many of them.
    fn exceeds_rejections(&self, request: &RequestContext) -> bool {
        let Some(address) = request.client_ip else { return false };
        self.limits.rejections.try_acquire(rate_limit_key(address), self.clock.now()).is_err()
    }

    /// Checks a token against the current time and settings.
    pub(super) fn evaluate(
        &self,
        token: &CachedToken,
        client: impl FnOnce() -> Option<IpAddr>,
    ) -> std::result::Result<ValidToken, AuthError> {
        let now = self.clock.now();
        self.check_usable(token, now, client)?;
        Ok(ValidToken::new(token.clone(), now))
    }

    /// Returns `true` if the owner has not signed in for too long, as far as the entry shows.
    fn is_paused(&self, token: &CachedToken) -> bool {
        let pauses_at = self.limits.reaffirmation.pauses_at(token.person.provider_sign_in.as_ref());
        pauses_at.is_some_and(|pauses_at| self.clock.now() >= pauses_at)
    }

    /// Checks a token that was authenticated earlier in the same request.
    pub(super) fn evaluate_from_any_address(&self, token: &CachedToken) -> std::result::Result<ValidToken, AuthError> {
        let networks = token.networks().iter().next().map(IpNetwork::first_address);
        self.evaluate(token, || networks)
    }

    /// Records the use of a token at the time of its validation. `address` returns the client address;
    /// most calls do not need it.
    pub fn record_use(&self, token: &ValidToken, address: &dyn Fn() -> Option<IpAddr>) {
        self.node.record_use(&token.token, token.validated_at, address);
    }

    /// Checks that the token is not expired, and that its owner may use it from the client's address.
    fn check_usable(
        &self,
        token: &CachedToken,
        now: Timestamp,
        client: impl FnOnce() -> Option<IpAddr>,
    ) -> std::result::Result<(), AuthError> {
        let facts = TokenFacts {
            ends_at: token.ends_at,
            networks: token.networks(),
            is_disabled: token.person.is_disabled,
            token_access: token.person.token_access,
            feature_enabled: token.person.workspace.enabled.unwrap_or(self.defaults.enabled),
            pauses_at: self.limits.reaffirmation.pauses_at(token.person.provider_sign_in.as_ref()),
        };
        facts.ensure_usable(now, client).map_err(|reason| {
            AuthError::Denied(match reason {
                UnusableReason::Expired => DenialReason::Expired,
                UnusableReason::PersonDisabled => DenialReason::PersonDisabled,
                UnusableReason::AccessDisabled => DenialReason::AccessDisabled,
                UnusableReason::Paused => DenialReason::Paused,
                UnusableReason::OutsideNetworks => DenialReason::OutsideNetworks,
                UnusableReason::ClientAddressUnknown => DenialReason::ClientAddressUnknown,
                UnusableReason::FeatureOff => DenialReason::FeatureOff,
            })
        })
    }
}

/// Returns the denied attempt to record for a rejected token; `None` if none is recorded.
fn denied_attempt(token: &CachedToken, error: AuthError) -> Option<DeniedAttempt> {
    let AuthError::Denied(reason) = error else { return None };
    let action = match reason {
        DenialReason::Expired => Action::RevokedTokenRejected,
        DenialReason::OutsideNetworks | DenialReason::ClientAddressUnknown => Action::TokenOutsideNetworks,
        _ => return None,
    };
    Some(DeniedAttempt {
        workspace_id: WorkspaceId::of(&token.person.identity),
        action,
        person_id: Some(PersonId::of(&token.person.identity)),
        target: token.token_id.to_string(),
        label: String::new(),
        reason: reason.to_string(),
        // All addresses share one aggregate, so a flood from many addresses does not become a flood of
        // events. The event contains the last address.
        address: None,
    })
}

/// Returns the request as the client of the token sent it. `client` is the address that was compared
/// with the networks of the token. A service that checks the token of its client has another one, and
/// its user agent is not the client's.
fn token_client_context(request: &RequestContext, client: Option<IpAddr>) -> RequestContext {
    if client == request.unshared_client_ip() {
        return request.clone();
    }
    RequestContext {
        client_ip: client,
        user_agent: UserAgent::default(),
        is_client_ip_shared: false,
        ..request.clone()
    }
}

/// Returns the principal of a cached token. With scopes, the principal has no administrator rights.
fn principal_of_token(cached: &CachedToken) -> Principal {
    let scopes = cached.scopes();
    let CachedPerson { identity, scoped_identity, .. } = &*cached.person;
    let identity = if scopes.is_unrestricted() { identity } else { scoped_identity };
    let mut info = TokenInfo::new(cached.token_id, cached.created_at.into(), cached.ends_at.map(Into::into), scopes);
    info.is_replaced = cached.is_replaced;
    Principal::new(Arc::clone(identity), Some(info))
}
