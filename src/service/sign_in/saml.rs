//! Sign-in through a SAML 2.0 provider.
//!
//! The provider answers with a form that the browser posts here from another site, without a cookie. So
//! that request only verifies the response, marks its assertion as used and keeps it. The next request of
//! the browser carries the cookie of the flow. It reads the response again, for the request of that flow.

mod account;

use std::{sync::Arc, time::Duration};

use base64::{
    Engine as _,
    engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD},
};
use tokenward_saml::{Assertion, AuthnRequest, Expectations, ReadError, SystemRandom, VerificationKey, read_response};
use uuid::Uuid;

use super::{
    SignIn, SignInError,
    provider::{BrowserState, CompletedSignIn, FailedSignIn, ProviderRequest, ProviderSignInError, confirmed_session},
    records::log_unavailable,
};
use crate::{
    domain::{
        causes::Causes,
        event::RequestContext,
        sign_in_flow::{RESPONSE_SECONDS, ReceivedResponse, SignInFlow, TextDigest},
        time::Timestamp,
    },
    service::{
        Login, completion::run_to_completion, provider_list::RedirectProvider as _, saml_providers::SamlProvider,
    },
    store::{self, AcceptedResponse},
};
use account::{Claims, ClaimsError};

/// The clocks of provider and service may differ by this much.
const LEEWAY: Duration = Duration::from_mins(1);

impl SignIn {
    /// Returns the request to a provider. With `session_id`, it must authenticate the person again.
    pub(super) fn saml_request(
        &self,
        provider: &SamlProvider,
        session_id: Option<Uuid>,
        now: Timestamp,
    ) -> Result<ProviderRequest, ProviderSignInError> {
        let request = AuthnRequest {
            random: self.random.bytes(),
            now: now.into(),
            entity_id: provider.entity_id(),
            acs_url: provider.acs_url(),
            destination: &provider.metadata().single_sign_on,
            name_id_format: provider.name_id_format(),
            force_authn: session_id.is_some(),
        };
        let url = match provider.signer() {
            Some(signer) => request.signed_address(None, signer, &SystemRandom::new()),
            None => request.address(None),
        };
        let url = url.map_err(|error| {
            tracing::error!(provider = provider.name(), error = %Causes(&error), "failed to write a sign-in request");
            ProviderSignInError::Unavailable
        })?;
        Ok(ProviderRequest { url, cookie: request.id(), nonce: String::new(), code_verifier: String::new() })
    }

    /// Verifies a response that a browser has posted, marks its assertion as used and keeps the response for
    /// a minute. Returns the value with which the next request of the browser refers to it.
    ///
    /// # Errors
    /// [`ProviderSignInError`]: the response is not accepted, its assertion was used before, or the database
    /// is not available.
    pub async fn receive_saml_response(
        &self,
        provider: &str,
        response: &str,
        request: &RequestContext,
    ) -> Result<String, ProviderSignInError> {
        let result = self.receive(provider, response, request).await;
        if let Err(error) = result {
            self.count_outcome(Err(error));
        }
        result
    }

    async fn receive(
        &self,
        provider: &str,
        response: &str,
        request: &RequestContext,
    ) -> Result<String, ProviderSignInError> {
        let provider = self.find_saml_provider(provider)?;
        let now = self.clock.now();
        self.acquire(request, now)?;
        let received = ReceivedResponse { document: decode(response).unwrap_or_default(), received_at: now };
        let unbound = read_response(&received.document, &expectations(&provider, &provider.metadata().keys(), now));
        let unbound = unbound.map_err(|error| rejected(&provider, &error))?;
        let reference = URL_SAFE_NO_PAD.encode(self.random.bytes::<32>());
        let accepted = AcceptedResponse {
            issuer: provider.issuer(),
            assertion: TextDigest::of(&format!("assertion {}", unbound.id())),
            // Whole seconds later, because the time has a finer unit than the database.
            expires_at: Timestamp::from(unbound.remember_until()).plus_seconds(1),
            reference: TextDigest::of(&reference),
            provider: provider.name(),
            received: &received,
        };
        match self.store.accept_saml_response(accepted).await {
            Ok(true) => Ok(reference),
            Ok(false) => {
                tracing::info!(provider = provider.name(), "rejected an assertion that was used before");
                Err(ProviderSignInError::UnknownFlow)
            }
            Err(error) => Err(SignInError::from(log_unavailable(&error)).into()),
        }
    }

