//! The two doors: a token, or e-mail and password. One of the two decides; no other header, parameter or cookie is read.

use axum::http::HeaderMap;
use base64::{Engine as _, engine::general_purpose::STANDARD};
use percent_encoding::percent_decode_str;
use zeroize::Zeroizing;

use super::ApiError;
use crate::{
    app::App,
    service::{
        Refusal, SignIn, Tokens,
        sign_in::{SignedIn, Via},
    },
};
use tokenward_guard::{AuthError, BasicCredential, Credential, DenialReason, MalformedHeader, Principal, Verify as _};

/// The doors of the service. Cheap to clone.
#[derive(Clone)]
pub struct Doors {
    tokens: Tokens,
    sign_in: SignIn,
    takes_passwords: bool,
}

/// Somebody who was let in.
#[derive(Clone, Debug)]
pub struct Admitted {
    pub principal: Principal,
    /// What a password has proven.
    pub proof: Option<SignedIn>,
    /// Nothing but changing the password is open.
    pub must_change_password: bool,
}

impl Admitted {
    /// The caller, unless nothing but changing the password is open.
    ///
    /// # Errors
    /// [`Refusal::PasswordChangeRequired`].
    pub fn caller(self) -> Result<Principal, Refusal> {
        if self.must_change_password {
            return Err(Refusal::PasswordChangeRequired { person_id: self.principal.person_id });
        }
        Ok(self.principal)
    }
}

impl Doors {
    /// Both doors.
    #[must_use]
    pub fn new(app: &App) -> Self {
        Self { tokens: app.tokens().clone(), sign_in: app.sign_in().clone(), takes_passwords: true }
    }

    /// The same doors; without passwords only the one for tokens is open.
    #[must_use]
    pub fn with_passwords(self, takes_passwords: bool) -> Self {
        Self { takes_passwords, ..self }
    }

    /// Lets in whom the `Authorization` header proves.
    ///
    /// # Errors
    /// 401, or 503 where it could not be checked.
    pub async fn admit(&self, headers: &HeaderMap) -> Result<Admitted, ApiError> {
        if let Some(decided) = self.admit_at_once(headers) {
            return decided;
        }
        match Credential::from_headers(headers) {
            Ok(Credential::Bearer(presented)) => {
                self.tokens.verify(presented).await.map(by_token).map_err(ApiError::Unauthenticated)
            }
            // Signing in is rare and long: on the heap it is not moved about with each check that is none.
            Ok(Credential::Basic(basic)) => Box::pin(self.admit_by_password(&basic)).await,
            // Decided above.
            _ => Err(ApiError::Unauthenticated(AuthError::Missing)),
        }
    }

    /// The same for a proxy that asks about somebody else's request: it knows 401 and 403, and takes everything else for a failure
    /// of ours, so whoever guesses is told no.
    ///
    /// # Errors
    /// 401, or 503 where it could not be checked.
    pub async fn admit_for_proxy(&self, headers: &HeaderMap) -> Result<Admitted, ApiError> {
        self.admit(headers).await.map_err(|error| match error {
            ApiError::Throttled { .. } => ApiError::WrongPassword(AuthError::Denied(DenialReason::Throttled)),
            error => error,
        })
    }

    /// The same, where it takes no waiting: for a bearer that is known, or that cannot be a token, and where there is nothing to
    /// check. None where it has to be found out.
    #[must_use]
    pub fn admit_at_once(&self, headers: &HeaderMap) -> Option<Result<Admitted, ApiError>> {
        let denied = match Credential::from_headers(headers) {
            Ok(Credential::Bearer(presented)) => match self.tokens.inspect_at_once(presented)? {
                Ok(inspected) => {
                    self.tokens.note_use(&inspected);
                    return Some(Ok(by_token(inspected.into_principal())));
                }
                Err(denied) => denied,
            },
            Ok(Credential::Basic(_)) if self.takes_passwords => return None,
            Ok(Credential::InvalidBearer) => AuthError::Denied(DenialReason::Malformed),
            Ok(Credential::Missing | Credential::Basic(_)) if !self.takes_passwords => {
                return Some(Err(ApiError::TokenMissing));
            }
            Ok(Credential::Missing | Credential::Basic(_)) => AuthError::Missing,
            Err(MalformedHeader) => AuthError::Malformed,
        };
        Some(Err(ApiError::Unauthenticated(denied)))
    }

