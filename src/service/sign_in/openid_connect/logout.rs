//! Sign-outs at `OpenID` providers, and those that providers report.

use std::time::SystemTime;

use crate::{
    domain::{event::RequestContext, ip_network::rate_limit_key, sign_in_flow::TextDigest, time::Timestamp},
    service::{
        provider_list::RedirectProvider as _,
        sign_in::{ProviderSignInError, SignIn, SignInError, records::log_unavailable},
    },
    store::ProviderLogout,
};

impl SignIn {
    /// Ends the sessions that a logout token names (`OpenID` Connect Back-Channel Logout 1.0). Tokens
    /// stay. Returns the number of sessions.
    ///
    /// # Errors
    /// [`ProviderSignInError::Rejected`] if the token is not accepted or was accepted before, and
    /// [`ProviderSignInError::Unavailable`] if its keys cannot be loaded.
    pub async fn end_provider_sessions(
        &self,
        provider: &str,
        logout_token: &str,
        request: &RequestContext,
    ) -> Result<u64, ProviderSignInError> {
        let provider = self.find_openid_provider(provider)?;
        let now = self.clock.now();
        let acquired = self.provider.logout_limiter.try_acquire(request.client_ip.map(rate_limit_key), now);
        acquired.map_err(|retry_after_millis| ProviderSignInError::RateLimited { retry_after_millis })?;
        let (client, token, now) = (provider.client.clone(), logout_token.to_owned(), SystemTime::from(now));
        let claims = self.ask(&provider, async move { client.verify_logout_token(&token, now).await }).await?;
        let logout = ProviderLogout {
            issuer: &claims.issuer,
            // `sub` names an account only if accounts are known by it.
            subject: claims.subject.as_deref().filter(|_| provider.has_subjects_of_sub),
            session_id: claims.session_id.as_deref(),
            token: TextDigest::of(&format!("logout {}", claims.jti)),
            // The provider's clock may be a minute ahead.
            expires_at: Timestamp::from(claims.expires_at).plus_seconds(60),
        };
        let ended = self.store.end_provider_sessions(provider.name(), &logout).await;
        ended.map_err(|error| SignInError::from(log_unavailable(&error)))?.ok_or_else(|| {
            tracing::info!(provider = provider.name(), "rejected a logout token that was used before");
            ProviderSignInError::Rejected
        })
    }

    /// Returns the URL at which a provider ends its own session, if it has one.
    pub async fn provider_logout_url(&self, provider: &str) -> Option<String> {
        let provider = self.find_openid_provider(provider).ok()?;
        let client = provider.client.clone();
        self.ask(&provider, async move { client.end_session_url(None).await }).await.ok()?.map(Into::into)
    }
}
