//! Sign-in through an `OpenID` provider.
//!
//! The browser goes to the provider and comes back with a code. The flow connects both ways: it is
//! known by the value in the browser's cookie, and used once. An account is found by issuer and subject,
//! never by its e-mail address.

mod claims;
mod logout;
mod outcome;

use std::{
    net::IpAddr,
    sync::Arc,
    time::{Duration, SystemTime},
};

use tokenward_guard::DenialReason;
use tokenward_oidc::{Flow, IdentityClaims, Prompt};
use tokio::time::timeout;
use uuid::Uuid;

use super::{SignIn, SignInError, records::log_unavailable};
use crate::{
    domain::{
        allow_rule::{grant, grant_in},
        causes::Causes,
        event::RequestContext,
        ip_network::rate_limit_key,
        rate_limit::Rate,
        sign_in_flow::{FLOW_SECONDS, SignInFlow, TextDigest},
        source::DeviceValue,
        time::Timestamp,
    },
    service::{
        Login, OpenIdProviders, completion::run_to_completion, openid_providers::OpenIdProvider,
        rate_limit::KeyedRateLimiter,
    },
    store::{self, FoundIdentity},
};
use claims::account;
pub use outcome::{BegunSignIn, BrowserState, Callback, CompletedSignIn, FailedSignIn, ProviderSignInError};

/// The requests of sign-ins that one client address may send: forty at once, then one per second. Each
/// sign-in has two.
const REQUEST_RATE: Rate = Rate { burst: 40, interval_millis: 1_000 };
/// The same for an address that several clients share, or that is not known. Also the logout tokens that one
/// address may send.
const SHARED_REQUEST_RATE: Rate = Rate { burst: 1_200, interval_millis: 50 };

/// The parts of a sign-in through an `OpenID` provider, besides those of every sign-in.
#[derive(Clone)]
pub struct OpenIdSignIn {
    pub(super) providers: OpenIdProviders,
    /// The time for all questions of one request. It is shorter than the time limit of the request, so
    /// that a provider that does not respond has a response of its own.
    time_limit: Duration,
    limiter: KeyedRateLimiter<Option<IpAddr>>,
    shared_limiter: KeyedRateLimiter<Option<IpAddr>>,
    logout_limiter: KeyedRateLimiter<Option<IpAddr>>,
}

impl OpenIdSignIn {
    /// Creates the sign-in through these providers.
    #[must_use]
    pub fn new(providers: OpenIdProviders, time_limit: Duration) -> Self {
        Self {
            providers,
            time_limit,
            limiter: KeyedRateLimiter::new(REQUEST_RATE),
            shared_limiter: KeyedRateLimiter::new(SHARED_REQUEST_RATE),
            logout_limiter: KeyedRateLimiter::new(SHARED_REQUEST_RATE),
        }
    }
}

impl SignIn {
    /// Returns the providers.
    #[must_use]
    pub fn openid(&self) -> &OpenIdProviders {
        &self.openid.providers
    }

    /// Returns how many sign-ins were begun above the limit per address since the start.
    #[must_use]
    pub fn openid_rate_limit_rejections(&self) -> (&'static str, u64) {
        let OpenIdSignIn { limiter, shared_limiter, .. } = &self.openid;
        ("provider_sign_ins_per_ip", limiter.rejections() + shared_limiter.rejections())
    }

    /// Begins a sign-in. With `session_id`, the provider must authenticate the person again.
    ///
    /// # Errors
    /// [`ProviderSignInError`]: no such provider, too many sign-ins from the address, or the provider or
    /// the database is not available.
    pub async fn begin_openid(
        &self,
        provider: &str,
        next_path: &str,
        session_id: Option<Uuid>,
        request: &RequestContext,
    ) -> Result<BegunSignIn, ProviderSignInError> {
        let provider = self.find_provider(provider)?;
        let now = self.clock.now();
        self.acquire(request, now)?;
        let prompt = prompt(session_id, now);
        let mut bytes = [0; 96];
        self.random.fill(&mut bytes);
        let flow = Flow::from_bytes(bytes, prompt);
        let (client, secrets) = (provider.client.clone(), flow.clone());
        let url = self.ask(&provider, async move { client.authorization_url(&secrets).await }).await?;
        let stored = SignInFlow {
            provider: provider.name().to_owned(),
            nonce: flow.nonce().to_owned(),
            code_verifier: flow.code_verifier().to_owned(),
            next_path: next_path.to_owned(),
            session_id,
            created_at: now,
        };
        let (store, digest) = (self.store.clone(), TextDigest::of(flow.state()));
        // In its own task, because a GET request writes here.
        let inserted = run_to_completion(async move { store.insert_sign_in_flow(&digest, &stored).await });
        let inserted = inserted.await.unwrap_or_else(|| Err(store::Error::timed_out()));
        inserted.map_err(|error| SignInError::from(log_unavailable(&error)))?;
        Ok(BegunSignIn { url: url.into(), cookie: flow.state().to_owned() })
    }