    /// Completes a sign-in with a response that was received. `reference` is the value that
    /// [`receive_saml_response`](Self::receive_saml_response) has returned.
    ///
    /// # Errors
    /// [`FailedSignIn`]. The response is used up in any case, the flow only by its own response.
    pub async fn complete_saml(
        &self,
        provider: &str,
        reference: Option<&str>,
        browser: BrowserState<'_>,
        request: &RequestContext,
    ) -> Result<CompletedSignIn, FailedSignIn> {
        let result = self.complete_saml_flow(provider, reference, browser, request).await;
        self.count_outcome(result.as_ref().map(|_| ()).map_err(|failed| failed.error));
        result
    }

    async fn complete_saml_flow(
        &self,
        provider: &str,
        reference: Option<&str>,
        browser: BrowserState<'_>,
        request: &RequestContext,
    ) -> Result<CompletedSignIn, FailedSignIn> {
        let provider = self.find_saml_provider(provider)?;
        let unknown = || unknown_flow(&provider);
        let reference = reference.ok_or_else(unknown)?;
        self.acquire(request, self.clock.now())?;
        let received = self.take_response(&provider, reference).await?;
        let request_id = browser.flow.ok_or_else(unknown)?;
        let assertion = read_for(&provider, &received, request_id)?;
        let flow = self.take_flow(provider.name(), request_id).await?;
        let (next_path, is_confirmation) = (flow.next_path.clone(), flow.purpose.session_id().is_some());
        match self.admit_assertion(&provider, &assertion, &flow, browser, request).await {
            Ok(login) => Ok(CompletedSignIn { next_path, login }),
            Err(error) => Err(FailedSignIn { error, next_path, is_confirmation }),
        }
    }

    /// Admits the person of an assertion, or confirms the user of a session.
    async fn admit_assertion(
        &self,
        provider: &SamlProvider,
        assertion: &Assertion,
        flow: &SignInFlow,
        browser: BrowserState<'_>,
        request: &RequestContext,
    ) -> Result<Option<Login>, ProviderSignInError> {
        let session = confirmed_session(flow, &browser)?;
        let is_fresh = assertion.authn_instant + LEEWAY >= flow.created_at.into();
        if session.is_some() && !is_fresh {
            tracing::info!(
                provider = provider.name(),
                "rejected a confirmation: AuthnInstant is before the request, so ForceAuthn had no effect"
            );
            return Err(ProviderSignInError::Rejected);
        }
        let claims = Claims::of(provider, assertion).map_err(|error| claims_error(provider, &error))?;
        if claims.groups.is_empty() {
            tracing::info!(
                provider = provider.name(),
                attribute = provider.groups_attribute,
                "an assertion has no groups: the attribute is missing, or the person is in none"
            );
        }
        let account = claims.account(provider, self.clock.now(), browser.device, request);
        self.admit_or_confirm(&account, provider.rules(), &claims.groups, session).await
    }

    async fn take_response(
        &self,
        provider: &SamlProvider,
        reference: &str,
    ) -> Result<ReceivedResponse, ProviderSignInError> {
        let (store, digest) = (self.store.clone(), TextDigest::of(reference));
        let (name, since) = (provider.name().to_owned(), self.clock.now().plus_seconds(-RESPONSE_SECONDS));
        // In its own task, because a GET request writes here.
        let taken = run_to_completion(async move { store.take_saml_response(&digest, &name, since).await });
        let taken = taken.await.unwrap_or_else(|| Err(store::Error::timed_out()));
        let taken = taken.map_err(|error| SignInError::from(log_unavailable(&error)))?;
        taken.ok_or_else(|| unknown_flow(provider))
    }

