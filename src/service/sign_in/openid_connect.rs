//! Sign-in through an `OpenID` provider: the browser comes back with a code, which is redeemed.

mod claims;
mod logout;

use std::{sync::Arc, time::SystemTime};

use tokenward_oidc::{Flow, Prompt};
use tokio::time::timeout;
use uuid::Uuid;

use super::{
    SignIn,
    provider::{
        BrowserState, Callback, CompletedSignIn, FailedSignIn, ProviderRequest, ProviderSignInError, confirmed_session,
    },
};
use crate::{
    domain::{
        causes::Causes,
        event::RequestContext,
        sign_in_flow::{SignInFlow, TextDigest},
        time::Timestamp,
    },
    service::{
        Login, completion::run_to_completion, openid_providers::OpenIdProvider, provider_list::RedirectProvider as _,
    },
};
use claims::account;

impl SignIn {
    /// Returns the request to a provider. With `session_id`, it must authenticate the person again.
    pub(super) async fn openid_request(
        &self,
        provider: &OpenIdProvider,
        session_id: Option<Uuid>,
        now: Timestamp,
    ) -> Result<ProviderRequest, ProviderSignInError> {
        let mut bytes = [0; 96];
        self.random.fill(&mut bytes);
        let flow = Flow::from_bytes(bytes, prompt(session_id, now));
        let (client, secrets) = (provider.client.clone(), flow.clone());
        let url = self.ask(provider, async move { client.authorization_url(&secrets).await }).await?;
        Ok(ProviderRequest {
            url: url.into(),
            cookie: flow.state().to_owned(),
            nonce: flow.nonce().to_owned(),
            code_verifier: flow.code_verifier().to_owned(),
        })
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
        let result = self.complete_openid_flow(provider, callback, browser, request).await;
        self.count_outcome(result.as_ref().map(|_| ()).map_err(|failed| failed.error));
        result
    }

    async fn complete_openid_flow(
        &self,
        provider: &str,
        callback: Callback<'_>,
        browser: BrowserState<'_>,
        request: &RequestContext,
    ) -> Result<CompletedSignIn, FailedSignIn> {
        let provider = self.find_openid_provider(provider)?;
        let state = state_of_browser(callback.state, browser.flow).ok_or(ProviderSignInError::UnknownFlow)?;
        self.acquire(request, self.clock.now())?;
        let flow = self.take_flow(provider.name(), state).await?;
        let (next_path, is_confirmation) = (flow.next_path.clone(), flow.purpose.session_id().is_some());
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
        let session = confirmed_session(&flow, &browser)?;
        let code = match (callback.error, callback.code) {
            (None, Some(code)) if !code.is_empty() => code.to_owned(),
            (error, _) => {
                let error = error.map(loggable);
                tracing::info!(provider = provider.name(), error, "rejected a sign-in: the provider returned no code");
                return Err(ProviderSignInError::Rejected);
            }
        };
        let prompt = prompt(flow.purpose.session_id(), flow.created_at);
        let secrets = Flow::from_parts(state.to_owned(), flow.nonce, flow.code_verifier, prompt);
        let secrets = secrets.map_err(|_| ProviderSignInError::UnknownFlow)?;
        let (client, issuer) = (provider.client.clone(), callback.issuer.map(str::to_owned));
        let now = SystemTime::from(self.clock.now());
        let redeemed = async move { client.redeem(&code, issuer.as_deref(), &secrets, now).await };
        let claims = self.ask(provider, redeemed).await?;
        let groups: Vec<String> = claims.groups.iter().map(str::to_owned).collect();
        let account = account(provider, &claims, browser.device, request);
        self.admit_or_confirm(&account, provider.rules(), &groups, session).await
    }

    /// Asks a provider within the time limit. This runs to completion, so that a slow response is kept for
    /// the next request.
    async fn ask<T: Send + 'static>(
        &self,
        provider: &OpenIdProvider,
        question: impl Future<Output = Result<T, tokenward_oidc::Error>> + Send + 'static,
    ) -> Result<T, ProviderSignInError> {
        match timeout(self.provider.time_limit, run_to_completion(question)).await {
            Ok(Some(answer)) => answer.map_err(|error| failed(provider, &error)),
            Ok(None) | Err(_) => {
                tracing::warn!(provider = provider.name(), "failed to ask a provider: no response in time");
                Err(ProviderSignInError::Unavailable)
            }
        }
    }

    fn find_openid_provider(&self, name: &str) -> Result<Arc<OpenIdProvider>, ProviderSignInError> {
        self.provider.providers.openid.find(name).cloned().ok_or(ProviderSignInError::UnknownProvider)
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
