//! The two doors: a token, or e-mail and password. One of the two decides; no other header, parameter or cookie is read.

use axum::http::HeaderMap;
use base64::{Engine as _, engine::general_purpose::STANDARD};
use zeroize::Zeroizing;

use super::ApiError;
use crate::{
    app::App,
    guard::{BasicCredential, Cause, Credential, Denied, Malformed, Principal, Verify as _},
    service::{
        Refusal, SignIn, Tokens,
        sign_in::{SignedIn, Via},
    },
};

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
        match Credential::read(headers) {
            Ok(Credential::Bearer(presented)) => {
                self.tokens.verify(presented).await.map(by_token).map_err(ApiError::Unauthenticated)
            }
            // Signing in is rare and long: on the heap it is not moved about with each check that is none.
            Ok(Credential::Basic(basic)) => Box::pin(self.admit_by_password(&basic)).await,
            // Decided above.
            _ => Err(ApiError::Unauthenticated(Denied::Missing)),
        }
    }

    /// The same for a proxy that asks about somebody else's request: it knows 401 and 403, and takes everything else for a failure
    /// of ours, so whoever guesses is told no.
    ///
    /// # Errors
    /// 401, or 503 where it could not be checked.
    pub async fn admit_for_proxy(&self, headers: &HeaderMap) -> Result<Admitted, ApiError> {
        self.admit(headers).await.map_err(|error| match error {
            ApiError::Throttled { .. } => ApiError::WrongPassword(Denied::Invalid(Cause::Throttled)),
            error => error,
        })
    }

    /// The same, where it takes no waiting: for a bearer that is known, or that cannot be a token, and where there is nothing to
    /// check. None where it has to be found out.
    #[must_use]
    pub fn admit_at_once(&self, headers: &HeaderMap) -> Option<Result<Admitted, ApiError>> {
        let denied = match Credential::read(headers) {
            Ok(Credential::Bearer(presented)) => match self.tokens.inspect_at_once(presented)? {
                Ok(inspected) => {
                    self.tokens.note_use(&inspected);
                    return Some(Ok(by_token(inspected.into_principal())));
                }
                Err(denied) => denied,
            },
            Ok(Credential::Basic(_)) if self.takes_passwords => return None,
            Ok(Credential::BadBearer) => Denied::Invalid(Cause::Shape),
            Ok(Credential::Missing | Credential::Basic(_)) if !self.takes_passwords => {
                return Some(Err(ApiError::TokenMissing));
            }
            Ok(Credential::Missing | Credential::Basic(_)) => Denied::Missing,
            Err(Malformed) => Denied::Malformed,
        };
        Some(Err(ApiError::Unauthenticated(denied)))
    }

    /// Lets in whom e-mail and password prove (RFC 7617, section 2): base64 of UTF-8, the name up to the first colon.
    ///
    /// # Errors
    /// 401, or 503 where it could not be checked.
    pub async fn admit_by_password(&self, basic: &BasicCredential<'_>) -> Result<Admitted, ApiError> {
        let shape = ApiError::WrongPassword(Denied::Invalid(Cause::Shape));
        let Ok(bytes) = STANDARD.decode(basic.expose()).map(Zeroizing::new) else { return Err(shape) };
        let Some((email, password)) = std::str::from_utf8(&bytes).ok().and_then(|text| text.split_once(':')) else {
            return Err(shape);
        };
        match self.sign_in.by_password(email, password, Via::Request).await {
            Ok(who) => {
                let (principal, must_change_password) = (who.principal.clone(), who.must_change_password);
                Ok(Admitted { principal, must_change_password, proof: Some(who) })
            }
            Err(error) => Err(error.into()),
        }
    }
}

fn by_token(principal: Principal) -> Admitted {
    Admitted { principal, must_change_password: false, proof: None }
}

/// Puts the caller's ids on the request's span, and so on its line in the log.
pub fn note_in_log(principal: &Principal) {
    let span = tracing::Span::current();
    span.record("person.id", principal.person_id);
    if let Some(token) = principal.token() {
        span.record("token.id", token.id.as_str());
    }
}