    /// Lets in whom e-mail and password prove (RFC 7617, section 2): base64 of UTF-8, the name up to the first colon.
    ///
    /// # Errors
    /// 401, or 503 where it could not be checked.
    pub async fn admit_by_password(&self, basic: &BasicCredential<'_>) -> Result<Admitted, ApiError> {
        let typed = typed(basic)?;
        let (email, password) = typed.split_once(':').ok_or(SHAPE)?;
        self.admit_proven(email, password, Via::Request).await
    }

    /// The same for a client of the OAuth 2.0 endpoints. Its name and password may be encoded as form fields are (RFC 6749, section
    /// 2.3.1); many clients do not do that, so both forms are taken.
    ///
    /// What is tried depends on what was sent and on nothing else, so it tells a stranger nothing.
    ///
    /// # Errors
    /// 401, or 503 where it could not be checked.
    pub async fn admit_oauth_client(&self, headers: &HeaderMap) -> Result<Admitted, ApiError> {
        match Credential::from_headers(headers) {
            Ok(Credential::Basic(basic)) if self.takes_passwords => {
                let typed = typed(&basic)?;
                let (name, password) = typed.split_once(':').ok_or(SHAPE)?;
                Box::pin(self.admit_encoded(name, password)).await
            }
            _ => self.admit(headers).await,
        }
    }

    async fn admit_encoded(&self, name: &str, password: &str) -> Result<Admitted, ApiError> {
        let decoded = form_decoded(password).filter(|decoded| decoded.as_str() != password);
        let decoded = decoded.as_ref().map(|decoded| decoded.as_str());
        // An e-mail has an @, and a name in which it is encoded has none. The password is then encoded, too.
        let email = form_decoded(name).filter(|email| !name.contains('@') && email.contains('@'));
        let (email, first, other) = match (&email, decoded) {
            (Some(email), Some(decoded)) => (email.as_str(), decoded, Some(password)),
            (Some(email), None) => (email.as_str(), password, None),
            (None, decoded) => (name, password, decoded),
        };
        self.admit_proven(email, first, Via::OAuthClient { other }).await
    }

    async fn admit_proven(&self, email: &str, password: &str, via: Via<'_>) -> Result<Admitted, ApiError> {
        let who = self.sign_in.by_password(email, password, via).await?;
        let (principal, must_change_password) = (who.principal.clone(), who.must_change_password);
        Ok(Admitted { principal, must_change_password, proof: Some(who) })
    }
}

const SHAPE: ApiError = ApiError::WrongPassword(AuthError::Denied(DenialReason::Malformed));

/// Name and password as they were sent, with the colon between them.
fn typed(basic: &BasicCredential<'_>) -> Result<Zeroizing<String>, ApiError> {
    let bytes = STANDARD.decode(basic.expose()).map_err(|_| SHAPE)?;
    String::from_utf8(bytes).map(Zeroizing::new).map_err(|error| {
        drop(Zeroizing::new(error.into_bytes()));
        SHAPE
    })
}

/// Decodes a form field (`application/x-www-form-urlencoded`). None where that gives no UTF-8.
fn form_decoded(text: &str) -> Option<Zeroizing<String>> {
    let spaced = Zeroizing::new(text.replace('+', " "));
    let decoded = percent_decode_str(&spaced).decode_utf8().ok()?;
    Some(Zeroizing::new(decoded.into_owned()))
}

fn by_token(principal: Principal) -> Admitted {
    Admitted { principal, must_change_password: false, proof: None }
}

/// Puts the caller's ids on the request's span, and so on its line in the log.
pub fn note_in_log(principal: &Principal) {
    let span = tracing::Span::current();
    span.record("person.id", principal.person_id);
    if let Some(token) = principal.token() {
        span.record("token.id", tracing::field::display(token.id));
    }
}
