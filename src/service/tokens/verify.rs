//! Validation of bearer tokens.

use std::{sync::Arc, time::Duration};

use super::Tokens;
use crate::{
    cache::{Unavailable, entry::CachedToken},
    domain::{
        event::{Action, RequestContext},
        id::{PersonId, WorkspaceId},
        ip_network::rate_limit_key,
        time::Timestamp,
        token::{TokenFacts, UnusableReason},
    },
    service::denied_attempts::DeniedAttempt,
};
use tokenward_guard::{
    AuthError, DenialReason, Principal, TokenInfo, Verify,
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

/// Lets [`GuardLayer`](tokenward_guard::GuardLayer) verify tokens in this process. The layer does not
/// know the client's address, so a recorded denial has none.
impl Verify for Tokens {
    async fn verify(&self, bearer: BearerToken<'_>) -> std::result::Result<Principal, AuthError> {
        let token = self.validate(bearer, &RequestContext::default()).await?;
        self.record_use(&token);
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
        match self.validate_cached(bearer) {
            CachedVerdict::Decided(result) => result,
            CachedVerdict::Unknown(lookup) => self.validate_uncached(lookup, request).await,
        }
    }

    /// Validates a bearer token without waiting.
    #[must_use]
    pub fn validate_cached(&self, bearer: BearerToken<'_>) -> CachedVerdict {
        let Some(digest) = self.format.parse_digest(bearer) else {
            return CachedVerdict::Decided(Err(AuthError::Denied(DenialReason::Malformed)));
        };
        let Some(token) = self.node.find_cached(&digest) else {
            return CachedVerdict::Unknown(TokenLookup { digest, cached: None });
        };
        match self.evaluate(&token) {
            Ok(principal) => CachedVerdict::Decided(Ok(principal)),
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
        let TokenLookup { digest, cached } = lookup;
        let token = match cached {
            Some(token) => Some(token),
            None => self.node.load(&digest).await.map_err(|Unavailable| AuthError::Unavailable)?,
        };
        let Some(token) = token else {
            self.denied_attempts.record_unknown_token(digest, request.clone());
            self.tarpit(request).await;
            return Err(AuthError::Denied(DenialReason::UnknownToken));
        };
        let result = self.evaluate(&token);
        if let Err(error) = result {
            if error == AuthError::Denied(DenialReason::Expired) {
                self.denied_attempts.record(expired_token_used(&token), request.clone());
            }
            self.tarpit(request).await;
        }
        result
    }

    /// Delays rejections for addresses that send many invalid tokens. Valid tokens from the same
    /// address do not reach this function and are not delayed.
    async fn tarpit(&self, request: &RequestContext) {
        let Some(address) = request.client_ip else { return };
        if self.limits.rejections.try_acquire(rate_limit_key(address), self.clock.now()).is_err() {
            tokio::time::sleep(TARPIT_DELAY).await;
        }
    }

    /// Checks a token against the current time and settings.
    pub(super) fn evaluate(&self, token: &CachedToken) -> std::result::Result<ValidToken, AuthError> {
        let now = self.clock.now();
        self.check_usable(token, now)?;
        Ok(ValidToken { principal: principal_of_token(token), token: token.clone(), validated_at: now })
    }

    /// Records the use of a token at the time of its validation.
    pub fn record_use(&self, token: &ValidToken) {
        self.node.record_use(&token.token, token.validated_at);
    }

    /// Checks that the token is not expired and that its owner may use it.
    fn check_usable(&self, token: &CachedToken, now: Timestamp) -> std::result::Result<(), AuthError> {
        let facts = TokenFacts {
            expires_at: token.expires_at,
            is_disabled: token.person.is_disabled,
            token_access: token.person.token_access,
            feature_enabled: token.person.workspace.enabled.unwrap_or(self.defaults.enabled),
        };
        facts.ensure_usable(now).map_err(|reason| {
            AuthError::Denied(match reason {
                UnusableReason::Expired => DenialReason::Expired,
                UnusableReason::PersonDisabled => DenialReason::PersonDisabled,
                UnusableReason::AccessDisabled => DenialReason::AccessDisabled,
                UnusableReason::FeatureOff => DenialReason::FeatureOff,
            })
        })
    }
}

/// Returns the denied attempt for a use of an expired token.
fn expired_token_used(token: &CachedToken) -> DeniedAttempt {
    DeniedAttempt {
        workspace_id: WorkspaceId::of(&token.person.identity),
        action: Action::RevokedTokenRejected,
        person_id: Some(PersonId::of(&token.person.identity)),
        target: token.token_id.to_string(),
        label: String::new(),
        reason: "expired".to_owned(),
        // All addresses share one aggregate, so each token has at most one event per hour. It
        // contains the last address.
        address: None,
    }
}

/// Returns the principal of a cached token.
fn principal_of_token(cached: &CachedToken) -> Principal {
    let info = TokenInfo::new(cached.token_id, cached.created_at.into(), cached.expires_at.map(Into::into));
    Principal::new(Arc::clone(&cached.person.identity), Some(info))
}