    /// Completes a sign-in with the parameters of the callback.
    ///
    /// # Errors
    /// [`FailedSignIn`]. The flow is used up by any callback that belongs to it.
    pub async fn complete_openid(
        &self,
        provider: &str,
        callback: Callback<'_>,
        browser: BrowserState<'_>,
        request: &RequestContext,
    ) -> Result<CompletedSignIn, FailedSignIn> {
        let result = self.complete_flow(provider, callback, browser, request).await;
        let label = match result.as_ref().map_err(|failed| failed.error) {
            Ok(_) => "success",
            Err(ProviderSignInError::SignIn(error)) => error.label(),
            Err(ProviderSignInError::Unavailable) => "unavailable",
            Err(ProviderSignInError::RateLimited { .. }) => "throttled",
            Err(_) => "malformed",
        };
        self.counters.record("provider", label);
        result
    }

    async fn complete_flow(
        &self,
        provider: &str,
        callback: Callback<'_>,
        browser: BrowserState<'_>,
        request: &RequestContext,
    ) -> Result<CompletedSignIn, FailedSignIn> {
        let provider = self.find_provider(provider)?;
        let state = state_of_browser(callback.state, browser.flow).ok_or(ProviderSignInError::UnknownFlow)?;
        self.acquire(request, self.clock.now())?;
        let flow = self.take_flow(&provider, state).await?;
        let (next_path, is_confirmation) = (flow.next_path.clone(), flow.session_id.is_some());
        match self.redeem(&provider, callback, (state, flow), browser, request).await {
            Ok(login) => Ok(CompletedSignIn { next_path, login }),
            Err(error) => Err(FailedSignIn { error, next_path, is_confirmation }),
        }
    }

    /// Redeems the code of a callback, and admits or confirms its person. Returns the login of a sign-in.
    async fn redeem(
        &self,
        provider: &OpenIdProvider,
        callback: Callback<'_>,
        (state, flow): (&str, SignInFlow),
        browser: BrowserState<'_>,
        request: &RequestContext,
    ) -> Result<Option<Login>, ProviderSignInError> {
        let session = flow.session_id.map(|id| browser.session.filter(|(session_id, _)| *session_id == id));
        if session == Some(None) {
            return Err(ProviderSignInError::UnknownFlow);
        }
        let code = match (callback.error, callback.code) {
            (None, Some(code)) if !code.is_empty() => code.to_owned(),
            (error, _) => {
                let error = error.map(loggable);
                tracing::info!(provider = provider.name(), error, "rejected a sign-in: the provider returned no code");
                return Err(ProviderSignInError::Rejected);
            }
        };
        let prompt = prompt(flow.session_id, flow.created_at);
        let secrets = Flow::from_parts(state.to_owned(), flow.nonce, flow.code_verifier, prompt);
        let secrets = secrets.map_err(|_| ProviderSignInError::UnknownFlow)?;
        let (client, issuer) = (provider.client.clone(), callback.issuer.map(str::to_owned));
        let now = SystemTime::from(self.clock.now());
        let redeemed = async move { client.redeem(&code, issuer.as_deref(), &secrets, now).await };
        let claims = self.ask(provider, redeemed).await?;
        let found = self.store.find_identity(provider.name(), &claims.issuer, &claims.subject).await;
        let found = found.map_err(|error| SignInError::from(log_unavailable(&error)))?;
        match session.flatten() {
            None => Ok(Some(self.admit_claims(provider, &claims, found, browser.device, request).await?)),
            // Nothing changes, also if another person authenticated.
            Some((_, person_id)) => {
                let is_same = found.is_some_and(|found| found.person.id == person_id && !found.person.is_disabled);
                if is_same { Ok(None) } else { Err(ProviderSignInError::AnotherPerson) }
            }
        }
    }

