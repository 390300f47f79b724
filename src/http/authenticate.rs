//! Authentication of requests by bearer token or by e-mail and password.
//!
//! Only the `Authorization` header is read, never another header, a parameter or a cookie.

use std::{net::IpAddr, sync::Arc};

use axum::http::HeaderMap;
use base64::{Engine as _, engine::general_purpose::STANDARD};
use percent_encoding::percent_decode_str;
use zeroize::Zeroizing;

use super::ApiError;
use crate::{
    app::App,
    domain::{event::RequestContext, id::PersonId},
    service::{
        Error, Login, SignIn, Tokens,
        sign_in::{LoginChannel, SignInError},
        tokens::{CachedVerdict, TokenLookup, ValidToken},
    },
};
use tokenward_guard::{AuthError, BasicCredential, Credential, DenialReason, Identity, MalformedHeader, Principal};

/// Authenticates requests by their `Authorization` header. Cheap to clone.
#[derive(Clone)]
pub struct Authenticator {
    tokens: Tokens,
    sign_in: SignIn,
    allow_passwords: bool,
    /// Auth checks accept local passwords only.
    channel: LoginChannel<'static>,
}

/// The authenticated caller of a request.
#[derive(Clone, Debug)]
pub struct Authenticated {
    /// The person, and the token if one was presented.
    pub principal: Principal,
    /// The owner of a token with scopes, with all rights. The principal has them without.
    owner: Option<Arc<Identity>>,
    /// The login, if the caller authenticated by password.
    pub password_login: Option<Login>,
    /// The caller must change the password before any other operation.
    pub must_change_password: bool,
}

/// The outcome of an authentication without waiting.
#[derive(Debug)]
pub enum CachedAuthentication {
    Decided(Result<Authenticated, ApiError>),
    Pending(PendingAuthentication),
}

/// An authentication that needs a lookup or a password hash.
#[derive(Debug)]
pub enum PendingAuthentication {
    Token(TokenLookup),
    Password,
}

impl Authenticated {
    /// Returns the principal.
    ///
    /// # Errors
    /// [`Error::PasswordChangeRequired`] if the password must be changed first.
    pub fn into_principal(self) -> Result<Principal, Error> {
        if self.must_change_password {
            return Err(Error::PasswordChangeRequired { person_id: PersonId::of(&self.principal) });
        }
        Ok(self.principal)
    }

    /// Returns the caller with all rights of the token's owner. Only for operations that the token's
    /// scopes permit.
    #[must_use]
    pub fn with_owner_rights(mut self) -> Self {
        if let Some(owner) = self.owner.take() {
            self.principal = Principal::new(owner, self.principal.token().cloned());
        }
        self
    }
}

impl Authenticator {
    /// Creates an authenticator that accepts bearer tokens and passwords.
    #[must_use]
    pub fn new(app: &App) -> Self {
        Self {
            tokens: app.tokens().clone(),
            sign_in: app.sign_in().clone(),
            allow_passwords: true,
            channel: LoginChannel::Request,
        }
    }

    /// Returns an authenticator for auth checks, which accepts local passwords beside bearer tokens if
    /// `allow_passwords` is set, and no passwords of directories.
    #[must_use]
    pub fn for_auth_checks(self, allow_passwords: bool) -> Self {
        Self { allow_passwords, channel: LoginChannel::AuthCheck, ..self }
    }

    /// Authenticates the caller by the `Authorization` header.
    ///
    /// # Errors
    /// 401 if the credential is missing or rejected, 429 after too many failed logins, 503 if the
    /// credential could not be checked.
    pub async fn authenticate(&self, headers: &HeaderMap, request: &RequestContext) -> Result<Authenticated, ApiError> {
        // Not in the scrutinee, whose temporaries would live across the wait.
        let cached = self.authenticate_cached(headers, &|| request.unshared_client_ip());
        match cached {
            CachedAuthentication::Decided(result) => result,
            CachedAuthentication::Pending(pending) => self.complete(pending, headers, request).await,
        }
    }

