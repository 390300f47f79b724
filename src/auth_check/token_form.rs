//! The form and the response of the token endpoint, which all grants share.

use axum::{
    body::Bytes,
    extract::{FromRequest, Request},
    http::HeaderMap,
};
use serde::Serialize;
use utoipa::ToSchema;
use zeroize::Zeroizing;

use super::oauth::{self, OAuthError};
use crate::{domain::token::Token, http::ApiError};
use tokenward_guard::token_format::TokenValue;

/// The only client that is known: clients are not registered.
const CLIENT_ID: &str = "tokenward";

/// A token, once (RFC 6749, section 5.1, and RFC 8693, section 2.2.1).
#[derive(Serialize, ToSchema)]
#[schema(as = IssuedToken)]
pub(super) struct TokenResponse {
    /// The token value.
    #[schema(value_type = String)]
    pub(super) access_token: Zeroizing<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false, examples("urn:ietf:params:oauth:token-type:access_token"))]
    pub(super) issued_token_type: Option<&'static str>,
    /// Always `Bearer`.
    pub(super) token_type: &'static str,
    /// The lifetime in seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub(super) expires_in: Option<i64>,
    /// The scopes, separated by spaces; absent: the token is unrestricted.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub(super) scope: Option<String>,
}

impl TokenResponse {
    /// Creates the response with a new token.
    pub(super) fn new(value: &TokenValue, token: &Token) -> Self {
        Self {
            access_token: value.expose().to_owned().into(),
            issued_token_type: None,
            token_type: "Bearer",
            expires_in: token.expires_at.map(|end| (end.as_millis() - token.created_at.as_millis()) / 1_000),
            scope: token.limits.scopes.as_str().map(str::to_owned),
        }
    }
}

/// A form with distinct parameters. A parameter without a value counts as absent (RFC 6749, section
/// 3.2).
pub(super) struct Form(Vec<(String, Zeroizing<String>)>);

impl Form {
    fn parse(headers: &HeaderMap, body: &[u8]) -> Result<Self, OAuthError> {
        oauth::ensure_form(headers, body)?;
        let fields = form_urlencoded::parse(body).filter(|(_, value)| !value.is_empty());
        Ok(Self(fields.map(|(name, value)| (name.into_owned(), Zeroizing::new(value.into_owned()))).collect()))
    }

    /// Returns a parameter.
    ///
    /// # Errors
    /// `invalid_request` if it is there more than once.
    pub(super) fn get(&self, name: &'static str) -> Result<Option<&str>, OAuthError> {
        let mut values = self.0.iter().filter(|(other, _)| other == name).map(|(_, value)| value.as_str());
        match (values.next(), values.next()) {
            (value, None) => Ok(value),
            _ => Err(OAuthError::invalid_request(format!("Send the parameter {name} once."))),
        }
    }

    /// Returns a required parameter.
    ///
    /// # Errors
    /// `invalid_request` if it is missing, or there more than once.
    pub(super) fn require(&self, name: &'static str, remedy: &str) -> Result<&str, OAuthError> {
        let missing = || OAuthError::invalid_request(format!("The parameter {name} is missing: {remedy}."));
        self.get(name)?.ok_or_else(missing)
    }

    /// Checks the parameter `client_id`, which may be absent.
    ///
    /// # Errors
    /// `invalid_client` if it has another value than `tokenward`.
    pub(super) fn check_client(&self) -> Result<(), OAuthError> {
        match self.get("client_id")? {
            None | Some(CLIENT_ID) => Ok(()),
            Some(_) => Err(OAuthError::grant("invalid_client", "client_id must be tokenward; or leave it out.")),
        }
    }
}

impl<S: Send + Sync> FromRequest<S> for Form {
    type Rejection = OAuthError;

    async fn from_request(request: Request, state: &S) -> Result<Self, OAuthError> {
        let headers = request.headers().clone();
        let body = Bytes::from_request(request, state).await.map_err(|_| ApiError::BodyTooLarge)?;
        Self::parse(&headers, &body)
    }
}

#[cfg(test)]
mod tests {
    use axum::http::{HeaderValue, header::CONTENT_TYPE};

    use super::*;

    fn form(body: &[u8]) -> Form {
        let form = HeaderValue::from_static("application/x-www-form-urlencoded");
        Form::parse(&HeaderMap::from_iter([(CONTENT_TYPE, form)]), body).unwrap()
    }

    #[test]
    fn an_empty_parameter_is_absent_and_a_repeated_one_is_rejected() {
        let form = form(b"a=1&b=&c=1&c=2&d=x+y%3D");
        assert_eq!(form.get("a").unwrap(), Some("1"));
        assert_eq!(form.get("b").unwrap(), None);
        assert_eq!(form.get("none").unwrap(), None);
        assert_eq!(form.get("d").unwrap(), Some("x y="));
        assert!(form.get("c").is_err() && form.require("b", "send it").is_err());
        assert!(Form::parse(&HeaderMap::new(), b"a=1").is_err());
    }

    #[test]
    fn another_client_is_unknown() {
        assert!(form(b"").check_client().is_ok() && form(b"client_id=tokenward").check_client().is_ok());
        assert!(form(b"client_id=other").check_client().is_err());
    }
}