    /// Asks a provider within the time limit. This runs to completion, so that a slow response is kept for
    /// the next request.
    async fn ask<T: Send + 'static>(
        &self,
        provider: &OpenIdProvider,
        question: impl Future<Output = Result<T, tokenward_oidc::Error>> + Send + 'static,
    ) -> Result<T, ProviderSignInError> {
        match timeout(self.openid.time_limit, run_to_completion(question)).await {
            Ok(Some(answer)) => answer.map_err(|error| failed(provider, &error)),
            Ok(None) | Err(_) => {
                tracing::warn!(provider = provider.name(), "failed to ask a provider: no response in time");
                Err(ProviderSignInError::Unavailable)
            }
        }
    }

    /// Admits the person of an ID token, if a rule does.
    async fn admit_claims(
        &self,
        provider: &OpenIdProvider,
        claims: &IdentityClaims,
        found: Option<FoundIdentity>,
        device: &DeviceValue,
        request: &RequestContext,
    ) -> Result<Login, SignInError> {
        let account = account(provider, claims, device, request);
        let person = found.as_ref().map(|found| &found.person);
        // Checked before any change: a provider does not lift what a directory or an administrator disabled,
        // and does not change an account with a local password.
        if let Some(person) = person.filter(|person| person.is_disabled || person.has_password) {
            let reason = if person.is_disabled { DenialReason::PersonDisabled } else { DenialReason::LocalPassword };
            return Err(self.deny_account(&account, Some(person), reason));
        }
        let groups: Vec<String> = claims.groups.iter().map(str::to_owned).collect();
        let granted = match person {
            Some(person) => grant_in(&provider.rules, &groups, person.workspace_id),
            None => grant(&provider.rules, &groups),
        };
        let Some(granted) = granted else {
            return Err(self.deny_account(&account, person, DenialReason::NotInAllowedGroup));
        };
        self.admit_account(&account, found, granted).await
    }

    async fn take_flow(&self, provider: &OpenIdProvider, state: &str) -> Result<SignInFlow, ProviderSignInError> {
        let (store, digest) = (self.store.clone(), TextDigest::of(state));
        let (name, since) = (provider.name().to_owned(), self.clock.now().plus_seconds(-FLOW_SECONDS));
        // In its own task, because a GET request writes here.
        let taken = run_to_completion(async move { store.take_sign_in_flow(&digest, &name, since).await });
        let taken = taken.await.unwrap_or_else(|| Err(store::Error::timed_out()));
        let taken = taken.map_err(|error| SignInError::from(log_unavailable(&error)))?;
        taken.ok_or(ProviderSignInError::UnknownFlow)
    }

    fn find_provider(&self, name: &str) -> Result<Arc<OpenIdProvider>, ProviderSignInError> {
        self.openid.providers.find(name).cloned().ok_or(ProviderSignInError::UnknownProvider)
    }

    fn acquire(&self, request: &RequestContext, now: Timestamp) -> Result<(), ProviderSignInError> {
        let OpenIdSignIn { limiter, shared_limiter, .. } = &self.openid;
        let limiter = if request.is_client_ip_shared { shared_limiter } else { limiter };
        let acquired = limiter.try_acquire(request.client_ip.map(rate_limit_key), now);
        acquired.map_err(|retry_after_millis| ProviderSignInError::RateLimited { retry_after_millis })
    }

    /// Deletes sign-ins that were not completed, and assertions that have expired. Returns the number of rows.
    ///
    /// # Errors
    /// [`Error::Unavailable`](crate::service::Error::Unavailable) if the database is unreachable or too
    /// slow.
    pub async fn purge_sign_in_flows(&self) -> crate::service::Result<u64> {
        let now = self.clock.now();
        Ok(self.store.purge_sign_in_flows(now.plus_seconds(-FLOW_SECONDS), now).await?)
    }
}

/// Returns what the provider must prove: for a session, that the person authenticates again.
fn prompt(session_id: Option<Uuid>, since: Timestamp) -> Prompt {
    session_id.map_or(Prompt::None, |_| Prompt::Login { since: since.into() })
}

/// Returns the state of a callback, if it is that of the browser's cookie.
fn state_of_browser<'a>(state: Option<&'a str>, cookie: Option<&str>) -> Option<&'a str> {
    let (state, cookie) = (state.filter(|state| is_state(state))?, cookie?);
    // The comparison of digests takes the same time wherever the texts differ.
    (TextDigest::of(state) == TextDigest::of(cookie)).then_some(state)
}

/// Returns whether a text has the form of a state: 32 bytes in base64url.
fn is_state(text: &str) -> bool {
    text.len() == 43 && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_')
}

/// Returns an error code of a provider for the log: the beginning, if it has the form of one (RFC 6749,
/// section 4.1.2.1).
fn loggable(error: &str) -> &str {
    const MAX_CHARS: usize = 40;
    let is_code = error.len() <= MAX_CHARS && error.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_');
    if is_code { error } else { "unknown" }
}

/// Logs the error of a provider, and returns the one for the browser.
fn failed(provider: &OpenIdProvider, error: &tokenward_oidc::Error) -> ProviderSignInError {
    if let tokenward_oidc::Error::Denied(denial) = error {
        tracing::info!(provider = provider.name(), error = %denial, "rejected a response of a provider");
        return ProviderSignInError::Rejected;
    }
    tracing::warn!(provider = provider.name(), error = %Causes(error), "failed to use a provider");
    ProviderSignInError::Unavailable
}
