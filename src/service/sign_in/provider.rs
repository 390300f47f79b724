//! Sign-in through an identity provider to which the browser is redirected: the parts that all kinds of
//! providers share.
//!
//! The browser goes to the provider and comes back with its answer. The flow connects both ways: it is
//! known by the value in the browser's cookie, and used once. An account is found by issuer and subject,
//! never by its e-mail address.

mod link;
mod outcome;

use std::{net::IpAddr, time::Duration};

use tokenward_guard::DenialReason;

use super::{SignIn, SignInError, external_account::ExternalAccount, records::log_unavailable};
use crate::{
    domain::{
        allow_rule::{AllowRule, grant, grant_in},
        event::RequestContext,
        ip_network::rate_limit_key,
        rate_limit::Rate,
        sign_in_flow::{FLOW_SECONDS, FlowPurpose, RESPONSE_SECONDS, SignInFlow, TextDigest},
        time::Timestamp,
    },
    service::{
        Identities, Login, RedirectProviders, completion::run_to_completion, rate_limit::KeyedRateLimiter,
        redirect_providers::FoundProvider, sessions::ActiveSession,
    },
    store::{self, FoundIdentity},
};
pub use outcome::{
    BegunSignIn, BrowserState, Callback, CompletedSignIn, FailedSignIn, LinkRefusal, ProviderSignInError,
};

/// The requests of sign-ins that one client address may send: forty at once, then one per second. Each
/// sign-in has two, or three through a SAML provider.
const REQUEST_RATE: Rate = Rate { burst: 40, interval_millis: 1_000 };
/// The same for an address that several clients share, or that is not known. Also the logout tokens that one
/// address may send.
const SHARED_REQUEST_RATE: Rate = Rate { burst: 1_200, interval_millis: 50 };

/// The parts of a sign-in through a provider, besides those of every sign-in.
#[derive(Clone)]
pub struct ProviderSignIn {
    pub(super) providers: RedirectProviders,
    identities: Identities,
    /// The time for all questions of one request. It is shorter than the time limit of the request, so
    /// that a provider that does not respond has a response of its own.
    pub(super) time_limit: Duration,
    limiter: KeyedRateLimiter<Option<IpAddr>>,
    shared_limiter: KeyedRateLimiter<Option<IpAddr>>,
    pub(super) logout_limiter: KeyedRateLimiter<Option<IpAddr>>,
}

impl ProviderSignIn {
    /// Creates the sign-in through these providers.
    #[must_use]
    pub fn new(providers: RedirectProviders, identities: Identities, time_limit: Duration) -> Self {
        Self {
            providers,
            identities,
            time_limit,
            limiter: KeyedRateLimiter::new(REQUEST_RATE),
            shared_limiter: KeyedRateLimiter::new(SHARED_REQUEST_RATE),
            logout_limiter: KeyedRateLimiter::new(SHARED_REQUEST_RATE),
        }
    }
}

/// The request with which a browser goes to a provider.
pub(super) struct ProviderRequest {
    pub url: String,
    /// The value for the browser's cookie, by which the flow is known.
    pub cookie: String,
    pub nonce: String,
    pub code_verifier: String,
}

/// The session whose user authenticates again.
#[derive(Clone, Copy)]
pub(super) struct ConfirmedSession<'a> {
    session: &'a ActiveSession,
    /// The user links the account, instead of confirming an operation.
    is_link: bool,
}

impl SignIn {
    /// Returns the providers to which browsers are redirected.
    #[must_use]
    pub fn providers(&self) -> &RedirectProviders {
        &self.provider.providers
    }

    /// Returns how many sign-ins were begun above the limit per address since the start.
    #[must_use]
    pub fn provider_rate_limit_rejections(&self) -> (&'static str, u64) {
        let ProviderSignIn { limiter, shared_limiter, .. } = &self.provider;
        ("provider_sign_ins_per_ip", limiter.rejections() + shared_limiter.rejections())
    }

    /// Begins a sign-in. For a session, the provider must authenticate the person again.
    ///
    /// # Errors
    /// [`ProviderSignInError`]: no such provider, too many sign-ins from the address, or the provider or
    /// the database is not available.
    pub async fn begin_at_provider(
        &self,
        provider: &str,
        next_path: &str,
        purpose: FlowPurpose,
        request: &RequestContext,
    ) -> Result<BegunSignIn, ProviderSignInError> {
        let found = self.provider.providers.find(provider).ok_or(ProviderSignInError::UnknownProvider)?;
        let now = self.clock.now();
        self.acquire(request, now)?;
        let ProviderRequest { url, cookie, nonce, code_verifier } = match found {
            FoundProvider::OpenId(found) => self.openid_request(&found, purpose.session_id(), now).await?,
            FoundProvider::Saml(found) => self.saml_request(&found, purpose.session_id(), now)?,
        };
        let (provider, next_path) = (provider.to_owned(), next_path.to_owned());
        let stored = SignInFlow { provider, nonce, code_verifier, next_path, purpose, created_at: now };
        let (store, digest) = (self.store.clone(), TextDigest::of(&cookie));
        // In its own task, because a GET request writes here.
        let inserted = run_to_completion(async move { store.insert_sign_in_flow(&digest, &stored).await });
        let inserted = inserted.await.unwrap_or_else(|| Err(store::Error::timed_out()));
        inserted.map_err(|error| SignInError::from(log_unavailable(&error)))?;
        Ok(BegunSignIn { url, cookie })
    }