    /// Authenticates the caller without waiting: by a cached token, or if the header alone decides.
    /// `client` returns the client address. It is called only for a token with networks, and if the use of
    /// the token is the first one after a flush.
    #[must_use]
    pub fn authenticate_cached(
        &self,
        headers: &HeaderMap,
        client: &dyn Fn() -> Option<IpAddr>,
    ) -> CachedAuthentication {
        let error = match Credential::from_headers(headers) {
            Ok(Credential::Bearer(token)) => match self.tokens.validate_cached(token, client) {
                CachedVerdict::Decided(Ok(token)) => {
                    self.tokens.record_use(&token, client);
                    return CachedAuthentication::Decided(Ok(from_token(token)));
                }
                CachedVerdict::Decided(Err(error)) => error,
                CachedVerdict::Unknown(lookup) => {
                    return CachedAuthentication::Pending(PendingAuthentication::Token(lookup));
                }
            },
            Ok(Credential::Basic(_)) if self.allow_passwords => {
                return CachedAuthentication::Pending(PendingAuthentication::Password);
            }
            Ok(Credential::InvalidBearer) => AuthError::Denied(DenialReason::Malformed),
            Ok(Credential::Missing | Credential::Basic(_)) if !self.allow_passwords => {
                return CachedAuthentication::Decided(Err(ApiError::TokenRequired));
            }
            Ok(Credential::Missing | Credential::Basic(_)) => AuthError::Missing,
            Err(MalformedHeader) => AuthError::Malformed,
        };
        CachedAuthentication::Decided(Err(ApiError::Unauthenticated(error)))
    }

    /// Completes an authentication that needs a lookup or a password hash. A token is not parsed again.
    ///
    /// # Errors
    /// 401 if the credential is rejected, 429 after too many failed logins, 503 if it could not be
    /// checked.
    pub async fn complete(
        &self,
        pending: PendingAuthentication,
        headers: &HeaderMap,
        request: &RequestContext,
    ) -> Result<Authenticated, ApiError> {
        match pending {
            PendingAuthentication::Token(lookup) => {
                let token = self.tokens.validate_uncached(lookup, request).await.map_err(ApiError::Unauthenticated)?;
                self.tokens.record_use(&token, &|| request.unshared_client_ip());
                Ok(from_token(token))
            }
            PendingAuthentication::Password => match Credential::from_headers(headers) {
                // A login is rare and its future is large. On the heap, it does not enlarge the future
                // of every token check.
                Ok(Credential::Basic(basic)) => Box::pin(self.authenticate_basic(&basic, request)).await,
                _ => Err(ApiError::Unauthenticated(AuthError::Missing)),
            },
        }
    }

    /// Authenticates the caller by e-mail and password (RFC 7617, section 2): base64 of UTF-8,
    /// split at the first colon.
    ///
    /// # Errors
    /// 401 if the credential is malformed or rejected, 429 after too many failed logins, 503 if it
    /// could not be checked.
    async fn authenticate_basic(
        &self,
        basic: &BasicCredential<'_>,
        request: &RequestContext,
    ) -> Result<Authenticated, ApiError> {
        let credential = decode_basic(basic)?;
        let (email, password) = credential.split_once(':').ok_or(MALFORMED_CREDENTIAL)?;
        self.authenticate_password(email, password, self.channel, request).await
    }

    /// Authenticates a client of the OAuth 2.0 endpoints.
    ///
    /// RFC 6749, section 2.3.1 requires form encoding of name and password. Many clients omit it,
    /// so both spellings are accepted. The attempted combinations depend only on the request, so
    /// they reveal nothing about existing accounts.
    ///
    /// # Errors
    /// 401 if the credential is missing or rejected, 429 after too many failed logins, 503 if it
    /// could not be checked.
    pub async fn authenticate_oauth_client(
        &self,
        headers: &HeaderMap,
        request: &RequestContext,
    ) -> Result<Authenticated, ApiError> {
        match Credential::from_headers(headers) {
            Ok(Credential::Basic(basic)) if self.allow_passwords => {
                let credential = decode_basic(&basic)?;
                let (name, password) = credential.split_once(':').ok_or(MALFORMED_CREDENTIAL)?;
                Box::pin(self.authenticate_form_encoded(name, password, request)).await
            }
            _ => self.authenticate(headers, request).await,
        }
    }

