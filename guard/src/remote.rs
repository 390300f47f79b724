//! A verifier that asks a Tokenward server by token introspection (RFC 7662).

use std::{
    fmt,
    net::IpAddr,
    sync::Arc,
    time::{Duration, Instant, SystemTime},
};

use moka::{Expiry, future::Cache};
use serde::Deserialize;
use sha2::{Digest as _, Sha256};

use uuid::Uuid;

use crate::{AuthError, DenialReason, Identity, Principal, Scopes, TokenInfo, Verify, token_format::BearerToken};

/// Verifies tokens by asking a Tokenward server.
///
/// ```no_run
/// use std::time::Duration;
/// use tokenward_guard::{GuardLayer, RemoteVerifier, RemoteVerifierError};
///
/// # fn main() -> Result<(), RemoteVerifierError> {
/// let verifier = RemoteVerifier::builder("https://tokenward.example", "twd_own_token_of_this_service")
///     .cache_ttl(Duration::from_secs(2))
///     .build()?;
/// let layer: GuardLayer<RemoteVerifier, http::Response<String>> = GuardLayer::new(verifier).require_workspace(1);
/// # Ok(())
/// # }
/// ```
///
/// The verifier caches results, bounded in number and in time. [`RemoteVerifierBuilder::cache_ttl`] is **how long a deleted token may
/// still authenticate here**: 5 seconds by default, and never past the token's own expiry. Inactive tokens are cached for one second. Cache
/// keys are SHA-256 digests of token and client address; token values are not kept. Concurrent checks of one token send a single request. A check that fails is
/// [`AuthError::Unavailable`] (503) and is not repeated.
#[derive(Clone)]
pub struct RemoteVerifier(Arc<Inner>);

struct Inner {
    http: reqwest::Client,
    introspection_url: String,
    credential: ClientCredential,
    cache: Cache<[u8; 32], Introspected>,
    on_event: Box<dyn Fn(VerifierEvent) + Send + Sync>,
}

/// Configures a [`RemoteVerifier`].
pub struct RemoteVerifierBuilder {
    url: String,
    credential: ClientCredential,
    cache_ttl: Duration,
    cache_capacity: u64,
    connect_timeout: Duration,
    total_timeout: Duration,
    on_event: Box<dyn Fn(VerifierEvent) + Send + Sync>,
}

/// The credential by which this service authenticates to the Tokenward server.
enum ClientCredential {
    Bearer(String),
    Basic { email: String, password: String },
}

/// An event of a [`RemoteVerifier`], for metrics.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum VerifierEvent {
    /// The Tokenward server responded, after this duration.
    Requested(Duration),
    /// The Tokenward server did not respond, or rejected this service's own credential.
    Failed,
    /// A check completed, from the cache or from a response.
    Checked {
        /// The token authenticates.
        active: bool,
    },
}