    /// Counts a sign-in that has completed or failed.
    pub(super) fn count_outcome(&self, result: Result<(), ProviderSignInError>) {
        let label = match result {
            Ok(()) => "success",
            Err(ProviderSignInError::SignIn(error)) => error.label(),
            Err(ProviderSignInError::Unavailable) => "unavailable",
            Err(ProviderSignInError::RateLimited { .. }) => "throttled",
            Err(_) => "malformed",
        };
        self.counters.record("provider", label);
    }

    /// Uses up the flow that the browser's cookie names.
    pub(super) async fn take_flow(&self, provider: &str, value: &str) -> Result<SignInFlow, ProviderSignInError> {
        let (store, digest) = (self.store.clone(), TextDigest::of(value));
        let (name, since) = (provider.to_owned(), self.clock.now().plus_seconds(-FLOW_SECONDS));
        // In its own task, because a GET request writes here.
        let taken = run_to_completion(async move { store.take_sign_in_flow(&digest, &name, since).await });
        let taken = taken.await.unwrap_or_else(|| Err(store::Error::timed_out()));
        let taken = taken.map_err(|error| SignInError::from(log_unavailable(&error)))?;
        taken.ok_or(ProviderSignInError::UnknownFlow)
    }

    /// Admits the person of an account, confirms the user of a session, or links the account to the user.
    /// Returns the login of a sign-in.
    pub(super) async fn admit_or_confirm(
        &self,
        account: &ExternalAccount<'_>,
        rules: &[AllowRule],
        groups: &[String],
        session: Option<ConfirmedSession<'_>>,
    ) -> Result<Option<Login>, ProviderSignInError> {
        let found = self.store.find_identity(account.provider, account.issuer, account.subject).await;
        let found = found.map_err(|error| SignInError::from(log_unavailable(&error)))?;
        match session {
            None => Ok(Some(self.admit_by_rules(account, found, rules, groups).await?)),
            Some(ConfirmedSession { session, is_link: true }) => {
                Ok(Some(self.link_account(account, found.as_ref(), (rules, groups), session).await?))
            }
            // Nothing changes, also if another person authenticated.
            Some(ConfirmedSession { session, .. }) => {
                let id = session.person.id;
                let is_same = found.is_some_and(|found| found.person.id == id && !found.person.is_disabled);
                if is_same { Ok(None) } else { Err(ProviderSignInError::AnotherPerson) }
            }
        }
    }

    /// Admits the person of an account, if a rule does.
    async fn admit_by_rules(
        &self,
        account: &ExternalAccount<'_>,
        found: Option<FoundIdentity>,
        rules: &[AllowRule],
        groups: &[String],
    ) -> Result<Login, SignInError> {
        let person = found.as_ref().map(|found| &found.person);
        // Checked before any change: a provider does not lift what a directory or an administrator disabled,
        // and does not change an account with a local password.
        if let Some(person) = person.filter(|person| person.is_disabled || person.has_password) {
            let reason = if person.is_disabled { DenialReason::PersonDisabled } else { DenialReason::LocalPassword };
            return Err(self.deny_account(account, Some(person), reason));
        }
        let granted = match person {
            Some(person) => grant_in(rules, groups, person.workspace_id),
            None => grant(rules, groups),
        };
        let Some(granted) = granted else {
            return Err(self.deny_account(account, person, DenialReason::NotInAllowedGroup));
        };
        self.admit_account(account, found, granted).await
    }

    pub(super) fn acquire(&self, request: &RequestContext, now: Timestamp) -> Result<(), ProviderSignInError> {
        let ProviderSignIn { limiter, shared_limiter, .. } = &self.provider;
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
        let (flows, responses) = (now.plus_seconds(-FLOW_SECONDS), now.plus_seconds(-RESPONSE_SECONDS));
        Ok(self.store.purge_sign_in_flows(flows, responses, now).await?)
    }
}

/// Returns the session of a flow, which must be the one of the browser; `None`: a sign-in.
pub(super) fn confirmed_session<'a>(
    flow: &SignInFlow,
    browser: &BrowserState<'a>,
) -> Result<Option<ConfirmedSession<'a>>, ProviderSignInError> {
    let Some(id) = flow.purpose.session_id() else { return Ok(None) };
    let session = browser.session.filter(|active| active.session.id == id);
    let is_link = matches!(flow.purpose, FlowPurpose::Link(_));
    session.map(|session| Some(ConfirmedSession { session, is_link })).ok_or(ProviderSignInError::UnknownFlow)
}