    /// Authenticates by e-mail and password that may be form-encoded.
    async fn authenticate_form_encoded(
        &self,
        name: &str,
        password: &str,
        request: &RequestContext,
    ) -> Result<Authenticated, ApiError> {
        let decoded = decode_form_component(password).filter(|decoded| decoded.as_str() != password);
        let decoded = decoded.as_ref().map(|decoded| decoded.as_str());
        // An e-mail contains an @; a form-encoded one does not. The password is then encoded as
        // well.
        let email = decode_form_component(name).filter(|email| !name.contains('@') && email.contains('@'));
        let (email, first, alternative) = match (&email, decoded) {
            (Some(email), Some(decoded)) => (email.as_str(), decoded, Some(password)),
            (Some(email), None) => (email.as_str(), password, None),
            (None, decoded) => (name, password, decoded),
        };
        self.authenticate_password(email, first, LoginChannel::OAuthClient { alternative }, request).await
    }

    /// Authenticates by decoded e-mail and password.
    async fn authenticate_password(
        &self,
        email: &str,
        password: &str,
        channel: LoginChannel<'_>,
        request: &RequestContext,
    ) -> Result<Authenticated, ApiError> {
        let login = match self.sign_in.authenticate(email, password, channel, request).await {
            Err(SignInError::Denied(AuthError::Denied(reason))) if self.sign_in.asks_directories(channel) => {
                return Err(ApiError::DirectoryAuthFailed(reason));
            }
            Err(SignInError::Denied(AuthError::Denied(reason))) if !self.sign_in.providers().is_empty() => {
                return Err(ApiError::LocalAuthFailed(reason));
            }
            Err(SignInError::DirectoryPasswordExpired) => {
                return Err(ApiError::DirectoryAuthFailed(DenialReason::PasswordExpired));
            }
            login => login?,
        };
        Ok(Authenticated {
            principal: login.principal.clone(),
            must_change_password: login.must_change_password,
            owner: None,
            password_login: Some(login),
        })
    }
}

/// The error of a `Basic` credential without colon, or one that is not base64 of UTF-8.
const MALFORMED_CREDENTIAL: ApiError = ApiError::PasswordAuthFailed(AuthError::Denied(DenialReason::Malformed));

/// Decodes `email:password` from a `Basic` credential.
fn decode_basic(basic: &BasicCredential<'_>) -> Result<Zeroizing<String>, ApiError> {
    let bytes = STANDARD.decode(basic.expose()).map_err(|_| MALFORMED_CREDENTIAL)?;
    String::from_utf8(bytes).map(Zeroizing::new).map_err(|error| {
        drop(Zeroizing::new(error.into_bytes()));
        MALFORMED_CREDENTIAL
    })
}

/// Decodes a form component (`application/x-www-form-urlencoded`). Returns `None` if the result is
/// not UTF-8.
fn decode_form_component(text: &str) -> Option<Zeroizing<String>> {
    let spaced = Zeroizing::new(text.replace('+', " "));
    let decoded = percent_decode_str(&spaced).decode_utf8().ok()?;
    Some(Zeroizing::new(decoded.into_owned()))
}

/// Returns the caller of a token.
fn from_token(token: ValidToken) -> Authenticated {
    let owner = (!token.principal().is_unrestricted()).then(|| Arc::clone(token.owner()));
    Authenticated { principal: token.into_principal(), owner, must_change_password: false, password_login: None }
}

/// Records the IDs of person and token in the current span, which adds them to the access log.
pub fn record_principal(principal: &Principal) {
    let span = tracing::Span::current();
    span.record("person.id", principal.person_id);
    if let Some(token) = principal.token() {
        span.record("token.id", tracing::field::display(token.id));
    }
}
