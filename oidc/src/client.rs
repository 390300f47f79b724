//! The client of one OpenID provider.

use std::{
    fmt,
    sync::Arc,
    time::{Duration, SystemTime},
};

use url::Url;

use crate::{
    AddressRule, ClientSettings, Denial, Endpoint, Error, Flow, IdentityClaims, LogoutClaims, Prompt, SettingsError,
    cache::MonotonicClock, fetch::TIMEOUT, logout::LOGOUT_TYPES, provider::Provider, tls::Authorities, token_endpoint,
};

/// A year, in seconds: as good as any age of a session at the provider.
const LONGEST_MAX_AGE: &str = "31536000";

/// The `typ` of ID tokens, beside none at all.
const ID_TOKEN_TYPES: [&str; 1] = ["jwt"];

/// This service as a client of one OpenID provider. Cheap to clone; clones share what was loaded.
#[derive(Clone)]
pub struct Client(Arc<Inner>);

struct Inner {
    settings: ClientSettings,
    provider: Provider,
}

impl Client {
    /// Creates a client. Does not connect: a provider that is unavailable is an error of the first
    /// use.
    ///
    /// # Errors
    /// A [`SettingsError`] if no provider could work with the settings, or if `ca_file` is
    /// unreadable.
    pub fn new(settings: ClientSettings) -> Result<Self, SettingsError> {
        Self::with_limits(settings, TIMEOUT, MonotonicClock::system())
    }

    pub(crate) fn with_limits(
        settings: ClientSettings,
        timeout: Duration,
        clock: MonotonicClock,
    ) -> Result<Self, SettingsError> {
        settings.validate()?;
        let addresses = AddressRule::allow_all();
        let authorities = settings.ca_file.as_deref().map_or(Authorities::System, Authorities::File);
        let provider = Provider::new(&settings.issuer, authorities, addresses, timeout, clock)?;
        Ok(Self(Arc::new(Inner { settings, provider })))
    }

    /// Returns the URL to which the browser is sent for a sign-in (OpenID Connect Core 1.0, section
    /// 3.1.2.1).
    ///
    /// # Errors
    /// [`Error::Unavailable`] if the discovery document cannot be loaded.
    pub async fn authorization_url(&self, flow: &Flow) -> Result<Url, Error> {
        let Inner { settings, provider } = &*self.0;
        let metadata = provider.metadata().await?;
        let url =
            metadata.authorization_endpoint().map_err(|cause| provider.unavailable(Endpoint::Discovery, cause))?;
        let mut url = url.clone();
        let mut scopes = vec!["openid"];
        scopes.extend(settings.scopes.iter().map(String::as_str).filter(|scope| *scope != "openid"));
        let mut query = url.query_pairs_mut();
        query
            .append_pair("response_type", "code")
            // The callback of a form post would come without the cookie, which is SameSite=Lax.
            .append_pair("response_mode", "query")
            .append_pair("client_id", &settings.client_id)
            .append_pair("redirect_uri", &settings.redirect_uri)
            .append_pair("scope", &scopes.join(" "))
            .append_pair("state", flow.state())
            .append_pair("nonce", flow.nonce())
            .append_pair("code_challenge", &flow.code_challenge())
            .append_pair("code_challenge_method", "S256");
        match flow.prompt() {
            // Every `max_age` makes the provider send `auth_time` (OpenID Connect Core 1.0, section 2).
            Prompt::None => query.append_pair("max_age", LONGEST_MAX_AGE),
            Prompt::Login { .. } => query.append_pair("prompt", "login").append_pair("max_age", "0"),
        };
        drop(query);
        Ok(url)
    }

    /// Exchanges the code of a callback for the identity of the person, and verifies the ID token.
    /// `issuer` is the parameter `iss` of the callback (RFC 9207). The caller has found the flow by
    /// `state`, and uses it once.
    ///
    /// # Errors
    /// [`Error::Unavailable`] if the provider does not respond, [`Error::Denied`] if the callback or
    /// the ID token is not accepted, and the others if the configuration is wrong.
    pub async fn redeem(
        &self,
        code: &str,
        issuer: Option<&str>,
        flow: &Flow,
        now: SystemTime,
    ) -> Result<IdentityClaims, Error> {
        let Inner { settings, provider } = &*self.0;
        if issuer.is_some_and(|issuer| issuer != settings.issuer) {
            return Err(Denial::IssuerParameter.into());
        }
        let metadata = provider.metadata().await?;
        if issuer.is_none() && metadata.sends_issuer_parameter {
            return Err(Denial::IssuerParameterMissing.into());
        }
        let id_token = token_endpoint::exchange(provider, settings, &metadata, code, flow).await?;
        let claims = provider.verify_signature(id_token.expose(), &ID_TOKEN_TYPES).await?;
        IdentityClaims::read(&claims, id_token, settings, flow, now)
    }

    /// Verifies a logout token (OpenID Connect Back-Channel Logout 1.0, section 2.6). The caller
    /// accepts each `jti` once.
    ///
    /// # Errors
    /// [`Error::Unavailable`] if the keys cannot be loaded, [`Error::Denied`] if the token is not
    /// accepted.
    pub async fn verify_logout_token(&self, token: &str, now: SystemTime) -> Result<LogoutClaims, Error> {
        let Inner { settings, provider } = &*self.0;
        let claims = provider.verify_signature(token, &LOGOUT_TYPES).await?;
        Ok(LogoutClaims::read(&claims, &settings.issuer, &settings.client_id, now)?)
    }

    /// Returns the URL to which the browser is sent to end the session at the provider (OpenID
    /// Connect RP-Initiated Logout 1.0, section 2), or `None` if the provider announces none. Some
    /// providers demand the ID token.
    ///
    /// # Errors
    /// [`Error::Unavailable`] if the discovery document cannot be loaded.
    pub async fn end_session_url(&self, id_token: Option<&str>) -> Result<Option<Url>, Error> {
        let Inner { settings, provider } = &*self.0;
        let metadata = provider.metadata().await?;
        let Some(mut url) = metadata.end_session_endpoint.clone() else { return Ok(None) };
        url.query_pairs_mut()
            .append_pair("client_id", &settings.client_id)
            .append_pair("post_logout_redirect_uri", &settings.post_logout_redirect_uri);
        if let Some(id_token) = id_token {
            url.query_pairs_mut().append_pair("id_token_hint", id_token);
        }
        Ok(Some(url))
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client").field("settings", &self.0.settings).finish_non_exhaustive()
    }
}
