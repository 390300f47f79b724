//! Errors of auth checks, which announce the deletion of a replaced token as other responses do.

use axum::{
    http::HeaderValue,
    response::{IntoResponse, Response},
};

use super::oauth::OAuthError;
use crate::http::{
    error::ApiError,
    token_headers::{self, SUNSET},
};
use tokenward_guard::Principal;

/// An error of a check.
#[derive(Debug)]
pub(crate) struct Denied<E> {
    pub(super) error: E,
    /// The scheduled deletion of the token that authenticated the caller.
    pub(super) sunset: Option<HeaderValue>,
}

impl<E> Denied<E> {
    /// Creates the error of a check whose caller was authenticated.
    pub(super) fn of(caller: &Principal, error: E) -> Self {
        Self { error, sunset: caller.token().and_then(token_headers::sunset) }
    }
}

impl Denied<ApiError> {
    /// Returns the error in the format of the OAuth 2.0 endpoints.
    pub(super) fn into_oauth(self) -> Denied<OAuthError> {
        Denied { error: self.error.into(), sunset: self.sunset }
    }
}

impl<E> From<E> for Denied<E> {
    /// Creates the error of a check whose caller was not authenticated.
    fn from(error: E) -> Self {
        Self { error, sunset: None }
    }
}

impl<E: IntoResponse> IntoResponse for Denied<E> {
    fn into_response(self) -> Response {
        let mut response = self.error.into_response();
        response.headers_mut().extend(self.sunset.map(|sunset| (SUNSET, sunset)));
        response
    }
}