    /// Returns the providers with expired certificates, and how many each has.
    #[must_use]
    pub fn expired_certificates(&self) -> Vec<(String, usize)> {
        let now = self.clock.now().into();
        let counts = self.provider.providers.saml.iter();
        let counts = counts.map(|provider| (provider.name().to_owned(), provider.count_expired_certificates(now)));
        counts.filter(|(_, count)| *count > 0).collect()
    }

    /// Returns the names of providers whose metadata asks for signed requests, and that have no key for them.
    pub fn providers_without_request_key(&self) -> impl Iterator<Item = &str> {
        let providers = self.provider.providers.saml.iter().filter(|provider| provider.lacks_request_key());
        providers.map(|provider| provider.name())
    }

    fn find_saml_provider(&self, name: &str) -> Result<Arc<SamlProvider>, ProviderSignInError> {
        self.provider.providers.saml.find(name).cloned().ok_or(ProviderSignInError::UnknownProvider)
    }
}

/// Logs that a response belongs to no sign-in of the browser, and returns the error for the browser.
fn unknown_flow(provider: &SamlProvider) -> ProviderSignInError {
    tracing::info!(
        provider = provider.name(),
        "rejected a sign-in: the browser has no cookie of a sign-in, or came too late; check that people open public_url"
    );
    ProviderSignInError::UnknownFlow
}

/// Returns what a response of a provider must state.
fn expectations<'a>(provider: &'a SamlProvider, keys: &'a [VerificationKey], now: Timestamp) -> Expectations<'a> {
    Expectations {
        keys,
        issuer: provider.issuer(),
        audience: provider.entity_id(),
        acs_url: provider.acs_url(),
        name_id: provider.name_id_rule(),
        now: now.into(),
    }
}

/// Reads a received response again, for the request that the browser's cookie names.
fn read_for(
    provider: &SamlProvider,
    received: &ReceivedResponse,
    request_id: &str,
) -> Result<Assertion, ProviderSignInError> {
    let keys = provider.metadata().keys();
    let read = read_response(&received.document, &expectations(provider, &keys, received.received_at));
    read.and_then(|unbound| unbound.bind(request_id)).map_err(|error| rejected(provider, &error))
}

/// Decodes the form parameter, which may have line breaks (SAML bindings, section 3.5.4).
fn decode(response: &str) -> Option<Vec<u8>> {
    let text: String = response.chars().filter(|c| !c.is_ascii_whitespace()).collect();
    STANDARD.decode(text).ok()
}

/// Logs the reason why a response is not accepted, and returns the error for the browser.
fn rejected(provider: &SamlProvider, error: &ReadError) -> ProviderSignInError {
    tracing::info!(provider = provider.name(), error = %Causes(error), "rejected a response of a provider");
    match error {
        ReadError::InResponseTo => ProviderSignInError::UnknownFlow,
        _ => ProviderSignInError::Rejected,
    }
}

/// Logs the reason why the claims of an assertion cannot be used, and returns the error for the browser.
fn claims_error(provider: &SamlProvider, error: &ClaimsError) -> ProviderSignInError {
    match error {
        ClaimsError::NameIdFormat { .. } | ClaimsError::Subject => {
            tracing::info!(provider = provider.name(), error = %Causes(error), "rejected a response of a provider");
            ProviderSignInError::Rejected
        }
        ClaimsError::SubjectAttribute { .. } | ClaimsError::TooManyGroups => {
            tracing::warn!(provider = provider.name(), error = %Causes(error), "failed to use a provider");
            ProviderSignInError::Unavailable
        }
    }
}