/// The HTTP client of a [`RemoteVerifier`] could not be created.
#[derive(Debug, thiserror::Error)]
#[error("failed to create the HTTP client")]
pub struct RemoteVerifierError(#[source] reqwest::Error);

/// The Tokenward server sent no usable response. Never cached.
#[derive(Debug)]
struct NoResponse;

#[derive(Clone)]
enum Introspected {
    Active(Principal),
    Inactive,
}

impl RemoteVerifier {
    /// Starts a builder with the URL of a Tokenward server and a token that belongs to the workspace whose tokens are checked.
    #[must_use]
    pub fn builder(url: &str, own_token: &str) -> RemoteVerifierBuilder {
        RemoteVerifierBuilder {
            url: url.trim_end_matches('/').to_owned(),
            credential: ClientCredential::Bearer(own_token.to_owned()),
            cache_ttl: Duration::from_secs(5),
            cache_capacity: 100_000,
            connect_timeout: Duration::from_secs(1),
            total_timeout: Duration::from_secs(3),
            on_event: Box::new(|_| ()),
        }
    }
}

impl RemoteVerifierBuilder {
    /// Authenticates to the Tokenward server by e-mail and password instead of a token. Each request then costs the server a password hash.
    #[must_use]
    pub fn with_password(mut self, email: &str, password: &str) -> Self {
        self.credential = ClientCredential::Basic { email: email.to_owned(), password: password.to_owned() };
        self
    }

    /// Sets how long a result is cached, which is how long a deleted token may still authenticate here. Zero disables the cache. The
    /// default is 5 seconds.
    #[must_use]
    pub fn cache_ttl(mut self, ttl: Duration) -> Self {
        self.cache_ttl = ttl;
        self
    }

    /// Sets the maximum number of cached results. The default is 100,000.
    #[must_use]
    pub fn cache_capacity(mut self, entries: u64) -> Self {
        self.cache_capacity = entries;
        self
    }

    /// Sets the time-outs of the connection and of the whole request. The defaults are 1 and 3 seconds.
    #[must_use]
    pub fn timeouts(mut self, connect: Duration, total: Duration) -> Self {
        self.connect_timeout = connect;
        self.total_timeout = total;
        self
    }

    /// Sets a function that is called with every event, for metrics.
    #[must_use]
    pub fn on_event(mut self, on_event: impl Fn(VerifierEvent) + Send + Sync + 'static) -> Self {
        self.on_event = Box::new(on_event);
        self
    }

    /// Builds the verifier. Its clones share one HTTP client and one cache.
    ///
    /// # Errors
    /// [`RemoteVerifierError`] if the HTTP client cannot be created, for instance without system certificates.
    pub fn build(self) -> Result<RemoteVerifier, RemoteVerifierError> {
        // reqwest needs a process-wide provider of cryptography. Keep one that the application installed.
        rustls::crypto::ring::default_provider().install_default().ok();
        let http = reqwest::Client::builder()
            .connect_timeout(self.connect_timeout)
            .timeout(self.total_timeout)
            // A redirect would send the token to another host.
            .redirect(reqwest::redirect::Policy::none())
            .build()
            .map_err(RemoteVerifierError)?;
        let cache = Cache::builder()
            .max_capacity(self.cache_capacity)
            .expire_after(ResultExpiry { cache_ttl: self.cache_ttl })
            .build();
        Ok(RemoteVerifier(Arc::new(Inner {
            http,
            introspection_url: format!("{}/oauth2/introspect", self.url),
            credential: self.credential,
            cache,
            on_event: self.on_event,
        })))
    }
}

impl Verify for RemoteVerifier {
    async fn verify(&self, token: BearerToken<'_>, client: Option<IpAddr>) -> Result<Principal, AuthError> {
        let Self(inner) = self;
        let client = client.map(|address| address.to_canonical().to_string());
        let key = cache_key(token, client.as_deref());
        // Concurrent checks of one token share a request. Failures are not cached.
        let result = match inner.cache.try_get_with(key, inner.request(token, client.as_deref())).await {
            Ok(Introspected::Active(principal)) if !is_expired(&principal) => Ok(principal),
            Ok(Introspected::Active(_) | Introspected::Inactive) => Err(AuthError::Denied(DenialReason::Inactive)),
            Err(_) => return Err(AuthError::Unavailable),
        };
        (inner.on_event)(VerifierEvent::Checked { active: result.is_ok() });
        result
    }
}

/// Returns the digest by which the result for a token and a client address is cached.
fn cache_key(token: BearerToken<'_>, client: Option<&str>) -> [u8; 32] {
    let digest = Sha256::new().chain_update(token.expose());
    // A token value contains no space.
    digest.chain_update(" ").chain_update(client.unwrap_or_default()).finalize().into()
}

impl Inner {
    async fn request(&self, token: BearerToken<'_>, client: Option<&str>) -> Result<Introspected, NoResponse> {
        let started_at = Instant::now();
        let result = self.introspect(token, client).await;
        (self.on_event)(match &result {
            Ok(_) => VerifierEvent::Requested(started_at.elapsed()),
            Err(NoResponse) => VerifierEvent::Failed,
        });
        result
    }

    async fn introspect(&self, token: BearerToken<'_>, client: Option<&str>) -> Result<Introspected, NoResponse> {
        let token = ("token", token.expose());
        let request = self.http.post(&self.introspection_url);
        let request = match client {
            Some(client) => request.form(&[token, ("client_address", client)]),
            None => request.form(&[token]),
        };
        let request = match &self.credential {
            ClientCredential::Bearer(own_token) => request.bearer_auth(own_token),
            ClientCredential::Basic { email, password } => request.basic_auth(email, Some(password)),
        };
        let response = request.send().await.map_err(|_| NoResponse)?;
        // 401 concerns this service's own credential and says nothing about the token.
        if response.status() != reqwest::StatusCode::OK {
            return Err(NoResponse);
        }
        let body: IntrospectionResponse = response.json().await.map_err(|_| NoResponse)?;
        body.into_result().ok_or(NoResponse)
    }
}

/// The members of an introspection response (RFC 7662, section 2.2) that the verifier reads.
#[derive(Deserialize)]
struct IntrospectionResponse {
    active: bool,
    sub: Option<String>,
    username: Option<String>,
    exp: Option<u64>,
    iat: Option<u64>,
    jti: Option<String>,
    tokenward_workspace_id: Option<i64>,
    #[serde(default)]
    tokenward_is_admin: bool,
    #[serde(default)]
    tokenward_name: String,
    scope: Option<String>,
    #[serde(default)]
    tokenward_unrestricted: bool,
}

impl IntrospectionResponse {
    /// Returns `None` if an active token has no owner: the server is not a Tokenward server.
    fn into_result(self) -> Option<Introspected> {
        if !self.active {
            return Some(Introspected::Inactive);
        }
        let from_unix = |seconds| SystemTime::UNIX_EPOCH + Duration::from_secs(seconds);
        let identity = Identity {
            person_id: self.sub?.parse().ok()?,
            workspace_id: self.tokenward_workspace_id?,
            email: self.username?,
            name: self.tokenward_name,
            is_admin: self.tokenward_is_admin && self.tokenward_unrestricted,
            is_platform_admin: false,
        };
        let token_id = Uuid::try_parse(&self.jti?).ok()?;
        // A response without both members has no scopes, whatever the token may do.
        let scopes = match (self.scope, self.tokenward_unrestricted) {
            (None, true) => Scopes::unrestricted(),
            (scope, _) => Scopes::parse(&scope.unwrap_or_default()),
        };
        let token = TokenInfo::new(token_id, from_unix(self.iat?), self.exp.map(from_unix), scopes);
        Some(Introspected::Active(Principal::new(identity, Some(token))))
    }
}

/// The time for which a result stays in the cache.
struct ResultExpiry {
    cache_ttl: Duration,
}

const INACTIVE_TTL: Duration = Duration::from_secs(1);

impl Expiry<[u8; 32], Introspected> for ResultExpiry {
    fn expire_after_create(&self, _: &[u8; 32], result: &Introspected, _: Instant) -> Option<Duration> {
        let ttl = match result {
            Introspected::Inactive => INACTIVE_TTL.min(self.cache_ttl),
            Introspected::Active(_) => self.cache_ttl,
        };
        Some(ttl)
    }
}

fn is_expired(principal: &Principal) -> bool {
    let expires_at = principal.token().and_then(|token| token.expires_at);
    #[expect(clippy::disallowed_methods, reason = "a service elsewhere has no clock but the system's")]
    expires_at.is_some_and(|expires_at| SystemTime::now() >= expires_at)
}

impl fmt::Debug for RemoteVerifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RemoteVerifier").field("introspection_url", &self.0.introspection_url).finish_non_exhaustive()
    }
}

impl fmt::Debug for RemoteVerifierBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RemoteVerifierBuilder").field("url", &self.url).finish_non_exhaustive()
    }
}
